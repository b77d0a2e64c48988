"""The waiting page as the server sends it: everything here works without scripts."""

import gzip
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.errors import StoreUnavailable
from app.rooms.settings import Method
from app.services import Services
from app.web.languages import language
from app.web.page_figures import wait_in_words
from app.web.page_html import templates
from app.web.page_state import page_state, state_key
from app.web.page_texts import STATES, page_texts
from app.web.places import render_serving
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.looks import change, look_like
from tests.support.servers import RealServer
from tests.support.tokens import forged
from tests.support.waiting import eventually

BROWSER = {"Accept": "text/html,application/xhtml+xml", "Content-Type": "application/x-www-form-urlencoded"}
FORM = BROWSER | {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def app(server: RealServer) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    settings = make_settings(
        redis_url=server.url, rooms="default,concert", window_size=2, window_interval=600, refresh_interval=0.02
    )
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        yield client, services


@pytest.fixture
def client(app: tuple[httpx.AsyncClient, Services]) -> httpx.AsyncClient:
    return app[0]


def state_of(page: httpx.Response) -> str:
    found = re.search(r'<body data-state="([a-z]+)"', page.text)
    assert found is not None
    return found[1]


def figure(page: httpx.Response, name: str) -> str | None:
    found = re.search(rf'<div id="fact-{name}"><dt>[^<]*</dt><dd>([^<]*)</dd>', page.text)
    return found[1] if found else None


async def seen_by_the_room(services: Services, last: int, room: str = "default") -> None:
    await eventually(lambda: services.rooms.get(room).snapshot.last >= last)  # type: ignore[union-attr]


async def test_looking_at_the_page_gives_no_place(app: tuple[httpx.AsyncClient, Services]) -> None:
    client, services = app
    page = await client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert state_of(page) == "none"
    assert '<form id="join" method="post" action="join">' in page.text
    assert "set-cookie" not in page.headers
    assert services.rooms.get("default").snapshot.last == 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("page", "action", "back"),
    [
        ("/", "join", "./"),
        ("/rooms/concert", "concert/join", "../concert"),
        ("/rooms/default", "default/join", "../default"),
    ],
)
async def test_the_button_gives_a_place_and_leads_back_to_the_page(
    client: httpx.AsyncClient, page: str, action: str, back: str
) -> None:
    assert f'action="{action}"' in (await client.get(page)).text
    target = httpx.URL(f"http://localhost:3000{page}").join(action)
    posted = await client.post(target, headers=FORM)
    assert posted.status_code == 303
    assert posted.headers["location"] == back
    assert posted.headers["cache-control"] == "no-store"
    shown = await client.get(target.join(back))
    assert state_of(shown) == "active"
    assert figure(shown, "position") == "1"


async def test_a_browser_that_names_no_origin_still_gets_its_cookie(client: httpx.AsyncClient) -> None:
    posted = await client.post("/join", headers=BROWSER)
    assert posted.status_code == 303
    assert "set-cookie" in posted.headers
    posted = await client.post("/rooms/concert/join", headers=BROWSER | {"Referer": "https://evil.example/x"})
    assert "set-cookie" not in posted.headers
    posted = await client.post("/rooms/concert/join", headers=FORM | {"Origin": "null"})
    assert "set-cookie" in posted.headers


async def test_a_form_on_another_site_gives_no_place(app: tuple[httpx.AsyncClient, Services]) -> None:
    client, services = app
    posted = await client.post(
        "/join", headers=FORM | {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    )
    assert (posted.status_code, posted.headers["location"]) == (303, "./?problem=forbidden")
    assert "set-cookie" not in posted.headers
    assert services.rooms.get("default").snapshot.last == 0  # type: ignore[union-attr]


async def test_a_program_that_posts_a_form_gets_json(client: httpx.AsyncClient) -> None:
    posted = await client.post("/join", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (posted.status_code, posted.json()["position"]) == (200, 1)


async def test_someone_waiting_sees_place_people_ahead_estimate_and_bar(
    app: tuple[httpx.AsyncClient, Services],
) -> None:
    client, services = app
    for _ in range(4):
        await client.post("/join")
    await client.post("/join", headers=FORM)
    await seen_by_the_room(services, 5)
    page = await client.get("/")
    assert state_of(page) == "waiting"
    assert (figure(page, "position"), figure(page, "ahead")) == ("5", "2")
    assert figure(page, "wait") == "20 minutes"
    assert re.search(r'<progress id="progress" max="100" value="0" aria-label="[^"]+">', page.text)
    assert re.search(r'<noscript><meta http-equiv="refresh" content="\d+;url=./"></noscript>', page.text)


async def test_the_bar_starts_where_the_place_was_first_shown_and_never_runs_backwards(
    app: tuple[httpx.AsyncClient, Services],
) -> None:
    client, services = app
    for _ in range(4):
        await client.post("/join")
    await client.post("/join", headers=FORM)
    await seen_by_the_room(services, 5)
    client.cookies.set("stanchion-first-default", "1.5.11")
    assert 'max="100" value="75"' in (await client.get("/")).text
    for odd in ("1.5.0", "9.9.9", "x", "1.5." + "9" * 30):
        client.cookies.delete("stanchion-first-default")
        client.cookies.set("stanchion-first-default", odd)
        assert 'max="100" value="0"' in (await client.get("/")).text


async def test_the_page_survives_a_reload_and_a_second_tab(client: httpx.AsyncClient) -> None:
    await client.post("/join", headers=FORM)
    assert {figure(await client.get("/"), "position") for _ in range(3)} == {"1"}
    await client.post("/join", headers=FORM)
    assert figure(await client.get("/"), "position") == "1"


@pytest.mark.parametrize(
    ("claims", "state"),
    [
        ({"epoch": 0}, "reset"),
        ({"exp": 1_700_000_001}, "none"),
        ({"room": "concert"}, "none"),
        ({"until": 1}, "expired"),
    ],
)
async def test_a_cookie_that_no_longer_holds_offers_a_new_place(
    app: tuple[httpx.AsyncClient, Services], claims: dict[str, object], state: str
) -> None:
    client, services = app
    await client.post("/join")
    await eventually(lambda: services.rooms.get("default").snapshot.run_ms > 1)  # type: ignore[union-attr]
    client.cookies.set("stanchion-ticket-default", forged(claims))
    page = await client.get("/")
    assert state_of(page) == state
    assert '<form id="join" method="post" action="join">' in page.text


async def test_a_paused_room_says_that_places_are_kept(app: tuple[httpx.AsyncClient, Services]) -> None:
    client, services = app
    for _ in range(2):
        await client.post("/join")
    await services.operator.control("default", "pause", "test")
    await client.post("/join", headers=FORM)
    await eventually(lambda: services.rooms.get("default").snapshot.paused)  # type: ignore[union-attr]
    page = await client.get("/")
    assert state_of(page) == "paused"
    assert '<form id="join" method="post" action="join" hidden>' in page.text


async def test_a_closed_room_says_so_and_a_refused_button_leads_back_with_the_reason(
    app: tuple[httpx.AsyncClient, Services],
) -> None:
    client, services = app
    await services.operator.control("default", "close", "test")
    await eventually(lambda: services.rooms.get("default").snapshot.closed)  # type: ignore[union-attr]
    assert state_of(await client.get("/")) == "closed"
    posted = await client.post("/join", headers=FORM)
    assert (posted.status_code, posted.headers["location"]) == (303, "./?problem=room-closed")
    page = await client.get("/?problem=room-closed")
    assert "The line is closed: no new places are given out." in page.text
    assert "<script>alert" not in (await client.get("/?problem=<script>alert(1)</script>")).text


async def test_an_unknown_room_gets_a_page_that_says_so(client: httpx.AsyncClient) -> None:
    page = await client.get("/rooms/nowhere")
    assert page.status_code == 404
    assert "There is no such line" in page.text


async def test_a_store_that_is_away_leaves_the_place_on_the_page_marked_as_old(
    app: tuple[httpx.AsyncClient, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable

    client, services = app
    await client.post("/join", headers=FORM)
    monkeypatch.setattr(services.store, "run_many", refuse)
    await eventually(lambda: services.rooms.get("default").stale)
    page = await client.get("/")
    assert state_of(page) == "active"
    assert '<p class="notice" id="stale">' in page.text


async def test_the_page_allows_no_code_but_its_own_files(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*(src=|application/json))", page.text)
    assert not re.search(r"\son[a-z]+=|\sstyle=|<style", page.text)
    assert not re.search(r'(src|href|action)="(https?:)?//', page.text)


async def test_the_first_view_stays_under_thirty_kilobytes(client: httpx.AsyncClient) -> None:
    page = await client.get("/", headers={"Accept-Encoding": "gzip"})
    folder = re.search(r'href="(static/v-[0-9a-f]{12})/', page.text)
    assert folder is not None
    total = 0
    for address in ("/", *(f"/{folder[1]}/wait/{name}" for name in FILES)):
        async with client.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.status_code == 200, address
            total += sum([len(part) async for part in answer.aiter_raw()])
            total += sum(len(name) + len(value) + 4 for name, value in answer.headers.raw)
            if address != "/":
                assert "immutable" in answer.headers["cache-control"]
    assert total < 30_000


FILES = ("wait.css", "icon.svg", "main.js", "link.js", "passage.js", "place.js", "tell.js", "words.js")


async def test_files_of_another_release_are_served_but_not_kept(client: httpx.AsyncClient) -> None:
    other = await client.get("/static/v-000000000000/wait/main.js")
    assert (other.status_code, other.headers["cache-control"]) == (200, "no-cache")
    plain = await client.get("/static/wait/main.js")
    assert (plain.status_code, plain.headers["cache-control"]) == (200, "no-cache")
    assert (await client.get("/static/v-000000000000/../app.py")).status_code == 404


async def test_a_status_that_the_table_does_not_know_is_shown_with_its_message() -> None:
    assert state_key({"status": "levitating"}, {}) == "other"
    assert all(state_key({"status": status}, {}) == status for status in STATES)


async def test_the_page_has_what_serving_says_without_reading_it_back(
    app: tuple[httpx.AsyncClient, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, services = app
    await look_like(services, {"message": HOSTILE})
    room = services.rooms.get("default")

    def read_back(*_: object) -> None:
        raise AssertionError("this was known before it was written")

    with monkeypatch.context() as patch:
        patch.setattr(json, "loads", read_back)
        shown = (await page_state(services, room, b"")).serving
        said = render_serving(room)
    assert shown is not None
    assert json.loads(said) == shown
    assert shown.keys() == (await client.get("/serving")).json().keys()


async def test_the_pages_data_cannot_break_out_of_its_element(client: httpx.AsyncClient) -> None:
    hostile = "</script><script>alert(1)</script>"
    source = templates().from_string('<script type="application/json">{{ data | tojson }}</script>')
    rendered = source.render(data={"room": hostile})
    assert rendered.count("<script") == 1
    assert json.loads(rendered.split(">", 1)[1].rsplit("<", 1)[0])["room"] == hostile


async def test_the_page_is_compressed_for_those_who_accept_it(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert b"<!doctype html>" in gzip.decompress(raw)


@pytest.mark.parametrize("problem", ["store-unavailable", "state-unreadable"])
async def test_who_could_not_be_given_a_place_is_told_that_the_line_is_away(
    client: httpx.AsyncClient, problem: str
) -> None:
    page = await client.get("/", params={"problem": problem}, headers={"Accept-Language": "de"})
    assert "Die Schlange ist gerade nicht zu erreichen" in page.text


@pytest.mark.parametrize(
    ("wish", "zipped"),
    [
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, GZIP;q=0.8", True),
        ("*", True),
        ("gzip;q=0.001", True),
        ("gzip, *;q=0", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip ; Q=0.000, br", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("identity;q=1, *;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("gzip;q=much", False),
        ("notgzip", False),
        ("gzip" + " " * 1000, False),
    ],
    ids=range(17),
)
async def test_nobody_is_sent_a_compressed_page_or_file_who_refuses_it(
    client: httpx.AsyncClient, wish: str, zipped: bool
) -> None:
    for address in ("/", "/admin/sign-in", "/static/wait/main.js"):
        answer = await client.get(address, headers={"Accept-Encoding": wish})
        assert (answer.headers.get("content-encoding") == "gzip") is zipped, address
        assert "accept-encoding" in answer.headers["vary"].lower()


HOSTILE = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>"


async def test_a_full_room_says_so_and_its_button_leads_back_with_the_reason(
    app: tuple[httpx.AsyncClient, Services],
) -> None:
    client, services = app
    for _ in range(3):
        await client.post("/join")
    await change(services, "default", max_waiting=1)
    await seen_by_the_room(services, 3)
    assert state_of(await client.get("/")) == "full"
    posted = await client.post("/join", headers=FORM)
    assert (posted.status_code, posted.headers["location"]) == (303, "./?problem=room-full")
    assert "The line is full: no new places" in (await client.get("/?problem=room-full")).text


async def test_before_it_opens_visitors_gather_and_are_told_when_it_does(
    app: tuple[httpx.AsyncClient, Services],
) -> None:
    client, services = app
    opens_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    await change(services, "default", opens_at=opens_at)
    await eventually(lambda: shows_state(client, "/", "gather"))
    serving = (await client.get("/serving")).json()
    assert serving["opensAt"] == opens_at.timestamp() * 1000
    page = await client.get("/")
    assert '<form id="join" method="post" action="join">' in page.text
    assert figure(page, "until") == "2 days"
    for _ in range(3):
        await client.post("/join")
    await client.post("/join", headers=FORM)
    await seen_by_the_room(services, 4)
    page = await client.get("/")
    assert state_of(page) == "early"
    assert [figure(page, name) for name in ("position", "ahead", "until", "wait")] == ["4", "3", "2 days", None]
    assert (figure(page, "opens") or "").endswith(f"{opens_at:%H:%M} UTC")
    assert re.search(r"<progress [^>]*hidden>", page.text)
    await change(services, "default", opens_at=None)
    await eventually(lambda: shows_state(client, "/", "waiting"))
    assert (await client.get("/serving")).json()["opensAt"] is None


async def test_where_nobody_may_join_the_operators_reason_is_shown_and_the_usual_one_in_the_visitors_language(
    app: tuple[httpx.AsyncClient, Services],
) -> None:
    client, services = app
    await change(services, "default", method=Method.REJECT)
    await eventually(lambda: shows_state(client, "/", "refused"))
    page = await client.get("/", headers={"Accept-Language": "de"})
    assert "Diese Schlange nimmt im Moment niemanden auf." in page.text
    assert re.search(r'<p class="message" id="refusal" dir="auto" hidden></p>', page.text)
    posted = await client.post("/join", headers=FORM)
    assert posted.headers["location"] == "./?problem=turned-away"
    await change(services, "default", reject_message=HOSTILE)
    page = await client.get("/")
    assert "&lt;img src=x onerror=alert(1)&gt;" in page.text
    assert "<img" not in page.text
    assert (await client.get("/serving")).json()["refusal"] == HOSTILE


async def test_somebody_passed_over_has_nothing_to_press_since_asking_is_coming_back() -> None:
    assert STATES["passed"].action == ""


@pytest.mark.parametrize(
    ("low_s", "high_s", "told"),
    [
        (0, 20, "less than a minute"),
        (240, 360, "4–6 minutes"),
        (3600, 12_600, "1–3.5 hours"),
        (80_000, 90_000, "longer than a day"),
        (300, None, "at least 5 minutes"),
        (10, None, "cannot be told yet"),
    ],
)
async def test_the_wait_is_told_as_the_range_that_the_service_answers(
    low_s: int, high_s: int | None, told: str
) -> None:
    english = language("en")
    assert wait_in_words(low_s, high_s, english, page_texts(english)["words"]) == told


async def test_the_page_follows_a_visit_through_to_its_end(client: httpx.AsyncClient) -> None:
    await client.post("/rooms/concert/join", headers=FORM)
    assert state_of(await client.get("/rooms/concert")) == "active"
    for verb, state in (("enter", "entered"), ("leave", "ended")):
        posted = await client.post(f"/rooms/concert/{verb}", headers={"Origin": "http://localhost:3000"})
        assert posted.is_success
        await eventually(lambda state=state: shows_state(client, "/rooms/concert", state))  # type: ignore[misc]


async def shows_state(client: httpx.AsyncClient, path: str, state: str) -> bool:
    return state_of(await client.get(path)) == state


async def test_a_rooms_look_is_shown_from_our_own_host(app: tuple[httpx.AsyncClient, Services]) -> None:
    client, services = app
    png = b"\x89PNG\r\n\x1a\n" + b"x" * 20
    await look_like(
        services,
        {
            "title": "Box office",
            "message": "Doors at eight.",
            "accent": "#7a1fa2",
            "logo": f"data:image/png;base64,{b64encode(png).decode()}",
            "links": [{"text": "Help", "url": "https://shop.example/help"}],
        },
        "concert",
    )
    page = await client.get("/rooms/concert")
    assert "Box office" in page.text
    assert "Doors at eight." in page.text
    assert '<a href="https://shop.example/help" dir="auto" rel="noopener">Help</a>' in page.text
    style = re.search(r'<link rel="stylesheet" href="(\.\./rooms/concert/look\.css\?v=[0-9a-f]+)">', page.text)
    logo = re.search(r'<img src="(\.\./rooms/concert/logo\?v=[0-9a-f]+)" alt=""', page.text)
    assert style is not None
    assert logo is not None
    here = httpx.URL("http://localhost:3000/rooms/concert")
    sheet = await client.get(here.join(style[1]))
    assert (sheet.headers["content-type"], "--accent:#7a1fa2" in sheet.text) == ("text/css; charset=utf-8", True)
    picture = await client.get(here.join(logo[1]))
    assert (picture.headers["content-type"], picture.content) == ("image/png", png)
    assert (await client.get("/rooms/default/logo")).status_code == 404
    assert (await client.get("/rooms/concert/serving")).json()["message"] == "Doors at eight."


async def test_hostile_texts_stay_text(app: tuple[httpx.AsyncClient, Services]) -> None:
    client, services = app
    links = [{"text": HOSTILE, "url": "https://shop.example/"}]
    await look_like(services, {"title": HOSTILE, "message": HOSTILE, "links": links})
    page = await client.get("/")
    assert "<img" not in page.text
    assert page.text.count("<script") == 2
    assert page.text.count("&lt;img src=x onerror=alert(1)&gt;") >= 3
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.text)
    assert data is not None
    assert json.loads(data[1])["room"] == HOSTILE
    assert (await client.get("/serving")).json()["message"] == HOSTILE


async def test_a_folder_of_templates_replaces_the_pages_own(server: RealServer, tmp_path: Path) -> None:
    (tmp_path / "wait-concert.html").write_text("<title>Ours</title>{{ text.title }} {{ room_name }}")
    settings = make_settings(
        redis_url=server.url, rooms="default,concert", refresh_interval=0.02, template_dir=tmp_path
    )
    async with running_app(settings) as (client, services):
        await eventually(lambda: services.has_snapshot)
        assert (await client.get("/rooms/concert")).text == "<title>Ours</title>Join the line concert"
        assert state_of(await client.get("/")) == "none"


@pytest.mark.parametrize("form", ["join", "rooms/concert/join", "rooms/concert/enter", "rooms/concert/takeover"])
async def test_a_browser_that_loads_a_forms_address_again_comes_back_to_the_page(
    client: httpx.AsyncClient, form: str
) -> None:
    # What it had posted met no replica, and the proxy's page loads its address again.
    again = await client.get(f"/{form}?target=%2Fseats", headers={"Accept": "text/html"})
    assert again.status_code == 303
    assert again.headers["cache-control"] == "no-store"
    page = httpx.URL(f"http://localhost:3000/{form}").join(again.headers["location"])
    assert (page.path, page.query) == ("/rooms/concert" if "concert" in form else "/", b"target=%2Fseats")
    assert (await client.get(str(page))).status_code == 200
    program = await client.get(f"/{form}")
    assert program.status_code == 405
    assert "POST" in program.headers["allow"]
