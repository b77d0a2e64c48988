"""Forms that the waiting page posts where no script does it: the answer is the next page, not a document."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from app.errors import StanchionError
from app.web.bodies import NO_STORE
from app.web.targets import MAX_TARGET

_FORMS = re.compile(r"/join|/rooms/(?P<room>[a-z0-9_-]+)/(?:join|enter|leave|carry|takeover)")
"""Where the page's forms are posted to; nothing answers a GET there."""


def is_page_form(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser posts the page's form by itself, without scripts; programs do not ask for HTML."""
    return headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded") and (
        b"text/html" in headers.get(b"accept", b"")
    )


def posted_by_page(request: Request) -> bool:
    """The same of a request behind the router."""
    return is_page_form(dict(request.scope["headers"]))


def back_to_page(request: Request, problem: StanchionError | None = None, *, target: str | None = None) -> Response:
    """Send the browser back to the room's page, which then shows the place, or what went wrong."""
    page = f"../{request.path_params['room']}"
    query = page_query(request.scope, problem.kind if problem else None, target)
    return RedirectResponse(page + query, 303, headers=NO_STORE)


def opened_instead_of_posted(request: Request) -> Response | None:
    """The way back to the page for a browser that opens the address of one of its forms; None for everybody else.

    A form that was posted while no replica answered leaves the browser at that address, with the proxy's own page that
    loads it again.
    """
    form = _FORMS.fullmatch(request.scope["path"])
    if form is None or request.method not in ("GET", "HEAD") or "text/html" not in request.headers.get("accept", ""):
        return None
    page = f"../{form['room']}" if form["room"] else "./"
    return RedirectResponse(page + page_query(request.scope, None), 303, headers=NO_STORE)


def page_query(scope: Scope, problem: str | None, target: str | None = None) -> str:
    """What goes back to the page with the visitor: where they want to go, and what went wrong."""
    target = target or QueryParams(scope["query_string"]).get("target", "")
    query = {"problem": problem, "target": target if len(target) <= MAX_TARGET else None}
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items() if value)
    return f"?{pairs}" if pairs else ""
