"""A room's settings: what an operator may say about it. They live in Redis, versioned."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from app.rooms.gate import RoomGate
from app.rooms.look import RoomLook

MIN_IDENTITY_SECRET = 32
LAST_YEAR = 9000
"""Of a moment that can be told in every time zone."""
SECRETS = (("identitySecret",), ("gate", "vipSecret"), ("gate", "bypass", "headerSecret"))
"""Where the secrets are among the settings."""
HIDDEN = "(set)"
"""What is shown of a secret; sent back, it stands for the one that is set."""


class Method(StrEnum):
    """How a room treats those who come."""

    FIFO = "fifo"
    PASSTHROUGH = "passthrough"
    REJECT = "reject"


class IdentityRule(StrEnum):
    """Whether a join carries a person's identity."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class RoomSettings(BaseModel):
    """Everything that can be set for one room."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    window_size: int = Field(default=10, ge=1, le=1_000_000, description="How many places a batch lets in.")
    window_interval_seconds: float = Field(default=30.0, ge=0.1, le=86_400, description="Seconds between two batches.")
    active_window_count: int = Field(
        default=2, ge=1, le=1000, description="How many intervals a ticket stays active once its turn has come."
    )
    method: Method = Field(
        default=Method.FIFO,
        description="`fifo`: in order of arrival; `passthrough`: everyone at once; `reject`: nobody joins.",
    )
    batches: bool | None = Field(
        default=None,
        description="Whether batches pace the line. Default: yes, unless ratePerMinute or maxActive is set.",
    )
    rate_per_minute: float | None = Field(
        default=None, ge=0.001, le=10_000_000, description="New turns a minute, at most."
    )
    rate_burst: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Turns given at once after idle time. Default: a second's worth."
    )
    max_active: int | None = Field(
        default=None, ge=0, le=10_000_000, description="Open turns and sessions together, at most."
    )
    claim_seconds: float | None = Field(
        default=None, ge=1, le=86_400, description="How long a turn waits to be taken up. Default: the active time."
    )
    session_seconds: float = Field(
        default=900, ge=1, le=604_800, description="How long a session lasts unless renewed."
    )
    max_session_seconds: float = Field(
        default=14_400, ge=1, le=604_800, description="How long a session lasts at most, renewals included."
    )
    max_waiting: int | None = Field(
        default=None, ge=0, le=1_000_000_000, description="How many may wait; further joins are refused."
    )
    opens_at: AwareDatetime | None = Field(
        default=None, description="When the room opens by itself; until then visitors gather, in order of arrival."
    )
    pass_over: bool = Field(default=False, description="Whether visitors who stop asking are passed over.")
    pass_over_seconds: float = Field(
        default=60, ge=1, le=86_400, description="How much later than told a visitor may ask before being passed over."
    )
    grace_seconds: float = Field(
        default=300,
        ge=1,
        le=86_400,
        description="How long somebody passed over may come back to the front of the line.",
    )
    reject_message: Annotated[str, Field(min_length=1, max_length=500)] = Field(
        default="This room takes nobody in for now.", description="What visitors are told when the method is `reject`."
    )
    reject_status: int = Field(
        default=503,
        description="The status code of that answer.",
        json_schema_extra={"enum": [403, 404, 409, 410, 429, 503]},
    )
    joins_per_address: int | None = Field(
        default=None, ge=1, le=1_000_000, description="New places for one address (IPv6: one /64) a minute, at most."
    )
    identity: IdentityRule = Field(
        default=IdentityRule.OFF, description="Whether joins may or must carry an identity token."
    )
    identity_secret: Annotated[str, Field(min_length=MIN_IDENTITY_SECRET)] | None = Field(
        default=None, description="The HS256 key of identity tokens. Never shown again."
    )
    identity_jwks: Annotated[str, Field(max_length=2000, pattern=r"^(https?://|\{)")] | None = Field(
        default=None, description="The public keys of identity tokens: a JWKS, or the URL of one."
    )
    identity_issuer: str | None = Field(
        default=None, max_length=500, description="The `iss` that identity tokens must have."
    )
    identity_audience: str | None = Field(
        default=None, max_length=500, description="The `aud` that identity tokens must have."
    )

    carry: bool = Field(
        default=True, description="Whether visitors may take their place to another device, by a one-time code."
    )
    look: RoomLook = Field(default=RoomLook(), description="How the room's waiting page looks.")
    gate: RoomGate = Field(default=RoomGate(), description="How the gate in front of the room's site works.")

    @model_validator(mode="after")
    def _fitting(self) -> "RoomSettings":
        if self.reject_status not in (403, 404, 409, 410, 429, 503):
            raise ValueError("rejectStatus may be 403, 404, 409, 410, 429 or 503")
        if self.opens_at is not None and self.opens_at.year > LAST_YEAR:
            raise ValueError(f"opensAt may be in the year {LAST_YEAR} at the latest")
        if self.identity is not IdentityRule.OFF and not (self.identity_secret or self.identity_jwks):
            raise ValueError("identity needs identitySecret or identityJwks")
        if self.identity_secret and self.identity_jwks:
            raise ValueError("identitySecret and identityJwks are both set; keep one")
        return self

    @property
    def interval_ms(self) -> int:
        """The interval in whole milliseconds."""
        return round(self.window_interval_seconds * 1000)

    @property
    def active_ms(self) -> int:
        """How long a turn lasts."""
        if self.claim_seconds is not None:
            return round(self.claim_seconds * 1000)
        return self.active_window_count * self.interval_ms

    @property
    def paced_by_batches(self) -> bool:
        """Whether batches take part in the pace."""
        if self.batches is not None:
            return self.batches
        return self.rate_per_minute is None and self.max_active is None

    @property
    def refusal(self) -> str | None:
        """What everyone who wants to join is told, in a room that takes nobody; None in any other."""
        return self.reject_message if self.method is Method.REJECT else None

    @property
    def burst(self) -> int:
        """How many turns the rate gives at once."""
        if self.rate_burst is not None:
            return self.rate_burst
        return max(1, round((self.rate_per_minute or 0) / 60))

    @property
    def counted(self) -> bool:
        """Whether turns are given and counted one by one."""
        return (
            self.method is Method.PASSTHROUGH
            or self.rate_per_minute is not None
            or self.max_active is not None
            or self.pass_over
            or not self.paced_by_batches
        )

    def limits(self) -> dict[str, Any]:
        """What the scripts need besides the batches."""
        limits: dict[str, Any] = {
            "method": self.method.value,
            "batches": int(self.paced_by_batches),
            "ratePerMinute": self.rate_per_minute,
            "rateBurst": self.burst if self.rate_per_minute is not None else None,
            "maxActive": self.max_active,
            "maxWaiting": self.max_waiting,
            "sessionMs": round(self.session_seconds * 1000),
            "maxSessionMs": round(self.max_session_seconds * 1000),
            "opensAtMs": round(self.opens_at.timestamp() * 1000) if self.opens_at else None,
            "passOverMs": round(self.pass_over_seconds * 1000) if self.pass_over else None,
            "graceMs": round(self.grace_seconds * 1000) if self.pass_over else None,
        }
        return {name: value for name, value in limits.items() if value is not None}

    def script_args(self) -> dict[str, str | int]:
        """The settings as the scripts take them."""
        return {
            "size": self.window_size,
            "interval_ms": self.interval_ms,
            "active_ms": self.active_ms,
            "counted": int(self.counted),
            "limits": json.dumps(self.limits(), separators=(",", ":")),
            "settings": self.as_json(),
        }

    def shown(self) -> dict[str, Any]:
        """What may be shown of them: everything but secrets."""
        data = self.model_dump(mode="json", by_alias=True)
        for *folders, name in SECRETS:
            holder = _inside(data, folders)
            if holder[name] is not None:
                holder[name] = HIDDEN
        return data

    def as_json(self) -> str:
        """The form that is stored: what was set, so that defaults stay defaults."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)

    def digest(self) -> str:
        """A fingerprint of the content, by which a changed declaration is told from the one applied last."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()[:16]


def changed_settings(present: RoomSettings, changes: Mapping[str, Any]) -> RoomSettings:
    """The settings with some of them changed; None takes one back to its default.

    Args:
        changes: by name, `gate.siteUrl` being one member of the part `gate`, and `gate` all of it. A secret sent
            back as it is shown stays as it is.

    Raises:
        ValueError: a setting cannot be so (a `ValidationError`), or there is none of that name.
        RecursionError: a value is nested too deep.
    """
    data = present.model_dump(mode="json", by_alias=True, exclude_unset=True)
    before = deepcopy(data)
    for name, value in changes.items():
        *folders, last = name.split(".")
        holder = data
        for folder in folders:
            holder = holder.setdefault(folder, {})
            if not isinstance(holder, dict):
                raise ValueError(f"there is no setting named {name}")
        holder[last] = deepcopy(value)
    for *folders, name in SECRETS:
        holder, known = _inside(data, folders), _inside(before, folders)
        if holder.get(name) == HIDDEN and name in known:
            holder[name] = known[name]
    return RoomSettings.model_validate(_without_none(data))


def problems_in(error: ValidationError, *within: str) -> list[str]:
    """What is wrong with settings, a sentence each: `gate.hosts.0: …`. What was given is not repeated; it may be secret."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    named = [(".".join(map(str, (*within, *item["loc"]))), item["msg"].removeprefix("Value error, ")) for item in found]
    return [f"{name}: {problem}" if name else problem for name, problem in named]


def _inside(data: Any, folders: Sequence[str]) -> dict[str, Any]:
    """The part of the settings that these names lead to; empty when it is not there."""
    for folder in folders:
        data = data.get(folder) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _without_none(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    return {name: _without_none(value) for name, value in data.items() if value is not None}
