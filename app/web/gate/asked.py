"""One question to the gate: its headers at once, and what the visitor asked for when that is needed.

Most visitors have a pass, and a pass is looked at before anything else of the request.
"""

from collections.abc import Mapping
from typing import Any

from app.web.gate.original import Original, merged_headers, original_request
from app.web.proxies import Proxies


class Asked:
    """What a proxy sent."""

    __slots__ = ("_doubled", "_original", "_own_uri", "_proxies", "headers", "scope", "secure")

    def __init__(self, scope: Mapping[str, Any], proxies: Proxies) -> None:
        self.scope = scope
        self.headers, self._doubled = merged_headers(scope["headers"])
        self.secure = proxies.is_https(scope, self.headers)
        """Whether the visitor's own connection is encrypted."""
        self._proxies = proxies
        self._own_uri: str | None = None
        self._original: Original | None = None

    def tells_by_path(self, own_uri: str) -> None:
        """The request target stands in the gate's own address."""
        self._own_uri = own_uri

    @property
    def original(self) -> Original:
        """The visitor's request, as far as it is known beyond doubt."""
        if self._original is None:
            self._original = original_request(
                self.scope, self.headers, self._doubled, self._proxies, self._own_uri, https=self.secure
            )
        return self._original

    @property
    def address(self) -> str:
        """The visitor's own address, as far as trusted proxies tell."""
        return self._proxies.whole_address(self.scope)

    @property
    def address_for_limits(self) -> str:
        """The same, an IPv6 one cut to its /64."""
        return self._proxies.address(self.scope)

    @property
    def request_id(self) -> bytes | None:
        """What a trusted proxy calls this request: the same when it asks a second replica, and no other request's."""
        return self.headers.get(b"x-request-id") if self._proxies.trusts_sender(self.scope) else None

    @property
    def by_untrusted_proxy(self) -> bool:
        """Whether this was looked into, and found to come from a proxy whose words are not believed."""
        return self._original is not None and self._original.proxied and self._own_uri is None
