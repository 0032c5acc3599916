"""What others keep comes in, once; what was edited here stays; what goes out again is what came in."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from benchmarks.make_snapshot import SNAPSHOT, write_snapshot
from benchmarks.scale import SCALES
from redirector.model import Host
from redirector.registry.edit import accounts, carried, hosts, networks, sites
from redirector.registry.importing.apply import Imported, apply
from redirector.registry.importing.harvest import Harvest
from redirector.registry.importing.mirrormanager import read_database
from redirector.registry.importing.snapshot import read_snapshot
from redirector.registry.importing.tree import read_tree
from redirector.registry.publish.encode import encode
from redirector.registry.publish.output import publish_tree
from redirector.registry.publish.tree import render_tree
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file
from redirector.sources.mirrors_d.load import load_tree
from redirector.store.registry import queries
from redirector.store.registry.rows import (
    AccountRow,
    AclRow,
    CategoryRow,
    ContactRow,
    HostRow,
    NoteRow,
    RedirectRow,
    ReleaseRow,
    SiteRow,
    TokenRow,
    UrlRow,
)
from tests.answer.make_golden import CASES, FOLDER, MANAGER, render
from tests.registry.mirrormanager import Rows, write_database
from tests.registry.rig import Registry
from tests.registry.snapshots import file_of, said_by
from tests.rig import catalog_of, rig_of


async def bring(registry: Registry, harvest: Harvest) -> Imported:
    return await registry.do(apply, harvest)


async def publish(registry: Registry, path: Path) -> None:
    path.write_bytes(b"".join(encode(await registry.publication())))


# -- Snapshots ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A made-up snapshot of a small network."""
    folder = tmp_path_factory.mktemp("snapshot")
    write_snapshot(
        folder, SCALES["tiny"] if "tiny" in SCALES else min(SCALES.values(), key=lambda each: each.directories), 7
    )
    return str(folder / SNAPSHOT)


async def test_a_made_up_snapshot_comes_out_as_it_came_in(registry: Registry, made_up: str, tmp_path: Path) -> None:
    await bring(registry, read_snapshot(made_up, {}))
    await publish(registry, tmp_path / "out.pb")
    before, after = said_by(load_snapshot_file(made_up)), said_by(load_snapshot_file(str(tmp_path / "out.pb")))
    for key in before:
        assert after[key] == before[key], key


async def test_numbers_of_hosts_and_urls_are_kept(any_registry: Registry, tmp_path: Path) -> None:
    registry = any_registry
    path = tmp_path / "in.pb"
    path.write_bytes(file_of(catalog_of(MANAGER)))
    await bring(registry, read_snapshot(str(path), {}))
    async with registry.change() as change:
        found = {row.name: row.id for row in await queries.list_rows(change.connection, HostRow)}
        urls = {row.url: row.id for row in await queries.list_rows(change.connection, UrlRow)}
    assert found == {each.host.name: number for number, each in enumerate(MANAGER, start=1)}
    assert urls["http://campus.example/pub/"] == 100
    made = await registry.host(await registry.site())
    assert made.id == len(MANAGER) + 1


@pytest.mark.parametrize("server", ["manager", "today"])
async def test_the_golden_answers_are_given_after_import_and_publication(
    registry: Registry, tmp_path: Path, server: str
) -> None:
    first, second = tmp_path / "in.pb", tmp_path / "out.pb"
    first.write_bytes(file_of(catalog_of(MANAGER)))
    await bring(registry, read_snapshot(str(first), {}))
    await publish(registry, second)
    served = rig_of(
        load_snapshot_file(str(second), repair=False),
        **({"compatibility": "mirrormanager"} if server == "today" else {}),
    )
    for name, (wanted, target, client) in CASES.items():
        if wanted == server:
            assert render(served.get(target, client)).decode() == (FOLDER / name).read_text(), name


async def test_a_second_import_changes_nothing_and_keeps_what_was_edited(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "in.pb"
    path.write_bytes(file_of(catalog_of(MANAGER)))
    first = await bring(registry, read_snapshot(str(path), {}))
    assert first.added["host"] == first.added["site"] == len(MANAGER)
    await publish(registry, tmp_path / "first.pb")
    again = await bring(registry, read_snapshot(str(path), {}))
    assert not again.added and not again.changed and not again.kept
    await publish(registry, tmp_path / "second.pb")
    assert (tmp_path / "first.pb").read_bytes() == (tmp_path / "second.pb").read_bytes()
    await registry.do(hosts.edit_host, 2, None, {"bandwidth_mbit": 77, "city": "Berlin"})
    await registry.do(hosts.delete_host, 3, None)
    await registry.do(networks.delete_network, 1, 1)
    third = await bring(registry, read_snapshot(str(path), {}))
    assert not third.added and not third.changed
    told = "\n".join(third.kept)
    assert "a.de.example: was edited here" in told and "bandwidth_mbit 10000" in told
    assert "host b.de.example: was removed here" in told and "10.1.64.0/18: was removed here" in told
    async with registry.change() as change:
        row = await queries.find(change.connection, HostRow, id=2)
    assert row is not None and row.bandwidth_mbit == 77


async def test_a_second_import_brings_what_is_new(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "in.pb"
    path.write_bytes(file_of(catalog_of(MANAGER[:-1])))
    await bring(registry, read_snapshot(str(path), {}))
    path.write_bytes(file_of(catalog_of(MANAGER, built=1_790_000_100)))
    second = await bring(registry, read_snapshot(str(path), {}))
    assert dict(second.added) == {"site": 1, "host": 1, "carried": 1, "url": 2}
    assert not second.kept


async def test_hosts_are_ok_as_the_source_has_them_until_they_are_edited(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "in.pb"
    path.write_bytes(file_of(catalog_of(MANAGER)))
    await bring(registry, read_snapshot(str(path), {}))
    assert len(list((await registry.publication()).listed)) == len(MANAGER)
    await registry.do(hosts.edit_host, 2, None, {"name": "renamed.de.example"})
    found = await registry.publication()
    assert [host.row.name for host in found.hosts if host.reason] == ["renamed.de.example"]


async def test_a_name_that_is_taken_gets_its_number(registry: Registry, tmp_path: Path) -> None:
    await registry.host(await registry.site(), name="a.de.example")
    path = tmp_path / "in.pb"
    path.write_bytes(file_of(catalog_of(MANAGER)))
    report = await bring(registry, read_snapshot(str(path), {}))
    async with registry.change() as change:
        names = {row.name for row in await queries.list_rows(change.connection, HostRow)}
    assert {"a.de.example", "a.de.example#2"} <= names
    assert any("a.de.example: the name is taken" in line for line in report.broken)


async def test_categories_are_named_as_the_masters_are(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "in.pb"
    path.write_bytes(file_of(catalog_of(MANAGER)))
    await registry.category(name="Example Linux", top="pub")
    await bring(registry, read_snapshot(str(path), {"pub": "Example Linux"}))
    async with registry.change() as change:
        (category,) = await queries.list_rows(change.connection, CategoryRow)
    assert category.name == "Example Linux"


# -- Trees -------------------------------------------------------------------------------------------------------------


async def test_the_real_tree_comes_out_as_it_came_in(registry: Registry, real_tree: Path, tmp_path: Path) -> None:
    now = float(registry.now)
    harvest = read_tree(str(real_tree), now)
    report = await bring(registry, harvest)
    assert report.added["host"] == 530
    files, left_out = render_tree(await registry.holdings(), registry.now, mail=True)
    assert len(files) == 530 and not left_out
    config = (await registry.holdings()).facts["config.yml"].encode()
    publish_tree(str(tmp_path / "tree"), files, config, (), False, now)
    before, after = load_tree(str(real_tree), now), load_tree(str(tmp_path / "tree"), now)
    told = {host.name: _plain(host) for host in before.hosts}
    assert {host.name: _plain(host) for host in after.hosts} == told
    assert said_by(after)["directories"] == said_by(before)["directories"]
    async with registry.change() as change:
        rows = await queries.list_rows(change.connection, SiteRow)
        assert {row.state for row in rows} == {"approved"} and 400 < len(rows) < 530
        assert await queries.count(change.connection, ContactRow) > 400
        assert not await queries.count(change.connection, AccountRow)
    again = await bring(registry, harvest)
    assert not again.added and not again.changed and not again.kept
    await publish(registry, tmp_path / "tree.pb")
    catalog = load_snapshot_file(str(tmp_path / "tree.pb"))
    assert len(catalog.hosts) == 530 and ("baseos-9", "x86_64") in catalog.repositories


def _plain(host: Host) -> object:
    """What a file can say; why a mirror is withheld is told by an oddity of its file, which ours does not repeat."""
    return (
        host.country, host.place, host.bandwidth_mbit, host.netblocks, host.asns, host.private, host.monopoly,
        host.local,
        host.allowed, host.sponsor, host.sponsor_url,
    )  # fmt: skip


# -- MirrorManager's database ------------------------------------------------------------------------------------------

CRAWLED = datetime(2026, 9, 20, 6, 0, 0)

ROWS: Rows = {
    "site": [
        {"id": 3, "name": "Example Site", "password": "correct horse", "org_url": "https://example.org/",
         "private": False,
         "admin_active": True, "user_active": True, "created_at": datetime(2010, 1, 1), "created_by": "ann",
         "all_sites_can_pull_from_me": False, "downstream_comments": "ask first"},
        {"id": 4, "name": "Campus", "org_url": "https://campus.example/", "private": True, "admin_active": True,
         "user_active": True, "created_at": datetime(2011, 1, 1), "created_by": "bob",
         "all_sites_can_pull_from_me": True},
        {"id": 5, "name": "Bad Site", "org_url": "javascript:alert(1)", "private": False, "admin_active": False,
         "user_active": True, "created_at": datetime(2011, 1, 1), "created_by": "eve",
         "all_sites_can_pull_from_me": False},
    ],
    "mm_user": [{"id": 1, "user_name": "ann", "email_address": "ann@example.org", "password": "x"}],
    "site_admin": [{"id": 1, "username": "ann", "site_id": 3}, {"id": 2, "username": "ann", "site_id": 4}],
    "site_to_site": [{"id": 1, "upstream_site_id": 3, "downstream_site_id": 4, "password": "pull"}],
    "host": [
        {"id": 11, "name": "mirror.example.org", "site_id": 3, "robot_email": "robot@example.org", "admin_active": True,
         "user_active": True, "country": "DE", "bandwidth_int": 1000, "comment": "an old friend", "private": False,
         "internet2": False, "asn": 3320, "asn_clients": True, "max_connections": 1, "last_crawled": CRAWLED},
        {"id": 12, "name": "cache.campus.example", "site_id": 4, "admin_active": True, "user_active": True,
         "country": "de", "bandwidth_int": 100, "private": False, "internet2": True, "asn_clients": False,
         "max_connections": 3},
        {"id": 13, "name": "off.example.org", "site_id": 3, "admin_active": True, "user_active": False, "country": "FR",
         "bandwidth_int": 10, "private": False},
        {"id": 14, "name": "mirror.example.org", "site_id": 5, "admin_active": True, "user_active": True,
         "country": "Germany", "bandwidth_int": 0, "private": False},
    ],
    "product": [{"id": 1, "name": "Example"}],
    "directory": [
        {"id": 1, "name": "pub/linux", "readable": True, "ctime": 1_789_000_000},
        {"id": 2, "name": "pub/linux/1/x86_64/os", "readable": True, "ctime": 1_789_000_000},
        {"id": 3, "name": "pub/linux/1/x86_64/os/repodata", "readable": True, "ctime": 1_789_000_000},
        {"id": 4, "name": "pub/linux/2", "readable": False, "ctime": 1_789_000_000},
    ],
    "category": [
        {"id": 1, "name": "Example Linux", "publiclist": True, "admin_only": True, "product_id": 1, "topdir_id": 1},
    ],
    "category_directory": [{"category_id": 1, "directory_id": number} for number in (1, 2, 3, 4)],
    "host_category": [
        {"id": 21, "host_id": 11, "category_id": 1, "always_up2date": False},
        {"id": 22, "host_id": 12, "category_id": 1, "always_up2date": True},
        {"id": 23, "host_id": 13, "category_id": 1, "always_up2date": False},
    ],
    "host_category_dir": [
        {"id": 1, "host_category_id": 21, "path": "", "up2date": True, "directory_id": 1},
        {"id": 2, "host_category_id": 21, "path": "1/x86_64/os", "up2date": True, "directory_id": None},
        {"id": 3, "host_category_id": 21, "path": "1/x86_64/os/repodata", "up2date": False, "directory_id": 3},
        {"id": 4, "host_category_id": 23, "path": "", "up2date": True, "directory_id": 1},
    ],
    "host_category_url": [
        {"id": 31, "host_category_id": 21, "url": "https://mirror.example.org/linux", "private": False},
        {"id": 32, "host_category_id": 21, "url": "rsync://mirror.example.org/private", "private": True},
        {"id": 33, "host_category_id": 22, "url": "http://cache.campus.example/linux", "private": False},
    ],
    "host_netblock": [
        {"id": 1, "host_id": 12, "netblock": "8.8.8.0/24", "name": "dorm"},
        {"id": 2, "host_id": 12, "netblock": "9.9.9.9/24", "name": None},
        {"id": 3, "host_id": 12, "netblock": "nonsense/99", "name": None},
    ],
    "host_peer_asn": [{"id": 1, "host_id": 12, "asn": 680}],
    "host_country_allowed": [{"id": 1, "host_id": 12, "country": "DE"}],
    "host_acl_ip": [{"id": 1, "host_id": 11, "ip": "8.8.4.4"}, {"id": 2, "host_id": 11, "ip": "pull.example.org"}],
    "arch": [{"id": 1, "name": "x86_64"}],
    "version": [{"id": 1, "name": "1", "product_id": 1}],
    "repository": [
        {"id": 1, "name": "r", "prefix": "example-1", "category_id": 1, "version_id": 1, "arch_id": 1,
         "directory_id": 2,
         "disabled": False},
        {"id": 2, "name": "s", "prefix": None, "category_id": 1, "version_id": 1, "arch_id": 1, "directory_id": 2,
         "disabled": False},
    ],
    "file_detail": [
        {"id": 1, "directory_id": 3, "filename": "repomd.xml", "timestamp": 100, "size": 10, "sha256": "A" * 64},
        {"id": 2, "directory_id": 3, "filename": "repomd.xml", "timestamp": 200, "size": 11, "sha256": "b" * 64},
    ],
    "repository_redirect": [{"id": 1, "from_repo": "example-rawhide", "to_repo": "example-1"}],
    "country_continent_redirect": [{"id": 1, "country": "TR", "continent": "EU"}],
    "netblock_country": [{"id": 1, "netblock": "10.0.0.0/8", "country": "DE"}],
    "embargoed_country": [{"id": 1, "country_code": "KP"}],
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
async def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A filled database of MirrorManager 2, of either kind."""
    url = f"sqlite:///{tmp_path}/mirrormanager.db"
    if request.param == "postgresql":
        url = await request.getfixturevalue("postgresql").make_database()
    await write_database(url, ROWS)
    return url


async def test_mirrormanagers_database_comes_in_whole(registry: Registry, foreign: str, tmp_path: Path) -> None:
    harvest = await read_database(foreign)
    report = await bring(registry, harvest)
    async with registry.change() as change:
        connection = change.connection
        site = {row.id: row for row in await queries.list_rows(connection, SiteRow)}
        host = {row.id: row for row in await queries.list_rows(connection, HostRow)}
        accounts_found = await queries.list_rows(connection, AccountRow)
        contacts = {row.mail for row in await queries.list_rows(connection, ContactRow, site=3)}
        tokens = await queries.list_rows(connection, TokenRow)
        acl = [row.address for row in await queries.list_rows(connection, AclRow, host=11)]
        urls = {row.id: (row.url, row.audience) for row in await queries.list_rows(connection, UrlRow)}
        notes = [row.text for row in await queries.list_rows(connection, NoteRow)]
        redirects = {(row.kind, row.source, row.target) for row in await queries.list_rows(connection, RedirectRow)}
        releases = [
            (row.product, row.version_name, row.arches) for row in await queries.list_rows(connection, ReleaseRow)
        ]
        (category,) = await queries.list_rows(connection, CategoryRow)
    assert {number: row.state for number, row in site.items()} == {3: "approved", 4: "approved", 5: "suspended"}
    assert (site[3].comment, site[4].private, site[4].pulled_by_all) == ("ask first", True, True)
    assert [account.login for account in accounts_found] == ["ann"]
    assert contacts == {"ann@example.org", "robot@example.org"}
    assert len(tokens) == 1 and "correct horse" not in str(tokens[0].secret)
    assert set(host) == {11, 12, 13, 14}
    assert (host[11].country, host[11].own_asn, host[13].enabled) == ("DE", 3320, False)
    assert (host[14].name, host[14].country) == ("mirror.example.org#14", None)
    assert acl == ["8.8.4.4", "pull.example.org"] and notes == ["an old friend"]
    assert urls == {
        31: ("https://mirror.example.org/linux/", "public"),
        32: ("rsync://mirror.example.org/private/", "mirrors"),
        33: ("http://cache.campus.example/linux/", "public"),
    }
    assert redirects == {
        ("repository", "example-rawhide", "example-1"), ("continent", "TR", "EU"), ("country", "10.0.0.0/8", "DE"),
    }  # fmt: skip
    assert releases == [("Example", "1", ["x86_64"])]
    told_of_it = (category.name, category.top, category.product, category.joinable)
    assert told_of_it == ("Example Linux", "pub/linux", "Example", False)
    left_out = "\n".join(report.left_out)
    for told in ("embargoed", "nonsense/99", "9.9.9.9/24: taken as 9.9.9.0/24", "a scan finds them: 1 directory",
                 "repository s", "Internet2", "password of site 4", "links"):  # fmt: skip
        assert told in left_out, told
    assert any("Bad Site: url" in line for line in report.broken)
    assert harvest.built == int(CRAWLED.replace(tzinfo=None).timestamp()) or harvest.built == 1_789_884_000

    await publish(registry, tmp_path / "out.pb")
    catalog = load_snapshot_file(str(tmp_path / "out.pb"))
    names = {each.name: each for each in catalog.hosts}
    carriers = {
        name: {catalog.hosts[each].name for each in catalog.host_sets[directory.host_set].urls}
        for name, directory in catalog.directories.items()
    }
    assert carriers == {
        "pub/linux": {"mirror.example.org", "cache.campus.example"},
        "pub/linux/1/x86_64/os": {"mirror.example.org", "cache.campus.example"},
        "pub/linux/1/x86_64/os/repodata": {"cache.campus.example"},
    }
    assert names["cache.campus.example"].private
    assert {str(each) for each in names["cache.campus.example"].netblocks} == {"8.8.8.0/24", "9.9.9.0/24"}
    assert names["mirror.example.org"].asns == (3320,)
    assert [one.sha256[0] for one in catalog.details["pub/linux/1/x86_64/os/repodata", "repomd.xml"]] == ["b", "a"]
    again = await bring(registry, await read_database(foreign))
    assert not again.added and not again.changed and not again.kept


async def test_old_check_in_passwords_go_on(registry: Registry, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mirrormanager.db"
    await write_database(url, ROWS)
    await bring(registry, await read_database(url))
    async with registry.store.read() as connection:
        site, tokens = await accounts.find_check_in_tokens(connection, "Example Site")
        _, others = await accounts.find_check_in_tokens(connection, "Campus")
    assert site is not None and site.id == 3
    assert not any("correct horse" in repr(token) or "correct horse" in str(token.secret) for token in tokens)
    found = accounts.match_password(tokens, "correct horse", registry.now)
    assert found is not None and found.site == 3 and found.expires is None
    assert accounts.match_password(tokens, "wrong horse", registry.now) is None
    assert accounts.match_password(others, "correct horse", registry.now) is None


async def test_imported_sites_can_be_edited_like_any_other(registry: Registry, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mirrormanager.db"
    await write_database(url, ROWS)
    await bring(registry, await read_database(url))
    await registry.do(sites.edit_site, 5, None, {"comment": "still there"})
    await registry.do(sites.decide_site, 5, None, {"action": "approve"})
    (first, *_) = await registry.do(carried.list_urls, 11)
    await registry.do(carried.edit_url, 11, first.row.id, None, {"url": "https://mirror.example.org/new/"})
    report = await bring(registry, await read_database(url))
    assert not report.added and not report.changed
    assert len([line for line in report.kept if "was edited here" in line]) == 2
