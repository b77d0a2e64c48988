"""Programs that some tests need besides Python: found, or left out and said so, or, with REQUIRE_TOOLS, demanded."""

import os
import shutil

NAMES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "node": ("node", "nodejs"),
    "nginx": ("nginx",),
    "caddy": ("caddy",),
    "haproxy": ("haproxy",),
    "zbarimg": ("zbarimg",),
}
FILES = {"njs": "/usr/lib/nginx/modules/ngx_http_js_module.so", "node-jose": "/usr/share/nodejs/jose"}
"""What is no program: a module of nginx, a library of Node."""
PACKAGES = {
    "chromium": "chromium",
    "node": "nodejs",
    "nginx": "nginx",
    "caddy": "caddy",
    "haproxy": "haproxy",
    "njs": "libnginx-mod-http-js",
    "node-jose": "node-jose",
    "zbarimg": "zbar-tools",
}
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
"""Servers are in the administrator's folders, which an ordinary user's PATH leaves out."""


def find(tool: str) -> str | None:
    """The path of a tool, under any of its names."""
    if tool in FILES:
        return FILES[tool] if os.path.exists(FILES[tool]) else None
    return next(filter(None, (shutil.which(name, path=_PATH) for name in NAMES[tool])), None)


def missing() -> list[str]:
    """Tools whose tests are left out on this machine; none where `REQUIRE_TOOLS` is set, so that those tests fail."""
    return [] if "REQUIRE_TOOLS" in os.environ else [tool for tool in PACKAGES if find(tool) is None]
