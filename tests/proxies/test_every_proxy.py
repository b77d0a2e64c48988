"""What a visitor meets is the same behind every proxy, with the configurations of docs/examples/proxies."""

from urllib.parse import urlsplit

import httpx
import pytest

from tests.proxies.world import FORM, PAGE, World, target_of
from tests.support.waiting import eventually

SMUGGLED = {
    "X-Forwarded-For": "192.0.2.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Method": "OPTIONS",
    "X-Forwarded-Uri": "/hooks/payment",
    "X-Original-Method": "OPTIONS",
    "X-Original-Uri": "/hooks/payment",
    "X-Original-Url": "https://evil.example/hooks/payment",
    "X-Waiting-Room": "pass",
    "X-Waiting-Room-Session": "1-1",
    "X-Waiting-Room-End": "end",
}
"""What somebody writes into their request who would like to be taken for a webhook, or for somebody else."""

OPENS_TAB = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
"""What every browser says over TLS, and previewers of links do not."""

ENDS_BY_REDIRECT_ONLY = {"caddy"}
ENDS_NO_VISIT = {"traefik"}
"""What docs/proxies.md says of them."""


def test_whoever_has_no_pass_waits_enters_and_comes_to_what_they_wanted(world: World) -> None:
    visitor = world.visitor()
    refused = visitor.get("/shop?item=7&size=m%20l")
    assert refused.status_code == 302
    assert refused.headers["cache-control"] == "no-store"
    assert target_of(refused) == "/shop?item=7&size=m%20l"
    assert world.site.took("/shop") == [], "nobody comes through without a pass"
    inside = visitor.enter("/shop?item=7&size=m%20l")
    assert (inside.status_code, inside.text) == (200, "welcome")
    assert inside.url.raw_path == b"/shop?item=7&size=m%20l"
    assert inside.headers.get_list("set-cookie") == ["basket=full"], "the site's own cookies come through"
    (seen,) = world.site.took("/shop")
    assert seen.headers["x-waiting-room"] == "pass"
    assert seen.headers["x-waiting-room-session"]


def test_a_vip_code_lets_one_browser_in_and_leads_the_next_to_the_line(world: World) -> None:
    link = f"/shop?item=7&waiting-room-vip={world.room.vip_code()}"
    visitor = world.visitor()
    inside = visitor.get(link, headers=OPENS_TAB, follow_redirects=True)
    assert (inside.status_code, inside.text) == (200, "welcome")
    assert len(inside.history) <= 1, "to be known by its cookie, where the proxy hands a redirect on"
    assert visitor.get("/shop").text == "welcome"
    late = world.visitor().get(link, headers=OPENS_TAB, follow_redirects=True)
    assert late.url.path == PAGE


def test_a_head_request_is_refused_and_let_through_like_a_get(world: World) -> None:
    visitor = world.visitor()
    refused = visitor.head("/shop")
    assert (refused.status_code, target_of(refused)) == (302, "/shop")
    assert world.program().head("/api/stock").status_code == 429
    visitor.enter()
    assert visitor.head("/shop").status_code == 200
    assert visitor.get("/shop").text == "welcome", "the connection is still in order"


def test_a_program_is_told_in_json_where_to_join_and_when_to_ask_again(world: World) -> None:
    refused = world.program().get("/api/stock")
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) > 0
    assert refused.json()["room"] == "default"


def test_pushed_updates_come_through_at_once(world: World) -> None:
    with world.visitor().stream("GET", f"{PAGE}/events") as stream:
        assert stream.status_code == 200
        first = next(line for line in stream.iter_lines() if line.startswith("data:"))
    assert '"room":"default"' in first.replace(" ", "")


def test_a_body_reaches_the_site_with_a_pass_and_goes_nowhere_without(world: World) -> None:
    visitor = world.visitor()
    order = b"seat=14&" * 5_000
    assert visitor.post("/order", content=order).status_code in (302, 303, 429)
    assert world.site.took("/order") == []
    visitor.enter()
    assert visitor.post("/order", content=order).status_code == 200
    (seen,) = world.site.took("/order")
    assert (seen.method, seen.body) == ("POST", order)


@pytest.mark.parametrize("path", ["/login", "/broken"])
def test_the_sites_own_401_and_500_stay_its_own(world: World, path: str) -> None:
    visitor = world.visitor()
    visitor.enter()
    answer = visitor.get(path)
    assert (answer.status_code, answer.text) in [(401, "who are you?"), (500, "the site's own mishap")]


def test_what_a_visitor_writes_into_forwarded_headers_counts_for_nothing(world: World) -> None:
    refused = world.visitor().get("/secret", headers=SMUGGLED)
    assert refused.status_code == 302
    assert target_of(refused) == "/secret"
    assert world.site.took("/secret") == []


def test_the_site_is_told_about_the_visitor_by_the_proxy_alone(world: World) -> None:
    visitor = world.visitor()
    visitor.enter()
    visitor.get("/told", headers=SMUGGLED)
    (seen,) = world.site.took("/told")
    assert seen.headers["x-forwarded-for"] == "127.0.0.1"
    assert seen.headers["x-forwarded-proto"] == world.proxy.scheme
    assert seen.headers["x-forwarded-host"] == f"127.0.0.1:{world.proxy.port}"
    assert seen.headers["x-waiting-room-session"] != "1-1" or seen.headers["x-waiting-room"] == "pass"
    assert "x-waiting-room-end" not in seen.headers
    assert not {value for value in seen.headers.values() if "evil" in value or "hooks" in value}


def test_assets_need_no_place_in_line(world: World) -> None:
    assert world.visitor().get("/assets/logo.svg").text == "an asset"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../checkout",
        "/assets/..%2fcheckout",
        "/assets/%2e%2e/checkout",
        "/assets/.%2e/checkout",
        "/assets//../../checkout",
        "/assets/x/../../checkout",
        "/%61ssets/../checkout",
        "//assets/../checkout",
        "/assets/..;/checkout",
        "/assets/x;y/..;/checkout",
        "/assets/..%5ccheckout",
        "/assets/%252e%252e/checkout",
    ],
)
def test_a_path_that_leads_out_of_the_assets_is_none_of_them(world: World, path: str) -> None:
    before = len(world.site.seen)
    answer = world.raw_status(path)
    reached = [seen.raw_path for seen in world.site.seen[before:]]
    # What reaches the site all the same, the proxy has resolved for the site, too, and it still is an asset.
    assert answer in (302, 400, 404, 429) or reached == ["/assets/checkout"], f"{path}: {answer}, {reached}"
    assert answer == 200 or not reached


def test_only_what_visitors_need_of_the_service_is_reachable(world: World) -> None:
    visitor = world.visitor()
    for inner in (
        "/gate/default",
        "/metrics",
        "/admin/api/rooms",
        "/readyz",
        "/rooms/../metrics",
        "/rooms/..%2fmetrics",
        "/rooms/%2e%2e/metrics",
    ):
        assert world.raw_status(f"/_queue{inner}") in (302, 400, 404, 429), inner
    assert visitor.get(PAGE).status_code == 200


@pytest.mark.parametrize("path", ["/away", "/away-for-good"])
async def test_the_site_ends_a_visit_by_a_header_of_its_redirect(world: World, path: str) -> None:
    visitor = world.visitor()
    visitor.enter()
    answer = visitor.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/bye-page")
    assert "basket=empty" in answer.headers.get_list("set-cookie")
    assert "x-waiting-room-end" not in answer.headers, "that is between site and proxy"
    if world.proxy.name in ENDS_NO_VISIT:
        assert visitor.get("/shop").text == "welcome"
        _ended_by_the_site_itself(world, "revoke" if path.endswith("-for-good") else "end")
    await eventually(lambda: visitor.get("/shop").status_code == 302)
    if path == "/away":
        assert visitor.enter().text == "welcome", "who has left may queue again"
    else:
        page = urlsplit(visitor.get("/shop").headers["location"]).query
        refused = visitor.post(f"{PAGE}/enter?{page}", headers=FORM, content=b"")
        assert "problem=" in refused.headers["location"], "the same place does not enter again"


async def test_a_page_that_ends_a_visit_arrives_and_ends_it_where_the_proxy_can(world: World) -> None:
    visitor = world.visitor()
    visitor.enter()
    answer = visitor.get("/bye")
    assert answer.text == "goodbye"
    assert "x-waiting-room-end" not in answer.headers
    if world.proxy.name in ENDS_NO_VISIT | ENDS_BY_REDIRECT_ONLY:
        assert visitor.get("/shop").text == "welcome"
    else:
        await eventually(lambda: visitor.get("/shop").status_code == 302)


def _ended_by_the_site_itself(world: World, how: str) -> None:
    """What a site does behind a proxy that has no means for it: with the cookie that came with the visitor's request."""
    cookie = world.site.seen[-1].headers["cookie"]
    headers = {"Cookie": cookie, "X-Forwarded-Proto": world.proxy.scheme, "X-Waiting-Room-End": how}
    ended = httpx.post(f"{world.room.url}/_queue/gate/default/end", headers=headers, trust_env=False, timeout=15)
    assert ended.is_success, ended.text


def test_a_visitor_cannot_end_or_keep_a_visit_by_a_header_of_their_own(world: World) -> None:
    visitor = world.visitor()
    visitor.enter()
    assert visitor.get("/shop", headers={"X-Waiting-Room-End": "revoke"}).text == "welcome"
    assert visitor.get("/shop").text == "welcome"


def test_a_page_of_the_sites_own_is_never_taken_for_a_route_of_the_gate(world: World) -> None:
    visitor = world.visitor()
    visitor.enter()
    for path in ("/end", "/for/shop", "/gate/default/end"):
        assert visitor.post(path).text == "welcome"
    assert visitor.get("/shop").text == "welcome", "nothing has ended the visit"


def test_what_the_rooms_own_rules_let_through_comes_through(world: World) -> None:
    hook = world.program().post("/hooks/payment?id=3", content=b"paid")
    assert hook.text == "welcome"
    (seen,) = world.site.took("/hooks/payment")
    assert (seen.headers["x-waiting-room"], seen.body) == ("bypass", b"paid")
    for path in ("/hooks/../order", "/hooks/%2e%2e/order", "/hooks/..;/order", "/hooks/%252e%252e/order"):
        assert world.raw_status(path) in (400, 404, 429), path
    assert world.site.took("/hooks/..;/order") == []
