"""The gate's cookie comes through each proxy: when somebody is let in at once, and when a pass is renewed by use."""

from collections.abc import Callable

import jwt

from tests.proxies.world import World
from tests.support.waiting import eventually

COOKIE = "stanchion-pass-default"


def _ends_s(token: str) -> int:
    ends_s: int = jwt.decode(token, options={"verify_signature": False})["exp"]
    return ends_s


async def test_a_pass_in_use_is_renewed_and_somebody_new_is_let_in_at_once(start_world: Callable[..., World]) -> None:
    world = start_world()
    world.room.configure(sessionSeconds=8, gate={"inline": False})
    visitor = world.visitor()
    visitor.enter()
    first = visitor.cookies[COOKIE]

    def renewed() -> bool:
        answer = visitor.get("/shop")
        assert answer.text == "welcome"
        cookies = answer.headers.get_list("set-cookie")
        assert "basket=full" in cookies, "the site's own cookie comes as well"
        return any(cookie.startswith(f"{COOKIE}=") for cookie in cookies)

    await eventually(renewed, within_s=20, every_s=0.1)
    assert _ends_s(visitor.cookies[COOKIE]) > _ends_s(first)

    world.room.configure(sessionSeconds=900, gate={"inline": True})
    newcomer = world.visitor()
    await eventually(lambda: newcomer.get("/shop").text == "welcome", within_s=20)
    assert COOKIE in newcomer.cookies
    assert newcomer.get("/again").text == "welcome"
    assert [seen.headers["x-waiting-room"] for seen in world.site.took("/again")] == ["pass"]
    assert newcomer.get("/shop", headers={"Accept": "application/json"}).status_code == 200
