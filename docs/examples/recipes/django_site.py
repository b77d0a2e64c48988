"""A Django site that lets nobody in without a pass. Nothing is asked per request.

In a project of yours: the class goes into a module, its path into MIDDLEWARE, as high up as it can stand.
"""

import os
from collections.abc import Callable
from urllib.parse import quote

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from passes import Passes, pass_in

ROOM = "default"
WAITING_ROOM = os.environ["WAITING_ROOM"]  # where visitors find it: https://shop.example/_queue


class NeedsAPass:
    """Lets requests with a live pass on, and leads the others to the waiting page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._passes = Passes(f"{WAITING_ROOM}/.well-known/jwks.json", room=ROOM)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/assets/"):
            return self._get_response(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        token = pass_in(headers, request.COOKIES, ROOM, https=request.is_secure())
        session = self._passes.session_of(token) if token else None
        if session is not None:
            request.waiting_room_session = session
            return self._get_response(request)
        page = f"{WAITING_ROOM}/rooms/{ROOM}?target={quote(request.build_absolute_uri(), safe='')}"
        if request.accepts("text/html") and "text/html" in headers.get("accept", ""):
            return HttpResponse(status=302, headers={"Location": page, "Cache-Control": "no-store"})
        problem = {"status": 429, "title": "Wait for your turn", "pageUrl": page}
        return JsonResponse(problem, status=429, headers={"Retry-After": "10"})


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"welcome, {request.waiting_room_session}", content_type="text/plain")


# The rest makes it a whole site in one file.
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    MIDDLEWARE=[f"{__name__}.NeedsAPass"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.urandom(32).hex(),
)
urlpatterns = [path("shop", home)]
application = get_wsgi_application()
