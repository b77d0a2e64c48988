"""nginx that stands in for a gate that does not answer: who holds a live pass goes on, everybody else waits."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.proxies.world import World, guarded_site
from tests.support.waiting import eventually

pytestmark = [pytest.mark.needs("nginx"), pytest.mark.needs("njs")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        changes = [("#error_page 502 504 = @pass;", "error_page 502 504 = @pass;")]
        folder = tmp_path_factory.mktemp("nginx")
        yield guarded_site(stack, "nginx-stand-in", folder, changes, PASS_ALGORITHM="ES256")


def _forged(token: str) -> str:
    header, payload, signature = token.split(".")
    return f"{header}.{payload}.{signature[:10]}{'A' if signature[10] != 'A' else 'B'}{signature[11:]}"


@pytest.mark.parametrize("silence", ["killed", "hung"])
async def test_while_no_replica_answers_who_is_inside_goes_on_and_everybody_else_waits(
    world: World, silence: str
) -> None:
    holder, program = world.visitor(), world.program()
    assert holder.enter().text == "welcome"
    token = holder.cookies[world.pass_cookie]
    session = world.site.took("/shop")[-1].headers["x-waiting-room-session"]
    copies = world.proxy.folder / "nginx-jwks"
    await eventually(lambda: [path for path in copies.rglob("*") if path.is_file()])
    world.room.kill() if silence == "killed" else world.room.freeze()
    try:
        assert holder.get("/inside").text == "welcome"
        assert holder.post("/order", content=b"seat=14").text == "welcome"
        seen = world.site.took("/inside")[-1]
        assert (seen.headers["x-waiting-room"], seen.headers["x-waiting-room-session"]) == ("pass", session)
        assert program.get("/shop", headers={"X-Waiting-Room-Pass": token}).text == "welcome"
        before = len(world.site.seen)
        page = world.visitor().get("/shop")
        assert (page.status_code, page.headers["retry-after"]) == (503, "5")
        assert 'http-equiv="refresh"' in page.text
        for said in (
            {},
            {"X-Waiting-Room-Pass": _forged(token)},
            {"X-Waiting-Room-Pass": "nonsense", "X-Waiting-Room": "pass", "X-Waiting-Room-Session": session},
        ):
            refused = program.get("/shop", headers=said)
            assert (refused.status_code, refused.json()["status"]) == (503, 503)
        assert len(world.site.seen) == before, "nobody else comes through"
    finally:
        world.room.start() if silence == "killed" else world.room.thaw()
    newcomer = world.visitor()
    await eventually(lambda: newcomer.get("/shop").status_code == 302, within_s=20)


def test_while_replicas_answer_it_is_the_gate_that_counts(world: World) -> None:
    holder = world.visitor()
    holder.enter()
    token = holder.cookies[world.pass_cookie]
    ended = httpx.post(
        f"{world.room.url}/_queue/gate/default/end", headers={"X-Waiting-Room-Pass": token}, trust_env=False, timeout=15
    )
    assert ended.is_success
    assert holder.get("/shop").status_code == 302, "a visit that has ended is over, though its pass would still verify"
