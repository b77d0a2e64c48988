"""What a trusted proxy says about the original request; nobody else's word counts."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from app.settings import IPNetwork, Settings


class Proxies:
    """The trusted proxies of one deployment."""

    def __init__(self, settings: Settings) -> None:
        self._trusted = settings.trusted_proxies
        self._is_trusted = lru_cache(maxsize=1024)(lambda host: _inside(host, self._trusted))

    def is_https(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> bool:
        """Whether the visitor's own connection is encrypted."""
        client = scope.get("client")
        if client and self._trusted and self._is_trusted(client[0]):
            forwarded = headers.get(b"x-forwarded-proto")
            if forwarded is not None:
                return forwarded.split(b",")[-1].strip() == b"https"
        return bool(scope["scheme"] == "https")


def _inside(host: str, networks: tuple[IPNetwork, ...]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)
