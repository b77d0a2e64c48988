"""What the visitor asked the proxy for: told by headers of trusted proxies, or by the path of the gate's own address.

Two families of headers are understood: `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` (Traefik, Caddy) and
`X-Original-Method`, `X-Original-URI`, `X-Original-URL` (nginx, ingress-nginx). A proxy sets one of them and hands the
visitor's own headers on, the other family included. So where the two do not say the same, or one header comes twice,
somebody tries to be taken for somewhere else, and which of the words is the proxy's cannot be known: then none counts,
no rule applies, and the visitor waits. What others than trusted proxies say is not read at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from app.web.proxies import Proxies

_ORIGINAL = (b"x-original-method", b"x-original-uri", b"x-original-url")
_FORWARDED = (b"x-forwarded-method", b"x-forwarded-uri")
_TELLING = frozenset((*_ORIGINAL, *_FORWARDED, b"x-forwarded-host", b"x-forwarded-proto"))
_PROXIED = frozenset((*_TELLING, b"x-forwarded-for", b"forwarded", b"x-real-ip"))
_LEFT_ALONE = "/?#[]@!$&'()*+,;=:%|^{}~"
MAX_URI = 8000


class Original(NamedTuple):
    """The visitor's request, as far as it is known beyond doubt."""

    method: str
    """In capitals; empty when it is not known."""
    uri: str
    """Path and query as the visitor sent them; empty when they are not known."""
    host: str
    """Host and port, in small letters; empty when they are not known."""
    https: bool
    """Whether the visitor's own connection is encrypted."""
    proxied: bool
    """Whether the address of the connection may be a proxy's that is not trusted."""


NOTHING = ""


def merged_headers(raw: Sequence[tuple[bytes, bytes]]) -> tuple[Mapping[bytes, bytes], frozenset[bytes]]:
    """The headers by name, and those that came more than once; cookies are put together, of others the last counts."""
    headers = dict(raw)
    if len(headers) == len(raw):
        return headers, frozenset()
    seen: set[bytes] = set()
    doubled: set[bytes] = set()
    for name, _ in raw:
        (doubled if name in seen else seen).add(name)
    if b"cookie" in doubled:
        headers[b"cookie"] = b"; ".join(value for name, value in raw if name == b"cookie")
    return headers, frozenset(doubled)


def original_request(
    scope: Mapping[str, Any],
    headers: Mapping[bytes, bytes],
    doubled: Iterable[bytes],
    proxies: Proxies,
    own_uri: str | None = None,
    *,
    https: bool,
) -> Original:
    """What the visitor asked for.

    Args:
        doubled: headers that came more than once, from `merged_headers`.
        own_uri: the request target where the gate's own address holds it (Envoy's way); then no header tells it.
        https: whether the visitor's own connection is encrypted.
    """
    host = headers.get(b"host", b"")
    if not proxies.trusts_sender(scope):
        proxied = not _PROXIED.isdisjoint(headers)
        return Original(scope["method"], own_uri or NOTHING, as_text(host).lower(), https, proxied)
    if not _TELLING.isdisjoint(doubled):
        return Original(NOTHING, NOTHING, NOTHING, https, False)
    host = headers.get(b"x-forwarded-host", host).rpartition(b",")[2].strip()
    if own_uri is not None:
        return Original(scope["method"], own_uri, as_text(host).lower(), https, False)
    tellers = [told for told in (_told_by_original(headers), _told_by_forwarded(headers)) if told is not None]
    if not tellers:
        return Original(scope["method"], NOTHING, as_text(host).lower(), https, False)
    if len(tellers) == 2 and not _agree(*tellers):
        return Original(NOTHING, NOTHING, NOTHING, https, False)
    method, uri, site = tellers[0]
    return Original(as_text(method).upper(), as_text(uri), as_text(site or host).lower(), https, False)


_Told = tuple[bytes, bytes, bytes]
"""Method, request target, and host, each empty when it was not told."""


def _told_by_original(headers: Mapping[bytes, bytes]) -> _Told | None:
    uri, url = headers.get(b"x-original-uri"), headers.get(b"x-original-url")
    method = headers.get(b"x-original-method", b"")
    if uri is None and url is None:
        return (method, b"", b"") if method else None
    site = b""
    if url is not None:
        _, _, rest = url.partition(b"://")
        site, slash, path = rest.partition(b"/")
        if uri is not None and uri != slash + path:
            return method, b"", b""
        uri = slash + path
    return method, uri or b"", site


def _told_by_forwarded(headers: Mapping[bytes, bytes]) -> _Told | None:
    if b"x-forwarded-uri" not in headers and b"x-forwarded-method" not in headers:
        return None
    return headers.get(b"x-forwarded-method", b""), headers.get(b"x-forwarded-uri", b""), b""


def _agree(one: _Told, other: _Told) -> bool:
    """Whether two tellings are the same; what only one of them tells, the visitor may have added."""
    return one[:2] == other[:2]


def as_text(value: bytes) -> str:
    """A header's value as text; what no address may hold as it is, percent-encoded; nothing when it is longer than any address."""
    if len(value) > MAX_URI:
        return NOTHING
    return quote(value, safe=_LEFT_ALONE)
