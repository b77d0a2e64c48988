"""The requests that README and docs show succeed, one after the other as a reader sends them."""

import json
import re
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.shown import PAGES, ROOT, Request, commands_of, request_of
from tests.support.waiting import eventually

ADMIN = {"Authorization": "Bearer admin-token-for-tests"}
OPEN_END = ("/events",)
"""What has no end is tried elsewhere."""


def _requests(page: Path) -> list[Request]:
    found = [request_of(command) for command in commands_of(page) if command.program in ("http", "curl")]
    return [request for request in found if not request.target.endswith(OPEN_END)]


WITH_REQUESTS = {str(page.relative_to(ROOT)): _requests(page) for page in PAGES if _requests(page)}


class Reader:
    """Somebody who fills what they were told into the next request."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._told: dict[str, str] = {}
        self._numbers = count(1)

    async def send(self, request: Request) -> httpx.Response:
        if "dead-letters/{id}" in request.target:
            await self._let_one_die()
        headers = {name: self._filled(value) for name, value in request.headers.items()}
        body = json.loads(self._filled(json.dumps(request.body)))
        answer = await self._client.request(request.method, self._filled(request.target), headers=headers, json=body)
        content = answer.json() if answer.headers.get("content-type") == "application/json" else {}
        self._told |= {name: value for name, value in content.items() if isinstance(value, str)}
        return answer

    def _filled(self, text: str) -> str:
        """What stands for the answers of earlier requests on the pages, replaced by them."""
        told = self._told
        text = text.replace("$ADMIN_TOKEN", "admin-token-for-tests").replace("$OFFER_ID", told.get("offerId", ""))
        text = re.sub(r"\$TOKEN|\$TICKET|\{token\}|eyJ\w+…|\bTOKEN\b", told.get("token", ""), text)
        text = re.sub(r"\{id\}|task-1763780000000-\w+", told.get("taskId", ""), text)
        return text.replace("K7QM-2XHD-9TFA", told.get("code", ""))

    async def _let_one_die(self) -> None:
        kind = f"doomed-{next(self._numbers)}"
        task: Any = (await self._client.post("/task", json={"type": kind, "payload": {"to": "nobody"}})).json()
        (await self._client.get(f"/dequeue?types={kind}")).raise_for_status()
        dead = await self._client.post(f"/fail/{task['taskId']}", json={"error": "no", "retry": False})
        dead.raise_for_status()
        self._told["taskId"] = task["taskId"]


@pytest.mark.parametrize("page", WITH_REQUESTS)
async def test_the_requests_of_a_page_succeed_in_their_order(server: RealServer, page: str) -> None:
    settings = make_settings(redis_url=server.url, processing_time_ms=1, grab_seconds=0.01)
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        for room in ("sale", "concert"):  # what the pages have made with `stanchion rooms create`
            (
                await client.post("/admin/api/rooms", headers=ADMIN, json={"room": room, "settings": {}})
            ).raise_for_status()
        reader = Reader(client)
        await reader.send(Request("POST", "/rooms/sale/join", {}, None))
        for request in WITH_REQUESTS[page]:
            answer = await reader.send(request)
            assert answer.status_code < 300, f"{request} is answered {answer.status_code}: {answer.text}"
