"""The rules and the dashboard are accepted by Prometheus, speak when they should, and ask for what a server tells."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from redirector.health.hysteresis import State
from redirector.health.report import HostHealth, render_metrics
from redirector.health.spread import Push, render_spread
from redirector.settings.file import load_config
from tests.clients.service import open_service
from tests.deploy.rig import DEPLOY, ROOT, run
from tests.patience import PATIENCE_S

PROMETHEUS = DEPLOY / "prometheus"
RULES = [rule for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"] for rule in group["rules"]]
TESTS = yaml.safe_load((PROMETHEUS / "tests.yml").read_text())["tests"]
ALERTS = [rule["alert"] for rule in RULES if "alert" in rule]
DASHBOARD = json.loads((DEPLOY / "grafana/redirector.json").read_text())
QUERIES = [
    pytest.param(target, id=f"{panel['title']}, {target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
ADDED_BY_PROMETHEUS = {"job", "instance"}


@pytest.mark.parametrize("name", ["prometheus.yml", "kubernetes.yml"])
def test_prometheus_accepts_the_configuration(name: str) -> None:
    run("promtool", "check", "config", PROMETHEUS / name)


def test_every_alert_speaks_when_it_should() -> None:
    run("promtool", "test", "rules", PROMETHEUS / "tests.yml")


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_case_and_a_case_against(alert: str) -> None:
    cases = [case for test in TESTS for case in test["alert_rule_test"] if case["alertname"] == alert]
    assert {bool(case.get("exp_alerts")) for case in cases} == {True, False}


def test_panels_have_their_own_place() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_prometheus_accepts_every_query_of_the_dashboard(tmp_path: Path) -> None:
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "1m").replace("$__range", "1h")}
        for number, query in enumerate(queries)
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"{len(queries)} rules found" in run("promtool", "check", "rules", path).stdout


Labels = dict[str, set[str]]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Labels]]:
    """What a server tells after some requests, a reload and a refused one: the text, and each metric's labels."""
    data = tmp_path_factory.mktemp("sample") / "data"
    shutil.copytree(ROOT / "data", data)
    config = load_config({"config": str(data / "redirector.yml")})
    # Without the AS table, which takes longest to load and tells nothing that the country table does not.
    health = data / "health.json"
    health.write_text('{"mirrors": {}}')
    options = ["--config", str(data / "redirector.yml"), "--asn", "none", "--health", str(health)]
    with open_service(Path(config.source), options) as service:
        host, port = service.address
        for target in ("/mirrorlist/9/baseos", "/mirrorlist/9/baseos?country=zz"):
            with urllib.request.urlopen(f"http://{host}:{port}{target}", timeout=PATIENCE_S) as answer:
                assert answer.status == 200
        service.reload()
        Path(config.geoip or "").write_bytes(b"no MMDB")
        with pytest.raises(urllib.error.HTTPError, match="422"):
            service.reload()
        with urllib.request.urlopen(f"{service.admin}/metrics", timeout=PATIENCE_S) as answer:
            text = answer.read().decode()
        yield text, labels_of(text)


@pytest.fixture(scope="module")
def crawled() -> str:
    """What a crawler tells after a round."""
    entries = {
        "a.example.org": HostHealth(State.OK, 0, "", 0, lag_s=0),
        "b.example.org": HostHealth(State.STALE, 0, "an older push", 0, lag_s=90_000),
    }
    text = render_metrics(entries, 1, {("https", "ok"): 7}, 2.5, 1, {("stale", "sent"): 1})
    return (text + render_spread({"9/BaseOS/x86_64/os": 1}, [Push("9", 5, (60, 70), 2)])).decode()


@pytest.fixture(scope="module")
def told(scraped: tuple[str, Labels], crawled: str) -> Labels:
    """The labels of every metric of server and crawler."""
    labels = {name: set(own) for name, own in scraped[1].items()}
    for name, own in labels_of(crawled).items():
        labels.setdefault(name, set()).update(own)
    return labels


def labels_of(text: str) -> Labels:
    labels: Labels = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def check(expression: str, labels: Labels) -> None:
    """Every metric of *expression* is told, with the labels by which it is chosen and grouped."""
    metrics = set(re.findall(r"\bredirector_\w+", expression))
    assert metrics <= set(labels)
    known = ADDED_BY_PROMETHEUS.union(*(labels[metric] for metric in metrics))
    for metric, chosen in re.findall(r"\b(redirector_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", chosen)) <= labels[metric] | ADDED_BY_PROMETHEUS
    for grouped in re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", expression):
        assert set(re.findall(r"\w+", grouped)) <= known


def test_promtool_finds_nothing_to_say_about_the_metrics(scraped: tuple[str, Labels], crawled: str) -> None:
    for text in (scraped[0], crawled):
        assert run("promtool", "check", "metrics", stdin=text).stdout == ""


@pytest.mark.parametrize("target", QUERIES)
def test_the_dashboard_asks_for_what_a_server_tells(target: dict[str, Any], told: Labels) -> None:
    check(target["expr"], told)
    known = ADDED_BY_PROMETHEUS.union(*(told[name] for name in re.findall(r"\bredirector_\w+", target["expr"])))
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known


@pytest.mark.parametrize("rule", RULES, ids=[rule.get("record") or rule["alert"] for rule in RULES])
def test_the_rules_ask_for_what_a_server_tells(rule: dict[str, Any], told: Labels) -> None:
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    assert set(re.findall(r"\bredirector:[\w:]+", rule["expr"])) <= recorded
    plain = re.sub(r"\bredirector:[\w:]+(\{[^}]*\})?", "", rule["expr"])
    if "redirector_" in plain:
        check(plain, told)


def test_the_page_for_operators_names_every_alert() -> None:
    page = (DEPLOY / "README.md").read_text()
    assert [alert for alert in ALERTS if f"`{alert}`" not in page] == []
