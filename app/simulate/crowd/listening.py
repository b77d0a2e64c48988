"""A visitor who listens: the room's news come by a stream, and `/status` is asked when they say so, or now and then.

As the waiting page does it (`app/web/static/wait/link.js`): while the stream tells when it is worth asking, polls are few.
"""

import asyncio
from contextlib import suppress
from random import Random
from typing import Any

from app.simulate.crowd.caller import Caller, RunClock
from app.simulate.crowd.connections import NoAnswer
from app.simulate.crowd.record import Event, News, Setback
from app.simulate.crowd.stream import Stream

STRETCH = 3
LEAST_S, LONGEST_S = 20.0, 60.0
"""While the stream is patient, polls come so many times later than told, and within these bounds."""
SPREAD_S = 0.5
"""Within so long after its news a crowd asks, so that a batch does not ask as one."""
SOON_S = 5.0
"""At the latest so long after a stream has broken off."""
REOPEN_S = 30.0
"""After a refusal, give or take a half."""
OPEN_LIMIT_S = 5.0


class Ear:
    """One visitor's stream: opened while the visitor is in line, and again after a break."""

    def __init__(self, caller: Caller, clock: RunClock) -> None:
        self._caller = caller
        self._clock = clock
        self._random = Random(caller.visitor.number)
        self._stream: Stream | None = None
        self._news: News | None = None
        self._changed = asyncio.Event()
        self._not_before_s = 0.0
        self.heard = 0
        """News, all in all."""
        self.setbacks: list[Setback] = []

    async def when_to_ask(self, answer: Event, latest_s: float) -> float:
        """Listen until it is time to ask again; returns when that is, in seconds of the run.

        Args:
            answer: what the visitor was told last.
            latest_s: listens no longer than until then.
        """
        told_s = answer.got_s + answer.poll_s
        if self._stream is None and self._clock.now() >= self._not_before_s:
            await self._open()
        if not self._is_patient(answer):
            return min(told_s, latest_s)
        stretched_s = answer.got_s + min(LONGEST_S, max(LEAST_S, STRETCH * answer.poll_s))
        until_s = min(stretched_s, latest_s)
        while self._is_patient(answer):
            left_s = until_s - self._clock.now()
            if left_s <= 0:
                return until_s
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
        spread_s = SPREAD_S if self._stream else min(SOON_S, answer.poll_s)
        return min(self._clock.now() + self._random.uniform(0, spread_s), until_s)

    def close(self) -> None:
        """The visitor listens no more."""
        stream, self._stream, self._news = self._stream, None, None
        if stream is not None:
            stream.close()

    def _is_patient(self, answer: Event) -> bool:
        """Whether the news will tell when to ask next: in line, the edge still before this place, nobody passed over."""
        news = self._news
        if news is None or news.passes_over or answer.status != ("paused" if news.paused else "waiting"):
            return False
        return news.epoch == answer.epoch and news.edge < answer.position

    async def _open(self) -> None:
        """Open the stream and wait for its first news, which tell the present state."""
        opened_s = self._clock.now()
        self._changed.clear()
        try:
            async with asyncio.timeout(OPEN_LIMIT_S):
                self._stream = stream = await self._caller.listen(self._hear, self._broken)
                await self._changed.wait()
            status = stream.status
        except (NoAnswer, TimeoutError):
            status = 0
            self.close()
        if self._news is None:
            self.close()
            self._not_before_s = self._clock.now() + REOPEN_S * self._random.uniform(0.5, 1.5)
        self._caller.note_stream(opened_s, status)

    def _hear(self, document: dict[str, Any]) -> None:
        news = News(
            int(document["epoch"]), int(document["serving"]), bool(document["paused"]), bool(document["passesOver"])
        )
        before, self._news = self._news, news
        self.heard += 1
        if before is not None and (news.epoch, news.edge) < (before.epoch, before.edge):
            self.setbacks.append(Setback(self._caller.visitor.number, self._clock.now(), before, news))
        self._changed.set()

    def _broken(self, stream: Stream) -> None:
        if stream is not self._stream:
            return
        self._not_before_s = self._clock.now() + stream.retry_s
        self._stream = self._news = None
        self._changed.set()
