// What is known of a visitor's place, and what follows from it at a given moment. No page and no network in here.
// Moments and durations are in seconds.

export class Place {
  constructor({ place, serving, first, usualRefusal }, nowS) {
    this.first = first;
    this.usualRefusal = usualRefusal;
    this.serving = serving;
    this.servedS = nowS;
    this.best = 0;
    this.answer = null;
    if (place) this.answered(place, nowS);
  }

  // What /status said; null when there is no ticket that holds.
  answered(place, nowS) {
    const known = this.answer;
    if (!place || !known || known.epoch !== place.epoch || known.position !== place.position) {
      this.best = 0;
      if (known && place) this.first = place.ahead;
    }
    this.answer = place;
    this.atS = nowS;
    this.ahead = place ? place.ahead : 0;
  }

  // What the room told everybody. Returns whether this visitor should ask for their own status now.
  heard(serving, nowS) {
    const before = this.serving?.serving ?? 0;
    this.serving = serving;
    this.servedS = nowS;
    const mine = this.answer;
    if (!mine) return false;
    if (serving.epoch !== mine.epoch) return mine.status !== "reset";
    if (mine.status === "waiting" || mine.status === "paused") {
      // The room's figure counts places that nobody holds any more, so it can only ever shorten what we know.
      this.ahead = Math.min(this.ahead, Math.max(0, mine.position - 1 - serving.serving));
      const passed = before < mine.position && serving.serving >= mine.position;
      return passed || serving.paused !== (mine.status === "paused");
    }
    return false;
  }

  // Whether the room's news alone will tell when to ask next: in line, the edge still before this place, and nobody
  // is passed over for asking late.
  get patient() {
    const mine = this.answer;
    const inLine = mine?.status === "waiting" || mine?.status === "paused";
    return Boolean(inLine && this.serving && this.serving.serving < mine.position && !this.serving.passesOver);
  }

  // Seconds until the room opens by itself, by the store's clock; 0 when it is open.
  untilS(nowS) {
    const room = this.serving;
    return room?.opensAt ? Math.max(0, (room.opensAt - room.updatedAt) / 1000 - (nowS - this.servedS)) : 0;
  }

  // The state of a visitor without a place.
  #outside(early) {
    const room = this.serving;
    if (!room) return "away";
    if (room.closed) return "closed";
    if (room.refusal != null) return "refused";
    return room.full ? "full" : early ? "gather" : "none";
  }

  // What to show now.
  view(nowS, states) {
    const mine = this.answer;
    const stale = Boolean((mine || this.serving || {}).stale);
    const untilS = this.untilS(nowS);
    const room = { stale, untilS, opensAt: this.serving?.opensAt };
    if (!mine) {
      const refusal = this.serving?.refusal;
      return { ...room, key: this.#outside(untilS > 0), refusal: refusal === this.usualRefusal ? null : refusal };
    }
    const early = mine.status === "waiting" && untilS > 0;
    const passedS = mine.stale ? 0 : Math.max(0, nowS - this.atS);
    const left = (seconds) => Math.max(0, (seconds ?? 0) - passedS);
    const gone = 1 - (this.ahead + 1) / (Math.max(this.first, this.ahead) + 1);
    this.best = Math.max(this.best, gone);
    return {
      ...room,
      key: early ? "early" : Object.hasOwn(states, mine.status) ? mine.status : "other",
      message: mine.message,
      position: mine.position,
      ahead: this.ahead,
      lowS: left(mine.estimatedWaitLowSeconds),
      highS: mine.estimatedWaitHighSeconds == null ? null : left(mine.estimatedWaitHighSeconds),
      leftS: left(mine.activeForSeconds),
      progress: this.best,
    };
  }
}
