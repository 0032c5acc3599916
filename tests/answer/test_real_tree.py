"""The real tree of 530 mirrors, by distance: right lists for clients in Germany, on private and monopoly networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from redirector.answer.answer import Tier
from redirector.answer.explain import explain
from redirector.answer.serve import Responder
from redirector.settings.serving import Config
from redirector.snapshot.load import load_snapshot
from tests.real import ASNS, COUNTRIES
from tests.rig import NOW, Rig

TREE = "/mirrorlist/9/baseos"


@pytest.fixture(scope="module")
def real(real_tree: Path) -> Rig:
    config = Config(source=str(real_tree), geoip=str(COUNTRIES), asn=str(ASNS), choice="distance")
    return Rig(Responder(load_snapshot(config, NOW)))


def countries(served: Rig, hosts: list[str]) -> list[str | None]:
    names = served.responder.snapshot.url_names
    return [served.responder.snapshot.hosts[min(names[host])].country for host in hosts]


def test_a_client_in_germany_gets_ten_german_mirrors(real: Rig) -> None:
    hosts = real.hosts(TREE, "194.25.0.1")
    assert len(hosts) == len(set(hosts)) == 10
    assert countries(real, hosts) == ["DE"] * 10
    answer = real.get(TREE, "194.25.0.1")
    assert (answer.tier, answer.country) == (Tier.COUNTRY, "DE")


def test_a_client_in_a_country_with_few_mirrors_gets_the_nearest_others(real: Rig) -> None:
    hosts = real.hosts(TREE, "2.80.0.1")
    found = countries(real, hosts)
    home = found.count("PT")
    assert 0 < home < 10
    assert found[:home] == ["PT"] * home
    assert found[home] == "ES"


@pytest.mark.parametrize(
    ("client", "name", "first"),
    [
        pytest.param("206.252.237.1", "alma-repo.atm.svcs.io", "alma-repo.atm.svcs.io", id="private"),
        pytest.param("206.252.237.8", "alma-repo.atm.svcs.io", None, id="one address beyond"),
    ],
)
def test_a_private_mirror_is_first_on_its_network_and_nowhere_else(
    real: Rig, client: str, name: str, first: str | None
) -> None:
    snapshot = real.responder.snapshot
    private = next(number for number, host in enumerate(snapshot.hosts) if host.name == name)
    answer = real.get(TREE, client)
    assert (answer.first == private) == (first is not None)
    assert len(answer.body.splitlines()) == 10
    assert (answer.tier is Tier.NETBLOCK) == (first is not None)


@pytest.mark.parametrize("client", ["132.206.1.1", "132.216.7.7"])
@pytest.mark.parametrize("wish", ["", "?protocol=https", "?country=us", "?protocol=ftp&country=zz&limit=4"])
def test_a_monopoly_is_alone_on_its_network(real: Rig, client: str, wish: str) -> None:
    urls = real.urls(TREE + wish, client)
    assert len(urls) == 1
    assert "mcgill.ca" in urls[0]


def test_every_client_gets_ten_different_public_mirrors(real: Rig) -> None:
    snapshot = real.responder.snapshot
    for n in range(0, 256, 3):
        lines = real.urls(TREE, f"{n}.77.1.1")
        assert len(lines) == len(set(lines)) == 10
        for line in lines:
            assert any(
                not snapshot.hosts[host].private for host in snapshot.url_names[line.split("/")[2].split(":")[0]]
            )


def test_the_480_pairs_of_vault_versions_that_no_repository_lists_are_answered(real: Rig) -> None:
    releases = real.responder.snapshot.releases
    assert releases is not None
    pairs = [
        (version, each.name)
        for version in releases.vault
        for each in releases.repositories.values()
        if not each.vault and each.versions and version not in each.versions
    ]
    assert len(pairs) == 480
    for version, name in pairs:
        (url,) = real.urls(f"/mirrorlist/{version}/{name}")
        assert url.startswith(f"{releases.vault_url}/{version}/")


def test_module_versions_are_answered_whatever_a_repository_lists(real: Rig) -> None:
    releases = real.responder.snapshot.releases
    assert releases is not None
    for each in releases.repositories.values():
        urls = real.urls(f"/mirrorlist/10-kitten/{each.name}", "194.25.0.1")
        assert len(urls) == (1 if each.vault else 10)


@pytest.mark.parametrize(
    ("version", "full"),
    [("8", "8.10"), ("9", "9.8"), ("10", "10.2"), ("8.2", "8.10"), ("9.8", "9.8"), ("10.7-beta", "10.2"),
     ("10-kitten", "10-kitten"), ("99.345", None), ("7", None), ("9.", None), ("", None), ("kitten", None)],
)  # fmt: skip
def test_versions_mean_what_the_tree_says(real: Rig, version: str, full: str | None) -> None:
    answer = real.get(f"/mirrorlist/{version}/baseos")
    if full is None:
        assert answer.status == 404
    else:
        assert f"/{full}/BaseOS/$basearch/os/\n" in answer.body.decode()


def test_a_repository_that_a_version_does_not_have_is_refused_with_the_reason(real: Rig) -> None:
    answer = real.get("/mirrorlist/9/powertools")
    assert answer.status == 404
    assert answer.body.startswith(b"version 9.8 has no repository powertools: it is in ")


def test_both_spellings_choose_by_one_rule(real: Rig) -> None:
    for client in ("194.25.0.1", "8.8.8.8", "206.252.237.1", "132.206.1.1"):
        tree = real.urls("/mirrorlist/9/appstream?arch=x86_64", client)
        assert real.urls("/mirrorlist?repo=appstream-9&arch=x86_64", client) == tree


def test_explain_tells_every_mirror_once(real: Rig) -> None:
    told = explain(real.responder, TREE, "194.25.0.1", NOW)
    snapshot = real.responder.snapshot
    assert sorted(verdict.host for verdict in told.hosts) == sorted(host.name for host in snapshot.hosts)
    listed = [verdict for verdict in told.hosts if verdict.rank is not None]
    assert [verdict.rank for verdict in listed] == list(range(1, 11))
    assert all(verdict.reason for verdict in told.hosts)
