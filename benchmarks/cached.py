"""The crowd's polls from nginx's cache (`/serving`), beside `/status`: asked of the replica, and through the same nginx.

nginx runs with the very files of docs/examples/proxies/nginx, as an operator would. Everything that answers (nginx, the
replica, the store) shares one core, and the load maker has another: so each kind of poll gets the same machine, and what
the load maker needs for itself does not stand in the way of the cheaper kind. A text that nginx answers out of its own configuration
shows the ceiling: no answer that goes through nginx can be cheaper.

Each round runs every kind of request for a short while, ratios are taken within a round, figures are medians over the
rounds. The CPU of all processes that take part is counted.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.load import CONNECTIONS, Burst, NoLoadMaker, burst, medians
from benchmarks.processes import Running, fetch, free_port, on_core, replica, running, store_server, two_cores
from benchmarks.room import last_position, write_tokens

ROUNDS = 5
SECRET = "a-key-for-the-bench-that-is-long-enough-for-hmac"
THROUGH, CACHED = "GET /status, through nginx", "GET /serving, from nginx's cache"
CROWD = 256
"""Connections of a crowd: more than the documented nginx keeps to a replica, as those of any real crowd are."""
CROWD_THROUGH, CROWD_CACHED = f"{THROUGH}, {CROWD} connections", f"{CACHED}, {CROWD} connections"
STATUS, CEILING = "GET /status, asked of the replica", "a fixed text of nginx's own"
KINDS = (THROUGH, CACHED, STATUS, CEILING, CROWD_THROUGH, CROWD_CACHED)
LEAST = 5.0
"""Cached polls per second, at least so many times those of `/status` through the same nginx."""
ROOM = "/_queue/rooms/default"
EXAMPLES = Path(__file__).parents[1] / "docs" / "examples" / "proxies"

_MAIN = """worker_processes 1;
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
    sendfile on;  # as in Debian's nginx.conf and in nginx's own
    tcp_nopush on;
    include conf.d/stanchion.conf;
    server {
        listen 127.0.0.1:FIXED_PORT;
        keepalive_requests 100000;
        default_type application/json;
        location / {
            return 200 '%s';
        }
    }
}
""" % ("x" * 274)  # as long as what /serving answers


def run() -> dict[str, object]:
    """Measure; about a minute."""
    bursts: dict[str, list[Burst]] = {name: [] for name in KINDS}
    reached: list[float] = []
    env = {"JWT_SECRET": SECRET, "ROOT_PATH": "/_queue", "TRUSTED_PROXIES": "127.0.0.1"}
    for_load, for_answers = two_cores()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="stanchion-bench-")))
        with on_core(for_answers):  # processes stay on the core that they were started from
            store = stack.enter_context(store_server())
            service = stack.enter_context(replica(store, **env))
            fixed_url, front = stack.enter_context(nginx(folder / "nginx", service))
        stack.enter_context(on_core(for_load))
        behind: list[Running] = [service, store]
        room = front.url + ROOM
        burst(service.url + "/join", behind, method="POST", seconds=1)  # fills the line
        tokens = write_tokens(folder / "tokens", SECRET, last_position(service))
        burst(service.url + "/status", behind, tokens=tokens, seconds=4)  # until every ticket has been seen
        burst(room + "/serving", [front], seconds=1)
        for _ in range(ROUNDS):
            bursts[THROUGH].append(burst(room + "/status", [front, *behind], tokens=tokens))
            before = _asked(service)
            found = burst(room + "/serving", [front, *behind])
            bursts[CACHED].append(found)
            reached.append((_asked(service) - before) / found.seconds)
            bursts[STATUS].append(burst(service.url + "/status", behind, tokens=tokens))
            bursts[CEILING].append(burst(fixed_url, [front]))
            everything = [front, *behind]
            bursts[CROWD_THROUGH].append(burst(room + "/status", everything, tokens=tokens, connections=CROWD))
            bursts[CROWD_CACHED].append(burst(room + "/serving", everything, connections=CROWD))
    return {
        "requests": [
            {
                "request": name,
                **medians(found),
                "x_status_through_nginx": _times(bursts, name, THROUGH),
                "x_status_asked_of_the_replica": _times(bursts, name, STATUS),
            }
            for name, found in bursts.items()
        ],
        "targets": [
            *(
                {"target": f"cached polls/s, times those of {other}", "wanted": f"at least {LEAST:g}", "found": times}
                | {"reached": times >= LEAST}
                for name, other in ((CACHED, THROUGH), (CROWD_CACHED, CROWD_THROUGH))
                for times in [_times(bursts, name, other)]
            ),
            {
                "target": "requests/s that reach the replica",
                "wanted": "at most 2",
                "found": round(median(reached), 2),
                "reached": median(reached) <= 2,
            },
        ],
        "set_up": f"{ROUNDS} rounds of 2 s bursts from {CONNECTIONS} connections; one replica, nginx with one worker and the store "
        f"on core {for_answers}, wrk on core {for_load}",
    }


def _times(bursts: dict[str, list[Burst]], name: str, other: str) -> float:
    """How many times as many requests a second."""
    pairs = zip(bursts[name], bursts[other], strict=True)
    return round(median((a.requests / a.seconds) / (b.requests / b.seconds) for a, b in pairs), 2)


def _asked(service: Running) -> float:
    page = fetch(service.url + "/metrics").decode()
    return sum(map(float, re.findall(r'^stanchion_hot_requests_total\{route="serving".*\} (\S+)$', page, re.MULTILINE)))


@contextmanager
def nginx(folder: Path, service: Running) -> Iterator[tuple[str, Running]]:
    """nginx in front of a replica; gives the address of its fixed text, and its worker."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise NoLoadMaker("nginx is not installed; on Debian and Ubuntu: sudo apt-get install nginx")
    port, fixed_port = free_port(), free_port()
    as_whom = "user root;\n" if os.geteuid() == 0 else ""
    _put(folder / "nginx.conf", as_whom + _MAIN.replace("FIXED_PORT", str(fixed_port)))
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
        children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        worker = next(child for child in children if "worker" in Path(f"/proc/{child}/cmdline").read_text())
        yield f"http://127.0.0.1:{fixed_port}/", Running(worker, port)


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
