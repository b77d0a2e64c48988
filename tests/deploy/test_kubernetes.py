"""k8s/: valid to the letter, true to the settings, without a secret, shut tight."""

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app import __version__
from app.settings import SECRET_FIELDS, load_settings
from app.web.app import OPERATIONS
from tests.deploy.files import (
    EXACT_TAG,
    ROOT,
    SETTING_NAMES,
    compose,
    containers,
    image_environment,
    instructions,
    manifest,
    manifests,
    title,
    workloads,
)

OLDEST = "1.29"
"""The oldest Kubernetes that the manifests are checked against; docs/kubernetes.md names it."""


def _server() -> dict[str, Any]:
    (container,) = containers(manifest("Deployment"))
    return container


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("doc", manifests(), ids=title)
def test_every_manifest_is_valid_to_the_letter(doc: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(doc, version, strict=True)


def test_the_namespace_comes_first_and_holds_everything_else() -> None:
    first, *rest = manifests()
    assert first["kind"] == "Namespace"
    assert first["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {doc["metadata"]["namespace"] for doc in rest} == {first["metadata"]["name"]}


def test_what_a_cluster_needs_is_there() -> None:
    assert {title(doc) for doc in manifests()} >= {
        "ConfigMap/stanchion",
        "Deployment/stanchion",
        "Deployment/stanchion-worker",
        "HorizontalPodAutoscaler/stanchion",
        "Namespace/stanchion",
        "NetworkPolicy/nobody",
        "NetworkPolicy/server",
        "NetworkPolicy/store",
        "NetworkPolicy/worker",
        "PodDisruptionBudget/stanchion",
        "Service/stanchion",
        "Service/stanchion-store",
        "StatefulSet/stanchion-store",
    }
    assert manifest("Deployment")["spec"]["replicas"] == 3


@pytest.mark.parametrize("doc", workloads(), ids=title)
def test_every_pod_is_shut_tight(doc: dict[str, Any]) -> None:
    pod = doc["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(doc):
        assert EXACT_TAG.match(container["image"])
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def test_the_replicas_are_the_image_that_is_built_here() -> None:
    assert _server()["image"] == f"stanchion:{__version__}"
    (user,) = instructions("USER", last_stage=True)
    security = manifest("Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert user == f"{security['runAsUser']}:{security['runAsGroup']}"


def test_compose_and_kubernetes_run_the_same_images() -> None:
    in_cluster = {container["image"] for doc in workloads() for container in containers(doc)}
    on_one_machine = {service["image"] for service in compose()["services"].values()}
    assert in_cluster == on_one_machine


def test_every_variable_is_a_setting_and_all_of_them_load() -> None:
    data: dict[str, str] = manifest("ConfigMap")["data"]
    ours = [pod for doc in workloads() for pod in containers(doc) if pod["image"].startswith("stanchion:")]
    assert set(data) | {item["name"] for pod in ours for item in pod.get("env", [])} <= SETTING_NAMES
    given = {name: value for name, value in image_environment().items() if name in SETTING_NAMES}
    settings = load_settings({**given, **data})
    assert not settings.embedded
    assert not settings.open_kinds, "in a cluster nothing is open without a token"


def test_no_secret_is_written_down_and_none_is_needed() -> None:
    assert not [title(doc) for doc in manifests() if doc["kind"] == "Secret"]
    data: dict[str, str] = manifest("ConfigMap")["data"]
    assert {name for name in data if name.lower() in SECRET_FIELDS} == {"REDIS_URL"}
    assert "@" not in data["REDIS_URL"]
    by_name = {item["name"]: item for item in _server()["env"]}
    for field in SECRET_FIELDS:
        reference = by_name[field.upper()]["valueFrom"]["secretKeyRef"]
        assert reference == {"name": "stanchion-secrets", "key": field.upper(), "optional": True}
    assert all("value" not in item for item in by_name.values())


def test_probes_ask_paths_that_exist() -> None:
    server = _server()
    assert server["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert server["readinessProbe"]["httpGet"]["path"] == "/readyz"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = ("GET", server[probe]["httpGet"]["path"])
        assert asked in {(operation.method, operation.path) for operation in OPERATIONS}


def test_ports_agree_from_the_image_to_the_service_and_the_network_policy() -> None:
    port = int(image_environment()["PORT"])
    assert _server()["ports"] == [{"name": "http", "containerPort": port}]
    assert manifest("Service")["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]
    (allowed,) = manifest("NetworkPolicy", "server")["spec"]["ingress"]
    assert [rule["port"] for rule in allowed["ports"]] == [port]
    annotations = manifest("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port)
    (store,) = containers(manifest("StatefulSet", "stanchion-store"))
    (store_port,) = store["ports"]
    (service_port,) = manifest("Service", "stanchion-store")["spec"]["ports"]
    url = manifest("ConfigMap")["data"]["REDIS_URL"]
    assert url == f"redis://stanchion-store:{service_port['port']}/0"
    assert service_port["targetPort"] == store_port["name"]
    (let_in,) = manifest("NetworkPolicy", "store")["spec"]["ingress"]
    assert [rule["port"] for rule in let_in["ports"]] == [store_port["containerPort"]]


def test_the_workers_speak_to_the_service_and_may() -> None:
    deployment = manifest("Deployment", "stanchion-worker")
    (worker,) = containers(deployment)
    assert deployment["spec"]["replicas"] == 3
    assert worker["args"][0] == "worker"
    assert worker["image"] == _server()["image"]
    by_name = {item["name"]: item for item in worker["env"]}
    assert by_name["QUEUE_URL"]["value"] == f"http://{manifest('Service')['metadata']['name']}"
    assert by_name["TASK_TOKEN"]["valueFrom"]["secretKeyRef"]["optional"] is True
    grace_s = float(worker["args"][worker["args"].index("--grace") + 1])
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > grace_s
    to_server, _ = manifest("NetworkPolicy", "worker")["spec"]["egress"]
    (peer,) = to_server["to"]
    labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()
    assert [rule["port"] for rule in to_server["ports"]] == [_server()["ports"][0]["containerPort"]]


def test_selectors_find_the_pods_they_mean() -> None:
    for kind, name, workload in (
        ("Service", "stanchion", manifest("Deployment")),
        ("Service", "stanchion-store", manifest("StatefulSet", "stanchion-store")),
        ("PodDisruptionBudget", "stanchion", manifest("Deployment")),
        ("NetworkPolicy", "server", manifest("Deployment")),
        ("NetworkPolicy", "worker", manifest("Deployment", "stanchion-worker")),
        ("NetworkPolicy", "store", manifest("StatefulSet", "stanchion-store")),
        ("NetworkPolicy", "store-gateway", manifest("StatefulSet", "stanchion-store")),
        ("Service", "gateway", manifest("Deployment", "gateway")),
        ("NetworkPolicy", "gateway", manifest("Deployment", "gateway")),
        ("Service", "site", manifest("Deployment", "site")),
        ("NetworkPolicy", "site", manifest("Deployment", "site")),
    ):
        spec = manifest(kind, name)["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        wanted = selector.get("matchLabels", selector)
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert wanted.items() <= labels.items(), f"{kind}/{name} selects no pod of {title(workload)}"
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert manifest("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "stanchion"


def test_the_store_keeps_what_it_was_told() -> None:
    stateful = manifest("StatefulSet", "stanchion-store")
    (container,) = containers(stateful)
    args = container["args"]
    assert args[args.index("--appendonly") + 1] == "yes"
    (mount,) = container["volumeMounts"]
    (claim,) = stateful["spec"]["volumeClaimTemplates"]
    assert mount == {"name": claim["metadata"]["name"], "mountPath": args[args.index("--dir") + 1]}


def test_a_stopping_pod_has_the_time_that_its_settings_promise() -> None:
    data = manifest("ConfigMap")["data"]
    grace_s = manifest("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace_s > float(data["DRAIN_SECONDS"]) + float(data["STOP_SECONDS"])
    assert float(data["DRAIN_SECONDS"]) > 0, "endpoints are taken out a moment after the signal"


def test_the_autoscaler_and_the_disruption_budget_leave_three() -> None:
    assert manifest("HorizontalPodAutoscaler")["spec"]["minReplicas"] == manifest("Deployment")["spec"]["replicas"]
    assert manifest("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_the_gateway_runs_the_nginx_files_that_the_docs_show() -> None:
    data = manifest("ConfigMap", "gateway")["data"]
    examples = ROOT / "docs" / "examples" / "proxies"
    for snippet in ("stanchion-ask.conf", "stanchion-gate.conf", "stanchion-headers.conf"):
        assert data[snippet] == (examples / "nginx" / snippet).read_text(encoding="utf-8"), snippet
    assert data["please-wait.html"] == (examples / "please-wait.html").read_text(encoding="utf-8")
    own = (examples / "nginx" / "stanchion.conf").read_text(encoding="utf-8")
    for here, there in (
        ("listen 127.0.0.1:8080;", "listen 8080;"),
        ("server 127.0.0.1:8000;", "server site:8000;"),
        ("/var/cache/", "/tmp/"),
        ("/assets/", "/static/"),
    ):
        assert here in own
        own = own.replace(here, there)
    lines = [re.sub(r"# .*", "", line) for line in data["stanchion.conf"].splitlines()]
    assert lines == [re.sub(r"# .*", "", line) for line in own.splitlines()]


def test_the_gateway_asks_a_replica_of_its_own_and_trusts_nobody_else() -> None:
    nginx, replica = containers(manifest("Deployment", "gateway"))
    given = {item["name"]: item.get("value") for item in replica["env"]}
    assert given["HOST"] == given["TRUSTED_PROXIES"] == "127.0.0.1"
    assert (
        f"http://replicas{given['ROOT_PATH']}/gate/default"
        in manifest("ConfigMap", "gateway")["data"]["stanchion-gate.conf"]
    )
    assert "server 127.0.0.1:3000 " in manifest("ConfigMap", "gateway")["data"]["stanchion.conf"]
    for name in ("JWT_SECRET", "PASS_KEY", "REDIS_URL"):
        by_name = {item["name"]: item for item in replica["env"]}
        assert by_name[name] == {item["name"]: item for item in _server()["env"]}[name], "the same keys, the same line"
    volume = manifest("Deployment", "gateway")["spec"]["template"]["spec"]["volumes"][0]
    assert {item["key"] for item in volume["configMap"]["items"]} == set(manifest("ConfigMap", "gateway")["data"])
    assert [port["containerPort"] for port in nginx["ports"]] == [8080]


def test_a_gateway_that_is_to_stop_serves_on_until_nobody_is_sent_to_it() -> None:
    nginx, _ = containers(manifest("Deployment", "gateway"))
    command, seconds = nginx["lifecycle"]["preStop"]["exec"]["command"]
    data = manifest("ConfigMap")["data"]
    assert (command, float(seconds)) == ("sleep", float(data["DRAIN_SECONDS"]))
    grace_s = manifest("Deployment", "gateway")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace_s > float(data["DRAIN_SECONDS"]) + float(data["STOP_SECONDS"])


def test_nobody_gets_past_the_gate_to_the_site() -> None:
    (site,) = containers(manifest("Deployment", "site"))
    (let_in,) = manifest("NetworkPolicy", "site")["spec"]["ingress"]
    (peer,) = let_in["from"]
    labels = manifest("Deployment", "gateway")["spec"]["template"]["metadata"]["labels"]
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()
    assert [rule["port"] for rule in let_in["ports"]] == [site["ports"][0]["containerPort"]]
    (port,) = manifest("Service", "site")["spec"]["ports"]
    assert f"server site:{port['port']};" in manifest("ConfigMap", "gateway")["data"]["stanchion.conf"]
    assert {item["valueFrom"]["secretKeyRef"]["optional"] for item in site["env"]} == {True}


def test_the_page_on_kubernetes_names_every_file_and_the_oldest_version() -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    assert f"Kubernetes {OLDEST} " in page
    for path in (ROOT / "k8s").iterdir():
        assert f"`{path.name}`" in page
    assert f"stanchion:{__version__}" in page


def test_the_example_of_an_ingress_is_valid_and_leads_to_the_service() -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    ingress = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    for version in (OLDEST, kubernetes_validate.latest_version()):
        kubernetes_validate.validate(ingress, version, strict=True)
    paths = ingress["spec"]["rules"][0]["http"]["paths"]
    services = [path["backend"]["service"] for path in paths]
    (port,) = manifest("Service")["spec"]["ports"]
    assert all(service == {"name": "stanchion", "port": {"name": port["name"]}} for service in services)
