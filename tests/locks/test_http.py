"""The lock routes: what a caller sees."""

import asyncio
import itertools
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.conftest import make_settings
from tests.support.apps import running_app
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S, eventually


@pytest.fixture
def quick(server: RealServer) -> Settings:
    """Settings with work that is over in a moment."""
    return make_settings(redis_url=server.url, processing_time_ms=30)


async def line_of(client: httpx.AsyncClient, lock_id: str, waiters: int) -> None:
    async def there() -> bool:
        return bool((await client.get(f"/locks/{lock_id}")).json()["waiters"] == waiters)

    await eventually(there)


async def test_lock_does_the_work_and_says_how_long_it_took(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        answer = await client.get("/lock", params={"id": "4 2/ü"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    done = answer.json()
    assert done["id"] == "4 2/ü"
    assert 0 < done["workedMs"] < 1000 * SLACK_S
    assert str(done["fence"]) == answer.headers["x-fence"]


async def test_lock_without_an_id_is_a_400(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        assert (await client.get("/lock")).status_code == 400
        assert (await client.get("/lock?id=")).status_code == 400
        assert (await client.get("/request/")).status_code == 400


async def test_lock_is_refused_at_once_while_it_is_held(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        assert (await client.post("/locks/5", json={"leaseMs": 60_000})).status_code == 201
        refused = await client.get("/lock?id=5")
    assert refused.status_code == 423
    assert 60 - SLACK_S <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["type"] == "urn:stanchion:problem:locked"


async def test_request_waits_its_turn(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        answers = await asyncio.gather(*(client.get("/request/7") for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    holds = sorted((a.json()["grantedAtMs"], a.json()["workedMs"]) for a in answers)
    for (earlier_ms, worked_ms), (later_ms, _) in itertools.pairwise(holds):
        assert later_ms >= earlier_ms + int(worked_ms)


async def test_request_is_a_504_when_the_wait_runs_out(server: RealServer) -> None:
    settings = make_settings(redis_url=server.url, lock_wait=0.2)
    async with running_app(settings) as (client, _):
        await client.post("/locks/7")
        answer = await client.get("/request/7")
    assert answer.status_code == 504
    assert answer.json()["type"] == "urn:stanchion:problem:wait-ran-out"


@pytest.mark.parametrize("lock_id", ["a%2Fb", "a%0Ab", "%7B%7D", "%E2%80%BD", "a%252Fb", "a/b/", "%00", "..%2F.."])
async def test_an_id_may_hold_any_character(quick: Settings, lock_id: str) -> None:
    async with running_app(quick) as (client, _):
        taken = await client.post(f"/locks/{lock_id}")
        assert taken.status_code == 201, taken.text
        assert (await client.get(f"/locks/{lock_id}")).json()["held"]
        assert (await client.get("/lock", params={"id": taken.json()["id"]})).status_code == 423


async def test_ids_that_differ_only_in_encoding_depth_are_different_locks(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        assert (await client.post("/locks/a%2Fb")).json()["id"] == "a/b"
        assert (await client.post("/locks/a%252Fb")).json()["id"] == "a%2Fb"


async def test_an_id_that_is_too_long_or_no_text_is_refused(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        assert (await client.post("/locks/" + "x" * 513)).status_code == 413
        assert (await client.post("/locks/" + "%C3%BC" * 257)).status_code == 413
        assert (await client.post("/locks/%FF")).status_code == 400


async def test_a_program_takes_renews_and_releases(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        taken = (await client.post("/locks/job", json={"leaseMs": 15_000, "owner": "nightly"})).json()
        token = {"X-Lock-Token": taken["token"]}
        seen = (await client.get("/locks/job")).json()
        assert seen["holders"][0]["owner"] == "nightly"
        assert taken["token"] not in str(seen)
        renewed = await client.put("/locks/job", json={"leaseMs": 19_000}, headers=token)
        assert renewed.status_code == 200
        assert renewed.json()["fence"] == taken["fence"]
        assert renewed.json()["expiresAtMs"] >= taken["expiresAtMs"] + 3000
        for _ in range(2):
            assert (await client.delete("/locks/job", headers=token)).status_code == 204
        assert (await client.put("/locks/job", headers=token)).status_code == 409
        assert not (await client.get("/locks/job")).json()["held"]


async def test_a_waiting_program_gets_the_lock_when_it_is_released(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        first = (await client.post("/locks/job")).json()
        second = asyncio.create_task(client.post("/locks/job", json={"waitMs": 30_000}))
        await line_of(client, "job", 1)
        await client.delete("/locks/job", headers={"X-Lock-Token": first["token"]})
        answer = await second
    assert answer.status_code == 201
    assert answer.json()["fence"] > first["fence"]


async def test_a_program_is_refused_with_423_at_once_and_504_after_its_wait(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        await client.post("/locks/job")
        assert (await client.post("/locks/job", json={})).status_code == 423
        assert (await client.post("/locks/job", json={"waitMs": 50})).status_code == 504


async def test_a_limit_makes_a_semaphore_and_the_first_ones_rules(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        for _ in range(2):
            assert (await client.post("/locks/pool", json={"limit": 2})).status_code == 201
        assert (await client.post("/locks/pool", json={"limit": 2})).status_code == 423
        other = await client.post("/locks/pool", json={"limit": 3})
        assert other.status_code == 409
        assert other.json()["limit"] == 2
        assert (await client.get("/lock?id=pool")).status_code == 409


@pytest.mark.parametrize(
    "body", [{"leaseMs": 1}, {"leaseMs": 10**9}, {"waitMs": -1}, {"limit": 0}, {"leaseMs": "5"}, {"colour": 1}]
)
async def test_what_makes_no_sense_is_a_400(quick: Settings, body: dict[str, Any]) -> None:
    async with running_app(quick) as (client, _):
        assert (await client.post("/locks/x", json=body)).status_code == 400


async def test_a_release_without_its_token_is_a_400_and_with_a_wrong_one_a_409(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        await client.post("/locks/x")
        assert (await client.delete("/locks/x")).status_code == 400
        assert (await client.delete("/locks/x", headers={"X-Lock-Token": "guess"})).status_code == 409


async def test_the_operator_sees_what_is_held_and_nobody_else(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        await client.post("/locks/a%2Fb", json={"owner": "me"})
        admin = {"Authorization": "Bearer admin-token-for-tests"}

        async def listed() -> bool:
            answer = (await client.get("/admin/api/locks", headers=admin)).json()
            return answer["total"] == 1 and [item["id"] for item in answer["locks"]] == ["a/b"]

        await eventually(listed)
        assert (await client.get("/admin/api/locks")).status_code == 401


async def test_with_a_token_the_routes_are_closed_without_it(server: RealServer) -> None:
    settings = make_settings(redis_url=server.url, open_routes="", lock_token="a-token-for-locks", processing_time_ms=0)
    async with running_app(settings) as (client, _):
        for path in ("/lock?id=1", "/request/1", "/locks/1"):
            assert (await client.get(path)).status_code == 401
            bearer = {"Authorization": "Bearer a-token-for-locks"}
            assert (await client.get(path, headers=bearer)).status_code == 200
            proxy = {"Proxy-Authorization": "Bearer a-token-for-locks", "Authorization": "Bearer of-the-upstream"}
            assert (await client.get(path, headers=proxy)).status_code == 200


async def test_the_metrics_tell_what_happened(quick: Settings) -> None:
    async with running_app(quick) as (client, _):
        token = (await client.post("/locks/m")).json()["token"]
        assert (await client.get("/lock?id=m")).status_code == 423
        await client.put("/locks/m", json={"leaseMs": 100}, headers={"X-Lock-Token": token})
        assert (await client.get("/request/m")).status_code == 200
        page = (await client.get("/metrics")).text
    assert 'stanchion_lock_refusals_total{reason="held"} 1.0' in page
    assert "stanchion_lock_wait_seconds_count 2.0" in page
    assert "stanchion_lock_expiries_total 1.0" in page
    assert "stanchion_lock_waiters 0.0" in page
    assert "stanchion_locks_held" in page


async def test_without_the_store_the_locks_are_a_503(own_server: RealServer) -> None:
    settings = make_settings(redis_url=own_server.url, processing_time_ms=0)
    async with running_app(settings) as (client, _):
        assert (await client.get("/lock?id=1")).status_code == 200
        own_server.stop()
        for path in ("/lock?id=1", "/request/1"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert "retry-after" in answer.headers
        own_server.start()
        assert (await client.get("/lock?id=1")).status_code == 200
