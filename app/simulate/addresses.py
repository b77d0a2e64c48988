"""Where the service is: the addresses that a simulation was given, or the one that all commands use."""

from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from app.errors import InvalidInput
from app.settings import load_client_settings


def service_urls(given: Sequence[str] | None) -> list[str]:
    """The addresses to send requests to, without a slash at the end; `STANCHION_URL` when none was given.

    Raises:
        InvalidInput: one of them cannot be used.
    """
    urls = [url.rstrip("/") for url in given or [load_client_settings().stanchion_url]]
    for url in urls:
        url_parts(url)
    return urls


def url_parts(url: str) -> SplitResult:
    """The parts of an address that a path can be added to.

    Raises:
        InvalidInput: it is not `http://host` or `https://host`, with a port and a path or without.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidInput(f"The URL {url!r} cannot be used: {error}.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInput(f"The URL {url!r} cannot be used: give one like http://localhost:3000.")
    return parts
