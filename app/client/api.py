"""A plain client of the HTTP API for the command line: JSON in, JSON out, problems as errors."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import httpx

from app.errors import JoinsHeld, StanchionError

HELD_FOR_S = 10.0
"""How long a command waits for a room that is being checked."""


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
        """
        Raises:
            ApiError: the address or the token cannot be used.
        """
        self.url = url.rstrip("/")
        if token is not None and not (token.isascii() and token.isprintable()):
            raise ApiError(
                "the operator's token holds characters that cannot be sent; set ADMIN_TOKEN to the right one"
            )
        headers = {"authorization": f"Bearer {token}"} if token else {}
        try:
            self._client = httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s)
        except httpx.InvalidURL as error:
            raise ApiError(f"STANCHION_URL: {self.url} cannot be used: {error}") from None

    def __enter__(self) -> "Api":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def call(self, method: str, path: str, json: Any = None, params: Mapping[str, str | int] | None = None) -> Any:
        """Send one request and return the decoded answer (None when it has no body).

        While a room is being checked, as for a moment after its first start or a loss, nothing is done to it; then the
        request is sent again.

        Raises:
            ApiError: the service cannot be reached, answered with a problem, or is another one.
        """
        give_up_s = time.monotonic() + HELD_FOR_S
        try:
            response = self._client.request(method, path, json=json, params=params)
            while _is_held(response) and time.monotonic() < give_up_s:
                time.sleep(min(2.0, float(response.headers.get("retry-after", 1))))
                response = self._client.request(method, path, json=json, params=params)
        except httpx.HTTPError as error:
            raise ApiError(
                f"cannot reach {self.url}: {error}; is it running? Set STANCHION_URL to where it is"
            ) from None
        if not response.is_success:
            raise ApiError(_explain(response), status=response.status_code)
        try:
            return response.json() if response.content else None
        except ValueError:
            raise ApiError(f"what answers at {self.url} is no Stanchion; set STANCHION_URL to where it is") from None


def _is_held(response: httpx.Response) -> bool:
    """Whether nothing was done, because the room is being checked."""
    try:
        return response.status_code == 503 and response.json()["type"] == f"urn:stanchion:problem:{JoinsHeld.kind}"
    except (ValueError, KeyError, TypeError):
        return False


def _explain(response: httpx.Response) -> str:
    try:
        problem = response.json()
        return f"{problem['title']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{response.request.url} answered {response.status_code}"
