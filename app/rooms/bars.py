"""Bars: whose visit was revoked takes no new place for a time.

Every replica reads what is new of them with each look at the room, and tells the store again after a loss.
"""

from collections.abc import Sequence

from app.rooms.replies import barred
from app.store import Call, Script, Store, keys

MOST_BARRED = 200_000
"""Of one room, as in _bars.lua."""
MAX_TOLD = 500


class Bars:
    """The bars of one room. A place is "epoch-position"; times are the store's, in milliseconds since 1970."""

    def __init__(self, room: str, store: Store, scripts: dict[str, Script]) -> None:
        self._keys = {"barred": keys.room_barred(room)}
        self._store = store
        self._scripts = scripts
        self._until_ms: dict[str, int] = {}
        self.cursor_ms = 0
        """What the looks have brought so far: bars that end later are new."""

    def note(self, epoch: int, positions: Sequence[int], first_until_ms: int) -> None:
        """Remember what this replica itself has just put into the store, in this order, ahead of the next look."""
        for later_ms, position in enumerate(positions):
            self._note(f"{epoch}-{position}", first_until_ms + later_ms)

    async def check(self, epoch: int, position: int, now_ms: int) -> None:
        """Let nobody through who may take no new place.

        Raises:
            VisitBarred: the visit of this place was revoked.
            StoreUnavailable: it cannot be told now.
        """
        left_ms: float = self.left_ms(epoch, position, now_ms)
        if left_ms <= 0:
            client, name = self._store.client, self._keys["barred"]
            until_ms = await self._store.command(lambda: client.zscore(name, f"{epoch}-{position}"), about=[name])
            left_ms = (until_ms or 0) - now_ms
        if left_ms > 0:
            raise barred(left_ms / 1000)

    @property
    def any(self) -> bool:
        """Whether any are known."""
        return bool(self._until_ms)

    def left_ms(self, epoch: int, position: int, now_ms: int) -> int:
        """How much longer a place is barred, as far as is known here; not above 0 when it is not."""
        return self._until_ms.get(f"{epoch}-{position}", 0) - now_ms

    def take(self, news: Sequence[str], now_ms: int) -> None:
        """Take over what a look brought, as "place:until", and forget what is over."""
        for text in news:
            place, _, until = text.partition(":")
            self.cursor_ms = max(self.cursor_ms, int(until))
            self._note(place, int(until))
        while self._until_ms and (
            len(self._until_ms) > MOST_BARRED or self._until_ms[next(iter(self._until_ms))] <= now_ms
        ):
            del self._until_ms[next(iter(self._until_ms))]

    def told(self) -> list[Call]:
        """The script calls that tell the store of all that is known here."""
        flat = [item for bar in self._until_ms.items() for item in bar]
        return [
            Call(self._scripts["bar_again"], self._keys, {"bars": flat[i : i + 2 * MAX_TOLD]})
            for i in range(0, len(flat), 2 * MAX_TOLD)
        ]

    def read_anew(self) -> None:
        """Have the looks bring everything again: after a loss, what came back may end before the cursor."""
        self.cursor_ms = 0

    def _note(self, place: str, until_ms: int) -> None:
        known_ms = self._until_ms.pop(place, 0)  # the latest told last, so that the first is the first to end
        self._until_ms[place] = max(until_ms, known_ms)
