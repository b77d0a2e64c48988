"""What an operator may say about the gate in front of a room's site: where it leads, and who need not wait."""

import ipaddress
import re
from enum import StrEnum
from functools import cached_property
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

MIN_GATE_SECRET = 32
MAX_RULES = 100
MAX_WILDCARDS = 2
"""In one path rule, so that no path can make comparing it long."""
ALWAYS_HELD = frozenset({"OPTIONS", "CONNECT", "TRACE"})
"""Methods that no rule may name: preflights never wait anyway, and the others reach no site."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:\*\.(?=.*\.|localhost))?{_LABEL}(?:\.{_LABEL})*(?::[1-9][0-9]{{0,4}})?")
_IPV6_HOST = re.compile(r"\[([0-9a-f:.]+)\](?::[1-9][0-9]{0,4})?")
_PATH_RULE = re.compile(r"/[A-Za-z0-9._~!$&'()*+,=:@/-]*")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class StoreLost(StrEnum):
    """What the gate does with newcomers while nothing is known of the room."""

    CLOSED = "closed"
    OPEN = "open"


Secret = Annotated[str, Field(min_length=MIN_GATE_SECRET, max_length=500, pattern=r"^[!-~]+$")]
Url = Annotated[str, Field(max_length=500)]
Rule = Annotated[str, Field(min_length=1, max_length=200)]


class GateBypass(_Part):
    """Requests that never wait. What cannot be read without doubt is never one of them."""

    paths: tuple[Rule, ...] = Field(
        default=(),
        max_length=MAX_RULES,
        description="Paths, compared after decoding and normalising: `/favicon.ico` exactly, `/assets/` with "
        "everything below, `*` for any characters within a segment (`/*.css`), `**` across segments.",
    )
    methods: tuple[Rule, ...] = Field(default=(), max_length=20, description="Methods, like `POST`.")
    networks: tuple[Rule, ...] = Field(
        default=(), max_length=MAX_RULES, description="Visitors' addresses or networks, like `192.0.2.0/24`."
    )
    header_secret: Secret | None = Field(
        default=None, description="Whoever sends it as `X-Waiting-Room-Bypass` does not wait. Never shown again."
    )

    @field_validator("paths")
    @classmethod
    def _plain_paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            segments = path.split("/")
            if not _PATH_RULE.fullmatch(path) or "//" in path or "." in segments or ".." in segments or "***" in path:
                raise ValueError(
                    f"{path!r} is no rule: it must start with / and be a plain path, with * and ** as wildcards"
                )
            if len(re.findall(r"\*+", path)) > MAX_WILDCARDS:
                raise ValueError(f"{path!r} has more than {MAX_WILDCARDS} wildcards")
        return paths

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for method in methods:
            if not re.fullmatch(r"[A-Z]+", method) or method in ALWAYS_HELD:
                raise ValueError(f"{method!r} cannot be let through: name methods like POST, in capitals")
        return methods

    @field_validator("networks")
    @classmethod
    def _real_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            try:
                ipaddress.ip_network(network)
            except ValueError:
                raise ValueError(f"{network!r} is no address or network, like 192.0.2.0/24") from None
        return networks


class RoomGate(_Part):
    """How the gate treats the site's visitors."""

    hosts: tuple[Rule, ...] = Field(
        default=(),
        max_length=MAX_RULES,
        description="Hosts that visitors may be sent on to besides the page's own: `shop.example`, "
        "`*.shop.example` (any name below it, not itself), with a port where it is not the usual one.",
    )
    site_url: Url | None = Field(
        default=None, description="Where visitors are sent who came for nothing in particular. Default: `/`."
    )
    page_url: Url | None = Field(
        default=None,
        description="The waiting page's address when it is not on the site's own host. Default: the room's page under "
        "`ROOT_PATH` of the host that was asked.",
    )
    when_store_is_lost: StoreLost = Field(
        default=StoreLost.CLOSED,
        description="Newcomers, while the store is away: `closed` holds them back, `open` lets them through. "
        "Passes go on either way.",
    )
    inline: bool = Field(
        default=True,
        description="Whether the gate itself lets in who opens a page while nobody waits and there is room.",
    )
    inline_seconds: float = Field(
        default=60,
        ge=1,
        le=3600,
        description="How long such a session lasts until the pass has come back once; then it is a whole one.",
    )
    renew_by_use: bool = Field(
        default=True, description="Whether a session is prolonged while it is used, up to `maxSessionSeconds`."
    )
    bypass: GateBypass = Field(default=GateBypass(), description="Requests that never wait.")
    vip_secret: Secret | None = Field(
        default=None, description="The key that signs VIP codes, at least 32 characters. Never shown again."
    )

    @field_validator("hosts")
    @classmethod
    def _plain_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not is_host_rule(host):
                raise ValueError(
                    f"{host!r} is no host: write shop.example, shop.example:8443 or *.shop.example in small letters "
                    "(international names as xn--…)"
                )
        return hosts

    @field_validator("site_url", "page_url")
    @classmethod
    def _plain_url(cls, url: str | None) -> str | None:
        if url is not None:
            check_url(url)
        return url

    @property
    def page_lives_apart(self) -> bool:
        """Whether the waiting page is on another host than the site."""
        return self.page_url is not None and not self.page_url.startswith("/")

    @cached_property
    def exact_hosts(self) -> frozenset[str]:
        """The hosts that are named whole."""
        return frozenset(host for host in self.hosts if not host.startswith("*"))

    @cached_property
    def host_suffixes(self) -> tuple[str, ...]:
        """What the hosts' names may end with: `.shop.example`."""
        return tuple(host[1:] for host in self.hosts if host.startswith("*"))


def is_host_rule(text: str) -> bool:
    """Whether this names a host, or all names below one; a whole top-level domain is not one host's to give away."""
    match = _IPV6_HOST.fullmatch(text)
    if match:
        try:
            return str(ipaddress.IPv6Address(match[1])) == match[1]
        except ValueError:
            return False
    return len(text) <= 255 and _HOST.fullmatch(text) is not None


def check_url(url: str) -> None:
    """Refuse what is no plain address of a web page, given by an operator.

    Raises:
        ValueError: with what is wrong.
    """
    if url.startswith("/") and not url.startswith("//") and re.fullmatch(r"[!-~]+", url) and "\\" not in url:
        return
    try:
        parts = urlsplit(url)
        host = parts.netloc.lower()
    except ValueError:
        host = ""
    if not re.fullmatch(r"https?://[!-~]+", url) or "\\" in url or not is_host_rule(host) or host.startswith("*"):
        raise ValueError("must be an address like https://shop.example/start, or a path like /start")
