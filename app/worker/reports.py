"""Finished tasks, reported together: what finishes while one report is under way goes into the next.

A worker with one task in hand reports it at once; one with a hundred needs a few requests, not a hundred.
"""

import asyncio
from typing import Any

from app.client.tasks import Refused, TaskClient
from app.errors import LeaseLost, StanchionError
from app.worker.handlers import Task

MAX_AT_ONCE = 100


class Completions:
    """Sends completions, at most `MAX_AT_ONCE` in one request and one request at a time."""

    def __init__(self, client: TaskClient) -> None:
        self._client = client
        self._waiting: list[tuple[Task, Any, asyncio.Future[None]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def send(self, task: Task, result: Any) -> None:
        """Report one task as done; returns once the service has it.

        Raises:
            LeaseLost: it is no longer this worker's.
            Refused: the result cannot be taken.
            StoreUnavailable: not heard; safe to repeat.
        """
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((task, result, heard))
        if self._sending is None:
            self._sending = asyncio.ensure_future(self._send_all())
        await heard

    async def _send_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_AT_ONCE], self._waiting[MAX_AT_ONCE:]
            try:
                await self._send(batch)
            except Exception as error:
                for _, _, heard in batch:
                    if not heard.done():
                        heard.set_exception(error)
        self._sending = None

    async def _send(self, batch: list[tuple[Task, Any, "asyncio.Future[None]"]]) -> None:
        if len(batch) > 1:
            try:
                judged = await self._client.complete_many(
                    [(task.id, task.lease_token, done) for task, done, _ in batch]
                )
            except Refused:
                pass  # one of them cannot be taken: sent one by one, it shows which
            else:
                for (_, _, heard), problem in zip(batch, judged, strict=True):
                    _settle(heard, None if problem is None else LeaseLost(problem))
                return
        for task, result, heard in batch:
            try:
                await self._client.complete(task.id, task.lease_token, result)
                _settle(heard, None)
            except StanchionError as error:
                _settle(heard, error)


def _settle(heard: "asyncio.Future[None]", error: Exception | None) -> None:
    if heard.done():
        return
    if error is None:
        heard.set_result(None)
    else:
        heard.set_exception(error)
