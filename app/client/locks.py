"""A client of the ID locks for Python programs: hold a lock as a block, renewed by itself.

    async with LockClient("http://localhost:3000") as locks:
        async with locks.lock("invoice-17", wait_s=30) as held:
            await store.write(invoice, fence=held.fence)

The block is cancelled before the lease can end without a renewal, and `LockLostError` is raised. A program
that must not rely on being cancelled in time (nothing can stop a frozen machine) hands `held.fence` to
whatever it changes, and lets that refuse a fence lower than the highest it has seen.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

RENEWALS_PER_LEASE = 3
RETRY_S = 0.2
CONFIRM_MS = 1000
ANSWER_LIMIT_S = 10.0
"""How long an answer may take beyond the wait asked for."""


class LockError(Exception):
    """A lock could not be had, kept or looked at; `status` is the HTTP status, 0 without an answer."""

    def __init__(self, message: str, status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class LockHeldError(LockError):
    """Somebody else holds it (423), and there was no wish to wait."""


class LockTimeoutError(LockError):
    """It did not become free within the wait (504)."""


class LockLostError(LockError):
    """It was held, and is not any more: the lease ended, or could not be renewed in time."""


@dataclass(frozen=True)
class HeldLock:
    """A lock in hand."""

    id: str
    token: str
    fence: int
    """Higher than that of every holder before."""
    lease_ms: int
    safe_until_s: float
    """When to stop unless it is renewed before, on the event loop's clock."""


class LockClient:
    """Locks of one service. Open it with `async with`, or call `aclose` at the end."""

    def __init__(self, base_url: str, token: str | None = None, *, transport: httpx.AsyncBaseTransport | None = None):
        self._base_url = base_url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.AsyncClient(headers=headers, transport=transport, trust_env=False)

    async def __aenter__(self) -> "LockClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def lock(
        self, lock_id: str, *, lease_s: float = 10.0, wait_s: float = 0.0, limit: int = 1, owner: str = ""
    ) -> AsyncIterator[HeldLock]:
        """Hold a lock for the length of the block.

        With `wait_s` it stands in line; `limit` above 1 makes it a semaphore.

        Raises:
            LockHeldError, LockTimeoutError: it could not be had.
            LockLostError: it was lost; the block has been cancelled.
            LockError: anything else that the service refused.
        """
        held = await self.acquire(lock_id, lease_s=lease_s, wait_s=wait_s, limit=limit, owner=owner)
        try:
            async with asyncio.timeout_at(held.safe_until_s) as until:
                renewing = asyncio.create_task(self._keep_renewing(held, until), name=f"renew {lock_id}")
                try:
                    yield held
                finally:
                    renewing.cancel()
                    await asyncio.gather(renewing, return_exceptions=True)
        except TimeoutError:
            if not until.expired():
                raise
            raise LockLostError(f"The lock {lock_id!r} was lost while it was in use.") from None
        finally:
            await asyncio.shield(asyncio.ensure_future(self._release_quietly(held)))

    async def acquire(
        self, lock_id: str, *, lease_s: float = 10.0, wait_s: float = 0.0, limit: int = 1, owner: str = ""
    ) -> HeldLock:
        """Take a lock without a block: renew and release it yourself.

        Raises:
            LockHeldError, LockTimeoutError, LockError: it could not be had.
        """
        lease_ms = int(lease_s * 1000)
        wanted = {"leaseMs": min(lease_ms, CONFIRM_MS), "waitMs": int(wait_s * 1000), "limit": limit, "owner": owner}
        asked_s = asyncio.get_running_loop().time()
        answer = await self._ask("POST", lock_id, json=wanted, limit_s=wait_s + ANSWER_LIMIT_S)
        # The lease began when the lock was granted, which a wait puts off: what the service says it waited
        # is time in which it had not begun.
        held = _held(answer, asked_s + answer["waitedMs"] / 1000)
        # Taken for a second and renewed at once: if this program is cancelled or dies in the moment of the
        # grant, the lock is free again a second later.
        return held if lease_ms <= CONFIRM_MS else await self.renew(replace(held, lease_ms=lease_ms))

    async def renew(self, held: HeldLock, *, limit_s: float = ANSWER_LIMIT_S) -> HeldLock:
        """Let the lease run from now.

        Raises:
            LockLostError: it is not held any more.
            LockError: the service did not answer; it may be asked again.
        """
        asked_s = asyncio.get_running_loop().time()
        body = {"leaseMs": held.lease_ms}
        answer = await self._ask("PUT", held.id, json=body, token=held.token, limit_s=limit_s)
        return _held(answer, asked_s)

    async def release(self, held: HeldLock) -> None:
        """Give it up. Harmless to repeat.

        Raises:
            LockLostError: it was not held any more.
        """
        await self._ask("DELETE", held.id, token=held.token)

    async def look(self, lock_id: str) -> dict[str, Any]:
        """Who holds it, for how long still, and how many wait."""
        state: dict[str, Any] = await self._ask("GET", lock_id)
        return state

    async def _keep_renewing(self, held: HeldLock, until: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        pause_s = held.lease_ms / RENEWALS_PER_LEASE / 1000
        await asyncio.sleep(pause_s)
        while True:
            try:
                renewed = await self.renew(held, limit_s=max(pause_s, RETRY_S))
            except LockLostError:
                until.reschedule(loop.time())
                return
            except LockError:
                await asyncio.sleep(min(RETRY_S, pause_s))  # until the time is up
                continue
            until.reschedule(renewed.safe_until_s)
            await asyncio.sleep(pause_s)

    async def _release_quietly(self, held: HeldLock) -> None:
        for _ in range(3):
            try:
                await self.release(held)
                return
            except LockLostError:
                return
            except LockError:
                await asyncio.sleep(RETRY_S)  # its lease frees it at the latest

    async def _ask(
        self, method: str, lock_id: str, *, json: Any = None, token: str = "", limit_s: float = ANSWER_LIMIT_S
    ) -> Any:
        # A dot is encoded too, or the ids . and .. would be taken for steps in the path.
        url = f"{self._base_url}/locks/{quote(lock_id, safe='').replace('.', '%2E')}"
        headers = {"X-Lock-Token": token} if token else {}
        try:
            answer = await self._client.request(method, url, json=json, headers=headers, timeout=limit_s)
        except httpx.TransportError as error:
            raise LockError(f"The service did not answer: {error!r}") from error
        if answer.is_success:
            return answer.json() if answer.content else None
        raise _refused(answer)


def _held(answer: dict[str, Any], began_s: float) -> HeldLock:
    lease_s = answer["leaseMs"] / 1000
    margin_s = min(max(lease_s / 20, 0.05), lease_s / 4)
    return HeldLock(answer["id"], answer["token"], answer["fence"], answer["leaseMs"], began_s + lease_s - margin_s)


def _refused(answer: httpx.Response) -> LockError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    kind = str(problem.get("type", "")).rpartition(":")[2]
    message = str(problem.get("detail") or f"The service answered {answer.status_code}.")
    after = answer.headers.get("retry-after", "")
    known = {"locked": LockHeldError, "wait-ran-out": LockTimeoutError, "lock-lost": LockLostError}
    error = known.get(kind, LockError)
    return error(message, answer.status_code, float(after) if after.isdigit() else None)
