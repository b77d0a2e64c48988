"""The store on every topology, and the small scripts that these tests run on it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.metrics import Metrics
from app.store import Script, Store
from app.store.scripts import load_script
from app.store.store import open_store
from tests.support.servers import RealServer

TOPOLOGIES = [
    "server_store_url",
    pytest.param("sentinel_store_url", marks=pytest.mark.topology),
    pytest.param("cluster_store_url", marks=pytest.mark.topology),
]


@pytest.fixture
def server_store_url(server: RealServer) -> str:
    return server.url


@pytest.fixture(params=TOPOLOGIES)
def store_url(request: pytest.FixtureRequest) -> str:
    """The store's address, once for each topology."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
async def any_store(store_url: str) -> AsyncIterator[Store]:
    """A connection to the emptied store, once for each topology."""
    async with opened(store_url) as store:
        yield store


class opened:
    """`async with opened(url) as store`: a store that is closed at the end of the block."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Store:
        return await open_store(self._stack, self._url, Metrics())

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


@pytest.fixture
def add(tmp_path: Path) -> Script:
    """Adds to a counter and says what it is now; refuses to add nothing."""
    path = tmp_path / "add.lua"
    path.write_text(
        "-- Adds to a counter that lives for a minute.\n-- KEYS: counter\n-- ARGV: count\n-- Returns: the new value\n"
        "if ARGV[1] == '0' then return redis.error_reply('NOTHING to add') end\n"
        "local value = redis.call('INCRBY', KEYS[1], ARGV[1])\nredis.call('EXPIRE', KEYS[1], 60)\nreturn value\n"
    )
    return load_script(path)


@pytest.fixture
def echo(tmp_path: Path) -> Script:
    """Answers what it was asked, after a while of counting."""
    path = tmp_path / "echo.lua"
    path.write_text(
        "-- Answers what it was asked.\n-- KEYS: key\n-- ARGV: word, rounds\n-- Returns: the word\n"
        "local n = #KEYS[1]\nfor i = 1, tonumber(ARGV[2]) do n = n + i end\nreturn ARGV[1]\n"
    )
    return load_script(path)
