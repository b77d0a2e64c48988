"""What the operating commands need to find the service."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from app.errors import ConfigError
from app.settings.loading import explain
from app.settings.types import default_data_dir


class ClientSettings(BaseModel):
    """Where the command line finds the service, and what it shows as its token."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    stanchion_url: str = Field(
        "http://localhost:3000", pattern=r"^https?://", description="Address of the service that the commands operate."
    )
    admin_token: SecretStr | None = Field(
        None, description="The operator's token; else the one kept in the data folder."
    )
    data_dir: Path = Field(default_factory=default_data_dir, description="Where an embedded service keeps its token.")


def load_client_settings(environ: Mapping[str, str] | None = None) -> ClientSettings:
    """Read what the operating commands need: `STANCHION_URL`, `ADMIN_TOKEN` (or its file), `DATA_DIR`.

    Raises:
        ConfigError: with one line for every value that cannot be used.
    """
    environ = os.environ if environ is None else environ
    names = ("STANCHION_URL", "ADMIN_TOKEN", "DATA_DIR")
    values = {name.lower(): environ[name] for name in names if environ.get(name)}
    try:
        if "admin_token" not in values and environ.get("ADMIN_TOKEN_FILE"):
            values["admin_token"] = Path(environ["ADMIN_TOKEN_FILE"]).read_text(encoding="utf-8").strip()
        settings = ClientSettings(**values)  # type: ignore[arg-type]  # strings, parsed by pydantic
        kept = settings.data_dir.expanduser() / "admin-token"
        if settings.admin_token is None and kept.exists():
            token = SecretStr(kept.read_text(encoding="utf-8").strip())
            settings = settings.model_copy(update={"admin_token": token})
    except ValidationError as error:
        raise ConfigError([explain(item, values) for item in error.errors()]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"ADMIN_TOKEN_FILE: cannot be read: {error}"]) from None
    return settings
