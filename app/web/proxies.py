"""What a trusted proxy says about the original request; nobody else's word counts."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from starlette.requests import Request

from app.settings import IPNetwork, Settings

_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")


class Proxies:
    """The trusted proxies of one deployment."""

    def __init__(self, settings: Settings) -> None:
        self._trusted = settings.trusted_proxies
        self._is_trusted = lru_cache(maxsize=1024)(lambda host: _inside(host, self._trusted))

    def trusts_sender(self, scope: Mapping[str, Any]) -> bool:
        """Whether the connection comes from a trusted proxy."""
        client = scope.get("client")
        return bool(client and self._trusted and self._is_trusted(client[0]))

    def address(self, scope: Mapping[str, Any]) -> str:
        """The visitor's own address, as far as trusted proxies tell; an IPv6 one is cut to its /64."""
        return _grouped(self.whole_address(scope))

    def whole_address(self, scope: Mapping[str, Any]) -> str:
        """The visitor's own address, as far as trusted proxies tell; maybe no address at all, if they tell nonsense."""
        client = scope.get("client")
        host = client[0] if client else "unknown"
        hops = _hops(scope) if self._trusted else []
        while hops and self._is_trusted(host):
            hop = hops.pop().strip()
            if not hop:
                break
            host = _without_port(hop)
        return str(host)

    def is_https(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> bool:
        """Whether the visitor's own connection is encrypted."""
        if self.trusts_sender(scope):
            forwarded = headers.get(b"x-forwarded-proto")
            if forwarded is not None:
                return forwarded.split(b",")[-1].strip() == b"https"
        return bool(scope["scheme"] == "https")


def proxies_of(request: Request) -> Proxies:
    """The deployment's proxies, for handlers behind the router."""
    proxies: Proxies = request.state.proxies
    return proxies


def is_https(request: Request) -> bool:
    """Whether the visitor's own connection is encrypted, for handlers behind the router."""
    return proxies_of(request).is_https(request.scope, dict(request.scope["headers"]))


def _hops(scope: Mapping[str, Any]) -> list[str]:
    """The addresses that proxies say they were asked from. Some add a line of their own to what came: all are one list."""
    lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return b",".join(lines).decode("latin-1").split(",")


def _without_port(hop: str) -> str:
    """The address of `192.0.2.7:5123` and `[2001:db8::7]:5123`, as some proxies write it; every port would be another visitor."""
    match = _WITH_PORT.fullmatch(hop)
    return match[1] or match[2] if match else hop


def _grouped(host: str) -> str:
    """The address as limits see it: an IPv6 subscriber has a whole /64."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((int(address) >> 64 << 64, 64)))
    return str(address)


def _inside(host: str, networks: tuple[IPNetwork, ...]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)
