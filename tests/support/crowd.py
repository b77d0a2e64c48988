"""Visitors as a program sees them: joining through replicas and asking for their status."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx

from tests.support.replicas import Replica


async def join_many(client: httpx.AsyncClient, replicas: Sequence[Replica], count: int) -> list[dict[str, Any]]:
    """Join `count` visitors at once, spread over the replicas; those that are refused are left out."""
    answers = await asyncio.gather(
        *(client.post(f"{replicas[i % len(replicas)].url}/join") for i in range(count)), return_exceptions=True
    )
    return [answer.json() for answer in answers if isinstance(answer, httpx.Response) and answer.status_code == 200]


async def status_of(client: httpx.AsyncClient, replica: Replica, ticket: dict[str, Any]) -> dict[str, Any]:
    """What a replica tells a ticket."""
    answer = await client.get(f"{replica.url}/status", headers={"Authorization": f"Bearer {ticket['token']}"})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def given_twice(tickets: Sequence[dict[str, Any]]) -> list[int]:
    """Positions that more than one visitor of the same epoch has."""
    counts = Counter((ticket["epoch"], ticket["position"]) for ticket in tickets)
    return sorted(position for (_, position), count in counts.items() if count > 1)
