"""The dashboard's pages. Each comes with what it shows first; its scripts then keep it up to date."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from app.errors import NotFound, Unauthorized
from app.operators.sessions import OperatorSession
from app.services import Services
from app.settings import is_room_name
from app.web import page_html
from app.web.addresses import static_digest
from app.web.bodies import NO_STORE, answer
from app.web.dashboard.feed import Feed
from app.web.operations import services_of
from app.web.operator_access import refuse_other_sites, session_of

HEADERS: Mapping[str, str] = {
    **page_html.HEADERS,
    "content-security-policy": page_html.POLICY.format(leads_to="", framed_by="none"),
    "vary": "cookie, accept-encoding",
    "x-robots-tag": "noindex",
}


def root_of(request: Request) -> str:
    """The way from the present page up to the service's root, so that pages work under any prefix."""
    path: str = request.scope["path"]
    return "../" * (path.count("/") - 1)


def html(request: Request, name: str, status: int = 200, **values: Any) -> Response:
    """One of the dashboard's templates as an answer."""
    root = root_of(request)
    static = f"{root}static/v-{static_digest()}"
    page = page_html.templates().get_template(name).render(root=root, static=static, **values)
    return page_html.sent(request, page, status, HEADERS)


async def page_for_operator(request: Request, template: str, **data: Any) -> Response:
    """A page for whoever is signed in; others are shown the way in.

    Args:
        request: the request.
        template: the page's template.
        data: what the page's scripts begin with.
    """
    services = services_of(request)
    if not services.sign_ins.set_up:
        return html(request, "admin_set_up.html", 403)
    session = await session_of(request, services)
    if session is None:
        if request.headers.get("sec-fetch-site") == "cross-site":
            # A link on another site: the browser has kept the cookie back, and sends it when our own page asks again.
            return html(request, "admin_again.html")
        here = request.scope["path"].removeprefix("/admin").strip("/")
        return RedirectResponse(f"{root_of(request)}admin/sign-in" + (f"?to={here}" if here else ""), 303, NO_STORE)
    seen = await feed_of(request).overview()
    csrf = await services.sign_ins.csrf_token(session)
    begin = {
        "root": root_of(request),
        "csrf": csrf,
        "overview": seen.model_dump(mode="json", exclude_none=True),
        **data,
    }
    return html(request, template, csrf=csrf, operator=session.name, data=begin, **data)


async def rooms_page(request: Request) -> Response:
    """All rooms at a glance."""
    return await page_for_operator(request, "admin_rooms.html")


async def room_page(request: Request) -> Response:
    """One room: figures, charts, controls, settings, and what operators did; the last also of a room that is gone."""
    name = request.path_params["room"]
    if not is_room_name(name):
        raise NotFound(f"There can be no room named {name!r}.")
    return await page_for_operator(request, "admin_room.html", room=name)


async def tasks_page(request: Request) -> Response:
    """Task queues and dead letters."""
    return await page_for_operator(request, "admin_tasks.html")


async def locks_page(request: Request) -> Response:
    """The locks that are held."""
    return await page_for_operator(request, "admin_locks.html")


async def overview_now(request: Request) -> Response:
    """The same figures for programs, and for pages that cannot hold a stream open."""
    return answer(await feed_of(request).overview())


async def events(request: Request) -> Response:
    """The figures as they change. The cookie must come with a request of our own pages."""
    services = services_of(request)
    session = await _signed_in(request, services)
    refuse_other_sites(request)
    return StreamingResponse(
        feed_of(request).open(session), media_type="text/event-stream", headers={**NO_STORE, "x-accel-buffering": "no"}
    )


def feed_of(request: Request) -> Feed:
    """This replica's feed, which the lifespan made."""
    feed: Feed = request.state.dashboard
    return feed


async def _signed_in(request: Request, services: Services) -> OperatorSession:
    session = await session_of(request, services)
    if session is None:
        raise Unauthorized("Sign in at /admin first.", reason="signed_out")
    return session
