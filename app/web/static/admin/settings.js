// The settings that pace a room, and the message: shown, changed, and never overwritten unseen.

import { call } from "./api.js";
import { confirm, doing } from "./dialog.js";
import { bad, find, toast } from "./dom.js";

const form = find("settings");
const NAMES = {
  ratePerMinute: "Rate a minute", maxActive: "Capacity", windowSize: "Batch", windowIntervalSeconds: "Seconds between batches",
  maxWaiting: "Most who may wait", sessionSeconds: "Seconds a session lasts", batches: "Batches pace the line",
};
const say = (value) => (value === null ? "no limit or default" : String(value));

export class Settings {
  constructor(room, changed) {
    this.room = room;
    this.changed = changed;
    this.version = null;
    this.settings = {};
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      doing(form.querySelector("button:not([type])"), () => this.send());
    });
    find("settings-reload").addEventListener("click", () => this.load().catch((error) => bad(error.message)));
    find("message").addEventListener("submit", (event) => {
      event.preventDefault();
      doing(find("message").querySelector("button"), () => this.sendMessage());
    });
  }

  // The feed says which version is in force: an untouched form follows it, one that is being filled in is left alone.
  async seen(version) {
    if (version === this.version || this.loading) return;
    if (this.version !== null && this.wanted().size > 0) {
      find("settings-old").hidden = false;
      return;
    }
    this.loading = true;
    try {
      await this.load();
    } catch {
      // the next second tries again
    } finally {
      this.loading = false;
    }
  }

  async load() {
    this.take(await call("GET", `rooms/${this.room}`));
  }

  take(state) {
    const message = find("message-text");
    const old = this.settings.look?.message ?? "";
    this.settings = state.settings;
    this.version = state.settingsVersion;
    for (const name of Object.keys(NAMES)) form.elements[name].value = String(state.settings[name] ?? "");
    if (message.value === old) message.value = state.settings.look?.message ?? "";
    find("settings-old").hidden = true;
  }

  value(name) {
    const { value } = form.elements[name];
    if (value === "") return null;
    return name === "batches" ? value === "true" : Number(value);
  }

  wanted() {
    const changes = new Map();
    for (const name of Object.keys(NAMES)) {
      const value = this.value(name);
      if (value !== (this.settings[name] ?? null)) changes.set(name, value);
    }
    return changes;
  }

  async send() {
    const changes = this.wanted();
    if (changes.size === 0) {
      toast("Nothing is changed.");
      return;
    }
    const lines = [...changes].map(([name, value]) => `${NAMES[name]}: ${say(this.settings[name] ?? null)} → ${say(value)}`);
    if (!(await confirm({ heading: `Change ${this.room}?`, lines, action: "Change" }))) return;
    await this.patch(Object.fromEntries(changes));
    toast("Changed. In force everywhere within a second.");
  }

  async sendMessage() {
    const text = find("message-text").value.trim();
    await this.patch({ "look.message": text || null });
    toast(text ? "The message is on the waiting page." : "The message is taken away.");
  }

  async patch(settings) {
    this.take(await call("PATCH", `rooms/${this.room}`, { settings, expectedVersion: this.version }));
    this.changed();
  }
}
