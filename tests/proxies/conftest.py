"""A site behind each proxy: the proxy program, the waiting room, the site."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.proxies.world import World, guarded_site

PROXIES = [
    pytest.param(name, marks=pytest.mark.needs(name)) for name in ("nginx", "caddy", "haproxy", "envoy", "traefik")
]


@pytest.fixture(params=PROXIES, scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A guarded site for all tests of a module that leave it as it is."""
    with ExitStack() as stack:
        yield guarded_site(stack, request.param, tmp_path_factory.mktemp(request.param))
