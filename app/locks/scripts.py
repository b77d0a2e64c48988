"""The locks' scripts as Python calls. The one place where their replies become results or errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import Conflict, LockHeld, LockLineFull, LockLost
from app.locks.model import LockView, Status, Wanted, parse_holder
from app.metrics import Metrics
from app.store import Call, Store, load_scripts
from app.store.keys import LOCK_WAKE_PREFIX, LOCKS_HELD, lock_done, lock_keys
from app.store.store import Purpose

CONFIRM_MS = 1000
"""How long a hand-over may stay unconfirmed before the next in line gets the lock."""
ALIVE_MS = 2500
"""How long a replica counts as alive after it last asked for its waiters."""
FENCE_KEEP_MS = 7 * 86_400_000
"""Fences rise with the clock anyway; their last value is kept for clocks that were set back."""
REMEMBER_MS = 60_000
"""How long a release is remembered for its repeat."""


@dataclass(frozen=True)
class Place:
    """What asking for a lock gave: the lock, or a place in line."""

    status: Status
    fence: int = 0
    granted_ms: int = 0
    arrival: int = 0
    next_end_ms: int = 0
    """Milliseconds until a holder's lease ends."""


@dataclass(frozen=True)
class Beat:
    """What a replica learns when it asks for its waiters."""

    next_end_ms: int
    granted: dict[str, int]
    unknown: tuple[str, ...]
    """Tokens that the store does not know (any more): they have to be put in line again."""


class LockScripts:
    """Everything that happens to locks in the store."""

    def __init__(self, store: Store, metrics: Metrics, replica: str, keep_ms: int, max_waiters: int) -> None:
        self._store = store
        self._metrics = metrics
        self._replica = replica
        self._max_waiters = max_waiters
        self._keep_ms = keep_ms
        self._scripts = load_scripts(Path(__file__).parent / "lua")
        self._common: dict[str, Any] = {
            "channel_prefix": LOCK_WAKE_PREFIX,
            "confirm_ms": CONFIRM_MS,
            "alive_ms": ALIVE_MS,
            "keep_ms": keep_ms,
            "fence_keep_ms": FENCE_KEEP_MS,
        }

    @property
    def channel(self) -> str:
        """Where this replica is told of the locks handed over to its waiters."""
        return LOCK_WAKE_PREFIX + self._replica

    async def acquire(self, wanted: Wanted, token: str, *, wait_ms: int, arrival: int = 0) -> Place:
        """Take the lock or a place in line; `arrival` restores a place that the store has lost.

        Raises:
            LockHeld, LockLineFull, Conflict: refused, nothing was left behind.
            LockLost: this token was given up before the store saw it.
        """
        status, first, second, _ = await self._run(
            "acquire",
            {**lock_keys(wanted.lock_id), "done": lock_done(wanted.lock_id, token)},
            token=token,
            replica=self._replica,
            lease_ms=wanted.lease_ms,
            wait_ms=wait_ms,
            limit=wanted.limit,
            arrival=arrival,
            max_waiters=self._max_waiters,
            owner=wanted.owner,
        )
        if status == Status.GRANTED:
            return Place(Status.GRANTED, fence=int(first), granted_ms=second)
        if status == Status.WAITING:
            return Place(Status.WAITING, arrival=int(first), next_end_ms=second)
        raise _refusal(Status(status), limit=int(first), next_end_ms=second)

    async def renew(self, lock_id: str, token: str, lease_ms: int) -> Place:
        """Let the lease run from now; for a hand-over, confirm it.

        Raises:
            LockLost: the token does not hold the lock.
        """
        status, fence, now, _ = await self._run("renew", lock_keys(lock_id), token=token, lease_ms=lease_ms)
        if status == Status.GRANTED:
            return Place(Status.GRANTED, fence=int(fence), granted_ms=now)
        raise _refusal(Status(status))

    async def release(self, lock_id: str, token: str, *, remember: bool) -> bool:
        """Give up the hold or the place in line; whether there was one. With `remember`, a repeat gets the same answer."""
        status, _ = await self._run(
            "release",
            {**lock_keys(lock_id), "done": lock_done(lock_id, token)},
            token=token,
            remember_ms=REMEMBER_MS if remember else 0,
        )
        return bool(status == Status.RELEASED)

    async def beat(self, lock_id: str, tokens: Sequence[str]) -> Beat:
        """Tell that this replica's waiters of a lock are alive, and ask what became of them."""
        _, next_end_ms, _, granted, unknown = await self._run(
            "beat", lock_keys(lock_id), expired_at=2, purpose="background", replica=self._replica, tokens=tokens
        )
        pairs = [item.decode() for item in granted]
        return Beat(
            next_end_ms,
            dict(zip(pairs[::2], map(int, pairs[1::2]), strict=True)),
            tuple(token.decode() for token in unknown),
        )

    async def look(self, lock_id: str) -> LockView:
        """How the lock stands."""
        return _view(lock_id, await self._store.run(self._scripts["look"], lock_keys(lock_id), {}))

    async def look_at_all(self, lock_ids: Sequence[str]) -> list[LockView]:
        """How several locks stand, in one round trip per node."""
        replies = await self._store.run_many(
            [Call(self._scripts["look"], lock_keys(lock_id), {}) for lock_id in lock_ids]
        )
        return [
            _view(lock_id, reply)
            for lock_id, reply in zip(lock_ids, replies, strict=True)
            if not isinstance(reply, Exception)
        ]

    async def index(self, entries: Sequence[str | int], *, count: int, purpose: Purpose) -> tuple[int, list[str]]:
        """Note held locks (pairs of milliseconds left and id); how many are noted, and the first `count` of them."""
        reply = await self._store.run(
            self._scripts["index"],
            {"held": LOCKS_HELD},
            {"keep_ms": self._keep_ms, "count": count, "entries": entries},
            purpose=purpose,
        )
        return reply[1], [item.decode() for item in reply[2:]]

    async def _run(
        self, name: str, keys: dict[str, str], *, expired_at: int = -1, purpose: Purpose = "request", **args: Any
    ) -> Any:
        reply = await self._store.run(self._scripts[name], keys, {**self._common, **args}, purpose=purpose)
        if reply[expired_at]:
            self._metrics.lock_expiries.inc(reply[expired_at])
        return reply


def _refusal(status: Status, *, limit: int = 1, next_end_ms: int = 0) -> Exception:
    """The error that a refusing reply stands for."""
    if status is Status.HELD:
        return LockHeld("The id is locked; try again when its lease may have ended.", retry_after_s=next_end_ms / 1000)
    if status is Status.LINE_FULL:
        return LockLineFull(
            "Too many wait for this id already; try again later.", retry_after_s=max(next_end_ms / 1000, 1.0)
        )
    if status is Status.OTHER_LIMIT:
        return Conflict(
            f"This id is in use with limit {limit}; ask for the same limit, or wait until it is free.", limit=limit
        )
    return LockLost("This token does not hold the lock: it was released, or its lease has ended.")


def _view(lock_id: str, reply: Sequence[Any]) -> LockView:
    _, limit, waiters, last_fence, now, held = reply
    return LockView(
        lock_id,
        limit,
        waiters,
        int(last_fence),
        now,
        tuple(
            parse_holder(held[i + 1].decode(), int(float(held[i])), now) for i in range(0, len(held), 2) if held[i + 1]
        ),
    )
