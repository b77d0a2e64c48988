// The figures as they are pushed, once a second; when no stream can be held open, asked for instead.

import { call, data, signedOut } from "./api.js";
import { find, put, set } from "./dom.js";

const SILENT_MS = 5000;
const ASK_EVERY_MS = 3000;
const TRY_STREAM_EVERY_MS = 20000;

export class Feed {
  constructor(show) {
    this.show = show;
    this.rooms = new Map();
    this.head = {};
    this.heardAt = performance.now();
    this.asking = false;
    this.take({ ...data.overview, everything: true });
    this.listen();
    setInterval(() => this.check(), 1000);
    // Nobody looks at a hidden tab, and browsers open only so many connections to one host.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") this.source.close();
      else this.listen();
    });
  }

  listen() {
    this.source?.close();
    this.triedAt = performance.now();
    this.source = new EventSource(`${data.root}admin/events`);
    this.source.addEventListener("message", (event) => {
      this.heard(JSON.parse(event.data));
    });
    this.source.addEventListener("signed-out", signedOut);
  }

  heard(news) {
    this.heardAt = performance.now();
    this.take(news);
  }

  take({ rooms, gone, everything, ...head }) {
    if (everything) this.rooms.clear();
    for (const room of rooms) this.rooms.set(room.room, room);
    for (const name of gone ?? []) this.rooms.delete(name);
    this.changed = rooms;
    this.head = head;
    this.show(this);
    this.tell();
  }

  // Once a second: is the stream still speaking?
  check() {
    if (document.visibilityState === "hidden") return;
    const now = performance.now();
    if (now - this.heardAt > SILENT_MS) {
      this.ask();
      if (now - this.triedAt > TRY_STREAM_EVERY_MS) this.listen();
    }
    this.tell();
  }

  async ask() {
    if (this.asking || performance.now() - (this.askedAt ?? 0) < ASK_EVERY_MS) return;
    this.asking = true;
    this.askedAt = performance.now();
    try {
      this.take({ ...(await call("GET", "overview")), everything: true });
      this.answeredAt = performance.now();
    } catch {
      // said by tell()
    } finally {
      this.asking = false;
    }
  }

  tell() {
    const now = performance.now();
    const silentMs = now - Math.max(this.heardAt, this.answeredAt ?? 0);
    let [tone, words] = ["good", "Live"];
    if (silentMs > SILENT_MS) [tone, words] = ["bad", "No news: the service cannot be reached. These figures are old."];
    else if (this.head.storeUp === false) [tone, words] = ["bad", "The store is away. Figures stand still and nothing can be changed."];
    else if (now - this.heardAt > SILENT_MS) [tone, words] = ["warn", "Asking every few seconds"];
    else if (this.head.replicas > 1) words = `Live, ${this.head.replicas} replicas`;
    const node = find("link");
    set(node, "data-tone", tone);
    put(node, words);
  }
}
