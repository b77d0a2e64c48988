"""Everything that can be set from outside. The only module that reads the environment.

Each field is one environment variable of the same name in capitals; secrets also have a `NAME_FILE`
form that names a file to read. `load_settings` reports every bad value at once, by name.
"""

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from app.errors import ConfigError

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

MIN_SECRET_BYTES = 32
MIN_TOKEN_CHARS = 16
ROOM_NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
STORE_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


def is_room_name(name: object) -> bool:
    """Whether a room may be called so."""
    return isinstance(name, str) and re.match(ROOM_NAME_PATTERN, name) is not None


def _split_commas(value: Any) -> Any:
    """`"a, b"` and `["a", "b"]` are the same list; empty items are dropped."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "stanchion"


CommaList = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split_commas)]
RoomName = Annotated[str, Field(pattern=ROOM_NAME_PATTERN)]


class ServerSettings(BaseModel):
    """Where the service listens, where its data is, and who may do what."""

    host: str = Field("127.0.0.1", description="Address to listen on. `0.0.0.0` means every interface.")
    port: int = Field(3000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    app_name: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=100,
        description="Name of this replica, in answers of the grab demo, logs and metrics. Default: the host name.",
    )
    redis_url: SecretStr | None = Field(
        None,
        description="The store: `redis://`, `rediss://`, `unix://`, `redis+sentinel://h1:p1,h2:p2/service`, "
        "`redis+cluster://h1:p1,h2:p2`. Without it (and without `REDIS_ADDR`) an embedded server is started.",
    )
    redis_addr: str | None = Field(None, description="The store as plain `host:port`; `REDIS_URL` is the fuller form.")
    data_dir: Path = Field(
        default_factory=_default_data_dir,
        description="Folder of the embedded server's data and the generated admin token. "
        "Default: `~/.local/share/stanchion`.",
    )
    admin_token: SecretStr | None = Field(
        None,
        description="Bearer token of the operator. With the embedded store one is generated and kept in the data folder.",
    )
    task_token: SecretStr | None = Field(None, description="Bearer token of producers and workers of tasks.")
    lock_token: SecretStr | None = Field(None, description="Bearer token of programs that take ID locks.")
    open_routes: CommaList | None = Field(
        None,
        description="Which of `tasks`, `locks` need no token. Default: both when the store is embedded and the "
        "service listens on loopback only; otherwise none.",
    )
    allowed_origins: CommaList = Field(
        (), description="Origins of other sites whose pages may call the API (CORS), like `https://shop.example`."
    )
    trusted_proxies: Annotated[tuple[IPNetwork, ...], BeforeValidator(_split_commas)] = Field(
        (), description="Addresses or networks of proxies whose `X-Forwarded-*` headers are believed."
    )
    drain_seconds: float = Field(
        0.0, ge=0, le=300, description="How long `/readyz` fails before a stopping replica stops listening."
    )
    stop_seconds: float = Field(
        10.0,
        ge=0,
        le=600,
        description="How long requests in flight and open streams may take once it has stopped listening.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`, `console`, or `auto`: console on a terminal, JSON elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")


class RoomSeedSettings(BaseModel):
    """The waiting rooms: how they start out, and the tickets they give."""

    rooms: Annotated[tuple[RoomName, ...], BeforeValidator(_split_commas)] = Field(
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


class Settings(ServerSettings, RoomSeedSettings, LockSettings, RoomFileSettings):
    """All settings together, validated."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and url.get_secret_value().split("://")[0] not in STORE_SCHEMES:
            raise ValueError(f"must start with one of {', '.join(s + '://' for s in STORE_SCHEMES)}")
        return url

    @field_validator("redis_addr")
    @classmethod
    def _host_and_port(cls, addr: str | None) -> str | None:
        if addr is not None:
            host, _, port = addr.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError("must be host:port, like localhost:6379")
        return addr

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value().encode()) < MIN_SECRET_BYTES for secret in secrets):
            raise ValueError(f"every key must have at least {MIN_SECRET_BYTES} bytes; `openssl rand -hex 32` makes one")
        return secrets

    @field_validator("admin_token", "task_token", "lock_token")
    @classmethod
    def _not_guessable(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < MIN_TOKEN_CHARS:
            raise ValueError(f"must have at least {MIN_TOKEN_CHARS} characters; `openssl rand -hex 24` makes one")
        return token

    @field_validator("open_routes")
    @classmethod
    def _known_routes(cls, routes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        unknown = set(routes or ()) - {"tasks", "locks"}
        if unknown:
            raise ValueError(f"may name tasks and locks, not {', '.join(sorted(unknown))}")
        return routes

    @field_validator("allowed_origins")
    @classmethod
    def _plain_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or not rest or "/" in rest or "*" in rest:
                raise ValueError(f"must be origins like https://shop.example, without a path: {origin}")
        return origins

    @field_validator("rooms")
    @classmethod
    def _with_default(cls, rooms: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("default", *rooms)))

    @model_validator(mode="after")
    def _one_store(self) -> "Settings":
        if self.redis_url is not None and self.redis_addr is not None:
            raise ValueError("REDIS_URL and REDIS_ADDR are both set; keep one")
        return self

    @property
    def store_url(self) -> str | None:
        """The store's address, or None when the embedded server is to be started."""
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        return f"redis://{self.redis_addr}/0" if self.redis_addr else None

    @property
    def embedded(self) -> bool:
        """Whether this process brings its own store."""
        return self.store_url is None

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def open_kinds(self) -> frozenset[str]:
        """Which of tasks and locks need no token."""
        if self.open_routes is None:
            return frozenset({"tasks", "locks"} if self.embedded and self.on_loopback else ())
        return frozenset(self.open_routes)


SECRET_FIELDS = ("identity_pepper", "jwt_secret", "admin_token", "task_token", "lock_token", "redis_url")
"""Settings that also have a `NAME_FILE` form."""


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment (or a mapping like it).

    Raises:
        ConfigError: with one line for every value that cannot be used.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    values: dict[str, str] = {}
    for name in Settings.model_fields:
        if environ.get(name.upper(), "") != "":
            values[name] = environ[name.upper()]
    for name in SECRET_FIELDS:
        path = environ.get(f"{name.upper()}_FILE", "")
        if not path:
            continue
        if name in values:
            problems.append(f"{name.upper()} and {name.upper()}_FILE are both set; keep one")
            continue
        try:
            values[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{name.upper()}_FILE: cannot read {path}: {error}")
    try:
        settings = Settings(**values)  # type: ignore[arg-type]  # the strings of the environment are parsed by pydantic
    except ValidationError as error:
        problems += [_explain(item, values) for item in error.errors()]
    if problems:
        raise ConfigError(problems)
    return settings


def _explain(item: Any, values: Mapping[str, str]) -> str:
    """One validation error as `NAME: what is wrong (got what)`, without ever printing a secret."""
    message = str(item["msg"]).removeprefix("Value error, ")
    if not item["loc"]:
        return message
    name = str(item["loc"][0])
    if name in SECRET_FIELDS:
        return f"{name.upper()}: {message}"
    return f"{name.upper()}: {message} (got {values.get(name, '')!r})"


class ClientSettings(BaseModel):
    """Where the command line finds the service, and what it shows as its token."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    stanchion_url: str = Field(
        "http://localhost:3000", pattern=r"^https?://", description="Address of the service that the commands operate."
    )
    admin_token: SecretStr | None = Field(
        None, description="The operator's token; else the one kept in the data folder."
    )
    data_dir: Path = Field(default_factory=_default_data_dir, description="Where an embedded service keeps its token.")


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
        raise ConfigError([_explain(item, values) for item in error.errors()]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"ADMIN_TOKEN_FILE: cannot be read: {error}"]) from None
    return settings
