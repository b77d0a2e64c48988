"""Operators make, change, steer and delete rooms of a running service, and everything is written down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from app.errors import StoreUnavailable
from app.rooms.directory import Directory
from app.rooms.rooms import SCRIPTS
from app.services import Services
from app.store import keys
from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S, eventually

ADMIN = {"Authorization": "Bearer admin-token-for-tests", "X-Operator": "ada"}
API = "/admin/api/rooms"
Replicas = list[tuple[httpx.AsyncClient, Services]]


@pytest.fixture
async def two(server: RealServer, patient_store: None) -> AsyncIterator[Replicas]:
    """Two replicas on one store."""
    async with AsyncExitStack() as stack:
        settings = make_settings(redis_url=server.url, refresh_interval=0.05)
        replicas = [await stack.enter_async_context(running_app(settings)) for _ in range(2)]
        for _, services in replicas:
            await eventually(lambda: settled(services))  # noqa: B023
        yield replicas
    with server.client() as direct:
        direct.flushall()


async def test_a_room_made_on_one_replica_is_served_by_all_within_a_second(two: Replicas) -> None:
    (one, _), (other, _) = two
    made = await one.post(API, json={"room": "sale", "settings": {"maxActive": 1}}, headers=ADMIN)
    assert made.status_code == 201
    assert (await one.post("/rooms/sale/join")).json()["position"] == 1

    async def joined() -> bool:
        return (await other.post("/rooms/sale/join")).status_code == 200

    await eventually(joined, within_s=1 + SLACK_S)
    again = await one.post(API, json={"room": "sale"}, headers=ADMIN)
    assert again.status_code == 409


async def test_a_change_is_in_force_everywhere_within_a_second(two: Replicas) -> None:
    (one, _), (_, services) = two
    changed = await one.patch(f"{API}/default", json={"settings": {"ratePerMinute": 120}}, headers=ADMIN)
    assert changed.json()["settings"]["ratePerMinute"] == 120
    await eventually(lambda: services.rooms.get("default").settings.rate_per_minute == 120, within_s=1 + SLACK_S)
    version = changed.json()["settingsVersion"]
    stale = {"settings": {"maxActive": 5}, "expectedVersion": version - 1}
    assert (await one.patch(f"{API}/default", json=stale, headers=ADMIN)).status_code == 409
    back = await one.patch(f"{API}/default", json={"settings": {"ratePerMinute": None}}, headers=ADMIN)
    assert back.json()["settings"]["ratePerMinute"] is None
    refused = await one.patch(f"{API}/default", json={"settings": {"maxActive": -1}}, headers=ADMIN)
    assert refused.status_code == 400
    assert "maxActive" in refused.json()["detail"]


async def test_a_deleted_room_is_gone_everywhere_and_its_tickets_hold_in_no_later_one(two: Replicas) -> None:
    (one, _), (other, _) = two
    await one.post(API, json={"room": "sale"}, headers=ADMIN)
    ticket = (await one.post("/rooms/sale/join")).json()["token"]
    assert (await one.delete(f"{API}/sale", headers=ADMIN)).status_code == 204
    assert (await one.post("/rooms/sale/join")).status_code == 404

    async def gone() -> bool:
        return (await other.get("/rooms/sale/serving")).status_code == 404

    await eventually(gone, within_s=1 + SLACK_S)
    assert (await one.post(API, json={"room": "sale"}, headers=ADMIN)).status_code == 201
    old = await one.get("/rooms/sale/status", headers={"Authorization": f"Bearer {ticket}"})
    assert old.json()["status"] == "reset"
    assert (await one.delete(f"{API}/default", headers=ADMIN)).status_code == 409


async def test_a_declared_room_that_was_deleted_does_not_come_back_with_a_restart(server: RealServer) -> None:
    settings = make_settings(redis_url=server.url, refresh_interval=0.05, rooms="default,sale")
    async with running_app(settings) as (client, services):
        await eventually(lambda: services.has_snapshot)
        assert (await client.delete(f"{API}/sale", headers=ADMIN)).status_code == 204
    async with running_app(settings) as (client, services):
        await eventually(lambda: services.has_snapshot and len(services.rooms.all()) == 1)
        assert (await client.post("/rooms/sale/join")).status_code == 404
    with server.client() as direct:
        direct.flushall()


async def test_a_room_made_while_running_survives_a_store_that_forgets_everything(
    two: Replicas, server: RealServer
) -> None:
    (one, services), (_, others) = two
    await one.post(API, json={"room": "sale", "settings": {"maxActive": 2, "claimSeconds": 60}}, headers=ADMIN)
    places = [(await one.post("/rooms/sale/join")).json() for _ in range(3)]
    bearers = [{"Authorization": f"Bearer {place['token']}"} for place in places]
    session = (await one.post("/rooms/sale/enter", headers=bearers[0])).json()
    await eventually(lambda: others.rooms.get("sale").marks.get(1))
    with server.client() as direct:
        direct.flushall()

    async def healed() -> bool:
        shown = (await one.get(f"{API}/sale", headers=ADMIN)).json()
        heals = services.rooms.get("sale").snapshot.heals  # type: ignore[union-attr]
        return bool(heals and not shown["healing"] and shown["sessions"] == 1 and shown["turns"] == 1)

    await eventually(healed)
    state = (await one.get(f"{API}/sale", headers=ADMIN)).json()
    assert (state["settings"]["maxActive"], state["last"] >= 3, state["edge"]) == (2, True, 2)
    again = (await one.post("/rooms/sale/enter", headers=bearers[0])).json()
    assert again["sessionId"] == session["sessionId"]
    assert (await one.post("/rooms/sale/enter", headers=bearers[2])).status_code == 409


async def test_verbs_steer_the_line_and_stand_in_the_audit_log(two: Replicas) -> None:
    (one, _), _ = two
    await one.post(
        API, json={"room": "sale", "settings": {"windowSize": 1, "windowIntervalSeconds": 600}}, headers=ADMIN
    )
    for _ in range(4):
        await one.post("/rooms/sale/join")
    assert (await one.post(f"{API}/sale/pause", headers=ADMIN)).json()["paused"] is True
    assert (await one.post(f"{API}/sale/resume", headers=ADMIN)).json()["paused"] is False
    assert (await one.post(f"{API}/sale/admit", json={"count": 2}, headers=ADMIN)).json() == {"admitted": 2}
    assert (await one.post(f"{API}/sale/drain", headers=ADMIN)).json()["gate"] == "draining"
    assert (await one.post("/rooms/sale/join")).status_code == 409
    await one.post(f"{API}/sale/admit", json={"count": 5}, headers=ADMIN)

    async def drained() -> bool:
        return bool((await one.get(f"{API}/sale", headers=ADMIN)).json()["gate"] == "closed")

    await eventually(drained)
    assert (await one.post(f"{API}/sale/open", headers=ADMIN)).json()["gate"] == "open"
    epoch = (await one.post(f"{API}/sale/reset", json={"expectedEpoch": 1}, headers=ADMIN)).json()["epoch"]
    assert epoch == 2
    repeated = await one.post(f"{API}/sale/reset", json={"expectedEpoch": 1}, headers=ADMIN)
    assert repeated.status_code == 409
    entries = (await one.get(f"{API}/sale/audit", headers=ADMIN)).json()["entries"]
    assert [entry["action"] for entry in entries] == [
        *("reset", "open", "admit", "drain", "admit", "resume", "pause", "create"),
    ]
    assert {entry["who"] for entry in entries} == {"ada"}
    assert (entries[0]["before"]["epoch"], entries[0]["after"]["epoch"]) == (1, 2)


PACED = {"ratePerMinute": 0.01}


@pytest.mark.parametrize("settings", [{"windowSize": 1}, PACED, PACED | {"maxActive": 2600}], ids=range(3))
async def test_as_many_are_admitted_as_were_asked_for_in_one_act(two: Replicas, settings: dict[str, float]) -> None:
    (one, services), _ = two
    await one.post(API, json={"room": "sale", "settings": settings}, headers=ADMIN)
    room = services.rooms.get("sale")
    await asyncio.gather(*(room.join(f"ticket-{number}") for number in range(4000)))
    answers = [await one.post(f"{API}/sale/admit", json={"count": count}, headers=ADMIN) for count in (2500, 100_000)]
    admitted, rest = (answer.json()["admitted"] for answer in answers)
    log = (await one.get(f"{API}/sale/audit", headers=ADMIN)).json()["entries"]
    assert [entry["action"] for entry in log] == ["admit", "admit", "create"]
    already = log[1]["before"]["edge"]
    assert (admitted, rest) == (2500, settings.get("maxActive", 4000) - 2500 - already)
    edges = [(entry["before"]["edge"], entry["after"]["edge"]) for entry in log[:2]]
    assert edges == [(already + 2500, already + 2500 + rest), (already, already + 2500)]


async def test_what_ends_an_admission_early_leaves_those_inside_who_were_let_in(
    two: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one, services), _ = two
    room = services.rooms.get("default")
    await asyncio.gather(*(room.join(f"ticket-{number}") for number in range(2500)))
    control, steps = services.operator._control, 0

    async def started_anew(*args: object, **more: object) -> object:
        nonlocal steps
        steps += 1
        if steps == 2:
            await control("default", "reset", "bob")
        return await control(*args, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(services.operator, "_control", started_anew)
        answer = await one.post(f"{API}/default/admit", json={"count": 2000}, headers=ADMIN)
    assert answer.json() == {"admitted": 1000}

    async def away(*args: object, **more: object) -> object:
        raise StoreUnavailable

    monkeypatch.setattr(services.operator, "_control", away)
    assert (await one.post(f"{API}/default/admit", json={"count": 1}, headers=ADMIN)).status_code == 503


async def test_the_operator_sees_counts_and_ends_sessions(two: Replicas) -> None:
    (one, _), _ = two
    await one.post(API, json={"room": "sale", "settings": {"maxActive": 2}}, headers=ADMIN)
    places = [(await one.post("/rooms/sale/join")).json() for _ in range(3)]
    for place in places[:2]:
        await one.post("/rooms/sale/enter", headers={"Authorization": f"Bearer {place['token']}"})
    page = (await one.get(f"{API}/sale/sessions", headers=ADMIN)).json()
    assert (page["sessions"], sorted(row["position"] for row in page["page"])) == (2, [1, 2])
    ended = await one.post(f"{API}/sale/sessions/end", json={"positions": [1, 99]}, headers=ADMIN)
    assert ended.json() == {"ended": 1}
    bearer = {"Authorization": f"Bearer {places[2]['token']}"}
    assert (await one.post("/rooms/sale/enter", headers=bearer)).status_code == 200


async def test_the_audit_log_tells_a_revoke_from_an_end(two: Replicas) -> None:
    (one, _), _ = two
    for _ in range(3):
        await one.post("/join")
    for wish in (
        {"positions": [1]},
        {"positions": [2, 3], "revoke": True},
        {"positions": [1], "revoke": True},  # over already, but its holder is kept out from now on
        {"positions": [2]},  # nobody is there, and nothing done
    ):
        assert (await one.post(f"{API}/default/sessions/end", json=wish, headers=ADMIN)).status_code == 200
    entries = (await one.get(f"{API}/default/audit", headers=ADMIN)).json()["entries"]
    assert [(entry["who"], entry["action"], entry["before"]) for entry in entries] == [
        ("ada", "revoke", 0),
        ("ada", "revoke", 2),
        ("ada", "end", 1),
    ]


async def test_the_sessions_that_end_last_come_first_when_they_are_asked_for(two: Replicas) -> None:
    (one, _), _ = two
    await one.post(API, json={"room": "sale", "settings": {"maxActive": 9, "sessionSeconds": 60}}, headers=ADMIN)
    for position in (1, 2, 3):
        place = (await one.post("/rooms/sale/join")).json()
        bearer = {"Authorization": f"Bearer {place['token']}"}
        entered = (await one.post("/rooms/sale/enter", headers=bearer)).json()
        assert (entered["position"], entered["sessionId"]) == (position, f"1-{position}")
        await one.patch(f"{API}/sale", json={"settings": {"sessionSeconds": 60 * (position + 1)}}, headers=ADMIN)

    async def listed(query: str) -> list[int]:
        page = (await one.get(f"{API}/sale/sessions?{query}", headers=ADMIN)).json()["page"]
        return [row["position"] for row in page]

    assert await listed("count=2") == [1, 2]
    assert await listed("count=2&latest=true") == [3, 2]
    assert await listed("count=2&offset=2&latest=true") == [1]


async def test_positions_of_a_line_that_was_started_anew_end_nobodys_visit(two: Replicas) -> None:
    (one, _), _ = two
    await one.post("/join")
    assert (await one.post(f"{API}/default/reset", headers=ADMIN)).json()["epoch"] == 2
    bearer = {"Authorization": f"Bearer {(await one.post('/join')).json()['token']}"}
    assert (await one.post("/rooms/default/enter", headers=bearer)).status_code == 200
    wish = {"positions": [1], "revoke": True, "expectedEpoch": 1}
    assert (await one.post(f"{API}/default/sessions/end", json=wish, headers=ADMIN)).status_code == 409
    assert (await one.post("/rooms/default/renew", headers=bearer)).status_code == 200
    wish["expectedEpoch"] = 2
    assert (await one.post(f"{API}/default/sessions/end", json=wish, headers=ADMIN)).json() == {"ended": 1}


async def test_secrets_of_a_room_are_never_shown(two: Replicas) -> None:
    (one, _), _ = two
    secret = "a-secret-of-the-site-that-is-long-enough"
    settings = {"identity": "optional", "identitySecret": secret}
    made = await one.post(API, json={"room": "sale", "settings": settings}, headers=ADMIN)
    shown = await one.get(f"{API}/sale", headers=ADMIN)
    log = await one.get(f"{API}/sale/audit", headers=ADMIN)
    assert made.status_code == 201
    assert secret not in made.text + shown.text + log.text


async def test_without_the_token_nothing_is_told_or_done(two: Replicas) -> None:
    (one, _), _ = two
    assert (await one.get(API)).status_code == 401
    assert (await one.post(API, json={"room": "sale"})).status_code == 401
    assert (await one.post(f"{API}/default/reset", headers={"Authorization": "Bearer nonsense"})).status_code == 401


async def test_a_change_builds_on_what_another_replica_has_changed_a_moment_ago(
    two: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one, _), (other, services) = two

    async def asleep(**_: object) -> None:
        return

    monkeypatch.setattr(services.rooms, "refresh", asleep)  # this replica hears of nothing by itself
    for number, extra in enumerate(({}, {"expectedVersion": True})):
        first = await one.patch(f"{API}/default", json={"settings": {"windowSize": 20 + number}}, headers=ADMIN)
        expected = {name: first.json()["settingsVersion"] for name in extra}
        change = {"settings": {"maxWaiting": 30 + number}, **expected}
        second = await other.patch(f"{API}/default", json=change, headers=ADMIN)
        assert second.status_code == 200, second.text
        settings = second.json()["settings"]
        assert (settings["windowSize"], settings["maxWaiting"]) == (20 + number, 30 + number)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ('{"look": {"accent": "red"}, "maxActive": -1}', "maxActive"),
        ('{"identity": "required"}', "identity needs identitySecret"),
        ('{"method.x": 1}', "method"),
        ('{"windowSize": 5, "windowSize.\\ud800": 1}', "not valid JSON"),
        (f'{{"{".".join(["a"] * 5000)}": 1}}', "recursion"),
        (f'{{"look": {"[" * 900}{"]" * 900}}}', "recursion"),
        ('{"ratePerMinute": NaN}', "not valid JSON"),
        ('{"ratePerMinute": 1e-300}', "ratePerMinute"),
        ('{"opensAt": "9999-12-31T23:59:59-12:00"}', "opensAt"),
    ],
    ids=["two", "together", "part", "half-a-character", "deep-name", "deep-value", "no-number", "too-slow", "too-late"],
)
async def test_settings_that_cannot_be_are_refused_by_name(two: Replicas, settings: str, named: str) -> None:
    (one, _), _ = two
    body = f'{{"settings": {settings}}}'
    refused = await one.patch(f"{API}/default", content=body, headers=ADMIN)
    assert refused.status_code == 400, refused.text
    assert named in refused.json()["detail"]


async def test_a_refused_secret_is_not_repeated(two: Replicas) -> None:
    (one, _), _ = two
    refused = await one.patch(f"{API}/default", json={"settings": {"identitySecret": "too-short"}}, headers=ADMIN)
    assert refused.status_code == 400
    assert "identitySecret" in refused.text
    assert "too-short" not in refused.text


def test_an_answer_that_was_asked_for_before_a_room_came_does_not_take_it_away_again() -> None:
    directory = Directory(SCRIPTS)
    assert directory.take([0, 0, 5, b"sale", b"live:2"])
    assert not directory.take([0, 0, 4, b"sale", b"gone:2"])
    assert (directory.live(), directory.gone(), directory.version) == (["sale"], [], 5)
    assert directory.take([0, 0, 6, b"sale", b"gone:2"])
    assert directory.gone() == ["sale"]


async def test_of_many_who_make_one_room_at_once_one_does_and_no_place_in_it_is_lost(two: Replicas) -> None:
    clients = [client for client, _ in two] * 4
    made = await asyncio.gather(*(client.post(API, json={"room": "sale"}, headers=ADMIN) for client in clients))
    assert sorted(answer.status_code for answer in made) == [201] + [409] * 7
    assert {answer.json()["epoch"] for answer in made if answer.status_code == 201} == {1}


async def test_a_room_whose_making_was_cut_short_can_be_made(two: Replicas, server: RealServer) -> None:
    (one, _), _ = two
    assert (await one.post(API, json={"room": "sale"}, headers=ADMIN)).status_code == 201
    with server.client() as direct:
        state, index = keys.room_keys("sale")["state"], keys.ROOMS_INDEX
        half_made = direct.hgetall(state)
        assert (await one.delete(f"{API}/sale", headers=ADMIN)).status_code == 204
        assert direct.hget(index, "sale") == "gone:2"
        direct.hset(state, mapping={**half_made, "epoch": 2})
        at_once = await one.post(API, json={"room": "sale"}, headers=ADMIN)
        assert at_once.status_code == 409
        direct.hset(state, "ticked_at_ms", 1)
    again = await one.post(API, json={"room": "sale", "settings": {"windowSize": 7}}, headers=ADMIN)
    assert (again.status_code, again.json()["settings"]["windowSize"]) == (201, 7)
