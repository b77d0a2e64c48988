"""VIP codes: made by the operator or the site, taken once or often, and every way to get in with a bad one."""

import asyncio
import time
from typing import Any

import jwt
import pytest

from app.errors import StoreUnavailable, VipRefused
from app.rooms.gate import GateBypass, RoomGate
from app.tickets.vips import Vip, VipUse, read_vip, sign_vip
from app.web.gate.vip import AGAIN_PARAMETER, VIP_PARAMETER
from tests.gate.conftest import BROWSER, PROGRAM, Proxy
from tests.support.looks import change
from tests.support.waiting import eventually

SECRET = "a-key-for-vip-codes-that-is-long-enough-for-every-hmac-there-is-of-all"
ADMIN = {"Authorization": "Bearer admin-token-for-tests"}
GATE = RoomGate(
    inline=False, vip_secret=SECRET, site_url="https://shop.example/?a=b", bypass=GateBypass(paths=("/assets/",))
)


@pytest.fixture(autouse=True)
async def _with_a_key(proxy: Proxy) -> None:
    await change(proxy.services, "default", gate=GATE)
    await change(proxy.services, "concert", gate=GATE)


async def made(proxy: Proxy, **wish: Any) -> list[str]:
    answer = await proxy.client.post("/admin/api/rooms/default/vip", headers=ADMIN, json=wish)
    assert answer.status_code == 201, answer.text
    return [code["code"] for code in answer.json()["codes"]]


def with_code(code: str) -> str:
    return f"/seats?row=A&{VIP_PARAMETER}={code}"


def kept(answer: Any) -> dict[str, str]:
    return {**BROWSER, "Cookie": "x=y; " + answer.headers["set-cookie"].partition(";")[0]}


def known(answer: Any) -> dict[str, str]:
    """The browser that was given a cookie to be known by, and asks again."""
    assert answer.headers["set-cookie"].startswith("__Host-stanchion-taker-default=")
    return kept(answer)


async def opened(proxy: Proxy, uri: str) -> Any:
    """What a new browser gets that opens this address and goes where it is sent on the site."""
    first = await proxy.ask(uri)
    if "stanchion-taker" not in first.headers.get("set-cookie", ""):
        return first
    assert (first.status_code, first.headers["location"]) == (302, uri + f"&{AGAIN_PARAMETER}=1")
    return await proxy.ask(first.headers["location"], headers=known(first))


async def test_a_code_for_one_use_lets_one_browser_in_for_good(proxy: Proxy) -> None:
    (code,) = await made(proxy, count=1)
    first = await opened(proxy, with_code(code))
    assert (first.status_code, first.headers["x-waiting-room"]) == (200, "bypass")
    assert first.headers["set-cookie"].startswith("__Host-stanchion-vip-default=")
    before = proxy.round_trips()
    for uri in ("/", "/pay", with_code(code)):
        assert (await proxy.ask(uri, headers=kept(first))).headers["x-waiting-room"] == "bypass"
    assert proxy.round_trips() == before, "what is kept is checked from memory"
    assert leads_to_the_page(await opened(proxy, with_code(code))), "a second browser comes too late"


def leads_to_the_page(answer: Any) -> bool:
    return answer.status_code == 302 and answer.headers["location"].startswith("/rooms/default?")


async def test_a_browser_whose_answer_was_lost_may_ask_again_and_nobody_else(proxy: Proxy) -> None:
    (code,) = await made(proxy)
    first = await proxy.ask(with_code(code))
    again, itself = first.headers["location"], known(first)
    other = known(await proxy.ask(with_code(code)))
    lost = await proxy.ask(again, headers=itself)
    assert lost.status_code == 200
    for uri in (again, with_code(code)):
        repeated = await proxy.ask(uri, headers=itself)
        assert (repeated.status_code, repeated.headers["set-cookie"]) == (200, lost.headers["set-cookie"])
        for stranger in (other, BROWSER, {**BROWSER, "Cookie": "__Host-stanchion-taker-default=made-up"}):
            assert leads_to_the_page(await proxy.ask(again, headers=stranger))


async def test_a_browser_that_keeps_no_cookies_is_not_sent_in_circles(proxy: Proxy) -> None:
    (code,) = await made(proxy)
    first = await proxy.ask(with_code(code))
    assert (await proxy.ask(first.headers["location"])).status_code == 200
    assert leads_to_the_page(await proxy.ask(first.headers["location"]))


async def test_where_the_proxy_cannot_hand_a_redirect_on_the_code_is_taken_at_once(proxy: Proxy) -> None:
    (code,) = await made(proxy)
    assert (await proxy.ask(with_code(code), mode="status")).status_code == 200
    assert (await proxy.ask(with_code(code), mode="status")).status_code == 401
    assert leads_to_the_page(await opened(proxy, with_code(code)))


async def test_a_proxy_that_asks_a_second_replica_for_the_same_request_is_answered_alike(proxy: Proxy) -> None:
    (code,) = await made(proxy)
    one, other = ({**BROWSER, "X-Request-Id": request_id} for request_id in ("a" * 32, "b" * 32))
    for headers, status in ((one, 200), (one, 200), (other, 401), (BROWSER, 401)):
        assert (await proxy.ask(with_code(code), mode="status", headers=headers)).status_code == status


async def test_an_address_that_is_no_plain_one_is_not_sent_back_to(proxy: Proxy) -> None:
    (code,) = await made(proxy)
    assert (await proxy.ask(f"//evil.example/?{VIP_PARAMETER}={code}")).status_code == 200


async def test_a_hundred_at_once_with_one_code_are_one(proxy: Proxy) -> None:
    (code,) = await made(proxy)
    firsts = await asyncio.gather(*(proxy.ask(with_code(code)) for _ in range(100)))
    browsers = [known(first) for first in firsts]
    let_in: set[str] = set()

    async def somebody_is_in() -> bool:
        answers = await asyncio.gather(*(proxy.ask(firsts[0].headers["location"], headers=one) for one in browsers))
        let_in.update(one["Cookie"] for one, answer in zip(browsers, answers, strict=True) if answer.status_code == 200)
        return bool(let_in)

    await eventually(somebody_is_in)  # the store may be too slow for all of them at once
    await somebody_is_in()
    assert len(let_in) == 1


async def test_a_code_for_many_uses_lets_everybody_in_who_has_it(proxy: Proxy) -> None:
    (code,) = await made(proxy, single=False)
    for _ in range(3):
        assert (await proxy.ask(with_code(code))).status_code == 200


async def test_the_answer_has_a_link_and_the_audit_log_says_who_made_how_many(proxy: Proxy) -> None:
    answer = await proxy.client.post(
        "/admin/api/rooms/default/vip", headers=ADMIN | {"X-Operator": "ann"}, json={"count": 3, "single": False}
    )
    told = answer.json()
    assert told["codes"][0]["link"] == f"https://shop.example/?a=b&{VIP_PARAMETER}={told['codes'][0]['code']}"
    assert len({code["code"] for code in told["codes"]}) == 3
    await change(proxy.services, "default", gate=GATE.model_copy(update={"site_url": "https://shop.example/#seats"}))
    (other,) = (await proxy.client.post("/admin/api/rooms/default/vip", headers=ADMIN)).json()["codes"]
    assert other["link"] == f"https://shop.example/?{VIP_PARAMETER}={other['code']}#seats"
    log = await proxy.client.get("/admin/api/rooms/default/audit", headers=ADMIN)
    newest = next(entry for entry in log.json()["entries"] if entry["who"] == "ann")
    assert (newest["who"], newest["action"], newest["after"]["codes"]) == ("ann", "vip-codes", 3)
    assert SECRET not in log.text


async def test_without_a_key_the_operator_is_told_how_to_set_one(proxy: Proxy) -> None:
    await change(proxy.services, "default", gate=RoomGate())
    answer = await proxy.client.post("/admin/api/rooms/default/vip", headers=ADMIN)
    assert answer.status_code == 409
    assert "gate.vipSecret=" in answer.json()["detail"]
    assert (await proxy.client.post("/admin/api/rooms/default/vip")).status_code == 401


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", PROGRAM),
        ("HEAD", BROWSER),
        ("GET", {"Accept": "text/html"}),
        ("GET", {**BROWSER, "Sec-Purpose": "prefetch"}),
        ("GET", {**BROWSER, "Sec-Fetch-Dest": "iframe"}),
    ],
)
async def test_a_preview_of_the_link_does_not_use_the_code_up(
    proxy: Proxy, method: str, headers: dict[str, str]
) -> None:
    (code,) = await made(proxy)
    assert (await proxy.ask(with_code(code), method, headers=headers)).status_code != 200
    assert leads_to_the_page(await proxy.ask(with_code(code), mode="refuse"))
    assert (await opened(proxy, with_code(code))).status_code == 200


async def test_a_path_that_need_not_wait_uses_no_code_up(proxy: Proxy) -> None:
    (code,) = await made(proxy)
    answer = await proxy.ask(f"/assets/x?{VIP_PARAMETER}={code}")
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert (await opened(proxy, with_code(code))).status_code == 200


def forged(secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    # Some are made when the tests are collected, and must not be refused for having expired before they are shown.
    claims = {"aud": "default", "jti": "abc", "exp": int(time.time()) + 86_400, "use": "vip", **changes}
    key = None if algorithm == "none" else secret
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm=algorithm)


async def test_a_site_that_knows_the_key_signs_codes_itself(proxy: Proxy) -> None:
    assert (await proxy.ask(with_code(forged()))).status_code == 200


BAD = [
    "",
    "x",
    "a.b.c",
    "é",
    forged(secret="another-key-that-is-long-enough-as-well"),
    forged(algorithm="none"),
    forged(algorithm="HS512"),
    forged(exp=int(time.time()) - 1),
    forged(exp="soon"),
    forged(exp=None),
    forged(exp=2**60),
    forged(aud="concert"),
    forged(aud=["default", "concert"]),
    forged(aud=None),
    forged(use="pass"),
    forged(use=None),
    forged(jti=None),
    forged(jti=""),
    forged(jti=7),
    forged(jti="x" * 101),
    forged(more="x" * 3000),
    "x" + "&a=b" * 500,
]


@pytest.mark.parametrize("code", BAD, ids=range(len(BAD)))
async def test_a_code_that_does_not_hold_is_the_same_as_none(proxy: Proxy, code: str) -> None:
    assert (await proxy.ask(with_code(code))).status_code == 302
    cookie = {**BROWSER, "Cookie": f"__Host-stanchion-vip-default={code}"}
    assert (await proxy.ask("/", headers=cookie)).status_code == 302


async def test_a_code_is_not_what_is_kept_of_it_nor_the_other_way_round(proxy: Proxy) -> None:
    (code,) = await made(proxy)
    cookie = {**BROWSER, "Cookie": f"__Host-stanchion-vip-default={code}"}
    assert (await proxy.ask("/", headers=cookie)).status_code == 302
    first = await opened(proxy, with_code(code))
    held = first.headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert (await proxy.ask(with_code(held))).status_code == 302


async def test_what_is_kept_opens_no_other_room_and_dies_with_the_key(proxy: Proxy) -> None:
    (code,) = await made(proxy, single=False)
    held = kept(await proxy.ask(with_code(code)))
    token = held["Cookie"].rpartition("=")[2]
    other = {**BROWSER, "Cookie": f"__Host-stanchion-vip-concert={token}"}
    assert (await proxy.ask("/", room="concert", headers=other)).status_code == 302
    assert (await proxy.ask("/", headers=held)).status_code == 200
    await change(
        proxy.services, "default", gate=GATE.model_copy(update={"vip_secret": "a-new-key-for-vip-codes-long-enough"})
    )
    assert (await proxy.ask("/", headers=held)).status_code == 302
    assert (await proxy.ask(with_code(code))).status_code == 302


async def test_what_is_kept_ends_with_the_code(proxy: Proxy) -> None:
    soon = Vip("default", "abc", int(time.time()) - 1, True, VipUse.HELD)
    cookie = {**BROWSER, "Cookie": f"__Host-stanchion-vip-default={sign_vip(soon, SECRET)}"}
    assert (await proxy.ask("/", headers=cookie)).status_code == 302
    with pytest.raises(VipRefused) as refused:
        read_vip(sign_vip(soon, SECRET), SECRET, "default", VipUse.HELD, time.time())
    assert refused.value.reason == "expired"


async def test_while_the_store_is_away_a_code_for_one_use_has_to_wait(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    (single,) = await made(proxy)
    (many,) = await made(proxy, single=False)

    async def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(proxy.services.store, "command", away)
    assert leads_to_the_page(await opened(proxy, with_code(single)))
    assert (await proxy.ask(with_code(many))).status_code == 200
    monkeypatch.undo()
    assert (await opened(proxy, with_code(single))).status_code == 200, "it was not used up"


async def test_a_code_among_many_parameters_is_taken(proxy: Proxy) -> None:
    (code,) = await made(proxy)
    many = "&a=1" * 300
    assert (await proxy.ask(with_code("made-up") + many)).status_code == 302
    assert (await opened(proxy, with_code(code) + many)).status_code == 200
