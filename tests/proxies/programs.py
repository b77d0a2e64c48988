"""The reverse proxies, run with the very files of docs/examples/proxies; only addresses and folders are put in."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support import tools
from tests.support.servers import free_port

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "proxies"

VISITORS, REPLICA, SITE = "127.0.0.1:8080", "127.0.0.1:3000", "127.0.0.1:8000"
"""The addresses in the examples: where visitors come, the waiting room, the site."""
INNER = ("127.0.0.1:3001", "127.0.0.1:8081")
"""Addresses at which a proxy asks itself."""


@dataclass
class Proxy:
    """One proxy program with its configuration in a folder of its own."""

    name: str
    folder: Path
    replica_port: int
    site_port: int
    change: tuple[str, str] | None = None
    """A text of the main example, and what is to stand there instead."""
    port: int = field(default_factory=free_port)
    inner_port: int = field(default_factory=free_port)
    changed: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_path(self) -> Path:
        return self.folder / "proxy.log"

    def start(self) -> "Proxy":
        self.folder.mkdir(parents=True)
        _WRITERS[self.name](self)
        assert self.change is None or self.changed == 1, f"the example for {self.name} lacks {self.change}"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(self._command(), cwd=self.folder, stdout=log, stderr=log, env=self._env())
        deadline = time.monotonic() + 20
        while True:
            assert self._process.poll() is None, f"{self.name} ended: {self.log()}"
            try:
                httpx.get(f"{self.url}/assets/probe", timeout=5, trust_env=False)
                return self
            except httpx.TransportError:
                assert time.monotonic() < deadline, f"{self.name} did not come up: {self.log()}"
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def put(self, source: str, target: str, folders: Mapping[str, str]) -> None:
        """An example, with this test's addresses and folders in the place of its own."""
        text = (EXAMPLES / source).read_text(encoding="utf-8")
        if self.change and self.change[0] in text:
            text = text.replace(*self.change)
            self.changed += 1
        ports = {
            VISITORS: self.port,
            REPLICA: self.replica_port,
            SITE: self.site_port,
            **dict.fromkeys(INNER, self.inner_port),
        }
        for address, port in ports.items():
            text = text.replace(address, f"127.0.0.1:{port}")
        for old, new in folders.items():
            text = text.replace(old, new)
        path = self.folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _command(self) -> Sequence[str]:
        name = self.name.partition("-")[0]
        program = tools.find(name)
        assert program is not None, f"{name} is not installed"
        return {
            "nginx": [program, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-g", "daemon off;"],
            "caddy": [program, "run", "--adapter", "caddyfile", "--config", "Caddyfile"],
            "haproxy": [program, "-db", "-f", "haproxy.cfg"],
        }[name]

    def _env(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}


_NGINX = """pid nginx.pid;
error_log stderr warn;
events { worker_connections 512; }
http {
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    access_log access.log;
    include conf.d/stanchion.conf;
}
"""
"""What a distribution's own nginx.conf does around conf.d, for an ordinary user and in one folder."""


def _write_main(proxy: Proxy, before: str = "") -> Mapping[str, str]:
    as_whom = "user root;\n" if os.geteuid() == 0 else ""  # its workers would otherwise not be let into our folder
    (proxy.folder / "nginx.conf").write_text(before + as_whom + _NGINX, encoding="utf-8")
    return {"/etc/nginx/": f"{proxy.folder}/", "/var/cache/": f"{proxy.folder}/"}


def _write_nginx(proxy: Proxy) -> None:
    folders = _write_main(proxy)
    proxy.put("nginx/stanchion.conf", "conf.d/stanchion.conf", folders)
    for snippet in ("ask", "gate", "headers"):
        proxy.put(f"nginx/stanchion-{snippet}.conf", f"snippets/stanchion-{snippet}.conf", folders)
    proxy.put("please-wait.html", "please-wait.html", {})


def _write_caddy(proxy: Proxy) -> None:
    proxy.put("caddy/Caddyfile", "Caddyfile", {"/etc/caddy": str(proxy.folder)})
    proxy.put("please-wait.html", "please-wait.html", {})


def _write_haproxy(proxy: Proxy) -> None:
    folders = {"/etc/haproxy/": f"{proxy.folder}/"}
    proxy.put("haproxy/haproxy.cfg", "haproxy.cfg", folders)
    proxy.put("haproxy/waiting-room.lua", "waiting-room.lua", folders)
    proxy.put("please-wait.html", "please-wait.html", {})
    proxy.put("please-wait.json", "please-wait.json", {})


def _write_nginx_passes(proxy: Proxy) -> None:
    folders = _write_main(proxy, f"load_module {tools.FILES['njs']};\n")
    proxy.put("../recipes/nginx_passes.conf", "conf.d/stanchion.conf", folders)
    proxy.put("../recipes/passes.js", "passes.js", {})


def _write_nginx_compose(proxy: Proxy) -> None:
    """docker-compose.yml's own nginx, with its names and ports in the place of this test's."""
    folders = {
        **{f"replica{number}:3000": f"127.0.0.1:{proxy.replica_port}" for number in (1, 2, 3)},
        "site:8000": f"127.0.0.1:{proxy.site_port}",
        "listen 8000;": f"listen 127.0.0.1:{proxy.port};",
        "listen 8080": f"listen 127.0.0.1:{proxy.inner_port}",
        "/tmp/": f"{proxy.folder}/",
        "/etc/nginx/": f"{proxy.folder}/",
    }
    if os.geteuid() == 0:
        folders["worker_processes auto;"] = "worker_processes auto; user root;"
    proxy.put("../nginx.conf", "nginx.conf", folders)
    for snippet in ("ask", "gate", "headers"):
        proxy.put(f"nginx/stanchion-{snippet}.conf", f"snippets/stanchion-{snippet}.conf", folders)
    proxy.put("please-wait.html", "please-wait.html", {})


_WRITERS = {
    "nginx": _write_nginx,
    "nginx-compose": _write_nginx_compose,
    "nginx-passes": _write_nginx_passes,
    "caddy": _write_caddy,
    "haproxy": _write_haproxy,
}
