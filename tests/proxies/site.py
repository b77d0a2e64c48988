"""A site to guard: it remembers what reached it, and answers as its paths say."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from tests.proxies.programs import EXAMPLES
from tests.support.servers import free_port
from tests.support.upstreams import running_upstream


@dataclass
class Seen:
    """A request that reached the site."""

    method: str
    raw_path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """The guarded site."""

    port: int = field(default_factory=free_port)
    seen: list[Seen] = field(default_factory=list)
    meanwhile: Callable[[], None] | None = None
    """Happens once a request that ends a visit has come, before it is answered."""

    async def answer(self, request: Request) -> Response:
        """`/bye` and `/away` end the visit (`-for-good`: revoke it) with a page or a redirect; `/login` is a 401 of
        the site's own, `/broken` a 500."""
        raw_path = request.scope["raw_path"].decode("latin-1").partition("?")[0]
        self.seen.append(Seen(request.method, raw_path, dict(request.headers), await request.body()))
        ending = {
            "X-Waiting-Room-End": "revoke" if raw_path.endswith("-for-good") else "end",
            "Set-Cookie": "basket=empty",
        }
        if raw_path.startswith("/away"):
            if self.meanwhile is not None:
                self.meanwhile()
            return RedirectResponse("/bye-page", 303, headers=ending)
        if raw_path.removesuffix("-for-good") == "/bye":
            return PlainTextResponse("goodbye", headers=ending)
        if raw_path == "/login":
            return PlainTextResponse("who are you?", 401, headers={"WWW-Authenticate": "Basic"})
        if raw_path == "/broken":
            return PlainTextResponse("the site's own mishap", 500)
        if raw_path.startswith("/assets/please-wait."):
            return FileResponse(EXAMPLES / raw_path.removeprefix("/assets/"))
        if raw_path.startswith("/assets/"):
            return PlainTextResponse("an asset")
        return PlainTextResponse("welcome", headers={"Set-Cookie": "basket=full"})

    def took(self, raw_path: str) -> list[Seen]:
        """The requests for a path."""
        return [request for request in self.seen if request.raw_path == raw_path]


@contextmanager
def running_site() -> Iterator[Site]:
    """A site for the length of the block."""
    site = Site()
    with running_upstream(site.answer, site.port):
        yield site
