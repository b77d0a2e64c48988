"""The service under a prefix of the site's own host, `ROOT_PATH`, whether the proxy in front strips it or not.

Everything behind here sees paths without the prefix, and everything that is sent out is relative to where it was asked,
or begins with `ROOT_PATH`. So one deployment can be reached both ways at once: by visitors through the proxy, by
health checks directly.
"""

from urllib.parse import quote

from starlette.responses import RedirectResponse
from starlette.routing import Match, Router
from starlette.types import ASGIApp, Receive, Scope, Send


class RootPath:
    """Takes the prefix off requests that have it."""

    def __init__(self, root_path: str) -> None:
        self._root = root_path
        self._below = root_path + "/"
        self._raw = root_path.encode()

    def strip(self, scope: Scope) -> ASGIApp | None:
        """Take the prefix off, in place.

        Returns:
            What answers instead, when the prefix itself was asked for: its pages' links are relative to the folder.
        """
        path: str = scope["path"]
        if path == self._root:
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(self._below + (f"?{query}" if query else ""), 308)
        if path.startswith(self._below):
            scope["path"] = path[len(self._root) :]
            raw: bytes = scope.get("raw_path") or b""
            own = raw.startswith(self._raw + b"/")
            scope["raw_path"] = raw[len(self._raw) :] if own else quote(scope["path"]).encode()
        return None


def redirect_slashes(router: Router) -> None:
    """Lead `/docs/` to `/docs` and the like by relative addresses.

    Starlette's own way names scheme and host as this process sees them, which behind a proxy are not the visitor's.
    """
    not_found = router.default

    async def other_form(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        other = path[:-1] if path.endswith("/") else path + "/"
        if scope["type"] == "http" and path != "/":
            for route in router.routes:
                if route.matches({**scope, "path": other})[0] is not Match.NONE:
                    name = quote(other.rstrip("/").rpartition("/")[2])
                    query = scope["query_string"].decode("latin-1")
                    where = f"../{name}" if path.endswith("/") else f"./{name}/"
                    await RedirectResponse(where + (f"?{query}" if query else ""), 307)(scope, receive, send)
                    return
        await not_found(scope, receive, send)

    router.redirect_slashes = False
    router.default = other_form
