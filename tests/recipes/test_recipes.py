"""Every recipe lets in who holds a live pass, and nobody else; also after a rotation, and with the service killed."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from tests.proxies.world import ENVIRONMENT, WaitingRoom
from tests.recipes.sites import running_recipe
from tests.support.waiting import eventually

COOKIE = "stanchion-pass-default"
HTML = {"Accept": "text/html"}


@dataclass
class Guarded:
    """A site that checks passes by itself, and the service that gives them."""

    url: str
    room: WaitingRoom

    def get(self, token: str | None = None, *, cookie: bool = False, **headers: str) -> httpx.Response:
        """A visitor's request, with that pass."""
        sent = dict(headers)
        if token is not None:
            sent |= {"Cookie": f"other=1; {COOKIE}={token}"} if cookie else {"X-Waiting-Room-Pass": token}
        return httpx.get(f"{self.url}/shop", headers=sent, trust_env=False, timeout=20)

    def pass_of(self, room: str = "default") -> str:
        """Join and enter by the service's API."""
        with httpx.Client(base_url=self.room.url, trust_env=False, timeout=20) as client:
            ticket = client.post(f"/rooms/{room}/join").json()["token"]
            entered = client.post(f"/rooms/{room}/enter", headers={"Authorization": f"Bearer {ticket}"})
            assert entered.status_code == 200, entered.text
            return str(entered.json()["pass"])


KINDS = [
    pytest.param(("starlette", "EdDSA"), id="starlette-EdDSA"),
    pytest.param(("starlette", "ES256"), id="starlette-ES256"),
    pytest.param(("django", "EdDSA"), id="django-EdDSA"),
    pytest.param(("node", "EdDSA"), id="node-EdDSA", marks=[pytest.mark.needs("node"), pytest.mark.needs("node-jose")]),
    pytest.param(("node", "ES256"), id="node-ES256", marks=[pytest.mark.needs("node"), pytest.mark.needs("node-jose")]),
    pytest.param(("nginx", "ES256"), id="nginx-ES256", marks=[pytest.mark.needs("nginx"), pytest.mark.needs("njs")]),
]


@pytest.fixture(params=KINDS, scope="module")
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    name, algorithm = request.param
    folder = tmp_path_factory.mktemp(name)
    with ExitStack() as stack:
        room = WaitingRoom(folder / "room", PASS_ALGORITHM=algorithm, PASS_KEY_LEAD="4", ROOMS="default,other")
        stack.callback(room.stop)
        room.start()
        room.configure()
        url = stack.enter_context(running_recipe(name, folder / "site", room.port))
        yield Guarded(url, room)


def test_whoever_has_a_pass_is_inside(guarded: Guarded) -> None:
    token = guarded.pass_of()
    session = jwt.decode(token, options={"verify_signature": False})["sub"]
    for cookie in (False, True):
        answer = guarded.get(token, cookie=cookie)
        assert answer.status_code == 200
        assert session in answer.text or answer.text == "welcome"


def test_whoever_has_none_is_led_to_the_line_and_back(guarded: Guarded) -> None:
    led = guarded.get(**HTML)
    assert led.status_code == 302
    page = urlsplit(led.headers["location"])
    assert page.path == "/_queue/rooms/default"
    (target,) = parse_qs(page.query)["target"]
    assert urlsplit(target).path == "/shop"
    told = guarded.get()
    assert told.status_code == 429
    assert int(told.headers["retry-after"]) > 0
    assert "/_queue/rooms/default" in told.json()["pageUrl"]


@pytest.mark.parametrize("guarded", [pytest.param(("starlette", "EdDSA"), id="starlette-EdDSA")], indirect=True)
def test_a_web_socket_needs_a_pass_and_brings_it_as_a_cookie(guarded: Guarded) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
    }
    assert guarded.get(**upgrade).status_code == 429
    assert guarded.get(guarded.pass_of(), cookie=True, **upgrade).status_code == 403, (
        "it came to the site, which has none"
    )


def test_nothing_but_a_live_pass_of_this_room_counts(guarded: Guarded) -> None:
    good = guarded.pass_of()
    header, payload, signature = good.split(".")
    ticket = httpx.post(f"{guarded.room.url}/rooms/default/join", trust_env=False).json()["token"]
    flipped = "A" if signature[10] != "A" else "B"
    for bad in (
        guarded.pass_of("other"),
        ticket,
        "",
        "nonsense",
        "a.b.c",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:10]}{flipped}{signature[11:]}",
        jwt.encode(jwt.decode(good, options={"verify_signature": False}), None, algorithm="none"),
        good + "x",
    ):
        assert guarded.get(bad).status_code == 429, bad
    assert guarded.get(good).status_code == 200


async def test_a_rotation_is_not_noticed_and_passes_hold_with_the_service_killed(guarded: Guarded) -> None:
    before = guarded.pass_of()
    assert guarded.get(before).status_code == 200
    rotated = httpx.post(
        f"{guarded.room.url}/admin/api/pass-keys/rotate",
        headers={"Authorization": f"Bearer {ENVIRONMENT['ADMIN_TOKEN']}"},
        trust_env=False,
        timeout=20,
    )
    assert rotated.status_code == 200, rotated.text

    def newly_signed() -> str | None:
        token = guarded.pass_of()
        kids = {jwt.get_unverified_header(one)["kid"] for one in (before, token)}
        return token if len(kids) == 2 else None

    after = await eventually(newly_signed, within_s=30, every_s=0.2)
    # The lead is shorter here than in earnest, so a verifier may first have to ask for the new key.
    await eventually(lambda: guarded.get(after).status_code == 200, within_s=30, every_s=0.2)
    guarded.room.kill()
    for token in (before, after):
        assert guarded.get(token).status_code == 200
    assert guarded.get("nonsense").status_code == 429
