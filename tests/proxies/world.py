"""A guarded site, and the visitors who come to it."""

import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.proxies.programs import Proxy
from tests.proxies.site import Site
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
FORM = {**HTML, "Content-Type": "application/x-www-form-urlencoded"}


class WaitingRoom:
    """The service under /_queue, on a store of its own; can be killed and started again at the same address."""

    def __init__(self, folder: Path, **env: str) -> None:
        self._store = RealServer(folder / "store")
        self._env = {**ENVIRONMENT, **env}
        self._folder = folder
        self._replica: Replica | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where it is without a proxy."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; what its settings say is in the environment, what the room's say was set before or is set then."""
        if self._store.process is None:
            self._store.start()
        self._replica = Replica(self._folder, self._store.url, PORT=str(self.port), **self._env).start()

    def kill(self) -> None:
        assert self._replica is not None
        self._replica.kill()

    def freeze(self) -> None:
        """It takes connections, and answers nothing."""
        assert self._replica is not None
        self._replica.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._replica is not None
        self._replica.signal(signal.SIGCONT)

    def stop(self) -> None:
        """End whatever of it still runs."""
        if self._replica is not None:
            self._replica.close()
        self._store.stop()

    def configure(self, **settings: object) -> None:
        """Change settings of the room, and see that they are in force."""
        operator = {"Authorization": f"Bearer {ENVIRONMENT['ADMIN_TOKEN']}"}
        with httpx.Client(base_url=self.url, headers=operator, trust_env=False) as client:
            deadline = time.monotonic() + 20
            while True:
                answer = client.patch("/admin/api/rooms/default", json={"settings": settings})
                if answer.status_code != 503:  # a new room is checked for a moment before it takes anything
                    break
                assert time.monotonic() < deadline, answer.text
                time.sleep(0.1)
            assert answer.status_code == 200, answer.text


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

    def close(self) -> None:
        """Everybody goes home."""
        self._visitors.close()


class Visitor(httpx.Client):
    """A browser without scripts: it keeps cookies, and follows redirects when told to."""

    def __init__(self, world: World) -> None:
        super().__init__(base_url=world.proxy.url, headers=HTML, trust_env=False, timeout=15)

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
        assert any(name.startswith("stanchion-pass-") for name in self.cookies), entered.headers
        return self.get(entered.headers["location"])


def target_of(refusal: httpx.Response) -> str:
    """Where a visitor who is sent to the line wanted to go."""
    (target,) = parse_qs(urlsplit(refusal.headers["location"]).query)["target"]
    return target
