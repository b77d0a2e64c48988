"""Styles and scripts, under `/static/` and under `/static/v-<digest>/`, where a browser may keep them for ever."""

import re
from os import PathLike, stat_result

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from app.web.addresses import STATIC, static_digest
from app.web.wishes import accepts_gzip

_VERSIONED = re.compile(r"^v-([0-9a-f]{12})/(.+)$")


class VersionedStaticFiles(StaticFiles):
    """Files whose folder may carry the digest of their content.

    Any digest is served, since replicas of two releases run side by side during an update; only our own is kept.
    """

    def get_path(self, scope: Scope) -> str:
        path = super().get_path(scope)
        match = _VERSIONED.match(path)
        scope["static_digest"] = match[1] if match else ""
        return match[2] if match else path

    def file_response(
        self, full_path: PathLike[str] | str, stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        own = scope["static_digest"] == static_digest()
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if own else "no-cache"
        return response


class Compressed(GZipMiddleware):
    """Compression for those who accept it, which Starlette takes the mere word `gzip` for: also one that refuses it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope)
        headers = [pair for pair in given.raw if pair[0] != b"accept-encoding"]
        if accepts_gzip(given.get("accept-encoding", "")):
            headers.append((b"accept-encoding", b"gzip"))
        await super().__call__({**scope, "headers": headers}, receive, send)


def static_files() -> ASGIApp:
    """The static files, compressed for those who accept it."""
    return Compressed(VersionedStaticFiles(directory=STATIC), minimum_size=500)
