"""A guarded site, and the visitors who come to it."""

import signal
import socket
import ssl
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.proxies.programs import Changes, Proxy
from tests.proxies.site import Site, running_site
from tests.support.replicas import Replica
from tests.support.servers import RealServer, free_port

PAGE = "/_queue/rooms/default"
HTML = {"Accept": "text/html,application/xhtml+xml"}
ENVIRONMENT = {
    "ROOT_PATH": "/_queue",
    "TRUSTED_PROXIES": "127.0.0.1",
    "ADMIN_TOKEN": "admin-token-for-tests",
    "WINDOW_SIZE": "1000",
}
"""How the service runs behind a proxy on the same machine; everybody's turn comes at once."""
WITH_TLS = {"traefik"}
"""Proxies whose example has TLS as it stands."""
FORM = {**HTML, "Content-Type": "application/x-www-form-urlencoded"}


class WaitingRoom:
    """The service under /_queue, on a store of its own; each replica can be killed and started again at its address."""

    def __init__(self, folder: Path, replicas: int = 1, **env: str) -> None:
        self._store = RealServer(folder / "store")
        self._env = {**ENVIRONMENT, **env}
        self._folder = folder
        self.ports = [free_port() for _ in range(replicas)]
        self._replicas: list[Replica | None] = [None] * replicas

    @property
    def port(self) -> int:
        """The first replica's."""
        return self.ports[0]

    @property
    def url(self) -> str:
        """Where it is without a proxy."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start every replica; what its settings say is in the environment, what the room's say was set before or is set then."""
        if self._store.process is None:
            self._store.start()
        for number in range(len(self.ports)):
            self.start_replica(number)

    def start_replica(self, number: int) -> None:
        replica = Replica(self._folder, self._store.url, PORT=str(self.ports[number]), **self._env)
        self._replicas[number] = replica.start()

    def kill(self, number: int = 0) -> None:
        self._replica(number).kill()

    def freeze(self, number: int = 0) -> None:
        """It takes connections, and answers nothing."""
        self._replica(number).signal(signal.SIGSTOP)

    def thaw(self, number: int = 0) -> None:
        self._replica(number).signal(signal.SIGCONT)

    def asked(self, number: int) -> float:
        """How many requests of visitors and their proxy a replica has answered."""
        metrics = httpx.get(f"http://127.0.0.1:{self.ports[number]}/metrics", trust_env=False, timeout=15).text
        lines = [line for line in metrics.splitlines() if line.startswith("stanchion_hot_requests_total{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def _replica(self, number: int) -> Replica:
        replica = self._replicas[number]
        assert replica is not None
        return replica

    def stop(self) -> None:
        """End whatever of it still runs."""
        for replica in self._replicas:
            if replica is not None:
                replica.close()
        self._store.stop()

    def configure(self, **settings: object) -> None:
        """Change settings of the room, and see that they are in force with every replica."""
        operator = {"Authorization": f"Bearer {ENVIRONMENT['ADMIN_TOKEN']}"}
        for port in self.ports:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", headers=operator, trust_env=False, timeout=15
            ) as client:
                deadline = time.monotonic() + 30
                while True:
                    answer = client.patch("/admin/api/rooms/default", json={"settings": settings})
                    # A new room is checked for a moment before it takes anything; what another replica has changed, each
                    # has to see before it changes it.
                    if answer.status_code not in (409, 503):
                        break
                    assert time.monotonic() < deadline, answer.text
                    time.sleep(0.1)
                assert answer.status_code == 200, answer.text

    def vip_code(self) -> str:
        """A new code for one use."""
        operator = {"Authorization": f"Bearer {ENVIRONMENT['ADMIN_TOKEN']}"}
        address = f"http://127.0.0.1:{self.ports[0]}/admin/api/rooms/default/vip"
        answer = httpx.post(address, headers=operator, trust_env=False, timeout=15)
        code: str = answer.json()["codes"][0]["code"]
        return code


@dataclass
class World:
    """Everything of one guarded site."""

    proxy: Proxy
    room: WaitingRoom
    site: Site
    _visitors: ExitStack = field(default_factory=ExitStack)

    def visitor(self) -> "Visitor":
        """Somebody new."""
        return self._visitors.enter_context(Visitor(self))

    def program(self) -> httpx.Client:
        """Somebody who asks for no page."""
        client = httpx.Client(base_url=self.proxy.url, verify=self.proxy.trusted, trust_env=False, timeout=15)
        return self._visitors.enter_context(client)

    @property
    def pass_cookie(self) -> str:
        """The name of the pass's cookie."""
        return f"{'__Host-' if self.proxy.tls else ''}stanchion-pass-default"

    def raw_status(self, path: str) -> int:
        """The status of a path sent exactly as written; clients would tidy it up."""
        with ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", self.proxy.port), timeout=10))
            trusted = self.proxy.trusted
            if isinstance(trusted, ssl.SSLContext):
                connection = stack.enter_context(trusted.wrap_socket(connection, server_hostname="127.0.0.1"))
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.proxy.port}\r\nConnection: close\r\n\r\n".encode()
            )
            with connection.makefile("rb") as answer:
                return int(answer.readline().split(b" ")[1])

    def wait_until_replicas_are_asked(self) -> None:
        """Proxies that look after the replicas' health by themselves may need a moment."""
        deadline = time.monotonic() + 30
        while self.program().get(f"{PAGE}/serving").status_code != 200:
            assert time.monotonic() < deadline, f"{self.proxy.name} finds no replica: {self.proxy.log()}"
            time.sleep(0.1)

    def close(self) -> None:
        """Everybody goes home."""
        self._visitors.close()


def guarded_site(
    stack: ExitStack,
    name: str,
    folder: Path,
    changes: Changes = (),
    *,
    replicas: int = 1,
    tls: bool = False,
    **env: str,
) -> World:
    """A guarded site behind one proxy, with changes to its example.

    Args:
        tls: whether visitors come over TLS; an example that has none by itself needs `changes` for that.
        env: settings of the service besides the usual ones.
    """
    site = stack.enter_context(running_site())
    room = WaitingRoom(folder / "room", replicas, **env)
    stack.callback(room.stop)
    room.start()
    bypass = {"paths": ["/hooks/"], "networks": ["192.0.2.0/24"]}
    room.configure(gate={"inline": False, "bypass": bypass, "vipSecret": "a-key-for-vip-codes-that-is-long-enough"})
    proxy = Proxy(name, folder / "proxy", room.ports, site.port, changes, tls=tls or name in WITH_TLS)
    stack.callback(proxy.stop)
    world = World(proxy.start(), room, site)
    stack.callback(world.close)
    world.wait_until_replicas_are_asked()
    return world


class Visitor(httpx.Client):
    """A browser without scripts: it keeps cookies, and follows redirects when told to."""

    def __init__(self, world: World) -> None:
        super().__init__(
            base_url=world.proxy.url, headers=HTML, verify=world.proxy.trusted, trust_env=False, timeout=15
        )
        self._pass_cookie = world.pass_cookie

    def enter(self, wanted: str = "/shop") -> httpx.Response:
        """Go the whole way: sent to the line, take a place, enter, and end where the visitor wanted to go."""
        refused = self.get(wanted)
        assert refused.status_code == 302, f"{refused.status_code} {refused.text}"
        page = urlsplit(refused.headers["location"])
        assert page.path == PAGE
        assert self.get(refused.headers["location"]).status_code == 200
        joined = self.post(f"{PAGE}/join?{page.query}", headers=FORM, content=b"")
        assert joined.status_code == 303, f"{joined.status_code} {joined.text}"
        assert urlsplit(joined.headers["location"]).path in (PAGE, "default", "../default"), joined.headers
        entered = self.post(f"{PAGE}/enter?{page.query}", headers=FORM, content=b"")
        assert entered.status_code == 303, f"{entered.status_code} {entered.text}"
        assert self._pass_cookie in self.cookies, entered.headers
        return self.get(entered.headers["location"])


def target_of(refusal: httpx.Response) -> str:
    """Where a visitor who is sent to the line wanted to go."""
    (target,) = parse_qs(urlsplit(refusal.headers["location"]).query)["target"]
    return target
