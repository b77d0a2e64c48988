"""Which pages may call: same-origin ones, and those of `ALLOWED_ORIGINS` (CORS)."""

from collections.abc import Mapping

from starlette.requests import Request

from app.errors import Forbidden
from app.settings import Settings

Headers = Mapping[bytes, bytes]

_MAY_SEND = b"authorization, content-type, idempotency-key, x-identity-token, x-request-id, x-waiting-room-pass"
_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", _MAY_SEND),
    (b"access-control-max-age", b"600"),
)


class Origins:
    """The origins' rules of one deployment."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = frozenset(origin.encode() for origin in settings.allowed_origins)

    def cors_headers(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """What a page of an allowed origin needs to read the answer; nothing for others."""
        origin = headers.get(b"origin")
        if origin is None or origin not in self._allowed:
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", b"retry-after, x-request-id"),
            (b"vary", b"origin"),
        ]

    def preflight_headers(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """What a browser has to hear before a page of an allowed origin may send a ticket; nothing for others."""
        cors = self.cors_headers(headers)
        return [*cors, *_PREFLIGHT] if cors else []

    def check_change(self, headers: Headers) -> None:
        """Refuse a change that a page of another, not allowed site asks for.

        Raises:
            Forbidden: the `Origin` is neither our own nor in `ALLOWED_ORIGINS`.
        """
        site = headers.get(b"sec-fetch-site")
        if site == b"same-origin":  # set by the browser itself, also where it keeps the Origin to itself
            return
        origin = headers.get(b"origin")
        if origin is None:
            if site == b"cross-site":
                raise Forbidden("Pages of other sites may not do this; the operator can allow them by ALLOWED_ORIGINS.")
            return
        if origin not in self._allowed and not self.is_own(headers):
            raise Forbidden("Pages of this origin may not do this; the operator can allow them by ALLOWED_ORIGINS.")

    def from_own_page(self, headers: Headers) -> bool:
        """Whether a change comes from a page of our own host, so that its answer may set a cookie.

        Browsers of some years ago send neither `Origin` nor `Sec-Fetch-Site` with a form; then the `Referer`
        speaks, and without any of them a form is taken for our own: all it could do is give a visitor a place.
        """
        if b"sec-fetch-site" in headers:
            return headers[b"sec-fetch-site"] == b"same-origin" or self.is_own(headers)
        if b"origin" in headers:
            return self.is_own(headers)
        referer = headers.get(b"referer")
        return referer is None or referer.partition(b"://")[2].partition(b"/")[0] == headers.get(b"host", b"\0")

    def is_own(self, headers: Headers) -> bool:
        """Whether a page of our own host asks, so that a cookie may be set for it."""
        origin = headers.get(b"origin", b"")
        return origin.partition(b"://")[2] == headers.get(b"host", b"\0")


def origins_of(request: Request) -> Origins:
    """The deployment's origins, for handlers behind the router."""
    origins: Origins = request.state.origins
    return origins
