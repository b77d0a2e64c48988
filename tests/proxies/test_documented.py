"""The configuration that no test runs, ingress-nginx: well-formed, and true to the gate and to the nginx that tests do run."""

import re
from typing import Any

import kubernetes_validate
import yaml

from app.web.app import OPERATIONS
from tests.proxies.programs import EXAMPLES

GATE = "/_queue/gate/default"
ASKED = {"x-waiting-room", "x-waiting-room-session"}
CONTROLLER_SETS = {"host", "x-forwarded-for", "x-original-method", "x-original-url"}
"""Headers of the question to the gate that the controller's template writes by itself."""
OF_THE_ANSWER = {"connection", "x-waiting-room-end"}
"""What nginx sets besides: of the connection, and for the end of a visit, which this controller cannot tell."""


def _documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")))


def test_ingress_nginx_is_valid_and_asks_by_status() -> None:
    documents = _documents("ingress-nginx/ingress.yaml")
    for document in documents:
        kubernetes_validate.validate(document, "1.29", strict=True)
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    site, headers, room = documents
    notes = {name.partition("/")[2]: value for name, value in site["metadata"]["annotations"].items()}
    assert notes["auth-url"].endswith(f"{GATE}?mode=status")
    assert "auth-method" not in notes
    assert notes["auth-proxy-set-headers"] == f"{headers['metadata']['namespace']}/{headers['metadata']['name']}"
    assert {name.strip().lower() for name in notes["auth-response-headers"].split(",")} == ASKED
    assert not [name for name in room["metadata"]["annotations"] if "auth" in name]


def test_ingress_nginx_tells_the_gate_of_every_header_that_nginx_tells_it_of() -> None:
    nginx = (EXAMPLES / "nginx" / "stanchion-headers.conf").read_text(encoding="utf-8")
    told = {name.lower() for name in re.findall(r"^proxy_set_header (\S+)", nginx, flags=re.MULTILINE)}
    site, headers, _ = _documents("ingress-nginx/ingress.yaml")
    given = {name.lower() for name in headers["data"]}
    notes = {name.partition("/")[2]: value for name, value in site["metadata"]["annotations"].items()}
    to_the_site = {name.strip().lower() for name in notes["auth-response-headers"].split(",")}
    assert told - OF_THE_ANSWER == given | CONTROLLER_SETS | to_the_site
    assert not given & CONTROLLER_SETS


def test_the_paths_that_it_opens_are_the_ones_that_are_run_with_nginx() -> None:
    nginx = (EXAMPLES / "nginx" / "stanchion-gate.conf").read_text(encoding="utf-8")
    (listed,) = re.findall(r"location ~ \^/_queue/\(([^)]+)\)", nginx)
    opened = {part.replace("\\", "").rstrip("/") for part in listed.split("|")}
    room = _documents("ingress-nginx/ingress.yaml")[2]
    paths = {path["path"].rpartition("/")[2] for path in room["spec"]["rules"][0]["http"]["paths"]}
    assert paths == opened
    for part in opened - {"static"}:
        assert [operation for operation in OPERATIONS if operation.path.startswith(f"/{part}/")]
