"""Running the box office on uvicorn."""

import socket

import uvicorn

from app.demo.site import SiteOptions, create_site
from app.errors import ConfigError

STOP_S = 3


def run_site(options: SiteOptions, host: str, port: int) -> None:
    """Serve the site until a signal says stop.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    config = uvicorn.Config(
        create_site(options),
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
        raise ConfigError([f"--port: cannot listen on {host}:{port}: {why}; choose another one"]) from None
    return listener
