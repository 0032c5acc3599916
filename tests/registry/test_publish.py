"""What is published: who is in it, who is not, and how the file takes its place."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redirector.model import Catalog, HostId
from redirector.registry.edit import carried, catalogue, hosts, networks, sites
from redirector.registry.publish.encode import encode
from redirector.registry.publish.names import gateway_names, keep_addresses, look_up
from redirector.registry.publish.output import SHRINK, PublishError, publish_snapshot, publish_tree
from redirector.registry.publish.tree import render_tree
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file
from redirector.sources.mirrors_d.load import load_tree
from tests.registry.rig import NOW, Registry
from tests.sources.snapshot_file import MirrorList


async def load(registry: Registry, tmp_path: Path, now: int | None = None) -> Catalog:
    path = tmp_path / "published.pb"
    path.write_bytes(b"".join(encode(await registry.publication(now))))
    return load_snapshot_file(str(path))


async def listed(registry: Registry, tmp_path: Path, now: int | None = None) -> set[str]:
    catalog = await load(registry, tmp_path, now)
    return {catalog.hosts[host].name for carriers in catalog.host_sets for host in carriers.urls}


async def one_host(registry: Registry) -> tuple[int, int]:
    """A site and a host that is listed: their numbers."""
    await registry.category()
    site = await registry.site()
    host = await registry.host(site)
    await registry.carry(host)
    return site.id, host.id


async def test_a_host_is_published_with_all_that_clients_need(any_registry: Registry, tmp_path: Path) -> None:
    registry = any_registry
    await registry.category()
    site = await registry.site()
    host = await registry.host(site, city="Berlin", latitude=52.5, longitude=13.4, bandwidth_mbit=40_000, own_asn=3320)
    await registry.carry(host, "https://mirror.example.org/linux", "rsync://mirror.example.org/linux")
    await registry.network(host, "8.8.8.0/24")
    await registry.do(networks.add_country, host.id, {"country": "DE"})
    catalog = await load(registry, tmp_path)
    (published,) = catalog.hosts
    assert (published.name, published.country, published.city) == ("mirror.example.org", "DE", "Berlin")
    assert published.place is not None and (published.place.latitude, published.place.longitude) == (52.5, 13.4)
    assert published.bandwidth_mbit == 10_000
    assert [str(network) for network in published.netblocks] == ["8.8.8.0/24"]
    assert (published.asns, published.own_asn, published.allowed) == ((3320,), 3320, frozenset({"DE"}))
    assert (published.sponsor, published.sponsor_url) == ("Example Site", "https://example.org/")
    assert catalog.repositories == {("pub-linux-1", "x86_64"): "pub/linux/1/x86_64/os"}
    (carriers,) = catalog.host_sets
    assert set(carriers.urls[HostId(0)]) == {"https://mirror.example.org/linux", "rsync://mirror.example.org/linux"}
    assert catalog.directories["pub/linux/1/x86_64/os"].subpath_of("pub/linux/1/x86_64/os") == "1/x86_64/os"


async def test_todays_server_can_read_the_file(registry: Registry) -> None:
    await one_host(registry)
    raw = b"".join(encode(await registry.publication()))
    root = MirrorList.FromString(raw)
    assert [(each.key, each.value) for each in root.HCUrlCache] == [(1, "https://mirror.example.org/linux")]
    assert {each.directory: (list(each.Global), each.Subpath) for each in root.MirrorListCache} == {
        "pub/linux": ([1], ""),
        "pub/linux/1/x86_64/os": ([1], "1/x86_64/os"),
    }
    assert [(each.key, list(each.value)) for each in root.MirrorListCache[1].ByCountry] == [("DE", [1])]


async def test_same_data_same_bytes(registry: Registry) -> None:
    await one_host(registry)
    first = b"".join(encode(await registry.publication(NOW)))
    assert b"".join(encode(await registry.publication(NOW + 5))) == first


OUT: dict[str, Callable[[int, int], tuple[Callable[..., Awaitable[Any]], tuple[Any, ...]]]] = {
    "site suspended": lambda site, host: (sites.decide_site, (site, None, {"action": "suspend"})),
    "site off": lambda site, host: (sites.edit_site, (site, None, {"enabled": False})),
    "site leaves": lambda site, host: (sites.leave_site, (site, None)),
    "host off": lambda site, host: (hosts.edit_host, (host, None, {"enabled": False})),
    "host leaves": lambda site, host: (hosts.leave_host, (host, None)),
    "maintenance": lambda site, host: (
        hosts.edit_host,
        (host, None, {"maintenance": {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}}),
    ),
    "private without network": lambda site, host: (hosts.edit_host, (host, None, {"private": True})),
    "only rsync": lambda site, host: (
        carried.edit_url, (host, 1, None, {"url": "rsync://mirror.example.org/linux/"}),
    ),
    "url for mirrors": lambda site, host: (carried.edit_url, (host, 1, None, {"audience": "mirrors"})),
    "never checked": lambda site, host: (carried.edit_carried, (host, 1, None, {"always_current": False})),
    "embargo": lambda site, host: (
        catalogue.create_release,
        ({"product": "Example Linux", "version": "1", "not_before": "2030-01-01T00:00:00Z"},),
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", OUT)
async def test_who_is_out_is_in_no_list(registry: Registry, tmp_path: Path, why: str) -> None:
    site, host = await one_host(registry)
    assert await listed(registry, tmp_path) == {"mirror.example.org"}
    work, values = OUT[why](site, host)
    await registry.do(work, *values)
    found = await registry.publication()
    if why == "embargo":
        assert [name for category in found.categories for name in category.names] == ["pub/linux"]
        assert not found.repositories
        assert found.hosts[0].reason is None
    else:
        assert not list(found.listed)
        assert why == "never checked" or "mirror.example.org" in " ".join(found.left_out)


async def test_an_unapproved_site_is_nowhere(registry: Registry) -> None:
    await registry.category()
    await registry.carry(await registry.host(await registry.site(approved=False)))
    found = await registry.publication()
    assert not found.hosts and b"mirror.example.org" not in b"".join(encode(found))


async def test_a_private_host_is_known_by_its_number_alone(registry: Registry, tmp_path: Path) -> None:
    await registry.category()
    host = await registry.host(await registry.site(), private=True)
    await registry.carry(host)
    await registry.network(host, "8.8.8.0/24")
    root = MirrorList.FromString(b"".join(encode(await registry.publication())))
    for record in root.MirrorListCache:
        assert not record.Global and not record.ByCountry
        assert [each.key for each in record.ByHostId] == [host.id]
    catalog = await load(registry, tmp_path)
    assert catalog.hosts[0].private and not catalog.host_sets[0].public


async def test_what_waits_is_not_published(registry: Registry) -> None:
    site, host = await one_host(registry)
    owner = await registry.owner("owner", (await registry.do(sites.visible_sites))[0])
    await registry.do(networks.add_network, host, {"network": "9.0.0.0/8"}, actor=owner)
    assert not (await registry.publication()).hosts[0].networks
    await registry.do(networks.decide_network, host, 1, None, {"action": "approve"})
    assert [str(each) for each in (await registry.publication()).hosts[0].networks] == ["9.0.0.0/8"]
    await registry.do(networks.decide_network, host, 1, None, {"action": "refuse"})
    assert not (await registry.publication()).hosts[0].networks
    assert site


async def test_a_host_lacks_what_it_leaves_out(registry: Registry, tmp_path: Path) -> None:
    await registry.category()
    for version in "234":
        body = {"prefix": f"p-{version}", "arch": "x86_64", "directory": f"pub/linux/{version}/x86_64/os"}
        await registry.do(catalogue.create_repository, body)
    site = await registry.site()
    for name, exclusions in (("all", []), ("some", ["2", "*/x86_64/os/debug", "4/*"])):
        host = await registry.host(site, name=f"{name}.example.org")
        await registry.carry(host, exclusions=exclusions)
    catalog = await load(registry, tmp_path)
    there = {
        name: {catalog.hosts[each].name for each in catalog.host_sets[directory.host_set].urls}
        for name, directory in catalog.directories.items()
    }
    both = {"all.example.org", "some.example.org"}
    assert there == {
        "pub/linux": both,
        "pub/linux/1/x86_64/os": both,
        "pub/linux/2/x86_64/os": {"all.example.org"},
        "pub/linux/3/x86_64/os": both,
        "pub/linux/4/x86_64/os": {"all.example.org"},
    }


async def test_embargoed_content_is_listed_when_its_time_has_come(registry: Registry) -> None:
    await one_host(registry)
    not_before = NOW + 3600
    body = {"product": "example linux", "version": "1", "not_before": "2026-09-21T15:13:20Z"}
    await registry.do(catalogue.create_release, body)
    early, late = await registry.publication(not_before - 1), await registry.publication(not_before)
    assert "pub/linux/1/x86_64/os" not in early.categories[0].names
    assert "pub/linux/1/x86_64/os" in late.categories[0].names and late.repositories
    assert late.built == not_before


async def test_unlisted_public_hosts_are_told_with_their_reason(registry: Registry, tmp_path: Path) -> None:
    await registry.category()
    site = await registry.site()
    await registry.carry(await registry.host(site, name="new.example.org"), always=False)
    await registry.carry(await registry.host(site, name="good.example.org"))
    secret = await registry.host(site, name="secret.example.org", private=True)
    await registry.carry(secret)
    catalog = await load(registry, tmp_path)
    told = {host.name: host.condition.state if host.condition else "" for host in catalog.hosts}
    assert told == {"new.example.org": "unchecked", "good.example.org": "ok"}


# -- NAT gateways ------------------------------------------------------------------------------------------------------


async def test_a_gateways_name_stands_for_its_addresses_and_the_last_counts_for_a_day(registry: Registry) -> None:
    _, host = await one_host(registry)
    for name in ("nat.example.org", "inner.example.org", "gone.example.org"):
        await registry.do(networks.add_network, host, {"network": name})

    async def resolve(name: str) -> Sequence[str]:
        if name == "gone.example.org":
            raise OSError(-2, "Name or service not known")
        return {"nat.example.org": ["9.9.9.9", "2620:fe::fe"], "inner.example.org": ["10.0.0.1"]}[name]

    async with registry.change() as change:
        names = await gateway_names(change.connection)
        found, told = await look_up(names, resolve)
        await keep_addresses(change.connection, found, NOW)
    assert names == ["gone.example.org", "inner.example.org", "nat.example.org"]
    assert len(told) == 2 and "10.0.0.1 is not global" in told[1] and "cannot be resolved" in told[0]

    async def networks_at(now: int) -> list[str]:
        return [str(each) for each in (await registry.publication(now)).hosts[0].networks]

    assert await networks_at(NOW + 86_399) == ["2620:fe::fe/128", "9.9.9.9/32"]
    assert await networks_at(NOW + 86_400) == []
    async with registry.change() as change:
        await keep_addresses(change.connection, {}, NOW + 86_400)
    assert not (await registry.holdings()).addresses


async def test_slow_names_are_given_up_on() -> None:
    import asyncio

    async def never(name: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    from redirector.registry.publish import names

    limit, names.LOOK_UP_S = names.LOOK_UP_S, 0.01
    try:
        found, told = await look_up(["nat.example.org"], never)
    finally:
        names.LOOK_UP_S = limit
    assert not found and "no answer in time" in told[0]


# -- Files -------------------------------------------------------------------------------------------------------------


async def test_the_file_is_written_beside_and_takes_its_place(registry: Registry, tmp_path: Path) -> None:
    await one_host(registry)
    path = tmp_path / "cache.pb"
    plan = publish_snapshot(await registry.publication(), str(path), (), dry=True)
    assert plan.added == ("mirror.example.org",) and not path.exists()
    publish_snapshot(await registry.publication(), str(path), (), dry=False)
    first = path.read_bytes()
    again = publish_snapshot(await registry.publication(), str(path), (), dry=False)
    assert again.is_empty and path.read_bytes() == first
    assert [each.name for each in tmp_path.iterdir() if ".new" in each.name] == []


async def test_nothing_to_serve_is_refused_and_what_is_there_stays(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "cache.pb"
    path.write_bytes(b"what is there")
    with pytest.raises(PublishError, match="names no directory"):
        publish_snapshot(await registry.publication(), str(path), (SHRINK,), dry=False)
    assert path.read_bytes() == b"what is there"


@pytest.mark.parametrize(("kept", "refused"), [(0, True), (2, True), (3, False), (4, False)])
async def test_half_gone_is_refused_unless_it_is_allowed(
    registry: Registry, tmp_path: Path, kept: int, refused: bool
) -> None:
    await registry.category()
    site = await registry.site()
    made = [await registry.host(site, name=f"m{number}.example.org") for number in range(4)]
    for host in made:
        await registry.carry(host)
    path = str(tmp_path / "cache.pb")
    publish_snapshot(await registry.publication(), path, (), dry=False)
    for host in made[kept:]:
        await registry.do(hosts.edit_host, host.id, None, {"enabled": False})
    if refused:
        with pytest.raises(PublishError, match="would be gone"):
            publish_snapshot(await registry.publication(), path, (), dry=False)
    plan = publish_snapshot(await registry.publication(), path, (SHRINK,), dry=False)
    assert len(plan.removed) == 4 - kept


async def test_a_folder_that_cannot_be_written_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    await one_host(registry)
    path = str(tmp_path / "absent" / "cache.pb")
    with pytest.raises(FileNotFoundError) as failure:
        publish_snapshot(await registry.publication(), path, (), dry=False)
    assert (failure.value.filename, failure.value.filename2) == (path, None)


def test_a_tree_whose_folder_has_no_room_beside_it_is_named_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as failure:
        publish_tree(str(tmp_path / "file" / "tree"), {}, CONFIG, (), False, 0.0)
    assert failure.value.filename == str(tmp_path / "file" / "tree" / "mirrors.d")


CONFIG = b"versions: ['1']\narches: {'1': [x86_64]}\nrepos: [{name: baseos, path: BaseOS/$basearch/os}]\n"


async def test_a_tree_has_all_hosts_but_those_off_or_in_maintenance(registry: Registry, tmp_path: Path) -> None:
    await registry.category()
    site = await registry.site()
    fields: dict[str, dict[str, object]] = {
        "plain.example.org": {},
        "off.example.org": {"enabled": False},
        "away.example.org": {"maintenance": {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}},
        "unchecked.example.org": {},
        "full.example.org": {
            "state": "Bavaria", "city": "Nürnberg", "latitude": 49.45, "longitude": 11.08, "update_frequency": "3h",
            "own_asn": 3320, "country": "NO",
        },
    }  # fmt: skip
    for name, more in fields.items():
        host = await registry.host(site, name=name, **more)
        await registry.carry(host, always=name != "unchecked.example.org")
        if name == "full.example.org":
            await registry.network(host, "8.8.8.0/24")
            await registry.network(host, "2a00:1450::/48")
            await registry.do(hosts.edit_host, host.id, None, {"monopoly": True})
            await registry.do(networks.add_country, host.id, {"country": "NO"})
    files, left_out = render_tree(await registry.holdings(), NOW, mail=False)
    assert set(files) == {f"{name}.example.org.yml" for name in ("plain", "unchecked", "full")} and not left_out
    assert all(b"ops@example.org" not in raw for raw in files.values())
    with_mail, _ = render_tree(await registry.holdings(), NOW, mail=True)
    assert all(b"email: ops@example.org" in raw for raw in with_mail.values())
    folder = tmp_path / "tree"
    publish_tree(str(folder), files, CONFIG, (), False, NOW)
    loaded = {host.name: host for host in load_tree(str(folder), NOW).hosts}
    full = loaded["full.example.org"]
    assert (full.country, full.monopoly, full.asns) == ("NO", True, (3320,))
    assert [str(each) for each in full.netblocks] == ["8.8.8.0/24", "2a00:1450::/48"]
    assert (folder / "config.yml").read_bytes() == CONFIG
    await registry.do(hosts.edit_host, 1, None, {"enabled": False})
    files, _ = render_tree(await registry.holdings(), NOW, mail=False)
    (folder / "config.yml").write_bytes(CONFIG + b"# mine\n")
    plan = publish_tree(str(folder), files, CONFIG, (), False, NOW)
    assert plan.removed == ("plain.example.org",)
    assert sorted(os.listdir(folder / "mirrors.d")) == ["full.example.org.yml", "unchecked.example.org.yml"]
    assert (folder / "config.yml").read_bytes() == CONFIG + b"# mine\n"
    assert not [each.name for each in tmp_path.iterdir() if ".new" in each.name]


async def test_what_the_configuration_names_and_is_not_there_is_told(registry: Registry, tmp_path: Path) -> None:
    await one_host(registry)
    files, _ = render_tree(await registry.holdings(), NOW, mail=False)
    config, folder = CONFIG + b"places: places.yml\n", tmp_path / "tree"
    plan = publish_tree(str(folder), files, config, (), True, NOW)
    assert [each.partition(": ")[0] for each in plan.problems] == [str(folder / "places.yml")]
    assert "No such file" in plan.problems[0]
    folder.mkdir()
    (folder / "places.yml").write_text("{}\n")
    assert publish_tree(str(folder), files, config, (), True, NOW).problems == ()


async def test_a_tree_without_a_configuration_is_refused(registry: Registry, tmp_path: Path) -> None:
    await one_host(registry)
    files, _ = render_tree(await registry.holdings(), NOW, mail=False)
    with pytest.raises(PublishError, match="is missing"):
        publish_tree(str(tmp_path / "tree"), files, None, (), False, NOW)
    assert not (tmp_path / "tree").exists()


# -- Properties --------------------------------------------------------------------------------------------------------

FLAGS = st.lists(st.booleans(), min_size=7, max_size=7)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(FLAGS, min_size=1, max_size=5))
async def test_nothing_hidden_is_ever_published(registry: Registry, flags: list[list[bool]]) -> None:
    """Whatever hosts are: private ones are in ByHostId alone, and who is out is in no list at all."""
    async with registry.change() as change:
        for row in await catalogue.list_categories(change):
            await change.connection.exec_driver_sql("DELETE FROM carried")
            await catalogue.delete_category(change, row.id)
        for table in ("host", "site", "repository"):
            await change.connection.exec_driver_sql(f"DELETE FROM {table}")
    await registry.category()
    expected: dict[int, bool] = {}
    for number, (approved, site_on, site_private, on, private, network, current) in enumerate(flags):
        site = await registry.site(name=f"site {number}", approved=approved, enabled=site_on, private=site_private)
        host = await registry.host(site, name=f"m{number}.example.org", enabled=on, private=private)
        await registry.carry(host, always=current)
        if network:
            await registry.network(host, f"8.8.{number}.0/24")
        hidden = private or site_private
        if approved and site_on and on and current and (network or not hidden):
            expected[host.id] = hidden
    root = MirrorList.FromString(b"".join(encode(await registry.publication())))
    for record in root.MirrorListCache:
        assert {each.key for each in record.ByHostId} == set(expected)
        public = {number for number, hidden in expected.items() if not hidden}
        assert set(record.Global) == {number for each in record.ByCountry for number in each.value} == public
    known = set(expected)
    for cache in (root.HostNetblockCache, root.HostAsnCache):
        assert {number for each in cache for number in each.value} <= known
