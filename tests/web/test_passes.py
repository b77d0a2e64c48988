"""Entering over HTTP: the pass in the answer, the cookie for browsers, and what is refused."""

from collections.abc import AsyncIterator, Mapping

import httpx
import jwt
import pytest

from app.services import Services
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.tokens import PASS_PEM, forged_pass
from tests.support.waiting import eventually

OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:3000"}


@pytest.fixture
async def app(server: RealServer) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    settings = make_settings(
        redis_url=server.url,
        rooms="default,sale",
        refresh_interval=0.05,
        pass_key=PASS_PEM,
        trusted_proxies="127.0.0.1",
        allowed_origins="https://shop.example",
    )
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        yield client, services


@pytest.fixture
def client(app: tuple[httpx.AsyncClient, Services]) -> httpx.AsyncClient:
    return app[0]


async def bearer(client: httpx.AsyncClient) -> dict[str, str]:
    """A ticket whose turn it is, as the header that carries it."""
    return {"Authorization": f"Bearer {(await client.post('/rooms/sale/join')).json()['token']}"}


async def enter(client: httpx.AsyncClient, headers: Mapping[str, str] | None = None) -> httpx.Response:
    answer = await client.post("/rooms/sale/enter", headers={**await bearer(client), **(headers or {})})
    assert answer.status_code == 200, answer.text
    return answer


async def test_entering_gives_a_pass_that_ends_with_the_session(client: httpx.AsyncClient) -> None:
    entered = (await enter(client)).json()
    keys = jwt.PyJWKSet.from_json((await client.get("/.well-known/jwks.json")).text)
    token = entered["pass"]
    claims = jwt.decode(
        token,
        keys[jwt.get_unverified_header(token)["kid"]],
        algorithms=["EdDSA"],
        audience="sale",
        issuer="stanchion",
        options={"verify_iat": False},
    )
    assert claims["sub"] == entered["sessionId"]
    assert claims["exp"] - claims["iat"] in (900, 901), "rounded up"


async def test_renewing_gives_a_later_pass_for_the_same_session(client: httpx.AsyncClient) -> None:
    entered = (await enter(client)).json()
    renewed = await client.post("/rooms/sale/renew", headers={"X-Waiting-Room-Pass": entered["pass"]})
    assert renewed.json()["sessionId"] == entered["sessionId"]
    assert renewed.json()["pass"] != entered["pass"]


async def test_the_public_keys_may_be_cached_for_a_while_and_read_from_anywhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_browser_on_our_own_page_gets_the_pass_as_a_cookie_too(client: httpx.AsyncClient) -> None:
    answer = await enter(client, OWN_PAGE)
    name, _, rest = answer.headers["set-cookie"].partition("=")
    token, *attributes = rest.split("; ")
    assert (name, token) == ("stanchion-pass-sale", answer.json()["pass"])
    assert set(attributes) - {"Max-Age=900", "Max-Age=901"} == {"Path=/", "HttpOnly", "SameSite=Lax"}


async def test_over_tls_the_cookie_is_bound_to_the_host(client: httpx.AsyncClient) -> None:
    answer = await enter(client, {**OWN_PAGE, "X-Forwarded-Proto": "https"})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-stanchion-pass-sale=")
    assert cookie.endswith("; Secure")
    assert "Domain" not in cookie
    assert "Path=/;" in cookie


async def test_programs_and_pages_of_other_sites_get_no_cookie(client: httpx.AsyncClient) -> None:
    assert "set-cookie" not in (await enter(client)).headers
    elsewhere = await enter(client, {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"})
    assert "set-cookie" not in elsewhere.headers


async def test_by_cookie_the_pass_renews_and_leaves_and_leaving_takes_it_away(client: httpx.AsyncClient) -> None:
    cookie = {"Cookie": f"stanchion-pass-sale={(await enter(client)).json()['pass']}", **OWN_PAGE}
    assert (await client.post("/rooms/sale/renew", headers=cookie)).status_code == 200
    left = await client.post("/rooms/sale/leave", headers=cookie)
    assert left.status_code == 204
    assert left.headers["set-cookie"].startswith("stanchion-pass-sale=; ")
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert (await client.post("/rooms/sale/renew", headers=cookie)).json()["visitStatus"] == "ended"


async def test_an_old_pass_cookie_does_not_hide_a_good_ticket(client: httpx.AsyncClient) -> None:
    ticket = await bearer(client)
    entered = (await client.post("/rooms/sale/enter", headers=ticket)).json()
    old = f"stanchion-pass-sale={forged_pass({'aud': 'sale', 'exp': 1_700_000_001})}"
    both = {"Cookie": f"{old}; stanchion-ticket-sale={ticket['Authorization'].partition(' ')[2]}", **OWN_PAGE}
    assert (await client.post("/rooms/sale/renew", headers=both)).json()["sessionId"] == entered["sessionId"]
    refused = await client.post("/rooms/sale/renew", headers={"Cookie": old, **OWN_PAGE})
    assert (refused.status_code, refused.json()["reason"]) == (401, "expired")


async def test_a_cookie_of_a_sibling_host_does_not_count_over_tls(client: httpx.AsyncClient) -> None:
    tossed = {"Cookie": f"stanchion-pass-sale={(await enter(client)).json()['pass']}", "X-Forwarded-Proto": "https"}
    refused = await client.post("/rooms/sale/renew", headers=tossed)
    assert (refused.status_code, refused.json()["reason"]) == (401, "missing")


async def test_a_page_of_another_site_cannot_end_a_visit_by_cookie(client: httpx.AsyncClient) -> None:
    cookie = f"stanchion-pass-sale={(await enter(client)).json()['pass']}"
    foreign = {"Cookie": cookie, "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (await client.post("/rooms/sale/leave", headers=foreign)).status_code == 403


@pytest.mark.parametrize(
    ("token", "reason"),
    [(forged_pass(), "other_room"), ("x", "malformed"), (forged_pass({"exp": 1_700_000_001}), "expired")],
)
async def test_a_pass_that_does_not_hold_here_is_refused(client: httpx.AsyncClient, token: str, reason: str) -> None:
    refused = await client.post("/rooms/sale/renew", headers={"X-Waiting-Room-Pass": token})
    assert (refused.status_code, refused.json()["reason"]) == (401, reason)
    assert refused.json()["type"] == "urn:stanchion:problem:pass-refused"


async def test_a_ticket_is_not_taken_for_a_pass_nor_a_pass_for_a_ticket(client: httpx.AsyncClient) -> None:
    ticket = await bearer(client)
    token = ticket["Authorization"].partition(" ")[2]
    as_pass = await client.post("/rooms/sale/enter", headers={"X-Waiting-Room-Pass": token})
    assert (as_pass.status_code, as_pass.json()["type"]) == (401, "urn:stanchion:problem:pass-refused")
    given = (await client.post("/rooms/sale/enter", headers=ticket)).json()["pass"]
    as_ticket = await client.get("/rooms/sale/status", headers={"Authorization": f"Bearer {given}"})
    assert (as_ticket.status_code, as_ticket.json()["reason"]) == (401, "algorithm")


PAGE_FORM = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "text/html,application/xhtml+xml",
    "Origin": "http://localhost:3000",
}


async def by_form(client: httpx.AsyncClient, verb: str, headers: Mapping[str, str], **query: str) -> httpx.Response:
    """What a browser does with the page's form where no scripts run: the ticket is in a cookie."""
    token = headers.get("Authorization", "").partition(" ")[2]
    cookie = {"Cookie": f"stanchion-ticket-sale={token}"} if token else {}
    return await client.post(f"/rooms/sale/{verb}", params=query, headers={**PAGE_FORM, **cookie})


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ({"target": "/checkout?step=2"}, "/checkout?step=2"),
        ({"target": "https://evil.example/"}, "/"),
        ({"target": "//evil.example"}, "/"),
        ({"target": "x" * 5000}, "/"),
        ({}, "/"),
    ],
    ids=["a path", "another site", "hidden site", "too long", "nothing"],
)
async def test_a_form_without_scripts_enters_and_leads_on_with_the_cookie(
    client: httpx.AsyncClient, wanted: dict[str, str], leads_to: str
) -> None:
    entered = await by_form(client, "enter", await bearer(client), **wanted)
    assert (entered.status_code, entered.headers["location"]) == (303, leads_to)
    assert entered.headers["set-cookie"].startswith("stanchion-pass-sale=ey")


async def test_a_form_that_cannot_enter_leads_back_to_the_page_which_says_why(client: httpx.AsyncClient) -> None:
    back = await by_form(client, "enter", {}, target="/checkout")
    assert back.status_code == 303
    assert back.headers["location"] == "../sale?problem=ticket-refused&target=%2Fcheckout"
    assert "set-cookie" not in back.headers


async def test_leaving_by_form_leads_back_to_the_page(client: httpx.AsyncClient) -> None:
    ticket = await bearer(client)
    await by_form(client, "enter", ticket)
    left = await by_form(client, "leave", ticket)
    assert (left.status_code, left.headers["location"]) == (303, "../sale")
    assert left.headers["set-cookie"].startswith("stanchion-pass-sale=; ")
