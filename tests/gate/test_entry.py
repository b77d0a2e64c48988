"""From the waiting page on one host to the site on another: a code in the query, exchanged once for the cookie."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from app.rooms.gate import RoomGate
from app.web.entry import ENTRY_PARAMETER
from tests.gate.conftest import BROWSER, PROGRAM, Proxy
from tests.support.looks import change

PAGE = {
    "Host": "queue.example",
    "Origin": "https://queue.example",
    "Sec-Fetch-Site": "same-origin",
    "X-Forwarded-Proto": "https",
}
FORM = {**PAGE, "Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
GATE = RoomGate(
    inline=False,
    hosts=("shop.example", "*.shop.example"),
    site_url="https://Start.example/?a=b",
    page_url="https://queue.example/rooms/default",
)


@pytest.fixture(autouse=True)
async def _page_on_a_host_of_its_own(proxy: Proxy) -> None:
    await change(proxy.services, "default", gate=GATE, window_size=50)


async def entered(proxy: Proxy, target: str, headers: dict[str, str] = PAGE) -> httpx.Response:
    """What the page is answered when its visitor, who has just joined, enters."""
    ticket = (await proxy.client.post("/join")).json()["token"]
    cookie = {"Cookie": f"stanchion-ticket-default={ticket}"}
    answer = await proxy.client.post("/rooms/default/enter", params={"target": target}, headers=headers | cookie)
    proxy.client.cookies.clear()
    return answer


async def arrive(proxy: Proxy, address: str, mode: str = "", **headers: str) -> httpx.Response:
    """The browser at the gate of the site, with the address that the page led to."""
    parts = urlsplit(address)
    uri = parts.path + (f"?{parts.query}" if parts.query else "")
    return await proxy.ask(uri, mode=mode, headers={**BROWSER, "X-Forwarded-Host": parts.netloc, **headers})


async def test_the_page_leads_on_with_a_code_that_the_gate_takes_for_a_cookie(proxy: Proxy) -> None:
    answer = await entered(proxy, "https://shop.example/seats?row=A&b#map")
    where = answer.json()["target"]
    assert where.startswith(f"https://shop.example/seats?row=A&b&{ENTRY_PARAMETER}=")
    assert where.endswith("#map")
    first = await arrive(proxy, where)
    assert (first.status_code, first.headers["location"]) == (302, "/seats?row=A&b")
    assert first.headers["cache-control"] == "no-store"
    cookie = first.headers["set-cookie"]
    assert cookie.startswith("__Host-stanchion-pass-default=")
    inside = await proxy.ask("/seats?row=A&b", headers={**BROWSER, "Cookie": cookie.partition(";")[0]})
    assert inside.headers["x-waiting-room"] == "pass"
    assert inside.headers["x-waiting-room-session"] == answer.json()["sessionId"]


async def test_without_scripts_the_form_leads_on_with_a_code_as_well(proxy: Proxy) -> None:
    answer = await entered(proxy, "https://shop.example/seats", FORM)
    assert answer.status_code == 303
    assert (await arrive(proxy, answer.headers["location"])).headers["location"] == "/seats"


async def test_a_code_is_good_once_whoever_comes_first(proxy: Proxy) -> None:
    where = (await entered(proxy, "https://shop.example/seats")).json()["target"]
    answers = await asyncio.gather(*(arrive(proxy, where) for _ in range(20)))
    taken = [answer for answer in answers if "set-cookie" in answer.headers]
    assert len(taken) == 1
    led = [answer.headers["location"] for answer in answers if answer is not taken[0]]
    assert {urlsplit(address).netloc for address in led} == {"queue.example"}
    assert parse_qs(urlsplit(led[0]).query) == {"target": ["https://shop.example/seats"]}, "the used code is gone"


async def test_a_code_is_good_at_its_own_host_and_room_only(proxy: Proxy) -> None:
    where = (await entered(proxy, "https://shop.example/seats")).json()["target"]
    elsewhere = await arrive(proxy, where.replace("//shop.example", "//eu.shop.example"))
    assert "set-cookie" not in elsewhere.headers
    await change(proxy.services, "concert", gate=GATE)
    where = (await entered(proxy, "https://shop.example/seats")).json()["target"]
    uri = where.removeprefix("https://shop.example")
    assert "set-cookie" not in (await proxy.ask(uri, room="concert")).headers


async def test_a_proxy_that_cannot_hand_redirects_on_gets_200_and_the_cookie(proxy: Proxy) -> None:
    where = (await entered(proxy, "https://shop.example/seats")).json()["target"]
    answer = await arrive(proxy, where, mode="status")
    assert (answer.status_code, answer.headers["x-waiting-room"]) == (200, "pass")
    assert "set-cookie" in answer.headers


@pytest.mark.parametrize("headers", [PROGRAM, {**BROWSER, "Sec-Purpose": "prefetch"}])
async def test_only_somebody_opening_the_page_uses_the_code_up(proxy: Proxy, headers: dict[str, str]) -> None:
    where = (await entered(proxy, "https://shop.example/seats")).json()["target"]
    uri = where.removeprefix("https://shop.example")
    assert "set-cookie" not in (await proxy.ask(uri, headers=headers)).headers
    assert "set-cookie" not in (await proxy.ask(uri, mode="refuse")).headers
    assert "set-cookie" in (await proxy.ask(uri)).headers


async def test_a_path_that_reads_as_another_host_is_not_redirected_to(proxy: Proxy) -> None:
    code = (await entered(proxy, "https://shop.example/")).json()["target"].partition("=")[2]
    answer = await proxy.ask(f"//evil.example/?{ENTRY_PARAMETER}={code}")
    assert answer.status_code == 200
    assert "location" not in answer.headers


@pytest.mark.parametrize("mode", ["", "status"])
async def test_a_code_of_a_visit_that_has_ended_lets_nobody_through(proxy: Proxy, mode: str) -> None:
    answer = (await entered(proxy, "https://shop.example/seats")).json()
    await proxy.client.post("/rooms/default/leave", headers={"X-Waiting-Room-Pass": answer["pass"]})
    late = await arrive(proxy, answer["target"], mode)
    assert late.status_code == (401 if mode else 302)
    assert "x-waiting-room" not in late.headers
    assert "set-cookie" not in late.headers


async def test_no_code_is_made_where_none_is_needed_or_safe(proxy: Proxy) -> None:
    for target in ("/here", "https://queue.example/there", "http://shop.example/in-clear"):
        assert ENTRY_PARAMETER not in (await entered(proxy, target)).json()["target"]
    fallback = (await entered(proxy, "https://evil.example/")).json()["target"]
    assert fallback.startswith("https://Start.example/?a=b&"), "not where it was asked to lead, but to the room's site"
    program = await proxy.enter()
    assert program["target"] == "https://Start.example/?a=b"
    await change(proxy.services, "default", gate=GATE.model_copy(update={"page_url": None}))
    same_host = (await entered(proxy, "https://shop.example/")).json()["target"]
    assert same_host == "https://shop.example/"


async def test_made_up_codes_are_no_codes(proxy: Proxy) -> None:
    for code in ("", "x", "x" * 5000, "%00", "*", "a:b", "x" + "&a=b" * 500):
        answer = await proxy.ask(f"/?{ENTRY_PARAMETER}={code}")
        assert "set-cookie" not in answer.headers
        assert answer.status_code == 302


async def test_an_address_of_many_parameters_is_read_like_any_other(proxy: Proxy) -> None:
    code = (await entered(proxy, "https://shop.example/")).json()["target"].partition("=")[2]
    many = "&a=1" * 300
    assert (await proxy.ask(f"/?{ENTRY_PARAMETER}=made-up{many}")).status_code == 302
    taken = await proxy.ask(f"/?{ENTRY_PARAMETER}={code}{many}")
    assert taken.headers["location"] == "/?" + many[1:]
