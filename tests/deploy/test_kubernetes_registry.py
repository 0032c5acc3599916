"""The registry's manifests fit each other, the servers' and what the programs understand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from redirector.cli.verbs import VERBS
from redirector.errors import ConfigError
from redirector.settings.crawl import Crawl
from redirector.settings.file import load_job
from redirector.settings.masters import Masters
from redirector.settings.network import Network
from redirector.settings.registry import Registry
from redirector.settings.web import Web
from tests.deploy.rig import DEPLOY
from tests.deploy.test_kubernetes import FRONT, PLACEHOLDER, only, pod, server

Manifest = dict[str, Any]
FOLDER = DEPLOY / "kubernetes/registry"


def manifests() -> Iterator[Manifest]:
    for path in sorted(FOLDER.glob("*.yaml")):
        if not path.name.endswith(".patch.yaml"):
            yield from yaml.load_all(path.read_text(), yaml.CSafeLoader)


def named(kind: str, name: str) -> Manifest:
    (found,) = [each for each in manifests() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pods() -> Iterator[tuple[str, Manifest]]:
    """Name and pod of everything that runs."""
    for each in manifests():
        spec = each.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            yield each["metadata"]["name"], template["spec"]


def containers() -> Iterator[tuple[str, Manifest, Manifest]]:
    for name, spec in pods():
        for container in spec["containers"]:
            yield f"{name}/{container['name']}", spec, container


def patched() -> tuple[Manifest, Manifest]:
    """The servers' pod with the sidecar that counts, as a strategic merge makes it, and the sidecar."""
    patch = yaml.safe_load((FOLDER / "stats.patch.yaml").read_text())["spec"]["template"]["spec"]
    merged = pod()
    for name in ("initContainers", "volumes"):
        merged[name] = [*merged[name], *patch[name]]
    (own,), (change,) = merged["containers"], patch["containers"]
    assert own["name"] == change["name"]
    own["volumeMounts"] = [*own["volumeMounts"], *change["volumeMounts"]]
    return merged, patch["initContainers"][0]


@pytest.fixture
def flags(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "registry.yml"
    text = named("ConfigMap", "redirector-registry")["data"]["registry.yml"]
    with pytest.raises(ConfigError, match=PLACEHOLDER):
        path.write_text(text)
        load_job(Web, {"config": str(path)})
    path.write_text(text.replace(PLACEHOLDER, FRONT))
    return {"config": str(path)}


def test_everything_is_in_the_servers_namespace() -> None:
    assert {each["metadata"]["namespace"] for each in manifests()} == {only("Namespace")["metadata"]["name"]}


def test_whatever_selects_pods_finds_some() -> None:
    labels = [only("Deployment")["spec"]["template"]["metadata"]["labels"]]
    for each in manifests():
        if each["kind"] == "Deployment":
            labels.append(each["spec"]["template"]["metadata"]["labels"])
            assert each["spec"]["selector"]["matchLabels"] == labels[-1]
    for each in manifests():
        spec = each.get("spec", {})
        if each["kind"] == "Service":
            assert spec["selector"] in labels
        if each["kind"] == "NetworkPolicy":
            assert spec["podSelector"]["matchLabels"] in labels
            rules = [*spec.get("ingress", ()), *spec.get("egress", ())]
            peers = [peer for rule in rules for peer in rule.get("from", rule.get("to"))]
            assert peers
            assert all(each["podSelector"]["matchLabels"] in labels for each in peers if each.keys() == {"podSelector"})


@pytest.mark.parametrize(("spec", "container"), [each[1:] for each in containers()], ids=[c[0] for c in containers()])
def test_containers_are_locked_in_and_named_by_digest(spec: Manifest, container: Manifest) -> None:
    assert spec["securityContext"] == pod()["securityContext"]
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == server()["securityContext"]
    assert re.fullmatch(r"[a-z0-9./-]+@sha256:[0-9a-f]{64}", container["image"])
    assert "memory" in container["resources"]["limits"]
    assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in spec["volumes"]}


def test_every_program_is_one_that_there_is_and_may_log_in_to_the_database() -> None:
    told = {name: container for name, _, container in containers() if "env" in container}
    assert set(told) == {
        "redirector-registry/registry", "redirector-published/publish", "redirector-init/init",
        "redirector-scan-masters/scan-masters", "redirector-trim/trim", "redirector-visits/crawl",
    }  # fmt: skip
    for name, container in told.items():
        words = container.get("args") or container["command"][-1].split("redirector ", 1)[1].split()
        assert words[0] in {verb.name for verb in VERBS}, name
        assert "--config" in words and "/etc/redirector/registry.yml" in words
        (password,) = container["env"]
        assert password["valueFrom"]["secretKeyRef"]["name"] == "redirector-registry"


def test_the_programs_share_one_postgresql_and_one_key(flags: dict[str, str]) -> None:
    network = load_job(Network, flags)
    assert network.database is not None and network.database.startswith("postgresql://")
    assert ":" not in network.database.removeprefix("postgresql://").partition("@")[0], "no password in the file"
    assert load_job(Registry, flags).key_file == "/key/redirector.key"
    for _, _, container in containers():
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert "/key" in mounts or "env" not in container
    assert load_job(Masters, flags).masters


def test_one_registry_server_may_always_go(flags: dict[str, str]) -> None:
    deployment = named("Deployment", "redirector-registry")["spec"]
    assert deployment["replicas"] >= 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    (container,) = deployment["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "web", "containerPort": load_job(Web, flags).web.port}]
    assert container["readinessProbe"]["httpGet"]["path"] == "/healthz"


def test_what_is_written_is_given_away_from_the_same_folder(flags: dict[str, str]) -> None:
    network, crawl = load_job(Network, flags), load_job(Crawl, flags)
    publish, gives = dict(pods())["redirector-published"]["containers"]
    assert "--snapshot /published/mirrorlist_cache.proto" in publish["command"][-1]
    assert "/published" in gives["command"]
    visits, gives = dict(pods())["redirector-visits"]["containers"]
    assert network.health == "/health/health.json"
    assert "/health" in gives["command"]
    assert crawl.crawl_metrics is not None
    assert visits["ports"][0]["containerPort"] == crawl.crawl_metrics.port
    # The servers' sidecar for the health file asks for it by this name, whoever visits.
    assert named("Service", "redirector-crawl")["spec"]["selector"] == {"app.kubernetes.io/name": "redirector-visits"}


def test_a_servers_lines_are_counted_beside_it() -> None:
    spec, sidecar = patched()
    mounts = {mount["name"]: mount for mount in spec["containers"][0]["volumeMounts"]}
    folder = mounts["log"]["mountPath"]
    assert f" {folder}/access.log" in sidecar["command"][-1]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["securityContext"] == server()["securityContext"]
    assert {mount["name"] for mount in sidecar["volumeMounts"]} <= {volume["name"] for volume in spec["volumes"]}
    names = {each["name"] for each in sidecar["env"]}
    assert names == {"POD", "PGPASSWORD"}
