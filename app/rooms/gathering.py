"""Gathering requests: those that arrive while a round trip is under way share the next one.

Redis runs one script for a whole batch, whatever the crowd; a lone visitor waits for nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from app.errors import StanchionError

E = TypeVar("E")
R = TypeVar("R")

GATHER_TURNS = 5
"""Turns of the event loop before a batch leaves, so that those whose requests have just reached the machine come along.

An idle loop makes them in some thirty microseconds; a busy one answers the batch before meanwhile.
"""


class Gathering(Generic[E, R]):
    """Requests of one kind for one room on this replica."""

    def __init__(self, answer: Callable[[list[E]], Awaitable[Sequence[R | StanchionError]]], most: int) -> None:
        """Args:
        answer: asks the store for a batch; one answer or error for each entry, in their order.
        most: entries in one batch, which bounds how long its script keeps the store.
        """
        self._answer = answer
        self._most = most
        self._waiting: list[tuple[E, asyncio.Future[R]]] = []
        self._flushing: asyncio.Task[None] | None = None

    def ask(self, entry: E) -> "asyncio.Future[R]":
        """What the store answers this entry; to be awaited. Whoever gives up before the batch leaves is left out."""
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, result))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return result

    async def _flush(self) -> None:
        try:
            while self._waiting:
                for _ in range(GATHER_TURNS):
                    await asyncio.sleep(0)
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                batch = [(entry, result) for entry, result in batch if not result.done()]
                if batch:
                    await self._settle(batch)
        finally:
            self._flushing = None

    async def _settle(self, batch: list[tuple[E, "asyncio.Future[R]"]]) -> None:
        answers: Sequence[R | StanchionError | Exception]
        try:
            answers = await self._answer([entry for entry, _ in batch])
        except Exception as error:
            answers = [error] * len(batch)
        for (_, result), answer in zip(batch, answers, strict=True):
            if result.done():
                continue
            if isinstance(answer, Exception):
                result.set_exception(answer)
            else:
                result.set_result(answer)
