"""Rooms of every admission mode side by side, a small crowd in each, and an eye on what the store says of them.

One run drives all rooms at once through the same replicas and the same fault; afterwards each room's promises are
held against what its visitors were told and what the store looked like, moment by moment.
"""

import asyncio
import bisect
import math
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import httpx
import redis

from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import eventually

ADMIN = {"Authorization": "Bearer admin-token-for-tests"}
BRIEF = {"claimSeconds": 1, "sessionSeconds": 1}
MODES: dict[str, dict[str, Any]] = {
    "batch": {"windowSize": 3, "windowIntervalSeconds": 0.5, "activeWindowCount": 10},
    "rate": {"ratePerMinute": 240, "rateBurst": 2, **BRIEF},
    "cap": {"maxActive": 2, **BRIEF},
    "rate-and-cap": {"ratePerMinute": 480, "rateBurst": 2, "maxActive": 2, **BRIEF},
    "batch-and-cap": {"batches": True, "windowSize": 2, "windowIntervalSeconds": 0.4, "maxActive": 3, **BRIEF},
    "pass-over": {"maxActive": 2, "passOver": True, "passOverSeconds": 60, "graceSeconds": 30, **BRIEF},
    "passthrough": {"method": "passthrough", **BRIEF},
}
CROWD = 4
"""Visitors who are in each room at a time: more than its limits let in."""
LOOK = """
local time = redis.call('TIME')
local rows = { tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) }
for _, room in ipairs(ARGV) do
  local prefix = 'stanchion:{room:' .. room .. '}:'
  local state = redis.call('HMGET', prefix .. 'state', 'epoch', 'last', 'edge', 'admitted', 'heal_until_ms', 'gaps')
  local row = { redis.call('ZCARD', prefix .. 'turns'), redis.call('ZCARD', prefix .. 'sessions'),
    redis.call('ZCARD', prefix .. 'front') }
  for i = 1, 5 do row[#row + 1] = tonumber(state[i] or -1) end
  row[#row + 1] = state[6] or ''
  rows[#rows + 1] = row
end
return rows
"""
RANK = {"waiting": 0, "passed": 0, "paused": 0, "active": 1, "entered": 2, "expired": 3, "ended": 3}
LOOK_EVERY_S = 0.01
LOOKS_LOST_MS = 200
"""Looks further apart than this say nothing of what lay between them."""


class Seen(NamedTuple):
    """One room at one moment, by the store's own clock."""

    now_ms: int
    turns: int
    sessions: int
    front: int
    epoch: int
    last: int
    edge: int
    admitted: int
    heal_until_ms: int
    gaps: str

    @property
    def active(self) -> int:
        return self.turns + self.sessions

    @property
    def healing(self) -> bool:
        return self.heal_until_ms > 0

    @property
    def waiting(self) -> int:
        left_out = 0
        for gap in filter(None, self.gaps.split(",")):
            after, to = map(int, gap.split(":"))
            left_out += max(0, min(to, self.last) - max(after, self.edge))
        return self.front + max(0, self.last - self.edge - left_out)


@dataclass
class Ledger:
    """What one room looked like, and what its visitors were told."""

    seen: list[Seen] = field(default_factory=list)
    given: list[tuple[int, int]] = field(default_factory=list)
    """`(epoch, position)` of every place given out."""
    stories: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)


class Site:
    """The rooms, their replicas, and everybody in them."""

    def __init__(self, server: RealServer, replicas: list[Replica]) -> None:
        self.server = server
        self.replicas = replicas
        self.ledgers = {mode: Ledger() for mode in MODES}
        self.over = threading.Event()

    async def make(self, client: httpx.AsyncClient) -> None:
        """Make the rooms, and wait until every replica serves them."""
        for mode, settings in MODES.items():
            await make_room(client, self.replicas, mode, settings)

    async def run(self, fault: Callable[[], Any], visits_after: int, within_s: float) -> None:
        """Let the crowds come and go, let the fault happen, and go on until every room has let more visitors in."""
        watching = threading.Thread(target=self._watch)
        watching.start()
        limits = httpx.Limits(max_connections=60)
        async with httpx.AsyncClient(timeout=3, limits=limits) as client:
            crowd = [
                asyncio.create_task(self._come_again(client, mode, number)) for mode in MODES for number in range(CROWD)
            ]
            try:
                await eventually(lambda: self._all_let_in(3, Counter(), crowd), within_s=within_s)
                await asyncio.to_thread(fault)
                before = self._let_in()
                await eventually(lambda: self._all_let_in(visits_after, before, crowd), within_s=within_s)
            finally:
                self.over.set()
                for task in crowd:
                    task.cancel()
                await asyncio.gather(*crowd, return_exceptions=True)
                await asyncio.to_thread(watching.join)

    def _let_in(self) -> Counter[str]:
        return Counter({mode: ledger.stories["was inside"] for mode, ledger in self.ledgers.items()})

    def _all_let_in(self, count: int, before: Counter[str], crowd: list["asyncio.Task[None]"]) -> bool:
        for task in crowd:
            if task.done():
                task.result()  # a visitor was told something that may not be
        short = {mode: now - before[mode] for mode, now in self._let_in().items() if now < before[mode] + count}
        assert not short, f"too few were let in: {short}"
        return True

    def _watch(self) -> None:
        modes = list(MODES)
        while not self.over.wait(LOOK_EVERY_S):
            try:
                with self.server.client() as client:
                    while not self.over.wait(LOOK_EVERY_S):
                        now_ms, *rows = client.eval(LOOK, 0, *modes)
                        for mode, row in zip(modes, rows, strict=True):
                            self.ledgers[mode].seen.append(Seen(now_ms, *row))
            except redis.RedisError:
                pass  # away; the looks go on when it is back

    async def _come_again(self, client: httpx.AsyncClient, mode: str, number: int) -> None:
        dice = random.Random(f"{mode} {number}")
        while True:
            story = await Visitor(self, client, mode, dice).visit()
            self.ledgers[mode].stories[story] += 1


async def make_room(
    client: httpx.AsyncClient, replicas: list[Replica], room: str, settings: dict[str, Any], within_s: float = 10.0
) -> None:
    """Make a room, and wait until every replica serves it, each within so many seconds."""

    async def served(replica: Replica) -> bool:
        return (await client.get(f"{replica.url}/rooms/{room}/serving")).status_code == 200

    async def made() -> bool:
        answer = await client.post(
            f"{replicas[0].url}/admin/api/rooms", json={"room": room, "settings": settings}, headers=ADMIN
        )
        if answer.status_code == 503:  # whether it was made is not known: to be asked again
            return False
        assert answer.status_code in (201, 409), answer.text
        return answer.status_code == 201 or await served(replicas[0])

    await eventually(made, within_s=20, every_s=0.2)
    for replica in replicas:
        await eventually(partial(served, replica), within_s=within_s)


class Visitor:
    """One visit, each step at whatever replica comes along; a refusal or a lost connection is tried again."""

    def __init__(self, site: Site, client: httpx.AsyncClient, mode: str, dice: random.Random) -> None:
        self._site = site
        self._ledger = site.ledgers[mode]
        self._client = client
        self._mode = mode
        self._dice = dice
        self._bearer: dict[str, str] = {}
        self._highest_rank: dict[str, int] = {}

    async def visit(self) -> str:
        place = (await self._ask("POST", "join")).json()
        self._bearer = {"Authorization": f"Bearer {place['token']}"}
        self._ledger.given.append((place["epoch"], place["position"]))
        if self._mode == "pass-over" and self._dice.random() < 0.4:
            await self._be_silent(place["position"])
        status = await self._turn(place["position"])
        if status != "active":
            return status
        if self._dice.random() < 0.1:
            return "let the turn pass"
        entered = await self._ask("POST", "enter")
        if entered.status_code == 410:
            return "came too late"
        assert entered.status_code == 200, f"{self._mode}: told `active`, then {entered.text}"
        await asyncio.sleep(0.1 + self._dice.random() * 0.2)
        if self._dice.random() < 0.7:
            assert (await self._ask("POST", "leave")).status_code == 204
        return "was inside"

    async def _turn(self, position: int) -> str:
        """Ask until the turn has come or is over; whoever is told one thing is never told an earlier one after it."""
        while True:
            answer = await self._ask("GET", "status")
            told = answer.json()
            assert told["position"] == position
            rank = RANK[told["status"]]
            replica = answer.url.netloc.decode()
            assert rank >= self._highest_rank.get(replica, 0), f"{self._mode}: {position} moved back to {told}"
            self._highest_rank[replica] = rank
            self._ledger.told[told["status"]] += 1
            if rank > 0:
                return str(told["status"])
            await asyncio.sleep(0.1)

    async def _be_silent(self, position: int) -> None:
        """Say nothing for a while, and make it look long since this visitor asked."""
        for _ in range(10):
            try:
                with self._site.server.client() as direct:
                    direct.zadd(f"stanchion:{{room:{self._mode}}}:seen", {str(position): 1}, xx=True)
            except redis.RedisError:
                pass  # away
            await asyncio.sleep(0.15)

    async def _ask(self, method: str, verb: str) -> httpx.Response:
        while not self._site.over.is_set():
            replica = self._dice.choice(self._site.replicas)
            try:
                answer = await self._client.request(
                    method, f"{replica.url}/rooms/{self._mode}/{verb}", headers=self._bearer
                )
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code != 503:
                assert answer.status_code in (200, 204, 410), f"{self._mode} {verb}: {answer.text}"
                return answer
            assert "retry-after" in answer.headers
            await asyncio.sleep(0.1)
        raise asyncio.CancelledError  # a lost connection may have swallowed it


def given_twice(ledger: Ledger) -> list[tuple[int, int]]:
    """Places that more than one visitor was given."""
    return sorted(place for place, count in Counter(ledger.given).items() if count > 1)


def over_the_cap(ledger: Ledger, cap: int) -> list[Seen]:
    """Moments at which more than `cap` were inside or on turn."""
    return [look for look in ledger.seen if look.active > cap]


def admitted_over_the_cap(ledger: Ledger, cap: int) -> list[tuple[Seen, Seen]]:
    """Moments at which the room, over its cap already, grew fuller still while it was not being rebuilt."""
    return [
        (before, after)
        for before, after in pairwise(ledger.seen)
        if before.active > cap and not before.healing and not after.healing and after.active > before.active
    ]


def faster_than(ledger: Ledger, rate_per_minute: float, burst: int) -> tuple[int, int] | None:
    """A moment by which more visitors' turns had come than the rate allows, and how many too many; None if there is none."""
    places = sorted({position for _, position in ledger.given})
    start_ms, edge, least_used = ledger.seen[0].now_ms, 0, math.inf  # what came before the first look is not judged
    for look in ledger.seen:
        edge = max(edge, look.edge)
        # How far the turns given are ahead of an even pace; where they were least ahead, the burst began to fill.
        ahead = bisect.bisect_right(places, edge) - rate_per_minute * (look.now_ms - start_ms) / 60_000
        if ahead - least_used > burst + rate_per_minute / 60_000:  # clocks in whole milliseconds
            return look.now_ms, math.ceil(ahead - least_used - burst)
        least_used = min(least_used, ahead)
    return None


def longest_free_ms(ledger: Ledger, cap: int) -> int:
    """The longest time that a slot was free while somebody waited, nothing was being rebuilt, and the store was there."""
    longest, since = 0, None
    before_ms = 0
    for look in ledger.seen:
        if look.now_ms - before_ms > LOOKS_LOST_MS:
            since = None
        before_ms = look.now_ms
        if look.epoch > 0 and not look.healing and look.active < cap and look.waiting > 0:
            since = since or look.now_ms
            longest = max(longest, look.now_ms - since)
        else:
            since = None
    return longest
