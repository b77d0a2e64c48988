"""An eye on a queue while everything is killed: what it looked like, again and again, and what must hold of that."""

import threading
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import redis

from tests.support.servers import RealServer

LOOK_EVERY_S = 0.02
LOOK = """
local time, base = redis.call('TIME'), 'stanchion:{tasks:' .. ARGV[1] .. '}:'
local counters = redis.call('HMGET', base .. 'meta', 'enqueued', 'fence', 'deleted', 'expiries')
local places = 0
for _, place in ipairs({ 'delayed', 'leased', 'done', 'dead' }) do places = places + redis.call('ZCARD', base .. place) end
local first_low = ''
for priority = 0, 2 do
  for i, type in ipairs(redis.call('ZRANGE', base .. 'heads:' .. priority, 0, -1)) do
    local ready = base .. 'ready:' .. priority .. ':' .. type
    places = places + redis.call('ZCARD', ready)
    if priority == 2 and i == 1 then
      local id = redis.call('ZRANGE', ready, 0, 0)[1]
      local before = redis.call('HMGET', base .. 't:' .. id, 'last_token', 'expiries')
      first_low = id .. ' ' .. (before[1] or '') .. ' ' .. (before[2] or '')
    end
  end
end
local claims = 0
for _, turns in ipairs(redis.call('HVALS', base .. 'turns')) do claims = claims + tonumber(turns) end
return { tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), tonumber(counters[1] or 0),
  tonumber(counters[2] or 0), tonumber(counters[3] or 0), places, claims, tonumber(counters[4] or 0), first_low,
  tonumber(redis.call('ZRANGE', base .. 'delayed', 0, 0, 'WITHSCORES')[2] or 0),
  tonumber(redis.call('ZRANGE', base .. 'leased', 0, 0, 'WITHSCORES')[2] or 0) }
"""


class Look(NamedTuple):
    """The queue at one moment, by the store's own clock."""

    now_ms: int
    enqueued: int
    fence: int
    deleted: int
    places: int
    """Ids in all places: delayed, ready, leased, done and dead."""
    claims: int
    expiries: int
    """Leases that ran out: their tasks went back to the front of their lines."""
    first_low: str
    """The low task that is the first of its line: its id, the last token it was given back with, its leases that ran out.

    Given back or taken back, it is the first again, but it had its turn.
    """
    first_due_ms: int
    """When the first of the delayed tasks is due; 0 when there is none."""
    first_lease_end_ms: int


class TaskWatch:
    """Looks at the queue until it is told to stop; every start of the store begins another stretch of looks."""

    def __init__(self, server: RealServer, queue: str = "default") -> None:
        self.stretches: list[list[Look]] = []
        self._server = server
        self._queue = queue
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "TaskWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            try:
                with self._server.client() as client:
                    looks: list[Look] = []
                    self.stretches.append(looks)
                    while not self._over.wait(LOOK_EVERY_S):
                        looks.append(Look(*client.eval(LOOK, 0, self._queue)))
            except redis.RedisError:
                pass  # killed; the next stretch begins when it is back


def unbalanced(stretches: Iterable[Sequence[Look]]) -> list[Look]:
    """Moments at which a task was in no place, or in two."""
    return [look for looks in stretches for look in looks if look.enqueued - look.deleted != look.places]


def fence_fell(stretches: Iterable[Sequence[Look]]) -> list[tuple[Look, Look]]:
    """Moments at which the fence was lower than before, over the store's restarts too."""
    looks = [look for stretch in stretches for look in stretch]
    return [(before, after) for before, after in pairwise(looks) if after.fence < before.fence]


def starved(stretches: Iterable[Sequence[Look]], within_claims: int) -> dict[str, tuple[int, int]]:
    """Low tasks that were passed over, with how many tasks were handed out while they were first, and leases ran out.

    The turn of low, which comes within `within_claims`, is the first one's, unless a low task went back to the front
    and was handed out again between two looks: for each lease that ran out, or when one was given back.
    """
    found: dict[str, tuple[int, int]] = {}
    first: Look | None = None
    for look in (look for stretch in stretches for look in stretch):
        if first is None or look.first_low != first.first_low or look.claims < first.claims:
            first = look
            continue
        claims, expiries = look.claims - first.claims, look.expiries - first.expiries
        if look.first_low and claims >= within_claims * (2 + expiries):
            found[look.first_low] = (claims, expiries)
    return found


def latest_ms(stretches: Iterable[Sequence[Look]], what: str) -> int:
    """For how long something stayed undone after its time (`first_due_ms`, `first_lease_end_ms`) while the store was up."""
    worst = 0
    for looks in stretches:
        for look in looks:
            due_ms = getattr(look, what)
            if due_ms:
                worst = max(worst, look.now_ms - max(due_ms, looks[0].now_ms))
    return worst


def started_early(starts: Iterable[tuple[str, int, int]], due_ms: dict[str, int]) -> list[str]:
    """Tasks whose handler ran before their time: `starts` are id, token and ms."""
    return sorted({task_id for task_id, _, at_ms in starts if at_ms < due_ms[task_id]})


def tokens_that_did_not_rise(starts: Iterable[tuple[str, int, int]], lease_ms: int) -> list[str]:
    """Tasks whose handler got a token that one had before, or a lower one within its lease.

    A worker that was held up may begin after its lease, when somebody else has the task already. A token is never behind
    the store's clock in microseconds, so it tells when its lease began.
    """
    seen: dict[str, set[int]] = {}
    fallen = []
    for task_id, token, at_ms in starts:
        before = seen.setdefault(task_id, set())
        in_time = at_ms < token // 1000 + lease_ms
        if token in before or (in_time and token < max(before, default=0)):
            fallen.append(task_id)
        before.add(token)
    return fallen


def left_behind(client: Any, queue: str) -> list[str]:
    """Keys of a queue in which nothing is left to do that speak of work all the same."""
    base = f"stanchion:{{tasks:{queue}}}:"
    work = ("ready:", "heads:", "delayed", "leased", "armed", "logger")
    # `armed` and `logger` end by themselves.
    return sorted(
        key
        for key in client.scan_iter(match=base + "*", count=1000)
        if key.removeprefix(base).startswith(work) and client.ttl(key) == -1
    )
