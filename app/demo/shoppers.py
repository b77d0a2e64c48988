"""Other people in the box office: a few programs that go the whole way of a visitor, over HTTP, again and again.

They meet the gate as programs do: 429 with the addresses of the line, a ticket, the turn, a pass in a header. Inside
they look at seats, and now and then buy one, so that a person who comes by is not alone.
"""

import asyncio
import re
from random import Random
from typing import Any

import httpx

from app.logs import get_logger

log = get_logger(__name__)

BUYS = 0.4
"""How many of them pay for the seat they looked at."""
LOOK_S = (6.0, 20.0)
HOME_S = (1.0, 8.0)
AGAIN_S = 2.0
_ORDER = re.compile(r'name="order" value="([^"]+)"')
_FREE = re.compile(r'value="([A-F]\d+)" data-state="free"')


class Shopper:
    """One of them."""

    def __init__(self, site_url: str, random: Random, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._site_url = site_url
        self._random = random
        self._transport = transport
        self.visits = 0
        self.tickets = 0

    async def keep_coming(self) -> None:
        """Visit after visit; what goes wrong is tried again."""
        while True:
            try:
                await self.visit()
            except (httpx.HTTPError, KeyError, ValueError) as error:
                log.info("shopper_gave_up", error=repr(error))
            await asyncio.sleep(self._random.uniform(*HOME_S))

    async def visit(self, look_s: tuple[float, float] = LOOK_S) -> None:
        """Come, wait if need be, look at a seat, perhaps buy it, leave."""
        async with httpx.AsyncClient(
            base_url=self._site_url, transport=self._transport, timeout=10, trust_env=False
        ) as client:
            await self._come_in(client)
            await client.get("/")
            if await self._pick(client):
                await asyncio.sleep(self._random.uniform(*look_s))
                if self._random.random() < BUYS:
                    await self._buy(client)
            await client.post("/leave")
            self.visits += 1

    async def _come_in(self, client: httpx.AsyncClient) -> None:
        """Stand in line until the gate lets through."""
        while True:
            answer = await client.get("/")
            if answer.status_code != 429:
                answer.raise_for_status()
                return
            where: dict[str, str] = answer.json()
            ticket = await self._until_turn(client, where)
            if ticket is None:
                continue
            entered = await client.post(where["enterUrl"], headers=_bearer(ticket))
            if entered.is_success:
                client.headers["x-waiting-room-pass"] = str(entered.json()["pass"])

    async def _until_turn(self, client: httpx.AsyncClient, where: dict[str, str]) -> str | None:
        joined = await client.post(where["joinUrl"])
        if not joined.is_success:
            await asyncio.sleep(float(joined.headers.get("retry-after", AGAIN_S)))
            return None
        place: dict[str, Any] = joined.json()
        ticket = str(place["token"])
        while place["status"] in ("waiting", "paused"):
            await asyncio.sleep(float(place["pollAfterSeconds"]))
            answer = await client.get(where["statusUrl"], headers=_bearer(ticket))
            if answer.is_success:
                place = answer.json()
                ticket = str(place.get("token") or ticket)
            elif answer.status_code == 401:  # the ticket holds no more: another one
                return None
        return ticket if place["status"] in ("active", "entered") else None

    async def _pick(self, client: httpx.AsyncClient) -> bool:
        free = _FREE.findall((await client.get("/seats")).text)
        for _ in range(min(3, len(free))):
            picked = await client.post("/seats", data={"seat": self._random.choice(free)})
            if picked.status_code == 303:
                return True
        return False

    async def _buy(self, client: httpx.AsyncClient) -> None:
        found = _ORDER.search((await client.get("/checkout")).text)
        if found is None:
            return
        card = self._random.choices(("good", "slow", "empty"), (6, 2, 1))[0]
        ordered = await client.post("/pay", data={"order": found[1], "card": card})
        while ordered.status_code == 303:
            await asyncio.sleep(0.5)
            order = await client.get(ordered.headers["location"] + ".json")
            if not order.is_success or order.json()["state"] != "paying":
                self.tickets += order.is_success and order.json()["state"] == "paid"
                return


async def send_shoppers(site_url: str, count: int, seed: int) -> None:
    """Keep `count` of them coming until cancelled."""
    random = Random(seed)
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(Shopper(site_url, Random(random.random())).keep_coming())
            await asyncio.sleep(random.uniform(*HOME_S) / count)


def _bearer(ticket: str) -> dict[str, str]:
    return {"authorization": f"Bearer {ticket}"}
