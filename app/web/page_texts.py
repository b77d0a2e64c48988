"""What the waiting page says: a table of its states, and the words around them.

The English texts are the message ids of the catalogues in `locale/`. A state that this table does not know yet is
shown with the text of `other` and the message that came with it, so that a newer service never leaves a page empty.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from app.web.languages import Language


class StateText(NamedTuple):
    """One state of the page."""

    title: str
    body: str
    next: str
    """What happens next, or what to do."""
    action: str = ""
    """`join`: offer a place; `enter`: the way in; empty: nothing to press."""
    tone: str = "calm"
    """How it looks: `calm`, `turn` (it is time), `halt` (something to know)."""
    facts: tuple[str, ...] = ()
    """Which figures it shows, of `FACTS`."""
    leave: str = ""
    """The word of the way out: `leave` (the line), `end_visit`; empty: there is nothing to leave."""


FACTS = ("position", "ahead", "wait", "left", "opens", "until")
"""All the figures there are: place, people ahead, expected wait, what is left of a turn, when the line opens, how long
that still takes."""


_KEPT = "You can reload or close this page: your place is kept on this device."
_IN_LINE = ("position", "ahead", "wait")
_AGAIN = "To line up again, take a new place."
_LOOKS_AGAIN = "Keep this page open: it looks again by itself, and offers a place as soon as there is one."
_EARLY = ("opens", "until")

STATES: Mapping[str, StateText] = {
    "none": StateText(
        "Join the line",
        "You are not in line yet.",
        "Take a place, and this page shows where you are and tells you when it is your turn.",
        "join",
    ),
    "gather": StateText(
        "Not open yet",
        "You can take a place now: places are given in order of arrival.",
        "Nobody is let in before it opens. Then the line moves in that order.",
        "join",
        facts=_EARLY,
    ),
    "early": StateText(
        "You are in line, and it opens later",
        "You stand in order of arrival. As soon as it opens, the line moves in that order.",
        _KEPT,
        facts=("position", "ahead", *_EARLY),
        leave="leave",
    ),
    "waiting": StateText(
        "You are in line", "This page shows your place and keeps it up to date.", _KEPT, facts=_IN_LINE, leave="leave"
    ),
    "active": StateText(
        "It is your turn",
        "You can go in now.",
        "Go in before your time is over.",
        "enter",
        "turn",
        ("position", "left"),
        "leave",
    ),
    "entered": StateText(
        "You are in",
        "You have gone in. You need this page no longer.",
        "When you have finished, end your visit, so that others can go in sooner.",
        "enter",
        "turn",
        leave="end_visit",
    ),
    "paused": StateText(
        "The line stands still",
        "The line is paused for a moment. You keep your place, and nobody passes you.",
        "As soon as the line moves again, this page shows it.",
        "",
        "halt",
        ("position", "ahead"),
        "leave",
    ),
    "expired": StateText(
        "You missed your turn",
        "Your turn came, and its time ran out before you went in. The next in line was let in.",
        "To line up again, take a new place. Keep this page open, or let it tell you, so that you notice your turn.",
        "join",
        "halt",
    ),
    "passed": StateText(
        "The line went on without you",
        "When your turn came, nothing had been heard from this device for a while.",
        "You are back in time: you go to the front of the line again. Keep this page open, so that you are not "
        "passed over once more.",
        "",
        "halt",
        leave="leave",
    ),
    "ended": StateText("Your visit has ended", "Thank you for your visit.", "To come back, take a new place.", "join"),
    "reset": StateText(
        "The line was started anew", "Places from before do not count any more.", _AGAIN, "join", "halt"
    ),
    "closed": StateText(
        "The line is closed", "No places are given out at the moment.", "This page looks again by itself.", "", "halt"
    ),
    "full": StateText(
        "The line is full",
        "No more places are given out for now.",
        _LOOKS_AGAIN,
        "",
        "halt",
    ),
    "refused": StateText(
        "Nobody is let in for now",
        "This line takes no visitors at the moment.",
        _LOOKS_AGAIN,
        "",
        "halt",
    ),
    "away": StateText(
        "One moment, please",
        "The line cannot be reached right now. If you have a place, it is kept.",
        "This page tries again by itself.",
        "",
        "halt",
    ),
    "other": StateText("Your place is kept", "", "This page shows what comes next by itself.", facts=("position",)),
}

_AWAY = "The line cannot be reached right now. Please try again shortly."

PROBLEMS: Mapping[str, str] = {
    "joins-held": "Places are not being given out for a moment. Please try again shortly.",
    "store-unavailable": _AWAY,
    "state-unreadable": _AWAY,
    "room-closed": "The line is closed: no new places are given out.",
    "room-full": "The line is full: no new places are given out for now.",
    "turned-away": "This line takes no visitors at the moment.",
    "too-many-joins": "Many places have just been taken from your network. Please try again in a minute.",
    "identity-refused": "This line is for people who are signed in at the site. Please sign in there, and come here from it.",
    "code-refused": "This code does not hold: it was mistyped, has been used already, or has run out. Make a new one on "
    "the other device.",
    "too-many-codes": "Too many codes have been made or tried. Please try again in a few minutes.",
    "not-your-turn": "It is not your turn yet. This page tells you when it is.",
    "turn-over": "Your turn was over before you went in.",
    "visit-barred": "The site has ended your visit, and you cannot take a new place for now.",
    "other": "That did not work. Please try again.",
}
"""Why a place was not given, or the way in was not free, by the kind of the error."""

WORDS: Mapping[str, str] = {
    "waiting_room": "Waiting room",
    "position": "Your place",
    "ahead": "Ahead of you",
    "wait": "Expected wait",
    "left": "Time left",
    "opens": "Opens",
    "until": "Until then",
    "progress": "Your way to the front of the line",
    "next": "What happens next",
    "join": "Take a place",
    "enter": "Go in",
    "to_site": "Go to the site",
    "leads_to": "Leads to",
    "leave": "Leave the line",
    "leave_body": "Your place then goes to the next in line, and you cannot get it back.",
    "end_visit": "End my visit",
    "end_visit_body": "Others can then go in sooner. To come back, you take a new place.",
    "carry": "Take this place to another device",
    "carry_body": "Open this link on the other device, scan the picture with its camera, or type the code there.",
    "carry_make": "Make a link",
    "carry_once": "It works once, and only for {time}.",
    "carry_code": "Code",
    "carry_picture": "QR code of the link",
    "carry_copy": "Copy the link",
    "carry_copied": "Copied",
    "carry_taken": "Your place is now on the other device as well. You can close this page.",
    "carry_over": "This link has run out. Make a new one.",
    "takeover": "I have a code from another device",
    "takeover_code": "Code from the other device",
    "takeover_here": "Continue here",
    "takeover_replaces": "You have a place on this device already. The one from the other device replaces it.",
    "back": "Back to your place",
    "soon": "less than a minute",
    "open_end": "longer than a day",
    "at_least": "at least {time}",
    "unknown": "cannot be told yet",
    "offline": "You are offline. Your place is kept, and this page catches up by itself.",
    "stale": "These figures are a little old: the line is just being reached again. Your place is kept.",
    "language": "Language",
    "tell": "Tell me when it is my turn",
    "notify": "Notification",
    "sound": "Sound",
    "blocked": "Notifications are blocked in the settings of your browser.",
    "unknown_room": "There is no such line",
    "unknown_room_body": "The address may be mistyped, or the line is over.",
}

COUNTED: Mapping[str, tuple[str, str]] = {
    "people_ahead": ("{n} person is ahead of you.", "{n} people are ahead of you."),
}


@cache
def page_texts(language: Language) -> dict[str, Any]:
    """Everything the page can say, in one language, as its scripts and its template read it; the same each time."""
    text = language.text
    return {
        "states": {
            key: {**state._asdict(), "title": text(state.title), "body": text(state.body), "next": text(state.next)}
            for key, state in STATES.items()
        },
        "problems": {key: text(message) for key, message in PROBLEMS.items()},
        "words": {key: text(message) for key, message in WORDS.items()},
        "counted": {key: language.plurals(*forms) for key, forms in COUNTED.items()},
    }
