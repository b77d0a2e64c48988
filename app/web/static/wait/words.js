// Numbers, durations and counted sentences in the page's language, as app/web/languages.py writes them.

const UNITS = [["hour", 3600, 5400], ["minute", 60, 60], ["second", 1, 0]];
const LEFT = [["minute", 60, 7200], ["hour", 3600, 172800], ["day", 86400, Infinity]];
const DAY_S = 86400;
const MOMENT = { weekday: "long", day: "numeric", month: "long", hour: "numeric", minute: "2-digit", timeZoneName: "short" };

export class Words {
  constructor(language, texts) {
    this.tag = `${language}-u-nu-latn`;
    const own = navigator.languages.find((tag) => tag.split("-")[0] === language.split("-")[0]) ?? language;
    this.place = new Intl.Locale(own, { numberingSystem: "latn" });
    this.texts = texts;
    this.numbers = new Intl.NumberFormat(this.tag, { useGrouping: "always" });
    this.plurals = new Intl.PluralRules(language);
  }

  number(n) { return this.numbers.format(n); }

  counted(name, n) {
    const forms = this.texts.counted[name];
    return (forms[this.plurals.select(n)] ?? forms.other).replace("{n}", this.number(n));
  }

  // What is left of a limit: rounded down, and in seconds near the end.
  left(seconds) {
    if (seconds < 120) return this.#unit("second").format(Math.floor(seconds));
    const [unit, size] = LEFT.find(([, , to]) => seconds < to);
    return this.#unit(unit).format(Math.floor(seconds / size));
  }

  // A day and a time where the visitor is, as their own country writes them.
  moment(unixMs) { return new Intl.DateTimeFormat(this.place, MOMENT).format(new Date(unixMs)); }

  range(lowS, highS) {
    if (highS === null) {
      if (lowS < 60) return this.texts.words.unknown;
      const [amount, unit] = inUnit(lowS);
      return this.texts.words.at_least.replace("{time}", this.#unit(unit).format(amount));
    }
    if (highS < 60) return this.texts.words.soon;
    if (highS >= DAY_S) return this.texts.words.open_end;
    const [high, unit] = inUnit(highS);
    const [low] = inUnit(lowS, unit);
    const format = this.#unit(unit);
    if (low === high) return format.format(high);
    const upper = format.format(high);
    const number = this.number(high);
    if (upper.split(number).length === 2) return upper.replace(number, `${this.number(low)}–${number}`);
    return `${format.format(low)} – ${upper}`;
  }

  #unit(unit) { return new Intl.NumberFormat(this.tag, { style: "unit", unit, unitDisplay: "long" }); }
}

function inUnit(seconds, unit) {
  const [name, size] = UNITS.find(([name, , from]) => (unit ? name === unit : seconds >= from));
  const amount = Math.max(0, seconds) / size;
  return [name === "hour" ? Math.round(amount * 2) / 2 : Math.round(amount), name];
}
