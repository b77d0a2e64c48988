"""Pushed updates."""

from pydantic import BaseModel, Field


class StreamSettings(BaseModel):
    """Pushed updates: `/rooms/{room}/events`."""

    max_streams: int = Field(
        10_000, ge=0, description="Streams that one replica keeps open; beyond, pages ask for the status instead."
    )
    stream_keep_alive: float = Field(
        15.0, ge=1, le=300, description="Seconds of silence after which a stream gets a comment that keeps it open."
    )
