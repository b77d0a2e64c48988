// Task queues: how deep they are, and what became of what failed for good.

import { call } from "./api.js";
import { confirm, onPress, pressed } from "./dialog.js";
import { arrange, el, figure, find, put, set, toast } from "./dom.js";
import { every } from "./every.js";
import { Feed } from "./feed.js";
import { duration, moment, number } from "./format.js";

const STATES = ["ready", "delayed", "leased", "done", "dead"];
const PAGE = 50;
const times = (count) => (count === 1 ? "once" : `${number(count)} times`);
const cards = new Map();
const counts = {
  pending: figure(find("counts"), "Pending"),
  processing: figure(find("counts"), "Being worked on"),
  completed: figure(find("counts"), "Completed"),
  failed: figure(find("counts"), "Dead letters"),
  oldestWaitSeconds: figure(find("counts"), "Oldest has waited"),
  waitingWorkers: figure(find("counts"), "Workers waiting here"),
  leaseExpiries: figure(find("counts"), "Leases run out"),
};
let queue = new URLSearchParams(location.search).get("queue");
let pages = 1;

class Card {
  constructor(name) {
    const figures = el("dl", { class: "figures" });
    this.figures = {
      pending: figure(figures, "Pending"),
      processing: figure(figures, "Worked on"),
      dead: figure(figures, "Dead"),
      oldest: figure(figures, "Oldest waits"),
    };
    this.link = el("a", { href: `?queue=${encodeURIComponent(name)}`, onclick: (event) => choose(event, name) }, name);
    this.node = el("li", { class: "card" }, el("h2", {}, this.link), figures);
  }

  show(now) {
    set(this.node, "data-tone", now.dead > 0 ? "bad" : now.oldestWaitSeconds > 60 ? "warn" : "good");
    if (now.queue === queue) set(this.link, "aria-current", "true");
    else this.link.removeAttribute("aria-current");
    this.figures.pending(number(now.pending));
    this.figures.processing(number(now.processing));
    this.figures.dead(number(now.dead));
    this.figures.oldest(now.oldestWaitSeconds > 0 ? duration(now.oldestWaitSeconds) : "–");
  }
}

function choose(event, name) {
  event.preventDefault();
  queue = name;
  pages = 1;
  history.replaceState(null, "", `?queue=${encodeURIComponent(name)}`);
  refresh().then(() => find("queue-title").focus());
}

function letter(task) {
  const retry = pressed("Retry", "", task.id, async () => {
    await call("POST", `dead-letters/${encodeURIComponent(task.id)}/retry`);
    toast(`${task.id} is back in line.`);
    await refresh();
  });
  const remove = pressed("Delete…", "danger", task.id, async () => {
    const lines = [`${task.type} ${task.id} goes for good, with what it was to do.`];
    if (!(await confirm({ heading: "Delete this dead letter?", lines, action: "Delete", danger: true }))) return;
    await call("DELETE", `dead-letters/${encodeURIComponent(task.id)}`);
    toast(`${task.id} is deleted.`);
    await refresh();
  });
  const why = task.reason === "lease" ? `its leases ran out ${times(task.leaseExpiries)}` : `failed ${times(task.retries)}`;
  return el("li", { class: "card plain", "data-id": task.id },
    el("h4", {}, task.type, " ", el("span", { class: "soft" }, task.id)),
    el("p", {}, `${why}, the last time at ${moment(task.finishedAt)}`),
    task.error ? el("p", { class: "error", dir: "auto" }, task.error) : null,
    el("details", {}, el("summary", {}, "Payload"), el("pre", { tabindex: "0" }, JSON.stringify(task.payload, null, 2))),
    el("p", { class: "actions" }, retry, remove));
}

function showLetters(tasks) {
  const list = find("dead");
  const shown = new Map([...list.children].map((node) => [node.dataset.id, node]));
  arrange(list, tasks.map((task) => shown.get(task.id) ?? letter(task)));
  find("no-dead").hidden = tasks.length > 0;
  find("retry-all").disabled = find("delete-all").disabled = tasks.length === 0;
}

async function refreshQueue() {
  find("queue").hidden = queue === null;
  if (queue === null) return;
  const name = queue;
  const stats = await call("GET", `stats?queue=${encodeURIComponent(name)}`);
  const tasks = [];
  let cursor = "";
  for (let page = 0; page < pages; page += 1) {
    const found = await call("GET", `dead-letters?queue=${encodeURIComponent(name)}&limit=${PAGE}&cursor=${cursor}`);
    tasks.push(...found.tasks);
    cursor = found.next ?? "";
    if (!cursor) break;
  }
  if (name !== queue) return;
  put(find("queue-title"), `Queue ${name}`);
  for (const [key, show] of Object.entries(counts)) {
    show(key === "oldestWaitSeconds" ? duration(stats[key]) : number(stats[key]));
  }
  find("types").replaceChildren(...Object.entries(stats.byType).map(([type, by]) =>
    el("tr", {}, el("th", { scope: "row" }, type), ...STATES.map((state) => el("td", {}, number(by[state] ?? 0))))));
  showLetters(tasks);
  find("more").hidden = !cursor;
}

find("more").addEventListener("click", () => {
  pages += 1;
  refresh();
});
onPress(find("retry-all"), async () => {
  const lines = ["They go back in line with a clean slate, and their workers get them again."];
  if (!(await confirm({ heading: `Retry all dead letters of ${queue}?`, lines, action: "Retry all" }))) return;
  const { count } = await call("POST", `dead-letters/retry?queue=${encodeURIComponent(queue)}`);
  toast(`${number(count)} are back in line.`);
  await refresh();
});
onPress(find("delete-all"), async () => {
  const lines = ["They go for good, with what they were to do."];
  if (!(await confirm({ heading: `Delete all dead letters of ${queue}?`, lines, action: "Delete all", danger: true, typed: queue }))) return;
  const { count } = await call("DELETE", `dead-letters?queue=${encodeURIComponent(queue)}`);
  toast(`${number(count)} are deleted.`);
  await refresh();
});

const refresh = every(3000, refreshQueue);
new Feed(({ head }) => {
  if (head.queues === undefined) return;  // the store is away; the line at the top says so
  const list = find("queues");
  find("no-queues").hidden = head.queues.length > 0;
  if (queue === null && head.queues.length > 0) {
    queue = head.queues[0].queue;
    refresh();
  }
  const names = new Set(head.queues.map((now) => now.queue));
  for (const [name, card] of cards) {
    if (names.has(name)) continue;
    card.node.remove();  // it was empty and unused for long, and is forgotten
    cards.delete(name);
  }
  for (const now of head.queues) {
    if (!cards.has(now.queue)) {
      cards.set(now.queue, new Card(now.queue));
      list.append(cards.get(now.queue).node);
    }
    cards.get(now.queue).show(now);
  }
});
