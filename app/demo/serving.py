"""The box office put together, and run on uvicorn."""

import socket

import uvicorn
from starlette.types import ASGIApp

from app.demo.guard import Guard, GuardOptions
from app.demo.queue_path import QueuePath
from app.demo.site import OPEN_PATHS, SiteOptions, create_site
from app.errors import ConfigError

STOP_S = 3
QUEUE_PATH = "/_queue"
"""Below this path the site itself hands visitors on to the service."""


def create_box_office(options: SiteOptions, guard_room: str | None = None) -> ASGIApp:
    """The site, alone or with its own guard around it, for where no proxy stands in front."""
    site = create_site(options)
    if guard_room is None:
        return site
    guard = Guard(site, GuardOptions(options.service_url, guard_room, OPEN_PATHS))
    return QueuePath(guard, options.service_url, QUEUE_PATH)


def run_site(options: SiteOptions, host: str, port: int, guard_room: str | None = None) -> None:
    """Serve the site until a signal says stop.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    config = uvicorn.Config(
        create_box_office(options, guard_room),
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=STOP_S,
    )
    with listening_socket(host, port) as listener:
        uvicorn.Server(config).run(sockets=[listener])


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket bound by us, so that a port in use is one clear line.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        why = error.strerror or error
        raise ConfigError([f"cannot listen on {host}:{port}: {why}; choose another port"]) from None
    return listener
