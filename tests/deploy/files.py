"""The deployment files as data: Dockerfile, compose file, manifests, nginx's configuration."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from app.settings import SECRET_FIELDS, Settings

ROOT = Path(__file__).parents[2]

SETTING_NAMES = {name.upper() for name in Settings.model_fields} | {f"{name.upper()}_FILE" for name in SECRET_FIELDS}
"""Every name that app/settings reads."""

EXACT_TAG = re.compile(r"^[a-z0-9./-]+:\d+\.\d+\.\d+(-[a-z0-9.-]+)?(@sha256:[0-9a-f]{64})?$")
"""An image with a full version: no `latest`, nothing that moves from one minor version to the next."""


def compose() -> dict[str, Any]:
    """docker-compose.yml with its variables at their defaults."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(_with_defaults(text))
    return data


def compose_source() -> dict[str, Any]:
    """docker-compose.yml as written, `${…}` included."""
    data: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return data


def _with_defaults(text: str) -> str:
    """`${NAME:-default}` and `${NAME-default}` replaced by the default, as with an empty environment."""
    return re.sub(r"\$\{[A-Z_]+:?-([^}]*)\}", r"\1", text)


def replicas() -> dict[str, dict[str, Any]]:
    """The compose services that serve."""
    return {name: service for name, service in compose()["services"].items() if name.startswith("replica")}


def manifests() -> list[dict[str, Any]]:
    """Every document under k8s/, in the order in which `kubectl apply -f k8s` reads them."""
    paths = sorted((ROOT / "k8s").iterdir())
    assert all(path.suffix == ".yaml" for path in paths), "kubectl apply -f k8s would stumble over anything else"
    return [doc for path in paths for doc in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def manifest(kind: str, name: str = "stanchion") -> dict[str, Any]:
    """The one document of a kind and name."""
    found = [doc for doc in manifests() if doc["kind"] == kind and doc["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} documents {kind}/{name}"
    return found[0]


def title(doc: Mapping[str, Any]) -> str:
    """How a failing test names a manifest."""
    return f"{doc['kind']}/{doc['metadata']['name']}"


def workloads() -> list[dict[str, Any]]:
    """The manifests that make pods."""
    return [doc for doc in manifests() if "template" in doc.get("spec", {})]


def containers(doc: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A workload's containers, the initialising ones included."""
    pod = doc["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def dockerfile() -> list[tuple[str, str]]:
    """The Dockerfile's instructions as (NAME, rest), comments and line continuations taken away."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    lines = [line.strip() for line in joined.splitlines() if line.strip()]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def instructions(name: str, *, last_stage: bool = False) -> list[str]:
    """What each `NAME` instruction says, in the whole file or in the shipped stage only."""
    found = dockerfile()
    if last_stage:
        start = max(index for index, (word, _) in enumerate(found) if word == "FROM")
        found = found[start:]
    return [rest for word, rest in found if word == name]


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    pairs = [pair for line in instructions("ENV", last_stage=True) for pair in shlex.split(line)]
    return dict(pair.split("=", 1) for pair in pairs)


def nginx_files() -> dict[str, Path]:
    """What docker-compose.yml mounts into nginx's container: files and folders of ours by their place there."""
    files = {}
    for mount in compose()["services"]["nginx"]["volumes"]:
        source, target, mode = str(mount).split(":")
        assert mode == "ro"
        files[target] = ROOT / source
    return files


def nginx_conf() -> str:
    """nginx's configuration as docker-compose.yml mounts it."""
    return nginx_files()["/etc/nginx/nginx.conf"].read_text(encoding="utf-8")
