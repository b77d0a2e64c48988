"""Over TLS: the cookie that no sibling host can set, given, renewed and brought from another host; redirects that stay there."""

from collections.abc import Iterator
from contextlib import ExitStack
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import httpx
import jwt
import pytest

from tests.proxies.conftest import PROXIES
from tests.proxies.world import FORM, PAGE, World, guarded_site
from tests.support.waiting import eventually

CHANGES = {
    "nginx": [
        (
            "listen 127.0.0.1:8080;",
            "listen 127.0.0.1:8080 ssl; ssl_certificate tls/certificate.pem; ssl_certificate_key tls/key.pem;",
        )
    ],
    "caddy": [
        (
            "http://127.0.0.1:8080 {",
            "https://127.0.0.1:8080, https://localhost:8080 {\n\ttls tls/certificate.pem tls/key.pem",
        )
    ],
    "haproxy": [("bind 127.0.0.1:8080", "bind 127.0.0.1:8080 ssl crt tls/both.pem")],
    "envoy": [
        (
            "        - filters:\n",
            """        - transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                tls_certificates:
                  - {certificate_chain: {filename: tls/certificate.pem}, private_key: {filename: tls/key.pem}}
          filters:
""",
        )
    ],
    "traefik": [("Host(`shop.example`)", "(Host(`127.0.0.1`) || Host(`localhost`))")],
}
"""What each example lacks for TLS and a second host name."""


@pytest.fixture(params=PROXIES, scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp(request.param)
        yield guarded_site(stack, request.param, folder, CHANGES[request.param], tls=True)


def _cookie(answer: httpx.Response, name: str) -> str:
    """The line that sets a cookie."""
    (line,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{name}=")]
    return line


def test_the_pass_is_a_cookie_that_no_sibling_host_can_set(world: World) -> None:
    visitor = world.visitor()
    page = urlsplit(visitor.get("/shop").headers["location"])
    visitor.post(f"{PAGE}/join?{page.query}", headers=FORM, content=b"")
    entered = visitor.post(f"{PAGE}/enter?{page.query}", headers=FORM, content=b"")
    morsel = SimpleCookie(_cookie(entered, "__Host-stanchion-pass-default"))["__Host-stanchion-pass-default"]
    assert morsel["secure"] and morsel["httponly"]
    assert (morsel["path"], morsel["domain"]) == ("/", ""), "what the prefix demands"
    assert visitor.get(entered.headers["location"]).text == "welcome"
    token = morsel.value
    sibling = httpx.Client(base_url=world.proxy.url, verify=world.proxy.trusted, trust_env=False, timeout=15)
    with sibling:
        assert sibling.get("/shop", headers={"Cookie": f"stanchion-pass-default={token}"}).status_code == 429
        assert sibling.get("/shop", headers={"Cookie": f"__Host-stanchion-pass-default={token}"}).text == "welcome"


def test_nobody_is_led_out_of_tls(world: World) -> None:
    visitor = world.visitor()
    refused = visitor.get("/shop?item=7")
    led = httpx.URL(world.proxy.url).join(refused.headers["location"])
    assert (led.scheme, led.netloc.decode()) == ("https", f"127.0.0.1:{world.proxy.port}")
    assert visitor.enter("/shop?item=7").text == "welcome"
    (seen,) = world.site.took("/shop")[-1:]
    assert seen.headers["x-forwarded-proto"] == "https"


def test_an_entry_code_from_the_page_on_another_host_becomes_a_pass_of_this_one(world: World) -> None:
    there = f"https://localhost:{world.proxy.port}{PAGE}"
    here = f"127.0.0.1:{world.proxy.port}"
    world.room.configure(gate={"inline": False, "pageUrl": there, "hosts": [here]})
    try:
        with httpx.Client(headers=FORM, verify=world.proxy.trusted, trust_env=False, timeout=15) as browser:
            refused = browser.get(f"{world.proxy.url}/shop?item=7")
            assert refused.headers["location"].startswith(f"{there}?target=")
            query = urlsplit(refused.headers["location"]).query
            headers = {"Origin": f"https://localhost:{world.proxy.port}"}
            joined = browser.post(f"{there}/join?{query}", headers=headers, content=b"")
            assert joined.status_code == 303, joined.text
            entered = browser.post(f"{there}/enter?{query}", headers=headers, content=b"")
            onward = entered.headers["location"]
            assert onward.startswith(f"https://{here}/shop?item=7&waiting-room-entry=")
            arrived = browser.get(onward)
            if arrived.status_code == 302:
                assert "waiting-room-entry" not in arrived.headers["location"]
            assert "Secure" in _cookie(arrived, "__Host-stanchion-pass-default")
            inside = browser.get(f"https://{here}/shop?item=7")
            assert (inside.status_code, inside.text) == (200, "welcome")
            again = httpx.get(onward, headers=FORM, verify=world.proxy.trusted, trust_env=False)
            assert again.status_code == 302
            assert again.headers["location"].startswith(there), "a code is good once"
    finally:
        world.room.configure(gate={"inline": False, "pageUrl": None, "hosts": []})


def _ends_s(token: str) -> int:
    ends_s: int = jwt.decode(token, options={"verify_signature": False})["exp"]
    return ends_s


async def test_a_pass_in_use_is_renewed_and_somebody_new_is_let_in_at_once(world: World) -> None:
    world.room.configure(sessionSeconds=12, gate={"inline": False})
    visitor = world.visitor()
    visitor.enter()
    first = visitor.cookies[world.pass_cookie]

    def renewed() -> bool:
        answer = visitor.get("/shop")
        assert answer.text == "welcome"
        cookies = answer.headers.get_list("set-cookie")
        assert "basket=full" in cookies, "the site's own cookie comes as well"
        return any(cookie.startswith(f"{world.pass_cookie}=") for cookie in cookies)

    await eventually(
        renewed, within_s=30, every_s=0.1
    )  # in the second half of those seconds, however the machine stalls
    assert _ends_s(visitor.cookies[world.pass_cookie]) > _ends_s(first)

    world.room.configure(sessionSeconds=900, gate={"inline": True})
    newcomer = world.visitor()
    await eventually(lambda: newcomer.get("/shop").text == "welcome", within_s=20)
    assert world.pass_cookie in newcomer.cookies
    assert newcomer.get("/again").text == "welcome"
    assert [seen.headers["x-waiting-room"] for seen in world.site.took("/again")] == ["pass"]
    assert newcomer.get("/shop", headers={"Accept": "application/json"}).status_code == 200
