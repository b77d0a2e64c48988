"""Running scripts on the store, whatever its topology.

Nothing here retries on its own: a lost reply leaves the outcome of a change unknown, and only a script
that carries an operation id may be asked again. Scripts are sent by digest; a server that does not know
one gets the text, which also teaches it (after a restart, a failover or a SCRIPT FLUSH).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Literal, TypeVar

from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from app.errors import OutcomeUnknown, StoreUnavailable
from app.metrics import Metrics
from app.store.connect import Connections, connect
from app.store.scripts import Script, Values

Purpose = Literal["request", "background"]
T = TypeVar("T")

_AWAY = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    ClusterDownError,
    TryAgainError,
    OSError,
    TimeoutError,
)
_AWAY_PREFIXES = ("MASTERDOWN", "LOADING", "CLUSTERDOWN", "NOREPLICAS", "UNBLOCKED", "READONLY", "MISCONF", "OOM")


@dataclass(frozen=True)
class Call:
    """One script with its keys and arguments by name, to be run alone or together with others."""

    script: Script
    keys: Values
    args: Values


class Store:
    """A connection to the store. Made by `open_store`; closed by the stack that opened it."""

    def __init__(self, connections: Connections, metrics: Metrics, fragments: Mapping[str, str] | None = None) -> None:
        self._connections = connections
        self._metrics = metrics
        self._fragments = dict(fragments or {})
        self._rendered: dict[str, tuple[str, str]] = {}
        self._round_trips = {purpose: metrics.round_trips.labels(purpose) for purpose in ("request", "background")}

    @property
    def client(self) -> Any:
        """The redis-py client with the short time limits of the request path, for plain commands."""
        return self._connections.client

    @property
    def blocking(self) -> Any:
        """A client whose reads may take as long as the command they wait for, for BLPOP and subscriptions."""
        return self._connections.blocking()

    @property
    def is_cluster(self) -> bool:
        """Whether keys are spread over several servers."""
        return self._connections.is_cluster

    async def run(self, script: Script, keys: Values, args: Values, *, purpose: Purpose = "request") -> Any:
        """Run one script and return its reply.

        Raises:
            StoreUnavailable: the outcome is unknown.
        """
        packed = script.pack(keys, args)
        digest, text = self._render(script)
        self._round_trips[purpose].inc()
        return await self.command(lambda: self._eval(digest, text, packed))

    async def _eval(self, digest: str, text: str, packed: Sequence[Any]) -> Any:
        try:
            return await self.client.execute_command("EVALSHA", digest, *packed)
        except NoScriptError:
            return await self.client.execute_command("EVAL", text, *packed)

    async def run_confirmed(
        self, script: Script, keys: Values, args: Values, *, replicas: int, fsync: bool, timeout_s: float
    ) -> Any:
        """Run one script and return its reply once enough copies of the store have what it wrote.

        `replicas` of the store must have received it, or, with `fsync`, its own disk and theirs. The wait goes over the
        connection that ran the script, for it is about that connection's writes. Not for clusters.

        Raises:
            OutcomeUnknown: it has run, but was not confirmed within `timeout_s`.
            StoreUnavailable: the outcome is unknown as well.
        """
        packed = script.pack(keys, args)
        digest, text = self._render(script)
        timeout_ms = int(timeout_s * 1000)
        wait = ("WAITAOF", 1, replicas, timeout_ms) if fsync else ("WAIT", replicas, timeout_ms)
        client = self._connections.patient(timeout_s)

        async def send(*command: Any) -> list[Any]:
            pipe = client.pipeline(transaction=False)
            pipe.execute_command(*command)
            pipe.execute_command(*wait)
            replies: list[Any] = await pipe.execute(raise_on_error=False)
            return replies

        async def confirmed() -> Any:
            reply, copies = await send("EVALSHA", digest, *packed)
            if isinstance(reply, NoScriptError):
                reply, copies = await send("EVAL", text, *packed)
            if isinstance(reply, Exception):
                raise reply
            if isinstance(copies, Exception):
                raise OutcomeUnknown(f"Done, but the store cannot confirm copies: {copies}.") from copies
            on_disk, copied = copies if fsync else (1, copies)
            if copied < replicas or (fsync and on_disk < 1):
                raise OutcomeUnknown(
                    "Done, but not confirmed by as many copies as asked for; with the same id or idempotency key it "
                    "is safe to ask again.",
                    retry_after_s=1,
                )
            return reply

        self._round_trips["request"].inc()
        return await self.command(confirmed)

    async def run_many(self, calls: Sequence[Call], *, purpose: Purpose = "request") -> list[Any]:
        """Run several scripts in one round trip per node; replies in the order of the calls.

        A script error stands in its place as the exception, so that one room's trouble is not another's.

        Raises:
            StoreUnavailable: the store did not answer; any of them may or may not have run.
        """
        if not calls:
            return []
        prepared = [(*self._render(call.script), call.script.pack(call.keys, call.args)) for call in calls]
        self._round_trips[purpose].inc()
        return await self.command(lambda: self._eval_many(prepared))

    async def _eval_many(self, prepared: Sequence[tuple[str, str, list[Any]]]) -> list[Any]:
        pipe = self.client.pipeline(transaction=False) if not self._connections.is_cluster else self.client.pipeline()
        for digest, _, packed in prepared:
            pipe.execute_command("EVALSHA", digest, *packed)
        replies: list[Any] = await pipe.execute(raise_on_error=False)
        for i, (_, text, packed) in enumerate(prepared):
            if isinstance(replies[i], NoScriptError):
                replies[i] = await self.client.execute_command("EVAL", text, *packed)
        for reply in replies:
            if isinstance(reply, _AWAY) or _is_away(reply):
                raise reply
        return replies

    async def command(self, do: Callable[[], Awaitable[T]]) -> T:
        """Do something with `client`, apart from the caller's cancellation, and translate its errors.

        A redis-py call that is cancelled in mid-reply may leave its connection out of step, so the work runs
        in a task of its own and only the waiting for it is cancelled.

        Raises:
            StoreUnavailable: the store cannot be reached, is loading, read-only, or too slow.
        """
        task = asyncio.ensure_future(_as_coroutine(do))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_swallow)
            raise
        except _AWAY as error:
            self._metrics.store_errors.labels(type(error).__name__).inc()
            raise StoreUnavailable from error
        except RedisError as error:
            if _is_away(error):
                self._metrics.store_errors.labels(type(error).__name__).inc()
                raise StoreUnavailable from error
            raise

    def _render(self, script: Script) -> tuple[str, str]:
        key = f"{script.folder}/{script.name}"
        if key not in self._rendered:
            text = script.render(self._fragments)
            self._rendered[key] = (sha1(text.encode(), usedforsecurity=False).hexdigest(), text)
        return self._rendered[key]


def _is_away(reply: object) -> bool:
    """Whether a reply is an error that says the server cannot do it now, rather than that it was asked wrongly."""
    return isinstance(reply, ResponseError) and str(reply).startswith(_AWAY_PREFIXES)


async def _as_coroutine(do: Callable[[], Awaitable[T]]) -> T:
    return await do()


def _swallow(task: "asyncio.Future[Any]") -> None:
    """Nobody waits for this any more; retrieve its error so that asyncio does not complain of it."""
    if not task.cancelled():
        task.exception()


async def open_store(
    stack: AsyncExitStack, url: str, metrics: Metrics, fragments: Mapping[str, str] | None = None
) -> Store:
    """Connect to the store at `url` and close with `stack`. Does not wait for the server: it may come later."""
    connections = connect(url)
    stack.push_async_callback(connections.aclose)
    return Store(connections, metrics, fragments)
