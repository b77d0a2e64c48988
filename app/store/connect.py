"""The redis-py clients of a store: standalone, a unix socket, Sentinel, or a cluster.

Every client is made with redis-py's own retries off (they repeat increments and hang for a minute by
default), short time limits and a bounded pool; a second one, for commands that block on purpose, is made
on demand. Nothing connects before its first use, so the store may come up later than we do.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from redis.asyncio import (
    BlockingConnectionPool,
    Connection,
    Redis,
    RedisCluster,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from app.store.sentinel import PrimaryPool, Sentinels
from app.store_url import StoreAddress, parse_store_url

REQUEST_TIMEOUT_S = 0.5
"""Limit of one step on the request path: getting a connection, connecting, writing, reading."""
BLOCKING_READ_S = 30.0
"""Limit of a read that waits on purpose: longer than any wait asked for, and the end of a half-open socket."""
MAX_CONNECTIONS = 64


class Connections:
    """The clients of one store address, opened lazily and closed together."""

    def __init__(self, address: StoreAddress) -> None:
        self.address = address
        self.is_cluster = address.kind == "cluster"
        self.client: Any = _client(address, REQUEST_TIMEOUT_S)
        self._blocking: Any = None
        self._rediscovery: asyncio.Task[None] | None = None
        self._patient: Any = None

    def blocking(self) -> Any:
        """A client for commands that wait on purpose, up to `BLOCKING_READ_S`."""
        if self._blocking is None:
            self._blocking = _client(self.address, BLOCKING_READ_S)
        return self._blocking

    def patient(self, wait_s: float) -> Any:
        """A client for commands that the server answers within `wait_s`, always the same number."""
        if self._patient is None:
            self._patient = _client(self.address, REQUEST_TIMEOUT_S + wait_s)
        return self._patient

    async def ready(self) -> None:
        """Know the cluster's slots before the first command, which redis-py would send to any node."""
        if self.is_cluster:
            await self.client.initialize()
            if self._blocking is not None:
                await self._blocking.initialize()

    def rediscover(self) -> None:
        """After a node has failed: learn in the background who owns which slot now.

        redis-py does that by itself after a single command, but not after a pipeline, which would go on
        asking the dead node for ever. One server and Sentinel need nothing: they look when they reconnect.
        """
        if self.is_cluster and (self._rediscovery is None or self._rediscovery.done()):
            self._rediscovery = asyncio.ensure_future(_learn_slots(self.client))

    async def aclose(self) -> None:
        """Close every connection."""
        if self._rediscovery is not None:
            self._rediscovery.cancel()
            await asyncio.gather(self._rediscovery, return_exceptions=True)
        for client in (self.client, self._blocking, self._patient):
            if client is None:
                continue
            await client.aclose()
            if self.is_cluster:  # redis-py closes nothing when the cluster's last answer was an error
                await client.nodes_manager.aclose()
                await client.nodes_manager.aclose("startup_nodes")


def connect(url: str) -> Connections:
    """The clients for a store URL; no connection is made before the first command.

    Raises:
        ValueError: the URL cannot be used.
    """
    return Connections(parse_store_url(url))


async def _learn_slots(client: Any) -> None:
    try:
        await client.nodes_manager.initialize()
    except (RedisError, RedisClusterException, OSError, TimeoutError):
        return  # nobody answers: the next failure asks again


def _client(address: StoreAddress, read_timeout_s: float) -> Any:
    tls = _tls_options(address)
    steps: dict[str, Any] = {
        "socket_timeout": read_timeout_s,
        "socket_connect_timeout": REQUEST_TIMEOUT_S,
        "protocol": 2,
        "driver_info": None,
        "retry": Retry(NoBackoff(), 0),
    }
    common: dict[str, Any] = {**steps, "username": address.username, "password": address.password}
    if address.kind == "cluster":
        return RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
            require_full_coverage=False,  # the slots that are served are better than none
            reinitialize_steps=0,  # follow each MOVED; by default every fifth closes all connections, in use or not
            ssl=address.tls,
            **tls,
            **common,
        )
    pool_options = {"max_connections": MAX_CONNECTIONS, "timeout": REQUEST_TIMEOUT_S, "db": address.db, **common}
    if address.kind == "sentinel":
        login = {"username": "sentinel_username", "password": "sentinel_password"}
        at_sentinels = {
            **steps,
            "socket_timeout": REQUEST_TIMEOUT_S,
            **{option: address.query.get(name) for option, name in login.items()},
            "decode_responses": True,
            "ssl": address.tls,
            **tls,
        }
        sentinels = Sentinels(address.hosts, address.service, REQUEST_TIMEOUT_S, at_sentinels)
        return Redis.from_pool(PrimaryPool(sentinels, tls=address.tls, **tls, **pool_options))
    connection_class, where = _single_server(address, tls)
    return Redis.from_pool(BlockingConnectionPool(connection_class=connection_class, **where, **pool_options))


def _single_server(address: StoreAddress, tls: Mapping[str, Any]) -> tuple[type[Any], dict[str, Any]]:
    """The connection class of one server, and where it is."""
    if address.kind == "unix":
        return UnixDomainSocketConnection, {"path": address.service}
    host, port = address.hosts[0]
    return SSLConnection if address.tls else Connection, {"host": host, "port": port, **tls}


def _tls_options(address: StoreAddress) -> dict[str, Any]:
    if not address.tls:
        return {}
    names = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
    files = {option: address.query[name] for name, option in names.items() if name in address.query}
    return {**files, "ssl_check_hostname": address.query.get("check_hostname") != "no"}
