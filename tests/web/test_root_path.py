"""The service under a prefix of the site's host: everything leads to where it is, whether the proxy strips it or not."""

import re
from collections.abc import AsyncIterator
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from pydantic import ValidationError

from tests.conftest import make_settings
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.waiting import eventually

ROOT = "/_queue"
OWN_PAGE = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-origin"}
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}


class Reached:
    """The service as a visitor reaches it: behind a proxy that strips the prefix, or one that does not."""

    def __init__(self, client: httpx.AsyncClient, *, stripped: bool) -> None:
        self._client = client
        self._stripped = stripped

    async def ask(self, method: str, path: str, **more: object) -> httpx.Response:
        """The answer to what the visitor asks, with `path` as the visitor sees it."""
        assert path.startswith(ROOT), f"{path} leads out of the prefix"
        sent = path.removeprefix(ROOT) if self._stripped else path
        return await self._client.request(method, sent, **more)  # type: ignore[arg-type]

    async def follow(self, path: str, answer: httpx.Response) -> httpx.Response:
        """The answer behind a redirect, resolved as a browser does."""
        where = urlsplit(urljoin(f"http://localhost:3000{path}", answer.headers["location"]))
        assert where.netloc == "localhost:3000"
        return await self.ask(
            "GET", where.path + (f"?{where.query}" if where.query else ""), headers={"Accept": "text/html"}
        )


@pytest.fixture(params=["stripped", "kept"])
async def reached(request: pytest.FixtureRequest, server: RealServer) -> AsyncIterator[Reached]:
    settings = make_settings(redis_url=server.url, rooms="default,concert", root_path=ROOT, refresh_interval=0.02)
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        yield Reached(client, stripped=request.param == "stripped")


@pytest.mark.parametrize("path", ["/", "/rooms/concert", "/docs", "/admin/sign-in"])
async def test_every_address_in_a_page_leads_somewhere_under_the_prefix(reached: Reached, path: str) -> None:
    page = await reached.ask("GET", ROOT + path)
    assert page.status_code == 200
    links = set(re.findall(r'(?:href|src)="([^"#]+)"', page.text)) - {""}
    assert links
    for link in links:
        where = urlsplit(urljoin(f"http://localhost:3000{ROOT}{path}", link))
        if where.netloc == "localhost:3000":
            answer = await reached.ask("GET", where.path + (f"?{where.query}" if where.query else ""))
            assert answer.status_code < 400, link


@pytest.mark.parametrize("room", ["", "/rooms/concert"])
async def test_a_visitor_without_scripts_joins_and_comes_back_to_the_page(reached: Reached, room: str) -> None:
    path = f"{ROOT}{room}/join"
    joined = await reached.ask("POST", path, headers=OWN_PAGE | FORM)
    assert joined.status_code == 303
    assert "Path=/;" in joined.headers["set-cookie"], "gate and site share the host"
    assert (await reached.follow(path, joined)).status_code == 200


async def test_programs_use_every_hot_route_under_the_prefix(reached: Reached) -> None:
    ticket = (await reached.ask("POST", f"{ROOT}/rooms/concert/join")).json()
    bearer = {"Authorization": f"Bearer {ticket['token']}"}
    assert (await reached.ask("GET", f"{ROOT}/rooms/concert/status", headers=bearer)).json()["position"] == 1
    assert (await reached.ask("GET", f"{ROOT}/serving")).status_code == 200
    entered = await reached.ask("POST", f"{ROOT}/rooms/concert/enter", headers=bearer)
    assert entered.status_code == 200
    passed = {"X-Waiting-Room-Pass": entered.json()["pass"]}
    assert (await reached.ask("GET", f"{ROOT}/gate/concert", headers=passed)).status_code == 200


async def test_the_gate_leads_to_the_page_under_the_prefix(reached: Reached) -> None:
    for address in (f"{ROOT}/gate/concert", f"{ROOT}/gate/concert/for/checkout"):
        refused = await reached.ask("GET", address, headers={"Accept": "application/json"})
        assert refused.status_code == 429
        told = refused.json()
        assert told["joinUrl"] == f"{ROOT}/rooms/concert/join"
        assert urlsplit(told["pageUrl"]).path == f"{ROOT}/rooms/concert"
        assert (await reached.ask("POST", told["joinUrl"])).status_code == 200


async def test_a_missing_or_doubled_slash_is_mended_under_the_prefix(reached: Reached) -> None:
    for path in (f"{ROOT}/docs/", f"{ROOT}/rooms/concert/"):
        answer = await reached.ask("GET", path + "?lang=de")
        assert answer.status_code == 307
        assert (await reached.follow(path, answer)).status_code == 200
        assert answer.headers["location"].endswith("?lang=de")


async def test_the_document_of_the_api_says_where_it_is(reached: Reached) -> None:
    document = (await reached.ask("GET", f"{ROOT}/openapi.json")).json()
    base = urljoin(f"http://localhost:3000{ROOT}/openapi.json", document["servers"][0]["url"])
    assert base == f"http://localhost:3000{ROOT}/"


async def test_the_prefix_itself_leads_into_its_folder_and_look_alikes_are_not_it(server: RealServer) -> None:
    async with running_app(make_settings(redis_url=server.url, root_path=ROOT)) as (client, services):
        await eventually(lambda: services.has_snapshot)
        bare = await client.get(f"{ROOT}?lang=de")
        assert (bare.status_code, bare.headers["location"]) == (308, f"{ROOT}/?lang=de")
        assert (await client.get(f"{ROOT}ing/serving")).status_code == 404
        assert (await client.get("/livez")).status_code == 200, "health checks need no prefix"
        assert (await client.get(f"{ROOT}/livez")).status_code == 200


async def test_a_mended_slash_never_leads_to_another_host(server: RealServer) -> None:
    async with running_app(make_settings(redis_url=server.url)) as (client, services):
        await eventually(lambda: services.has_snapshot)
        for path in ("//evil.example/", "//evil.example/..", "/rooms//evil.example/", "/\\evil.example/", "/static"):
            answer = await client.get(f"http://localhost:3000{path}")
            where = urljoin(f"http://localhost:3000{path}", answer.headers.get("location", ""))
            assert urlsplit(where).netloc == "localhost:3000", path


@pytest.mark.parametrize("root_path", ["_queue", "/_queue/", "//x", "/a b", "/a?b", "/"])
def test_a_prefix_that_is_no_plain_path_is_refused(root_path: str) -> None:
    with pytest.raises(ValidationError):
        make_settings(redis_url="redis://localhost:1", root_path=root_path)
