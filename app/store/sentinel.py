"""The primary behind a set of Sentinels.

redis-py's own Sentinel client asks one Sentinel after the other, each with ten retries, from a pool without
a bound, and never closes those connections. Here all are asked at once within one time limit, the newest
configuration wins, and a server that does not call itself primary is not used.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError

Address = tuple[str, int]

_STRAGGLERS_S = 0.1
"""How much longer than the first answer the others may take: one hung Sentinel must not slow a reconnect."""


class PrimaryUnknown(RedisConnectionError):
    """No Sentinel that answered knows a living primary."""


class Sentinels:
    """The Sentinels, and what they say."""

    def __init__(self, hosts: Sequence[Address], service: str, limit_s: float, options: Mapping[str, Any]) -> None:
        self.service = service
        self._limit_s = limit_s
        self._clients: list[Any] = [Redis(host=host, port=port, **options) for host, port in hosts]
        self._asking: asyncio.Task[Address] | None = None

    async def primary(self) -> Address:
        """The primary's address; callers that ask at the same time share one question.

        Raises:
            PrimaryUnknown: nobody knows in time.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Address:
        asked = [asyncio.ensure_future(self._ask_one(client)) for client in self._clients]
        try:
            done, waiting = await asyncio.wait(asked, timeout=self._limit_s, return_when=asyncio.FIRST_COMPLETED)
            while waiting and not any(task.result() for task in done):
                done, waiting = await asyncio.wait(waiting, timeout=self._limit_s, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    break
            if waiting:
                await asyncio.wait(waiting, timeout=_STRAGGLERS_S)
            answers = [answer for task in asked if task.done() and (answer := task.result()) is not None]
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if not answers:
            raise PrimaryUnknown(f"no Sentinel knows a living primary of {self.service!r}")
        return max(answers, key=lambda answer: answer[0])[1]

    async def _ask_one(self, client: Any) -> tuple[int, Address] | None:
        """`(configuration epoch, address)`, or None when this Sentinel does not answer or sees the primary down."""
        try:
            state = await client.sentinel_master(self.service)
        except (RedisError, OSError, TimeoutError):
            return None
        if state["is_sdown"] or state["is_odown"] or not state["is_master"]:
            return None
        return int(state["config-epoch"]), (str(state["ip"]), int(state["port"]))

    async def aclose(self) -> None:
        """Close the connections to all Sentinels."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await asyncio.gather(*(client.aclose() for client in self._clients), return_exceptions=True)


class PrimaryPool(BlockingConnectionPool):
    """A bounded pool of connections to the primary, wherever it is at the moment."""

    def __init__(self, sentinels: Sentinels, *, tls: bool, **options: Any) -> None:
        self._sentinels = sentinels
        self._primary: Address | None = None
        super().__init__(
            connection_class=_TLSPrimaryConnection if tls else _PrimaryConnection,
            find_primary=self._find,
            redis_connect_func=_greet_primary,
            **options,
        )

    async def _find(self) -> Address:
        found = await self._sentinels.primary()
        if self._primary not in (None, found):
            # What is still open leads to the old primary, which may be frozen or about to be demoted.
            await self.disconnect(inuse_connections=False)
        self._primary = found
        return found

    async def aclose(self) -> None:
        """Close every connection, those to the Sentinels too."""
        await super().aclose()
        await self._sentinels.aclose()


class _PrimaryConnection(Connection):
    """A connection that asks where the primary is each time it has to connect."""

    def __init__(self, *, find_primary: Any, **options: Any) -> None:
        self._find_primary = find_primary
        super().__init__(**options)

    async def _connect(self) -> None:
        self.host, self.port = await self._find_primary()
        await super()._connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except ReadOnlyError:
            await self.disconnect(nowait=True)  # demoted: the next use asks the Sentinels again
            raise


class _TLSPrimaryConnection(_PrimaryConnection, SSLConnection):
    """The same over TLS."""


async def _greet_primary(connection: Any) -> None:
    """Log in, and make sure that this is a primary: Sentinels may be a moment behind."""
    await connection.on_connect()
    await connection.send_command("ROLE", check_health=False)
    role = await connection.read_response()
    if role[0] not in (b"master", "master"):
        raise RedisConnectionError("the server that Sentinel named is not the primary (any more)")
