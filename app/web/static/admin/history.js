// A room's last hour: asked for once, then only what is new.

import { call } from "./api.js";

const AGAIN_MS = 20000;
const KEEP_MS = 3600000;

export class History {
  constructor(room) {
    this.room = room;
    this.columns = null;
  }

  // The newest moments may still change while they are fresh, so they are asked for again.
  async refresh() {
    const newest = this.columns?.at.at(-1) ?? 0;
    const since = Math.max(0, newest - AGAIN_MS);
    const { room, everySeconds, ...news } = await call("GET", `rooms/${this.room}/history?since=${since}`);
    if (this.columns === null) {
      this.columns = news;
      return;
    }
    if (news.at.length === 0) return;
    const { at } = this.columns;
    const first = at.findIndex((ms) => ms > since);
    const old = at.findIndex((ms) => ms > news.at.at(-1) - KEEP_MS);
    for (const [name, list] of Object.entries(this.columns)) {
      this.columns[name] = [...list.slice(Math.max(0, old), first < 0 ? list.length : first), ...news[name]];
    }
  }
}
