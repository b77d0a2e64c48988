// What operators did to a room, as sentences.

import { call } from "./api.js";
import { el, find } from "./dom.js";
import { moment } from "./format.js";

const WORDS = {
  create: "made the room", delete: "deleted the room", change: "changed settings", pause: "paused", resume: "resumed",
  open: "opened", close: "closed", drain: "drains", reset: "reset", admit: "admitted at once", end: "ended visits",
  revoke: "revoked visits", "vip-codes": "made VIP codes",
};

const plain = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : String(value ?? "–"));

export function differences(before, after) {
  if (before === null || after === null || typeof before !== "object" || typeof after !== "object") {
    return before !== null && typeof before !== "object" ? [plain(before)] : [];
  }
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name) => {
    const [one, other] = [before[name] ?? null, after[name] ?? null];
    if (JSON.stringify(one) === JSON.stringify(other)) return [];
    if (one !== null && other !== null && typeof one === "object" && typeof other === "object") {
      return differences(one, other).map((line) => `${name}.${line}`);
    }
    return [`${name}: ${plain(one)} → ${plain(other)}`];
  });
}

export async function showAudit(room) {
  let entries = [];
  try {
    ({ entries } = await call("GET", `rooms/${room}/audit?count=50`));
  } catch (error) {
    find("audit").replaceChildren(el("li", {}, error.message));
    return;
  }
  find("audit-none").hidden = entries.length > 0;
  find("audit").replaceChildren(...entries.map((entry) => {
    const details = differences(entry.before, entry.after);
    return el("li", {},
      el("p", {}, el("b", { dir: "auto" }, entry.who), " ", WORDS[entry.action] ?? entry.action),
      el("p", { class: "soft" }, el("time", { datetime: entry.at }, moment(entry.at)), details.length ? ` · ${details.join(" · ")}` : ""));
  }));
}
