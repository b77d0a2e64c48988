// Charts of one room's history, each with the same figures as a table.

import { el, put } from "./dom.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const HEIGHT = 190;
const DASHES = [[], [7, 4], [2, 3]];

export class Chart {
  // `lines`: { key, label, colour (a custom property) } each; `say` writes a value.
  constructor(heading, lines, say) {
    this.lines = lines;
    this.say = say;
    this.values = lines.map(() => el("b"));
    const legend = el("ul", { class: "legend" }, ...lines.map((line, i) =>
      el("li", {}, el("span", { class: `swatch swatch-${i}`, "data-colour": line.colour, "aria-hidden": "true" }), line.label, " ", this.values[i])));
    this.plot = el("div", { class: "plot", role: "img", "aria-label": heading });
    this.table = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${heading}, minute by minute` });
    this.details = el("details", { ontoggle: () => this.showTable() }, el("summary", {}, "As a table"), this.table);
    this.heading = heading;
    this.node = el("figure", { class: "card chart" }, el("figcaption", {}, el("h3", {}, heading)), legend, this.plot, this.details);
    new ResizeObserver(() => this.resize()).observe(this.plot);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
  }

  show(history, minutes) {
    this.history = history;
    this.minutes = minutes;
    const data = [history.at.map((ms) => ms / 1000), ...this.lines.map((line) => history[line.key])];
    if (!this.chart) {
      this.make(data);
    } else {
      this.chart.setData(data, false);
    }
    this.scale();
    this.tell(history.at.length - 1);
    if (this.details.open) this.showTable();
  }

  make(data) {
    const [ink, grid] = [css("--soft"), css("--line")];
    const axis = { stroke: ink, font: "12px system-ui, sans-serif", grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    this.chart = new window.uPlot({
      width: this.plot.clientWidth || 300,
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, sync: { key: "room" }, y: false },
      hooks: { setCursor: [(chart) => this.tell(chart.cursor.idx ?? this.history.at.length - 1)] },
      scales: { y: { range: (_, low, high) => [0, Math.max(1, (high ?? 0) * 1.15)] } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((s) => clock.format(s * 1000)), space: 60, size: 34 },
        { ...axis, values: (_, ticks) => ticks.map(this.say), size: 56 },
      ],
      series: [
        {},
        ...this.lines.map((line, i) => ({ stroke: css(line.colour), width: 2, dash: DASHES[i], points: { show: (chart) => chart.data[0].length < 3 } })),
      ],
    }, data, this.plot);
  }

  scale() {
    const to = this.history.at.at(-1) / 1000;
    this.chart.setScale("x", { min: to - this.minutes * 60, max: to });
  }

  resize() {
    if (this.chart && this.plot.clientWidth) this.chart.setSize({ width: this.plot.clientWidth, height: HEIGHT });
  }

  rebuild() {
    if (!this.chart) return;
    this.chart.destroy();
    this.chart = null;
    this.show(this.history, this.minutes);
  }

  // The legend's values: those under the pointer, else the newest.
  tell(place) {
    const say = (line) => this.say(this.history[line.key][place]);
    this.lines.forEach((line, i) => put(this.values[i], say(line)));
    if (place === this.history.at.length - 1) {
      this.plot.setAttribute("aria-label", `${this.heading}: now ${this.lines.map((line) => `${line.label} ${say(line)}`).join(", ")}. The table below has more.`);
    }
  }

  // One row a minute, the newest first.
  showTable() {
    if (!this.details.open || !this.history) return;
    const { at } = this.history;
    const places = at.map((_, i) => i).filter((i) => i === at.length - 1 || Math.floor(at[i] / 60000) !== Math.floor(at[i + 1] / 60000));
    const head = el("tr", {}, el("th", { scope: "col" }, "Time"), ...this.lines.map((line) => el("th", { scope: "col" }, line.label)));
    const rows = places.reverse().slice(0, 61).map((i) =>
      el("tr", {}, el("th", { scope: "row" }, exact.format(at[i])), ...this.lines.map((line) => el("td", {}, this.say(this.history[line.key][i])))));
    this.table.replaceChildren(el("table", {}, el("caption", { class: "unseen" }, this.heading), el("thead", {}, head), el("tbody", {}, ...rows)));
  }
}
