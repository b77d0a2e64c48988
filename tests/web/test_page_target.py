"""Where the waiting page leads: where the visitor wanted to go, through every step, and nowhere else."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.rooms.gate import RoomGate
from app.services import Services
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.looks import change
from tests.support.servers import RealServer
from tests.support.waiting import eventually

FORM = {
    "Accept": "text/html,application/xhtml+xml",
    "Content-Type": "application/x-www-form-urlencoded",
    "Origin": "http://localhost:3000",
    "Sec-Fetch-Site": "same-origin",
}
WISH = "/checkout?seat=12&way=a b".replace(" ", "%20")
QUOTED = "target=%2Fcheckout%3Fseat%3D12%26way%3Da%2520b"


@pytest.fixture
async def app(server: RealServer) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    settings = make_settings(
        redis_url=server.url, rooms="default,concert", window_size=2, window_interval=600, refresh_interval=0.02
    )
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        gate = RoomGate.model_validate({"hosts": ["shop.example", "*.tickets.example:8443"]})
        await change(services, "concert", gate=gate)
        yield client, services


@pytest.fixture
def client(app: tuple[httpx.AsyncClient, Services]) -> httpx.AsyncClient:
    return app[0]


def data_of(page: httpx.Response) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.text)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


async def test_the_wish_goes_through_every_step_without_scripts(client: httpx.AsyncClient) -> None:
    page = await client.get(f"/rooms/concert?{QUOTED}")
    assert data_of(page)["target"] == WISH
    assert f'action="concert/join?{QUOTED}"' in page.text
    assert f'url=concert?{QUOTED}"></noscript>' in page.text
    assert f'href="concert?lang=de&amp;{QUOTED}"' in page.text
    joined = await client.post(f"/rooms/concert/join?{QUOTED}", headers=FORM)
    assert (joined.status_code, joined.headers["location"]) == (303, f"../concert?{QUOTED}")
    page = await client.get(f"/rooms/concert?{QUOTED}")
    assert f'<form id="enter" method="post" action="../rooms/concert/enter?{QUOTED}">' in page.text
    assert '<bdi dir="ltr">localhost:3000/checkout</bdi>' in page.text
    entered = await client.post(f"/rooms/concert/enter?{QUOTED}", headers=FORM)
    assert (entered.status_code, entered.headers["location"]) == (303, WISH)
    assert "stanchion-pass-concert" in entered.headers["set-cookie"]


async def test_a_refused_place_leads_back_with_the_wish(client: httpx.AsyncClient) -> None:
    posted = await client.post(
        f"/join?{QUOTED}", headers=FORM | {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    )
    assert posted.headers["location"] == f"./?problem=forbidden&{QUOTED}"


async def test_another_tab_and_a_later_visit_know_the_wish_and_another_room_does_not(client: httpx.AsyncClient) -> None:
    kept = await client.get(f"/rooms/concert?{QUOTED}")
    assert "stanchion-target-concert=" in kept.headers["set-cookie"]
    assert "HttpOnly" in kept.headers["set-cookie"]
    again = await client.get("/rooms/concert")
    assert data_of(again)["target"] == WISH
    assert "set-cookie" not in again.headers
    assert data_of(await client.get("/rooms/concert?target=%2Fother"))["target"] == "/other"
    assert data_of(await client.get("/rooms/concert"))["target"] == "/other"
    assert data_of(await client.get("/rooms/default"))["target"] is None


async def test_a_long_wish_is_kept_by_the_address_alone(client: httpx.AsyncClient) -> None:
    wish = "/" + "x" * 600
    page = await client.get(f"/rooms/concert?target={wish}")
    assert data_of(page)["target"] == wish
    assert "set-cookie" not in page.headers
    assert re.search(r'<bdi dir="ltr">localhost:3000/x{20,50}…</bdi>', page.text)


EVIL = [
    "//evil.example/",
    "https://evil.example/",
    "https://shop.example@evil.example/",
    "https://shop.example.evil.example/",
    "\\\\evil.example",
    "/\\evil.example",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    'https://shop.example/"><script>alert(1)</script>',
    "/%0d%0aSet-Cookie:evil=1\r\nx",
    "/../..//evil.example",
    "https://shop.example/" + "x" * 3000,
    "",
]


@pytest.mark.parametrize("evil", EVIL, ids=lambda evil: evil[:30])
async def test_what_is_not_allowed_appears_nowhere_and_leads_nowhere(client: httpx.AsyncClient, evil: str) -> None:
    await client.post("/rooms/concert/join", headers=FORM)
    page = await client.get("/rooms/concert", params={"target": evil})
    assert data_of(page)["target"] is None
    assert "evil" not in page.text
    assert "<script>alert" not in page.text
    assert '<form id="enter"' not in page.text
    assert "stanchion-target" not in page.headers.get("set-cookie", "")
    client.cookies.set("stanchion-target-concert", httpx.QueryParams({"x": evil}).__str__()[2:])
    assert data_of(await client.get("/rooms/concert"))["target"] is None
    assert "evil" not in page.headers["content-security-policy"]


async def test_a_page_that_leads_to_another_site_lets_its_form_go_there_and_nowhere_else(
    app: tuple[httpx.AsyncClient, Services],
) -> None:
    client, services = app
    page = await client.get("/rooms/concert", params={"target": "https://eu.tickets.example:8443/a?b=c#d"})
    assert "form-action 'self' https://eu.tickets.example:8443;" in page.headers["content-security-policy"]
    assert data_of(page)["target"] == "https://eu.tickets.example:8443/a?b=c#d"
    assert '<bdi dir="ltr">eu.tickets.example:8443/a</bdi>' in page.text
    assert "form-action 'self';" in (await client.get("/")).headers["content-security-policy"]
    odd = services.rooms.get("default").settings.look.model_copy(update={"enter_url": "https://a;script-src/x"})
    await change(services, "default", look=odd)
    assert "form-action 'self';" in (await client.get("/")).headers["content-security-policy"]


async def test_without_a_wish_the_page_leads_to_the_rooms_site(app: tuple[httpx.AsyncClient, Services]) -> None:
    client, services = app
    assert data_of(await client.get("/"))["target"] is None
    look = services.rooms.get("default").settings.look.model_copy(update={"enter_url": "https://look.example/x"})
    await change(services, "default", look=look)
    assert data_of(await client.get("/"))["target"] == "https://look.example/x"
    await change(services, "default", gate=RoomGate.model_validate({"siteUrl": "https://shop.example/"}))
    page = await client.get("/?target=https://evil.example")
    assert data_of(page)["target"] == "https://shop.example/"
    assert '<bdi dir="ltr">shop.example</bdi>' in page.text
    await client.post("/join", headers=FORM)
    entered = await client.post("/rooms/default/enter", headers=FORM)
    assert entered.headers["location"] == "https://shop.example/"


async def test_who_is_inside_finds_the_way_to_the_site_and_the_way_out(client: httpx.AsyncClient) -> None:
    await client.post(f"/rooms/concert/join?{QUOTED}", headers=FORM)
    await client.post(f"/rooms/concert/enter?{QUOTED}", headers=FORM)
    await eventually(lambda: shows(client, "Go to the site"))
    page = await client.get(f"/rooms/concert?{QUOTED}")
    assert f'<form method="post" action="../rooms/concert/leave?{QUOTED}">' in page.text
    assert "<summary>End my visit</summary>" in page.text
    left = await client.post(f"/rooms/concert/leave?{QUOTED}", headers=FORM)
    assert (left.status_code, left.headers["location"]) == (303, f"../concert?{QUOTED}")
    await eventually(lambda: shows(client, "Your visit has ended"))


async def shows(client: httpx.AsyncClient, text: str) -> bool:
    return text in (await client.get(f"/rooms/concert?{QUOTED}")).text.split('id="data"')[0]


async def test_a_page_with_scripts_learns_where_to_go_from_entering(client: httpx.AsyncClient) -> None:
    own = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-origin"}
    await client.post("/rooms/concert/join", headers=own)
    for wanted, leads in (("https://shop.example/a", "https://shop.example/a"), ("https://evil.example/", "/")):
        entered = await client.post("/rooms/concert/enter", params={"target": wanted}, headers=own)
        assert entered.json()["target"] == leads
    assert "target" not in (await client.post("/rooms/concert/renew", headers=own)).json()


async def test_under_a_prefix_the_page_leads_to_the_site_around_it_and_links_to_itself(server: RealServer) -> None:
    settings = make_settings(redis_url=server.url, root_path="/_queue", refresh_interval=0.02, window_size=2)
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        assert data_of(await client.get("/_queue/rooms/default"))["target"] == "/"
        await client.post("/_queue/rooms/default/join", headers=FORM)
        for prefix in ("/_queue", ""):  # whether the proxy strips it or not
            page = await client.post(f"{prefix}/rooms/default/carry", headers=FORM)
            assert 'href="http://localhost:3000/_queue/rooms/default#place=' in page.text
            assert 'action="../../rooms/default/takeover"' in page.text
        entered = await client.post("/_queue/rooms/default/enter", headers=FORM)
        assert entered.headers["location"] == "/"
