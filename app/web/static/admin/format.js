// Figures and conditions in words.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dated = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

export const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));
export const rate = (value) => (value === null || value === undefined ? "–" : (value < 10 ? short : whole).format(value));
export const time = (ms) => clock.format(ms);
export const moment = (iso) => dated.format(new Date(iso));

export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${short.format(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

// What somebody who joins now may expect.
export function wait(room) {
  const { waitSeconds: expected, waitLowSeconds: low, waitHighSeconds: high } = room;
  if (room.paused) return "stands still";
  if (expected === undefined || expected === null) return "not known";
  if (expected === 0 && low === 0 && high === 0) return "none";
  if (high === undefined || high === null) return `${duration(Math.max(low, expected))} or more`;
  const [from, to] = [duration(low), duration(high)];
  return from === to ? from : `${from} – ${to}`;
}

// How far the capacity is used, in words; null where there is none.
export function active(room) {
  if (room.maxActive === undefined || room.maxActive === null) return null;
  return `${number(room.onTurn + room.inside)} of ${number(room.maxActive)} active`;
}

// Tone is the colour; the icon and the words say the same without it.
export const CONDITIONS = {
  "open": { tone: "good", icon: "●", words: "Open" },
  "paused": { tone: "warn", icon: "❚❚", words: "Paused" },
  "closed": { tone: "warn", icon: "■", words: "Closed to new visitors" },
  "draining": { tone: "warn", icon: "▼", words: "Draining" },
  "opens-later": { tone: "info", icon: "◷", words: "Opens later" },
  "full": { tone: "bad", icon: "▲", words: "Full" },
  "rejecting": { tone: "bad", icon: "✕", words: "Turning everyone away" },
  "healing": { tone: "bad", icon: "✚", words: "Healing" },
  "stale": { tone: "bad", icon: "!", words: "Store away: old figures" },
  "starting": { tone: "info", icon: "…", words: "Not seen yet" },
};

export const condition = (slug) => CONDITIONS[slug] ?? { tone: "info", icon: "?", words: slug };
