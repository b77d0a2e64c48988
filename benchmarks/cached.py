"""The crowd's polls from nginx's cache (`/serving`), beside `/status`: asked of the replica, and through the same nginx.

nginx runs with the very files of docs/examples/proxies/nginx, as an operator would. Each round runs every kind of request for a
short while, ratios are taken within a round, figures are medians over the rounds. The CPU of all processes that take
part is counted: nginx's workers, the replica, the store.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.load import CONNECTIONS, Burst, NoLoadMaker, burst, medians
from benchmarks.processes import Running, fetch, free_port, replica, running, store_server
from benchmarks.room import last_position, write_tokens

ROUNDS = 5
SECRET = "a-key-for-the-bench-that-is-long-enough-for-hmac"
STATUS, THROUGH, CACHED = "GET /status", "GET /status, through nginx", "GET /serving, from nginx's cache"
LEAST = 5.0
"""Cached polls per second, at least so many times those of `/status`."""
ROOM = "/_queue/rooms/default"
EXAMPLES = Path(__file__).parents[1] / "docs" / "examples" / "proxies"

_MAIN = """worker_processes auto;
daemon off;
pid nginx.pid;
error_log error.log warn;
events { worker_connections 1024; }
http {
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    access_log off;
    include conf.d/stanchion.conf;
}
"""


def run() -> dict[str, object]:
    """Measure; about half a minute."""
    bursts: dict[str, list[Burst]] = {name: [] for name in (STATUS, THROUGH, CACHED)}
    reached: list[float] = []
    env = {"JWT_SECRET": SECRET, "ROOT_PATH": "/_queue", "TRUSTED_PROXIES": "127.0.0.1"}
    with (
        TemporaryDirectory(prefix="stanchion-bench-") as folder,
        store_server() as store,
        replica(store, **env) as service,
        nginx(Path(folder) / "nginx", service) as workers,
    ):
        behind: list[Running] = [service, store]
        front = workers[0].url + ROOM
        burst(service.url + "/join", behind, method="POST", seconds=1)  # fills the line
        tokens = write_tokens(Path(folder) / "tokens", SECRET, last_position(service))
        burst(service.url + "/status", behind, tokens=tokens, seconds=4)  # until every ticket has been seen
        burst(front + "/serving", workers, seconds=1)
        for _ in range(ROUNDS):
            bursts[STATUS].append(burst(service.url + "/status", behind, tokens=tokens))
            bursts[THROUGH].append(burst(front + "/status", [*workers, *behind], tokens=tokens))
            before = _asked(service)
            found = burst(front + "/serving", [*workers, *behind])
            bursts[CACHED].append(found)
            reached.append((_asked(service) - before) / found.seconds)
    return {
        "requests": [
            {
                "request": name,
                **medians(found),
                "x_status": _times(bursts, name, STATUS),
                "x_status_through_nginx": _times(bursts, name, THROUGH),
                "cpu_saved_x": round(
                    median(b.cpu_us / a.cpu_us for a, b in zip(found, bursts[THROUGH], strict=True)), 2
                ),
            }
            for name, found in bursts.items()
        ],
        "targets": [
            *(
                {"target": f"cached polls/s, times those of {name}", "at_least": LEAST, "found": found}
                | {"reached": found >= LEAST}
                for name in (STATUS, THROUGH)
                for found in [_times(bursts, CACHED, name)]
            ),
            {
                "target": "requests/s that reach the replica, at most 2",
                "at_least": "-",
                "found": round(median(reached), 2),
            }
            | {"reached": median(reached) <= 2},
        ],
        "set_up": f"{ROUNDS} rounds of 2 s bursts from {CONNECTIONS} connections, one replica, nginx with a worker a core",
    }


def _times(bursts: dict[str, list[Burst]], name: str, other: str) -> float:
    """How many times as many requests a second."""
    pairs = zip(bursts[name], bursts[other], strict=True)
    return round(median((a.requests / a.seconds) / (b.requests / b.seconds) for a, b in pairs), 2)


def _asked(service: Running) -> float:
    page = fetch(service.url + "/metrics").decode()
    return sum(map(float, re.findall(r'^stanchion_hot_requests_total\{route="serving".*\} (\S+)$', page, re.MULTILINE)))


@contextmanager
def nginx(folder: Path, service: Running) -> Iterator[Sequence[Running]]:
    """nginx in front of a replica; gives its workers."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise NoLoadMaker("nginx is not installed; on Debian and Ubuntu: sudo apt-get install nginx")
    port = free_port()
    as_whom = "user root;\n" if os.geteuid() == 0 else ""
    _put(folder / "nginx.conf", as_whom + _MAIN)
    here = {
        "127.0.0.1:8080": f"127.0.0.1:{port}",
        "127.0.0.1:3000": f"127.0.0.1:{service.port}",
        "127.0.0.1:8000": "127.0.0.1:9",
        "/etc/nginx/": f"{folder}/",
        "/var/cache/": f"{folder}/",
    }
    for name in ("stanchion", "stanchion-ask", "stanchion-gate", "stanchion-headers"):
        text = (EXAMPLES / "nginx" / f"{name}.conf").read_text(encoding="utf-8")
        for old, new in here.items():
            text = text.replace(old, new)
        _put(folder / ("conf.d" if name == "stanchion" else "snippets") / f"{name}.conf", text)
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with running(command, {}) as pid:
        _wait_until_it_answers(f"http://127.0.0.1:{port}{ROOM}/serving")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        yield [Running(int(child), port) for child in children]


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _wait_until_it_answers(url: str) -> None:
    deadline_s = time.monotonic() + 20
    while True:
        try:
            fetch(url)
            return
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
