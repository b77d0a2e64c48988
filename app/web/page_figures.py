"""The figures on the waiting page, written in the visitor's language: what `static/wait/words.js` writes too."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from app.web.languages import Language
from app.web.page_state import opens_in_s

SOON_S = 60
DAY_S = 86_400


def figures(
    facts: Iterable[str],
    place: Mapping[str, Any],
    serving: Mapping[str, Any],
    speech: Language,
    words: Mapping[str, str],
) -> dict[str, str]:
    """Each of `facts` (see `page_texts.FACTS`) in words."""
    return {fact: _figure(fact, place, serving, speech, words) for fact in facts}


def _figure(
    fact: str, place: Mapping[str, Any], serving: Mapping[str, Any], speech: Language, words: Mapping[str, str]
) -> str:
    if fact == "wait":
        return wait_in_words(place["estimatedWaitLowSeconds"], place["estimatedWaitHighSeconds"], speech, words)
    if fact == "left":
        return speech.time_left(place.get("activeForSeconds", 0))
    if fact == "until":
        return speech.time_left(opens_in_s(serving))
    if fact == "opens":  # where the visitor is, only the browser knows
        return speech.moment(datetime.fromtimestamp(serving["opensAt"] / 1000, UTC))
    return speech.number(place[fact])


def wait_in_words(low_s: float, high_s: float | None, speech: Language, words: Mapping[str, str]) -> str:
    """The range that a wait is likely to lie in; `high_s` is None while it cannot be told how long it may get."""
    if high_s is None:
        return words["unknown"] if low_s < SOON_S else words["at_least"].replace("{time}", speech.duration(low_s))
    if high_s < SOON_S:
        return words["soon"]
    return speech.duration_range(low_s, high_s) if high_s < DAY_S else words["open_end"]
