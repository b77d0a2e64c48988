"""Places offered to another device: kept in the store under the digest of a code, for minutes, handed out once."""

import re
import secrets
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from app.errors import CodeRefused, TooManyCodes
from app.rooms.replies import Reply
from app.rooms.rooms import SCRIPTS
from app.store import Store, keys

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: what is easily taken for another character is not in it."""
_OFFER_ID = re.compile(r"[0-9a-f]{32}")
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
GROUPS, GROUP = 3, 4
"""Twelve characters, 60 bits: guessing one of ten thousand open codes takes about 10^14 tries."""
OFFER_MS = 300_000
OFFERS, OFFERS_MS = 5, 3_600_000
"""Codes for one place in an hour, which also bounds on how many devices it can end up."""
FAILURES, FAILURES_MS = 30, 60_000
"""Codes that do not hold, from one address in a minute."""


class OfferState(StrEnum):
    """What has become of an offer."""

    OPEN = "open"
    TAKEN = "taken"
    OVER = "over"


class Offer(NamedTuple):
    """An offer as its maker gets it; only the maker and whom they show it to ever see the code."""

    code: str
    """In groups, to be read and typed."""
    offer_id: str
    """The code's digest: tells nobody the code, and names the offer."""
    ttl_ms: int


class Offers:
    """The offers of all rooms."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def make(self, room: str, giver: str, place: str) -> Offer:
        """Offer a place, by a new code.

        Args:
            giver: whose place it is; limits count by it.

        Raises:
            TooManyCodes: many codes were made for this place of late.
            StoreUnavailable: the outcome is unknown; another code can be made.
        """
        code = new_code()
        offer_id = digest(code)
        reply = await self._store.run(
            SCRIPTS["offer"],
            {"offer": keys.room_offer(room, offer_id), "made": keys.room_codes(room, "place:" + giver)},
            {"place": place, "ttl_ms": OFFER_MS, "limit": OFFERS, "window_ms": OFFERS_MS},
        )
        if reply[0] == Reply.TOO_MANY:
            raise _too_many("made for this place", reply[1])
        return Offer(code, offer_id, reply[1])

    async def take(self, room: str, code: str, address: str, taker: str | None) -> str:
        """The place that a code stands for; whoever has taken it may ask again with the same `taker`.

        Raises:
            CodeRefused: it is not a code, or is used, or over.
            TooManyCodes: the address has tried many codes that do not hold.
            StoreUnavailable: the outcome is unknown; asking again with the same `taker` is harmless.
        """
        reply = await self._store.run(
            SCRIPTS["take_over"],
            {"offer": keys.room_offer(room, digest(code)), "tries": keys.room_codes(room, "from:" + address)},
            {"taker": digest(taker or secrets.token_hex()), "limit": FAILURES, "window_ms": FAILURES_MS},
        )
        if reply[0] == Reply.TOO_MANY:
            raise _too_many("tried from your network", reply[1])
        if reply[0] == Reply.NO_SUCH_CODE:
            raise CodeRefused(
                "This code does not hold: it was mistyped, has been used, or has run out; make a new one."
            )
        place: bytes = reply[1]
        return place.decode()

    async def look(self, room: str, offer_id: str) -> tuple[OfferState, int]:
        """What has become of an offer, and the milliseconds that it is still known.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        if not _OFFER_ID.fullmatch(offer_id):
            return OfferState.OVER, 0
        _, kind, ttl_ms = await self._store.run(SCRIPTS["offered"], {"offer": keys.room_offer(room, offer_id)}, {})
        return {b"o": OfferState.OPEN, b"t": OfferState.TAKEN}.get(kind, OfferState.OVER), ttl_ms


def new_code() -> str:
    """A code that nobody can guess, like `K7QM-2XHD-9TFA`."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))


def digest(text: str) -> str:
    """The name under which a code is kept: the same however it is typed."""
    return sha256(text.upper().translate(_MISREAD).encode()).hexdigest()[:32]


def _too_many(what: str, wait_ms: int) -> TooManyCodes:
    return TooManyCodes(f"Too many codes have been {what}; try again later.", retry_after_s=wait_ms / 1000)
