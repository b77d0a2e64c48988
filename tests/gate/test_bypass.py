"""Who need not wait, and every trick that makes a path look like one that need not."""

import posixpath
import re
import time
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.rooms.gate import GateBypass
from app.web.gate.bypass import Bypass
from app.web.gate.paths import MAX_PATH, readable_path

SECRET = "a-word-for-monitors-that-is-long-enough"
RULES = Bypass(
    GateBypass(
        paths=("/favicon.ico", "/assets/", "/static/*.css", "/hooks/*/paid/**", "/files/**/public/"),
        methods=("POST",),
        networks=("192.0.2.0/24", "2001:db8:1::/48"),
        header_secret=SECRET,
    )
)


@pytest.mark.parametrize(
    "uri",
    [
        "/favicon.ico",
        "/favicon.ico?v=2",
        "/assets/",
        "/assets/app.js?next=/../checkout",
        "/assets/a%20b/%C3%A4.png",
        "/assets/..hidden",
        "/assets/@scope/x+y~z,(1).js",
        "/static/site.css",
        "/hooks/stripe/paid/2026/11",
        "/files/a/b/public/x.pdf",
        "/f%61vicon.ico",
    ],
)
def test_a_plain_path_under_a_rule_need_not_wait(uri: str) -> None:
    assert RULES.lets_path(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/",
        "/checkout",
        "/assets",
        "/Assets/app.js",
        "/favicon.ico/",
        "/favicon.ico/../checkout",
        "/static/a/b.css",
        "/static/site.css.php",
        "/hooks/stripe/paid",
        "/hooks/a/b/paid/x",
        "/assets/../checkout",
        "/assets/./../checkout",
        "/assets/..",
        "/assets/.",
        "/assets/... /checkout",
        "/assets/..%20/checkout",
        "/assets/%2e%2e/checkout",
        "/assets/.%2e/checkout",
        "/assets/%2E%2E/checkout",
        "/assets/%252e%252e/checkout",
        "/assets/%25252e%25252e/checkout",
        "/assets/..%2fcheckout",
        "/assets/..%2Fcheckout",
        "/assets/%2fcheckout",
        "/assets%2fapp.js",
        "/assets/..%252fcheckout",
        "/assets/..\\checkout",
        "/assets/..%5ccheckout",
        "/assets\\app.js",
        "/assets/..;/checkout",
        "/assets/;x=1/app.js",
        "/assets/app.js;a=b",
        "/assets/..%3b/checkout",
        "/checkout;/assets/app.js",
        "//assets/app.js",
        "/assets//app.js",
        "/checkout//../assets/app.js",
        "/assets/app.js%00.html",
        "/checkout%00/assets/",
        "/assets/%0a/x",
        "/assets/%7f",
        "/assets/%c0%ae%c0%ae/checkout",
        "/assets/%c0%af..%c0%afcheckout",
        "/assets/%ff",
        "/assets/%ef%bc%8e%ef%bc%8e/checkout",
        "/assets/%e2%80%a5/checkout",
        "/assets/%e2%84%80/checkout",
        "/assets/%u002e%u002e/checkout",
        "/assets/%zz",
        "/assets/%2",
        "/assets/%",
        "/assets/a b",
        "/assets/ä",
        "/assets/app.js#/../../checkout",
        "/checkout#/assets/",
        "/checkout?/assets/",
        "/checkout%3f/assets/",
        "/checkout/?x=/assets/app.js",
        "http://shop.example/assets/app.js",
        "assets/app.js",
        "*",
        "/assets/" + "a" * MAX_PATH,
    ],
)
def test_what_can_be_read_in_two_ways_is_never_let_through(uri: str) -> None:
    assert not RULES.lets_path(uri)


PIECES = st.lists(
    st.sampled_from(
        [
            "/",
            "/",
            "/",
            "assets",
            "checkout",
            ".",
            "..",
            "...",
            "%2e",
            "%2E",
            "%2f",
            "%5c",
            "\\",
            ";",
            "%3b",
            "%25",
            "%252e",
            "%00",
            " ",
            "%20",
            "//",
            "?",
            "#",
            "%c3%a4",
            "%ef%bc%8e",
            "~",
            "a",
            "=",
            "%",
            "%c0%ae",
        ]
    ),
    max_size=10,
).map(lambda pieces: "/" + "".join(pieces))


def _as_some_server_reads(path: str) -> set[str]:
    """The readings of servers that decode never, once, twice, cut at `;`, take `\\` for `/`, merge slashes, drop dots."""
    readings = {path, unquote(path), unquote(unquote(path))}
    readings |= {re.sub(r";[^/]*", "", reading) for reading in readings}
    readings |= {reading.replace("\\", "/") for reading in readings}
    readings |= {re.sub(r"/+", "/", reading) for reading in readings}
    readings |= {reading.partition("\x00")[0] for reading in readings}
    return {posixpath.normpath(reading) + "/" * reading.endswith("/") for reading in readings}


@given(PIECES)
def test_a_path_with_a_reading_is_read_so_by_every_server(uri: str) -> None:
    path = readable_path(uri)
    if path is None:
        return
    readings = {unquote(reading) for reading in _as_some_server_reads(uri.partition("?")[0])}
    assert {reading.replace("//", "/") for reading in readings} == {path}


def test_methods_addresses_and_the_secret_let_through_what_they_name() -> None:
    assert RULES.lets_method("POST")
    assert not RULES.lets_method("GET")
    assert not RULES.lets_method("")
    assert RULES.lets_address("192.0.2.77")
    assert RULES.lets_address("::ffff:192.0.2.77")
    assert RULES.lets_address("2001:db8:1:2::3")
    assert not RULES.lets_address("192.0.3.1")
    assert not RULES.lets_address("2001:db8:2::1")
    assert not RULES.lets_address("unknown")
    assert not RULES.lets_address("192.0.2.0/24")
    assert RULES.lets_secret(SECRET.encode())
    assert not RULES.lets_secret(SECRET.encode() + b"x")
    assert not RULES.lets_secret(b"")
    assert not RULES.lets_secret(None)


def test_without_rules_nobody_is_let_through() -> None:
    none = Bypass(GateBypass())
    assert not none.lets_path("/")
    assert not none.lets_method("GET")
    assert not none.lets_address("127.0.0.1")
    assert not none.lets_secret(b"")
    assert not none.lets_secret(None)


def test_no_path_makes_comparing_it_long() -> None:
    hard = Bypass(GateBypass(paths=tuple(f"/**a{i}**b" for i in range(10)) + tuple(f"/*a{i}*c" for i in range(90))))
    started_s = time.process_time()
    for n in range(20):
        assert not hard.lets_path("/" + "a" * (MAX_PATH - 10) + str(n))
    assert time.process_time() - started_s < 5


def test_more_than_two_wildcards_in_a_rule_are_refused() -> None:
    with pytest.raises(ValidationError, match="wildcards"):
        GateBypass(paths=("/*/*/*",))
