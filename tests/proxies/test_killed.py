"""Every replica of the waiting room is killed, or hangs: what visitors then meet is what each example says and lets one choose."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.proxies.conftest import PROXIES
from tests.proxies.world import PAGE, World, guarded_site
from tests.support.waiting import eventually

OPEN = {
    "nginx": ("#error_page 502 504 = @open;", "error_page 502 504 = @open;"),
    "caddy": ("#reverse_proxy @site_wanted", "reverse_proxy @site_wanted"),
    "haproxy": ("#http-request set-var(txn.gate)", "http-request set-var(txn.gate)"),
    "envoy": ("failure_mode_allow: false", "failure_mode_allow: true"),
    "traefik": (
        "entryPoints: [gate]\n      # open: with `[open, next-replica]`, everybody goes straight to the site when no "
        "replica answers.\n      middlewares: [closed, next-replica]",
        "entryPoints: [gate]\n      middlewares: [open, next-replica]",
    ),
}
"""The one line that each example tells one to change."""


@pytest.fixture(params=PROXIES)
def open_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A guarded site whose proxy was told to let everybody through when no replica answers."""
    with ExitStack() as stack:
        yield guarded_site(stack, request.param, tmp_path, [OPEN[request.param]])


async def test_closed_browsers_see_a_page_that_looks_again_and_programs_get_503(world: World) -> None:
    visitor = world.visitor()
    visitor.enter()
    world.room.kill()
    for path in ("/shop", PAGE):
        answer = visitor.get(path)
        assert answer.status_code == 503
        assert answer.headers["content-type"].startswith("text/html")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["cache-control"] == "no-store"
        assert 'http-equiv="refresh"' in answer.text
    posted = visitor.post("/shop", content=b"seat=14")
    assert (posted.status_code, posted.headers["content-type"][:9]) == (503, "text/html")
    told = visitor.get("/shop", headers={"Accept": "application/json"})
    assert told.status_code == 503
    assert told.headers["content-type"] == "application/problem+json"
    assert int(told.headers["retry-after"]) > 0
    assert told.json()["status"] == 503
    assert visitor.get("/assets/logo.svg").status_code == 200, "what needs no pass needs no gate"
    world.room.start()
    await eventually(lambda: visitor.get("/shop").text == "welcome", within_s=40)


async def test_the_sites_last_word_arrives_although_the_gate_cannot_be_told_of_it(world: World) -> None:
    visitor = world.visitor()
    visitor.enter()
    world.site.meanwhile = world.room.kill
    try:
        answer = visitor.get("/away")
    finally:
        world.site.meanwhile = None
        world.room.start()
    assert (answer.status_code, answer.headers["location"]) == (303, "/bye-page")
    assert "basket=empty" in answer.headers.get_list("set-cookie")
    assert "x-waiting-room-end" not in answer.headers
    await eventually(lambda: visitor.get("/shop").status_code == 200, within_s=40)


async def test_open_everybody_goes_straight_to_the_site_until_the_gate_is_back(open_world: World) -> None:
    world = open_world
    visitor = world.visitor()
    assert visitor.get("/shop").status_code == 302
    world.room.kill()
    assert visitor.get("/shop").text == "welcome"
    posted = visitor.post("/order", content=b"seat=14")
    assert posted.text == "welcome"
    assert world.site.took("/order")[-1].body == b"seat=14"
    left = visitor.get("/away")
    assert (left.status_code, left.headers["location"]) == (303, "/bye-page")
    assert "x-waiting-room-end" not in left.headers
    assert visitor.get(PAGE).status_code == 503, "the waiting room's own pages are away all the same"
    world.room.start()
    await eventually(lambda: visitor.get("/shop").status_code == 302, within_s=40)


async def test_a_gate_that_hangs_does_not_hang_the_site(world: World) -> None:
    visitor = world.visitor()
    visitor.enter()
    world.room.freeze()
    try:
        answer = visitor.get("/shop")  # within the client's own patience of 15 seconds
        assert answer.status_code == 503
        assert 'http-equiv="refresh"' in answer.text
        assert visitor.get("/assets/logo.svg").status_code == 200
    finally:
        world.room.thaw()
    await eventually(lambda: visitor.get("/shop").text == "welcome", within_s=40)
