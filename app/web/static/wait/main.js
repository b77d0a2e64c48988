// The waiting page with scripts: the same page, kept up to date. Without them it works as the server sent it.

import { Link } from "./link.js";
import { Passage } from "./passage.js";
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
  live() {
    document.body.dataset.live = "";  // for tests, and for whoever styles the page: it keeps itself up to date
  },
});

const passage = new Passage(data, showProblem);
const carry = once(async () => new (await import("./carry.js")).Carry(data, words, passage, find));

let shown = { key: data.key };
let said = { ahead: Infinity, atS: nowS() };
let overAt = null;
let turnCame = false;  // while the page was open, and not taken up yet

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
  if (find("carry")) find("carry").hidden = state.leave !== "leave";
  if (find("takeover")) find("takeover").hidden = Boolean(state.leave) && !find("code").value;
  find("leave").hidden = !state.leave;
  if (state.leave) {
    for (const part of ["summary", "button"]) put(find("leave").querySelector(part), texts.words[state.leave]);
    put(find("leave").querySelector("p"), texts.words[`${state.leave}_body`]);
  }
  if (find("enter")) {
    find("enter").hidden = state.action !== "enter";
    put(find("enter").querySelector("button"), view.key === "entered" ? texts.words.to_site : texts.words.enter);
  }
  showProblem("");
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
  if (turnCame && !document.hidden && shown.key === "active") enter();
}

async function enter() {
  turnCame = false;
  const againS = await passage.enter();
  if (againS === null) return;
  link.ask();
  if (againS) setTimeout(tryAgain, againS * (1 + Math.random()) * 1000);
}

// Whoever asked in time is let in also when the turn is over by now.
function tryAgain() {
  if (["active", "expired"].includes(shown.key)) enter();
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

// What was said once need not stand in the address when the page is loaded again; where to go has to.
function tidyAddress() {
  const here = new URL(location.href);
  for (const name of ["lang", "problem"]) here.searchParams.delete(name);
  if (here.href !== location.href) history.replaceState(null, "", here);
}

function showProblem(text) {
  if (showText("problem", text) && text) find("problem").scrollIntoView({ block: "nearest" });
}

// Joining without leaving the page as long as it does not work; the page loads anew once it has.
async function join(event) {
  event.preventDefault();
  const button = event.target.querySelector("button");
  button.disabled = true;
  const place = await passage.join();
  if (place?.status === "active" && data.target) await enter();
  else if (place) passage.home();
  button.disabled = false;
}

function once(make) {
  let made;
  return () => (made ??= make());
}

// What serves this has to be loaded first; where it cannot be, the form works as it does without scripts.
async function submitToCarry(event) {
  event.preventDefault();
  const form = event.target;
  const served = await carry().catch(() => null);
  if (served) served.submitted(form);
  else form.submit();
}

// A link from another device brings a code in its fragment; it is taken out of the address before anything else. One
// press is left, so that nothing happens to whoever only opens the link.
function takeCode() {
  const code = /^#place=([\w-]{1,40})$/.exec(location.hash)?.[1];
  if (!code || !find("takeover")) return;
  history.replaceState(null, "", location.pathname + location.search);
  const box = find("takeover");
  const button = box.querySelector("button");
  box.hidden = false;
  box.open = true;
  find("takeover-replaces").hidden = !texts.states[shown.key].leave;
  find("code").value = code;
  for (const link of document.querySelectorAll(".languages a")) link.hash = `place=${code}`;
  button.classList.remove("quiet");
  button.focus();
}

find("join").addEventListener("submit", join);
for (const id of ["carry", "takeover"]) {
  find(id)?.addEventListener("toggle", () => carry().catch(() => {}), { once: true });
  find(id)?.querySelector("form").addEventListener("submit", submitToCarry);
}
window.addEventListener("hashchange", takeCode);
find("enter")?.addEventListener("submit", (event) => {
  event.preventDefault();
  enter();
});
document.addEventListener("visibilitychange", enterByItself);
setInterval(() => document.hidden || show(), 1000);
takeCode();
tidyAddress();
show();
link.start(data.again, data.place);
