"""What a store URL says, taken apart without opening anything.

    redis://[user:password@]host[:6379][/db]            one server
    unix://[user:password@]/path/to/socket[?db=0]       one server, by its socket
    redis+sentinel://host[:26379],host…/service[/db]    whatever server the Sentinels call the primary
    redis+cluster://host[:6379],host…                   a cluster; any of its nodes will do

`rediss` in place of `redis` speaks TLS, also to Sentinels; `?ca=`, `?cert=`, `?key=` name PEM files, and
`?check_hostname=no` accepts a certificate whose name is not the address. `?sentinel_username=` and
`?sentinel_password=` log in at the Sentinels. What is wrong is said without repeating any of the URL's
values, for one of them may be a password.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

SENTINEL_PORT = 26379
SERVER_PORT = 6379
SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
TLS_FILES = ("ca", "cert", "key")

_OPTIONS = {
    "tls": (*TLS_FILES, "check_hostname"),
    "unix": ("db",),
    "sentinel": ("sentinel_username", "sentinel_password"),
}


@dataclass(frozen=True)
class StoreAddress:
    """A store URL, taken apart."""

    kind: str
    """`redis`, `unix`, `sentinel` or `cluster`."""
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    service: str = ""
    """The name of the Sentinel service, or the path of the unix socket."""
    query: Mapping[str, str] = field(default_factory=dict, repr=False)


def parse_store_url(url: str) -> StoreAddress:
    """Take a store URL apart.

    Raises:
        ValueError: it cannot be used; the message says why and holds none of its values.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or "://" not in url:
        raise ValueError(f"must start with one of {', '.join(scheme + '://' for scheme in SCHEMES)}")
    if parts.fragment or "#" in url:
        raise ValueError("holds a '#'; in a user name or password write it as %23")
    scheme, _, topology = parts.scheme.partition("+")
    kind = topology or ("unix" if scheme == "unix" else "redis")
    userinfo, _, hostlist = parts.netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    hosts = tuple(
        _host_port(item, SENTINEL_PORT if kind == "sentinel" else SERVER_PORT) for item in hostlist.split(",") if item
    )
    query = _options(parts.query, kind, tls=scheme == "rediss")
    service, db = _service_and_db(kind, unquote(parts.path), query)
    if kind == "unix" and hosts:
        raise ValueError("a unix socket has no host; write unix:///path/to/socket")
    if kind != "unix" and not hosts:
        raise ValueError("names no host")
    if kind == "redis" and len(hosts) > 1:
        raise ValueError("several hosts need redis+sentinel:// or redis+cluster://")
    return StoreAddress(
        kind=kind,
        tls=scheme == "rediss",
        hosts=hosts,
        username=unquote(username) or None,
        password=unquote(password) or None,
        db=db,
        service=service,
        query=query,
    )


def _options(text: str, kind: str, *, tls: bool) -> dict[str, str]:
    query = dict(parse_qsl(text, keep_blank_values=True))
    known = (*(_OPTIONS["tls"] if tls else ()), *_OPTIONS.get(kind, ()))
    unknown = sorted(set(query) - set(known))
    if unknown:
        only_tls = "" if tls or not set(unknown) & set(_OPTIONS["tls"]) else " (TLS options need rediss)"
        raise ValueError(f"has options that are not known here: {', '.join(unknown)}{only_tls}")
    if query.get("check_hostname", "yes") not in ("yes", "no"):
        raise ValueError("check_hostname must be yes or no")
    if ("cert" in query) != ("key" in query):
        raise ValueError("cert and key go together")
    return query


def _service_and_db(kind: str, path: str, query: Mapping[str, str]) -> tuple[str, int]:
    if kind == "unix":
        if not path.strip("/"):
            raise ValueError("names no socket; write unix:///path/to/socket")
        return path, _db(query.get("db", "0"))
    pieces = [piece for piece in path.split("/") if piece]
    service = ""
    if kind == "sentinel":
        if not pieces:
            raise ValueError("a Sentinel URL needs the service: redis+sentinel://host:26379/service")
        service, *pieces = pieces
    if len(pieces) > 1:
        raise ValueError("has more path than a database number")
    db = _db(pieces[0]) if pieces else 0
    if kind == "cluster" and db:
        raise ValueError("a cluster has database 0 only")
    return service, db


def _db(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("the database must be a number")
    return int(text)


def _host_port(item: str, default_port: int) -> tuple[str, int]:
    if item.startswith("["):
        host, closed, rest = item[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 host is written [::1]:6379")
        port = rest[1:]
    else:
        host, _, port = item.partition(":")
    if not host:
        raise ValueError("names a port without a host")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("a port must be a number up to 65535 (special characters of a password are written as %XX)")
    return host, int(port) if port else default_port
