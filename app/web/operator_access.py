"""Guarded routes: opened by a token, of which nobody may try many, or for an operator by the dashboard's cookie.

The cookie alone opens nothing that a program could use: requests to the API must also carry the session's own CSRF
token, which only the dashboard's pages know, and must not come from a page of another site.
"""

import hmac
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.errors import Forbidden, Unauthorized
from app.logs import get_logger
from app.operators.sessions import SESSION_S, OperatorSession
from app.services import Services
from app.settings import Settings
from app.web.access import Access, bearer_token, given_token, is_token_of, require_access
from app.web.proxies import is_https, proxies_of

CSRF_HEADER = "x-csrf-token"

log = get_logger(__name__)


async def allow(request: Request, access: Access, services: Services) -> None:
    """Let the caller pass, by token or as a signed-in operator, or say why not.

    Raises:
        Unauthorized, Forbidden: as `require_access`; Forbidden also when another site's page may be behind it.
        TooManyTries: too many wrong tokens have come from the caller's address.
    """
    if access is Access.PUBLIC:
        return
    # A password that a proxy asks for besides travels in the same header, and is not for us.
    if access is Access.ADMIN and bearer_token(request.headers.get("authorization", "")) is None:
        session = await session_of(request, services)
        if session is not None:
            refuse_other_sites(request)
            await require_csrf(services, session, request.headers.get(CSRF_HEADER, ""))
            request.state.operator = session.name
            return
    settings, given = services.settings, given_token(request, access)
    if given is None or (access is not Access.ADMIN and is_token_of(given, access, settings)):
        require_access(request, access, settings)
        return
    # It may be a guess at the admin token. Those at other routes are counted apart: a worker with an old token of its own
    # keeps no operator out.
    address, tries = proxies_of(request).address(request.scope), services.sign_ins.tries
    caller = address if access is Access.ADMIN else f"{access.value} {address}"
    tries.check(caller)
    try:
        require_access(request, access, settings)
    except Unauthorized:
        log.warning("token_refused", routes=access.value, address=address)
        await tries.count(caller)
        raise


async def session_of(request: Request, services: Services) -> OperatorSession | None:
    """The session that the request's cookie stands for."""
    value = request.cookies.get(_cookie_name(services.settings, secure=is_https(request)))
    return await services.sign_ins.session(value) if value else None


def refuse_other_sites(request: Request) -> None:
    """Refuse what a page of another site asks for.

    Raises:
        Forbidden: by `Sec-Fetch-Site`, or by an `Origin` that is not ours.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site in ("same-origin", "none"):  # none: typed or opened by the operator
            return
        raise Forbidden("Only the dashboard's own pages may do this.")
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Forbidden("Only the dashboard's own pages may do this.")


async def require_csrf(services: Services, session: OperatorSession, given: str) -> None:
    """Refuse a request that does not carry the session's own token.

    Raises:
        Forbidden: it is missing or wrong.
    """
    wanted = await services.sign_ins.csrf_token(session)
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise Forbidden(
            "The dashboard's pages send their CSRF token along; programs use the admin token as a bearer token."
        )


def remember_session(response: Response, value: str, request: Request, services: Services) -> None:
    """Set the cookie. It has no `Path`, so that browsers keep it to the dashboard's folder under any prefix."""
    _set_cookie(response, value, SESSION_S, request, services)


def forget_session(response: Response, request: Request, services: Services) -> None:
    """Take the cookie away."""
    _set_cookie(response, "", 0, request, services)


def _set_cookie(response: Response, value: str, age_s: int, request: Request, services: Services) -> None:
    secure = is_https(request)
    name = _cookie_name(services.settings, secure=secure)
    attributes: dict[str, Any] = {"httponly": True, "samesite": "strict", "secure": secure, "path": None}
    response.set_cookie(name, value, max_age=age_s, **attributes)


def _cookie_name(settings: Settings, *, secure: bool) -> str:
    """Different for deployments that share a host; over HTTPS a name that browsers take from HTTPS only."""
    name = "stanchion-admin-" + sha256(settings.deployment.encode()).hexdigest()[:8]
    return "__Secure-" + name if secure else name
