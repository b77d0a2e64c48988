"""The dashboard on every kind of store: signing in and out, figures, a room's history."""

import pytest

from tests.support.dashboard import OWN_PAGE, sign_in
from tests.support.waiting import eventually
from tests.topologies.test_waiting_room_everywhere import store_url as store_url
from tests.topologies.test_waiting_room_everywhere import waiting_rooms

pytestmark = pytest.mark.topology


async def test_an_operator_signs_in_looks_and_signs_out(store_url: str) -> None:
    async with waiting_rooms(store_url) as (client, services):
        own = await sign_in(client)
        for room in ("default", "concert"):
            (await client.post(f"/rooms/{room}/join")).raise_for_status()
            known = services.rooms.get(room)
            await eventually(lambda known=known: known.snapshot.last == 1)
        await eventually(services.history._leads)
        for room in ("default", "concert"):

            async def shows_one_on_turn(room: str = room) -> bool:
                await services.history.step()  # writes nothing where the present stretch of time has its sample already
                past = (await client.get(f"/admin/api/rooms/{room}/history", headers=own)).json()
                return bool(past["onTurn"][-1] == 1)

            await eventually(shows_one_on_turn, within_s=15)
        seen = (await client.get("/admin/api/overview", headers=own)).json()
        assert {room["room"]: room["onTurn"] for room in seen["rooms"]} == {"default": 1, "concert": 1, "matinee": 0}
        await client.post("/admin/sign-out", data={"csrf": own["X-CSRF-Token"]}, headers=OWN_PAGE)
        assert (await client.get("/admin")).status_code == 303
