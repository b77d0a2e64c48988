// Joining the line and going in: what changes something, and what the page says when it does not work.

export class Passage {
  // `complain` shows a text about what went wrong; an empty one takes it away.
  constructor({ urls, target, texts }, complain) {
    this.urls = urls;
    this.target = target;
    this.texts = texts;
    this.complain = complain;
    // The same for every press on this page: pressing again after a lost answer gives no second place.
    this.key = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("-");
  }

  // Returns the place, or null when there is none.
  async join() {
    const answer = await this.#post(this.urls.join, { "idempotency-key": this.key });
    return answer?.ok ? answer.json() : null;
  }

  // Take up the turn, which gives the browser its pass, and go to the site. Returns null when that works (or there is
  // nowhere to go), else the seconds after which another try makes sense; 0: none does.
  async enter() {
    if (!this.target) return null;
    const answer = await this.#post(this.urls.enter, {});
    if (answer?.ok) {
      location.assign(this.target);
      return null;
    }
    return !answer || answer.status >= 500 ? Number(answer?.headers.get("retry-after")) || 2 : 0;
  }

  // Returns the answer, or null when none came.
  async #post(url, headers) {
    this.complain("");
    const { problems, words } = this.texts;
    try {
      const answer = await fetch(url, { method: "POST", headers: { accept: "application/json", ...headers } });
      if (!answer.ok) {
        const problem = await answer.json().catch(() => ({}));
        this.complain(problems[(problem.type ?? "").split(":").pop()] ?? problems.other);
      }
      return answer;
    } catch {
      this.complain(words.offline);
      return null;
    }
  }
}
