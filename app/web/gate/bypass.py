"""Who need not wait: a room's bypass rules, compiled once for each version of its settings."""

import hmac
import ipaddress
import re
from collections.abc import Iterable

from app.rooms.gate import GateBypass
from app.web.gate.paths import readable_path

MAX_REMEMBERED = 4096
SECRET_HEADER = b"x-waiting-room-bypass"


class Bypass:
    """The rules of one room."""

    def __init__(self, rules: GateBypass) -> None:
        self._exact = frozenset(path for path in rules.paths if "*" not in path and not path.endswith("/"))
        self._below = tuple(path for path in rules.paths if "*" not in path and path.endswith("/"))
        globs = [path for path in rules.paths if "*" in path]
        self._globs = re.compile("|".join(map(_as_pattern, globs))) if globs else None
        self._methods = frozenset(rules.methods)
        self._networks = [ipaddress.ip_network(network) for network in rules.networks]
        self._secret = rules.header_secret.encode() if rules.header_secret else None
        self._has_paths = bool(rules.paths)
        self._paths_seen: dict[str, bool] = {}
        self.asks_address = bool(self._networks)
        """Whether the visitor's address matters."""

    def lets_path(self, uri: str) -> bool:
        """Whether the path of this request target need not wait. The answers for the last thousands are remembered."""
        if not self._has_paths:
            return False
        written = uri.partition("?")[0]
        known = self._paths_seen.get(written)
        if known is None:
            path = readable_path(written)
            known = path is not None and (
                path in self._exact
                or path.startswith(self._below)
                or (self._globs is not None and self._globs.fullmatch(path) is not None)
            )
            if len(self._paths_seen) >= MAX_REMEMBERED:
                self._paths_seen.clear()
            self._paths_seen[written] = known
        return known

    def lets_method(self, method: str) -> bool:
        """Whether requests of this method need not wait."""
        return method in self._methods

    def lets_address(self, address: str) -> bool:
        """Whether who comes from this address need not wait; what is no address never is."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self._networks)

    def lets_secret(self, given: bytes | None) -> bool:
        """Whether this is the room's word for those who need not wait."""
        return given is not None and self._secret is not None and hmac.compare_digest(given, self._secret)


def _as_pattern(rule: str) -> str:
    pieces: Iterable[str] = re.split(r"(\*+)", rule)
    wild = {"*": "[^/]*", "**": ".*"}
    pattern = "".join(wild[piece] if piece in wild else re.escape(piece) for piece in pieces)
    return f"(?:{pattern}.*)" if rule.endswith("/") else f"(?:{pattern})"
