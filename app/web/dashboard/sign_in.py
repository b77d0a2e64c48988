"""The dashboard's door: its form, signing in, signing out."""

import re
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.errors import Forbidden, SignInRefused, TooLarge, TooManyTries
from app.logs import get_logger
from app.operators.sessions import MAX_NAME
from app.web.bodies import NO_STORE
from app.web.dashboard.pages import html
from app.web.operations import services_of
from app.web.operator_access import forget_session, refuse_other_sites, remember_session, require_csrf, session_of
from app.web.problems import problem_headers, status_of
from app.web.proxies import proxies_of

log = get_logger(__name__)

MAX_FORM_BYTES = 4000
_PAGES = re.compile(r"rooms/[a-z0-9][a-z0-9_-]{0,63}|tasks|locks")
"""Where one may want to go after signing in; nothing else is followed."""


async def form(request: Request) -> Response:
    """The form, or the dashboard for whoever is signed in already."""
    services = services_of(request)
    if not services.sign_ins.set_up:
        return html(request, "admin_set_up.html", 403)
    to = _page(request.query_params.get("to", ""))
    if await session_of(request, services) is not None:
        return _go_to(to)
    return html(request, "admin_sign_in.html", to=to, trouble="")


async def sign_in(request: Request) -> Response:
    """Check the token and begin a session."""
    services = services_of(request)
    if not services.sign_ins.set_up:
        return html(request, "admin_set_up.html", 403)
    _require_own_page(request)
    fields = await _fields(request)
    to, name = _page(fields.get("to", "")), " ".join(fields.get("name", "").split())
    if len(name) > MAX_NAME or not name.isprintable():
        return html(request, "admin_sign_in.html", 400, to=to, trouble=f"A name has at most {MAX_NAME} characters.")
    address = proxies_of(request).address(request.scope)
    try:
        cookie = await services.sign_ins.sign_in(fields.get("token", "").strip(), name, address)
    except (SignInRefused, TooManyTries) as error:
        log.warning("sign_in_refused", kind=error.kind, address=address)
        response = html(request, "admin_sign_in.html", status_of(error), to=to, trouble=error.message)
        response.headers.update(dict(problem_headers(status_of(error), retry_after_s=error.retry_after_s)))
        return response
    log.info("operator_signed_in", name=name, address=address)
    response = _go_to(to)
    remember_session(response, cookie, request, services)
    return response


async def sign_out(request: Request) -> Response:
    """End the session on every replica."""
    services = services_of(request)
    _require_own_page(request)
    session = await session_of(request, services)
    response = RedirectResponse("sign-in", 303, NO_STORE)
    if session is not None:
        await require_csrf(services, session, (await _fields(request)).get("csrf", ""))
        await services.sign_ins.sign_out(session)
        log.info("operator_signed_out", name=session.name)
        forget_session(response, request, services)
    return response


def _require_own_page(request: Request) -> None:
    """Forms must come from our own pages, and say so; every browser of these years does.

    Raises:
        Forbidden: another site's page, or none.
    """
    refuse_other_sites(request)
    if "origin" not in request.headers and "sec-fetch-site" not in request.headers:
        raise Forbidden("Sign in with a browser; programs send the admin token as a bearer token.")


async def _fields(request: Request) -> dict[str, str]:
    """The form's fields; the last one of a name counts.

    Raises:
        TooLarge: more than a form of ours holds.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM_BYTES:
            raise TooLarge(f"The form has more than {MAX_FORM_BYTES:,} bytes.")
    return {name: values[-1] for name, values in parse_qs(body.decode(errors="replace")).items()}


def _page(wanted: str) -> str:
    return wanted if _PAGES.fullmatch(wanted) else ""


def _go_to(to: str) -> Response:
    return RedirectResponse("../admin" + (f"/{to}" if to else ""), 303, NO_STORE)
