"""Passes through faults of real processes: revoked everywhere, read while the store is away, back after it forgot."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import jwt
import pytest

from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import SLACK_S, eventually

Start = Callable[..., Replica]
ROOM = {"WINDOW_SIZE": "100", "ADMIN_TOKEN": "admin-token-for-tests"}
ADMIN = {"Authorization": "Bearer admin-token-for-tests"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10) as client:
        yield client


@pytest.fixture
def two(own_server: RealServer, start_replica: Start) -> list[Replica]:
    replicas = [start_replica(own_server.url, wait=False, **ROOM) for _ in range(2)]
    for replica in replicas:
        replica.wait_until_ready()
    return replicas


class Inside:
    """A visitor who has entered."""

    def __init__(self, client: httpx.AsyncClient, ticket: str, entered: dict[str, str]) -> None:
        self._client = client
        self.ticket = {"Authorization": f"Bearer {ticket}"}
        self.token = entered["pass"]
        self.session_id = entered["sessionId"]

    @property
    def carried(self) -> dict[str, str]:
        """The pass, as programs send it."""
        return {"X-Waiting-Room-Pass": self.token}

    async def gate(self, replica: Replica) -> int:
        """What a reverse proxy is told of a request with this pass."""
        return (await self._client.get(f"{replica.url}/gate/default", headers=self.carried)).status_code

    async def refused(self, *replicas: Replica) -> bool:
        return all([await self.gate(replica) != 200 for replica in replicas])

    async def renewed(self, replica: Replica) -> httpx.Response:
        return await self._client.post(f"{replica.url}/rooms/default/renew", headers=self.carried)


async def enter(client: httpx.AsyncClient, replica: Replica) -> Inside:
    ticket = (await client.post(f"{replica.url}/join")).json()["token"]
    bearer = {"Authorization": f"Bearer {ticket}"}
    answer = await client.post(f"{replica.url}/rooms/default/enter", headers=bearer)
    assert answer.status_code == 200, answer.text
    return Inside(client, ticket, answer.json())


async def end(client: httpx.AsyncClient, replica: Replica, visitor: Inside) -> None:
    ended = await client.post(f"{replica.url}/gate/default/end", headers=visitor.carried)
    assert ended.status_code == 204, ended.text


async def serves_again(client: httpx.AsyncClient, *replicas: Replica) -> None:
    """Wait until rooms give out places again, on each of these."""

    async def joins() -> bool:
        answers = [await client.post(f"{replica.url}/join") for replica in replicas]
        return all(answer.status_code == 200 for answer in answers)

    await eventually(joins, within_s=20)


async def test_a_visit_ended_on_one_replica_is_refused_by_the_others_within_a_second(
    two: list[Replica], client: httpx.AsyncClient
) -> None:
    here, there = two
    ending, staying = await enter(client, here), await enter(client, here)
    assert [await visitor.gate(there) for visitor in (ending, staying)] == [200, 200]
    await end(client, here, ending)
    await eventually(lambda: ending.refused(here, there), within_s=1 + SLACK_S)
    assert [await staying.gate(replica) for replica in two] == [200, 200]


async def test_while_the_store_is_away_passes_are_read_and_ended_ones_refused(
    own_server: RealServer, two: list[Replica], client: httpx.AsyncClient
) -> None:
    here, there = two
    staying, ended = await enter(client, here), await enter(client, here)
    await end(client, here, ended)
    await eventually(lambda: ended.refused(there))
    own_server.kill()
    assert [await staying.gate(replica) for replica in two] == [200, 200], "also where it was never shown before"
    assert await ended.refused(here, there)
    keys = jwt.PyJWKSet.from_json((await client.get(f"{there.url}/.well-known/jwks.json")).text)
    key = keys[jwt.get_unverified_header(staying.token)["kid"]]
    assert jwt.decode(staying.token, key, algorithms=["EdDSA"], audience="default")["sub"] == staying.session_id
    assert (await staying.renewed(here)).status_code == 503, "what cannot be written is not signed"
    own_server.start()
    await serves_again(client, here, there)
    assert (await staying.renewed(there)).status_code == 200


async def test_a_wiped_store_gets_live_sessions_back_and_ended_ones_stay_ended(
    own_server: RealServer, two: list[Replica], client: httpx.AsyncClient
) -> None:
    here, there = two
    staying, ended = await enter(client, here), await enter(client, there)
    keys_before = (await client.get(f"{here.url}/.well-known/jwks.json")).json()
    await end(client, here, ended)
    await eventually(lambda: ended.refused(there))
    own_server.kill()
    own_server.wipe()
    own_server.start()
    await serves_again(client, here, there)
    for replica in two:
        renewed = await staying.renewed(replica)
        assert (renewed.status_code, renewed.json()["sessionId"]) == (200, staying.session_id)
        assert await staying.gate(replica) == 200
        assert await ended.gate(replica) != 200
        again = await client.post(f"{replica.url}/rooms/default/enter", headers=ended.ticket)
        assert (again.status_code, again.json()["visitStatus"]) == (410, "ended")
    assert (await client.get(f"{there.url}/.well-known/jwks.json")).json() == keys_before
    newcomer = await enter(client, there)
    assert int(newcomer.session_id.partition("-")[2]) > 2


async def test_a_session_that_nobody_remembers_comes_back_when_its_pass_is_shown(
    own_server: RealServer, two: list[Replica], start_replica: Start, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    here = two[0]
    early = await enter(client, here)
    await end(client, here, early)
    kept = tmp_path / "kept"
    shutil.copytree(own_server.folder, kept)
    late = await enter(client, here)
    for replica in two:
        replica.kill()
    own_server.kill()
    own_server.wipe()
    shutil.copytree(kept, own_server.folder, dirs_exist_ok=True)
    own_server.start()
    newcomer = start_replica(own_server.url, **ROOM)
    await serves_again(client, newcomer)
    assert await late.gate(newcomer) == 200, "its signature holds, and nobody says that it has ended"
    assert await early.gate(newcomer) != 200

    async def renewed() -> bool:
        return (await late.renewed(newcomer)).status_code == 200

    await eventually(renewed)
    sessions = await client.get(f"{newcomer.url}/admin/api/rooms/default/sessions", headers=ADMIN)
    assert [row["sessionId"] for row in sessions.json()["page"]] == [late.session_id]
    await end(client, newcomer, late)
    await eventually(lambda: late.refused(newcomer))


async def test_no_verifier_notices_that_the_key_was_rotated(
    own_server: RealServer, start_replica: Start, client: httpx.AsyncClient
) -> None:
    """Neither PyJWT's own verifier nor one that looks at the JWKS now and then, and never because a key is unknown."""
    lead_s, copy_s = 10, 3
    replicas = [start_replica(own_server.url, PASS_KEY_LEAD=str(lead_s), **ROOM) for _ in range(2)]
    url = f"{replicas[0].url}/.well-known/jwks.json"
    patient = jwt.PyJWKClient(url, lifespan=copy_s)
    copied_s, copy = 0.0, jwt.PyJWKSet.from_json((await client.get(url)).text)

    async def kid_of_a_new_pass(replica: Replica) -> str:
        nonlocal copied_s, copy
        token = (await enter(client, replica)).token
        if time.monotonic() - copied_s > copy_s:
            copied_s, copy = time.monotonic(), jwt.PyJWKSet.from_json((await client.get(url)).text)
        kid = str(jwt.get_unverified_header(token)["kid"])
        for key in (copy[kid], await asyncio.to_thread(patient.get_signing_key_from_jwt, token)):
            assert jwt.decode(token, key, algorithms=["EdDSA"], audience="default")["use"] == "pass"
        return kid

    first = await kid_of_a_new_pass(replicas[0])
    early = await enter(client, replicas[0])
    rotated = await client.post(f"{replicas[1].url}/admin/api/pass-keys/rotate", headers=ADMIN)
    assert rotated.json()["signsInSeconds"] == lead_s
    waiting = rotated.json()["kid"]
    again = await client.post(f"{replicas[0].url}/admin/api/pass-keys/rotate", headers=ADMIN)
    assert again.json()["kid"] == waiting, "asking again changes nothing"

    async def signs_with_the_new_key() -> bool:
        kids = [await kid_of_a_new_pass(replica) for replica in replicas]
        assert set(kids) <= {first, waiting}
        return set(kids) == {waiting}

    await eventually(signs_with_the_new_key, within_s=lead_s + 20, every_s=0.2)
    for replica in replicas:
        assert await early.gate(replica) == 200, "what the old key signed is good until its end"
        assert (await early.renewed(replica)).status_code == 200
