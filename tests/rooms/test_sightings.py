"""Who has asked for their place is told to the store: again when it did not hear, and only then."""

from collections.abc import Sequence
from typing import Any

import fakeredis
import pytest

from app.clock import SystemClock
from app.errors import StoreUnavailable
from app.rooms.room import Room
from app.rooms.rooms import SCRIPTS, Rooms
from app.rooms.settings import RoomSettings
from app.store import Call
from tests.rooms.test_after_a_loss import Shop
from tests.rooms.test_pure_decisions import BASE
from tests.support.scripts import HEAL_MS, ScriptedRoom


class Store:
    """Says to every script what the test says, and notes whom it was told of."""

    def __init__(self) -> None:
        self.answer: Any = [0, 0]
        self.told: list[list[int]] = []

    async def run_many(self, calls: Sequence[Call], *, purpose: str) -> list[Any]:
        self.told += [list(call.args["sightings"]) for call in calls]  # type: ignore[arg-type]
        if self.answer is None:
            raise StoreUnavailable
        return [self.answer] * len(calls)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def rooms(store: Store) -> Rooms:
    rooms = Rooms({"default": RoomSettings(pass_over=True)}, store, SystemClock(), 0.25)  # type: ignore[arg-type]
    the_room(rooms).snapshot = BASE
    return rooms


def the_room(rooms: Rooms) -> Room:
    return rooms.get("default")


@pytest.mark.parametrize("answer", [None, StoreUnavailable()], ids=["no node answers", "one node does not"])
async def test_what_the_store_did_not_hear_is_told_again(rooms: Rooms, store: Store, answer: Any) -> None:
    the_room(rooms).note_asked(1, 50, 10.0)
    store.answer = answer
    if answer is None:
        with pytest.raises(StoreUnavailable):
            await rooms._note_sightings()
    else:
        await rooms._note_sightings()
    store.answer = [0, 0]
    the_room(rooms).note_asked(1, 60, 20.0)
    await rooms._note_sightings()
    assert store.told == [[50, 10_000], [50, 10_000, 60, 20_000]]


async def test_what_the_store_has_heard_is_not_told_again_after_a_later_failure(rooms: Rooms, store: Store) -> None:
    the_room(rooms).note_asked(1, 50, 10.0)
    await rooms._note_sightings()
    await rooms._note_sightings()
    the_room(rooms).note_asked(1, 60, 10.0)
    store.answer = None
    with pytest.raises(StoreUnavailable):
        await rooms._note_sightings()
    store.answer = [0, 0]
    await rooms._note_sightings()
    assert store.told == [[50, 10_000], [60, 10_000], [60, 10_000]]


def test_who_asked_in_a_line_that_was_started_anew_is_not_taken_for_somebody_in_the_new_one() -> None:
    with fakeredis.FakeRedis(decode_responses=True) as client:
        line = ScriptedRoom(client)
        line.declare(RoomSettings(max_active=1, pass_over=True))
        replica = Room("default", None, None, SCRIPTS, SystemClock(), HEAL_MS)  # type: ignore[arg-type]
        shop = Shop(line, [replica])
        shop.join(replica, 3)
        shop.look(replica)
        replica.note_asked(1, 2, 10.0)
        line.control("reset")
        shop.look(replica)
        assert replica.sightings() == []
        replica.note_asked(2, 1, 10.0)
        assert len(replica.sightings()) == 1
