// All rooms at a glance.

import { call, data } from "./api.js";
import { confirm, onPress } from "./dialog.js";
import { el, figure, find, put, set } from "./dom.js";
import { Feed } from "./feed.js";
import { active, condition, number, rate, wait } from "./format.js";

const totals = {
  waiting: figure(find("totals"), "Waiting"),
  onTurn: figure(find("totals"), "On turn"),
  inside: figure(find("totals"), "Inside"),
};
const others = {
  pending: figure(find("totals"), "Tasks pending"),
  dead: figure(find("totals"), "Dead letters"),
  locks: figure(find("totals"), "Locks held"),
};
const cards = new Map();

// Where batches alone pace a room, turns are not counted one by one.
const atMost = (counted) => (counted ? "" : "at most");

class Card {
  constructor(name) {
    this.icon = el("span", { "aria-hidden": "true" });
    this.words = el("span");
    this.title = el("p", { class: "soft", dir: "auto" });
    this.condition = el("p", { class: "condition" }, this.icon, " ", this.words);
    this.capacity = el("p", { class: "soft" });
    const figures = el("dl", { class: "figures" });
    this.figures = {
      waiting: figure(figures, "Waiting"),
      onTurn: figure(figures, "On turn"),
      inside: figure(figures, "Inside"),
      wait: figure(figures, "Wait now"),
      joins: figure(figures, "Joins/min"),
      admitted: figure(figures, "Let in/min"),
    };
    const link = el("a", { href: `${data.root}admin/rooms/${name}` }, name);
    this.node = el("li", { class: "card" }, el("h2", {}, link), this.title, this.condition, figures, this.capacity);
  }

  show(room) {
    const state = condition(room.condition);
    set(this.node, "data-tone", state.tone);
    put(this.icon, state.icon);
    put(this.words, state.words);
    put(this.title, room.title ?? "");
    this.title.hidden = !room.title;
    put(this.capacity, active(room) ?? "");
    this.capacity.hidden = active(room) === null;
    this.figures.waiting(number(room.waiting));
    this.figures.onTurn(number(room.onTurn), atMost(room.counted));
    this.figures.inside(number(room.inside));
    this.figures.wait(wait(room));
    this.figures.joins(rate(room.joinsPerMinute));
    this.figures.admitted(rate(room.admittedPerMinute));
  }
}

// With many rooms one wants to find some; what is bad comes to the eye by its colour, and to the tab by its title.
const MANY = 8;

function sift() {
  const wanted = find("sought").value.trim().toLowerCase();
  for (const [name, card] of cards) card.node.hidden = !`${name} ${card.title.textContent}`.toLowerCase().includes(wanted);
}

function putInOrder() {
  const names = [...cards.keys()].sort((a, b) => (b === "default") - (a === "default") || (a < b ? -1 : 1));
  find("rooms").append(...names.map((name) => cards.get(name).node));
  find("sift").hidden = names.length <= MANY;
}

new Feed(({ rooms, changed, head }) => {
  const sum = (name) => [...rooms.values()].reduce((total, room) => total + room[name], 0);
  const counted = [...rooms.values()].every((room) => room.counted);
  for (const [name, show] of Object.entries(totals)) show(number(sum(name)), name === "onTurn" ? atMost(counted) : "");
  for (const name of ["pending", "dead"]) {
    others[name](number(head.queues?.reduce((total, queue) => total + queue[name], 0)));
  }
  others.locks(number(head.locksHeld));
  const before = cards.size;
  for (const room of changed) {
    if (!cards.has(room.room)) cards.set(room.room, new Card(room.room));
    cards.get(room.room).show(room);
  }
  if (cards.size !== before) putInOrder();
  for (const [name, card] of cards) {
    if (rooms.has(name)) continue;
    card.node.remove();
    cards.delete(name);
  }
  sift();
  const bad = [...rooms.values()].filter((room) => condition(room.condition).tone === "bad").length;
  const title = `${bad > 0 ? `(${bad} in trouble) ` : ""}Rooms – Stanchion`;
  if (document.title !== title) document.title = title;
});

find("sought").addEventListener("input", sift);
onPress(find("new"), async () => {
  const name = await confirm({
    heading: "A new room", action: "Make it",
    lines: ["It starts with the defaults: batches of ten every half minute. Pace and limits are set on its page."],
    ask: { label: "Name (small letters, digits, - and _)", pattern: "[a-z0-9][a-z0-9_\\-]{0,63}", autocapitalize: "none", spellcheck: "false", autocomplete: "off" },
  });
  if (name === null) return;
  await call("POST", "rooms", { room: name });
  location.assign(`${data.root}admin/rooms/${name}`);
});
