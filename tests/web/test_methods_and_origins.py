"""Which methods the visitors' routes take, and what browsers are told who ask for pages of other sites."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.waiting import eventually

SHOP = {"Origin": "https://shop.example"}
WISH = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture
async def client(server: RealServer) -> AsyncIterator[httpx.AsyncClient]:
    settings = make_settings(redis_url=server.url, allowed_origins="https://shop.example", refresh_interval=0.05)
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        yield client


@pytest.mark.parametrize("prefix", ["", "/rooms/default"])
@pytest.mark.parametrize(
    ("name", "takes"), [("join", {"POST"}), ("status", {"GET", "HEAD"}), ("serving", {"GET", "HEAD"})]
)
async def test_a_wrong_method_is_told_the_right_ones(
    client: httpx.AsyncClient, prefix: str, name: str, takes: set[str]
) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - takes:
        answer = await client.request(method, f"{prefix}/{name}")
        assert answer.status_code == 405
        assert answer.json()["detail"]
        assert set(answer.headers["allow"].split(", ")) >= takes


@pytest.mark.parametrize("path", ["/status", "/serving", "/events", "/rooms/default/serving"])
async def test_head_is_answered_as_get_is(client: httpx.AsyncClient, path: str) -> None:
    bearer = {"Authorization": f"Bearer {(await client.post('/join')).json()['token']}"}
    head = await client.head(path, headers=bearer)
    assert head.status_code == 200
    if path != "/events":
        get = await client.get(path, headers=bearer)
        assert head.headers["content-type"] == get.headers["content-type"]


async def test_a_page_of_an_allowed_origin_can_go_the_whole_way(client: httpx.AsyncClient) -> None:
    ticket = (await client.post("/rooms/default/join", headers=SHOP)).json()["token"]
    bearer = SHOP | {"Authorization": f"Bearer {ticket}"}
    for method, route, status in (
        ("GET", "status", 200),
        ("POST", "enter", 200),
        ("POST", "renew", 200),
        ("POST", "carry", 409),
        ("POST", "leave", 204),
        ("POST", "enter", 410),
    ):
        asked = await client.options(f"/rooms/default/{route}", headers=SHOP | WISH)
        assert asked.status_code == 204
        assert asked.headers["access-control-allow-origin"] == SHOP["Origin"]
        assert "authorization" in asked.headers["access-control-allow-headers"]
        answer = await client.request(method, f"/rooms/default/{route}", headers=bearer)
        assert (route, answer.status_code) == (route, status)
        assert answer.headers["access-control-allow-origin"] == SHOP["Origin"]


async def test_browsers_keep_the_answers_from_pages_of_every_other_origin(client: httpx.AsyncClient) -> None:
    evil = {"Origin": "https://evil.example"}
    for route in ("join", "status", "enter", "renew", "leave", "carry"):
        asked = await client.options(f"/rooms/default/{route}", headers=evil | WISH)
        assert asked.status_code == 204
        assert not [name for name in asked.headers if name.startswith("access-control")]
        answer = await client.post(f"/rooms/default/{route}", headers=evil)
        assert answer.status_code in (401, 403, 405)
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_the_operators_routes_answer_no_preflight(client: httpx.AsyncClient) -> None:
    assert (await client.options("/admin/api/rooms", headers=SHOP | WISH)).status_code == 405
