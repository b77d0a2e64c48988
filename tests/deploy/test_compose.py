"""docker-compose.yml: the settings exist and load, nothing leaves this machine, no secret has a default."""

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from app import __version__
from app.settings import SECRET_FIELDS, load_settings
from app.web.access import Access
from app.web.app import OPERATIONS
from app.web.server import SERVER_OPTIONS
from tests.deploy.files import (
    EXACT_TAG,
    ROOT,
    SETTING_NAMES,
    compose,
    compose_source,
    image_environment,
    nginx_conf,
    nginx_files,
    replicas,
)

SERVICES: dict[str, dict[str, Any]] = compose()["services"]


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_three_replicas_differ_in_name_and_address_only() -> None:
    three = replicas()
    assert [service["environment"]["APP_NAME"] for service in three.values()] == ["WORKER-1", "WORKER-2", "WORKER-3"]
    addresses = {service["networks"]["front"]["ipv4_address"] for service in three.values()}
    assert len(addresses) == 3
    same = [
        {**service, "environment": {**service["environment"], "APP_NAME": ""}, "networks": ""}
        for service in three.values()
    ]
    assert same[0] == same[1] == same[2]


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if "build" in service])
def test_every_variable_is_a_setting_and_all_of_them_load(name: str) -> None:
    environment = {key: str(value or "") for key, value in SERVICES[name]["environment"].items()}
    assert set(environment) <= SETTING_NAMES
    given = {key: value for key, value in {**image_environment(), **environment}.items() if key in SETTING_NAMES}
    settings = load_settings(given)
    assert name not in replicas() or settings.open_kinds == {"tasks", "locks"}
    assert SERVICES[name]["image"] == f"stanchion:{__version__}"


def test_no_secret_has_a_value_and_each_token_is_passed_through() -> None:
    for name, service in compose_source()["services"].items():
        for key, value in service.get("environment", {}).items():
            if key.lower() in SECRET_FIELDS and key != "REDIS_URL":
                assert value == f"${{{key}:-}}", f"{name}: {key} has a value of its own"
        assert "@" not in service.get("environment", {}).get("REDIS_URL", ""), f"{name}: a password in REDIS_URL"
    assert {"ADMIN_TOKEN", "TASK_TOKEN", "LOCK_TOKEN"} <= set(replicas()["replica1"]["environment"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_has_an_exact_version_and_every_root_is_read_only(name: str) -> None:
    service = SERVICES[name]
    assert EXACT_TAG.match(service["image"])
    assert service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]


def test_only_nginx_is_published_and_only_on_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"nginx": ["127.0.0.1:8080:8080", "127.0.0.1:8000:8000"]}
    assert set(re.findall(r"listen (\d+)", nginx_conf())) == {"8080", "8000"}
    assert compose()["networks"]["store"] == {"internal": True}
    assert SERVICES["store"]["networks"] == ["store"]


def test_three_workers_speak_to_nginx_by_a_name_that_it_answers_to() -> None:
    workers = [service for name, service in SERVICES.items() if name.startswith("worker")]
    assert [worker["environment"]["WORKER_ID"] for worker in workers] == ["worker-1", "worker-2", "worker-3"]
    (names,) = re.findall(r"server_name (localhost [^;]+);", nginx_conf())
    for worker in workers:
        assert worker["command"] == ["worker"]
        url = urlsplit(worker["environment"]["QUEUE_URL"])
        assert url.hostname in names.split()
        assert url.hostname in SERVICES
        assert f"listen {url.port};" in nginx_conf()
        assert "REDIS_URL" not in worker["environment"], "workers speak HTTP only"


def test_the_store_keeps_what_it_was_told() -> None:
    command = SERVICES["store"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    (volume,) = SERVICES["store"]["volumes"]
    name, path = volume.split(":")
    assert name in compose()["volumes"]
    assert command[command.index("--dir") + 1] == path


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_and_waits_for_what_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert "healthcheck" in service or "build" in service, "only our own image brings a health check"
    for needed in service.get("depends_on", {}).values():
        assert needed == {"condition": "service_healthy"}


def test_a_stopping_replica_has_the_time_that_its_settings_promise() -> None:
    for service in replicas().values():
        settings = load_settings({name: service["environment"][name] for name in ("DRAIN_SECONDS", "STOP_SECONDS")})
        assert _seconds(service["stop_grace_period"]) > settings.drain_seconds + settings.stop_seconds


def test_nginx_knows_the_replicas_and_is_the_one_proxy_they_trust() -> None:
    port = image_environment()["PORT"]
    upstream = re.findall(r"^\s*server (replica\S+?):(\d+) ", nginx_conf(), flags=re.MULTILINE)
    assert upstream == [(name, port) for name in replicas()]
    own = SERVICES["nginx"]["networks"]["front"]["ipv4_address"]
    (network,) = compose()["networks"]["front"]["ipam"]["config"]
    assert ipaddress.ip_address(own) in ipaddress.ip_network(network["subnet"])
    hosts = dict(entry.split(":") for entry in SERVICES["nginx"]["extra_hosts"])
    for name, service in replicas().items():
        assert service["environment"]["TRUSTED_PROXIES"] == own
        assert hosts[name] == service["networks"]["front"]["ipv4_address"]


def test_nginx_finds_what_it_includes_and_the_site_that_it_guards() -> None:
    files = nginx_files()
    wanted = re.findall(r"include (\S+);", nginx_conf())
    snippets = files["/etc/nginx/snippets"]
    wanted += [
        name for path in snippets.iterdir() for name in re.findall(r"^\s*include (\S+);", path.read_text(), re.M)
    ]
    for name in wanted:
        assert (snippets / name.removeprefix("/etc/nginx/snippets/")).is_file(), f"{name} is not there"
    assert files["/etc/nginx/please-wait.html"].is_file()
    site = SERVICES["site"]
    command = site["command"]
    port = command[command.index("--port") + 1]
    assert re.findall(r"^\s*server site:(\d+);", nginx_conf(), flags=re.MULTILINE) == [port]
    hosts = dict(entry.split(":") for entry in SERVICES["nginx"]["extra_hosts"])
    assert hosts["site"] == site["networks"]["front"]["ipv4_address"]
    assert "ports" not in site, "nobody gets past nginx"


def test_the_sites_visitors_find_the_waiting_room_where_the_replicas_say_it_is() -> None:
    gate = (nginx_files()["/etc/nginx/snippets"] / "stanchion-gate.conf").read_text(encoding="utf-8")
    for service in replicas().values():
        prefix = service["environment"]["ROOT_PATH"]
        assert f"http://replicas{prefix}/gate/default?mode=status" in gate


def test_nginx_closes_idle_connections_before_a_replica_does() -> None:
    (nginx_s,) = re.findall(r"^ {8}keepalive_timeout (\d+)s;", nginx_conf(), flags=re.MULTILINE)
    assert int(nginx_s) < SERVER_OPTIONS["timeout_keep_alive"]


def test_nginx_waits_longer_than_anybody_waits_in_line() -> None:
    (read_s,) = re.findall(r"proxy_read_timeout (\d+)s;", nginx_conf())
    settings = load_settings({})
    assert int(read_s) > settings.lock_max_wait
    assert int(read_s) > settings.lock_wait + settings.lock_upstream_timeout


def test_nginx_guards_every_route_that_is_open_without_a_token() -> None:
    (pattern,) = re.findall(r'map \$request_uri \$waiting_room \{\s*default 0;\s*"~(.+?)" 1;', nginx_conf())
    unguarded = re.compile(pattern)
    for operation in OPERATIONS:
        if operation.access in (Access.TASKS, Access.LOCKS):
            for written in (operation.path, f"{operation.path}/..%2f..%2fjoin", f"{operation.path}?/join"):
                assert not unguarded.match(written), f"nginx.conf leaves {written} to pages of other sites"


def test_the_health_check_of_nginx_asks_a_path_that_exists() -> None:
    (path,) = re.findall(r"http://127\.0\.0\.1:8080(/\S+)", " ".join(SERVICES["nginx"]["healthcheck"]["test"]))
    assert path in {operation.path for operation in OPERATIONS}


def test_the_page_on_containers_names_every_variable_with_its_default() -> None:
    page = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
    source = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for name, default in re.findall(r"\$\{([A-Z_]+):?-([^}]*)\}", source):
        (row,) = [line for line in page.splitlines() if line.startswith("|") and f"`{name}`" in line]
        assert default == "" or f"`{default}`" in row, f"{name} is {default}, and the page says: {row}"
