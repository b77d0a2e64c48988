"""A room's settings: what an operator may say about it. They live in Redis, versioned."""

import hashlib

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class RoomSettings(BaseModel):
    """Everything that can be set for one room."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    window_size: int = Field(10, ge=1, le=1_000_000, description="How many places a batch lets in.")
    window_interval_seconds: float = Field(30.0, ge=0.1, le=86_400, description="Seconds between two batches.")
    active_window_count: int = Field(
        2, ge=1, le=1000, description="How many intervals a ticket stays active once its turn has come."
    )

    @property
    def interval_ms(self) -> int:
        """The interval in whole milliseconds."""
        return round(self.window_interval_seconds * 1000)

    @property
    def active_ms(self) -> int:
        """How long a turn lasts."""
        return self.active_window_count * self.interval_ms

    def as_json(self) -> str:
        """The form that is stored."""
        return self.model_dump_json(by_alias=True)

    def digest(self) -> str:
        """A fingerprint of the content, by which a changed declaration is told from the one applied last."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()[:16]
