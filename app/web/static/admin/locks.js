// Which locks are held, by whom, for how long still, and how many wait.

import { call } from "./api.js";
import { arrange, el, figure, find, put } from "./dom.js";
import { every } from "./every.js";
import { Feed } from "./feed.js";
import { duration, number } from "./format.js";

const SHOWN = 200;
let rows = new Map();

class Row {
  constructor(id) {
    this.facts = el("dl", { class: "figures" });
    this.figures = {
      holder: figure(this.facts, "Held by"),
      held: figure(this.facts, "For"),
      left: figure(this.facts, "Lease left"),
      waiters: figure(this.facts, "In line"),
      fence: figure(this.facts, "Fence"),
    };
    this.node = el("li", { class: "card plain" }, el("h2", { dir: "auto" }, id), this.facts);
  }

  show(lock) {
    const [first] = lock.holders;
    const others = lock.holders.length > 1 ? ` and ${lock.holders.length - 1} more` : "";
    this.figures.holder((first?.owner || first?.replica || "–") + others);
    this.figures.held(first ? duration(first.heldForMs / 1000) : "–");
    this.figures.left(first ? duration(first.leaseLeftMs / 1000) : "–");
    this.figures.waiters(number(lock.waiters));
    this.figures.fence(String(lock.lastFence));
  }
}

async function refresh() {
  let held;
  try {
    held = await call("GET", `locks?limit=${SHOWN}`);
  } catch (error) {
    put(find("trouble"), error.message);
    find("trouble").hidden = false;
    throw error;
  }
  find("trouble").hidden = true;
  const more = held.total > held.locks.length ? ` The first ${number(held.locks.length)} are shown.` : "";
  put(find("count"), `${number(held.total)} ${held.total === 1 ? "lock is" : "locks are"} held.${more}`);
  const before = rows;
  rows = new Map(held.locks.map((lock) => [lock.id, before.get(lock.id) ?? new Row(lock.id)]));
  for (const lock of held.locks) rows.get(lock.id).show(lock);
  arrange(find("locks"), [...rows.values()].map((row) => row.node));
}

new Feed(() => {});
every(2000, refresh);
