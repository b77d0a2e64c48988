"""The waiting page and its pushed updates."""

from pathlib import Path

from pydantic import BaseModel, Field


class PageSettings(BaseModel):
    """The waiting page, and its pushed updates: `/rooms/{room}/events`."""

    template_dir: Path | None = Field(
        None, description="Folder of templates that replace the waiting page's own; trusted like code."
    )
    max_streams: int = Field(
        10_000, ge=0, description="Streams that one replica keeps open; beyond, pages ask for the status instead."
    )
    stream_keep_alive: float = Field(
        15.0, ge=1, le=300, description="Seconds of silence after which a stream gets a comment that keeps it open."
    )
