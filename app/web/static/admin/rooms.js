// All rooms at a glance.

import { el, figure, find, put, set } from "./dom.js";
import { Feed } from "./feed.js";
import { condition, number, wait } from "./format.js";

const totals = {
  waiting: figure(find("totals"), "Waiting"),
  onTurn: figure(find("totals"), "On turn"),
  inside: figure(find("totals"), "Inside"),
};
const cards = new Map();

class Card {
  constructor(name) {
    this.icon = el("span", { "aria-hidden": "true" });
    this.words = el("span");
    this.title = el("p", { class: "soft", dir: "auto" });
    this.condition = el("p", { class: "condition" }, this.icon, " ", this.words);
    const figures = el("dl", { class: "figures" });
    this.figures = {
      waiting: figure(figures, "Waiting"),
      onTurn: figure(figures, "On turn"),
      inside: figure(figures, "Inside"),
      wait: figure(figures, "Wait for a newcomer"),
    };
    this.node = el("li", { class: "card" }, el("h2", {}, name), this.title, this.condition, figures);
  }

  show(room) {
    const state = condition(room.condition);
    set(this.node, "data-tone", state.tone);
    put(this.icon, state.icon);
    put(this.words, state.words);
    put(this.title, room.title ?? "");
    this.title.hidden = !room.title;
    const limit = room.maxActive === undefined || room.maxActive === null ? "" : ` of ${number(room.maxActive)}`;
    this.figures.waiting(number(room.waiting));
    this.figures.onTurn(number(room.onTurn));
    this.figures.inside(number(room.inside) + limit);
    this.figures.wait(wait(room));
  }
}

new Feed(({ rooms }) => {
  const sum = (name) => [...rooms.values()].reduce((total, room) => total + room[name], 0);
  for (const [name, show] of Object.entries(totals)) show(number(sum(name)));
  for (const [name, card] of cards) {
    if (rooms.has(name)) continue;
    card.node.remove();
    cards.delete(name);
  }
  const names = [...rooms.keys()].sort((a, b) => (b === "default") - (a === "default") || (a < b ? -1 : 1));
  names.forEach((name, place) => {
    if (!cards.has(name)) cards.set(name, new Card(name));
    const card = cards.get(name);
    card.show(rooms.get(name));
    const list = find("rooms");
    if (list.children[place] !== card.node) list.insertBefore(card.node, list.children[place] ?? null);
  });
});
