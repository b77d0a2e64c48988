"""The container engine and its compose tool, as commands."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.servers import free_port

ROOT = Path(__file__).parents[2]


def run(*command: str, env: Mapping[str, str] | None = None, check: bool = True, within_s: float = 600) -> str:
    """A command's output; with `check`, a failure shows what it said."""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=within_s
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout + (done.stderr if not check else "")


def engine_is_there() -> bool:
    """Whether a container engine answers."""
    return (
        shutil.which("docker") is not None and subprocess.run(["docker", "info"], capture_output=True).returncode == 0
    )


def build(tag: str, network: str | None) -> str:
    """Build the image. `network` is where its RUN steps look for packages: `host` where only the host reaches an index."""
    run("docker", "build", *(["--network", network] if network else []), "--tag", tag, ".")
    return tag


class Project:
    """docker-compose.yml brought up under a name, a port and a network of its own."""

    def __init__(self, name: str, port: int, net: str, **env: str) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        site_port = free_port()
        self.site_url = f"http://127.0.0.1:{site_port}"
        self.env = {"STANCHION_PORT": str(port), "SITE_PORT": str(site_port), "STANCHION_NET": net, **env}
        modern = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
        self._command = ["docker", "compose"] if modern else ["docker-compose"]

    def compose(self, *args: str) -> str:
        return run(*self._command, "--project-name", self.name, *args, env=self.env)

    def version(self) -> str:
        return self.compose("version").splitlines()[0]

    def container(self, service: str) -> str:
        """The id of a service's container, running or not."""
        found = run(
            "docker",
            *("ps", "--all", "--quiet"),
            *("--filter", f"label=com.docker.compose.project={self.name}"),
            *("--filter", f"label=com.docker.compose.service={service}"),
        ).split()
        assert len(found) == 1, f"{service} has {len(found)} containers"
        return found[0]

    def inspect(self, service: str) -> dict[str, Any]:
        details: dict[str, Any] = json.loads(run("docker", "inspect", self.container(service)))[0]
        return details

    def health(self, service: str) -> str:
        state = self.inspect(service)["State"]
        return str((state.get("Health") or state)["Status"])

    def wait_until_healthy(self, *services: str, within_s: float = 90) -> None:
        deadline = time.monotonic() + within_s
        while True:
            health = {service: self.health(service) for service in services}
            if set(health.values()) <= {"healthy", "running"}:  # running: it has no health check
                return
            assert time.monotonic() < deadline, f"not healthy: {health}\n{self.logs()[-4000:]}"
            time.sleep(0.25)

    def inside(self, service: str, script: str) -> str:
        """What a shell in the container says, errors included."""
        return run("docker", "exec", self.container(service), "sh", "-c", script, check=False)

    def docker(self, verb: str, service: str, *options: str) -> None:
        """`docker stop|start|restart|kill` of one service."""
        run("docker", verb, *options, self.container(service))

    def logs(self, service: str | None = None) -> str:
        return self.compose("logs", "--no-color", *([service] if service else []))

    def down(self, *, volumes: bool) -> None:
        self.compose("down", "--remove-orphans", *(["--volumes"] if volumes else []))
