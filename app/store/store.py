"""Running scripts on the store, whatever its topology.

Nothing here retries on its own: a lost reply leaves the outcome of a change unknown, and only a script
that carries an operation id may be asked again. Scripts are sent by digest; a server that does not know
one gets the text, which also teaches it (after a restart, a failover or a SCRIPT FLUSH).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Literal, TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, SlotNotCoveredError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.errors import OutcomeUnknown, StateUnreadable, StoreUnavailable
from app.logs import get_logger
from app.metrics import Metrics
from app.store.connect import MAX_CONNECTIONS, REQUEST_TIMEOUT_S, Connections, connect
from app.store.reply_errors import Unreadables, away_error, explained, is_unreadable
from app.store.scripts import Script, Values

log = get_logger(__name__)

Purpose = Literal["request", "background"]
T = TypeVar("T")

REQUEST_LIMIT_S = 0.9
"""How long a caller waits at most, so that whoever is behind it has an answer within a second."""
NODE_LIMIT_S = 0.7
"""How long one node of a cluster may keep the answers of the others waiting."""
QUIET_S = 2.0
"""The store counts as back once nothing has failed for this long."""

_Prepared = tuple[str, str, list[Any]]
"""Digest, text, and packed keys and arguments of one call."""


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
        self._under_way: set[asyncio.Future[Any]] = set()
        self._turns = asyncio.Semaphore(MAX_CONNECTIONS)
        self._unreadables = Unreadables()
        self._is_away = False
        self._noticed_s = 0.0
        self._round_trips = {purpose: metrics.round_trips.labels(purpose) for purpose in ("request", "background")}

    @property
    def client(self) -> Any:
        """The redis-py client with the short time limits of the request path, for plain commands."""
        return self._connections.client

    @property
    def blocking(self) -> Any:
        """A client for BLPOP and subscriptions: its reads may take up to `BLOCKING_READ_S`, no wait may be longer.

        Pass `limit_s=None` to `command` with it.
        """
        return self._connections.blocking()

    @property
    def is_cluster(self) -> bool:
        """Whether keys are spread over several servers."""
        return self._connections.is_cluster

    async def pubsub(self) -> Any:
        """A subscription object on the blocking client; close it with `aclose()`.

        Raises:
            StoreUnavailable: the store cannot be reached.
        """
        blocking = self.blocking
        await self.command(self._connections.ready)
        return blocking.pubsub()

    async def run(self, script: Script, keys: Values, args: Values, *, purpose: Purpose = "request") -> Any:
        """Run one script and return its reply.

        Raises:
            StoreUnavailable: the outcome is unknown.
            StateUnreadable: its keys hold something that it cannot read.
        """
        packed = script.pack(keys, args)
        digest, text = self._render(script)
        self._round_trips[purpose].inc()
        return await self.command(lambda: self._eval(digest, text, packed), about=_keys_of(packed))

    async def _eval(self, digest: str, text: str, packed: Sequence[Any]) -> Any:
        if self._node_of(packed) is None:
            raise SlotNotCoveredError("no node of the cluster serves this key")
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
        return await self.command(confirmed, limit_s=None, about=_keys_of(packed))

    async def ask(self, do: Callable[[], Awaitable[T]], *, about: Sequence[str] = ()) -> T:
        """One plain command of a request, counted as the round trip that it is; else as `command`."""
        self._round_trips["request"].inc()
        return await self.command(do, about=about)

    @contextmanager
    def reading(self, *names: str) -> Iterator[None]:
        """Make sense of what came out of these keys.

        Raises:
            StateUnreadable: it makes none.
        """
        try:
            yield
        except (ValueError, TypeError, LookupError) as error:
            raise self._unreadable(names, f"{type(error).__name__}: {error}") from error

    async def run_many(self, calls: Sequence[Call], *, purpose: Purpose = "request") -> list[Any]:
        """Run several scripts in one round trip per node; replies in the order of the calls.

        An error stands in its place as the exception, so that one room's trouble is not another's: a
        `StateUnreadable`, or a `StoreUnavailable` where one node of a cluster did not answer.

        Raises:
            StoreUnavailable: no node answered; any of the calls may or may not have run.
        """
        if not calls:
            return []
        prepared = [(*self._render(call.script), call.script.pack(call.keys, call.args)) for call in calls]
        self._round_trips[purpose].inc()
        return await self.command(lambda: self._eval_many(prepared))

    async def _eval_many(self, prepared: Sequence[_Prepared]) -> list[Any]:
        replies: list[Any] = [RedisTimeoutError("this node is too slow")] * len(prepared)
        groups: dict[str | None, list[int]] = {}
        for i, (_, _, packed) in enumerate(prepared):
            groups.setdefault(self._node_of(packed), []).append(i)
        for i in groups.pop(None, ()):
            replies[i] = SlotNotCoveredError("no node of the cluster serves this key")
        await self._all_or_late([self._eval_group(prepared, places, replies) for places in groups.values()])
        away = [error for reply in replies if (error := away_error(reply)) is not None]
        if len(away) == len(replies):
            raise away[0]
        if away:
            self._count(away[0])
        return [self._told(reply, packed) for reply, (_, _, packed) in zip(replies, prepared, strict=True)]

    def _told(self, reply: Any, packed: list[Any]) -> Any:
        """A reply of several as its caller is told it."""
        if away_error(reply) is not None:
            return StoreUnavailable()
        return self._unreadable(_keys_of(packed), str(reply)) if is_unreadable(reply) else reply

    async def _all_or_late(self, works: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Do it all at once; what one of several nodes is too slow for goes on with nobody waiting."""
        if len(works) == 1:
            await works[0]
            return
        tasks = [asyncio.ensure_future(work) for work in works]
        self._under_way.update(tasks)
        for task in tasks:
            task.add_done_callback(self._under_way.discard)
        done, late = await asyncio.wait(tasks, timeout=NODE_LIMIT_S)
        for task in late:
            task.add_done_callback(_swallow)
        for task in done:
            task.result()

    async def _eval_group(self, prepared: Sequence[_Prepared], places: list[int], replies: list[Any]) -> None:
        """One node's scripts: all by digest in one go, then in another those whose text it did not know."""
        for form in ("EVALSHA", "EVAL"):
            pipe = self.client.pipeline() if self._connections.is_cluster else self.client.pipeline(transaction=False)
            for i in places:
                digest, text, packed = prepared[i]
                pipe.execute_command(form, digest if form == "EVALSHA" else text, *packed)
            try:
                answers: list[Any] = await pipe.execute(raise_on_error=False)
            except Exception as error:
                if away_error(error) is None:
                    raise
                answers = [error] * len(places)
            for i, answer in zip(places, answers, strict=True):
                replies[i] = answer
            places = [i for i in places if isinstance(replies[i], NoScriptError)]
            if not places:
                return

    def _node_of(self, packed: Sequence[Any]) -> str | None:
        """The cluster node that has the script's first key, None when no node has; always "" without a cluster."""
        if not self._connections.is_cluster or packed[0] == 0:
            return ""
        nodes = self.client.nodes_manager.slots_cache.get(self.client.keyslot(packed[1]))
        return str(nodes[0].name) if nodes else None

    async def command(
        self, do: Callable[[], Awaitable[T]], *, limit_s: float | None = REQUEST_LIMIT_S, about: Sequence[str] = ()
    ) -> T:
        """Do something with `client`, apart from the caller's cancellation, and translate its errors.

        A redis-py call that is cancelled in mid-reply may leave its connection out of step, so the work runs
        in a task of its own and only the waiting for it is cancelled. The waiting ends after `limit_s` seconds
        in any case (`None`: when the work does), however many steps of the work are slow. `about` names the keys.

        Raises:
            StoreUnavailable: the store cannot be reached, is loading, read-only, or too slow.
            StateUnreadable: the keys hold something else than they should.
        """
        task = asyncio.ensure_future(self._work(do, limit_s))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            async with asyncio.timeout(limit_s):
                result = await asyncio.shield(task)
        except BaseException as error:
            if not task.done():
                task.add_done_callback(_swallow)
            if isinstance(error, asyncio.CancelledError):
                raise
            if (away := away_error(error)) is not None:
                self._notice(away)
                raise StoreUnavailable from error
            if is_unreadable(error):
                raise self._unreadable(about, str(error)) from error
            raise
        if self._is_away and time.monotonic() - self._noticed_s > QUIET_S:
            self._is_away = False
            log.info("store_is_back")
        return result

    async def _work(self, do: Callable[[], Awaitable[T]], limit_s: float | None) -> T:
        try:
            return await self._in_turn(do, limit_s)
        except RuntimeError as error:
            if type(error) is not RuntimeError:
                raise
            # That is how uvloop refuses to write to a connection that has been closed a moment ago.
            raise RedisConnectionError(str(error)) from error

    async def _in_turn(self, do: Callable[[], Awaitable[T]], limit_s: float | None) -> T:
        if not self._connections.is_cluster:
            return await do()
        await self._connections.ready()
        if limit_s is None:
            return await do()
        # A cluster client refuses at once when a pool is used up; the other pools wait for a moment by themselves.
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            await self._turns.acquire()
        try:
            return await do()
        finally:
            self._turns.release()

    async def aclose(self) -> None:
        """Let what is still under way end (it is bounded by the time limits), then close every connection."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=2 * REQUEST_TIMEOUT_S)
        for task in tuple(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._connections.aclose()

    def _unreadable(self, names: Sequence[str], reason: str) -> StateUnreadable:
        """The error for the caller; who may repair it finds the keys in the log, written down while nobody waits."""
        if self._unreadables.is_news(names, time.monotonic()):
            telling = asyncio.ensure_future(self._unreadables.tell(self.client, names, reason))
            self._under_way.add(telling)
            telling.add_done_callback(self._under_way.discard)
            telling.add_done_callback(_swallow)
        return explained(names)

    def _notice(self, error: BaseException) -> None:
        """The store is away: say so once until it has answered everything for a while.

        Of a cluster only one node may be away, whose calls fail in between others that do well.
        """
        self._count(error)
        self._noticed_s = time.monotonic()
        if not self._is_away:
            self._is_away = True
            log.warning("store_is_away", reason=f"{type(error).__name__}: {error}")

    def _count(self, error: BaseException) -> None:
        """Count an error of the store or of one of its nodes, and look for where its slots went."""
        self._metrics.store_errors.labels(type(error).__name__).inc()
        self._connections.rediscover()

    def _render(self, script: Script) -> tuple[str, str]:
        key = f"{script.folder}/{script.name}"
        if key not in self._rendered:
            text = script.render(self._fragments)
            self._rendered[key] = (sha1(text.encode(), usedforsecurity=False).hexdigest(), text)
        return self._rendered[key]


def _keys_of(packed: Sequence[Any]) -> list[str]:
    """The keys of a call: they stand behind their number."""
    return [str(name) for name in packed[1 : 1 + packed[0]]]


def _swallow(task: "asyncio.Future[Any]") -> None:
    """Nobody waits for this any more; retrieve its error so that asyncio does not complain of it."""
    if not task.cancelled():
        task.exception()


async def open_store(
    stack: AsyncExitStack, url: str, metrics: Metrics, fragments: Mapping[str, str] | None = None
) -> Store:
    """Connect to the store at `url` and close with `stack`. Does not wait for the server: it may come later."""
    connections = connect(url)
    store = Store(connections, metrics, fragments)
    stack.push_async_callback(store.aclose)
    return store
