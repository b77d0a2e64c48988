"""The room as seen from outside while the crowd plays: its public figures, and with a token the operator's."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from app.errors import InvalidInput, StanchionError
from app.settings import is_room_name
from app.simulate.crowd.caller import RunClock
from app.simulate.crowd.connections import Connections, NoAnswer
from app.simulate.crowd.record import Limits, Sample

EVERY_S = 1.0
LOOK_TIMEOUT_S = 5.0


class Unusable(StanchionError):
    """The service or the room cannot be played against."""

    kind = "unusable"
    title = "Nothing to play against"


class Watcher:
    """Looks at one room, through whichever address answers."""

    def __init__(self, urls: Sequence[str], room: str, token: str | None) -> None:
        """
        Raises:
            InvalidInput: a URL or the room's name cannot be used, or the token holds what no header may.
        """
        if token is not None and not (token.isascii() and token.isprintable()):
            raise InvalidInput("The operator's token holds characters that cannot be sent.")
        if not is_room_name(room):
            raise InvalidInput(f"No room can be named {room!r}.")
        self._pools = [Connections(url, 2, timeout_s=LOOK_TIMEOUT_S) for url in urls]
        self._via = 0
        self._room = room
        self._auth = f"Authorization: Bearer {token}\r\n".encode() if token else b""

    async def limits(self) -> tuple[Limits | None, str]:
        """What the room's settings allow; or None, and why that is not known.

        Raises:
            Unusable: the service does not answer, or has no such room.
        """
        try:
            status, serving = await self._get(f"/rooms/{self._room}/serving", b"")
        except NoAnswer as error:
            urls = ", ".join(pool.url for pool in self._pools)
            raise Unusable(f"{urls}: no answer ({error.kind}); is the service running?") from None
        if status == 404:
            raise Unusable(f"The service has no room named {self._room!r}; `stanchion rooms list` shows those it has.")
        if status != 200 or not isinstance(serving, dict) or "serving" not in serving:
            raise Unusable(
                f"What answers at {self._pools[self._via].url} is not a waiting room that is ready ({status})."
            )
        if not self._auth:
            return None, "limits unknown: no operator's token (set ADMIN_TOKEN)"
        try:
            status, content = await self._get(f"/admin/api/rooms/{self._room}", self._auth)
        except NoAnswer as error:
            return None, f"limits unknown: no answer ({error.kind})"
        if status != 200:
            return None, f"limits unknown: the operator's token was answered with {status}"
        return limits_of(content["settings"]), ""

    async def last_act(self) -> str | None:
        """The latest entry of the room's audit log, '' when there is none; None when it cannot be read."""
        if not self._auth:
            return None
        try:
            status, content = await self._get(f"/admin/api/rooms/{self._room}/audit?count=1", self._auth)
        except NoAnswer:
            return None
        return json.dumps(content["entries"][:1]) if status == 200 else None

    async def watch(self, clock: RunClock, samples: list[Sample]) -> None:
        """Take a sample every second, until cancelled."""
        while True:
            at_s = clock.now()
            sample = await self._sample(at_s)
            if sample is not None:
                samples.append(sample)
            await clock.until(at_s + EVERY_S)

    async def _sample(self, at_s: float) -> Sample | None:
        try:
            status, serving = await self._get(f"/rooms/{self._room}/serving", b"")
            if status != 200:
                return None
            active = None
            if self._auth:
                status, room = await self._get(f"/admin/api/rooms/{self._room}", self._auth)
                if status == 200 and limits_of(room["settings"]).counted:
                    active = room["active"]
            return Sample(at_s, serving["serving"], serving["last"], serving["waiting"], active, serving["stale"])
        except (NoAnswer, KeyError, TypeError):
            return None

    async def _get(self, path: str, headers: bytes) -> tuple[int, Any]:
        """
        Raises:
            NoAnswer: none of the addresses answered.
        """
        for tries_left in reversed(range(len(self._pools))):
            try:
                answer = await self._pools[self._via].request(b"GET", path.encode(), headers)
                return answer.status, json.loads(answer.body)
            except (NoAnswer, ValueError) as error:
                self._via = (self._via + 1) % len(self._pools)
                if tries_left == 0:
                    raise error if isinstance(error, NoAnswer) else NoAnswer("unreadable") from None
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Hang up."""
        for pool in self._pools:
            pool.close()


def limits_of(settings: dict[str, Any]) -> Limits:
    """The limits in a room's settings, as the operator's routes show them."""
    if settings["method"] == "passthrough":
        return Limits(counted=True)
    rate, most = settings["ratePerMinute"], settings["maxActive"]
    batches = settings["batches"]
    if batches is None:
        batches = rate is None and most is None
    return Limits(
        batch=settings["windowSize"] if batches else None,
        interval_s=settings["windowIntervalSeconds"] if batches else 0.0,
        rate_per_minute=rate,
        burst=settings["rateBurst"] or max(1, round((rate or 0) / 60)),
        max_active=most,
        counted=rate is not None or most is not None or settings["passOver"] or not batches,
    )


async def first_of(stop: asyncio.Event, work: asyncio.Future[None], limit_s: float) -> bool:
    """Wait for the work, the stop or the limit, whichever comes first; whether the work is done."""
    stopped = asyncio.ensure_future(stop.wait())
    either: set[asyncio.Future[Any]] = {stopped, work}
    await asyncio.wait(either, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    return work.done()
