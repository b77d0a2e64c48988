"""The visitor's program: join, ask for the status, be refused clearly."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import jwt
import pytest

from app.services import Services
from tests.conftest import SECRET, make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer, free_port
from tests.support.tokens import forged
from tests.support.waiting import eventually


@pytest.fixture
async def app(server: RealServer) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    settings = make_settings(
        redis_url=server.url,
        rooms="default,concert",
        window_size=2,
        window_interval=600,
        refresh_interval=0.02,
        allowed_origins="https://shop.example",
    )
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        yield client, services


@pytest.fixture
def client(app: tuple[httpx.AsyncClient, Services]) -> httpx.AsyncClient:
    return app[0]


async def test_a_join_answers_the_place_and_what_status_answers(client: httpx.AsyncClient) -> None:
    joined = await client.post("/join")
    assert joined.status_code == 200
    first = joined.json()
    assert (first["position"], first["status"], first["room"]) == (1, "active", "default")
    status = await client.get("/status", headers={"Authorization": f"Bearer {first['token']}"})
    assert {"position", "status", "ahead", "estimatedWaitSeconds", "pollAfterSeconds", "room"} <= set(status.json())
    assert int(status.headers["retry-after"]) >= 1
    assert status.headers["cache-control"] == "no-store"


async def test_positions_are_in_order_of_arrival_and_without_gaps(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post("/join") for _ in range(50)))
    assert [answer.json()["position"] for answer in answers] == list(range(1, 51))


async def test_those_beyond_the_edge_wait_and_know_how_many_are_ahead(client: httpx.AsyncClient) -> None:
    answers = [(await client.post("/join")).json() for _ in range(5)]
    assert [answer["status"] for answer in answers] == ["active", "active", "waiting", "waiting", "waiting"]
    assert [answer["ahead"] for answer in answers] == [0, 0, 0, 1, 2]
    assert 0 < answers[2]["estimatedWaitSeconds"] <= 600 < answers[4]["estimatedWaitSeconds"] <= 1200


async def test_rooms_have_lines_of_their_own(client: httpx.AsyncClient) -> None:
    await client.post("/join")
    other = (await client.post("/rooms/concert/join")).json()
    assert (other["position"], other["room"]) == (1, "concert")
    bearer = {"Authorization": f"Bearer {other['token']}"}
    assert (await client.get("/rooms/concert/status", headers=bearer)).status_code == 200
    refused = await client.get("/status", headers=bearer)
    assert (refused.status_code, refused.json()["reason"]) == (401, "other_room")
    assert (await client.post("/rooms/nowhere/join")).status_code == 404


async def test_joining_with_a_live_ticket_returns_the_same_place(client: httpx.AsyncClient) -> None:
    first = (await client.post("/join")).json()
    again = (await client.post("/join", headers={"Authorization": f"Bearer {first['token']}"})).json()
    assert (again["token"], again["position"]) == (first["token"], first["position"])


async def test_the_same_idempotency_key_gives_the_same_place(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "order-17"}
    answers = await asyncio.gather(*(client.post("/join", headers=key if i % 2 else {}) for i in range(10)))
    keyed = {answer.json()["token"] for i, answer in enumerate(answers) if i % 2}
    assert len(keyed) == 1
    assert sorted({answer.json()["position"] for answer in answers}) == list(range(1, 7))
    refused = await client.post("/join", headers={"Idempotency-Key": "x" * 201})
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, "missing"),
        ("not-a-token", "malformed"),
        ("a.b.c", "malformed"),
        (forged(secret="another-signing-key-of-32-bytes-at-least"), "signature"),
        (forged(kid="nobody-knows"), "unknown_key"),
        (jwt.encode({"sub": "x"}, None, algorithm="none"), "algorithm"),
        (forged(alg="HS512"), "algorithm"),
        (forged({"exp": 1_700_000_001}), "expired"),
        (forged({"iss": "staging"}), "other_deployment"),
        (forged({"room": "concert"}), "other_room"),
        (forged({"pos": None}), "claims"),
        (forged({"pos": "first"}), "claims"),
        (forged({"pos": -1}), "claims"),
        (forged({"pos": 2**60}), "claims"),
        (forged({"room": ["default"]}), "claims"),
        (forged({"x": "y" * 3000}), "too_long"),
    ],
    ids=lambda value: str(value)[:20] if value else "none",
)
async def test_a_ticket_that_does_not_hold_gets_401_and_the_reason(
    client: httpx.AsyncClient, token: str | None, reason: str
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    refused = await client.get("/status", headers=headers)
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["www-authenticate"].startswith("Bearer ")
    body = refused.json()
    assert body["reason"] == reason
    assert body["detail"]


async def test_pyjwt_reads_what_was_signed_here(client: httpx.AsyncClient) -> None:
    token = (await client.post("/join")).json()["token"]
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], issuer="stanchion", options={"verify_iat": False})
    assert (claims["pos"], claims["room"], claims["epoch"]) == (1, "default", 1)
    assert claims["exp"] - claims["iat"] == 86_400


async def test_a_ticket_past_half_its_life_is_renewed_with_the_same_place(client: httpx.AsyncClient) -> None:
    await client.post("/join")
    old = forged({"exp": int(time.time()) + 3600, "iat": int(time.time()) - 80_000})
    fresh = (await client.get("/status", headers={"Authorization": f"Bearer {old}"})).json()["token"]
    claims = jwt.decode(fresh, SECRET, algorithms=["HS256"], issuer="stanchion", options={"verify_iat": False})
    assert (claims["sub"], claims["pos"]) == ("a-ticket", 1)
    assert claims["exp"] > time.time() + 86_000


async def test_a_browser_keeps_its_place_in_a_cookie_out_of_reach_of_scripts(client: httpx.AsyncClient) -> None:
    joined = await client.post("/join", headers={"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-origin"})
    cookie = joined.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert (await client.get("/status")).json()["position"] == 1
    assert (await client.post("/join")).json()["position"] == 1


async def test_a_password_that_a_proxy_asks_for_hides_no_place(client: httpx.AsyncClient) -> None:
    browser = {"Authorization": "Basic YWRhOmxvdmVsYWNl", "Origin": "http://localhost:3000"}
    nobody = await client.get("/status", headers=browser)
    assert (nobody.status_code, nobody.json()["reason"]) == (401, "malformed")
    for _ in range(2):
        assert (await client.post("/join", headers=browser)).json()["position"] == 1
    assert (await client.get("/status", headers=browser)).json()["position"] == 1
    old = forged({"exp": int(time.time()) + 3600, "iat": int(time.time()) - 80_000})
    client.cookies.clear()
    renewed = await client.get("/status", headers=browser | {"Cookie": f"stanchion-ticket-default={old}"})
    assert renewed.headers["set-cookie"].startswith("stanchion-ticket-default=")


async def test_other_sites_pages_may_join_only_when_allowed(client: httpx.AsyncClient) -> None:
    refused = await client.post("/join", headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers
    allowed = await client.post("/join", headers={"Origin": "https://shop.example"})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    assert "set-cookie" not in allowed.headers
    preflight = await client.options("/join", headers={"Origin": "https://shop.example"})
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]


async def test_serving_is_public_and_may_be_cached_for_a_second(client: httpx.AsyncClient) -> None:
    await client.post("/join")
    serving = await client.get("/serving")
    assert serving.headers["cache-control"] == "public, max-age=1"
    assert serving.headers["access-control-allow-origin"] == "*"
    assert {"epoch", "version", "serving", "last"} <= set(serving.json())
    assert (await client.get("/rooms/concert/serving")).json()["room"] == "concert"


async def test_a_poll_costs_no_round_trip(app: tuple[httpx.AsyncClient, Services]) -> None:
    client, services = app
    bearer = {"Authorization": f"Bearer {(await client.post('/join')).json()['token']}"}
    trips = services.metrics.round_trips.labels("request")._value
    before = trips.get()
    for _ in range(20):
        assert (await client.get("/status", headers=bearer)).status_code == 200
    assert trips.get() == before


async def test_a_replica_that_knows_nothing_of_the_room_yet_lets_nobody_wait_long_before_asking_again() -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    async with running_app(make_settings(redis_url=nowhere)) as (client, services):
        assert not services.has_snapshot
        answer = await client.get("/status", headers={"Authorization": f"Bearer {forged()}"})
        assert (answer.status_code, answer.json()["status"]) == (200, "waiting")
        assert 3 <= answer.json()["pollAfterSeconds"] <= 6
        assert 3 <= int(answer.headers["retry-after"]) <= 6
