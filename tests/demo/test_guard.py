"""The site's own guard: it asks the gate and obeys, and knows what to do when nobody answers."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.demo.guard import Guard, GuardOptions
from app.demo.offline import PassReader
from app.demo.queue_path import QueuePath
from app.demo.serving import create_box_office
from app.demo.site import SiteOptions
from tests.conftest import make_settings
from tests.support.live import LiveApp, live_app, serving
from tests.support.looks import change
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import eventually

BROWSER = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.fixture
async def live(server: RealServer) -> AsyncIterator[LiveApp]:
    """A service that believes this machine, with room for one visitor at a time."""
    settings = make_settings(redis_url=server.url, refresh_interval=0.02, trusted_proxies="127.0.0.1")
    async with live_app(settings) as served:
        await change(served.services, "default", max_active=1, batches=False)
        yield served


@asynccontextmanager
async def guarded(service_url: str, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A site that says what it was asked, behind the guard on a real port."""

    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        ending = {"x-waiting-room-end": scope["path"][1:]} if scope["path"] in ("/end", "/revoke") else {}
        await PlainTextResponse(scope["path"], headers=ending)(scope, receive, send)

    guard = Guard(site, GuardOptions(service_url, "default", **options))
    async with serving(guard) as (url, _), httpx.AsyncClient(base_url=url) as client:
        await eventually(lambda: guard._passes._keys)
        yield client


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def enter(service_url: str) -> dict[str, str]:
    """A visitor inside, and the header with their pass."""
    async with httpx.AsyncClient(base_url=service_url) as client:
        ticket = (await client.post("/join")).json()["token"]
        entered = await client.post("/rooms/default/enter", headers={"authorization": f"Bearer {ticket}"})
        assert entered.status_code == 200, entered.text
        return {"x-waiting-room-pass": entered.json()["pass"], "authorization": f"Bearer {ticket}"}


async def test_a_browser_is_led_to_the_line_and_a_program_is_told_the_way(live: LiveApp) -> None:
    await enter(live.url)
    async with guarded(live.url) as site:
        browser = await site.get("/seats?row=A", headers=BROWSER)
        assert browser.status_code == 302
        assert browser.headers["location"].endswith("/rooms/default?target=%2Fseats%3Frow%3DA")
        assert browser.headers["cache-control"] == "no-store"
        program = await site.get("/seats")
        assert (program.status_code, program.json()["room"]) == (429, "default")
        assert int(program.headers["retry-after"]) > 0


async def test_a_pass_lets_through_and_a_broken_one_does_not(live: LiveApp) -> None:
    visitor = await enter(live.url)
    async with guarded(live.url) as site:
        assert (await site.get("/seats", headers=visitor)).text == "/seats"
        token = visitor["x-waiting-room-pass"]
        as_cookie = {"cookie": f"a=b; stanchion-pass-default={token}"}
        assert (await site.get("/seats", headers=as_cookie)).status_code == 200
        broken = token[:-10] + "AAAAAAAAAA"
        assert (await site.get("/seats", headers={"x-waiting-room-pass": broken})).status_code == 429


async def test_with_room_to_spare_the_pass_comes_with_the_sites_own_answer(live: LiveApp) -> None:
    async with guarded(live.url) as site:
        answer = await site.get("/seats", headers=BROWSER)
        assert answer.text == "/seats"
        assert "stanchion-pass-default=" in answer.headers["set-cookie"]
        again = await site.get("/seats", headers=BROWSER)  # the client keeps the cookie, as a browser does
        assert again.status_code == 200


async def test_one_visitors_pass_never_becomes_anothers(live: LiveApp) -> None:
    async with guarded(live.url) as site:
        assert (await site.get("/seats", headers=BROWSER)).status_code == 200
        async with httpx.AsyncClient(base_url=site.base_url) as stranger:
            assert (await stranger.get("/seats", headers=BROWSER)).status_code == 302


async def test_the_sites_word_ends_the_visit_at_once_and_is_not_told_to_the_visitor(live: LiveApp) -> None:
    async with guarded(live.url) as site:
        for how in ("end", "revoke"):
            visitor = await enter(live.url)
            last = await site.get(f"/{how}", headers=visitor)
            assert last.text == f"/{how}"
            assert "x-waiting-room-end" not in last.headers

            async def outside(visitor: dict[str, str] = visitor) -> bool:
                return (await site.get("/seats", headers=visitor)).status_code == 429

            await eventually(outside)


async def test_what_a_visitor_says_about_proxies_is_not_handed_on(live: LiveApp) -> None:
    await enter(live.url)
    gate = live.services.rooms.get("default").settings.gate
    bypass = gate.bypass.model_copy(update={"paths": ("/assets/",)})
    await change(live.services, "default", gate=gate.model_copy(update={"bypass": bypass}))
    async with guarded(live.url) as site:
        assert (await site.get("/assets/a.css")).status_code == 200
        for name in ("X-Forwarded-Uri", "X-Original-URI", "X-Original-URL"):
            lie = {name: "/assets/a.css", "X-Forwarded-Method": "GET", "X-Original-Method": "GET"}
            assert (await site.get("/seats", headers=lie)).status_code == 429
        odd = ("/assets/../seats", "/assets/%2e%2e/seats", "//assets/a.css")
        assert [await status_of(site, path) for path in odd] == [429] * len(odd)


async def status_of(client: httpx.AsyncClient, path: str) -> int:
    """What a path gets that is sent as it stands: httpx would tidy it up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1])


async def test_open_paths_do_not_even_ask(live: LiveApp) -> None:
    async with guarded(live.url, open_paths=("/static/", "/bye")) as site:
        await change(live.services, "default", max_active=0)
        assert (await site.get("/seats")).status_code == 429
        assert (await site.get("/static/site.css")).status_code == 200
        assert (await site.get("/bye")).status_code == 200
        odd = ("/static/../seats", "/static/%2e%2e/seats", "/static//seats", "/static/a;/../seats", "/static/%252e")
        assert [await status_of(site, path) for path in odd] == [429] * len(odd)
        assert (await site.get("/byebye")).status_code == 429


async def test_a_web_socket_is_opened_with_a_pass_or_not_at_all(live: LiveApp) -> None:
    reached: list[str] = []

    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    async def opened(headers: dict[str, str]) -> list[str]:
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "websocket", "path": "/live", "scheme": "ws", "query_string": b"", "headers": pairs}
        sent: list[str] = []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(f"{message['type']} {message['code']}")

        await guard(scope, receive, send)
        return sent

    visitor = await enter(live.url)
    guard = Guard(site, GuardOptions(live.url, "default", open_paths=("/open/",)))
    assert await opened({"host": "shop.example"}) == ["websocket.close 1008"]
    assert reached == []
    assert await opened({"host": "shop.example", **visitor}) == []
    assert reached == ["/live"]
    await guard._client.aclose()


@asynccontextmanager
async def gone(replica: Replica, **options: Any) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, str]]]:
    """The guard has seen the service's keys, somebody is inside, and then the service is killed."""
    visitor = await enter(replica.url)
    async with guarded(replica.url, **options) as site:
        replica.kill()
        yield site, visitor


@pytest.fixture
def replica(server: RealServer, start_replica: Callable[..., Replica]) -> Replica:
    return start_replica(server.url, TRUSTED_PROXIES="127.0.0.1")


async def test_while_the_service_is_away_live_passes_go_on_and_newcomers_are_held(replica: Replica) -> None:
    async with gone(replica) as (site, visitor):
        newcomer = await site.get("/seats", headers=BROWSER)
        assert newcomer.headers["retry-after"] == newcomer.headers["refresh"] == "5"
        assert "One moment, please" in newcomer.text
        assert (await site.get("/seats", headers=visitor)).text == "/seats"
        cookie = {"cookie": f"stanchion-pass-default={visitor['x-waiting-room-pass']}", **BROWSER}
        assert (await site.get("/seats", headers=cookie)).status_code == 200
        token = visitor["x-waiting-room-pass"]
        head, claims, signature = token.split(".")
        forged = [f"{head}.{claims}.{signature[:-6]}AAAAAA", f"{head}.{claims}.", "eyJhbGciOiJub25lIn0.e30.", "x", ""]
        for bad in [*forged, visitor["authorization"].removeprefix("Bearer ")]:
            assert (await site.get("/seats", headers={"x-waiting-room-pass": bad})).status_code == 503


async def test_a_guard_that_opens_when_lost_lets_newcomers_through(replica: Replica) -> None:
    async with gone(replica, open_when_lost=True) as (site, _):
        assert (await site.get("/seats", headers=BROWSER)).text == "/seats"


async def test_a_pass_of_another_room_does_not_hold_offline(live: LiveApp) -> None:
    visitor = await enter(live.url)
    header = [(b"x-waiting-room-pass", visitor["x-waiting-room-pass"].encode())]
    async with httpx.AsyncClient() as client:
        own, other = (PassReader(f"{live.url}/keys", room, client) for room in ("default", "elsewhere"))
        for reader in (own, other):
            assert not reader.find_live(header, secure=False)
            reader.learn(live.services.passes.jwks_json())
    assert own.find_live(header, secure=False)
    assert not other.find_live(header, secure=False)


@asynccontextmanager
async def box_office(live: LiveApp) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    site: ASGIApp = create_box_office(SiteOptions(live.url), "default")
    async with serving(site) as (url, _), httpx.AsyncClient(base_url=url) as client:
        yield url, client


async def test_the_waiting_room_is_reached_below_a_path_of_the_site(live: LiveApp) -> None:
    await enter(live.url)
    async with box_office(live) as (_, client):
        page = await client.get("/_queue/rooms/default?target=%2Fseats", headers=BROWSER)
        assert page.status_code == 200
        style = re.search(r'href="([^"]+wait\.css)"', page.text)
        assert style
        address = page.url.join(style[1])
        assert (await client.get(address)).headers["content-type"].startswith("text/css")
        joined = await client.post("/_queue/rooms/default/join", headers={"origin": str(client.base_url).rstrip("/")})
        assert joined.json()["position"] == 2
        assert "stanchion-ticket-default" in client.cookies


async def test_one_visitors_ticket_never_becomes_anothers(live: LiveApp) -> None:
    async with box_office(live) as (url, client), httpx.AsyncClient(base_url=url) as stranger:
        for number, browser in enumerate((client, stranger), 1):
            joined = await browser.post("/_queue/rooms/default/join", headers={"origin": url})
            assert joined.json()["position"] == number
            assert "stanchion-ticket-default" in browser.cookies


async def test_what_visitors_do_not_need_is_not_reached_through_the_site(live: LiveApp) -> None:
    async with box_office(live) as (_, client):
        for path in (
            "/_queue/admin",
            "/_queue/task",
            "/_queue/locks/a",
            "/_queue/metrics",
            "/_queue/",
            "/_queue//admin",
        ):
            assert (await client.get(path)).status_code == 404
        ways_out = ("rooms/../livez", "rooms/%2e%2e/livez", "static/..%2flivez", "rooms/./default", "rooms//default")
        assert [await status_of(client, f"/_queue/{path}") for path in ways_out] == [404] * len(ways_out)
        large = await client.post("/_queue/rooms/default/join", content=b"x" * (2 << 20))
        assert large.status_code == 413


async def test_half_a_request_is_not_handed_on() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    said = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(said)

    path = QueuePath(PlainTextResponse("the site"), "http://127.0.0.1:9", "/_queue")
    scope = {"type": "http", "method": "POST", "path": "/_queue/rooms/default/join", "query_string": b"", "headers": []}
    await path({**scope, "scheme": "http"}, receive, send)
    assert not sent, "neither the service nor the visitor hears of it"


async def test_pushed_updates_come_through_and_end_with_their_reader(live: LiveApp) -> None:
    def open_streams() -> float:
        return live.services.metrics.registry.get_sample_value("stanchion_streams_open") or 0

    async with box_office(live) as (_, client):
        async with client.stream("GET", "/_queue/rooms/default/events", timeout=10) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            first = await anext(stream.aiter_text())
            assert "data:" in first or first.startswith(":")
            assert open_streams() == 1
        await eventually(lambda: open_streams() == 0)


async def test_without_the_service_the_path_says_so(live: LiveApp) -> None:
    site = create_box_office(SiteOptions("http://127.0.0.1:9"), "default")
    async with serving(site) as (url, _), httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/_queue/rooms/default")).status_code == 503
        assert (await client.get("/", headers=BROWSER)).status_code == 503
