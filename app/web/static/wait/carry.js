// Taking the place to another device and from it; loaded when somebody wants to.

const LOOK_EVERY_S = 4;

export class Carry {
  constructor(data, words, passage, find) {
    this.data = data;
    this.words = words;
    this.passage = passage;
    this.find = find;
    this.text = data.texts.words;
    find("offer-copy").addEventListener("click", () => this.#copy());
    find("offer-copy").hidden = !navigator.clipboard;
  }

  // One of the two forms was pressed.
  async submitted(form) {
    const button = form.querySelector("button");
    button.disabled = true;
    await (form.parentElement.id === "carry" ? this.#offer(form) : this.#take());
    button.disabled = false;
  }

  async #offer(form) {
    const offer = await this.passage.carry();
    if (!offer) return;
    form.hidden = true;
    this.find("offer-link").href = this.find("offer-link").textContent = offer.link;
    this.find("offer-picture").setAttribute("viewBox", `0 0 ${offer.qr.size} ${offer.qr.size}`);
    this.find("offer-picture").firstElementChild.setAttribute("d", offer.qr.path);
    this.find("offer-code").textContent = offer.code;
    this.find("offer-once").textContent = this.text.carry_once.replace("{time}", this.words.left(offer.expiresInSeconds));
    this.find("offer-copy").textContent = this.text.carry_copy;
    this.find("offer-news").textContent = "";
    this.find("offer").hidden = false;
    this.find("offer-link").focus();
    this.endMs = performance.now() + offer.expiresInSeconds * 1000;
    this.#watch(offer.offerId);
  }

  // Tell when the other device has come, or the time is over.
  #watch(id) {
    const look = async () => {
      if (performance.now() > this.endMs) return this.#done(this.text.carry_over);
      const state = document.hidden || !this.find("carry").open ? "open" : await this.passage.offered(id);
      if (state === "taken") return this.#done(this.text.carry_taken);
      if (state === "over") return this.#done(this.text.carry_over);
      setTimeout(look, LOOK_EVERY_S * 1000);
    };
    setTimeout(look, LOOK_EVERY_S * 1000);
  }

  #done(news) {
    this.find("offer").hidden = true;
    this.find("offer-news").textContent = news;
    this.find("carry").querySelector("form").hidden = false;
  }

  async #copy() {
    await navigator.clipboard.writeText(this.find("offer-link").href);
    this.find("offer-copy").textContent = this.text.carry_copied;
  }

  async #take() {
    const taken = await this.passage.takeOver(this.find("code").value.trim());
    if (taken) this.passage.home(taken.target);
    else this.find("code").focus();
  }
}
