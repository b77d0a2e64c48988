"""The dashboard's door: who gets in, how far the cookie reaches, and how it ends."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from app.clock import SystemClock
from app.operators.sessions import SESSION_S, OperatorSession, new_session, seal, session_key, unseal
from app.operators.tries import MOST_TRIES
from app.services import Services
from tests.conftest import make_settings
from tests.support.apps import running_app
from tests.support.dashboard import OTHER_SITE, OWN_PAGE, TOKEN, page_data, sign_in, try_token
from tests.support.servers import RealServer
from tests.support.waiting import eventually

KEY = b"k" * 32


class MovableClock(SystemClock):
    """The machine's clock, and a step that tests take."""

    ahead_s = 0.0

    def unix_s(self) -> float:
        return super().unix_s() + self.ahead_s

    def hear(self, store_s: float, took_s: float) -> bool:
        """The step is one in time, not a clock that is wrong."""
        return super().hear(store_s + self.ahead_s, took_s)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def app(server: RealServer, clock: MovableClock) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    settings = make_settings(redis_url=server.url, rooms="default,concert", refresh_interval=0.02)
    async with running_app(settings, clock=clock) as (client, services):
        await eventually(lambda: services.has_snapshot)
        yield client, services


@pytest.fixture
def client(app: tuple[httpx.AsyncClient, Services]) -> httpx.AsyncClient:
    return app[0]


async def test_the_admin_token_opens_the_dashboard_by_a_cookie_of_its_own(client: httpx.AsyncClient) -> None:
    closed = await client.get("/admin")
    assert (closed.status_code, closed.headers["location"]) == (303, "admin/sign-in")
    assert "Admin token" in (await client.get("/admin/sign-in")).text
    opened = await try_token(client)
    assert (opened.status_code, opened.headers["location"]) == (303, "../admin")
    cookie = opened.headers["set-cookie"]
    assert cookie.startswith("stanchion-admin-")
    for attribute in ("HttpOnly", "SameSite=strict", f"Max-Age={SESSION_S}"):
        assert attribute in cookie
    assert "Path" not in cookie and "Secure" not in cookie
    assert TOKEN not in cookie
    page = await client.get("/admin")
    assert page.status_code == 200
    assert [room["room"] for room in page_data(page)["overview"]["rooms"]] == ["default", "concert"]


async def test_over_https_the_cookie_stays_there(server: RealServer) -> None:
    settings = make_settings(redis_url=server.url, trusted_proxies="127.0.0.1", refresh_interval=0.02)
    async with running_app(settings) as (client, _):
        client.headers["X-Forwarded-Proto"] = "https"
        cookie = (await try_token(client)).headers["set-cookie"]
        assert cookie.startswith("__Secure-stanchion-admin-") and "Secure" in cookie.split("; ")


async def test_after_signing_in_one_is_where_one_wanted_to_go(client: httpx.AsyncClient) -> None:
    assert (await client.get("/admin/sign-in?to=rooms/concert")).status_code == 200
    for wanted, leads in (
        ("rooms/concert", "../admin/rooms/concert"),
        ("//evil.example", "../admin"),
        ("https://evil.example", "../admin"),
        ("rooms/../../x", "../admin"),
    ):
        assert (await try_token(client, to=wanted)).headers["location"] == leads


async def test_a_wrong_token_is_refused_and_too_many_are_not_even_looked_at(
    app: tuple[httpx.AsyncClient, Services], server: RealServer
) -> None:
    client, _ = app
    for _ in range(MOST_TRIES):
        refused = await try_token(client, "not-the-token")
        assert refused.status_code == 403
        assert "That is not the admin token." in refused.text
        assert "set-cookie" not in refused.headers
    throttled = await try_token(client)
    assert throttled.status_code == 429
    assert 0 < int(throttled.headers["retry-after"]) <= 300
    async with running_app(make_settings(redis_url=server.url)) as (elsewhere, _):
        assert (await try_token(elsewhere)).status_code == 429, "tries count for all replicas together"


async def test_signing_in_in_time_forgets_the_wrong_tries(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        for _ in range(MOST_TRIES - 1):
            assert (await try_token(client, "not-the-token")).status_code == 403
        assert (await try_token(client)).status_code == 303


@pytest.mark.parametrize("headers", [OTHER_SITE, {"Origin": "https://evil.example"}, {"Origin": "null"}, {}])
async def test_only_our_own_form_signs_in(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post("/admin/sign-in", data={"token": TOKEN}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_a_form_that_is_too_large_or_a_name_that_is_too_long_is_refused(client: httpx.AsyncClient) -> None:
    assert (await try_token(client, "x" * 5000)).status_code == 413
    assert (await try_token(client, name="n" * 61)).status_code == 400


async def test_the_cookie_alone_does_not_open_the_api(client: httpx.AsyncClient) -> None:
    own = await sign_in(client)
    assert (await client.get("/admin/api/rooms", headers=own)).status_code == 200
    without: dict[str, Any] = {name: value for name, value in own.items() if name != "X-CSRF-Token"}
    for headers in (without, {}, own | {"X-CSRF-Token": "x" * 43}, own | OTHER_SITE):
        for method, path in (("GET", "/admin/api/rooms"), ("POST", "/admin/api/rooms/default/pause")):
            answer = await client.request(method, path, headers=headers)
            assert answer.status_code == 403, (method, headers)
    state = (await client.get("/admin/api/rooms/default", headers=own)).json()
    assert state["paused"] is False


async def test_a_password_asked_for_by_a_proxy_is_not_in_the_way_and_a_token_goes_first(
    client: httpx.AsyncClient,
) -> None:
    own = await sign_in(client)
    for authorization, status in (("Basic YWRhOmxvdmVsYWNl", 200), ("Bearer not-the-token", 401)):
        headers = own | {"Authorization": authorization}
        assert (await client.get("/admin/api/rooms", headers=headers)).status_code == status


async def test_one_sessions_csrf_token_does_not_serve_another(client: httpx.AsyncClient) -> None:
    first = await sign_in(client)
    client.cookies.clear()
    await sign_in(client)
    assert (await client.get("/admin/api/rooms", headers=first)).status_code == 403


async def test_a_signed_in_operator_is_named_in_the_audit_log(client: httpx.AsyncClient) -> None:
    own = await sign_in(client, name="Zoë <b>")
    (await client.post("/admin/api/rooms/default/pause", headers=own)).raise_for_status()
    log = (await client.get("/admin/api/rooms/default/audit", headers=own)).json()
    assert log["entries"][0]["who"] == "Zoë <b> (dashboard)"


async def test_every_replica_accepts_the_session_and_signing_out_ends_it_on_all(
    client: httpx.AsyncClient, server: RealServer
) -> None:
    own = await sign_in(client)
    async with running_app(make_settings(redis_url=server.url)) as (elsewhere, services):
        await eventually(lambda: services.has_snapshot)
        elsewhere.cookies = client.cookies
        kept = dict(client.cookies)
        assert (await elsewhere.get("/admin/api/rooms", headers=own)).status_code == 200
        refused = await client.post("/admin/sign-out", data={"csrf": "wrong"}, headers=OWN_PAGE)
        assert refused.status_code == 403
        left = await client.post("/admin/sign-out", data={"csrf": own["X-CSRF-Token"]}, headers=OWN_PAGE)
        assert (left.status_code, left.headers["location"]) == (303, "sign-in")
        for replica in (client, elsewhere):
            replica.cookies = httpx.Cookies(kept)  # whoever had copied the cookie
            assert (await replica.get("/admin/api/rooms", headers=own)).status_code == 401
            assert (await replica.get("/admin")).status_code == 303
            assert (await replica.get("/admin/events", headers=OWN_PAGE)).status_code == 401


async def test_a_session_ends_by_itself_and_with_the_token_it_was_begun_with(
    app: tuple[httpx.AsyncClient, Services], server: RealServer, clock: MovableClock
) -> None:
    client, _ = app
    own = await sign_in(client)
    async with running_app(make_settings(redis_url=server.url, admin_token="another-admin-token")) as (elsewhere, _):
        elsewhere.cookies = client.cookies
        assert (await elsewhere.get("/admin/api/rooms", headers=own)).status_code == 401
    clock.ahead_s = timedelta(seconds=SESSION_S + 1).total_seconds()
    assert (await client.get("/admin/api/rooms", headers=own)).status_code == 401


async def test_while_the_store_is_away_an_operator_can_still_sign_in_and_look(own_server: RealServer) -> None:
    settings = make_settings(redis_url=own_server.url, refresh_interval=0.02)
    async with running_app(settings) as (client, services):
        await eventually(lambda: services.has_snapshot)
        own_server.kill()
        await eventually(lambda: not services.store_is_up)
        own = await sign_in(client)
        seen = (await client.get("/admin/api/overview", headers=own)).json()
        assert (seen["storeUp"], seen["rooms"][0]["condition"]) == (False, "stale")
        assert (await client.post("/admin/api/rooms/default/pause", headers=own)).status_code == 503
        for _ in range(MOST_TRIES):
            assert (await try_token(client, "not-the-token")).status_code == 403
        assert (await try_token(client)).status_code == 429


@pytest.mark.parametrize("name", ["%3Cscript%3E", "a%3Fb", "a%23b", "%2E%2E", "a%2Fb", "UPPER", "never-made%0A"])
async def test_what_can_be_no_room_has_no_page(client: httpx.AsyncClient, name: str) -> None:
    await sign_in(client)
    assert (await client.get(f"/admin/rooms/{name}")).status_code in (404, 307)
    assert (await client.get("/admin/rooms/never-made")).status_code == 200, "it may be gone, and its audit log not"


async def test_without_an_admin_token_the_page_says_how_to_set_one(server: RealServer) -> None:
    async with running_app(make_settings(redis_url=server.url, admin_token=None)) as (client, _):
        for path in ("/admin", "/admin/sign-in"):
            page = await client.get(path)
            assert page.status_code == 403
            assert "ADMIN_TOKEN=$(openssl rand -hex 24)" in page.text
        assert (await try_token(client, "")).status_code == 403


async def test_a_link_from_another_site_asks_again_instead_of_for_the_token(client: httpx.AsyncClient) -> None:
    page = await client.get("/admin", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert page.status_code == 200
    assert '<meta http-equiv="refresh" content="0">' in page.text


async def test_pages_are_kept_by_nobody_and_run_nothing_inline(client: httpx.AsyncClient) -> None:
    door = await client.get("/admin/sign-in")
    await sign_in(client)
    for page in (door, await client.get("/admin")):
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-store"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy


def test_a_changed_or_foreign_cookie_is_no_session() -> None:
    session = new_session("Ada", 1000.0)
    good = seal(session, KEY)
    assert unseal(good, KEY, 1000.0) == session
    assert unseal(good, KEY, 1000.0 + SESSION_S) is None
    assert unseal(good, b"x" * 32, 1000.0) is None
    content, mac = good.split(".")
    other = seal(OperatorSession("other", 10**12, "Eve"), KEY).split(".")[0]
    for bad in ("", ".", content, f"{other}.{mac}", f"{content}.{mac}.x", f"{content}.é", good + "A" * 2000, "a.b"):
        assert unseal(bad, KEY, 1000.0) is None, bad


def test_the_session_key_depends_on_token_and_deployment() -> None:
    keys = {session_key(token, name) for token in ("one-admin-token-x", "two-admin-token-x") for name in ("a", "b")}
    assert len(keys) == 4


async def test_under_a_prefix_the_pages_find_each_other(server: RealServer) -> None:
    settings = make_settings(redis_url=server.url, root_path="/queue", refresh_interval=0.02)
    async with running_app(settings) as (client, services):
        await eventually(lambda: services.has_snapshot)
        for path in ("/queue/admin", "/queue/admin/rooms/default"):
            closed = await client.get(path)
            assert urljoin(path, closed.headers["location"]).partition("?")[0] == "/queue/admin/sign-in"
        opened = await client.post("/queue/admin/sign-in", data={"token": TOKEN}, headers=OWN_PAGE)
        assert urljoin("/queue/admin/sign-in", opened.headers["location"]) == "/queue/admin"
        page = await client.get("/queue/admin/rooms/default")
        script = re.search(r'type="module" src="([^"]+)"', page.text)
        assert script is not None
        assert (await client.get(urljoin("/queue/admin/rooms/default", script[1]))).status_code == 200
        assert urljoin("/queue/admin/rooms/default", page_data(page)["root"]) == "/queue/"


async def test_dead_letters_are_within_a_signed_in_operators_reach(client: httpx.AsyncClient) -> None:
    (await client.post("/task", json={"type": "email", "payload": {"to": "a@example.com"}})).raise_for_status()
    task = (await client.get("/dequeue")).json()
    failure = {"error": "no", "retry": False, "leaseToken": task["leaseToken"]}
    (await client.post(f"/fail/{task['id']}", json=failure)).raise_for_status()
    own = await sign_in(client)
    assert (await client.get("/admin/api/dead-letters", headers=OWN_PAGE)).status_code == 403
    letters = (await client.get("/admin/api/dead-letters", headers=own)).json()["tasks"]
    assert [letter["id"] for letter in letters] == [task["id"]]
    assert (await client.post(f"/admin/api/dead-letters/{task['id']}/retry", headers=own)).json() == {"count": 1}
    assert (await client.get("/admin/api/stats", headers=own)).json()["pending"] == 1


async def test_the_overview_counts_queues_and_locks(app: tuple[httpx.AsyncClient, Services]) -> None:
    client, _ = app
    own = await sign_in(client)
    (await client.post("/task", json={"type": "email", "payload": 1})).raise_for_status()
    (await client.post("/locks/seat", json={"leaseMs": 30_000})).raise_for_status()

    async def counted() -> bool:
        seen = (await client.get("/admin/api/overview", headers=own)).json()
        queue = {"queue": "default", "pending": 1, "processing": 0, "dead": 0}
        return seen["locksHeld"] == 1 and [queue.items() <= found.items() for found in seen["queues"]] == [True]

    await eventually(counted, within_s=20)
