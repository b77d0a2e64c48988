"""The service itself: where it listens, where its data is, who may do what."""

import ipaddress
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator, model_validator

from app.settings.types import MIN_TOKEN_CHARS, CommaList, IPNetwork, default_data_dir, split_commas
from app.store_url import TLS_FILES, parse_store_url


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
        default_factory=default_data_dir,
        description="Folder of the embedded server's data and the generated admin token. "
        "Default: `~/.local/share/stanchion`.",
    )
    store_sync: Literal["always", "everysec"] = Field(
        "always",
        description="When the embedded server has a write on disk: `always` before it is answered, so that no crash loses "
        "it; `everysec` a second or two later, which asks less of a slow disk.",
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
    trusted_proxies: Annotated[tuple[IPNetwork, ...], BeforeValidator(split_commas)] = Field(
        (), description="Addresses or networks of proxies whose `X-Forwarded-*` headers are believed."
    )
    root_path: str = Field(
        "",
        max_length=200,
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="Prefix under which a proxy serves this on the site's own host, like `/_queue`; it may strip it or "
        "not.",
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

    @field_validator("redis_url")
    @classmethod
    def _usable_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            query = parse_store_url(url.get_secret_value()).query
            for name in TLS_FILES:
                if name in query and not Path(query[name]).is_file():
                    raise ValueError(f"the file of its {name} option is not there: {query[name]}")
        return url

    @field_validator("redis_addr")
    @classmethod
    def _host_and_port(cls, addr: str | None) -> str | None:
        if addr is not None:
            host, _, port = addr.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError("must be host:port, like localhost:6379")
        return addr

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

    @model_validator(mode="after")
    def _one_store(self) -> "ServerSettings":
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
