"""Where a visitor may be sent on to; every trick that turns a return address into somebody else's site."""

import json
import random
import subprocess
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.rooms.gate import RoomGate
from app.rooms.settings import RoomSettings
from app.web.entry import ENTRY_PARAMETER
from app.web.queries import parameter, with_parameter, without_parameter
from app.web.targets import MAX_TARGET, checked_target, default_target
from tests.support import tools

OWN = "queue.example"
ROOM = RoomSettings(gate=RoomGate(hosts=("shop.example", "*.tickets.example", "localhost:8000", "[::1]:8443")))


def checked(wanted: str) -> str | None:
    return checked_target(wanted, ROOM, OWN)


@pytest.mark.parametrize(
    ("wanted", "sent_to"),
    [
        ("/", "/"),
        ("/checkout?step=2&a=%C3%A4#pay", "/checkout?step=2&a=%C3%A4#pay"),
        ("/a//b", "/a//b"),
        ("/..hidden/x..y/...", "/..hidden/x..y/..."),
        ("/?next=//evil.example/", "/?next=//evil.example/"),
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example/Seats?row=A", "https://shop.example/Seats?row=A"),
        ("https://shop.example:443/x", "https://shop.example/x"),
        ("http://shop.example:80/x", "http://shop.example/x"),
        ("https://eu.tickets.example/x", "https://eu.tickets.example/x"),
        ("https://a.b.tickets.example/", "https://a.b.tickets.example/"),
        ("http://localhost:8000/x", "http://localhost:8000/x"),
        ("https://[::1]:8443/x", "https://[::1]:8443/x"),
        ("https://queue.example/rooms/sale", "https://queue.example/rooms/sale"),
    ],
)
def test_a_plain_address_on_an_allowed_host_is_taken(wanted: str, sent_to: str) -> None:
    assert checked(wanted) == sent_to


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/.//evil.example",
        "/..//evil.example",
        "/x/..//evil.example",
        "/%2e%2e//evil.example",
        "/%2E//evil.example",
        "/a/..",
        "evil.example",
        "./evil",
        "?x",
        "#x",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "https://evil.example",
        "https://evil.example/https://shop.example",
        "https://shop.example.evil.example/",
        "https://evilshop.example/",
        "https://eviltickets.example/",
        "https://tickets.example/",
        "https://.tickets.example/",
        "https://-.tickets.example/",
        "https://shop.example@evil.example/",
        "https://shop.example:pw@evil.example/",
        "https://user@shop.example/",
        "https://evil.example#@shop.example/",
        "https://evil.example?.tickets.example",
        "https://evil.example/.tickets.example",
        "https://evil.example\\.tickets.example/",
        "https://evil.example\\@shop.example/",
        "https://evil.example%2f.tickets.example/",
        "https://evil.example\x00.tickets.example/",
        "https://evil。example/",
        "https://ｓhop.example/",
        "https://shop。example/",
        "https://shop．example/",
        "https://ѕhop.example/",
        "https://xn--hop-rtc.example/",
        "https://shop.example./",
        "https://shop.example:/",
        "https://shop.example:8443/",
        "https://shop.example:80/",
        "http://shop.example:443/",
        "https://shop.example:099999/",
        "https://localhost/",
        "http://localhost:80800/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]:8443/",
        "javascript:alert(1)",
        "JavaScript://shop.example/%0aalert(1)",
        "data:text/html,x",
        "ftp://shop.example/",
        "view-source:https://shop.example/",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://shop.example/a b",
        'https://shop.example/"onclick=',
        "https://shop.example/<script>",
        "https://shop.example/ä",
        "https://shop.example/../x",
        "/" + "a" * MAX_TARGET,
    ],
)
def test_what_might_lead_elsewhere_is_no_target(wanted: str) -> None:
    assert checked(wanted) is None


def test_without_named_hosts_only_the_pages_own_host_is_left() -> None:
    alone = RoomSettings()
    assert checked_target("/x", alone, OWN) == "/x"
    assert checked_target(f"https://{OWN}/x", alone, OWN) == f"https://{OWN}/x"
    assert checked_target("https://shop.example/", alone, OWN) is None
    assert checked_target("https://shop.example/", alone, "") is None
    assert checked_target("http://localhost:3000/x", alone, "localhost:3000") == "http://localhost:3000/x"
    assert checked_target("https://localhost/x", alone, "localhost:3000") is None


def test_the_way_without_a_target_is_the_operators() -> None:
    assert default_target(RoomSettings()) == "/"
    assert default_target(RoomSettings(gate=RoomGate(site_url="https://shop.example/start"))).endswith("/start")


TRICKY = st.text(alphabet="/\\@:?#.%&;=[]{}^| \t\n\r\x00aeh2f5x0", max_size=30)
PIECES = st.lists(
    st.sampled_from(
        [
            "http",
            "https",
            "javascript",
            ":",
            "/",
            "//",
            "\\",
            "@",
            "?",
            "#",
            ".",
            "..",
            "%2e",
            "%2f",
            "%5c",
            "%00",
            "\t",
            "\n",
            " ",
            "shop.example",
            "evil.example",
            ".tickets.example",
            "localhost",
            "8000",
            "x",
            "。",
            "[::1]",
            "",
        ]
    ),
    max_size=9,
).map("".join)


@given(TRICKY | PIECES)
@example("https://evil.example\\.tickets.example")
def test_whatever_is_taken_leads_to_an_allowed_host(wanted: str) -> None:
    target = checked(wanted)
    if target is None:
        return
    assert target.isascii()
    assert target.isprintable()
    assert not set(target) & set(' \\"<>\t\r\n')
    if target.startswith("/"):
        assert not target.startswith("//")
    else:
        assert _is_allowed(urlsplit(target).netloc, urlsplit(target).scheme)
    assert checked(target) == target, "a target is its own target"


def _is_allowed(netloc: str, scheme: str) -> bool:
    usual = netloc.removesuffix({"http": ":80", "https": ":443"}[scheme])
    return usual in ("shop.example", "localhost:8000", "[::1]:8443", OWN) or usual.endswith(".tickets.example")


READ_LIKE_A_BROWSER = """
const lines = require("fs").readFileSync(0, "utf8").trim().split("\\n");
for (const line of lines) {
  const read = new URL(JSON.parse(line), "https://queue.example/rooms/sale?target=x");
  console.log(JSON.stringify([read.protocol, read.host, read.username, read.password, read.href]));
}
"""


@pytest.mark.needs("node")
def test_a_browsers_own_reader_of_addresses_arrives_at_an_allowed_host_too() -> None:
    dice = random.Random(20261122)
    pieces = ["https:", "http:", "/", "//", "\\", "@", "?", "#", ".", "..", "%2e", "%2f", "%5c", ":", "8000", "443"]
    pieces += ["shop.example", "evil.example", ".tickets.example", "localhost:8000", "x", "\t", "[::1]:8443", "|", "^"]
    starts = ["/", "https://", "https://shop.example", "http://localhost:8000", "https://eu.tickets.example", "//", ""]
    tried = ["".join([dice.choice(starts), *dice.choices(pieces, k=dice.randrange(6))]) for _ in range(60_000)]
    taken = sorted({target for target in map(checked, tried) if target is not None})
    assert len(taken) > 1000, "the tricks are too wild to say anything"
    node = tools.find("node")
    assert node is not None
    read = subprocess.run(
        [node, "-e", READ_LIKE_A_BROWSER],
        input="\n".join(map(json.dumps, taken)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for target, line in zip(taken, read.stdout.splitlines(), strict=True):
        scheme, host, user, password, href = json.loads(line)
        assert (user, password) == ("", ""), target
        assert _is_allowed(host, scheme.removesuffix(":")), (target, href)


QUERIES = st.text(alphabet="ab=&%2?+-", max_size=30)


@given(QUERIES, QUERIES, st.sampled_from(["", "#top"]))
def test_a_code_put_in_is_taken_out_again_and_nothing_else(before: str, after: str, fragment: str) -> None:
    assert without_parameter(f"/p?{before}{fragment}", ENTRY_PARAMETER) == f"/p?{before}{fragment}"
    uri = f"/p?{before}&{ENTRY_PARAMETER}=abc&{after}{fragment}"
    assert without_parameter(uri, ENTRY_PARAMETER) == f"/p?{before}&{after}{fragment}"
    assert parameter(uri, ENTRY_PARAMETER) == "abc"


def test_a_code_is_taken_out_however_its_name_is_written() -> None:
    assert without_parameter(f"/p?{ENTRY_PARAMETER}=a&x=1&waiting-room%2Dentry=b", ENTRY_PARAMETER) == "/p?x=1"
    assert without_parameter(f"/p?{ENTRY_PARAMETER}=a", ENTRY_PARAMETER) == "/p"


@given(st.sampled_from(["/", "/p?x=1", "https://shop.example/p?#top", "/p#a?b"]), st.text(max_size=20))
def test_what_is_put_into_an_address_is_read_from_it(address: str, value: str) -> None:
    assert parameter(with_parameter(address, "v", value), "v") == value
