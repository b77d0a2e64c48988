"""A room's gate settings: what can be said, and secrets that are never shown again."""

import pytest
from pydantic import ValidationError

from app.rooms.gate import GateBypass, RoomGate
from app.rooms.settings import HIDDEN, RoomSettings, changed_settings

VIP = "a-key-for-vip-codes-that-is-long-enough"
HEADER = "a-word-for-monitors-that-is-long-enough"


def test_gate_settings_are_taken_as_they_are_given() -> None:
    gate = RoomGate.model_validate(
        {
            "hosts": ["shop.example", "*.shop.example", "localhost:8000", "[::1]:8443", "xn--bcher-kva.example"],
            "siteUrl": "https://shop.example/start?x=1",
            "pageUrl": "/_queue/rooms/sale",
            "whenStoreIsLost": "open",
            "inline": False,
            "renewByUse": False,
            "vipSecret": VIP,
            "bypass": {
                "paths": ["/favicon.ico", "/assets/", "/*.css", "/hooks/**/paid"],
                "methods": ["POST"],
                "networks": ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"],
                "headerSecret": HEADER,
            },
        }
    )
    assert RoomGate.model_validate_json(gate.model_dump_json(by_alias=True)) == gate


@pytest.mark.parametrize(
    "gate",
    [
        {"hosts": ["*"]},
        {"hosts": ["*.example"]},
        {"hosts": ["*shop.example"]},
        {"hosts": ["shop.*.example"]},
        {"hosts": ["https://shop.example"]},
        {"hosts": ["shop.example/"]},
        {"hosts": ["shop.example."]},
        {"hosts": ["Shop.example"]},
        {"hosts": ["user@shop.example"]},
        {"hosts": ["bücher.example"]},
        {"hosts": ["[::zz]"]},
        {"hosts": ["[0:0::1]"]},
        {"hosts": ["a.example"] * 101},
        {"siteUrl": "//evil.example"},
        {"siteUrl": "javascript:alert(1)"},
        {"siteUrl": "https://user@shop.example"},
        {"siteUrl": "https://shop.example\\x"},
        {"pageUrl": "rooms/sale"},
        {"whenStoreIsLost": "maybe"},
        {"vipSecret": "short"},
        {"bypass": {"paths": ["assets/"]}},
        {"bypass": {"paths": ["/assets/../x"]}},
        {"bypass": {"paths": ["//x"]}},
        {"bypass": {"paths": ["/a%2fb"]}},
        {"bypass": {"paths": ["/a?b"]}},
        {"bypass": {"paths": ["/a;b"]}},
        {"bypass": {"paths": ["/***"]}},
        {"bypass": {"methods": ["get"]}},
        {"bypass": {"methods": ["CONNECT"]}},
        {"bypass": {"networks": ["192.0.2.1/24"]}},
        {"bypass": {"networks": ["shop.example"]}},
        {"bypass": {"headerSecret": "short"}},
        {"unknown": 1},
        {"hosts": ["shop.example\n"]},
        {"siteUrl": "https://shop.example/\n"},
        {"pageUrl": "/rooms/sale\n"},
        {"bypass": {"paths": ["/x\n"]}},
        {"bypass": {"methods": ["POST\n"]}},
    ],
)
def test_what_cannot_be_is_refused(gate: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RoomGate.model_validate(gate)


def test_secrets_are_shown_as_set_and_stay_when_that_is_sent_back() -> None:
    settings = RoomSettings(gate=RoomGate(vip_secret=VIP, bypass=GateBypass(header_secret=HEADER)))
    shown = settings.shown()
    assert (shown["gate"]["vipSecret"], shown["gate"]["bypass"]["headerSecret"]) == (HIDDEN, HIDDEN)
    changed = changed_settings(settings, {"gate": {**shown["gate"], "inline": False}})
    assert changed.gate == settings.gate.model_copy(update={"inline": False})


def test_one_member_of_a_part_can_be_changed_by_its_dotted_name() -> None:
    before = RoomSettings(gate=RoomGate(vip_secret=VIP, hosts=("shop.example",)))
    after = changed_settings(before, {"gate.siteUrl": "https://shop.example/", "gate.bypass.paths": ["/assets/"]})
    assert after.gate.hosts == ("shop.example",)
    assert after.gate.vip_secret == VIP
    assert (after.gate.site_url, after.gate.bypass.paths) == ("https://shop.example/", ("/assets/",))
    back = changed_settings(after, {"gate.siteUrl": None, "gate.bypass": None})
    assert back.gate == before.gate
    with pytest.raises(ValueError, match="windowSize"):
        changed_settings(before, {"windowSize.gate": 1, "windowSize": 2} | {"windowSize.x": 3})


def test_a_secret_that_was_never_set_cannot_be_sent_back() -> None:
    with pytest.raises(ValueError, match="vipSecret"):
        changed_settings(RoomSettings(), {"gate.vipSecret": HIDDEN})
