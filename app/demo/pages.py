"""What all pages of the box office share: templates, headers, and who is looking."""

import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

FOLDER = Path(__file__).parent
VISITOR_COOKIE = "box-office-visitor"

SECURITY_HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page for this visitor, whose cookie it sets."""
    body = templates().get_template(template).render(**values)
    response = Response(body, status, headers=dict(SECURITY_HEADERS), media_type="text/html; charset=utf-8")
    return _remembering(request, response)


def go(request: Request, path: str, headers: Mapping[str, str] | None = None) -> Response:
    """Send this visitor to another page, after a form."""
    return _remembering(request, RedirectResponse(path, 303, headers=headers))


def _remembering(request: Request, response: Response) -> Response:
    visitor = visitor_of(request)
    if request.cookies.get(VISITOR_COOKIE) != visitor:
        secure = request.url.scheme == "https"
        response.set_cookie(VISITOR_COOKIE, visitor, max_age=86_400, httponly=True, samesite="lax", secure=secure)
    return response


def visitor_of(request: Request) -> str:
    """The site's own name for whoever is asking: from the cookie, else made now."""
    if not hasattr(request.state, "visitor"):
        known = request.cookies.get(VISITOR_COOKIE, "")
        request.state.visitor = known if 16 <= len(known) <= 64 else secrets.token_urlsafe(18)
    visitor: str = request.state.visitor
    return visitor


def from_own_page(request: Request) -> None:
    """Refuse a form that a page of another site sends.

    Raises:
        HTTPException: 403.
    """
    site = request.headers.get("sec-fetch-site")  # what the browser itself says, also behind a proxy that renames us
    if site is None:
        origin = request.headers.get("origin")
        own = origin is None or origin.partition("://")[2] == request.headers.get("host")
    else:
        own = site in ("same-origin", "none")
    if not own:
        raise HTTPException(403)


@cache
def templates() -> Environment:
    """The templates; everything they are given is escaped."""
    loader = FileSystemLoader(FOLDER / "templates")
    return Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
