"""A Starlette (or FastAPI) site that lets nobody in without a pass. Nothing is asked per request."""

import os
from urllib.parse import quote

from anyio import to_thread
from passes import Passes, pass_in
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

ROOM = "default"
WAITING_ROOM = os.environ["WAITING_ROOM"]  # where visitors find it: https://shop.example/_queue


class NeedsAPass:
    """Lets requests with a live pass on, and leads the others to the waiting page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._passes = Passes(f"{WAITING_ROOM}/.well-known/jwks.json", room=ROOM)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"].startswith("/assets/"):
            await self._app(scope, receive, send)
            return
        visitor = HTTPConnection(scope)
        headers = dict(visitor.headers)
        token = pass_in(headers, visitor.cookies, ROOM, https=scope["scheme"] in ("https", "wss"))
        session = await to_thread.run_sync(self._passes.session_of, token) if token else None
        if session is not None:
            scope["waiting_room_session"] = session
            await self._app(scope, receive, send)
            return
        await _refusal(headers, str(visitor.url))(scope, receive, send)


def _refusal(headers: dict[str, str], wanted: str) -> Response:
    page = f"{WAITING_ROOM}/rooms/{ROOM}?target={quote(wanted, safe='')}"
    if "text/html" in headers.get("accept", ""):
        return RedirectResponse(page, 302, headers={"Cache-Control": "no-store"})
    return JSONResponse({"status": 429, "title": "Wait for your turn", "pageUrl": page}, 429, {"Retry-After": "10"})


async def home(request: Request) -> Response:
    return PlainTextResponse(f"welcome, {request.scope['waiting_room_session']}")


app = Starlette(routes=[Route("/shop", home)], middleware=[Middleware(NeedsAPass)])
