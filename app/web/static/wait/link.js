// The page's one connection to the service: a stream of the room's state, and polls for the visitor's own.
//
// Among the tabs of a browser one leads: it holds a web lock, listens and asks, and tells the others what it hears.
// The tab that is looked at takes the lead. Where a browser has no locks, each tab speaks for itself.

const ASK_TIMEOUT_MS = 10_000;
const STREAMING_STRETCH = 3;
const STREAMING_MIN_S = 20;
const LONGEST_S = 60;
const WITHOUT_PLACE_S = 10;
const HIDDEN_STREAM_MS = 30_000;
const REOPEN_S = 30;

export class Link {
  // `on` has place(answer or null), serving(room), online(true or false), patient(): whether the stream will tell
  // when there is something to ask about, gathering(): whether the room is still to open, awaited(): whether somebody
  // wants to be told though the tab is hidden, and live(): this tab has begun to listen and ask.
  constructor(urls, on) {
    this.urls = urls;
    this.on = on;
    this.leading = false;
    this.streaming = false;
    this.failures = 0;
    this.name = `stanchion ${new URL(urls.status, location.href).pathname}`;
    this.channel = "BroadcastChannel" in window ? new BroadcastChannel(this.name) : null;
  }

  start(againS, place) {
    this.againS = againS;
    this.channel?.addEventListener("message", ({ data }) => this.#take(data));
    this.channel?.postMessage({ place });
    document.addEventListener("visibilitychange", () => this.#seen());
    window.addEventListener("online", () => this.#back());
    window.addEventListener("offline", () => this.#tell({ online: false }));
    window.addEventListener("pageshow", (event) => event.persisted && this.#back());
    if (navigator.locks) this.#compete(!document.hidden);
    else this.#lead();
  }

  // Ask for the visitor's own state now, after a pause of up to `spreadS`, so that a batch does not ask as one.
  ask(spreadS = 0) {
    if (this.asking) this.askAgain = true;  // the answer under way may be older than what there is to ask about
    else if (this.leading) this.#schedule(Math.random() * spreadS);
  }

  #compete(steal) {
    this.waiting?.abort();
    const waiting = (this.waiting = new AbortController());
    const held = () => {
      this.#lead();
      return new Promise(() => {});
    };
    navigator.locks.request(this.name, steal ? { steal } : { signal: waiting.signal }, held).catch(() => {
      if (this.waiting !== waiting) return;
      this.#follow();
      this.#compete(false);
    });
  }

  #lead() {
    if (this.leading) return;
    this.leading = true;
    this.#open();
    this.#schedule(this.againS);
    this.on.live();
  }

  #follow() {
    this.leading = false;
    this.#close();
    clearTimeout(this.timer);
  }

  #seen() {
    clearTimeout(this.hiding);
    if (document.hidden) {
      this.hiding = setTimeout(() => this.on.awaited() || this.#close(), HIDDEN_STREAM_MS);
    } else if (!this.leading) {
      this.#compete(true);
    } else {
      this.#back();
    }
  }

  #back() {
    if (!this.leading) return;
    this.#open();
    this.#schedule(0);
  }

  #open() {
    if (this.stream || !("EventSource" in window)) return;
    clearTimeout(this.reopening);
    const stream = (this.stream = new EventSource(this.urls.events));
    stream.onopen = () => {
      this.streaming = true;
    };
    stream.onmessage = ({ data }) => this.#tell({ serving: JSON.parse(data) });
    stream.onerror = () => {
      this.streaming = false;
      this.#schedule(Math.min(this.againS, 5) * (0.5 + Math.random()));
      if (stream.readyState !== EventSource.CLOSED) return;
      this.#close();  // refused: the polls go on alone, and the stream is tried again later
      this.reopening = setTimeout(() => this.leading && this.#open(), REOPEN_S * (0.5 + Math.random()) * 1000);
    };
  }

  #close() {
    this.stream?.close();
    this.stream = null;
    this.streaming = false;
    clearTimeout(this.reopening);
  }

  #schedule(seconds) {
    clearTimeout(this.timer);
    if (this.leading) this.timer = setTimeout(() => this.#poll(), seconds * 1000);
  }

  async #poll() {
    if (this.asking) {
      this.askAgain = true;
      return;
    }
    this.asking = true;
    this.askAgain = false;
    let nextS;
    try {
      nextS = await this.#fetch();
      this.failures = 0;
      this.#tell({ online: true });
    } catch {
      this.failures += 1;
      nextS = Math.min(LONGEST_S, 2 ** this.failures) * (0.5 + Math.random());
      this.#tell({ online: false });
    }
    this.asking = false;
    this.#schedule(nextS);
  }

  // Returns the seconds until the next poll.
  async #fetch() {
    const answer = await get(this.urls.status);
    const retryS = Number(answer.headers.get("retry-after")) || 0;
    if (answer.ok) {
      const place = await answer.json();
      const { askAgain } = this;  // what is asked for because of this answer waits as long as it says
      this.#tell({ place });
      this.againS = place.pollAfterSeconds ?? retryS;
      if (this.on.gathering()) await this.#lookAtRoom();
      if (askAgain) return 0;
      const patient = this.streaming && this.on.patient();
      return patient ? Math.min(LONGEST_S, Math.max(STREAMING_MIN_S, this.againS * STREAMING_STRETCH)) : this.againS;
    }
    if (answer.status !== 401) return Math.max(retryS, 2) * (1 + Math.random() / 2);
    this.#tell({ place: null });
    this.againS = WITHOUT_PLACE_S;
    await this.#lookAtRoom();
    return WITHOUT_PLACE_S;
  }

  // What the stream would tell, when there is none.
  async #lookAtRoom() {
    if (this.streaming) return;
    const room = await get(this.urls.serving);
    if (room.ok) this.#tell({ serving: await room.json() });
  }

  #tell(news) {
    this.channel?.postMessage(news);
    this.#take(news);
  }

  #take({ place, serving, online }) {
    if (place !== undefined) this.on.place(place);
    if (serving) this.on.serving(serving);
    if (online !== undefined) this.on.online(online);
  }
}

function get(url) {
  return fetch(url, {
    cache: "no-store",
    headers: { accept: "application/json" },
    signal: AbortSignal.timeout?.(ASK_TIMEOUT_MS),
  });
}
