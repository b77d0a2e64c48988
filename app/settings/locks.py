"""The ID locks."""

from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator


class LockSettings(BaseModel):
    """The ID locks: `/lock`, `/request/{id}` and `/locks/{id}`."""

    lock_upstream_url: str | None = Field(
        None,
        max_length=2000,
        description="Where `/lock` and `/request/{id}` do their work, with `{id}` in its path or query: "
        "`http://shop.internal/items/{id}`. Without it the work is simulated.",
    )
    lock_upstream_timeout: float = Field(
        60.0, ge=0.1, le=3600, description="Seconds the upstream may be silent before its call is given up."
    )
    processing_time_ms: int = Field(
        1000, ge=0, le=600_000, description="Mean of the simulated work in milliseconds; its spread is a sixth of it."
    )
    lock_wait: float = Field(
        120.0, gt=0, le=3600, description="Seconds a `/request/{id}` waits in line before it is answered 504."
    )
    lock_lease: float = Field(
        10.0,
        ge=0.3,
        le=3600,
        description="Seconds after which the lock of a replica that died is free again; live ones renew it.",
    )
    lock_max_lease: float = Field(3600.0, ge=1, le=86_400, description="Longest `leaseMs` a program may ask for.")
    lock_max_wait: float = Field(600.0, ge=1, le=3600, description="Longest `waitMs` a program may ask for.")
    lock_max_waiters: int = Field(
        10_000, ge=1, le=1_000_000, description="How many may stand in line for one lock; further ones get 503."
    )

    @field_validator("lock_upstream_url")
    @classmethod
    def _usable_upstream(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("must start with http:// or https:// and name a host")
            if "{id}" not in parts.path + "?" + parts.query:
                raise ValueError("must hold {id} in its path or query, for the id of the lock")
            if parts.fragment or "{" in parts.netloc:
                raise ValueError("may not hold a fragment, nor {id} in its host")
        return url
