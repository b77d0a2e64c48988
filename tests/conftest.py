"""Fixtures: a real Valkey for everything that runs a script, settings that point at it, and the leak check."""

import gc
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from app.metrics import Metrics
from app.settings import Settings
from app.store import Store, connect
from app.store.keys import PERMANENT
from app.store.store import open_store
from tests.support import tools
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.topologies import ClusterSetup, SentinelSetup

# Noise must not fail a property, nor the making of its examples; CI tries the same every time, a person's run new ones.
hypothesis.settings.register_profile(
    "house",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
hypothesis.settings.load_profile("house")

NOBODY_FAILS_MS = 60_000
"""How long servers that are shared may be silent before others take their place: longer than any machine stands still."""
SECRET = "a-signing-key-for-tests-that-is-long-enough-for-every-hmac-there-is"


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Tests run on the loop that the product runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One real server for all tests that leave it running; each gets it empty."""
    server = RealServer(tmp_path_factory.mktemp("valkey"), enable_debug_command="yes").start()
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: RealServer) -> Iterator[RealServer]:
    """The shared server, emptied; afterwards no key may be left without a TTL."""
    with checked_for_leaks(shared_server):
        yield shared_server


@contextmanager
def checked_for_leaks(server: RealServer) -> Iterator[None]:
    """Empty the server before the block; after it, no key may be left without a TTL."""
    with server.client() as client:
        client.flushall()
        yield
        leaked = [key for key in client.scan_iter() if client.ttl(key) == -1 and not PERMANENT.match(key)]
        assert not leaked, f"keys without a TTL that keys.py does not list as permanent: {leaked}"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RealServer]:
    """A server of the test's own, with an append-only file, to stop, kill and restart."""
    server = RealServer(tmp_path / "store", append_only=True).start()
    yield server
    server.kill()


@pytest.fixture
async def store(server: RealServer) -> AsyncIterator[Store]:
    """A connection to the emptied server."""
    async with AsyncExitStack() as stack:
        yield await open_store(stack, server.url, Metrics())


PATIENCE_S = 10.0


@pytest.fixture
def patient_store() -> Iterator[None]:
    """Services of this process wait longer than half a second for the store.

    For tests that are not about a store that is slow: where others start browsers and servers, any request may meet a
    moment in which nothing runs.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connect, "REQUEST_TIMEOUT_S", PATIENCE_S)
        assert Store.command.__kwdefaults__ is not None
        patch.setitem(Store.command.__kwdefaults__, "limit_s", PATIENCE_S)
        yield


@pytest.fixture
def settings(server: RealServer) -> Settings:
    """Settings of a replica on the emptied server, with fixed keys and tokens."""
    return make_settings(redis_url=server.url)


def make_settings(**changes: Any) -> Settings:
    """Settings for tests: everything named, nothing from the environment."""
    return Settings(
        **{
            "jwt_secret": SECRET,
            "admin_token": "admin-token-for-tests",
            "open_routes": "tasks,locks",
            "app_name": "replica-1",
            **changes,
        }
    )


@pytest.fixture
def start_replica(tmp_path: Path) -> Iterator[Callable[..., Replica]]:
    """Start real replicas; all are ended afterwards."""
    with ExitStack() as stack:

        def start(store_url: str | None, *, wait: bool = True, **env: str) -> Replica:
            replica = Replica(tmp_path / "replicas", store_url, **env)
            stack.callback(replica.close)
            return replica.start(wait=wait)

        yield start


@pytest.fixture(scope="session")
def shared_sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSetup]:
    """One Sentinel set-up for all tests that leave it as it is."""
    setup = SentinelSetup(tmp_path_factory.mktemp("sentinel"), patience_ms=NOBODY_FAILS_MS)
    try:
        yield setup.start()
    finally:
        setup.stop()


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSetup]:
    """One three-node cluster for all tests that leave it as it is."""
    setup = ClusterSetup(tmp_path_factory.mktemp("cluster"), patience_ms=NOBODY_FAILS_MS)
    try:
        yield setup.start()
    finally:
        setup.stop()


@pytest.fixture
def sentinel_store_url(shared_sentinel: SentinelSetup) -> Iterator[str]:
    """The shared Sentinel set-up, emptied; afterwards no key may be left without a TTL."""
    with checked_for_leaks(shared_sentinel.primary):
        yield shared_sentinel.url


@pytest.fixture
def cluster_store_url(shared_cluster: ClusterSetup) -> Iterator[str]:
    """The shared cluster, emptied; afterwards no key may be left without a TTL."""
    with ExitStack() as stack:
        for node in shared_cluster.nodes:
            stack.enter_context(checked_for_leaks(node))
        yield shared_cluster.url


@pytest.fixture
def own_sentinel(tmp_path: Path) -> Iterator[SentinelSetup]:
    """A Sentinel set-up of the test's own: `.url`, `.failover()`, `.kill_primary()`, `.freeze_primary()`."""
    setup = SentinelSetup(tmp_path / "sentinel")
    try:
        yield setup.start()
    finally:
        setup.stop()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[ClusterSetup]:
    """A cluster of the test's own, with a replica of its first node: `.url`, `.failover()`, `.kill_primary()`."""
    setup = ClusterSetup(tmp_path / "cluster", with_replica=True)
    try:
        yield setup.start()
    finally:
        setup.stop()


def pytest_collection_finish() -> None:
    """Look for garbage between the files alone; see `collected`."""
    gc.set_threshold(700, 10, 1_000)
    _collect()


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """Take the garbage away behind each file's tests, and leave what remains out of later collections.

    To look through some hundred thousand objects in the middle of a test stops the process, and the services that run
    in it, for as long as a request may wait for the store; on a busy machine for a second or two.
    """
    yield
    _collect()


def _collect() -> None:
    gc.collect()
    gc.freeze()


def pytest_report_header() -> list[str]:
    """Say what cannot be run on this machine."""
    return [f"no {tool} here: its tests are left out ({tools.INSTALLED_BY[tool]})" for tool in tools.missing()]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests whose tool is missing; never in CI, which sets REQUIRE_TOOLS."""
    absent = set(tools.missing())
    out = [item for item in items if any(mark.args[0] in absent for mark in item.iter_markers("needs"))]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]
