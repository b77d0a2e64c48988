"""The pages' languages: chosen as the visitor wishes, complete in every catalogue."""

import re

import pytest
from babel.messages.pofile import read_po

from app import errors
from app.errors import StanchionError
from app.web.languages import CATALOGUES, LANGUAGES, choose, in_unit, language
from app.web.page_texts import COUNTED, PROBLEMS, STATES, WORDS

MESSAGES = {
    text
    for text in [
        *(text for state in STATES.values() for text in (state.title, state.body, state.next)),
        *PROBLEMS.values(),
        *WORDS.values(),
    ]
    if text
}


@pytest.mark.parametrize(
    ("chosen", "accepted", "tag"),
    [
        (None, "", "en"),
        (None, "fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        (None, "sv, de;q=0.5", "de"),
        (None, "en;q=0.1, de;q=0.9", "de"),
        (None, "zh-CN", "zh-Hans"),
        (None, "de;q=0, *", "en"),
        (None, "de;q=nonsense, ;;;,q=1", "en"),
        (None, "x" * 100_000, "en"),
        ("ar", "fr", "ar"),
        ("klingon", "fr", "fr"),
        ("../../etc/passwd", "", "en"),
    ],
)
def test_the_visitors_choice_comes_before_the_browsers_wishes(chosen: str | None, accepted: str, tag: str) -> None:
    assert choose(chosen, accepted) == tag


@pytest.mark.parametrize("tag", [tag for tag in LANGUAGES if tag != "en"])
def test_every_catalogue_says_everything_and_nothing_else(tag: str) -> None:
    with (CATALOGUES / f"{tag}.po").open("rb") as file:
        catalogue = read_po(file, locale=tag.replace("-", "_"), abort_invalid=True)
    entries = {message.id: message for message in catalogue if message.id}
    assert set(entries) == MESSAGES | set(COUNTED.values())
    assert not [message.id for message in entries.values() if message.fuzzy]
    for message_id, message in entries.items():
        said = [message.string] if isinstance(message.string, str) else list(message.string)
        assert all(text.strip() for text in said), message_id
        assert len(said) == (catalogue.num_plurals if isinstance(message_id, tuple) else 1)
        for text in said:
            asked = message_id[1] if isinstance(message_id, tuple) else message_id
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", asked)), text
            assert "<" not in text


def test_problems_have_the_names_that_errors_have() -> None:
    kinds = {
        error.kind for error in vars(errors).values() if isinstance(error, type) and issubclass(error, StanchionError)
    }
    assert set(PROBLEMS) - {"other"} <= kinds


def test_there_is_a_catalogue_for_every_language_and_no_other() -> None:
    assert {path.stem for path in CATALOGUES.glob("*.po")} == set(LANGUAGES) - {"en"}


@pytest.mark.parametrize("tag", LANGUAGES)
def test_every_language_writes_numbers_durations_and_plurals(tag: str) -> None:
    speech = language(tag)
    for seconds in (0, 1, 59, 60, 61, 3600, 7200, 86_000):
        assert "duration" not in speech.duration(seconds)
    assert speech.duration_range(240, 360) != speech.duration_range(300, 360)
    forms = speech.plurals(*COUNTED["people_ahead"])
    assert "other" in forms
    assert all("{n}" in form for form in forms.values())
    assert speech.number(12_345.0) in speech.counted(*COUNTED["people_ahead"], 12_345)


def test_plural_forms_stand_at_their_numbers() -> None:
    forms = COUNTED["people_ahead"]
    assert [language("pl").counted(*forms, n) for n in (1, 2, 5, 22)] == [
        "Przed Tobą jest 1 osoba.",
        "Przed Tobą są 2 osoby.",
        "Przed Tobą jest 5 osób.",
        "Przed Tobą są 22 osoby.",
    ]
    assert language("ar").counted(*forms, 11) == "أمامك 11 شخصًا."
    assert language("ar").counted(*forms, 100) == "أمامك 100 شخص."


def test_arabic_runs_from_right_to_left() -> None:
    assert {tag for tag in LANGUAGES if language(tag).direction == "rtl"} == {"ar"}


@pytest.mark.parametrize(
    ("seconds", "amount", "unit"),
    [
        (0, 0, "second"),
        (59, 59, "second"),
        (60, 1, "minute"),
        (5399, 90, "minute"),
        (5400, 1.5, "hour"),
        (9000, 2.5, "hour"),
    ],
)
def test_durations_are_told_in_their_largest_sensible_unit(seconds: float, amount: float, unit: str) -> None:
    assert in_unit(seconds) == (amount, f"duration-{unit}")
