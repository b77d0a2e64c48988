"""A replica that is about to stop lets go of the connections that proxies keep open."""

import signal
from collections.abc import Callable

import httpx

from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import eventually


async def test_a_draining_replica_closes_each_connection_after_its_answer(
    server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    replica = start_replica(server.url, DRAIN_SECONDS="20")
    async with httpx.AsyncClient(base_url=replica.url) as client:
        assert "connection" not in (await client.get("/livez")).headers
        replica.signal(signal.SIGTERM)

        async def closing() -> bool:
            for method, path in (("GET", "/livez"), ("POST", "/join"), ("GET", "/nothing-here")):
                if (await client.request(method, path)).headers.get("connection") != "close":
                    return False
            return True

        await eventually(closing, within_s=15)
    replica.kill()
