"""A plain client of the HTTP API for the command line: JSON in, JSON out, problems as errors."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import httpx

from app.errors import StanchionError


class ApiError(StanchionError):
    """The service refused, or could not be reached; the message is what it said."""

    kind = "api"
    title = "Refused by the service"

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """One service address and token. Use as a context manager."""

    def __init__(self, url: str, token: str | None, *, timeout_s: float = 10.0) -> None:
        self.url = url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s)

    def __enter__(self) -> "Api":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def call(self, method: str, path: str, json: Any = None, params: Mapping[str, str | int] | None = None) -> Any:
        """Send one request and return the decoded answer (None when it has no body).

        Raises:
            ApiError: the service cannot be reached, or answered with a problem.
        """
        try:
            response = self._client.request(method, path, json=json, params=params)
        except httpx.HTTPError as error:
            raise ApiError(
                f"cannot reach {self.url}: {error}; is it running? Set STANCHION_URL to where it is"
            ) from None
        if response.is_success:
            return response.json() if response.content else None
        raise ApiError(_explain(response), status=response.status_code)


def _explain(response: httpx.Response) -> str:
    try:
        problem = response.json()
        return f"{problem['title']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{response.request.url} answered {response.status_code}"
