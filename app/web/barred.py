"""Who brings the pass of a visit that was revoked: whoever was let straight in has no ticket to be known by."""

from collections.abc import Iterable

from app.errors import PassRefused, StoreUnavailable
from app.rooms.room import Room
from app.tickets.passes import Passes


async def barred_for_s(room: Room, passes: Passes, tokens: Iterable[bytes], now_s: float) -> float:
    """The seconds for which the holder of these passes is kept out, as far as is known here; 0 when they are not."""
    for token in tokens:
        try:
            held = await passes.verify(token)
        except (PassRefused, StoreUnavailable):
            continue
        left_ms = room.bars.left_ms(held.epoch, held.position, round(now_s * 1000)) if held.room == room.name else 0
        if left_ms > 0:
            return left_ms / 1000
    return 0.0
