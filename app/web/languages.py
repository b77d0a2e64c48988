"""The languages that pages speak: gettext catalogues, and Babel for numbers, durations and plural forms.

A catalogue is `locale/<tag>.po` and is compiled in memory when its language is first asked for, so that there is
no build step and nothing compiled to keep in step. English is the text of the sources.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from math import inf
from pathlib import Path

from babel import Locale
from babel.dates import format_skeleton
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.units import format_unit

from app.web.wishes import MOST_HEADER, wishes

CATALOGUES = Path(__file__).parent / "locale"

LANGUAGES: Mapping[str, str] = {
    "en": "English",
    "es": "Español",
    "fr": "Français",
    "de": "Deutsch",
    "it": "Italiano",
    "pt": "Português",
    "nl": "Nederlands",
    "pl": "Polski",
    "tr": "Türkçe",
    "ar": "العربية",
    "hi": "हिन्दी",
    "ja": "日本語",
    "ko": "한국어",
    "zh-Hans": "简体中文",
}
"""BCP 47 tags, and each language's own name."""

_PLURAL_SAMPLES = range(200)


class Language:
    """One language: its texts, and how it writes numbers and durations."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.locale = Locale.parse(tag, sep="-")
        self.direction = self.locale.text_direction
        self._catalogue = _catalogue(tag)

    def text(self, message: str) -> str:
        """The message in this language; the empty message stays empty."""
        return self._catalogue.gettext(message) if message else ""

    def plurals(self, singular: str, plural: str) -> dict[str, str]:
        """A counted message in every plural category of this language, with `{n}` left in place.

        Scripts choose among them by `Intl.PluralRules`, whose categories are the same.
        """
        forms: dict[str, str] = {}
        for n in _PLURAL_SAMPLES:
            forms.setdefault(self.locale.plural_form(n), self._catalogue.ngettext(singular, plural, n))
        forms.setdefault("other", forms[self.locale.plural_form(2)])
        return forms

    def counted(self, singular: str, plural: str, n: int) -> str:
        """A counted message with its number in place."""
        return self._catalogue.ngettext(singular, plural, n).replace("{n}", self.number(n))

    def number(self, n: float) -> str:
        """A number with this language's separators."""
        return str(format_decimal(n, locale=self.locale, numbering_system="latn"))

    def duration(self, seconds: float) -> str:
        """A duration in its largest sensible unit, like "4 minutes"."""
        amount, unit = in_unit(seconds)
        return self._in_words(amount, unit)

    def time_left(self, seconds: float) -> str:
        """What is left of a limit: never more than there is, so rounded down, and in seconds near the end."""
        if seconds < 2 * 60:
            return self._in_words(int(seconds), "duration-second")
        size_s, unit = next((size_s, unit) for size_s, unit, to_s in _LEFT if seconds < to_s)
        return self._in_words(int(seconds // size_s), unit)

    def moment(self, when: datetime) -> str:
        """A day and a time of day, with the name of their time zone."""
        return f"{format_skeleton('yMMMd', when, locale=self.locale)}, {when:%H:%M} {when.tzname()}"

    def duration_range(self, low_s: float, high_s: float) -> str:
        """A range in the unit of its upper end, like "4–6 minutes"."""
        high, unit = in_unit(high_s)
        low = in_unit(low_s, unit)[0]
        upper = self.duration(high_s)
        if low == high:
            return upper
        number = self.number(high)
        if upper.count(number) == 1:
            return upper.replace(number, f"{self.number(low)}–{number}")
        return f"{self._in_words(low, unit)} – {upper}"

    def _in_words(self, amount: float, unit: str) -> str:
        words = str(format_unit(amount, unit, "long", locale=self.locale, numbering_system="latn"))
        if unit in words:  # no long form in this language, as in Japanese, where the short one is the word itself
            words = str(format_unit(amount, unit, "short", locale=self.locale, numbering_system="latn"))
        return words


_LEFT = ((60, "duration-minute", 2 * 3600.0), (3600, "duration-hour", 2 * 86_400.0), (86_400, "duration-day", inf))
"""What is left is told in each unit, of so many seconds, up to so many seconds."""
_UNITS = (("duration-hour", 3600.0, 5400.0), ("duration-minute", 60.0, 60.0), ("duration-second", 1.0, 0.0))
"""Each unit, its seconds, and from how many seconds on it is used."""


def in_unit(seconds: float, unit: str | None = None) -> tuple[float, str]:
    """A duration as a number of its largest sensible (or the given) unit; hours in halves."""
    for name, size_s, from_s in _UNITS:
        if name == unit or (unit is None and seconds >= from_s):
            amount = seconds / size_s
            return (round(amount * 2) / 2 if name == "duration-hour" else round(amount)), name
    raise ValueError(unit)


@cache
def language(tag: str) -> Language:
    """The language of a tag that is in `LANGUAGES`."""
    return Language(tag)


@cache
def _catalogue(tag: str) -> NullTranslations:
    path = CATALOGUES / f"{tag}.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=tag.replace("-", "_")))
    compiled.seek(0)
    return GNUTranslations(compiled)


def choose(chosen: str | None, accept_language: str) -> str:
    """The tag to speak: the visitor's choice when there is such a language, else the browser's best wish."""
    if chosen in LANGUAGES:
        return str(chosen)
    return _accepted(accept_language[:MOST_HEADER])


@cache
def _by_primary() -> dict[str, str]:
    return {tag.split("-")[0]: tag for tag in LANGUAGES}


def _accepted(header: str) -> str:
    for tag, weight in sorted(wishes(header), key=lambda wish: -wish[1]):
        known = _by_primary().get(tag.split("-")[0])
        if known is not None and weight > 0:
            return known
    return "en"
