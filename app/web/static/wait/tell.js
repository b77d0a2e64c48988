// Telling the turn beyond the page: the tab's title, and with consent a notification and a sound.

const KEY = "stanchion-tell";

export class Tell {
  constructor({ notify, sound, blocked }, { icon, language }) {
    this.buttons = { notify, sound };
    this.blocked = blocked;
    this.options = { icon, lang: language };
    this.wish = { notify: false, sound: false, ...stored() };
    notify.hidden = !("Notification" in window);
    sound.hidden = !("AudioContext" in window);
    if (!notify.hidden && Notification.permission !== "granted") this.wish.notify = false;
    notify.addEventListener("click", () => this.#askToNotify());
    sound.addEventListener("click", () => this.#set("sound", !this.wish.sound));
    this.#show();
  }

  // Whether the visitor asked to be told.
  get wanted() { return this.wish.notify || this.wish.sound; }

  // It is the visitor's turn.
  turn(title, body, tag) {
    if (this.wish.notify) {
      try {
        const note = new Notification(title, { body, tag, ...this.options });
        note.onclick = () => {
          window.focus();
          note.close();
        };
      } catch {
        // Some phones allow notifications to installed applications only; the title and the sound remain.
      }
    }
    if (this.wish.sound) this.#ring();
    navigator.vibrate?.([200, 100, 200]);
  }

  async #askToNotify() {
    if (this.wish.notify) return this.#set("notify", false);
    const permission = await Notification.requestPermission();
    this.blocked.hidden = permission !== "denied";
    return this.#set("notify", permission === "granted");
  }

  #set(name, value) {
    this.wish[name] = value;
    try {
      localStorage.setItem(KEY, JSON.stringify(this.wish));
    } catch {
      // Without storage the wish lasts as long as the page.
    }
    if (name === "sound" && value) this.#ring(0.05);
    this.#show();
  }

  #show() {
    for (const [name, button] of Object.entries(this.buttons)) button.setAttribute("aria-pressed", String(this.wish[name]));
  }

  // Two soft notes; browsers allow them once the visitor has pressed something on the page.
  #ring(volume = 0.2) {
    this.audio ??= new AudioContext();
    this.audio.resume();
    [[660, 0], [880, 0.25]].forEach(([frequency, atS]) => {
      const from = this.audio.currentTime + atS;
      const tone = this.audio.createOscillator();
      const gain = this.audio.createGain();
      tone.frequency.value = frequency;
      gain.gain.setValueAtTime(volume, from);
      gain.gain.exponentialRampToValueAtTime(0.001, from + 0.6);
      tone.connect(gain).connect(this.audio.destination);
      tone.start(from);
      tone.stop(from + 0.6);
    });
  }
}

function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}
