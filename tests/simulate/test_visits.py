"""How the visitors of a crowd behave, one by one, towards a room that says exactly this."""

import asyncio
from itertools import pairwise

import pytest

from app.simulate.crowd.checks import check_all
from app.simulate.crowd.journeys import Outcome, journeys_of
from app.simulate.crowd.plan import Kind, Wish
from app.simulate.crowd.player import Player
from app.simulate.crowd.record import Act, Recording
from tests.simulate.conftest import simulate_crowd
from tests.simulate.fake_room import FakeRoom, fake_room

QUICK = ("-n", "20", "--over", "0", "--stay", "0.1", "--mix", "patient=1", "--json")


def wish_for(kind: Kind, *, patience_s: float = 30.0, visitors: int = 1) -> Wish:
    return Wish(visitors, 1, over_s=0.0, patience_s=patience_s, stay_s=0.1, mix={kind: 1})


async def play(room: FakeRoom, wish: Wish, time_limit_s: float = 20.0) -> Recording:
    player = Player(wish, "default", [room.url])
    try:
        return await player.play(time_limit_s, asyncio.Event(), lambda *_: None)
    finally:
        player.close()


def acts(recording: Recording) -> list[str]:
    return [event.act.value for event in recording.events]


def outcomes(recording: Recording) -> list[Outcome]:
    return [journey.outcome for journey in journeys_of(recording.visitors, recording.events)]


async def test_a_patient_visitor_joins_asks_enters_and_leaves() -> None:
    async with fake_room() as room:
        recording = await play(room, wish_for(Kind.PATIENT))
    assert acts(recording) == ["join", "status", "status", "enter", "leave"]
    assert outcomes(recording) == [Outcome.SERVED]


async def test_polls_come_no_sooner_than_told() -> None:
    async with fake_room(poll_after_s=0.4, turn_after=4) as room:
        recording = await play(room, wish_for(Kind.PATIENT))
        polls = room.times("status")
    assert len(polls) == 4
    assert all(later - sooner >= 0.39 for sooner, later in pairwise([room.times("join")[0], *polls]))
    assert all(event.lag_s < 5 for event in recording.events)


@pytest.mark.parametrize("status", [503, 429])
async def test_a_refused_join_is_repeated_when_told_and_with_the_same_key(status: int) -> None:
    async with fake_room(
        refuse=lambda verb, count: (status, "joins-held", 1) if verb == "join" and count < 3 else None
    ) as room:
        recording = await play(room, wish_for(Kind.PATIENT))
        times, headers = room.times("join"), room.headers("join")
    assert outcomes(recording) == [Outcome.SERVED]
    assert all(later - sooner >= 0.99 for sooner, later in pairwise(times))
    assert len({header["idempotency-key"] for header in headers}) == 1
    assert len(times) == 3


async def test_an_impatient_visitor_closes_the_page_without_a_word() -> None:
    async with fake_room(turn_after=10_000) as room:
        recording = await play(room, wish_for(Kind.IMPATIENT, patience_s=0.3))
        assert "leave" not in room.asked
    assert outcomes(recording) == [Outcome.GAVE_UP]
    assert recording.events[-1].act is Act.GIVE_UP


async def test_a_leaving_visitor_gives_the_place_back() -> None:
    async with fake_room(turn_after=10_000) as room:
        recording = await play(room, wish_for(Kind.LEAVING, patience_s=0.3))
        assert len(room.asked["leave"]) == 1
    assert outcomes(recording) == [Outcome.GAVE_UP]


async def test_a_reloading_visitor_comes_by_cookie_with_a_second_tab() -> None:
    async with fake_room(turn_after=30) as room:
        recording = await play(room, wish_for(Kind.RELOADING))
        first, *reloads = room.headers("join")
    assert "idempotency-key" in first
    assert reloads
    assert all(header["cookie"] == "stanchion-ticket-default=ticket-1" for header in reloads)
    assert all(header["origin"] == room.url for header in reloads)
    assert acts(recording).count("reload") == acts(recording).count("tab") == len(reloads)
    assert outcomes(recording) == [Outcome.SERVED]


async def test_a_late_visitor_misses_the_turn_and_joins_again() -> None:
    def bend(place: dict[str, object]) -> dict[str, object]:
        if place["position"] == 1 and place["status"] == "active":
            expired = len(room.asked.get("status", [])) > 2
            return {**place, "status": "expired"} if expired else {**place, "activeForSeconds": 0.3}
        return place

    async with fake_room(bend=bend) as room:
        recording = await play(room, wish_for(Kind.LATE))
    assert acts(recording) == ["join", "status", "status", "status", "join", "status", "status", "enter", "leave"]
    assert outcomes(recording) == [Outcome.SERVED]
    assert len({header["idempotency-key"] for header in room.headers("join")[:2]}) == 2


async def test_an_operators_refusal_ends_the_visit_and_is_no_loss() -> None:
    async with fake_room(refuse=lambda verb, _: (503, "turned-away", 30) if verb == "join" else None) as room:
        recording = await play(room, wish_for(Kind.PATIENT))
    assert outcomes(recording) == [Outcome.TURNED_AWAY]
    verdicts = check_all(recording, journeys_of(recording.visitors, recording.events))
    assert not [verdict for verdict in verdicts if verdict.holds is False]


async def test_who_enters_too_early_goes_on_waiting() -> None:
    async with fake_room(
        refuse=lambda verb, count: (409, "not-your-turn", 1) if verb == "enter" and count == 1 else None
    ) as room:
        recording = await play(room, wish_for(Kind.PATIENT))
    assert outcomes(recording) == [Outcome.SERVED]
    assert acts(recording).count("enter") == 2


async def test_a_session_is_renewed_before_it_ends() -> None:
    async with fake_room(session_s=0.4) as room:
        recording = await play(room, Wish(1, 1, over_s=0.0, stay_s=1.0, mix={Kind.PATIENT: 1}))
    assert acts(recording).count("renew") >= 1
    assert outcomes(recording) == [Outcome.SERVED]


async def test_a_service_that_gives_everybody_the_same_place_fails_the_run() -> None:
    async with fake_room(bend=lambda place: {**place, "position": 1}) as room:
        run = await simulate_crowd([room.url], *QUICK, token="")
    assert run.code == 1, run.err
    assert run.promise("unique") is False
    assert "no position is given out twice" in run.err
    assert "BROKEN" in run.err


async def test_a_service_that_loses_visitors_fails_the_run() -> None:
    async with fake_room(refuse=lambda verb, count: (401, "ticket-refused", 0) if count % 9 == 0 else None) as room:
        # Not all in the same second, in which the player itself might stand still: that would be no loss of the service's.
        run = await simulate_crowd([room.url], *QUICK, "--over", "4", token="")
    assert run.code == 1, run.err
    assert run.promise("lost") is False
    assert run.ended_as("lost") >= 1


async def test_answers_that_cannot_be_read_are_errors_and_not_the_end_of_the_player() -> None:
    async with fake_room(bend=lambda place: {"token": "x"} if len(room.asked["status"]) % 2 else place) as room:
        room.asked["status"] = []
        recording = await play(room, wish_for(Kind.PATIENT, visitors=3))
    assert outcomes(recording) == [Outcome.SERVED] * 3
    assert "unreadable" in {event.status for event in recording.events}
