"""A site behind each proxy: the proxy program, the waiting room, the site."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.proxies.programs import Proxy
from tests.proxies.site import running_site
from tests.proxies.world import WaitingRoom, World

_NONE: Mapping[str, tuple[str, str]] = {}

PROXIES = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("nginx", "caddy", "haproxy")]


@pytest.fixture(params=PROXIES, scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A guarded site for all tests of a module that leave it as it is."""
    with ExitStack() as stack:
        yield _start(stack, request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(params=PROXIES)
def start_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Start a guarded site of the test's own, with changes to each proxy's examples."""
    with ExitStack() as stack:
        yield lambda changes=_NONE: _start(stack, request.param, tmp_path, changes.get(request.param))


def _start(stack: ExitStack, name: str, folder: Path, change: tuple[str, str] | None = None) -> World:
    site = stack.enter_context(running_site())
    room = WaitingRoom(folder / "room")
    stack.callback(room.stop)
    room.start()
    room.configure(gate={"inline": False, "bypass": {"paths": ["/hooks/"], "networks": ["192.0.2.0/24"]}})
    proxy = Proxy(name, folder / "proxy", room.port, site.port, change)
    stack.callback(proxy.stop)
    world = World(proxy.start(), room, site)
    stack.callback(world.close)
    return world
