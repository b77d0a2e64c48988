// The waiting page with scripts: the same page, kept up to date. Without them it works as the server sent it.

import { Link } from "./link.js";
import { Place } from "./place.js";
import { Tell } from "./tell.js";
import { Words } from "./words.js";

const data = JSON.parse(document.getElementById("data").textContent);
const { texts } = data;
const words = new Words(data.language, texts);
const find = (id) => document.getElementById(id);
const SPREAD_S = 0.5;
const SAY_EVERY_S = 60;

const place = new Place(data, nowS());
const tell = new Tell(
  { notify: find("tell-notify"), sound: find("tell-sound"), blocked: find("tell-blocked") },
  data,
);
const link = new Link(data.urls, {
  place(answer) {
    place.answered(answer, nowS());
    show();
  },
  serving(room) {
    if (place.heard(room, nowS())) link.ask(SPREAD_S);
    show();
    showMessage(room.message ?? "");
  },
  patient: () => place.patient,
  gathering: () => place.untilS(nowS()) > 0,
  awaited: () => tell.wanted,
  online(yes) {
    find("offline").hidden = yes;
  },
});

// The same for every press on this page: pressing again after a lost answer gives no second place.
const joinKey = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("-");

let shown = { key: data.key };
let said = { ahead: Infinity, atS: nowS() };
let overAt = null;
let turnCame = false;

function nowS() {
  return performance.now() / 1000;
}

function show() {
  const view = place.view(nowS(), texts.states);
  const state = texts.states[view.key];
  if (view.key !== shown.key) changed(view, state);
  const figures = {
    position: () => words.number(view.position),
    ahead: () => words.number(view.ahead),
    wait: () => words.range(view.lowS, view.highS),
    left: () => words.left(view.leftS),
    opens: () => words.moment(view.opensAt),
    until: () => words.left(view.untilS),
  };
  for (const fact in figures) {
    const box = find(`fact-${fact}`);
    box.hidden = !state.facts.includes(fact);
    if (!box.hidden) put(box.lastElementChild, figures[fact]());
  }
  find("stale").hidden = !view.stale;
  showText("refusal", view.key === "refused" && view.refusal);
  find("tell").hidden = !["early", "waiting", "paused"].includes(view.key);
  const bar = find("progress");
  bar.hidden = !state.facts.includes("ahead") || state.facts.includes("until");
  bar.value = Math.round(100 * (view.progress ?? 0));
  document.title = (state.facts.includes("ahead") ? `(${words.number(view.ahead)}) ` : "") +
    `${state.tone === "turn" ? "● " : ""}${state.title} – ${data.room}`;
  sayProgress(view, state);
  if (view.key === "active" && view.leftS <= 0) {
    if (overAt !== place.atS) link.ask();
    overAt = place.atS;  // once per answer
  }
  shown = view;
  enterByItself();
}

// Another state: the words, what can be pressed, and everybody who cannot see the page is told.
function changed(view, state) {
  document.body.dataset.state = view.key;
  document.body.dataset.tone = state.tone;
  put(find("title"), state.title);
  put(find("body"), state.body || view.message || "");
  put(find("next"), state.next);
  find("what-next").hidden = !state.next;
  find("join").hidden = state.action !== "join";
  if (find("enter")) find("enter").hidden = state.action !== "enter";
  say(`${state.title}. ${state.body || view.message || ""}`);
  if (view.key !== "active") return;
  tell.turn(state.title, `${data.room}: ${state.body}`, location.pathname);
  turnCame = true;
}

// What the operator has to say to everybody.
function showMessage(text) {
  if (showText("message", text) && text) say(text);
}

// A paragraph that is there when it has something to say. Returns whether that has changed.
function showText(id, text) {
  const box = find(id);
  if (box.textContent === (text || "")) return false;
  box.textContent = text || "";
  box.hidden = !text;
  return true;
}

// The turn has come while the page was open: go in, as soon as somebody looks at it. A page that is opened when it is
// already the visitor's turn only shows the way, so that the back button stays usable.
function enterByItself() {
  if (turnCame && !document.hidden && shown.key === "active") enter(false);
}

// Tell the room first, so that the turn is taken up; `always` goes on whatever it says.
async function enter(always) {
  const way = find("enter")?.querySelector("a");
  if (!way) return;
  turnCame = false;
  const request = { method: "POST", headers: { accept: "application/json" } };
  const answer = await fetch(data.urls.enter, request).catch(() => null);
  if (always || answer?.ok) location.assign(way.href);
}

// The live region speaks when the visitor has come half way again, and at most once a minute.
function sayProgress(view, state) {
  if (!state.facts.includes("wait")) {
    said.ahead = Infinity;
    return;
  }
  if (said.ahead === Infinity) said.ahead = view.ahead;
  if (view.ahead <= said.ahead / 2 && view.ahead < said.ahead && nowS() - said.atS >= SAY_EVERY_S) {
    say(words.counted("people_ahead", view.ahead));
    said.ahead = view.ahead;
  }
}

function say(text) {
  find("announce").textContent = text;
  said.atS = nowS();
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Joining without leaving the page as long as it does not work; the page loads anew once it has.
async function join(event) {
  event.preventDefault();
  const button = event.target.querySelector("button");
  const problem = find("problem");
  button.disabled = true;
  problem.hidden = true;
  try {
    const headers = { accept: "application/json", "idempotency-key": joinKey };
    const answer = await fetch(data.urls.join, { method: "POST", headers });
    if (answer.ok) {
      location.replace(location.pathname);
      return;
    }
    const kind = ((await answer.json()).type ?? "").split(":").pop();
    problem.textContent = texts.problems[kind] ?? texts.problems.other;
  } catch {
    problem.textContent = texts.words.offline;
  }
  problem.hidden = false;
  button.disabled = false;
}

find("join").addEventListener("submit", join);
find("enter")?.addEventListener("click", (event) => {
  event.preventDefault();
  enter(true);
});
document.addEventListener("visibilitychange", enterByItself);
setInterval(() => document.hidden || show(), 1000);
if (location.search) history.replaceState(null, "", location.pathname);
show();
link.start(data.again, data.place);
document.body.dataset.live = "";  // for tests, and for whoever styles the page: it keeps itself up to date
