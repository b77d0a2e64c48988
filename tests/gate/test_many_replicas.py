"""One visitor at several replicas of the gate, as any load balancer may send them."""

from collections.abc import Callable
from pathlib import Path

import httpx

from app.web.gate.inline import MOST_PER_ADDRESS
from tests.gate.conftest import BROWSER
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S, eventually

ROOMS = "rooms: {default: {maxActive: 10, gate: {inlineSeconds: 30}}}"
ASKED = {**BROWSER, "X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/", "X-Forwarded-For": "203.0.113.9"}


async def test_who_is_let_in_by_one_replica_is_confirmed_by_another_and_known_to_all(
    server: RealServer, start_replica: Callable[..., Replica], tmp_path: Path
) -> None:
    file = tmp_path / "rooms.yaml"
    file.write_text(ROOMS)
    env = {"ROOMS_FILE": str(file), "TRUSTED_PROXIES": "127.0.0.1", "PASS_KEY_LEAD": "4"}
    replicas = [start_replica(server.url, wait=False, **env) for _ in range(3)]
    for replica in replicas:
        replica.wait_until_ready()
    one, other, third = (f"{replica.url}/gate/default" for replica in replicas)
    async with httpx.AsyncClient(timeout=10) as client:
        first = await eventually(lambda: _let_in(client, one))
        session = first.headers["x-waiting-room-session"]
        provisional = {"Cookie": first.headers["set-cookie"].partition(";")[0]}
        second = await _ask(client, other, provisional)
        assert (second.status_code, second.headers["x-waiting-room-session"]) == (200, session)
        whole = {"Cookie": second.headers["set-cookie"].partition(";")[0]}
        assert whole != provisional
        for replica in (one, other, third):
            answer = await _ask(client, replica, whole)
            assert (answer.status_code, answer.headers["x-waiting-room"]) == (200, "pass")
        left = await client.post(
            f"{replicas[0].url}/rooms/default/leave", headers={"X-Waiting-Room-Pass": whole["Cookie"].partition("=")[2]}
        )
        assert left.status_code == 204

        async def refused_everywhere() -> bool:
            # X-Original-URI at odds with the other header: nobody is let in anew, so that only the pass speaks.
            odd = whole | {"X-Original-URI": "/elsewhere"}
            return [(await _ask(client, url, odd)).status_code for url in (one, other, third)] == [302] * 3

        await eventually(refused_everywhere, within_s=1 + SLACK_S)


async def test_those_who_come_back_to_another_replica_free_the_way_for_the_next(
    server: RealServer, start_replica: Callable[..., Replica], tmp_path: Path
) -> None:
    file = tmp_path / "rooms.yaml"
    file.write_text("rooms: {default: {maxActive: 100, gate: {inlineSeconds: 3600}}}")
    env = {"ROOMS_FILE": str(file), "TRUSTED_PROXIES": "127.0.0.1", "PASS_KEY_LEAD": "4"}
    replicas = [start_replica(server.url, wait=False, **env) for _ in range(2)]
    for replica in replicas:
        replica.wait_until_ready()
    one, other = (f"{replica.url}/gate/default" for replica in replicas)
    async with httpx.AsyncClient(timeout=10) as client:
        let_in = [await eventually(lambda: _let_in(client, one)) for _ in range(MOST_PER_ADDRESS)]
        assert (await _ask(client, one)).status_code == 302, "none of this address has come back"
        for answer in let_in:
            cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
            assert (await _ask(client, other, cookie)).headers["x-waiting-room"] == "pass"
        assert await eventually(lambda: _let_in(client, one)), "all have, to the other replica"


async def test_a_head_request_is_answered_without_a_body_and_the_connection_goes_on(
    server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    replica = start_replica(server.url, TRUSTED_PROXIES="127.0.0.1", PASS_KEY_LEAD="4")
    async with httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_connections=1)) as client:
        for method in ("HEAD", "GET", "HEAD", "POST", "DELETE"):
            answer = await client.request(
                method, f"{replica.url}/gate/default/for/api", headers={"Accept": "*/*"}, content=b"x" * 100_000
            )
            assert answer.status_code == 429
            assert bool(answer.content) is (method != "HEAD")


async def _ask(client: httpx.AsyncClient, url: str, more: dict[str, str] | None = None) -> httpx.Response:
    """Ask for a browser that has no cookies but those given."""
    client.cookies.clear()
    return await client.get(url, headers=ASKED | (more or {}))


async def _let_in(client: httpx.AsyncClient, url: str) -> httpx.Response | None:
    answer = await _ask(client, url)
    return answer if answer.headers.get("x-waiting-room") == "inline" else None
