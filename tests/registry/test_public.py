"""What anybody may know of the mirrors is what is served."""

from __future__ import annotations

from redirector.registry.edit import hosts, sites
from redirector.registry.public import PublicList, mirror_object, public_list, version_of
from redirector.registry.publish.selection import select
from tests.registry.rig import Registry


async def made(registry: Registry) -> PublicList:
    """The list, as it is now."""
    holdings = await registry.holdings()
    return public_list(holdings, select(holdings, registry.now), registry.now)


async def given_to_strangers(registry: Registry) -> set[str]:
    """Names that the published sets have for everybody."""
    publication = await registry.publication()
    names = {host.id: host.row.name for host in publication.hosts}
    return {names[number] for category in publication.categories for each in category.sets for number in each.public}


async def test_a_mirror_is_ok_exactly_when_strangers_are_given_it(registry: Registry) -> None:
    await registry.category()
    site = await registry.site()
    draft = await registry.site(approved=False, name="Draft")
    for name, fields in (
        ("good", {}),
        ("off", {"enabled": False}),
        ("resting", {"maintenance": {"from": "2020-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"}}),
        ("cloudy", {"cloud_type": "aws", "cloud_regions": ["eu-west-1"]}),
        ("hidden", {"private": True}),
    ):
        host = await registry.host(site, name=f"{name}.example.org", **fields)
        await registry.carry(host, f"https://{name}.example.org/linux/")
    only_rsync = await registry.host(site, name="rsync.example.org")
    await registry.carry(only_rsync, "rsync://rsync.example.org/linux/")
    unseen = await registry.host(site, name="unseen.example.org")
    await registry.carry(unseen, "https://unseen.example.org/linux/", always=False)
    await registry.carry(await registry.host(draft, name="draft.example.org"), "https://draft.example.org/linux/")

    found = {mirror.host: mirror for mirror in (await made(registry)).mirrors}
    assert {name.partition(".")[0]: mirror.state for name, mirror in found.items()} == {
        "good": "ok",
        "off": "host-off",
        "resting": "maintenance",
        "cloudy": "cloud",
        "rsync": "no-url",
        "unseen": "unchecked",
    }
    assert {name for name, mirror in found.items() if mirror.ok} == await given_to_strangers(registry)
    assert found["good.example.org"].categories[0].state == "ok"
    assert found["unseen.example.org"].categories[0].state == "unchecked"


async def test_what_is_told_of_a_mirror_has_no_networks_and_no_contacts(registry: Registry) -> None:
    await registry.category()
    site = await registry.site()
    host = await registry.host(site)
    await registry.carry(host)
    await registry.network(host, "203.0.112.0/24")
    (mirror,) = (await made(registry)).mirrors
    told = str(mirror_object(mirror))
    assert mirror.networks == 1
    assert "203.0.112" not in told and "ops@" not in told


async def test_what_a_mirror_carries_is_told_by_version_and_arch(registry: Registry) -> None:
    await registry.category()
    site = await registry.site()
    await registry.carry(await registry.host(site))
    (mirror,) = (await made(registry)).mirrors
    assert mirror.carries == {("Example Linux", "1", "x86_64")}


async def test_the_source_of_a_mirror_is_named_when_it_is_public(registry: Registry) -> None:
    site = await registry.site()
    await registry.host(site, name="up.example.org")
    await registry.host(site, name="down.example.org", pulls_from="up.example.org")
    assert [mirror.pulls_from for mirror in (await made(registry)).mirrors] == ["up.example.org", ""]
    source = (await registry.holdings()).hosts[1]
    await registry.do(hosts.edit_host, source.id, None, {"private": True})
    assert [mirror.pulls_from for mirror in (await made(registry)).mirrors] == [""]


async def test_a_site_that_left_says_so(registry: Registry) -> None:
    await registry.category()
    site = await registry.site()
    await registry.carry(await registry.host(site))
    await registry.do(sites.leave_site, site.id, None)
    (mirror,) = (await made(registry)).mirrors
    assert mirror.state == "site-off"
    assert mirror_object(mirror)["reason"] == "site-off"


def test_the_version_of_a_directory_is_the_part_that_looks_like_one() -> None:
    assert version_of("releases/42/Everything/x86_64/os") == "42"
    assert version_of("10.1/BaseOS/x86_64/os") == "10.1"
    assert version_of("updates/noble/main", {"noble"}) == "noble"
    assert version_of("extras") == ""
