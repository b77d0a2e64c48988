"""What the gate answers to whom: in process, on a real store."""

import asyncio
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from app.rooms.estimate import Pace
from app.rooms.gate import GateBypass, RoomGate
from tests.gate.conftest import BROWSER, PROGRAM, Proxy, pass_cookie
from tests.support.looks import change
from tests.support.waiting import eventually

SECRET = "a-word-for-monitors-that-is-long-enough"
HELD_BACK = RoomGate(inline=False)


@pytest.fixture(autouse=True)
async def _no_inline_admission(proxy: Proxy) -> None:
    await gated(proxy)


async def gated(proxy: Proxy, **gate: Any) -> None:
    """Set the default room's gate."""
    await change(proxy.services, "default", gate=HELD_BACK.model_copy(update=gate))


async def test_a_browser_without_a_pass_is_led_to_the_waiting_page_and_can_come_back(proxy: Proxy) -> None:
    answer = await proxy.ask("/checkout?step=2&a=b")
    assert answer.status_code == 302
    assert answer.headers["cache-control"] == "no-store"
    page = urlsplit(answer.headers["location"])
    assert (page.netloc, page.path) == ("", "/rooms/default")
    assert parse_qs(page.query) == {"target": ["/checkout?step=2&a=b"]}
    assert answer.content == b""
    assert (await proxy.client.get(answer.headers["location"])).status_code == 200


async def test_a_pass_in_the_cookie_goes_through_and_costs_no_round_trip(proxy: Proxy) -> None:
    session = await proxy.enter()
    before = proxy.round_trips()
    for _ in range(5):
        answer = await proxy.ask(headers=pass_cookie(session))
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["x-waiting-room"] == "pass"
        assert answer.headers["x-waiting-room-session"] == session["sessionId"]
        assert "set-cookie" not in answer.headers
    assert proxy.round_trips() == before


async def test_a_program_sends_its_pass_in_a_header(proxy: Proxy) -> None:
    session = await proxy.enter()
    answer = await proxy.ask(headers={**PROGRAM, "X-Waiting-Room-Pass": session["pass"]})
    assert answer.headers["x-waiting-room"] == "pass"
    head, _, signature = session["pass"].rpartition(".")
    changed = f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"  # the last letters hold bits of no meaning
    refused = await proxy.ask(headers={**PROGRAM, "X-Waiting-Room-Pass": changed})
    assert refused.status_code == 429


async def test_a_program_is_told_how_to_get_a_place(proxy: Proxy) -> None:
    answer = await proxy.ask("/api/cart", headers=PROGRAM)
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    told = answer.json()
    assert told["type"] == "urn:stanchion:problem:pass-needed"
    assert told["room"] == "default"
    assert told["pageUrl"] == "/rooms/default?target=%2Fapi%2Fcart"
    ticket = (await proxy.client.post(told["joinUrl"])).json()
    bearer = {"Authorization": f"Bearer {ticket['token']}"}
    assert (await proxy.client.get(told["statusUrl"], headers=bearer)).json()["status"] == "active"
    entered = (await proxy.client.post(told["enterUrl"], headers=bearer)).json()
    again = await proxy.ask("/api/cart", headers={**PROGRAM, "X-Waiting-Room-Pass": entered["pass"]})
    assert again.status_code == 200


async def test_a_program_is_told_to_come_back_when_a_place_may_have_its_turn(proxy: Proxy) -> None:
    async def told_s() -> int:
        return int((await proxy.ask("/api/cart", headers=PROGRAM)).headers["retry-after"])

    room = proxy.services.rooms.get("default")
    assert await told_s() <= 6, "nobody is here: whoever joins may enter at once"
    for _ in range(4):
        await proxy.client.post("/rooms/default/join")
    await eventually(lambda: room.snapshot is not None and room.snapshot.waiting == 1)
    assert await told_s() >= 200, "the next batch is minutes away"
    await proxy.services.operator.control("default", "pause", "test")
    await eventually(lambda: room.snapshot is not None and room.snapshot.paused)
    assert 30 <= await told_s() <= 36, "and now nobody can tell"


async def test_a_slow_line_of_the_past_keeps_no_program_waiting_while_there_is_room(proxy: Proxy) -> None:
    await change(proxy.services, "default", gate=HELD_BACK, max_active=10)
    room = proxy.services.rooms.get("default")
    await eventually(lambda: room.snapshot is not None and room.snapshot.counted)
    room._pace.pace = Pace(mean=0.02, variance=0.02, blocks=60)
    answer = await proxy.ask("/api/cart", headers=PROGRAM)
    assert int(answer.headers["retry-after"]) <= 6


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", BROWSER, 302),
        ("HEAD", BROWSER, 302),
        ("POST", BROWSER, 303),
        ("GET", {"Accept": "text/html"}, 302),
        ("GET", {"Accept": "application/xhtml+xml, Text/HTML;q=0.9"}, 302),
        ("GET", {**BROWSER, "Sec-Fetch-Dest": "iframe"}, 302),
        ("GET", {"Accept": "*/*"}, 429),
        ("GET", {"Accept": "application/json"}, 429),
        ("GET", {"Accept": "text/html", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 429),
        ("GET", {"Accept": "image/*", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 429),
        ("GET", {**BROWSER, "Sec-Fetch-Dest": "embed"}, 429),
        ("GET", {**BROWSER, "Sec-Purpose": "prefetch;prerender"}, 429),
        ("GET", {"Accept": "text/html", "Upgrade": "websocket", "Connection": "Upgrade"}, 429),
        ("PUT", {"Accept": "text/html"}, 429),
        ("OPTIONS", {"Accept": "text/html", "Origin": "https://shop.example"}, 429),
    ],
)
async def test_who_opens_a_page_is_led_and_everybody_else_is_told(
    proxy: Proxy, method: str, headers: dict[str, str], status: int
) -> None:
    answer = await proxy.ask(method=method, headers=headers)
    assert answer.status_code == status
    by_status = await proxy.ask(method=method, headers=headers, mode="status")
    assert by_status.status_code == 401
    assert by_status.headers["x-waiting-room-location"].startswith("/rooms/default")
    assert int(by_status.headers["retry-after"]) >= 1
    assert by_status.content == b""


async def test_what_was_posted_is_no_address_to_come_back_to(proxy: Proxy) -> None:
    answer = await proxy.ask("/pay", "POST")
    assert answer.headers["location"] == "/rooms/default"


async def test_a_browsers_preflight_goes_through_for_it_never_carries_a_cookie(proxy: Proxy) -> None:
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    answer = await proxy.ask(method="OPTIONS", headers=preflight)
    assert (answer.status_code, answer.headers["x-waiting-room"]) == (200, "bypass")
    posing = await proxy.ask(method="GET", headers=preflight)
    assert posing.status_code == 429


async def test_refuse_only_writes_refusals(proxy: Proxy) -> None:
    session = await proxy.enter()
    assert (await proxy.ask(mode="refuse", headers=pass_cookie(session))).status_code == 302
    assert (await proxy.ask(mode="refuse", headers=PROGRAM)).status_code == 429
    assert (await proxy.ask(mode="other")).status_code == 400


async def test_status_lets_through_as_ever(proxy: Proxy) -> None:
    session = await proxy.enter()
    answer = await proxy.ask(mode="status", headers=pass_cookie(session))
    assert (answer.status_code, answer.headers["x-waiting-room"]) == (200, "pass")


async def test_envoys_way_has_the_visitors_request_in_the_path(proxy: Proxy) -> None:
    await gated(proxy, bypass=GateBypass(paths=("/assets/",)))
    refused = await proxy.client.get("/gate/default/for/checkout?step=2&mode=status", headers=BROWSER)
    assert refused.status_code == 302
    assert refused.headers["location"] == "/rooms/default?target=%2Fcheckout%3Fstep%3D2%26mode%3Dstatus"
    assert (await proxy.client.get("/gate/default/for/", headers=BROWSER)).status_code == 302
    assert (await proxy.client.post("/gate/default/for/pay", headers=PROGRAM)).status_code == 429
    assert (await proxy.client.get("/gate/default/for/assets/x.js", headers=PROGRAM)).status_code == 200
    for path in (
        "/gate/default/for/assets/%2e%2e/pay",
        "/gate/default/for/assets%2fx.js",
        "/%67ate/default/for/assets/x",
    ):
        assert (await proxy.client.get(path, headers=PROGRAM)).status_code == 429, path


async def test_no_path_of_the_site_is_taken_for_a_route_of_the_gates_own(proxy: Proxy) -> None:
    session = await proxy.enter()
    for path in ("/gate/default/for/end", "/gate/default/for/for/end"):
        asked = await proxy.client.post(path, headers={**pass_cookie(session), "X-Forwarded-Proto": "https"})
        assert (asked.status_code, asked.headers["x-waiting-room"]) == (200, "pass"), path
    assert (await proxy.client.get("/gate/default/checkout", headers=BROWSER)).status_code == 404


async def test_a_gate_of_no_room_is_not_found(proxy: Proxy) -> None:
    assert (await proxy.ask(room="nowhere")).status_code == 404


async def test_bypass_rules_let_through_without_a_pass(proxy: Proxy) -> None:
    await gated(
        proxy,
        bypass=GateBypass(paths=("/assets/",), methods=("DELETE",), networks=("203.0.113.0/24",), header_secret=SECRET),
    )
    elsewhere = {"X-Forwarded-For": "198.51.100.1"}
    assert (await proxy.ask(headers=BROWSER | elsewhere)).status_code == 302
    assert (await proxy.ask("/assets/app.js", headers=PROGRAM | elsewhere)).headers["x-waiting-room"] == "bypass"
    assert (await proxy.ask("/assets/../checkout", headers=PROGRAM | elsewhere)).status_code == 429
    assert (await proxy.ask(method="DELETE", headers=PROGRAM | elsewhere)).status_code == 200
    assert (await proxy.ask(headers=PROGRAM | elsewhere | {"X-Waiting-Room-Bypass": SECRET})).status_code == 200
    assert (await proxy.ask(headers=PROGRAM | elsewhere | {"X-Waiting-Room-Bypass": "guess"})).status_code == 429
    assert (await proxy.ask(headers=PROGRAM)).status_code == 200, "from a network that need not wait"
    told = PROGRAM | {"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}
    assert (await proxy.ask(headers=told)).status_code == 429, "the nearest untrusted address counts"


async def test_changed_rules_are_in_force_at_once(proxy: Proxy) -> None:
    assert (await proxy.ask("/assets/app.js", headers=PROGRAM)).status_code == 429
    await gated(proxy, bypass=GateBypass(paths=("/assets/",)))
    assert (await proxy.ask("/assets/app.js", headers=PROGRAM)).status_code == 200
    await gated(proxy)
    assert (await proxy.ask("/assets/app.js", headers=PROGRAM)).status_code == 429


async def test_a_page_elsewhere_is_given_the_whole_address_on_an_allowed_host_only(proxy: Proxy) -> None:
    await gated(proxy, page_url="https://queue.example/rooms/default", hosts=("shop.example",))
    answer = await proxy.ask("/checkout")
    assert answer.headers["location"] == (
        "https://queue.example/rooms/default?target=https%3A%2F%2Fshop.example%2Fcheckout"
    )
    told = (await proxy.ask("/checkout", headers=PROGRAM)).json()
    assert told["joinUrl"] == "https://queue.example/rooms/default/join"
    foreign = await proxy.ask("/checkout", headers=BROWSER | {"X-Forwarded-Host": "evil.example"})
    assert foreign.headers["location"] == "https://queue.example/rooms/default"


async def test_an_ended_visit_is_refused_at_once(proxy: Proxy) -> None:
    session = await proxy.enter()
    assert (await proxy.ask(headers=pass_cookie(session))).status_code == 200
    left = await proxy.client.post("/rooms/default/leave", headers={"Authorization": f"Bearer {session['ticket']}"})
    assert left.status_code == 204
    assert (await proxy.ask(headers=pass_cookie(session))).status_code == 302


async def test_a_visit_ended_by_the_operator_is_refused_within_a_moment(proxy: Proxy) -> None:
    session = await proxy.enter()
    await proxy.services.operator.end("default", [session["position"]], "test")

    async def refused() -> bool:
        return (await proxy.ask(headers=pass_cookie(session))).status_code == 302

    await eventually(refused)


async def test_a_pass_of_a_line_that_was_started_anew_is_refused(proxy: Proxy) -> None:
    session = await proxy.enter()
    await proxy.services.operator.control("default", "reset", "test")

    async def refused() -> bool:
        return (await proxy.ask(headers=pass_cookie(session))).status_code == 302

    await eventually(refused)


async def test_a_pass_of_another_room_opens_nothing_here(proxy: Proxy) -> None:
    session = await proxy.enter("concert")
    assert (await proxy.ask(room="concert", headers=pass_cookie(session, "concert"))).status_code == 200
    assert (await proxy.ask(headers=pass_cookie(session, "default"))).status_code == 302
    assert (await proxy.ask(headers={**PROGRAM, "X-Waiting-Room-Pass": session["pass"]})).status_code == 429


async def test_a_ticket_is_no_pass(proxy: Proxy) -> None:
    session = await proxy.enter()
    assert (await proxy.ask(headers=pass_cookie({"pass": session["ticket"]}))).status_code == 302


async def test_a_cookie_tossed_by_a_sibling_host_neither_passes_nor_locks_out(proxy: Proxy) -> None:
    session = await proxy.enter()
    tossed = f"stanchion-pass-default={session['pass']}"
    assert (await proxy.ask(headers={**BROWSER, "Cookie": tossed})).status_code == 302, "over TLS the name must be ours"
    plain = {**BROWSER, "X-Forwarded-Proto": "http"}
    both = f"stanchion-pass-default=rubbish; stanchion-pass-default=a.b.c; {tossed}"
    assert (await proxy.ask(headers={**plain, "Cookie": both})).status_code == 200
    flood = "; ".join(f"stanchion-pass-default=x{i}" for i in range(500))
    assert (await proxy.ask(headers={**plain, "Cookie": f"{flood}; {tossed}"})).status_code == 302


async def test_smuggled_headers_win_nothing(proxy: Proxy) -> None:
    await gated(proxy, bypass=GateBypass(paths=("/assets/",), methods=("DELETE",)))
    for smuggled in ({"X-Original-URI": "/assets/x"}, {"X-Original-URL": "https://shop.example/assets/x"}):
        answer = await proxy.ask("/checkout", headers=BROWSER | smuggled)
        assert answer.headers["location"] == "/rooms/default"
    twice = [("X-Forwarded-Uri", "/assets/x"), ("X-Forwarded-Uri", "/checkout"), *PROGRAM.items()]
    assert (await proxy.client.get("/gate/default", headers=twice)).status_code == 429
    method = await proxy.ask("/checkout", headers=PROGRAM | {"X-Original-Method": "DELETE"})
    assert method.status_code == 429


def older(proxy: Proxy, session: dict[str, Any]) -> dict[str, str]:
    """A pass for the same session that is in the last tenth of its life."""
    now_s = int(time.time())
    issued = proxy.services.passes.issue(
        room="default",
        epoch=session["epoch"],
        position=session["position"],
        issued_s=now_s - 900,
        expires_s=now_s + 100,
    )
    return pass_cookie({"pass": issued.token.decode()})


async def test_a_session_in_use_is_prolonged_in_the_second_half_of_its_pass(proxy: Proxy) -> None:
    old = older(proxy, await proxy.enter())
    before = proxy.round_trips()
    answer = await proxy.ask(headers=old)
    assert (answer.status_code, answer.headers["x-waiting-room"]) == (200, "pass")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-stanchion-pass-default=")
    assert "; Secure" in cookie
    assert "HttpOnly" in cookie
    fresh = cookie.partition("=")[2].partition(";")[0]
    assert jwt.decode(fresh, options={"verify_signature": False})["exp"] > time.time() + 800
    assert (await proxy.ask(headers=pass_cookie({"pass": fresh}))).status_code == 200
    assert proxy.round_trips() == before + 1


async def test_many_requests_at_once_renew_once(proxy: Proxy) -> None:
    old = older(proxy, await proxy.enter())
    answers = await asyncio.gather(*(proxy.ask(headers=old) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum("set-cookie" in answer.headers for answer in answers) == 1


async def test_a_fixed_session_is_not_prolonged_by_use(proxy: Proxy) -> None:
    await gated(proxy, renew_by_use=False)
    answer = await proxy.ask(headers=older(proxy, await proxy.enter()))
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


async def test_what_caches_may_keep_carries_no_renewed_pass(proxy: Proxy) -> None:
    await gated(proxy, bypass=GateBypass(paths=("/assets/",)))
    answer = await proxy.ask("/assets/app.js", headers=older(proxy, await proxy.enter()))
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


async def test_answers_are_counted(proxy: Proxy) -> None:
    session = await proxy.enter()
    await proxy.ask(headers=pass_cookie(session))
    await proxy.ask()
    page = (await proxy.client.get("/metrics")).text
    assert 'stanchion_gate_answers_total{answer="pass",room="default"} 1.0' in page
    assert 'stanchion_gate_answers_total{answer="wait",room="default"} 1.0' in page
