"""What the visitor asked the proxy for, when headers are forged, doubled, or at odds."""

from ipaddress import ip_network
from typing import Any

import pytest

from app.web.gate.original import Original, merged_headers, original_request
from app.web.proxies import Proxies
from tests.conftest import make_settings

PROXIES = Proxies(make_settings(trusted_proxies=(ip_network("10.0.0.0/8"),)))
Pairs = list[tuple[bytes, bytes]]


def asked(pairs: Pairs, *, client: str = "10.0.0.1", method: str = "GET", own_uri: str | None = None) -> Original:
    scope: dict[str, Any] = {"method": method, "scheme": "http", "client": (client, 5000)}
    headers, doubled = merged_headers([(b"host", b"gate.internal"), *pairs])
    return original_request(scope, headers, doubled, PROXIES, own_uri, https=PROXIES.is_https(scope, headers))


FORWARDED: Pairs = [
    (b"x-forwarded-method", b"POST"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-host", b"Shop.example"),
    (b"x-forwarded-uri", b"/checkout?step=2"),
]
ORIGINAL: Pairs = [(b"x-original-method", b"POST"), (b"x-original-uri", b"/checkout?step=2")]
UNKNOWN = Original("", "", "", False, False)


def test_both_families_of_headers_are_understood() -> None:
    assert asked(FORWARDED) == Original("POST", "/checkout?step=2", "shop.example", True, False)
    assert asked([*ORIGINAL, (b"x-forwarded-host", b"shop.example")]) == Original(
        "POST", "/checkout?step=2", "shop.example", False, False
    )
    ingress = [(b"x-original-method", b"GET"), (b"x-original-url", b"https://shop.example:8443/a?b=c")]
    assert asked(ingress) == Original("GET", "/a?b=c", "shop.example:8443", False, False)


def test_what_others_than_trusted_proxies_say_is_not_read() -> None:
    told = asked([*FORWARDED, *ORIGINAL], client="203.0.113.9", method="DELETE")
    assert told == Original("DELETE", "", "gate.internal", False, True)
    assert asked([], client="203.0.113.9") == Original("GET", "", "gate.internal", False, False)


def test_the_path_behind_the_gates_own_tells_more_than_any_header() -> None:
    told = asked([*FORWARDED, (b"x-original-uri", b"/assets/x")], own_uri="/pay?x=1", method="PUT")
    assert told == Original("PUT", "/pay?x=1", "shop.example", True, False)


@pytest.mark.parametrize(
    "smuggled",
    [
        (b"x-original-uri", b"/assets/app.js"),
        (b"x-original-url", b"https://shop.example/assets/app.js"),
        (b"x-original-method", b"OPTIONS"),
        (b"x-forwarded-uri", b"/assets/app.js"),
        (b"x-forwarded-uri", b"/checkout?step=2"),
        (b"x-forwarded-method", b"GET"),
        (b"x-forwarded-host", b"evil.example"),
        (b"x-forwarded-proto", b"http"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_smuggled_header_beside_the_proxys_leaves_nothing_to_go_by(
    smuggled: tuple[bytes, bytes], first: bool
) -> None:
    told = asked([smuggled, *FORWARDED] if first else [*FORWARDED, smuggled])
    assert (told.method, told.uri, told.host) == ("", "", "")


def test_two_tellings_of_one_family_that_part_tell_no_path() -> None:
    told = asked([*ORIGINAL, (b"x-original-url", b"https://shop.example/assets/app.js")])
    assert told.uri == ""
    same = asked([*ORIGINAL, (b"x-original-url", b"https://shop.example/checkout?step=2")])
    assert same.uri == "/checkout?step=2"


def test_a_path_without_a_method_is_no_known_method() -> None:
    assert asked(ORIGINAL[1:]).method == ""
    assert asked(FORWARDED[3:], method="GET").method == ""


def test_both_families_saying_the_same_is_no_conflict() -> None:
    assert asked([*FORWARDED, *ORIGINAL]).uri == "/checkout?step=2"


def test_the_last_of_several_forwarded_hosts_is_the_nearest_proxys() -> None:
    assert asked([*FORWARDED[:2], (b"x-forwarded-host", b"evil.example, shop.example")]).host == "shop.example"


def test_raw_bytes_of_an_address_are_percent_encoded_and_overlong_ones_dropped() -> None:
    assert asked([(b"x-original-uri", b'/caf\xc3\xa9 "x"<b>')]).uri == "/caf%C3%A9%20%22x%22%3Cb%3E"
    assert asked([(b"x-original-uri", b"/" + b"a" * 9000)]).uri == ""


def test_cookies_of_several_headers_are_put_together() -> None:
    headers, doubled = merged_headers([(b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"accept", b"x")])
    assert headers[b"cookie"] == b"a=1; b=2"
    assert doubled == {b"cookie"}
