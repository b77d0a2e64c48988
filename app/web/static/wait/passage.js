// Joining the line and going in: what changes something, and what the page says when it does not work.

export class Passage {
  // `complain` shows a text about what went wrong; an empty one takes it away.
  constructor({ urls, page, target, texts }, complain) {
    this.urls = urls;
    this.page = page;
    this.target = target;
    this.texts = texts;
    this.complain = complain;
    this.key = newKey();
  }

  // Returns the place, or null when there is none.
  async join() {
    const answer = await this.#post(this.urls.join, {});
    return answer?.ok ? answer.json() : null;
  }

  // Load the page anew, on the way to `target` or to wherever it was on its way to.
  home(target = null) {
    const page = new URL(this.page, location.href);
    page.search = target ? `?${new URLSearchParams({ target })}` : location.search;
    location.replace(page);
  }

  // Offer the place to another device. Returns the offer, or null.
  async carry() {
    const target = this.target ? `?${new URLSearchParams({ target: this.target })}` : "";
    const answer = await this.#post(this.urls.carry + target, {});
    return answer?.ok ? answer.json() : null;
  }

  // What has become of an offer: "open", "taken" or "over"; null when that cannot be told now.
  async offered(id) {
    try {
      const answer = await fetch(`${this.urls.carry}/${id}`, { headers: { accept: "application/json" } });
      return answer.ok ? (await answer.json()).state : null;
    } catch {
      return null;
    }
  }

  // Take over the place that a code stands for. Returns it and where its visitor wanted to go, or null.
  async takeOver(code) {
    const answer = await this.#post(this.urls.takeover, { "content-type": "application/json" }, JSON.stringify({ code }));
    return answer?.ok ? answer.json() : null;
  }

  // Take up the turn, which gives the browser its pass, and go to the site. Returns null when that works (or there is
  // nowhere to go), else the seconds after which another try makes sense; 0: none does.
  async enter() {
    if (!this.target) return null;
    const answer = await this.#post(`${this.urls.enter}?${new URLSearchParams({ target: this.target })}`, {});
    if (answer?.ok) {
      const { target } = await answer.json();
      location.assign(target);
      return null;
    }
    return !answer || answer.status >= 500 ? Number(answer?.headers.get("retry-after")) || 2 : 0;
  }

  // Returns the answer, or null when none came.
  async #post(url, headers, body) {
    this.complain("");
    const { problems, words } = this.texts;
    try {
      const own = { accept: "application/json", "idempotency-key": this.key };
      const answer = await fetch(url, { method: "POST", headers: { ...own, ...headers }, body });
      if (!answer.ok) {
        const problem = await answer.json().catch(() => ({}));
        this.complain(problems[(problem.type ?? "").split(":").pop()] ?? problems.other);
      } else {
        this.key = newKey();  // what is asked for next is something new, such as a place after this one's turn
      }
      return answer;
    } catch {
      this.complain(words.offline);
      return null;
    }
  }
}

// The same for every press until one is answered: pressing again after a lost answer gives no second place, and the same.
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("-");
}
