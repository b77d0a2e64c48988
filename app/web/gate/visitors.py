"""What kind of request it is that the gate judges: somebody opening a page, or a program.

Browsers say so themselves by `Sec-Fetch-Mode` and `Sec-Fetch-Dest`, on secure pages. Where they do not, who accepts
`text/html` is somebody opening a page. An exact `Accept` is never asked for.
"""

from collections.abc import Mapping

Headers = Mapping[bytes, bytes]

_PAGE_METHODS = frozenset(("GET", "HEAD", "POST", ""))
_FRAMES = frozenset((b"document", b"iframe", b"frame", b"fencedframe"))


def opens_page(method: str, headers: Headers) -> bool:
    """Whether a browser opens a page, in a tab or a frame, and can be led elsewhere.

    Args:
        method: in capitals; empty when it is not known.
    """
    if method not in _PAGE_METHODS or b"upgrade" in headers or is_prefetch(headers):
        return False
    mode = headers.get(b"sec-fetch-mode")
    if mode is not None:
        return mode == b"navigate" and headers.get(b"sec-fetch-dest", b"document") in _FRAMES
    return b"text/html" in headers.get(b"accept", b"").lower()


def opens_tab(method: str, headers: Headers) -> bool:
    """Whether a person opens a page at the top of a tab, so that the answer's cookie will come back."""
    return (
        method == "GET"
        and opens_page(method, headers)
        and headers.get(b"sec-fetch-dest", b"document") == b"document"
        and b"origin" not in headers
    )


def is_preflight(method: str, headers: Headers) -> bool:
    """Whether a browser asks, without cookies, if a page of another site may ask at all."""
    return method == "OPTIONS" and b"origin" in headers and b"access-control-request-method" in headers


def is_prefetch(headers: Headers) -> bool:
    """Whether a browser fetches ahead what nobody has asked to see yet."""
    return b"prefetch" in headers.get(b"sec-purpose", b"") or headers.get(b"purpose") == b"prefetch"
