"""How rooms start out, and the tickets they give."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator

from app.settings.types import MIN_SECRET_BYTES, RoomName, Secrets, split_commas


class RoomSeedSettings(BaseModel):
    """The waiting rooms: how they start out, and the tickets they give."""

    rooms: Annotated[tuple[RoomName, ...], BeforeValidator(split_commas)] = Field(
        ("default",), description="Rooms that exist from the start; `default` is the one at `/join` and `/status`."
    )
    window_size: int = Field(10, ge=1, le=1_000_000, description="How many places a batch lets in.")
    window_interval: float = Field(30.0, ge=0.1, le=86_400, description="Seconds between two batches.")
    active_window_count: int = Field(
        2, ge=1, le=1000, description="How many intervals a ticket stays active once its turn has come."
    )
    jwt_secret: Secrets = Field(
        (),
        description="Key that signs tickets, at least 32 bytes; several, separated by commas, for rotation: the first "
        "signs, all verify. Without it the replicas share random keys through the store.",
    )
    ticket_ttl: int = Field(86_400, ge=60, le=31_536_000, description="Seconds a ticket is valid.")
    deployment: str = Field(
        "stanchion",
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9._:/-]+$",
        description="Name of this deployment, the `iss` of its tickets: tickets of another one are refused.",
    )
    refresh_interval: float = Field(
        0.25,
        ge=0.01,
        le=5,
        description="Seconds between two looks of a replica at its rooms; healing lasts two of them.",
    )
    poll_ceiling: float = Field(
        1000.0,
        gt=0,
        description="Polls a second, over all replicas and a whole room, that the waiting crowd is spread to.",
    )

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value().encode()) < MIN_SECRET_BYTES for secret in secrets):
            raise ValueError(f"every key must have at least {MIN_SECRET_BYTES} bytes; `openssl rand -hex 32` makes one")
        return secrets

    @field_validator("rooms")
    @classmethod
    def _with_default(cls, rooms: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("default", *rooms)))


class RoomFileSettings(BaseModel):
    """Rooms declared in a file, and how persons are kept unrecognisable."""

    identity_pepper: SecretStr | None = Field(
        None,
        description="Key of the pseudonyms under which identities are stored, the same on all replicas. Without it "
        "the room's `identitySecret` serves, or, with public keys, only the room's name.",
    )

    rooms_file: Path | None = Field(
        None,
        description="A YAML file that declares rooms; read again whenever it changes. It never undoes what an "
        "operator did to the running state.",
    )
