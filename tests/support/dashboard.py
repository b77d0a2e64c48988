"""Signing in to the dashboard as a browser does."""

import json
import re
from typing import Any

import httpx

TOKEN = "admin-token-for-tests"
OWN_PAGE = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-origin"}
OTHER_SITE = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


async def try_token(client: httpx.AsyncClient, token: str = TOKEN, **fields: str) -> httpx.Response:
    """Send the sign-in form."""
    return await client.post("/admin/sign-in", data={"token": token, **fields}, headers=OWN_PAGE)


async def sign_in(client: httpx.AsyncClient, **fields: str) -> dict[str, str]:
    """Sign in; the headers that the dashboard's pages then send with every request."""
    answer = await try_token(client, **fields)
    assert answer.status_code == 303, answer.text
    return OWN_PAGE | {"X-CSRF-Token": page_data(await client.get("/admin"))["csrf"]}


def page_data(page: httpx.Response) -> dict[str, Any]:
    """What a page's scripts begin with."""
    found = re.search(r'<script type="application/json" id="data">(.+?)</script>', page.text)
    assert found is not None, page.text
    data: dict[str, Any] = json.loads(found[1])
    return data
