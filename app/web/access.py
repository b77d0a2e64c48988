"""Who may do what: bearer tokens, open routes, and the guard of open routes on a laptop.

Tasks and locks are guarded by a token each, or opened by `OPEN_ROUTES`. Where they are open because the
service runs on loopback, a web page must not be able to reach them through its visitor's browser: requests
with a foreign `Host` or `Origin`, a cross-site `Sec-Fetch-Site`, or a body that is not JSON are refused.
"""

import hmac
from enum import Enum
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.requests import Request

from app.errors import Forbidden, Unauthorized
from app.settings import Settings

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Access(Enum):
    """What a route asks of its caller."""

    PUBLIC = "public"
    TASKS = "tasks"
    LOCKS = "locks"
    ADMIN = "admin"


def require_access(request: Request, access: Access, settings: Settings) -> None:
    """Let the caller pass or say why not.

    The admin token opens everything.

    Raises:
        Unauthorized: the token is missing or wrong.
        Forbidden: the route is not set up, or is reached in a way that a web page could abuse.
    """
    if access is Access.PUBLIC:
        return
    given = given_token(request, access)
    if given is not None:
        accepted = [_token_for(access, settings), settings.admin_token]
        if any(_same(given, token) for token in accepted):
            return
        if not (access is Access.LOCKS and access.value in settings.open_kinds):  # there it may be the upstream's
            raise Unauthorized("The bearer token is not the right one for this route.", reason="wrong_token")
    if access.value in settings.open_kinds:
        if settings.on_loopback:
            _refuse_web_pages(request)
        return
    name = f"{access.value[:-1].upper()}_TOKEN" if access is not Access.ADMIN else "ADMIN_TOKEN"
    if _token_for(access, settings) is None and settings.admin_token is None:
        hint = "" if access is Access.ADMIN else f", or open these routes with OPEN_ROUTES={access.value}"
        raise Forbidden(f"This route is not set up: set {name} and send it as a bearer token{hint}.")
    raise Unauthorized(
        f"Send the token as `Authorization: Bearer …`; the operator has it as {name}.", reason="missing_token"
    )


def given_token(request: Request, access: Access) -> str | None:
    """The caller's token. A lock's caller may send it as `Proxy-Authorization`, to keep `Authorization` for the upstream."""
    if access is Access.LOCKS:
        given = bearer_token(request.headers.get("proxy-authorization", ""))
        if given is not None:
            return given
    return bearer_token(request.headers.get("authorization", ""))


def is_token_of(given: str, access: Access, settings: Settings) -> bool:
    """Whether this is the token made for these routes; the admin token, which opens them as well, is another."""
    return _same(given, _token_for(access, settings))


def carries_own_token(request: Request, settings: Settings) -> bool:
    """Whether `Authorization` holds a token of this service, which is nobody else's to see."""
    given = bearer_token(request.headers.get("authorization", ""))
    own = (settings.lock_token, settings.task_token, settings.admin_token)
    return given is not None and any(_same(given, token) for token in own)


def bearer_token(authorization: str) -> str | None:
    """The token of an `Authorization: Bearer` header, or None when it is no such header."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _token_for(access: Access, settings: Settings) -> SecretStr | None:
    return {
        Access.TASKS: settings.task_token,
        Access.LOCKS: settings.lock_token,
        Access.ADMIN: settings.admin_token,
    }.get(access)


def _same(given: str, token: SecretStr | None) -> bool:
    return token is not None and hmac.compare_digest(given.encode(), token.get_secret_value().encode())


def _refuse_web_pages(request: Request) -> None:
    netloc = request.headers.get("host", "")
    if _host_name(f"//{netloc}") not in _LOOPBACK_NAMES:
        raise Forbidden(f"These routes are open to this machine only, under its own name, not as {netloc!r}.")
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != netloc:
        raise Forbidden("These routes are open to programs on this machine, not to pages of other sites.")
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise Forbidden("These routes are open to programs on this machine, not to pages of other sites.")
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method not in ("GET", "HEAD") and has_body and not media_type.endswith("json"):
        raise Forbidden("Without a token, a body must be sent as `Content-Type: application/json`.")


def _host_name(url: str) -> str:
    """The host of a URL without its port; empty when there is none that could be one."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
