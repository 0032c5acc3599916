"""A MirrorManager snapshot file becomes a catalog; what is wrong in it becomes problems."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.errors import SnapshotError
from redirector.model import (
    Catalog,
    Category,
    Condition,
    Dialect,
    FileDetail,
    Host,
    Place,
    Severity,
)
from redirector.sources.mirrormanager.messages import OwnCategory, OwnHost
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file
from tests.real import CONTINENTS, COUNTRIES
from tests.sources.snapshot_file import MirrorList


def snapshot() -> Any:
    """Two public hosts (1 and 2) and a private one (3), one directory, one repository."""
    message = MirrorList(Time=1_700_000_000)
    for url_id, url in enumerate(
        (
            "http://one.example.org/pub/",
            "https://one.example.org/pub/",
            "rsync://two.example.org/m",
            "http://three.example.org/",
        ),
        start=10,
    ):
        message.HCUrlCache.add(key=url_id, value=url)
    for host, country in ((1, "de"), (2, "US"), (3, "N/A")):
        message.HostCountryCache.add(key=host, value=country)
    message.RepoArchToDirectoryName.add(key="fedora-39+x86_64", value="pub/linux/39/os")
    add_directory(message, "pub/linux/39/os", "linux/39/os")
    return message


def add_directory(message: Any, name: str, subpath: str | None, order: Callable[[list[int]], Any] = list) -> Any:
    directory = message.MirrorListCache.add(directory=name, Subpath=subpath)
    directory.Global.extend(order([1, 2]))
    for country, host in order([("DE", 1), ("US", 2)]):  # type: ignore[list-item]
        directory.ByCountry.add(key=country, value=[host])
    for host, urls in order([(1, [10, 11]), (2, [12]), (3, [13])]):  # type: ignore[list-item]
        directory.ByHostId.add(key=host, value=urls)
    return directory


def load(tmp_path: Path, message: Any) -> Catalog:
    path = tmp_path / "mirrorlist_cache.proto"
    path.write_bytes(message if isinstance(message, bytes) else message.SerializeToString())
    return load_snapshot_file(str(path))


def host(catalog: Catalog, name: str) -> Host:
    return next(host for host in catalog.hosts if host.name == name)


def problems(catalog: Catalog) -> list[str]:
    return [f"{problem.key}: {problem.text}" for problem in catalog.problems]


def own_field(number: int, record: Any) -> bytes:
    """A record of our own, as it stands in the file behind MirrorManager's."""
    raw: bytes = record.SerializeToString()
    tag, length = number << 3 | 2, len(raw)
    assert length < 1 << 14
    return bytes([tag & 0x7F | 0x80, tag >> 7, length & 0x7F | 0x80, length >> 7]) + raw


def test_fields_of_our_own_are_read(tmp_path: Path) -> None:
    said = OwnHost(
        id=1, name=b"mirror one", sponsor=b"S", sponsor_url=b"https://s", city=b"Bonn", state=b"NRW", latitude=50.7,
        longitude=7.1, ipv4=True, ipv6=False, monopoly=True, own_asn=64496, up=False, condition=b"stale", since=5,
        reason=b"TIME is old", checked=9, lag_seconds=7, countries_excluded=[b"fr", b"XXX"],
    )  # fmt: skip
    raw = snapshot().SerializeToString() + own_field(1000, said) + own_field(1000, OwnHost(id=2, private=True))
    raw += own_field(1000, OwnHost(id=9, name=b"gone", up=False))
    raw += own_field(1001, OwnCategory(name=b"Linux", top=b"/pub/linux/", for_people=False)) + own_field(1500, said)
    catalog = load(tmp_path, raw)
    one = host(catalog, "mirror one")
    assert one == Host(
        name="mirror one", key="mirror one", country="DE", city="Bonn", state="NRW", place=Place(50.7, 7.1),
        sponsor="S", sponsor_url="https://s", ipv4=True, ipv6=False, monopoly=True, own_asn=64496, up=False,
        down_reason="TIME is old", condition=Condition("stale", 5, "TIME is old", 9, 7), excluded=frozenset({"FR"}),
    )  # fmt: skip
    assert host(catalog, "two.example.org").private and host(catalog, "three.example.org").private
    assert host(catalog, "two.example.org").key == "2"
    assert not host(catalog, "gone").private
    assert catalog.categories == (Category("Linux", "pub/linux", "", False),)
    assert problems(catalog) == ["host 1: country 'XXX' is not two letters: taken as unknown"]


def test_what_is_wrong_in_fields_of_our_own_is_left_out(tmp_path: Path) -> None:
    raw = snapshot().SerializeToString() + own_field(1000, OwnHost(id=1, name=b"same", latitude=91.0, longitude=0.0))
    raw += own_field(1000, OwnHost(id=2, name=b"same"))
    raw += own_field(1000, OwnHost(id=3, name=b"\xff"))
    catalog = load(tmp_path, raw)
    assert [(each.name, each.key, each.place) for each in catalog.hosts] == [
        ("same", "same", None),
        ("two.example.org", "2", None),
        ("three.example.org", "3", None),
    ]
    assert problems(catalog) == [
        "host 1: 91.0, 0.0 is no place: left out",
        "OwnHosts: b'\\xff' is not UTF-8: left out",
        "host 2: same is host 1 already: not its name",
    ]


def test_our_messages_are_those_of_the_documented_file() -> None:
    text = (Path(__file__).parents[2] / "docs" / "snapshot.proto").read_text()
    kinds = {"int64": 3, "string": 12, "bool": 8, "double": 1, "uint32": 13, "uint64": 4, "fixed64": 6}
    for message in (OwnHost, OwnCategory):
        body = re.search(rf"message {message.DESCRIPTOR.name} {{(.*?)\n}}", text, re.DOTALL)
        assert body is not None
        fields = {int(n): (kind, name) for kind, name, n in re.findall(r"\w+ (\w+) (\w+) = (\d+)", body[1])}
        for field in message.DESCRIPTOR.fields:
            kind, name = fields[field.number]
            assert (name.lower(), kinds[kind]) == (field.name.replace("_", ""), field.type)


def test_whole_snapshot_is_read(tmp_path: Path) -> None:
    catalog = load(tmp_path, snapshot())
    assert catalog.dialect is Dialect.MIRRORMANAGER
    assert catalog.built == 1_700_000_000
    assert [host.name for host in catalog.hosts] == ["one.example.org", "two.example.org", "three.example.org"]
    assert [host.country for host in catalog.hosts] == ["DE", "US", None]
    assert catalog.repositories == {("fedora-39", "x86_64"): "pub/linux/39/os"}
    assert catalog.inputs == (str(tmp_path / "mirrorlist_cache.proto"),)
    assert catalog.problems == ()
    (host_set,) = catalog.host_sets
    assert dict(host_set.urls) == {
        0: ("http://one.example.org/pub", "https://one.example.org/pub"),
        1: ("rsync://two.example.org/m",),
        2: ("http://three.example.org",),
    }
    assert host_set.public == (0, 1)
    assert dict(host_set.by_country) == {"DE": (0,), "US": (1,)}


@pytest.mark.parametrize("size", [20, 33, 64, 1000])
def test_records_may_lie_across_blocks_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    whole = load(tmp_path, snapshot())
    monkeypatch.setattr("redirector.sources.mirrormanager.snapshot_file._BLOCK_BYTES", size)
    assert load(tmp_path, snapshot()) == whole
    with pytest.raises(SnapshotError) as refused:
        load(tmp_path, snapshot().SerializeToString() + b"\x82\x01\x04abc")
    (problem,) = refused.value.problems
    assert (problem.key, problem.text.partition(":")[0]) == (
        f"byte {len(snapshot().SerializeToString())}",
        "the file ends after 3 of 4 bytes",
    )


def test_host_that_no_global_list_names_is_private(tmp_path: Path) -> None:
    assert [host.private for host in load(tmp_path, snapshot()).hosts] == [False, False, True]


def test_private_host_is_in_no_list_of_public_hosts(tmp_path: Path) -> None:
    message = snapshot()
    message.MirrorListCache[0].ByCountry.add(key="FR", value=[3])
    (host_set,) = load(tmp_path, message).host_sets
    assert dict(host_set.by_country) == {"DE": (0,), "US": (1,)}


def test_directories_with_equal_lists_share_one_host_set(tmp_path: Path) -> None:
    message = snapshot()
    for version in range(40, 60):
        add_directory(message, f"pub/linux/{version}/os", f"linux/{version}/os")
    other = add_directory(message, "pub/alt/1", "1")
    del other.Global[1]
    catalog = load(tmp_path, message)
    assert len(catalog.host_sets) == 2
    assert len(catalog.directories) == 22
    assert len({id(directory) for directory in catalog.directories.values()}) == 2


def test_order_of_hosts_in_lists_makes_no_second_host_set(tmp_path: Path) -> None:
    message = snapshot()
    add_directory(message, "pub/linux/40/os", "linux/40/os", order=lambda items: items[::-1])
    add_directory(message, "pub/linux/41/os", "linux/41/os").OrderedMirrorList = True
    assert len(load(tmp_path, message).host_sets) == 1


@pytest.mark.parametrize(
    ("name", "subpath", "read", "cut"),
    [
        ("pub/linux/39/os", "linux/39/os", "linux/39/os", 4),
        ("pub/linux/39/os", "", "", 15),
        ("pub/linux/39/os", None, "", 15),
        ("pub/linux/39/os", "pub/linux/39/os", "pub/linux/39/os", 0),
        ("/pub/linux/39/os/", "/linux/39/os/", "linux/39/os", 4),
        ("pub/linux/39/os", "elsewhere/39", "elsewhere/39", 0),
    ],
)
def test_subpath(tmp_path: Path, name: str, subpath: str | None, read: str, cut: int) -> None:
    message = snapshot()
    message.ClearField("MirrorListCache")
    add_directory(message, name, subpath)
    directory = load(tmp_path, message).directories["pub/linux/39/os"]
    assert directory.subpath_of("pub/linux/39/os") == read
    assert directory.cut == cut


@pytest.mark.parametrize(
    ("listed", "read"), [(None, 1), (0, 1), (-5, 1), (1, 1), (100, 100), (10_000, 10_000), (100_000, 10_000)]
)
def test_bandwidth_stays_between_its_bounds(tmp_path: Path, listed: int | None, read: int) -> None:
    message = snapshot()
    if listed is not None:
        message.HostBandwidthCache.add(key=1, value=listed)
    assert load(tmp_path, message).hosts[0].bandwidth_mbit == read


def test_networks_of_a_host(tmp_path: Path) -> None:
    message = snapshot()
    for text in (
        "192.0.2.0/24",
        "198.51.100.7",
        "2001:DB8::/32",
        "2001:db8:1::1",
        "::ffff:203.0.113.0/120",
        "192.0.2.0/24",
    ):
        message.HostNetblockCache.add(key=text, value=[1, 3])
    message.HostAsnCache.add(key=64500, value=[3])
    message.HostAsnCache.add(key=64501, value=[3])
    catalog = load(tmp_path, message)
    assert catalog.hosts[0].netblocks == tuple(
        map(
            ip_network,
            ("192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32", "2001:db8:1::1/128", "203.0.113.0/24"),
        )
    )
    assert catalog.hosts[2].netblocks == catalog.hosts[0].netblocks
    assert catalog.hosts[2].asns == (64500, 64501)
    assert catalog.problems == ()


def test_network_with_bits_behind_its_prefix_is_masked_and_reported(tmp_path: Path) -> None:
    message = snapshot()
    message.HostNetblockCache.add(key="192.0.2.77/24", value=[1])
    catalog = load(tmp_path, message)
    assert catalog.hosts[0].netblocks == (ip_network("192.0.2.0/24"),)
    assert problems(catalog) == ["netblock 192.0.2.77/24: has bits behind its prefix: taken as 192.0.2.0/24"]


@pytest.mark.parametrize("key", ["10.1.9.0/2", "192.0.2.77/0", "2001:db8::/3"])
def test_a_slip_that_makes_most_of_the_internet_of_a_network_is_left_out(tmp_path: Path, key: str) -> None:
    message = snapshot()
    message.HostNetblockCache.add(key=key, value=[1])
    message.HostNetblockCache.add(key="10.0.0.0/7", value=[1])
    catalog = load(tmp_path, message)
    assert catalog.hosts[0].netblocks == (ip_network("10.0.0.0/7"),)
    assert problems(catalog)[0].endswith("is nobody's network: left out")


def test_tables_beside_the_hosts(tmp_path: Path) -> None:
    message = snapshot()
    message.NetblockCountryCache.add(key="198.51.100.0/24", value="nl")
    message.DisabledRepositoryCache.add(key="old", value=True)
    message.DisabledRepositoryCache.add(key="new", value=False)
    message.CountryContinentRedirectCache.add(key="il", value="eu")
    message.RepositoryRedirectCache.add(key="rawhide-old", value="fedora-39")
    message.RepoArchToDirectoryName.add(key="c++-1+", value="pub/linux/39/os/")
    message.HostCountryAllowedCache.add(key=2, value=["us", "CA"])
    catalog = load(tmp_path, message)
    assert catalog.client_countries == ((ip_network("198.51.100.0/24"), "NL"),)
    assert catalog.disabled == {"old"}
    assert catalog.continents == {"IL": "EU"}
    assert catalog.redirects == {"rawhide-old": "fedora-39"}
    assert catalog.repositories["c++-1", ""] == "pub/linux/39/os"
    assert catalog.hosts[1].allowed == {"US", "CA"}
    assert catalog.problems == ()


def test_file_details_keep_their_order(tmp_path: Path) -> None:
    message = snapshot()
    file = message.FileDetailsCache.add(directory="pub/linux/39/os/repodata").FileDetailsCacheFiles.add(
        filename="repomd.xml"
    )
    file.FileDetails.add(TimeStamp=20, Size=2000, MD5="AB", SHA1="cd", SHA256="EF", SHA512="01")
    file.FileDetails.add(TimeStamp=10, Size=0)
    assert load(tmp_path, message).details == {
        ("pub/linux/39/os/repodata", "repomd.xml"): (
            FileDetail(20, 2000, md5="ab", sha1="cd", sha256="ef", sha512="01"),
            FileDetail(10, 0),
        )
    }


@pytest.mark.parametrize(
    ("urls", "names"),
    [
        (("rsync://r.example.org/m", "http://H.example.org:8080/m"), "h.example.org"),
        (("ftp://f.example.org/m",), "f.example.org"),
        (("http://one.example.org/other",), "one.example.org#4"),
        (("http://[2001:db8::1]/m",), "2001:db8::1"),
    ],
)
def test_name_of_a_host(tmp_path: Path, urls: tuple[str, ...], names: str) -> None:
    message = snapshot()
    for url_id, url in enumerate(urls, start=40):
        message.HCUrlCache.add(key=url_id, value=url)
    message.MirrorListCache[0].ByHostId.add(key=4, value=range(40, 40 + len(urls)))
    assert load(tmp_path, message).hosts[3].name == names


def without_url(message: Any) -> None:
    del message.HCUrlCache[3]


def unreadable_url(message: Any) -> None:
    message.HCUrlCache[3].value = "three.example.org/pub"


def url_that_breaks_lines(message: Any) -> None:
    message.HCUrlCache[3].value = "http://three.example.org/\nhttp://evil.example.org/"


def directory_that_breaks_lines(message: Any) -> None:
    add_directory(message, "pub/linux/40/os", "linux/40\nhttp://evil.example.org/")


def file_that_breaks_xml(message: Any) -> None:
    details = message.FileDetailsCache.add(directory="pub/linux/39/os")
    details.FileDetailsCacheFiles.add(filename="a\uffffb").FileDetails.add(TimeStamp=1, Size=1)


def public_without_url(message: Any) -> None:
    message.MirrorListCache[0].Global.append(9)


def unreadable_netblock(message: Any) -> None:
    message.HostNetblockCache.add(key="mirror.example.org", value=[1])


def unreadable_country(message: Any) -> None:
    message.HostCountryCache.add(key=1, value="Germany")


def repository_without_directory(message: Any) -> None:
    message.RepoArchToDirectoryName.add(key="gone+x86_64", value="pub/gone")


def repository_without_arch(message: Any) -> None:
    message.RepoArchToDirectoryName.add(key="gone", value="pub/linux/39/os")


def netblock_of_an_idle_host(message: Any) -> None:
    message.HostNetblockCache.add(key="192.0.2.0/24", value=[77])


def impossible_asn(message: Any) -> None:
    message.HostAsnCache.add(key=0, value=[1])


def directory_twice(message: Any) -> None:
    add_directory(message, "pub/linux/39/os", "linux/39/os")


@pytest.mark.parametrize(
    ("spoil", "keys", "severity"),
    [
        (without_url, ["host 3", "URL 13"], Severity.ERROR),
        (unreadable_url, ["URL 13", "host 3", "URL 13"], Severity.ERROR),
        (url_that_breaks_lines, ["HCUrlCache", "host 3", "URL 13"], Severity.ERROR),
        (directory_that_breaks_lines, ["MirrorListCache"], Severity.ERROR),
        (file_that_breaks_xml, ["FileDetailsCache"], Severity.ERROR),
        (public_without_url, ["host 9"], Severity.ERROR),
        (unreadable_netblock, ["netblock mirror.example.org"], Severity.ERROR),
        (unreadable_country, ["host 1"], Severity.ERROR),
        (repository_without_directory, ["repository gone+x86_64"], Severity.ERROR),
        (repository_without_arch, ["repository gone"], Severity.ERROR),
        (netblock_of_an_idle_host, ["hosts"], Severity.WARNING),
        (impossible_asn, ["AS 0"], Severity.ERROR),
        (directory_twice, ["directory pub/linux/39/os"], Severity.WARNING),
    ],
)
def test_record_that_is_wrong_is_reported_and_the_rest_is_served(
    tmp_path: Path, spoil: Callable[[Any], None], keys: list[str], severity: Severity
) -> None:
    message = snapshot()
    spoil(message)
    catalog = load(tmp_path, message)
    assert [problem.key for problem in catalog.problems] == keys
    assert {problem.severity for problem in catalog.problems} == {severity}
    assert {problem.fatal for problem in catalog.problems} == {False}
    assert "one.example.org" in [host.name for host in catalog.hosts]
    assert catalog.directories.keys() == {"pub/linux/39/os"}


def test_text_that_is_not_utf8_costs_its_record_alone(tmp_path: Path) -> None:
    whole = snapshot().SerializeToString()
    catalog = load(tmp_path, whole.replace(b"http://three", b"http://\xff\xfe\xff\xfe\xff"))
    assert [problem.key for problem in catalog.problems] == ["HCUrlCache", "host 3", "URL 13"]
    assert len(catalog.hosts) == 2


def foreign_files() -> dict[str, bytes]:
    whole = snapshot().SerializeToString()
    timeless = snapshot()
    timeless.ClearField("Time")
    return {
        "empty": b"",
        "truncated": whole[:-7],
        "truncated inside a number": whole + b"\x82",
        "only its time": MirrorList(Time=1).SerializeToString(),
        "without time": timeless.SerializePartialToString(),
        "yaml": b"---\nname: mirror.example.org\naddress:\n  http: http://mirror.example.org/\n",
        "yaml without dashes": b"name: mirror.example.org\n",
        "json": b'{"Time": 1}\n',
        "gzip": gzip.compress(whole),
        "zeros": bytes(1000),
        "a record that is no message": whole + b"\x82\x01\x04abcd",
        "a record longer than the file": whole + b"\x82\x01" + b"\xff" * 8 + b"\x01",
        "a number without end": b"\x08" + b"\xff" * 20,
    }


@pytest.mark.parametrize("content", foreign_files().values(), ids=foreign_files().keys())
def test_anything_else_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SnapshotError) as refused:
        load(tmp_path, content)
    (problem,) = refused.value.problems
    assert problem.fatal
    assert problem.path == str(tmp_path / "mirrorlist_cache.proto")
    assert "\n" not in problem.text


def test_real_file_of_another_kind_is_refused(real_tree: Path) -> None:
    for path in (COUNTRIES, CONTINENTS, real_tree / "config.yml"):
        with pytest.raises(SnapshotError, match="not a MirrorManager snapshot"):
            load_snapshot_file(str(path))


def test_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="cannot be read: No such file or directory"):
        load_snapshot_file(str(tmp_path / "absent"))
    with pytest.raises(SnapshotError, match="cannot be read: not a regular file"):
        load_snapshot_file(str(tmp_path))


def test_fields_that_nobody_knows_are_passed_over(tmp_path: Path) -> None:
    whole = snapshot().SerializeToString()
    number, fixed_64, record, fixed_32 = (
        b"\x88\x0a\x05",
        b"\x89\x0a" + bytes(8),
        b"\x8a\x0a\x02ab",
        b"\x8d\x0a" + bytes(4),
    )
    catalog = load(tmp_path, number + fixed_64 + whole + record + fixed_32)
    assert catalog.problems == ()
    assert len(catalog.hosts) == 3


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    try:
        load(tmp_path_factory.getbasetemp(), content)
    except SnapshotError as refused:
        assert any(problem.fatal for problem in refused.problems)


@given(st.randoms(use_true_random=False))
def test_any_damage_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, chance: random.Random) -> None:
    content = bytearray(snapshot().SerializeToString())
    for _ in range(chance.randint(1, 4)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    try:
        catalog = load(tmp_path_factory.getbasetemp(), bytes(content[: chance.randint(1, len(content))]))
    except SnapshotError as refused:
        assert any(problem.fatal for problem in refused.problems)
    else:
        for host_set in catalog.host_sets:
            assert set(host_set.public) <= host_set.urls.keys()
            assert all(urls for urls in host_set.urls.values())


# Slips of whoever fills the database


def slips() -> Any:
    """A snapshot with slips in its URLs, its redirects, and in what a repository's directory is."""
    message = snapshot()
    urls = {
        14: "http://http://twice.example.org/linux",
        15: "HTTPS://slashes.example.org/pub//linux//",
        16: "https://None/pub",
        17: "http://öl.example.org/a$b",
    }
    for key, url in urls.items():
        message.HCUrlCache.add(key=key, value=url)
    for name in ("pub/linux/40/os", "pub/linux/40/os/repodata"):
        directory = message.MirrorListCache.add(directory=name, Subpath=name.removeprefix("pub/"))
        directory.Global.extend([4, 5])
        directory.ByHostId.add(key=4, value=[14, 15])
        directory.ByHostId.add(key=5, value=[16, 17])
    message.MirrorListCache.add(directory="pub/empty", Subpath="empty")
    message.RepoArchToDirectoryName.add(key="fedora-40+x86_64", value="pub/linux/40/os/repodata")
    redirects = {"a": "b", "b": "fedora-40", "c": "gone", "fedora-39": "gone", "d": "e", "e": "d"}
    for prefix, other in redirects.items():
        message.RepositoryRedirectCache.add(key=prefix, value=other)
    return message


def test_slips_that_can_be_meant_in_one_way_only_are_repaired(tmp_path: Path) -> None:
    catalog = load(tmp_path, slips())
    directory = catalog.directories["pub/linux/40/os"]
    assert list(catalog.host_sets[directory.host_set].urls.values()) == [
        ("http://twice.example.org/linux", "https://slashes.example.org/pub/linux"),
        ("http://öl.example.org/a$b",),
    ]
    assert host(catalog, "twice.example.org").guessed == {"http://twice.example.org/linux"}
    assert catalog.repositories["fedora-40", "x86_64"] == "pub/linux/40/os"
    assert catalog.redirects == {"a": "fedora-40", "b": "fedora-40", "c": "gone", "d": "e", "e": "d"}
    assert problems(catalog) == [
        "URL 14: 'http://http://twice.example.org/linux' is no URL as it stands: taken as http://twice.example.org/linux",
        "URL 16: 'https://None/pub' none is no host: left out",
        "URL 16: is named by a host, but not in HCUrlCache: left out",
        "repository fedora-40+x86_64: its directory pub/linux/40/os/repodata is that of its metadata: "
        "taken as pub/linux/40/os",
        "redirect a: leads to fedora-40 by way of b: taken straight there",
        "redirect c: leads to gone, and there is no such repository: its clients get 404",
        "redirect fedora-39: leads to gone, and there is no such repository: fedora-39 itself is given",
        "redirect d: leads round in a circle: its clients get 404",
        "redirect e: leads round in a circle: its clients get 404",
    ]


def test_as_today_slips_are_taken_as_they_stand_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "mirrorlist_cache.proto"
    path.write_bytes(slips().SerializeToString())
    catalog, mended = load_snapshot_file(str(path), repair=False), load_snapshot_file(str(path))
    directory = catalog.directories["pub/linux/40/os"]
    assert list(catalog.host_sets[directory.host_set].urls.values()) == [
        ("http://http://twice.example.org/linux", "HTTPS://slashes.example.org/pub//linux"),
        ("https://None/pub", "http://öl.example.org/a$b"),
    ]
    assert catalog.repositories["fedora-40", "x86_64"] == "pub/linux/40/os/repodata"
    assert (catalog.redirects["a"], catalog.redirects["fedora-39"]) == ("b", "gone")
    assert {problem.key for problem in mended.problems} == {problem.key for problem in catalog.problems}


def test_a_host_whose_allowed_countries_cannot_be_read_is_not_everybodys(tmp_path: Path) -> None:
    message = snapshot()
    raw = message.SerializeToString() + b"\x72\x05\x08\x01\x12\x01\xff"
    assert host(load(tmp_path, raw), "one.example.org").allowed == {"\ufffd"}
