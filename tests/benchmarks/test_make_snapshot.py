"""Made-up snapshots are as large as asked for, sound, and the same for the same seed."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from benchmarks.make_snapshot import AS_TABLE, CONTINENTS, SNAPSHOT, write_snapshot
from benchmarks.scale import SCALES, Scale
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file
from tests.sources.snapshot_file import MirrorList


@pytest.mark.parametrize("scale", [SCALES["tiny"], SCALES["small"]], ids=["tiny", "small"])
def test_snapshot_is_as_large_as_asked_for(tmp_path: Path, scale: Scale) -> None:
    write_snapshot(tmp_path, scale, seed=7)
    message = MirrorList.FromString((tmp_path / SNAPSHOT).read_bytes())
    assert len(message.MirrorListCache) == scale.directories
    assert len(message.RepoArchToDirectoryName) == scale.repositories
    assert len(message.HostCountryCache) == scale.hosts
    assert len(message.HCUrlCache) == scale.urls
    assert len(message.HostNetblockCache) == scale.netblocks


def test_snapshot_is_sound(tmp_path: Path) -> None:
    write_snapshot(tmp_path, SCALES["small"], seed=7)
    catalog = load_snapshot_file(str(tmp_path / SNAPSHOT))
    assert catalog.problems == ()
    assert sum(host.private for host in catalog.hosts) == round(SCALES["small"].hosts * SCALES["small"].private)


def test_every_repository_has_a_metalink(tmp_path: Path) -> None:
    write_snapshot(tmp_path, SCALES["tiny"], seed=7)
    catalog = load_snapshot_file(str(tmp_path / SNAPSHOT))
    for directory in catalog.repositories.values():
        assert f"{directory}/repodata" in catalog.directories
        assert catalog.details[f"{directory}/repodata", "repomd.xml"]


def test_as_table_is_sorted_without_duplicates_and_names_the_hosts_ases(tmp_path: Path) -> None:
    write_snapshot(tmp_path, SCALES["small"], seed=7)
    lines = [line.split() for line in (tmp_path / AS_TABLE).read_text().splitlines()]
    assert len(lines) == SCALES["small"].as_lines
    networks = [ip_network(prefix) for prefix, _ in lines]
    assert len(set(networks)) == len(networks)
    order = [(network.version, int(network.network_address), network.prefixlen) for network in networks]
    assert order == sorted(order)
    catalog = load_snapshot_file(str(tmp_path / SNAPSHOT))
    assert {asn for host in catalog.hosts for asn in host.asns} <= {int(asn) for _, asn in lines}


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_snapshot(tmp_path / folder, SCALES["tiny"], seed)
    for name in (SNAPSHOT, AS_TABLE, CONTINENTS):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    for name in (SNAPSHOT, AS_TABLE):
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes()


def test_as_table_may_be_empty(tmp_path: Path) -> None:
    write_snapshot(tmp_path, replace(SCALES["tiny"], as_lines=0), seed=7)
    assert (tmp_path / AS_TABLE).read_text() == ""
