"""A version that is new on the masters: who takes it by himself, and who is asked."""

from __future__ import annotations

from dataclasses import replace

from redirector.registry.announcing import ASKED, PUBLIC
from redirector.registry.edit import catalogue, hosts
from redirector.registry.edit.new_releases import AT_ONCE, versions_of
from redirector.registry.edit.scanned import adopt_scans
from redirector.store.contents import keep_contents
from redirector.store.directories import MasterRepository, Packed
from redirector.store.registry import queries
from redirector.store.registry.rows import CarriedRow, ReleaseRow
from tests.registry.conftest import registry
from tests.registry.rig import Registry
from tests.registry.test_announcing import told, verified_site
from tests.registry.test_joined import current, scan

__all__ = ["registry"]

WHOLE = scan()


async def scanned(registry: Registry, *versions: str) -> int:
    """A scan that names the repositories of these *versions*."""
    repositories = tuple(
        MasterRepository(f"example-{version}", "x86_64", "Example", f"{version}/os".encode()) for version in versions
    )
    directories = tuple(
        each for each in WHOLE.directories if each.path.split(b"/")[0].decode() in ("", *versions) or not each.path
    )
    registry.now += 3600
    made = replace(WHOLE, repositories=repositories, directories=directories, generation=registry.now)
    async with registry.store.write() as connection:
        await keep_contents(connection, Packed.of(made))
    return await registry.do(adopt_scans)


async def network(registry: Registry) -> dict[str, int]:
    """Two hosts that are trusted without a look, of two sites; one takes new releases by itself."""
    await scanned(registry, "1")
    found = {}
    for name, takes in (("eager", True), ("slow", False)):
        site = await verified_site(registry, name=name, contacts=[f"{name}@example.org"])
        host = await registry.host(site, name=f"{name}.example.org", new_releases=takes)
        await registry.carry(host)
        found[name] = host.id
    idle = await verified_site(registry, name="idle", contacts=["idle@example.org"])
    await registry.host(idle, name="idle.example.org", new_releases=True)
    await told(registry)
    return found


async def test_who_takes_new_releases_has_it_without_an_edit_and_others_are_asked(registry: Registry) -> None:
    numbers = await network(registry)
    assert await current(registry) == {
        f"{name}.example.org": {"", "1", "1/os", "1/os/Packages", "1/os/repodata"} for name in numbers
    }
    assert await scanned(registry, "1", "2")
    had = await current(registry)
    assert {"2", "2/os", "2/os/repodata"} <= had["eager.example.org"]
    assert had["slow.example.org"] == {"", "1", "1/os", "1/os/Packages", "1/os/repodata"}
    mails = {each.target: each for each in await told(registry)}
    assert {target: each.kind for target, each in mails.items()} == {
        "eager@example.org": PUBLIC,
        "slow@example.org": ASKED,
    }
    words = " ".join(mails["slow@example.org"].body.split())
    assert "Example 2 is new" in words and f"https://mirrors.example.org/hosts/{numbers['slow']}" in words
    assert '"What is left out"' in words and '"Takes new releases"' in words
    assert await told(registry) == []
    assert await scanned(registry, "1", "2") == 0 and await told(registry) == []
    async with registry.store.read() as connection:
        (part,) = await queries.list_rows(connection, CarriedRow, host=numbers["slow"])
    assert part.exclusions == ["2"]


async def test_the_first_scan_and_one_that_calls_everything_otherwise_tell_nobody(registry: Registry) -> None:
    await network(registry)
    async with registry.store.read() as connection:
        assert await queries.list_rows(connection, ReleaseRow) == []
    others = [f"{number}.0" for number in range(1, AT_ONCE + 2)]
    await scanned(registry, *others)
    assert await told(registry) == []
    async with registry.store.read() as connection:
        assert await queries.list_rows(connection, ReleaseRow) == []


async def test_a_release_that_was_announced_is_the_one_that_the_scan_finds(registry: Registry) -> None:
    numbers = await network(registry)
    await registry.do(hosts.edit_host, numbers["slow"], None, {"new_releases": True})
    await registry.do(
        catalogue.create_release, {"product": "Example", "version": "2", "not_before": "2100-01-01T00:00:00Z"}
    )
    (staged, other) = await told(registry)
    assert {staged.kind, other.kind} == {"release.staged"}
    await scanned(registry, "1", "2")
    async with registry.store.read() as connection:
        (row,) = await queries.list_rows(connection, ReleaseRow)
    assert row.origin is None and await told(registry) == []
    assert all("2" not in paths for paths in (await current(registry)).values())


def test_versions_are_those_of_the_rules_or_look_like_one() -> None:
    def named(path: str, **groups: str) -> MasterRepository:
        return MasterRepository(path.replace("/", "-"), "x86_64", "Example", path.encode(), groups)

    paths = [named("releases/43/os"), named("releases/43/debug"), named("x/rolling/os", version="rolling"), named("os")]
    found = versions_of(Packed.of(scan(repositories=tuple(paths))))
    assert found == {("Example", "43"): ["releases/43"], ("Example", "rolling"): ["x/rolling"]}
