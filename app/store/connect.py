"""Finding the server behind a URL: standalone, a unix socket, Sentinel, or a cluster.

Every client is made with redis-py's own retries off (they repeat increments and hang for a minute by
default) and short time limits; a second one, for commands that block on purpose, is made on demand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

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
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

REQUEST_TIMEOUT_S = 0.5
MAX_CONNECTIONS = 64
SENTINEL_PORT = 26379
CLUSTER_PORT = 6379


@dataclass(frozen=True)
class StoreAddress:
    """A parsed store URL."""

    kind: str
    """`redis`, `unix`, `sentinel` or `cluster`."""
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    username: str | None
    password: str | None
    db: int
    service: str
    """The name of the Sentinel service, or the path of the unix socket."""
    query: Mapping[str, str] = field(default_factory=dict)


def parse_store_url(url: str) -> StoreAddress:
    """Take a store URL apart.

    Raises:
        ValueError: it cannot be understood.
    """
    parts = urlsplit(url)
    scheme, _, topology = parts.scheme.partition("+")
    userinfo, _, hostlist = parts.netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    query = dict(parse_qsl(parts.query))
    kind = topology or ("unix" if scheme == "unix" else "redis")
    port = {"sentinel": SENTINEL_PORT}.get(kind, CLUSTER_PORT)
    hosts = tuple(_host_port(item, port) for item in hostlist.split(",") if item)
    path = unquote(parts.path)
    service, db = "", query.get("db", "0")
    if kind == "unix":
        service = path
    else:
        pieces = [piece for piece in path.split("/") if piece]
        if kind == "sentinel":
            if not pieces:
                raise ValueError("a Sentinel URL needs the service: redis+sentinel://host:26379/service")
            service, *pieces = pieces
        if pieces:
            db = pieces[0]
    if kind != "unix" and not hosts:
        raise ValueError("the store URL names no host")
    return StoreAddress(
        kind=kind,
        tls=scheme == "rediss",
        hosts=hosts,
        username=unquote(username) or None,
        password=unquote(password) or None,
        db=int(db),
        service=service,
        query=query,
    )


def _host_port(item: str, default_port: int) -> tuple[str, int]:
    if item.startswith("["):
        host, _, rest = item[1:].partition("]")
        return host, int(rest[1:]) if rest else default_port
    host, _, port = item.partition(":")
    return host, int(port) if port else default_port


class Connections:
    """The clients of one store address, opened lazily and closed together."""

    def __init__(self, address: StoreAddress) -> None:
        self.address = address
        self.is_cluster = address.kind == "cluster"
        self.client: Any = _client(address, REQUEST_TIMEOUT_S)
        self._blocking: Any = None
        self._patient: Any = None

    def blocking(self) -> Any:
        """A client without a read time limit, for commands that wait on purpose."""
        if self._blocking is None:
            self._blocking = _client(self.address, None)
        return self._blocking

    def patient(self, wait_s: float) -> Any:
        """A client for commands that the server answers within `wait_s`, always the same number."""
        if self._patient is None:
            self._patient = _client(self.address, REQUEST_TIMEOUT_S + wait_s)
        return self._patient

    async def aclose(self) -> None:
        """Close every connection."""
        for client in (self.client, self._blocking, self._patient):
            if client is not None:
                await client.aclose()


def connect(url: str) -> Connections:
    """The clients for a store URL; no connection is made before the first command."""
    return Connections(parse_store_url(url))


def _client(address: StoreAddress, read_timeout_s: float | None) -> Any:
    common: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        "socket_timeout": read_timeout_s,
        "socket_connect_timeout": REQUEST_TIMEOUT_S,
        "protocol": 2,
        "driver_info": None,
    }
    tls: dict[str, Any] = {}
    if address.tls:
        names = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
        tls = {option: address.query[name] for name, option in names.items() if name in address.query}
    retry = Retry(NoBackoff(), 0)
    if address.kind == "cluster":
        return RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
            cluster_error_retry_attempts=1,
            retry=retry,
            ssl=address.tls,
            **tls,
            **common,
        )
    if address.kind == "sentinel":
        sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves this constructor untyped
            list(address.hosts),
            sentinel_kwargs={"socket_timeout": REQUEST_TIMEOUT_S, "socket_connect_timeout": REQUEST_TIMEOUT_S},
            min_other_sentinels=0,
        )
        return sentinel.master_for(address.service, db=address.db, retry=retry, ssl=address.tls, **tls, **common)
    connection_class, where = _single_server(address, tls)
    pool = BlockingConnectionPool(
        max_connections=MAX_CONNECTIONS,
        timeout=REQUEST_TIMEOUT_S,
        connection_class=connection_class,
        db=address.db,
        retry=retry,
        **where,
        **common,
    )
    return Redis.from_pool(pool)


def _single_server(address: StoreAddress, tls: Mapping[str, Any]) -> tuple[type[Any], dict[str, Any]]:
    """The connection class of one server, and where it is."""
    if address.kind == "unix":
        return UnixDomainSocketConnection, {"path": address.service}
    host, port = address.hosts[0]
    return SSLConnection if address.tls else Connection, {"host": host, "port": port, **tls}
