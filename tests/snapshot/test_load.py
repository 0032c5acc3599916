"""From files to a snapshot, or to everything that is wrong with them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from redirector.answer.serve import Responder
from redirector.errors import ConfigError, SnapshotError
from redirector.model import Severity
from redirector.settings.serving import Config
from redirector.snapshot.load import load_snapshot
from redirector.snapshot.snapshot import Snapshot
from tests.real import CONTINENTS, GEOIP
from tests.rig import NOW, Rig
from tests.sources.snapshot_file import MirrorList
from tests.sources.tree import CONFIG, mirror_files, mirror_text, write_tree


def snapshot_file(folder: Path) -> str:
    """A MirrorManager snapshot of one host, one repository and one AS number."""
    root = MirrorList(Time=NOW - 60)
    root.HCUrlCache.add(key=7, value="https://a.example/pub")
    root.RepoArchToDirectoryName.add(key="fedora-40+x86_64", value="pub/40")
    root.HostAsnCache.add(key=64496, value=[3])
    root.HostCountryCache.add(key=3, value="GB")
    directory = root.MirrorListCache.add(directory="pub/40", Global=[3], Subpath="40")
    directory.ByCountry.add(key="GB", value=[3])
    directory.ByHostId.add(key=3, value=[7])
    path = folder / "mirrorlist_cache.proto"
    path.write_bytes(root.SerializeToString())
    return str(path)


@pytest.fixture
def tree(tmp_path: Path) -> str:
    return write_tree(tmp_path / "tree", mirror_files("a.example", "b.example"))


def refusal(**options: object) -> SnapshotError:
    with pytest.raises(SnapshotError) as refused:
        load_snapshot(Config(**options), NOW)  # type: ignore[arg-type]
    assert any(problem.fatal for problem in refused.value.problems)
    return refused.value


def load(**options: object) -> Snapshot:
    return load_snapshot(Config(**options), NOW)  # type: ignore[arg-type]


def warnings(snapshot: Snapshot) -> list[str]:
    assert all(problem.severity is Severity.WARNING for problem in snapshot.problems)
    return [problem.key for problem in snapshot.problems]


def test_a_directory_is_a_tree_and_a_file_a_snapshot(tmp_path: Path, tree: str) -> None:
    snapshot = load(source=tree)
    assert (snapshot.policy.by_distance, snapshot.dated) == (True, False)
    snapshot = load(source=snapshot_file(tmp_path))
    assert (snapshot.policy.by_distance, snapshot.dated) == (False, True)
    assert (snapshot.built, snapshot.loaded, snapshot.path) == (NOW - 60, NOW, str(tmp_path / "mirrorlist_cache.proto"))


def test_what_is_counted(tmp_path: Path, tree: str) -> None:
    counts = load(source=tree, geoip=str(GEOIP / "GeoIP2-City-Test.mmdb")).counts
    assert (counts.files, counts.hosts, counts.public_hosts, counts.private_hosts) == (3, 2, 2, 0)
    assert (counts.urls, counts.repositories, counts.netblocks, counts.asns) == (4, 3, 0, 0)
    assert counts.directories > 0
    assert counts.geoip_nodes > 0


def test_all_inputs_travel_together(tmp_path: Path) -> None:
    continents = tmp_path / "continents.csv"
    continents.write_text("Country,Continent\nGB,SA\n")
    snapshot = load(
        source=snapshot_file(tmp_path),
        geoip=str(GEOIP / "GeoIP2-City-Test.mmdb"),
        asn=str(GEOIP / "GeoLite2-ASN-Test.mmdb"),
        continents=str(continents),
        minimum=3,
        order_window_s=60,
        lineup_pool_mb=2,
    )
    assert warnings(snapshot) == []
    assert (snapshot.minimum, snapshot.order_window_s, snapshot.pool_bytes) == (3, 60, 2_000_000)
    assert dict(snapshot.continents) == {"GB": "SA"}
    assert set(snapshot.databases) == {"GeoIP2-City-Test.mmdb", "GeoLite2-ASN-Test.mmdb"}
    served = Rig(Responder(snapshot))
    answer = served.get("/mirrorlist?repo=fedora-40&arch=x86_64", "81.2.69.142")
    assert (answer.country, answer.body.splitlines()[1]) == ("GB", b"https://a.example/pub/40/")


def test_options_without_which_something_is_in_vain_are_missed(tmp_path: Path, tree: str) -> None:
    assert warnings(load(source=tree)) == ["geoip", "version 10-kitten"]
    assert warnings(load(source=snapshot_file(tmp_path))) == ["geoip", "asn"]


def test_every_input_that_cannot_be_served_is_named_at_once(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    error = refusal(source=str(empty), geoip=str(tmp_path / "none.mmdb"), asn=str(empty), continents=str(empty))
    fatal = [problem for problem in error.problems if problem.fatal]
    assert {problem.path for problem in fatal} == {str(empty), str(tmp_path / "none.mmdb")}
    assert len(fatal) == 4
    assert all(str(problem) in str(error) for problem in error.problems)


def test_a_refusal_names_the_problems_of_inputs_that_are_well_too(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "tree", {"mirrors.d/a.yml": mirror_text("a.example", "private: true")})
    error = refusal(source=source, geoip=str(tmp_path / "none.mmdb"))
    assert {Path(problem.path).name for problem in error.problems} >= {"a.yml", "none.mmdb"}


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"<html></html>", b"\x08", b"\x80" * 100, b"PK\x03\x04" + bytes(100), b"---\nversions: [9]\n"],
    ids=["empty", "line", "html", "cut", "varints", "zip", "yaml"],
)
def test_a_file_that_is_no_snapshot_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "source"
    path.write_bytes(content)
    assert {problem.path for problem in refusal(source=str(path)).problems} == {str(path)}


def test_a_truncated_snapshot_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    path = Path(snapshot_file(tmp_path))
    whole = path.read_bytes()
    records = {0}
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        try:
            load(source=str(path))
        except SnapshotError as error:
            assert all(problem.path == str(path) for problem in error.problems)
        else:
            records.add(end)
    assert len(records) < len(whole) / 5, "only between two records"


@pytest.mark.parametrize("source", ["nothing", "empty-folder"])
def test_a_source_that_is_not_there_is_refused(tmp_path: Path, source: str) -> None:
    (tmp_path / "empty-folder").mkdir()
    assert refusal(source=str(tmp_path / source)).problems


def test_a_tree_without_a_usable_mirror_is_refused(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "tree", {"mirrors.d/a.yml": "name: a.example\n"})
    assert refusal(source=source).problems


@pytest.mark.parametrize(
    ("option", "file"),
    [
        ("geoip", GEOIP / "GeoLite2-ASN-Test.mmdb"),
        ("asn", GEOIP / "GeoLite2-Country-Test.mmdb"),
        ("geoip", CONTINENTS),
        ("asn", CONTINENTS),
        ("continents", GEOIP / "GeoLite2-Country-Test.mmdb"),
    ],
)
def test_a_table_of_the_wrong_kind_is_refused(tree: str, option: str, file: Path) -> None:
    error = refusal(source=tree, **{option: str(file)})
    assert [problem.path for problem in error.problems if problem.fatal] == [str(file)]


def test_a_source_given_as_a_table_is_refused(tmp_path: Path, tree: str) -> None:
    source = snapshot_file(tmp_path)
    fatal = {problem.path for problem in refusal(source=source, geoip=source, asn=source).problems if problem.fatal}
    assert fatal == {source}


def test_compatibility_needs_a_snapshot_file(tmp_path: Path, tree: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(source=tree, compatibility="mirrormanager")
    assert (refused.value.path, refused.value.key) == (tree, "compatibility")
    assert "tree" in str(refused.value)
    assert load(source=snapshot_file(tmp_path), compatibility="mirrormanager").policy.failure_documents


def test_trusted_proxies_are_checked_against_netblocks(tmp_path: Path) -> None:
    files = {"mirrors.d/a.yml": mirror_text("a.example", "subnets: [127.0.0.0/16]")}
    snapshot = load(source=write_tree(tmp_path / "tree", files))
    assert "netblock 127.0.0.0/16" in warnings(snapshot)


def test_places_matter_only_where_the_database_has_coordinates(tree: str, tmp_path: Path) -> None:
    city = load(source=tree, geoip=str(GEOIP / "GeoIP2-City-Test.mmdb")).audiences
    assert any(place for _, place in city.locations)
    country = load(source=tree, geoip=str(GEOIP / "GeoLite2-Country-Test.mmdb")).audiences
    assert not any(place for _, place in country.locations)
    manager = load(source=snapshot_file(tmp_path), geoip=str(GEOIP / "GeoIP2-City-Test.mmdb")).audiences
    assert not any(place for _, place in manager.locations)


def test_the_as_of_a_mirrors_address_is_that_of_the_table(tmp_path: Path) -> None:
    places = """\
a: {address: 192.0.2.7}
b: {address: [192.0.2.7, 198.51.100.7]}
c: {address: 192.0.2.7, asn: 64511}
"""
    names = ("a", "b", "c", "d")
    source = write_tree(tmp_path, {**mirror_files(*names), "places.yml": places}, CONFIG + "places: places.yml\n")
    (tmp_path / "asn.txt").write_text("192.0.2.0/24 64500\n198.51.100.0/24 64501\n")
    snapshot = load(source=source, asn=str(tmp_path / "asn.txt"))
    assert [host.own_asn for host in snapshot.hosts] == [64500, None, 64511, None]
