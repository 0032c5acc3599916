"""Versions that a scan sees for the first time: they become releases, and hosts that do not take those by themselves
keep what they were trusted for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from redirector.registry.edit.change import Change
from redirector.registry.public import version_of
from redirector.registry.publish.scanned import repositories_of
from redirector.registry.rules import name_key
from redirector.registry.views import show_carried, show_release
from redirector.store.directories import Packed
from redirector.store.registry import queries
from redirector.store.registry.rows import CarriedRow, CategoryRow, HostRow, ReleaseRow

SCAN = "scan"
"""The origin of what a scan made: hands have not touched it, and the next scan may change it."""

AT_ONCE = 3
"""New versions in one scan of a category; where there are more, what versions are called has changed."""


def versions_of(scan: Packed) -> dict[tuple[str, str], list[str]]:
    """(product, version) -> directories below the top that hold it, of the repositories that a scan named."""
    found: dict[tuple[str, str], list[str]] = {}
    for repository, _ in repositories_of(scan):
        path = repository.path.decode()
        version = repository.groups.get("version") or version_of(path)
        parts = path.split("/")
        if version and repository.product:
            top = "/".join(parts[: parts.index(version) + 1]) if version in parts else path
            directories = found.setdefault((repository.product, version), [])
            if top not in directories:
                directories.append(top)
    return found


async def adopt_releases(change: Change, category: CategoryRow, scan: Packed) -> int:
    """Make releases of versions that no scan of *category* had before; how many.

    The first scan tells nobody: what it sees is old.
    """
    fact = f"versions {category.id}"
    versions = versions_of(scan)
    seen = {f"{product}\0{version}": (product, version) for product, version in versions}
    told = await queries.find_fact(change.connection, fact)
    before: set[str] = set(json.loads(told)) if told is not None else set()
    if not seen.keys() - before and told is not None:
        return 0
    await queries.set_fact(change.connection, fact, json.dumps(sorted(before | seen.keys())))
    fresh = sorted(seen.keys() - before)
    if told is None or len(fresh) > AT_ONCE:
        return 0
    made = 0
    for product, version in map(seen.__getitem__, fresh):
        made += await _make(change, product, version)
        await _leave_out(change, category, versions[product, version])
    return made


async def _make(change: Change, product: str, version: str) -> bool:
    """The release, unless somebody entered it before, under embargo say."""
    for row in await queries.list_rows(change.connection, ReleaseRow, version_name=version):
        if name_key(row.product) == name_key(product):
            return False
    row = await queries.add(
        change.connection,
        ReleaseRow,
        product=product,
        version_name=version,
        arches=[],
        not_before=None,
        origin=SCAN,
        edited=change.now,
    )
    await change.log("release.add", f"{product} {version}", row.id, {}, show_release(row))
    return True


async def _leave_out(change: Change, category: CategoryRow, directories: Iterable[str]) -> None:
    """Hosts that are trusted without a look, and take no new releases by themselves, leave it out until they say so.

    All others are listed for it as soon as a visit, or their own check-in, finds it there.
    """
    patterns = [directory.replace("[", "[[]") for directory in directories]
    for carried in await queries.list_rows(change.connection, CarriedRow, category=category.id, always_current=True):
        host = await queries.find(change.connection, HostRow, id=carried.host)
        missing = [pattern for pattern in patterns if pattern not in carried.exclusions]
        if host is None or host.new_releases or not missing:
            continue
        exclusions = [*carried.exclusions, *missing]
        changed = await queries.change(
            change.connection, CarriedRow, carried.id, None, exclusions=exclusions, edited=change.now
        )
        if changed is None:  # its host left the category since it was read
            continue
        old, new = show_carried(carried, category.name), show_carried(changed, category.name)
        await change.log(
            "carried.change",
            category.name,
            carried.id,
            {"exclusions": old["exclusions"]},
            {"exclusions": new["exclusions"]},
            site=host.site,
            host=host.id,
        )
