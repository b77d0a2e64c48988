// Who is inside a room: the sessions that end last, each to be ended, also for good.

import { call } from "./api.js";
import { confirm, onPress, pressed } from "./dialog.js";
import { arrange, el, find, put, toast } from "./dom.js";
import { every } from "./every.js";
import { moment, number } from "./format.js";

const EVERY_MS = 5000;
const PAGE = 20;
const MOST = 500;

export class Sessions {
  constructor(room, changed) {
    this.room = room;
    this.changed = changed;
    this.count = PAGE;
    this.rows = new Map();
    this.refresh = every(EVERY_MS, () => this.load());
    find("inside").addEventListener("toggle", () => this.refresh());
    onPress(find("sessions-more"), () => {
      this.count = Math.min(MOST, this.count + PAGE);
      return this.refresh();
    });
  }

  // Nothing is asked for while nobody has opened the list.
  async load() {
    if (!find("inside").open) return;
    const { epoch, sessions, page } = await call("GET", `rooms/${this.room}/sessions?latest=true&count=${this.count}`);
    const before = this.rows;
    this.rows = new Map(page.map((session) => [session.sessionId, before.get(session.sessionId) ?? this.row(session, epoch)]));
    for (const session of page) put(this.rows.get(session.sessionId).until, moment(session.endsAt));
    arrange(find("sessions"), [...this.rows.values()].map((row) => row.node));
    const more = sessions > page.length ? ` The ${number(page.length)} that end last are shown.` : "";
    put(find("sessions-count"), sessions === 0 ? "Nobody is inside." : `${number(sessions)} inside.${more}`);
    find("sessions-more").hidden = sessions <= page.length || this.count >= MOST;
  }

  row({ sessionId: id, position, startedAt }, epoch) {
    const until = el("span");
    const act = (words, revoke, line) => pressed(words, "danger", id, async () => {
      const lines = ["The pass counts no more, and the slot is the next visitor's at once.", line];
      if (!(await confirm({ heading: `${revoke ? "Revoke" : "End"} the visit ${id}?`, lines, action: revoke ? "Revoke" : "End", danger: true }))) return;
      const { ended } = await call("POST", `rooms/${this.room}/sessions/end`, { positions: [position], expectedEpoch: epoch, revoke });
      toast(ended ? `The visit ${id} has ended.` : `The visit ${id} was over already.`, ended ? "good" : "warn");
      await Promise.all([this.refresh(), this.changed()]);
    });
    const end = act("End…", false, "The visitor may queue again.");
    const bar = act("Revoke…", true, "Whoever holds its ticket takes no new place for as long as a ticket lives.");
    const node = el("li", {},
      el("p", {}, el("b", {}, id), el("span", { class: "soft" }, ` since ${moment(startedAt)}, until `, until)),
      el("p", { class: "actions" }, end, bar));
    return { node, until };
  }
}
