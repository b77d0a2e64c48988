"""The site ends a visit, its proxy passes the word on: the pass counts no more, and after `revoke` nor does its holder."""

from collections.abc import AsyncIterator

import httpx
import jwt
import pytest

from app.services import Services
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.tokens import PASS_PEM, forged_pass
from tests.support.waiting import SLACK_S, eventually

PERSON_SECRET = "a-secret-of-the-site-that-is-long-enough"
ADMIN = {"Authorization": "Bearer admin-token-for-tests"}


@pytest.fixture
async def app(server: RealServer) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    settings = make_settings(redis_url=server.url, rooms="default,sale", refresh_interval=0.05, pass_key=PASS_PEM)
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        yield client, services


@pytest.fixture
def client(app: tuple[httpx.AsyncClient, Services]) -> httpx.AsyncClient:
    return app[0]


async def inside(client: httpx.AsyncClient, **headers: str) -> tuple[dict[str, str], str]:
    """The header of a ticket, and the pass that it led to."""
    joined = await client.post("/rooms/sale/join", headers=headers)
    bearer = {"Authorization": f"Bearer {joined.json()['token']}"}
    entered = await client.post("/rooms/sale/enter", headers=bearer)
    assert entered.status_code == 200, entered.text
    return bearer, entered.json()["pass"]


async def end(client: httpx.AsyncClient, headers: dict[str, str], how: str | None = None) -> httpx.Response:
    said = {} if how is None else {"X-Waiting-Room-End": how}
    return await client.post("/gate/sale/end", headers={**headers, **said})


async def lets_through(client: httpx.AsyncClient, token: str) -> bool:
    asked = {"X-Waiting-Room-Pass": token, "X-Forwarded-Uri": "/", "Accept": "application/json"}
    return (await client.get("/gate/sale", headers=asked)).status_code == 200


@pytest.mark.parametrize("how", [None, "end", "revoke", " Revoke "])
async def test_an_ended_visit_does_not_pass_the_gate_nor_enter_again(
    client: httpx.AsyncClient, how: str | None
) -> None:
    bearer, token = await inside(client)
    assert await lets_through(client, token)
    for _ in range(2):
        assert (await end(client, {"X-Waiting-Room-Pass": token}, how)).status_code == 204
    assert not await lets_through(client, token)
    again = await client.post("/rooms/sale/enter", headers=bearer)
    assert (again.status_code, again.json()["visitStatus"]) == (410, "ended")
    assert (await client.post("/rooms/sale/renew", headers={"X-Waiting-Room-Pass": token})).status_code == 410


async def test_after_end_the_visitor_may_queue_again(client: httpx.AsyncClient) -> None:
    bearer, token = await inside(client)
    await end(client, {"X-Waiting-Room-Pass": token}, "end")
    again = await client.post("/rooms/sale/join", headers=bearer)
    assert (again.status_code, again.json()["position"]) == (200, 2)


async def test_after_revoke_the_ticket_gives_no_new_place(client: httpx.AsyncClient) -> None:
    bearer, token = await inside(client)
    await end(client, {"X-Waiting-Room-Pass": token}, "revoke")
    again = await client.post("/rooms/sale/join", headers=bearer)
    assert (again.status_code, again.json()["type"]) == (403, "urn:stanchion:problem:visit-barred")
    assert 86_000 < int(again.headers["retry-after"]) <= 86_400
    assert (await client.post("/rooms/sale/join")).json()["position"] == 2, "strangers are not meant"


async def test_after_revoke_the_page_without_scripts_says_why_there_is_no_new_place(client: httpx.AsyncClient) -> None:
    form = {
        "Origin": "http://localhost:3000",
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "text/html",
    }
    bearer, token = await inside(client)
    await end(client, {"X-Waiting-Room-Pass": token}, "revoke")
    refused = await client.post("/rooms/sale/join", headers=bearer | form)
    assert (refused.status_code, refused.headers["location"]) == (303, "../sale?problem=visit-barred")
    page = await client.get("/rooms/sale?problem=visit-barred", headers={"Accept-Language": "de"})
    assert "Die Website hat Ihren Besuch beendet" in page.text


@pytest.mark.parametrize(("how", "status"), [("end", 200), ("revoke", 403)])
async def test_a_person_known_to_the_site_is_kept_out_on_every_device_after_revoke(
    app: tuple[httpx.AsyncClient, Services], how: str, status: int
) -> None:
    client, services = app
    settings = {"identity": "required", "identitySecret": PERSON_SECRET}
    changed = await client.patch("/admin/api/rooms/sale", json={"settings": settings}, headers=ADMIN)
    assert changed.status_code == 200
    await eventually(lambda: services.rooms.get("sale").settings.identity_secret)
    person = {"X-Identity-Token": jwt.encode({"sub": "ada", "exp": 4_000_000_000}, PERSON_SECRET, algorithm="HS256")}
    _, token = await inside(client, **person)
    await end(client, {"X-Waiting-Room-Pass": token}, how)
    client.cookies.clear()
    assert (await client.post("/rooms/sale/join", headers=person)).status_code == status
    other = {"X-Identity-Token": jwt.encode({"sub": "bob", "exp": 4_000_000_000}, PERSON_SECRET, algorithm="HS256")}
    assert (await client.post("/rooms/sale/join", headers=other)).status_code == 200


async def test_an_operator_revokes_too(client: httpx.AsyncClient) -> None:
    bearer, token = await inside(client)
    wish = {"positions": [1], "revoke": True}
    ended = await client.post("/admin/api/rooms/sale/sessions/end", json=wish, headers=ADMIN)
    assert ended.json() == {"ended": 1}

    async def refused() -> bool:
        return not await lets_through(client, token)

    await eventually(refused, within_s=1 + SLACK_S)
    assert (await client.post("/rooms/sale/join", headers=bearer)).status_code == 403


async def test_a_bar_of_an_old_line_says_nothing_of_the_same_place_in_the_new_one(client: httpx.AsyncClient) -> None:
    _, token = await inside(client)
    await end(client, {"X-Waiting-Room-Pass": token}, "revoke")
    await client.post("/admin/api/rooms/sale/reset", headers=ADMIN)
    fresh_bearer, fresh = await inside(client)
    assert await lets_through(client, fresh)
    await end(client, {"X-Waiting-Room-Pass": fresh}, "end")
    assert (await client.post("/rooms/sale/join", headers=fresh_bearer)).status_code == 200


async def test_by_cookie_the_first_good_one_counts_and_is_taken_away(client: httpx.AsyncClient) -> None:
    _, token = await inside(client)
    tossed = f"stanchion-pass-sale={forged_pass({'aud': 'sale', 'exp': 1_700_000_001})}"
    ended = await end(client, {"Cookie": f"{tossed}; stanchion-pass-sale={token}"})
    assert ended.status_code == 204
    assert "Max-Age=0" in ended.headers["set-cookie"]
    assert not await lets_through(client, token)


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({}, 401, "missing"),
        ({"X-Waiting-Room-Pass": forged_pass()}, 401, "other_room"),
        ({"X-Waiting-Room-Pass": "x"}, 401, "malformed"),
        ({"Cookie": f"stanchion-pass-sale={forged_pass({'iss': 'staging', 'aud': 'sale'})}"}, 401, "other_deployment"),
        ({"Cookie": "stanchion-pass-sale=x", "Sec-Fetch-Site": "cross-site"}, 403, None),
        ({"X-Waiting-Room-End": "perhaps"}, 400, None),
    ],
)
async def test_without_a_good_pass_no_visit_is_ended(
    client: httpx.AsyncClient, headers: dict[str, str], status: int, reason: str | None
) -> None:
    _, token = await inside(client)
    client.cookies.clear()
    refused = await client.post("/gate/sale/end", headers=headers)
    assert (refused.status_code, refused.json().get("reason")) == (status, reason)
    assert await lets_through(client, token)


async def test_what_a_trusted_proxy_passes_on_may_have_come_from_a_page_elsewhere(server: RealServer) -> None:
    settings = make_settings(redis_url=server.url, rooms="default,sale", trusted_proxies="127.0.0.1")
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        _, token = await inside(client)
        returned = {"Cookie": f"__Host-stanchion-pass-sale={token}", "X-Forwarded-Proto": "https"}
        ended = await end(client, {**returned, "Origin": "https://payments.example", "Sec-Fetch-Site": "cross-site"})
        assert ended.status_code == 204
        assert ended.headers["set-cookie"].startswith("__Host-stanchion-pass-sale=; ")
