"""The reverse proxies, run with the very files of docs/examples/proxies; only addresses and folders are put in."""

import json
import os
import re
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.proxies.certificates import Certificate, make_certificate
from tests.support import tools
from tests.support.servers import free_port

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "proxies"

VISITORS, REPLICA, SECOND_REPLICA, SITE = 8080, 3000, 3002, 8000
"""The ports in the examples: where visitors come, the waiting room (the second one is put in by a test), the site."""
INNER = (3001, 8081)
"""Ports at which a proxy asks itself."""
_ADDRESS = re.compile(r"((?:127\.0\.0\.1|localhost)(?::|, port_value: ))(\d+)")

Changes = Sequence[tuple[str, str]]
"""Texts of an example, each of which stands there once, and what is to stand there instead."""


@dataclass
class Proxy:
    """One proxy program with its configuration in a folder of its own."""

    name: str
    folder: Path
    replica_ports: Sequence[int]
    site_port: int
    changes: Changes = ()
    tls: bool = False
    """Whether visitors come over TLS; the example then has to say so, if need be by `changes`."""
    port: int = field(default_factory=free_port)
    inner_port: int = field(default_factory=free_port)
    certificate: Certificate | None = None
    _done: set[str] = field(default_factory=set)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def trusted(self) -> ssl.SSLContext | bool:
        """What a client verifies the certificate by."""
        return self.certificate.trusted() if self.certificate else True

    @property
    def log_path(self) -> Path:
        return self.folder / "proxy.log"

    def start(self) -> "Proxy":
        self.folder.mkdir(parents=True)
        if self.tls:
            self.certificate = make_certificate(self.folder / "tls")
        _WRITERS[self.name](self)
        lacking = {old for old, _ in self.changes} - self._done
        assert not lacking, f"the example for {self.name} lacks {lacking}"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(self._command(), cwd=self.folder, stdout=log, stderr=log, env=self._env())
        deadline = time.monotonic() + 60
        while True:
            assert self._process.poll() is None, f"{self.name} ended: {self.log()}"
            try:
                httpx.get(f"{self.url}/assets/probe", timeout=5, trust_env=False, verify=self.trusted)
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
        for old, new in self.changes:
            if old in text:
                text = text.replace(old, new)
                self._done.add(old)
        ports = {
            VISITORS: self.port,
            REPLICA: self.replica_ports[0],
            SECOND_REPLICA: self.replica_ports[-1],
            SITE: self.site_port,
            **dict.fromkeys(INNER, self.inner_port),
        }
        text = _ADDRESS.sub(lambda found: f"{found[1]}{ports[int(found[2])]}", text)
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
            "envoy": [
                program,
                "--disable-hot-restart",
                "--concurrency",
                "1",
                "--log-level",
                "warn",
                "-c",
                "envoy.yaml",
            ],
            "traefik": [program, "--configFile=traefik.yaml"],
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


def _write_nginx(proxy: Proxy, main: str = "nginx/stanchion.conf", before: str = "") -> None:
    folders = _write_main(proxy, before)
    proxy.put(main, "conf.d/stanchion.conf", folders)
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


def _write_envoy(proxy: Proxy) -> None:
    folders = {"/etc/envoy/": f"{proxy.folder}/"}
    proxy.put("envoy/envoy.yaml", "envoy.yaml", folders)
    proxy.put("envoy/visit-ended.lua", "visit-ended.lua", folders)
    proxy.put("please-wait.html", "please-wait.html", {})
    proxy.put("please-wait.json", "please-wait.json", {})


def _write_traefik(proxy: Proxy) -> None:
    folders = {"/etc/traefik/": f"{proxy.folder}/", "shop.example": "127.0.0.1"}
    proxy.put("traefik/traefik.yaml", "traefik.yaml", folders)
    proxy.put("traefik/dynamic.yaml", "dynamic/stanchion.yaml", folders)
    assert proxy.certificate is not None, "the example has TLS"
    files = {"certFile": str(proxy.certificate.certificate), "keyFile": str(proxy.certificate.key)}
    default = {"tls": {"stores": {"default": {"defaultCertificate": files}}}}
    (proxy.folder / "dynamic" / "certificate.yaml").write_text(json.dumps(default), encoding="utf-8")


_NJS = f"load_module {tools.FILES['njs']};\n"


def _write_nginx_stand_in(proxy: Proxy) -> None:
    _write_nginx(proxy, "nginx-stand-in/stanchion.conf", _NJS)
    proxy.put("../recipes/passes.js", "passes.js", {})


def _write_nginx_passes(proxy: Proxy) -> None:
    folders = _write_main(proxy, _NJS)
    proxy.put("../recipes/nginx_passes.conf", "conf.d/stanchion.conf", folders)
    proxy.put("../recipes/passes.js", "passes.js", {})


def _write_nginx_compose(proxy: Proxy) -> None:
    """docker-compose.yml's own nginx, with its names and ports in the place of this test's."""
    folders = {
        **{f"replica{number}:3000": f"127.0.0.1:{proxy.replica_ports[0]}" for number in (1, 2, 3)},
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
    "nginx-stand-in": _write_nginx_stand_in,
    "caddy": _write_caddy,
    "haproxy": _write_haproxy,
    "envoy": _write_envoy,
    "traefik": _write_traefik,
}
