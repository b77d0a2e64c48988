"""The configurations that no test runs: well-formed, and true to the gate and to the ones that tests do run."""

import re
from typing import Any

import kubernetes_validate
import yaml

from app.web.app import OPERATIONS
from tests.proxies.programs import EXAMPLES

GATE = "/_queue/gate/default"
ASKED = {"x-waiting-room", "x-waiting-room-session"}
VISITORS_MAY_NOT_SAY = {"x-original-method", "x-original-uri", "x-original-url", "x-waiting-room", "x-waiting-room-end"}


def _documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")))


def test_traefik_asks_the_gate_and_takes_away_what_visitors_may_not_say() -> None:
    (traefik,) = _documents("traefik/dynamic.yaml")
    http = traefik["http"]
    gate = http["middlewares"]["gate"]["forwardAuth"]
    assert gate["address"].endswith(f":3000{GATE}")
    assert gate["trustForwardHeader"] is False
    assert gate["preserveLocationHeader"] is True
    assert {name.lower() for name in gate["authResponseHeaders"]} == ASKED
    assert gate["addAuthCookiesToResponse"] == ["__Host-stanchion-pass-default"]
    taken = http["middlewares"]["nothing-of-the-visitors"]["headers"]["customRequestHeaders"]
    assert {name.lower() for name in taken} >= VISITORS_MAY_NOT_SAY
    assert set(taken.values()) == {""}
    assert http["routers"]["site"]["middlewares"] == ["nothing-of-the-visitors", "gate"], "in this order"
    for router in http["routers"].values():
        assert router["service"] in http["services"]
        assert set(router["middlewares"]) <= set(http["middlewares"])


def test_envoy_asks_the_gate_about_everything_but_what_is_open() -> None:
    (envoy,) = _documents("envoy/envoy.yaml")
    (listener,) = envoy["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    ask, router = manager["http_filters"]
    assert router["name"] == "envoy.filters.http.router", "the last one"
    config = ask["typed_config"]
    assert config["http_service"]["path_prefix"] == GATE + "/for"
    assert config["failure_mode_allow"] is False
    sent = {pattern.get("exact", pattern.get("prefix")) for pattern in config["allowed_headers"]["patterns"]}
    assert {"cookie", "accept", "x-forwarded-for", "x-forwarded-proto", "x-waiting-room-pass"} <= sent
    assert not sent & VISITORS_MAY_NOT_SAY
    answer = config["http_service"]["authorization_response"]
    assert {pattern["exact"] for pattern in answer["allowed_upstream_headers"]["patterns"]} == ASKED
    assert {"location", "retry-after"} <= {pattern["exact"] for pattern in answer["allowed_client_headers"]["patterns"]}
    assert manager["use_remote_address"] and manager["normalize_path"]
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    assert "typed_per_filter_config" not in routes[-1], "the site is asked about"
    clusters = {cluster["name"] for cluster in envoy["static_resources"]["clusters"]}
    assert {route["route"]["cluster"] for route in routes if "route" in route} == clusters


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


def test_the_paths_that_they_open_are_the_ones_that_are_run_with_nginx() -> None:
    nginx = (EXAMPLES / "nginx" / "stanchion-gate.conf").read_text(encoding="utf-8")
    (listed,) = re.findall(r"location ~ \^/_queue/\(([^)]+)\)", nginx)
    opened = {part.replace("\\", "").rstrip("/") for part in listed.split("|")}
    (traefik,) = _documents("traefik/dynamic.yaml")
    rule = traefik["http"]["routers"]["waiting-room"]["rule"]
    assert set(re.findall(r"PathPrefix\(`/_queue/([^/`]+)/`\)", rule)) == opened
    room = _documents("ingress-nginx/ingress.yaml")[2]
    paths = {path["path"].rpartition("/")[2] for path in room["spec"]["rules"][0]["http"]["paths"]}
    assert paths == opened
    for part in opened - {"static"}:
        assert [operation for operation in OPERATIONS if operation.path.startswith(f"/{part}/")]
