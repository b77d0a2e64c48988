// One room: its figures, charts, controls, settings and audit log.

import { call, data } from "./api.js";
import { showAudit } from "./audit.js";
import { Chart } from "./charts.js";
import { confirm, onPress } from "./dialog.js";
import { figure, find, put, set, toast } from "./dom.js";
import { Feed } from "./feed.js";
import { active, condition, duration, number, rate, wait } from "./format.js";
import { History } from "./history.js";
import { Sessions } from "./sessions.js";
import { Settings } from "./settings.js";

const HISTORY_EVERY_MS = 5000;
const room = data.room;
const figures = {
  waiting: figure(find("figures"), "Waiting"),
  onTurn: figure(find("figures"), "On turn"),
  inside: figure(find("figures"), "Inside"),
  wait: figure(find("figures"), "Wait for a newcomer"),
  joins: figure(find("figures"), "Joins a minute"),
  admitted: figure(find("figures"), "Let in a minute"),
  abandoned: figure(find("figures"), "Gave up a minute"),
  polls: figure(find("figures"), "Polls a second"),
};
const charts = [
  new Chart("In the room", [
    { key: "waiting", label: "waiting", colour: "--warn" },
    { key: "onTurn", label: "on turn", colour: "--good" },
    { key: "inside", label: "inside", colour: "--info" },
  ], number),
  new Chart("Per minute", [
    { key: "joinsPerMinute", label: "joins", colour: "--warn" },
    { key: "admittedPerMinute", label: "let in", colour: "--good" },
    { key: "abandonedPerMinute", label: "gave up", colour: "--bad" },
  ], rate),
  new Chart("Wait for a newcomer", [{ key: "waitSeconds", label: "expected", colour: "--info" }],
    (seconds) => (seconds === null || seconds === undefined ? "–" : duration(seconds))),
  new Chart("Polls a second", [{ key: "pollsPerSecond", label: "polls", colour: "--info" }], rate),
];
find("plots").append(...charts.map((chart) => chart.node));

const history = new History(room);
const settings = new Settings(room, () => showAudit(room));
new Sessions(room, () => showAudit(room));
let seen = null;
let askedAt = -Infinity;
let gone = null;
let followed = null;

async function refreshCharts() {
  if (performance.now() - askedAt < HISTORY_EVERY_MS || document.visibilityState === "hidden") return;
  askedAt = performance.now();
  try {
    await history.refresh();
  } catch {
    return;  // the line at the top says what is wrong
  }
  drawCharts();
}

function drawCharts() {
  const some = history.columns !== null && history.columns.at.length > 0;
  find("no-history").hidden = some;
  find("plots").hidden = !some;
  if (some) for (const chart of charts) chart.show(history.columns, Number(find("span").value));
}

function show(now) {
  seen = now;
  const state = condition(now.condition);
  set(find("room"), "data-tone", state.tone);
  const [icon, words] = find("condition").children;
  put(icon, state.icon);
  put(words, state.words);
  put(find("capacity"), now.counted ? active(now) ?? "" : "Batches alone pace this room: turns are not counted one by one.");
  put(find("title"), now.title ?? "");
  find("title").hidden = !now.title;
  figures.waiting(number(now.waiting) + (now.maxWaiting ? ` of ${number(now.maxWaiting)}` : ""));
  figures.onTurn(number(now.onTurn), now.counted ? "" : "at most");
  figures.inside(number(now.inside));
  figures.wait(wait(now));
  figures.joins(rate(now.joinsPerMinute));
  figures.admitted(rate(now.admittedPerMinute));
  figures.abandoned(rate(now.abandonedPerMinute), now.counted ? "" : "in line only");
  figures.polls(rate(now.pollsPerSecond));
  const focused = document.activeElement;
  find("pause").hidden = now.paused;
  find("resume").hidden = !now.paused;
  find("close").hidden = find("drain").hidden = now.closed;
  find("open").hidden = !now.closed;
  if (focused.hidden) document.querySelector("[data-living] > button:not([hidden])").focus();  // Resume after Pause
  settings.seen(now.settingsVersion);
  followAudit(now);
}

async function verb(name, done, body = {}) {
  await call("POST", `rooms/${room}/${name}`, body);
  toast(done);
  await showAudit(room);
}

// What somebody else did shows as well.
function followAudit(now) {
  const state = [now.epoch, now.settingsVersion, now.condition].join();
  if (followed !== null && followed !== state) showAudit(room);
  followed = state;
}

function button(id, ask, work) {
  onPress(find(id), async () => {
    const answer = ask === null ? true : await confirm(ask());
    if (answer !== null) await work(answer);
  });
}

button("pause", () => ({
  heading: `Pause ${room}?`, action: "Pause",
  lines: ["The line stands still and nobody's turn runs out. People may still join. Sessions go on, and end."],
}), () => verb("pause", "Paused."));
button("resume", null, () => verb("resume", "The line goes on."));
button("close", () => ({
  heading: `Close ${room}?`, action: "Close",
  lines: ["Nobody new may join. Those in line are served."],
}), () => verb("close", "Closed to new visitors."));
button("drain", () => ({
  heading: `Drain ${room}?`, action: "Drain",
  lines: ["Nobody new may join. The line is served, and then the room counts as closed."],
}), () => verb("drain", "Drains."));
button("open", null, () => verb("open", "Open to new visitors."));
button("admit", () => ({
  heading: `Admit to ${room} now`, action: "Admit",
  lines: [`${number(seen?.waiting ?? 0)} wait. The next so many are let in at once, whatever the rate and the batches say; the capacity still holds.`],
  ask: { label: "How many", type: "number", min: "1", max: "100000", step: "1", inputmode: "numeric", value: "1" },
}), async (count) => {
  const { admitted } = await call("POST", `rooms/${room}/admit`, { count: Number(count) });
  toast(admitted === Number(count) ? `${number(admitted)} let in.` : `${number(admitted)} of ${number(Number(count))} let in: no more waited, or the capacity is used up.`, admitted > 0 ? "good" : "warn");
  await showAudit(room);
});
button("reset", () => ({
  heading: `Reset ${room}?`, action: "Reset", danger: true, typed: room,
  lines: [`${number(seen?.waiting ?? 0)} who wait lose their places, ${number(seen?.onTurn ?? 0)} on turn and ${number(seen?.inside ?? 0)} inside lose theirs.`, "This cannot be undone."],
}), () => verb("reset", "The line begins anew.", { expectedEpoch: seen?.epoch ?? 0 }));
button("delete", () => ({
  heading: `Delete ${room}?`, action: "Delete", danger: true, typed: room,
  lines: ["The room goes with its line and its settings. This cannot be undone."],
}), async () => {
  await call("DELETE", `rooms/${room}`);
  location.assign(`${data.root}admin`);
});
find("delete").disabled = room === "default";

find("span").addEventListener("change", drawCharts);
onPress(find("audit-again"), () => showAudit(room));
showAudit(room);
new Feed(({ rooms }) => {
  const now = rooms.get(room);
  if (gone !== (now === undefined)) {
    gone = now === undefined;
    find("gone").hidden = !gone;
    for (const part of document.querySelectorAll("[data-living]")) part.hidden = gone;
  }
  if (now === undefined) return;
  show(now);
  refreshCharts();
});
