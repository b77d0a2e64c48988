"""Health, documents and refusals of the running application."""

from collections.abc import AsyncIterator

import pytest

from app.settings import Settings
from tests.support.apps import running_app


async def test_health_and_documents_answer(settings: Settings) -> None:
    async with running_app(settings) as (client, _):
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/openapi.json")).json()["openapi"] == "3.1.0"
        docs = await client.get("/docs")
        assert docs.status_code == 200
        assert "script" not in docs.headers["content-security-policy"]
        assert b"stanchion_store_up" in (await client.get("/metrics")).content


@pytest.mark.parametrize(
    ("address", "framed_by"),
    [("/docs", "'none'"), ("/admin/sign-in", "'none'"), ("/", "'self'"), ("/rooms/nowhere", "'self'")],
)
async def test_no_page_lets_another_site_frame_it(settings: Settings, address: str, framed_by: str) -> None:
    async with running_app(settings) as (client, _):
        page = await client.get(address)
        rules = [rule.strip() for rule in page.headers["content-security-policy"].split(";")]
        assert f"frame-ancestors {framed_by}" in rules


async def test_what_there_is_not_is_a_problem_with_advice(settings: Settings) -> None:
    async with running_app(settings) as (client, _):
        missing = await client.get("/nothing-here")
        assert missing.status_code == 404
        assert missing.headers["content-type"] == "application/problem+json"
        assert "/docs" in missing.json()["detail"]
        wrong = await client.post("/livez")
        assert wrong.status_code == 405
        assert "GET" in wrong.headers["allow"]


async def test_a_request_id_is_kept_when_harmless_and_replaced_when_not(settings: Settings) -> None:
    async with running_app(settings) as (client, _):
        kept = await client.get("/livez", headers={"X-Request-Id": "order-17"})
        assert kept.headers["x-request-id"] == "order-17"
        replaced = await client.get("/livez", headers={"X-Request-Id": "a b\tc"})
        assert replaced.headers["x-request-id"] not in ("", "a b\tc")


async def test_draining_fails_readiness_but_not_liveness(settings: Settings) -> None:
    async with running_app(settings) as (client, services):
        services.draining = True
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200


async def test_a_body_beyond_the_limit_is_a_problem_whether_announced_or_not(settings: Settings) -> None:
    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b"x" * 1024 * 1024

    async with running_app(settings) as (client, _):
        json = {"content-type": "application/json"}
        for content in (b"x" * 17 * 1024 * 1024, in_pieces()):
            refused = await client.post("/task", content=content, headers=json)
            assert refused.status_code == 413
            assert refused.headers["content-type"] == "application/problem+json"
            assert "larger" in refused.json()["detail"]
