"""The manifests fit Kubernetes' own schema, and each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from redirector.cli.verbs import VERBS
from redirector.errors import ConfigError
from redirector.settings.crawl import Crawl
from redirector.settings.file import load_config, load_job
from redirector.settings.network import Network
from redirector.settings.serving import Config
from tests.deploy.rig import DEPLOY, run

VERSIONS = ("1.30", "1.33")
Manifest = dict[str, Any]


def manifests() -> Iterator[Manifest]:
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        yield from yaml.load_all(path.read_text(), yaml.CSafeLoader)


def only(kind: str) -> Manifest:
    (found,) = (each for each in manifests() if each["kind"] == kind)
    return found


def pod() -> Manifest:
    spec: Manifest = only("Deployment")["spec"]["template"]["spec"]
    return spec


def server() -> Manifest:
    (container,) = pod()["containers"]
    found: Manifest = container
    return found


def sidecar() -> Manifest:
    (container,) = pod()["initContainers"]
    found: Manifest = container
    return found


PLACEHOLDER = "PUT-THE-ADDRESSES-OF-YOUR-FRONT-HERE"
FRONT = "192.0.2.7/32"


def config_with(tmp_path: Path, front: str) -> Config:
    path = tmp_path / "redirector.yml"
    path.write_text(only("ConfigMap")["data"]["redirector.yml"].replace(PLACEHOLDER, front))
    return load_config({"config": str(path)})


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """What the server in the pod reads once the front's address stands in it."""
    return config_with(tmp_path, FRONT)


def test_nothing_starts_before_the_placeholder_is_replaced(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=PLACEHOLDER):
        config_with(tmp_path, PLACEHOLDER)


def test_no_range_that_pods_send_from_is_trusted(config: Config) -> None:
    pods = [ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")]
    loopback = [network for network in config.trusted_proxies if network.is_loopback]
    others = [network for network in config.trusted_proxies if network not in loopback]
    assert others == [ip_network(FRONT)]
    assert not any(network.overlaps(pod) for network in others for pod in pods if pod.version == network.version)


def test_clients_come_through_the_front_alone() -> None:
    rules = only("NetworkPolicy")["spec"]["ingress"]
    (front,) = [rule for rule in rules if {"port": "http"} in rule["ports"]]
    (peer,) = front["from"]
    assert {"namespaceSelector", "podSelector"} <= peer.keys()
    assert all(rule.get("from") for rule in rules)


def test_images_are_named_by_digest() -> None:
    crawlers_own = [each for spec in crawl_pods() for each in [*spec["initContainers"], *spec["containers"]]]
    for container in (server(), sidecar(), *patched()["initContainers"], *crawlers_own):
        assert re.fullmatch(r"[a-z0-9./-]+@sha256:[0-9a-f]{64}", container["image"])


def crawling() -> Iterator[Manifest]:
    """What is applied for the crawler, besides the patch of the servers."""
    for path in sorted((DEPLOY / "kubernetes/crawl").glob("*.yaml")):
        if not path.name.endswith(".patch.yaml"):
            yield from yaml.load_all(path.read_text(), yaml.CSafeLoader)


def crawlers(kind: str) -> list[Manifest]:
    return [each for each in crawling() if each["kind"] == kind]


def crawl_pods() -> list[Manifest]:
    """The specs of the pods: of the one that visits, and of the one that scans."""
    (deployment,), (job,) = crawlers("Deployment"), crawlers("CronJob")
    return [deployment["spec"]["template"]["spec"], job["spec"]["jobTemplate"]["spec"]["template"]["spec"]]


@pytest.fixture
def crawl_flags(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "crawl.yml"
    (found,) = crawlers("ConfigMap")
    path.write_text(found["data"]["crawl.yml"])
    return {"config": str(path)}


def patched() -> Manifest:
    """The servers' pod with the sidecar for the health file, as a strategic merge makes it: lists by their names."""
    patch = yaml.safe_load((DEPLOY / "kubernetes/crawl/health.patch.yaml").read_text())["spec"]["template"]["spec"]
    merged = pod()
    for name in ("initContainers", "volumes"):
        merged[name] = [*merged[name], *patch[name]]
    (own,), (change,) = merged["containers"], patch["containers"]
    assert own["name"] == change["name"]
    own["volumeMounts"] = [*own["volumeMounts"], *change["volumeMounts"]]
    return merged


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_fits_the_schema_without_unknown_fields(version: str) -> None:
    files = [path for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")) if not path.name.endswith(".patch.yaml")]
    run("kubernetes-validate", "--strict", "--quiet", "--kubernetes-version", version, *files)


def test_everything_is_in_one_namespace() -> None:
    namespace = only("Namespace")["metadata"]["name"]
    assert {each["metadata"]["namespace"] for each in manifests() if each["kind"] != "Namespace"} == {namespace}


def test_whatever_selects_pods_finds_these() -> None:
    labels = only("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert only("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert only("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert all(each["spec"]["selector"] == labels for each in manifests() if each["kind"] == "Service")


def test_the_autoscaler_owns_the_number_of_pods() -> None:
    spec = only("HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"]["name"] == only("Deployment")["metadata"]["name"]
    assert "replicas" not in only("Deployment")["spec"]
    assert spec["metrics"][0]["containerResource"]["container"] == server()["name"]
    assert spec["minReplicas"] >= 2
    # The longest that the API takes; the schema does not know.
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] <= 3600


def test_the_ports_are_where_the_server_listens(config: Config) -> None:
    ports = {port["name"]: port["containerPort"] for port in server()["ports"]}
    assert config.admin is not None
    assert ports == {"http": config.listen[0].port, "admin": config.admin.port}
    wanted = {server()[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    for each in manifests():
        if each["kind"] == "Service":
            wanted |= {port["targetPort"] for port in each["spec"]["ports"]}
    assert wanted == set(ports)


def test_a_pod_that_is_not_ready_is_left_alone_and_one_that_is_dead_is_replaced() -> None:
    paths = {name: server()[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}


def test_a_pod_may_drain_before_it_is_killed_and_is_out_of_rotation_by_then(config: Config) -> None:
    probe = server()["readinessProbe"]
    assert config.shutdown_delay_s > 2 * probe["periodSeconds"] * probe["failureThreshold"]
    assert pod()["terminationGracePeriodSeconds"] > config.shutdown_delay_s + config.drain_timeout_s


def test_a_rollout_never_takes_a_pod_away_before_the_next_one_answers() -> None:
    assert only("Deployment")["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_the_memory_limit_has_room_for_a_whole_reload() -> None:
    resources = server()["resources"]
    request, limit = (resources[each]["memory"] for each in ("requests", "limits"))
    assert request.endswith("Mi")
    assert limit.endswith("Mi")
    assert int(limit[:-2]) >= 3 * int(request[:-2])
    assert "cpu" not in resources["limits"]


def test_there_is_a_cpu_for_each_worker(config: Config) -> None:
    assert int(server()["resources"]["requests"]["cpu"]) == config.workers


@pytest.mark.parametrize("container", [server(), sidecar()], ids=["server", "sidecar"])
def test_nothing_runs_as_root_or_writes_outside_its_volumes(container: Manifest) -> None:
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod()["volumes"]}


def test_the_server_reads_what_the_sidecar_fetches(config: Config) -> None:
    mounts = {mount["name"]: mount for mount in server()["volumeMounts"]}
    (fetched,) = sidecar()["volumeMounts"]
    assert fetched["name"] in mounts
    assert f"--into={fetched['mountPath']}" in sidecar()["command"]
    names = {word.rpartition("/")[2].removesuffix(".tar.gz") for word in sidecar()["command"] if "https:" in word}
    read = [Path(each) for each in (config.source, config.geoip, config.asn) if each is not None]
    assert {path.parent for path in read} == {Path(mounts[fetched["name"]]["mountPath"])}
    assert {path.name for path in read} == names
    waited = sidecar()["startupProbe"]["exec"]["command"][-1]
    assert all(name in waited for name in names)


def test_the_sidecar_may_ask_for_reloads_and_nobody_else(config: Config) -> None:
    assert config.admin is not None
    assert f"--reload=http://127.0.0.1:{config.admin.port}/-/reload" in sidecar()["command"]
    assert all(network.is_loopback for network in config.admin_allow)


def test_state_and_configuration_are_mounted_where_the_server_looks(config: Config) -> None:
    mounts = {mount["name"]: mount for mount in server()["volumeMounts"]}
    assert config.state == mounts["state"]["mountPath"]
    (volume,) = (each for each in pod()["volumes"] if each["name"] == "config")
    assert volume["configMap"]["name"] == only("ConfigMap")["metadata"]["name"]
    assert server()["args"][-1] == f"{mounts['config']['mountPath']}/redirector.yml"


def test_the_crawler_is_in_the_same_namespace_and_found_by_what_selects_it() -> None:
    assert {each["metadata"]["namespace"] for each in crawling()} == {only("Namespace")["metadata"]["name"]}
    (deployment,) = crawlers("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    (service,) = crawlers("Service")
    assert service["spec"]["selector"] == labels
    own, servers = crawlers("NetworkPolicy")
    assert own["spec"]["podSelector"]["matchLabels"] == labels
    assert servers["spec"]["podSelector"] == only("NetworkPolicy")["spec"]["podSelector"]
    assert servers["spec"]["egress"][0]["to"][0]["podSelector"]["matchLabels"] == labels


def test_the_crawlers_listener_and_folders_are_where_its_pod_has_them(crawl_flags: dict[str, str]) -> None:
    crawl, network = load_job(Crawl, crawl_flags), load_job(Network, crawl_flags)
    for each in crawl_pods():
        (container, *_) = each["containers"]
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert network.database is not None
        assert str(Path(network.database.removeprefix("sqlite:///")).parent) in mounts
        assert str(Path(load_config(crawl_flags).source).parent) in mounts
        assert {"/tmp", "/etc/redirector"} <= mounts
        assert container["args"][0] in {verb.name for verb in VERBS}
    (visiting, serving) = crawl_pods()[0]["containers"]
    assert crawl.crawl_metrics is not None
    assert visiting["ports"] == [{"name": "metrics", "containerPort": crawl.crawl_metrics.port}]
    assert network.health is not None
    folder = str(Path(network.health).parent)
    assert folder in {mount["mountPath"] for mount in visiting["volumeMounts"]}
    assert folder in serving["command"]
    assert str(serving["ports"][0]["containerPort"]) in serving["command"]


def test_only_one_crawler_writes_to_its_volume() -> None:
    (deployment,), (job,) = crawlers("Deployment"), crawlers("CronJob")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert job["spec"]["concurrencyPolicy"] == "Forbid"


def test_the_crawlers_containers_are_locked_in_like_the_servers() -> None:
    for each in [*crawl_pods(), patched()]:
        assert each["securityContext"]["runAsNonRoot"] is True
        assert each["automountServiceAccountToken"] is False
        volumes = {volume["name"] for volume in each["volumes"]}
        for container in [*each["initContainers"], *each["containers"]]:
            assert container["securityContext"] == server()["securityContext"]
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_the_servers_sidecar_fetches_the_health_file_where_the_crawler_gives_it() -> None:
    (sidecar_,) = [each for each in patched()["initContainers"] if each["name"] == "health"]
    (service,) = crawlers("Service")
    assert sidecar_["command"][-1] == f"http://{service['metadata']['name']}/health.json"
    assert {port["port"]: port["targetPort"] for port in service["spec"]["ports"]}[80] == "health"
    assert not any("--reload" in word for word in sidecar_["command"])
    folders = {mount["name"]: mount["mountPath"] for mount in patched()["containers"][0]["volumeMounts"]}
    assert f"--into={folders['health']}" in sidecar_["command"]
