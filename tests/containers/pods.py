"""The pods of k8s/, run by the local engine as the manifests write them: user, arguments, environment, probes' paths.

No substitute for a cluster, but it shows what fails there most often: a file system that is read-only after all, a user
that may not write its volume, a variable that is refused, an order of starting that was taken for granted.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.containers.engine import run
from tests.deploy.files import containers, manifest
from tests.support.servers import free_port


def the_pods_of_the_manifests_run(project: str) -> str:
    """Apply them in the worst order, replica first; join; then stop the replica as a kubelet would."""
    deployment, stateful = manifest("Deployment"), manifest("StatefulSet", "stanchion-store")
    settings: dict[str, str] = manifest("ConfigMap")["data"]
    name, port = f"{project}-pods", free_port()
    with _network_and_volume(name), TemporaryDirectory() as rooms:
        Path(rooms).chmod(0o755)
        for file, content in manifest("ConfigMap", "stanchion-rooms")["data"].items():
            (Path(rooms) / file).write_text(content)
        options = (f"--publish=127.0.0.1:{port}:3000", f"--volume={rooms}:/etc/stanchion:ro")
        server = _start(f"{name}-server", deployment, settings, *options)
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5, trust_env=False)
        paths = {
            probe: containers(deployment)[0][probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")
        }
        _until_status(client, paths["livenessProbe"], 200)
        _until_status(client, paths["readinessProbe"], 503)
        store = _start(
            f"{name}-store", stateful, {}, f"--volume={name}:/data:nocopy", "--network-alias=stanchion-store"
        )
        waited_s = _until_status(client, paths["readinessProbe"], 200)
        probe = containers(stateful)[0]["readinessProbe"]["exec"]["command"]
        run("docker", "exec", store, *probe)
        assert client.post("/join").json()["position"] == 1
        started_s = time.monotonic()
        run("docker", "kill", "--signal", "TERM", server)
        _until_status(client, paths["readinessProbe"], 503)
        assert client.post("/join").json()["position"] == 2, "a draining replica still serves"
        code = run("docker", "wait", server).strip()
        took_s = time.monotonic() - started_s
        grace_s = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert code == "0", f"exit code {code}: {run('docker', 'logs', server, check=False)[-2000:]}"
        assert float(settings["DRAIN_SECONDS"]) <= took_s < grace_s
    return (
        f"alive before the store, ready {waited_s:.1f} s after it was started; SIGTERM: unready at once, "
        f"still serving, gone after {took_s:.1f} s of {grace_s} s"
    )


@contextlib.contextmanager
def _network_and_volume(name: str) -> Iterator[None]:
    """What the cluster would give: a network, and a volume that the store's group may write."""
    _remove(name)
    run("docker", "network", "create", name)
    security = manifest("StatefulSet", "stanchion-store")["spec"]["template"]["spec"]["securityContext"]
    (store,) = containers(manifest("StatefulSet", "stanchion-store"))
    group = f"chgrp {security['fsGroup']} /data && chmod 2775 /data"
    run(
        "docker",
        "run",
        "--rm",
        "--user=0",
        f"--volume={name}:/data:nocopy",
        "--entrypoint=sh",
        store["image"],
        "-c",
        group,
    )
    try:
        yield
    finally:
        _remove(name)


def _remove(name: str) -> None:
    run("docker", "rm", "--force", f"{name}-server", f"{name}-store", check=False)
    run("docker", "network", "rm", name, check=False)
    run("docker", "volume", "rm", name, check=False)


def _start(name: str, workload: dict[str, Any], environment: dict[str, str], *options: str) -> str:
    """One container of a workload, as its pod would run it."""
    pod = workload["spec"]["template"]["spec"]
    (container,) = containers(workload)
    security = pod["securityContext"]
    mounts = [f"--tmpfs={mount['mountPath']}" for mount in container["volumeMounts"] if mount["name"] == "tmp"]
    command = container.get("command", [])
    run(
        *("docker", "run", "--detach", f"--name={name}", f"--network={name.rpartition('-')[0]}", *options),
        *("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true", *mounts),
        f"--user={security['runAsUser']}:{security['runAsGroup']}",
        *([f"--group-add={security['fsGroup']}"] if "fsGroup" in security else []),
        *(f"--env={key}={value}" for key, value in environment.items()),
        *([f"--entrypoint={command[0]}"] if command else []),
        container["image"],
        *command[1:],
        *container.get("args", []),
    )
    return name


def _until_status(client: httpx.Client, path: str, status: int, within_s: float = 30) -> float:
    """Ask until the answer is `status`; the seconds that it took."""
    started_s = time.monotonic()
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if client.get(path).status_code == status:
                return time.monotonic() - started_s
        assert time.monotonic() - started_s < within_s, f"{path} did not answer {status} within {within_s} s"
        time.sleep(0.1)
