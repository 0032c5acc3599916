"""What belongs to no site: categories, repositories, redirects, releases. Distribution admins alone change it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redirector.counted import counted
from redirector.registry import nouns
from redirector.registry.edit.change import Change, differences, refuse_outdated, taken, write
from redirector.registry.listing import SiteState
from redirector.registry.permits import Act
from redirector.registry.publish.embargo import embargo_at
from redirector.registry.refusals import Conflict, Missing
from redirector.registry.rules import name_key
from redirector.registry.views import View, show_category, show_redirect, show_release, show_repository
from redirector.store.registry import queries
from redirector.store.registry.rows import (
    CarriedRow,
    CategoryRow,
    HostRow,
    RedirectRow,
    ReleaseRow,
    RepositoryRow,
    SiteRow,
)

# -- Categories --------------------------------------------------------------------------------------------------------


async def list_categories(change: Change) -> list[CategoryRow]:
    """Those that the actor may know of: what is under embargo is told to those who mirror it, and to the distribution's
    admins."""
    if await _knows_what_is_staged(change):
        return await queries.list_rows(change.connection, CategoryRow)
    return await public_categories(change)


async def public_categories(change: Change) -> list[CategoryRow]:
    """Those that everybody may know of."""
    rows = await queries.list_rows(change.connection, CategoryRow)
    embargo = embargo_at(await queries.list_rows(change.connection, ReleaseRow), rows, (), change.now)
    return [row for row in rows if not embargo.hides_category(row)]


async def _knows_what_is_staged(change: Change) -> bool:
    """Distribution admins, and whoever acts for an approved site: notices of what is staged go there."""
    actor = change.actor
    if actor.admin:
        return True
    sites = set(actor.sites)
    if actor.only is not None:
        kind, number = actor.only
        host = await queries.find(change.connection, HostRow, id=number) if kind == "host" else None
        sites.add(host.site if host is not None else number)
    rows = await queries.list_rows(change.connection, SiteRow, id=sites)
    return any(row.state == SiteState.APPROVED.value for row in rows)


async def find_category(change: Change, number: int) -> CategoryRow:
    """One that the actor may know of. Raises Missing."""
    for row in await list_categories(change):
        if row.id == number:
            return row
    raise Missing


async def create_category(change: Change, body: object, origin: str | None = None) -> CategoryRow:
    """A new category."""
    change.require(Act.ADMINISTER)
    noun = nouns.read_new(nouns.Category, body, change.lax)
    if await queries.find(change.connection, CategoryRow, name_key=name_key(noun.name)):
        taken("name", "another category has this name")
    row = await queries.add(
        change.connection,
        CategoryRow,
        **noun.model_dump(),
        name_key=name_key(noun.name),
        origin=origin,
        edited=change.now,
    )
    await change.log("category.add", row.name, row.id, {}, show_category(row))
    return row


async def edit_category(change: Change, number: int, version: int | None, patch: object) -> CategoryRow:
    """Change a category."""
    change.require(Act.ADMINISTER)
    row = await find_category(change, number)
    refuse_outdated(row, version, show_category(row))
    new = nouns.read_change(nouns.Category, show_category(row), patch, change.lax)
    values: dict[str, Any] = dict(new)
    if "name" in new:
        values["name_key"] = name_key(new["name"])
        other = await queries.find(change.connection, CategoryRow, name_key=values["name_key"])
        if other is not None and other.id != row.id:
            taken("name", "another category has this name")
    changed = await write(change, CategoryRow, row, None, show_category, **values)
    old, after = differences(show_category(row), show_category(changed))
    await change.log("category.change", changed.name, row.id, old, after)
    return changed


async def delete_category(change: Change, number: int, version: int | None = None) -> None:
    """Remove a category that nobody carries."""
    change.require(Act.ADMINISTER)
    row = await find_category(change, number)
    refuse_outdated(row, version, show_category(row))
    carriers = await queries.count(change.connection, CarriedRow, category=row.id)
    if carriers:
        raise Conflict(f"{counted(carriers, 'hosts')} {'carries' if carriers == 1 else 'carry'} it")
    await queries.remove(change.connection, CategoryRow, id=row.id)
    await change.log("category.remove", row.name, row.id, show_category(row), {})


# -- Repositories ------------------------------------------------------------------------------------------------------


async def list_repositories(change: Change) -> list[RepositoryRow]:
    """All; what of them everybody may know is for `shown_repositories` to say."""
    return await queries.list_rows(change.connection, RepositoryRow)


async def find_repository(change: Change, number: int) -> RepositoryRow:
    """One. Raises Missing."""
    row = await queries.find(change.connection, RepositoryRow, id=number)
    if row is None:
        raise Missing
    return row


async def create_repository(change: Change, body: object, category: str | None = None) -> RepositoryRow:
    """A new repository."""
    change.require(Act.ADMINISTER)
    noun = nouns.read_new(nouns.Repository, body, change.lax)
    if await queries.find(change.connection, RepositoryRow, prefix=noun.prefix, arch=noun.arch):
        taken("prefix", "there is one of this prefix and architecture")
    row = await queries.add(
        change.connection, RepositoryRow, **noun.model_dump(), category=category, origin=None, edited=change.now
    )
    await change.log("repository.add", f"{row.prefix}+{row.arch}", row.id, {}, show_repository(row))
    return row


async def edit_repository(change: Change, number: int, version: int | None, patch: object) -> RepositoryRow:
    """Change a repository."""
    change.require(Act.ADMINISTER)
    row = await find_repository(change, number)
    refuse_outdated(row, version, show_repository(row))
    new = nouns.read_change(nouns.Repository, show_repository(row), patch, change.lax)
    named = {"prefix": new.get("prefix", row.prefix), "arch": new.get("arch", row.arch)}
    other = await queries.find(change.connection, RepositoryRow, **named)
    if other is not None and other.id != row.id:
        taken("prefix", "there is one of this prefix and architecture")
    changed = await write(change, RepositoryRow, row, None, show_repository, **new)
    old, after = differences(show_repository(row), show_repository(changed))
    await change.log("repository.change", f"{changed.prefix}+{changed.arch}", row.id, old, after)
    return changed


async def delete_repository(change: Change, number: int, version: int | None = None) -> None:
    """Remove a repository."""
    change.require(Act.ADMINISTER)
    row = await find_repository(change, number)
    refuse_outdated(row, version, show_repository(row))
    await queries.remove(change.connection, RepositoryRow, id=row.id)
    await change.log("repository.remove", f"{row.prefix}+{row.arch}", row.id, show_repository(row), {})


# -- Redirects ---------------------------------------------------------------------------------------------------------


async def list_redirects(change: Change) -> list[RedirectRow]:
    """All; what of them everybody may know is for `shown_redirects` to say."""
    return await queries.list_rows(change.connection, RedirectRow)


async def find_redirect(change: Change, number: int) -> RedirectRow:
    """One. Raises Missing."""
    row = await queries.find(change.connection, RedirectRow, id=number)
    if row is None:
        raise Missing
    return row


async def create_redirect(change: Change, body: object) -> RedirectRow:
    """A new redirect."""
    change.require(Act.ADMINISTER)
    noun = nouns.read_new(nouns.Redirect, body, change.lax)
    values = _spell(noun.model_dump())
    if await queries.find(change.connection, RedirectRow, kind=noun.kind, source=values["source"]):
        taken("source", "there is one for it")
    row = await queries.add(change.connection, RedirectRow, **values, origin=None, edited=change.now)
    await change.log("redirect.add", row.source, row.id, {}, show_redirect(row))
    return row


def _spell(values: dict[str, Any]) -> dict[str, Any]:
    """Countries and continents in upper case."""
    upper = {"continent": ("source", "target"), "country": ("target",), "repository": ()}[values["kind"]]
    return {name: value.upper() if name in upper else value for name, value in values.items()}


async def edit_redirect(change: Change, number: int, version: int | None, patch: object) -> RedirectRow:
    """Change a redirect."""
    change.require(Act.ADMINISTER)
    row = await find_redirect(change, number)
    refuse_outdated(row, version, show_redirect(row))
    new = nouns.read_change(nouns.Redirect, show_redirect(row), patch, change.lax)
    values = _spell({"kind": row.kind, "source": row.source, "target": row.target, **new})
    other = await queries.find(change.connection, RedirectRow, kind=values["kind"], source=values["source"])
    if other is not None and other.id != row.id:
        taken("source", "there is one for it")
    changed = await write(change, RedirectRow, row, None, show_redirect, **values)
    old, after = differences(show_redirect(row), show_redirect(changed))
    await change.log("redirect.change", changed.source, row.id, old, after)
    return changed


async def delete_redirect(change: Change, number: int, version: int | None = None) -> None:
    """Remove a redirect."""
    change.require(Act.ADMINISTER)
    row = await find_redirect(change, number)
    refuse_outdated(row, version, show_redirect(row))
    await queries.remove(change.connection, RedirectRow, id=row.id)
    await change.log("redirect.remove", row.source, row.id, show_redirect(row), {})


# -- Releases ----------------------------------------------------------------------------------------------------------


async def list_releases(change: Change) -> list[ReleaseRow]:
    """All, with those under embargo: for distribution admins."""
    change.require(Act.ADMINISTER)
    return await queries.list_rows(change.connection, ReleaseRow)


async def find_release(change: Change, number: int) -> ReleaseRow:
    """One. Raises Missing."""
    change.require(Act.ADMINISTER)
    row = await queries.find(change.connection, ReleaseRow, id=number)
    if row is None:
        raise Missing
    return row


async def create_release(change: Change, body: object) -> ReleaseRow:
    """A new release; with `not_before` nothing of it is listed until then."""
    change.require(Act.ADMINISTER)
    noun = nouns.read_new(nouns.Release, body, change.lax)
    if await queries.find(change.connection, ReleaseRow, product=noun.product, version_name=noun.version):
        taken("version", "there is one of this product and version")
    row = await queries.add(
        change.connection,
        ReleaseRow,
        product=noun.product,
        version_name=noun.version,
        arches=list(dict.fromkeys(noun.arches)),
        not_before=int(noun.not_before.timestamp()) if noun.not_before else None,
        origin=None,
        edited=change.now,
    )
    await change.log("release.add", f"{row.product} {row.version_name}", row.id, {}, show_release(row))
    return row


async def edit_release(change: Change, number: int, version: int | None, patch: object) -> ReleaseRow:
    """Change a release."""
    change.require(Act.ADMINISTER)
    row = await find_release(change, number)
    refuse_outdated(row, version, show_release(row))
    current = {
        "product": row.product,
        "version": row.version_name,
        "arches": list(row.arches),
        "not_before": None if row.not_before is None else nouns.time_of(row.not_before),
    }
    new = nouns.read_change(nouns.Release, current, patch, change.lax)
    values: dict[str, Any] = {name: new[name] for name in ("product", "arches") if name in new}
    if "version" in new:
        values["version_name"] = new["version"]
    if "not_before" in new:
        values["not_before"] = int(new["not_before"].timestamp()) if new["not_before"] else None
    named = {
        "product": values.get("product", row.product),
        "version_name": values.get("version_name", row.version_name),
    }
    other = await queries.find(change.connection, ReleaseRow, **named)
    if other is not None and other.id != row.id:
        taken("version", "there is one of this product and version")
    changed = await write(change, ReleaseRow, row, None, show_release, **values)
    old, after = differences(show_release(row), show_release(changed))
    await change.log("release.change", f"{changed.product} {changed.version_name}", row.id, old, after)
    return changed


async def delete_release(change: Change, number: int, version: int | None = None) -> None:
    """Remove a release."""
    row = await find_release(change, number)
    refuse_outdated(row, version, show_release(row))
    await queries.remove(change.connection, ReleaseRow, id=row.id)
    await change.log("release.remove", f"{row.product} {row.version_name}", row.id, show_release(row), {})


# -- All of them alike -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing, and all that can be done with it."""

    noun: type[nouns.Noun]
    view: Callable[[Any], View]
    list: Callable[[Change], Awaitable[Sequence[Any]]]
    create: Callable[[Change, object], Awaitable[Any]]
    edit: Callable[[Change, int, int | None, object], Awaitable[Any]]
    delete: Callable[[Change, int, int | None], Awaitable[None]]


KINDS: Mapping[str, Kind] = {
    "categories": Kind(
        nouns.Category, show_category, list_categories, create_category, edit_category, delete_category
    ),
    "repositories": Kind(
        nouns.Repository, show_repository, list_repositories, create_repository, edit_repository, delete_repository
    ),
    "redirects": Kind(
        nouns.Redirect, show_redirect, list_redirects, create_redirect, edit_redirect, delete_redirect
    ),
    "releases": Kind(
        nouns.Release, show_release, list_releases, create_release, edit_release, delete_release
    ),
}  # fmt: skip
"""By their plural. The API, the pages and the commands are made from it."""
