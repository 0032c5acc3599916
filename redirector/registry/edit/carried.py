"""What a host carries, and under which URLs."""

from __future__ import annotations

from dataclasses import dataclass

from redirector.registry import nouns, rules
from redirector.registry.edit import catalogue
from redirector.registry.edit.asns import judge_asns_again
from redirector.registry.edit.change import Change, differences, find_child, find_host, refuse_outdated, taken, write
from redirector.registry.permits import Act, Target
from redirector.registry.refusals import Conflict, FieldProblem, Invalid, Missing
from redirector.registry.views import View, show_carried, show_url
from redirector.store.registry import queries
from redirector.store.registry.rows import CarriedRow, CategoryRow, HostRow, SiteRow, UrlRow

MASKED = "***"
"""What stands for a password in events."""


async def _find_category(change: Change, name: str) -> CategoryRow:
    key = rules.name_key(name)
    for row in await catalogue.list_categories(change):
        if row.name_key == key:
            return row
    raise Invalid(problems=(FieldProblem("category", "there is no such category"),))


async def category_names(change: Change) -> dict[int, str]:
    """Number -> name of every category."""
    return {row.id: row.name for row in await queries.list_rows(change.connection, CategoryRow)}


# -- Categories of a host ----------------------------------------------------------------------------------------------


async def list_carried(change: Change, host_number: int) -> list[CarriedRow]:
    """What the host carries."""
    await find_host(change, Act.READ, host_number)
    return await queries.list_rows(change.connection, CarriedRow, host=host_number)


async def add_carried(change: Change, host_number: int, body: object) -> CarriedRow:
    """One more category of a host."""
    host, _ = await find_host(change, Act.EDIT, host_number)
    noun = nouns.read_new(nouns.Carried, body, change.lax)
    category = await _find_category(change, noun.category)
    if not category.joinable:
        change.forbid("category", "hosts are signed up for it by distribution admins alone")
    if noun.always_current:
        change.forbid("always_current")
    if await queries.find(change.connection, CarriedRow, host=host.id, category=category.id):
        taken("category", "the host carries it already")
    row = await queries.add(
        change.connection,
        CarriedRow,
        host=host.id,
        category=category.id,
        always_current=noun.always_current,
        exclusions=list(dict.fromkeys(noun.exclusions)),
        origin=None,
        edited=change.now,
    )
    shown = show_carried(row, category.name)
    await change.log("carried.add", category.name, row.id, {}, shown, site=host.site, host=host.id)
    return row


async def edit_carried(change: Change, host_number: int, number: int, version: int | None, patch: object) -> CarriedRow:
    """Change exclusions, or whether its content is trusted; the category itself stays."""
    row, host, _ = await find_child(change, Act.EDIT, CarriedRow, host_number, number)
    category = (await category_names(change))[row.category]
    refuse_outdated(row, version, show_carried(row, category))
    current = {"category": category, "always_current": row.always_current, "exclusions": list(row.exclusions)}
    new = nouns.read_change(nouns.Carried, current, patch, change.lax)
    if "category" in new:
        raise Invalid(problems=(FieldProblem("category", "cannot be changed: add another, and remove this one"),))
    if "always_current" in new:
        change.forbid("always_current")
    changed = await write(change, CarriedRow, row, None, lambda each: show_carried(each, category), **new)
    old, after = differences(show_carried(row, category), show_carried(changed, category))
    await change.log("carried.change", category, row.id, old, after, site=host.site, host=host.id)
    return changed


async def delete_carried(change: Change, host_number: int, number: int, version: int | None = None) -> None:
    """The host carries it no more; its URLs for it go, too."""
    row, host, _ = await find_child(change, Act.EDIT, CarriedRow, host_number, number)
    category = (await category_names(change))[row.category]
    refuse_outdated(row, version, show_carried(row, category))
    await queries.remove(change.connection, CarriedRow, id=row.id)
    old = show_carried(row, category)
    await change.log("carried.remove", category, row.id, old, {}, site=host.site, host=host.id)


# -- URLs --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CategoryUrl:
    """A URL, the category it is for, and its password for those who may see it."""

    row: UrlRow
    category: str
    password: str | None

    def view(self) -> View:
        """As bodies have it."""
        return show_url(self.row, self.category, self.password)


async def list_urls(change: Change, host_number: int) -> list[CategoryUrl]:
    """The host's URLs: all for its admins; those that may pull from it see `mirrors` ones, with passwords, too.

    Raises Missing for everybody else.
    """
    host, _ = await find_host(change, Act.SEE_MIRRORS, host_number)
    carried = {row.id: row for row in await queries.list_rows(change.connection, CarriedRow, host=host.id)}
    names = await category_names(change)
    rows = await queries.list_rows(change.connection, UrlRow, carried=set(carried))
    return [CategoryUrl(row, names[carried[row.carried].category], _open(change, row)) for row in rows]


def _open(change: Change, row: UrlRow) -> str | None:
    if row.password is None or change.house.cipher is None:
        return None
    return change.house.cipher.decrypt(row.password)


async def find_url(change: Change, act: Act, host_number: int, number: int) -> tuple[CategoryUrl, HostRow, SiteRow]:
    """One URL of a host; another host's is missing."""
    host, site = await find_host(change, act, host_number)
    row = await queries.find(change.connection, UrlRow, id=number)
    carried = await queries.find(change.connection, CarriedRow, id=row.carried, host=host.id) if row else None
    if row is None or carried is None:
        raise Missing
    return CategoryUrl(row, (await category_names(change))[carried.category], _open(change, row)), host, site


async def add_url(change: Change, host_number: int, body: object) -> CategoryUrl:
    """One more URL of a host for a category that it carries: it is unchecked then."""
    host, site = await find_host(change, Act.EDIT, host_number)
    noun = nouns.read_new(nouns.Url, body, change.lax)
    url = _read_url(change, noun.url)
    category = await _find_category(change, noun.category)
    carried = await queries.find(change.connection, CarriedRow, host=host.id, category=category.id)
    if carried is None:
        raise Invalid(problems=(FieldProblem("category", "the host does not carry it"),))
    await _check_unique(change, host, site, url, None)
    row = await queries.add(
        change.connection,
        UrlRow,
        carried=carried.id,
        url=url,
        audience=noun.audience,
        user=noun.user or None,
        password=_seal(change, noun.password),
        origin=None,
        edited=change.now,
    )
    await _uncheck(change, host)
    await judge_asns_again(change, host)
    await change.log("url.add", row.url, row.id, {}, _masked(row, category.name), site=host.site, host=host.id)
    return CategoryUrl(row, category.name, noun.password or None)


def _read_url(change: Change, text: str) -> str:
    try:
        return rules.read_base_url(text, change.house.allow_ftp)
    except ValueError as error:
        raise Invalid(problems=(FieldProblem("url", str(error)),)) from None


def _seal(change: Change, password: str | None) -> bytes | None:
    if not password:
        return None
    if change.house.cipher is None:
        raise Conflict("passwords cannot be kept: the registry's key file is missing (`redirector registry init`)")
    return change.house.cipher.encrypt(password)


async def _check_unique(change: Change, host: HostRow, site: SiteRow, url: str, own: int | None) -> None:
    """Unique among hosts of approved sites; a draft may name another's, which is shown at its approval."""
    carried = {row.id for row in await queries.list_rows(change.connection, CarriedRow, host=host.id)}
    own_rows = await queries.list_rows(change.connection, UrlRow, carried=carried, url=url)
    if any(row.id != own for row in own_rows):
        taken("url", "the host has it already")
    if site.state != "approved":
        return
    others = await queries.hosts_with_url(change.connection, url, besides=host.id)
    for other, other_site in others:
        if other_site.state == "approved":
            seen = change.actor.admin or other_site.id in change.actor.sites
            taken("url", f"{other.name if seen else 'another host'} has it already")


async def duplicates_of(change: Change, site_number: int) -> list[tuple[str, str, str]]:
    """What a reviewer sees of URLs that others have: (host of the site, URL, the other host)."""
    change.require(Act.DECIDE, Target(site=site_number))
    found = []
    for host in await queries.list_rows(change.connection, HostRow, site=site_number):
        carried = {row.id for row in await queries.list_rows(change.connection, CarriedRow, host=host.id)}
        for row in await queries.list_rows(change.connection, UrlRow, carried=carried):
            others = await queries.hosts_with_url(change.connection, row.url, besides=host.id)
            found += [(host.name, row.url, other.name) for other, _ in others]
    return found


async def _uncheck(change: Change, host: HostRow) -> None:
    await queries.set_columns(change.connection, HostRow, {"id": host.id}, unchecked_since=change.now)


def _masked(row: UrlRow, category: str) -> View:
    return {**show_url(row, category), "password": MASKED if row.password else None}


async def edit_url(change: Change, host_number: int, number: int, version: int | None, patch: object) -> CategoryUrl:
    """Change a URL: the host is unchecked then. An empty password takes it away."""
    listed, host, site = await find_url(change, Act.EDIT, host_number, number)
    row = listed.row
    refuse_outdated(row, version, show_url(row, listed.category))
    current = {
        "category": listed.category,
        "url": row.url,
        "audience": row.audience,
        "user": row.user,
        "password": listed.password,
    }
    new = nouns.read_change(nouns.Url, current, patch, change.lax)
    if "category" in new:
        raise Invalid(problems=(FieldProblem("category", "cannot be changed: add the URL there, and remove it here"),))
    values: dict[str, object] = {name: new[name] for name in ("audience", "user") if name in new}
    if "url" in new:
        values["url"] = _read_url(change, new["url"])
        if values["url"] != row.url:
            await _check_unique(change, host, site, str(values["url"]), row.id)
            await _uncheck(change, host)
            await judge_asns_again(change, host)
    if new.get("audience") == "public":  # nobody saw what strangers are to be given
        await _uncheck(change, host)
    if "password" in new:
        values["password"] = _seal(change, new["password"])
    changed = await write(change, UrlRow, row, None, lambda each: show_url(each, listed.category), **values)
    old, after = differences(_masked(row, listed.category), _masked(changed, listed.category))
    await change.log("url.change", changed.url, row.id, old, after, site=host.site, host=host.id)
    return CategoryUrl(changed, listed.category, _open(change, changed))


async def delete_url(change: Change, host_number: int, number: int, version: int | None = None) -> None:
    """One URL less."""
    listed, host, _ = await find_url(change, Act.EDIT, host_number, number)
    refuse_outdated(listed.row, version, show_url(listed.row, listed.category))
    await queries.remove(change.connection, UrlRow, id=number)
    old = _masked(listed.row, listed.category)
    await change.log("url.remove", listed.row.url, number, old, {}, site=host.site, host=host.id)
