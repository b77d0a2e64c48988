"""A client of the task routes: what a worker, a producer and the command line need.

It raises `LeaseLost` when a task is no longer the caller's, `StoreUnavailable` when the service cannot be
reached or cannot do it now, and `Refused` for every other refusal.
"""

from types import TracebackType
from typing import Any, Self

import httpx

from app.errors import LeaseLost, StanchionError, StoreUnavailable

REQUEST_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 16
"""httpx looks through its whole pool at every request: a hundred connections cost more than they bring."""


class Refused(StanchionError):
    """The service refused, and says why."""

    kind = "refused"
    title = "Refused"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class TaskClient:
    """Speaks to one service. Use it as an async context, or close it."""

    def __init__(
        self, url: str, token: str | None = None, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=REQUEST_TIMEOUT_S,
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: dict[str, str | int | float] | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Any:
        """One request; its JSON answer, or None for an empty one.

        Raises:
            LeaseLost, StoreUnavailable, Refused: see above.
        """
        try:
            answer = await self._http.request(method, path, json=body, params=params, timeout=timeout_s)
        except httpx.HTTPError as error:
            raise StoreUnavailable(
                f"{self.url} cannot be reached ({type(error).__name__}: {error}); is `stanchion serve` running there?"
            ) from None
        if answer.is_success:
            try:
                return answer.json() if answer.content else None
            except ValueError:
                raise Refused(f"{answer.request.url} did not answer in JSON; is this Stanchion?", 0) from None
        detail, kind = _explanation(answer)
        if kind.endswith(":lease-lost"):
            raise LeaseLost(detail)
        if answer.status_code in (502, 503, 504):
            raise StoreUnavailable(detail)
        raise Refused(detail, answer.status_code)

    async def enqueue(self, queue: str, tasks: list[dict[str, Any]]) -> list[str]:
        """Put tasks in; returns their ids."""
        answer = await self.call("POST", "/tasks", {"tasks": tasks}, params={"queue": queue})
        return [task["taskId"] for task in answer["tasks"]]

    async def dequeue(
        self, queue: str, types: tuple[str, ...], count: int, wait_s: float, worker: str
    ) -> list[dict[str, Any]]:
        """Lease up to `count` tasks, waiting up to `wait_s` for the first."""
        params: dict[str, str | int | float] = {"queue": queue, "count": count, "wait": wait_s, "worker": worker}
        if types:
            params["types"] = ",".join(types)
        answer = await self.call("GET", "/dequeue", params=params, timeout_s=wait_s + REQUEST_TIMEOUT_S)
        return [] if answer is None else list(answer["tasks"])

    async def complete(self, task_id: str, token: str, result: Any) -> None:
        """Report a task as done. Safe to repeat."""
        await self.call("POST", f"/complete/{task_id}", {"leaseToken": token, "result": result})

    async def complete_many(self, done: list[tuple[str, str, Any]]) -> list[str | None]:
        """Report tasks (id, token, result) as done; for each what is wrong, or None. Safe to repeat."""
        tasks = [{"id": task_id, "leaseToken": token, "result": result} for task_id, token, result in done]
        answer = await self.call("POST", "/complete", {"tasks": tasks})
        return [task.get("problem") for task in answer["tasks"]]

    async def fail(
        self, task_id: str, token: str, error: str, *, retry: bool = True, retry_after_s: float | None = None
    ) -> str:
        """Report a failure; returns `pending` or `failed`. Safe to repeat."""
        body = {"leaseToken": token, "error": error, "retry": retry, "retryAfterSeconds": retry_after_s}
        return str((await self.call("POST", f"/fail/{task_id}", body))["status"])

    async def heartbeat(self, task_id: str, token: str) -> None:
        """Keep a task's lease."""
        await self.call("POST", f"/heartbeat/{task_id}", {"leaseToken": token})

    async def release(self, task_id: str, token: str) -> None:
        """Give a task back, uncounted."""
        await self.call("POST", f"/release/{task_id}", {"leaseToken": token})

    async def stats(self, queue: str) -> dict[str, Any]:
        """A queue in numbers."""
        answer: dict[str, Any] = await self.call("GET", "/stats", params={"queue": queue})
        return answer


def _explanation(answer: httpx.Response) -> tuple[str, str]:
    """The sentence and the kind of a refusal, whoever on the way wrote it."""
    try:
        content = answer.json()
        return str(content["detail"]), str(content["type"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.request.url} answered {answer.status_code}.", ""
