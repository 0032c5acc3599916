"""A MirrorManager snapshot of 1,000 directories and 100 hosts, drawn from a seed, answered in both policies."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from benchmarks.make_snapshot import AS_TABLE, CONTINENTS, SNAPSHOT, write_snapshot
from benchmarks.scale import SCALES
from redirector.answer.answer import Form
from redirector.answer.ask.query import parse_query
from redirector.answer.ask.resolve import resolve
from redirector.answer.choose.rank import rank
from redirector.answer.choose.sheets import visible
from redirector.answer.serve import Responder
from redirector.settings.serving import Config
from redirector.snapshot.load import load_snapshot
from tests.answer.forms import refuse_forged
from tests.real import COUNTRIES
from tests.rig import NOW, Rig

STRANGERS = ("194.25.0.1", "8.8.8.8", "2.80.0.1", "133.1.1.1", "2a02:d280::1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("snapshot")
    write_snapshot(made, SCALES["small"], seed=1)
    return made


@pytest.fixture(scope="module", params=[None, "mirrormanager"], ids=["ours", "today"])
def served(request: pytest.FixtureRequest, folder: Path) -> Rig:
    config = Config(
        source=str(folder / SNAPSHOT),
        geoip=str(COUNTRIES),
        asn=str(folder / AS_TABLE),
        continents=str(folder / CONTINENTS),
        compatibility=request.param,
    )
    return Rig(Responder(load_snapshot(config, NOW)))


def clients(served: Rig) -> list[str]:
    """Strangers, and one client inside the first netblock of every third host that has one."""
    hosts = [host for host in served.responder.snapshot.hosts if host.netblocks]
    return [*STRANGERS, *(str(host.netblocks[0][0]) for host in hosts[::3])]


def test_every_repository_is_answered_by_its_ranking(served: Rig) -> None:
    snapshot = served.responder.snapshot
    asked = [
        f"/mirrorlist?repo={repo}&arch={arch}" for repo, arch in snapshot.repositories if repo not in snapshot.disabled
    ]
    assert len(asked) > 80
    people = clients(served)
    for number, target in enumerate(asked):
        query = parse_query(target.encode(), snapshot.policy.decode)
        listing = resolve(snapshot, query)
        carriers = snapshot.host_sets[listing.host_set]
        for client in people[number % 7 :: 7]:
            audience = snapshot.audiences.audience(snapshot.audiences.find(ip_address(client).packed))
            ranking, shown = visible(
                snapshot, carriers, rank(snapshot, carriers, audience), query.wishes, Form.MIRRORLIST
            )
            answer = served.get(target, client)
            refuse_forged(answer)
            comment, *urls = answer.body.decode().splitlines()
            assert comment.endswith(ranking.comment)
            for group in ranking.groups:
                expected = {url + listing.ending for host in group.hosts for url in shown[host]}
                head, urls = urls[: len(expected)], urls[len(expected) :]
                assert set(head) == expected
            assert urls == []


def test_private_hosts_are_given_to_their_own_clients_alone(served: Rig) -> None:
    snapshot = served.responder.snapshot
    private = {host.name: host for host in snapshot.hosts if host.private}
    assert len(private) == 30
    target = next(f"/metalink?repo={repo}&arch={arch}" for repo, arch in snapshot.repositories)
    given = set()
    for client in clients(served):
        body = served.get(target, client).body.decode()
        address = ip_address(client)
        for name, host in private.items():
            if f"://{name}/" in body or f"://{name}:" in body:
                given.add(name)
                asn = snapshot.asns.table.find(address.packed) if snapshot.asns else 0
                assert any(address in network for network in host.netblocks) or asn in host.asns
    assert given


def test_every_metalink_is_well_formed(served: Rig) -> None:
    snapshot = served.responder.snapshot
    for repo, arch in snapshot.repositories:
        if repo not in snapshot.disabled:
            answer = served.get(f"/metalink?repo={repo}&arch={arch}", "194.25.0.1")
            assert answer.status == 200
            refuse_forged(answer)
            assert answer.body.count(b"<url ") > 5
