"""The recipes' sites as processes, run from the very files of docs/examples/recipes."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.proxies.programs import Proxy
from tests.proxies.site import running_site
from tests.support import tools
from tests.support.servers import free_port

RECIPES = Path(__file__).parents[2] / "docs" / "examples" / "recipes"
UVICORN = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--app-dir", str(RECIPES), "--no-proxy-headers"]


@contextmanager
def running_recipe(name: str, folder: Path, service_port: int, **env: str) -> Iterator[str]:
    """A recipe's site, guarded by passes of the service on that port; gives its URL."""
    if name == "nginx":
        with _nginx(folder, service_port) as url:
            yield url
        return
    port = free_port()
    if name == "node":
        folder.mkdir(parents=True)
        shutil.copy(RECIPES / "node_site.mjs", folder)
        (folder / "node_modules").mkdir()
        (folder / "node_modules" / "jose").symlink_to(tools.FILES["node-jose"])
        command = [tools.find("node") or "node", str(folder / "node_site.mjs")]
    elif name == "django":
        command = [*UVICORN, "--port", str(port), "--interface", "wsgi", "django_site:application"]
    else:
        command = [*UVICORN, "--port", str(port), "starlette_site:app"]
    known = {
        "PATH": os.environ["PATH"],
        "PORT": str(port),
        "WAITING_ROOM": f"http://127.0.0.1:{service_port}/_queue",
        "PYTHONWARNINGS": "ignore",
    }
    process = subprocess.Popen(command, env={**known, **env}, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_up(url, process)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


@contextmanager
def _nginx(folder: Path, service_port: int) -> Iterator[str]:
    shorter = ("proxy_cache_lock on;", "proxy_cache_lock on; proxy_ignore_headers Cache-Control; proxy_cache_valid 1s;")
    with running_site() as site:
        proxy = Proxy("nginx-passes", folder, [service_port], site.port, [shorter])
        try:
            yield proxy.start().url
        finally:
            proxy.stop()


def _wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, "the site ended"
        try:
            httpx.get(f"{url}/shop", timeout=5, trust_env=False)
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the site did not come up"
            time.sleep(0.05)
