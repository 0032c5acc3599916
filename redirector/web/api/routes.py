"""Every operation of the API on the registry's nouns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from redirector.registry import nouns, views
from redirector.registry.edit import accounts, asns, carried, catalogue, hosts, networks, notes, sites
from redirector.registry.edit.change import find_child, find_host, find_site
from redirector.registry.permits import Act
from redirector.registry.refusals import Missing
from redirector.store.checks import CheckRow, find_checks
from redirector.store.registry import queries
from redirector.store.registry.rows import AclRow, AsnRow, CarriedRow, CountryRow, HostRow, NetworkRow
from redirector.web.api import public
from redirector.web.api.call import Call, Reply, Route


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


R = TypeVar("R", bound=_Numbered)


def page_of(call: Call, rows: Sequence[R]) -> tuple[list[R], int | None]:
    """The rows of one page, and what `after` names to go on; None at the end."""
    after, limit = call.page
    rest = sorted((row for row in rows if row.id > after), key=lambda row: row.id)
    page = rest[:limit]
    return page, page[-1].id if len(rest) > limit else None


def collection(items: Sequence[Any], following: int | None = None) -> Reply:
    """A page of a collection."""
    return Reply({"items": list(items), "next": following})


def made(view: views.View, version: int | None = None, status: int = 201) -> Reply:
    """What was made."""
    return Reply(view, status, version, view["id"])


# -- Sites -------------------------------------------------------------------------------------------------------------


async def list_sites(call: Call) -> Reply:
    rows, following = page_of(call, await sites.visible_sites(call.change))
    return collection([await sites.view_of(call.change, row) for row in rows], following)


async def create_site(call: Call) -> Reply:
    row = await sites.create_site(call.change, call.body)
    return made(await sites.view_of(call.change, row), row.version)


async def show_site(call: Call) -> Reply:
    row = await find_site(call.change, Act.READ, call.numbers["site"])
    return Reply(await sites.view_of(call.change, row), version=row.version)


async def edit_site(call: Call) -> Reply:
    row = await sites.edit_site(call.change, call.numbers["site"], call.version, call.body)
    return Reply(await sites.view_of(call.change, row), version=row.version)


async def delete_site(call: Call) -> Reply:
    await sites.delete_site(call.change, call.numbers["site"], call.version)
    return Reply(status=204)


async def leave_site(call: Call) -> Reply:
    row = await sites.leave_site(call.change, call.numbers["site"], call.version)
    return Reply(await sites.view_of(call.change, row), version=row.version)


async def decide_site(call: Call) -> Reply:
    row = await sites.decide_site(call.change, call.numbers["site"], call.version, call.body)
    return Reply(await sites.view_of(call.change, row), version=row.version)


async def show_approval(call: Call) -> Reply:
    row = await find_site(call.change, Act.READ, call.numbers["site"])
    shown = await sites.view_of(call.change, row)
    duplicates = await carried.duplicates_of(call.change, row.id) if call.change.actor.admin else []
    value = {name: shown[name] for name in ("state", "state_since", "state_text")}
    value["duplicates"] = [{"host": host, "url": url, "other": other} for host, url, other in duplicates]
    if call.hinting is not None:
        rows = await queries.list_rows(call.change.connection, HostRow, site=row.id)
        checks = await find_checks(call.change.connection, [row.id for row in rows])
        value["hosts"] = [
            {**each.view(), "check": _check_view(checks.get(each.host.id))}
            for each in await call.hinting.hints(call.change, rows, call.seen)
        ]
    return Reply(value, version=row.version)


def _check_view(check: CheckRow | None) -> views.View | None:
    """The last look that somebody asked for; None when nobody did."""
    if check is None:
        return None
    findings = [dict(zip(("url", "check", "level", "text"), each, strict=True)) for each in check.findings]
    return {"at": views.show_time(check.at), "findings": findings}


async def list_admins(call: Call) -> Reply:
    admins, invitations = await sites.list_admins(call.change, call.numbers["site"])
    items = [{"id": row.id, "account": row.login, "accepted": True} for row in admins]
    items += [
        {**views.show_invitation(row), "account": row.mail, "accepted": False, "invitation": row.id}
        for row in invitations
    ]
    return collection(items)


async def invite_admin(call: Call) -> Reply:
    row, secret = await sites.invite_admin(call.change, call.numbers["site"], call.body)
    site = await find_site(call.change, Act.EDIT, row.site)
    await sites.mail_invitation(call.change, site, await sites.address_of(call.change, row), secret)
    return made(views.show_invitation(row))


async def remove_admin(call: Call) -> Reply:
    await sites.remove_admin(call.change, call.numbers["site"], call.numbers["admin"])
    return Reply(status=204)


# -- Hosts -------------------------------------------------------------------------------------------------------------


async def list_hosts(call: Call) -> Reply:
    site = await find_site(call.change, Act.READ, call.numbers["site"])
    rows, following = page_of(call, await queries.list_rows(call.change.connection, HostRow, site=site.id))
    return collection([await hosts.view_of(call.change, row) for row in rows], following)


async def create_host(call: Call) -> Reply:
    row = await hosts.create_host(call.change, call.numbers["site"], call.body)
    return made(await hosts.view_of(call.change, row), row.version)


async def show_host(call: Call) -> Reply:
    row, _ = await find_host(call.change, Act.READ, call.numbers["host"])
    return Reply(await hosts.view_of(call.change, row), version=row.version)


async def edit_host(call: Call) -> Reply:
    row = await hosts.edit_host(call.change, call.numbers["host"], call.version, call.body)
    return Reply(await hosts.view_of(call.change, row), version=row.version)


async def delete_host(call: Call) -> Reply:
    await hosts.delete_host(call.change, call.numbers["host"], call.version)
    return Reply(status=204)


async def leave_host(call: Call) -> Reply:
    row = await hosts.leave_host(call.change, call.numbers["host"], call.version)
    return Reply(await hosts.view_of(call.change, row), version=row.version)


# -- What belongs to a host --------------------------------------------------------------------------------------------


async def list_carried(call: Call) -> Reply:
    rows, following = page_of(call, await carried.list_carried(call.change, call.numbers["host"]))
    names = await carried.category_names(call.change)
    return collection([views.show_carried(row, names[row.category]) for row in rows], following)


async def add_carried(call: Call) -> Reply:
    row = await carried.add_carried(call.change, call.numbers["host"], call.body)
    return made(await _carried_view(call, row), row.version)


async def _carried_view(call: Call, row: CarriedRow) -> views.View:
    return views.show_carried(row, (await carried.category_names(call.change))[row.category])


async def show_carried(call: Call) -> Reply:
    row, _, _ = await find_child(call.change, Act.READ, CarriedRow, call.numbers["host"], call.numbers["number"])
    return Reply(await _carried_view(call, row), version=row.version)


async def edit_carried(call: Call) -> Reply:
    row = await carried.edit_carried(call.change, call.numbers["host"], call.numbers["number"], call.version, call.body)
    return Reply(await _carried_view(call, row), version=row.version)


async def delete_carried(call: Call) -> Reply:
    await carried.delete_carried(call.change, call.numbers["host"], call.numbers["number"], call.version)
    return Reply(status=204)


def _url_view(listed: carried.CategoryUrl) -> views.View:
    return views.show_url(listed.row, listed.category, listed.password)


async def list_urls(call: Call) -> Reply:
    found = {each.row.id: each for each in await carried.list_urls(call.change, call.numbers["host"])}
    rows, following = page_of(call, [each.row for each in found.values()])
    return collection([_url_view(found[row.id]) for row in rows], following)


async def add_url(call: Call) -> Reply:
    listed = await carried.add_url(call.change, call.numbers["host"], call.body)
    return made(_url_view(listed), listed.row.version)


async def show_url(call: Call) -> Reply:
    found = await carried.list_urls(call.change, call.numbers["host"])
    for each in found:
        if each.row.id == call.numbers["number"]:
            return Reply(_url_view(each), version=each.row.version)
    raise Missing


async def edit_url(call: Call) -> Reply:
    listed = await carried.edit_url(call.change, call.numbers["host"], call.numbers["number"], call.version, call.body)
    return Reply(_url_view(listed), version=listed.row.version)


async def delete_url(call: Call) -> Reply:
    await carried.delete_url(call.change, call.numbers["host"], call.numbers["number"], call.version)
    return Reply(status=204)


async def list_networks(call: Call) -> Reply:
    rows, following = page_of(call, await networks.list_networks(call.change, call.numbers["host"]))
    return collection([views.show_network(row) for row in rows], following)


async def add_network(call: Call) -> Reply:
    row = await networks.add_network(call.change, call.numbers["host"], call.body)
    return made(views.show_network(row), row.version, 202 if row.waits else 201)


async def show_network(call: Call) -> Reply:
    row, _, _ = await find_child(call.change, Act.READ, NetworkRow, call.numbers["host"], call.numbers["number"])
    return Reply(views.show_network(row), version=row.version)


async def edit_network(call: Call) -> Reply:
    row = await networks.edit_network(
        call.change, call.numbers["host"], call.numbers["number"], call.version, call.body
    )
    return Reply(views.show_network(row), 202 if row.waits else 200, row.version)


async def delete_network(call: Call) -> Reply:
    await networks.delete_network(call.change, call.numbers["host"], call.numbers["number"], call.version)
    return Reply(status=204)


async def decide_network(call: Call) -> Reply:
    row = await networks.decide_network(
        call.change, call.numbers["host"], call.numbers["number"], call.version, call.body
    )
    return Reply(views.show_network(row), version=row.version)


async def list_asns(call: Call) -> Reply:
    rows, following = page_of(call, await asns.list_asns(call.change, call.numbers["host"]))
    return collection([views.show_asn(row) for row in rows], following)


async def add_asn(call: Call) -> Reply:
    row = await asns.add_asn(call.change, call.numbers["host"], call.body)
    return made(views.show_asn(row), row.version, 202 if row.waits else 201)


async def show_asn(call: Call) -> Reply:
    row, _, _ = await find_child(call.change, Act.READ, AsnRow, call.numbers["host"], call.numbers["number"])
    return Reply(views.show_asn(row), version=row.version)


async def delete_asn(call: Call) -> Reply:
    await asns.delete_asn(call.change, call.numbers["host"], call.numbers["number"], call.version)
    return Reply(status=204)


async def decide_asn(call: Call) -> Reply:
    row = await asns.decide_asn(call.change, call.numbers["host"], call.numbers["number"], call.version, call.body)
    return Reply(views.show_asn(row), version=row.version)


async def list_countries(call: Call) -> Reply:
    rows, following = page_of(call, await networks.list_countries(call.change, call.numbers["host"]))
    return collection([views.show_country(row) for row in rows], following)


async def add_country(call: Call) -> Reply:
    row = await networks.add_country(call.change, call.numbers["host"], call.body)
    return made(views.show_country(row), row.version)


async def show_country(call: Call) -> Reply:
    row, _, _ = await find_child(call.change, Act.READ, CountryRow, call.numbers["host"], call.numbers["number"])
    return Reply(views.show_country(row), version=row.version)


async def delete_country(call: Call) -> Reply:
    await networks.delete_country(call.change, call.numbers["host"], call.numbers["number"], call.version)
    return Reply(status=204)


async def list_acl(call: Call) -> Reply:
    rows, following = page_of(call, await networks.list_acl(call.change, call.numbers["host"]))
    return collection([views.show_acl(row) for row in rows], following)


async def add_acl(call: Call) -> Reply:
    row = await networks.add_acl(call.change, call.numbers["host"], call.body)
    return made(views.show_acl(row), row.version)


async def show_acl(call: Call) -> Reply:
    row, _, _ = await find_child(call.change, Act.READ, AclRow, call.numbers["host"], call.numbers["number"])
    return Reply(views.show_acl(row), version=row.version)


async def delete_acl(call: Call) -> Reply:
    await networks.delete_acl(call.change, call.numbers["host"], call.numbers["number"], call.version)
    return Reply(status=204)


# -- Tokens, events, notes ---------------------------------------------------------------------------------------------


def _parent(call: Call) -> dict[str, int]:
    return {name: call.numbers[name] for name in ("site", "host") if name in call.numbers}


async def list_tokens(call: Call) -> Reply:
    rows, following = page_of(call, await accounts.list_tokens(call.change, **_parent(call)))
    return collection([views.show_token(row) for row in rows], following)


async def make_token(call: Call) -> Reply:
    if "host" in call.numbers:
        row, secret = await accounts.make_host_token(call.change, call.numbers["host"], call.body)
    else:
        row, secret = await accounts.make_site_token(call.change, call.numbers["site"], call.body)
    return made({**views.show_token(row), "token": secret})


async def revoke_token(call: Call) -> Reply:
    await accounts.revoke_token(call.change, call.numbers["number"], **_parent(call))
    return Reply(status=204)


async def list_events(call: Call) -> Reply:
    after, limit = call.page
    rows = await notes.list_events(
        call.change, **_parent(call), what=call.query.get("what"), after=after, limit=limit + 1
    )
    rows = sorted(rows, key=lambda row: row.id)
    page = rows[:limit]
    return collection([views.show_event(row) for row in page], page[-1].id if len(rows) > limit else None)


async def list_notes(call: Call) -> Reply:
    rows, following = page_of(call, await notes.list_notes(call.change, **_parent(call)))
    return collection([views.show_note(row) for row in rows], following)


async def add_note(call: Call) -> Reply:
    noun = nouns.read_new(nouns.Note, call.body)
    return made(views.show_note(await notes.add_note(call.change, noun.text, **_parent(call))))


# -- Categories, repositories, redirects, releases ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """The operations on one kind of what belongs to no site."""

    plural: str
    kind: catalogue.Kind

    async def rows(self, call: Call) -> Sequence[Any]:
        """Those that the caller may know: what names the embargoed, or is hidden by masters, only admins may."""
        rows = await self.kind.list(call.change)
        if call.change.actor.admin or self.plural not in ("repositories", "redirects"):
            return rows
        shown = await call.shelf.read(call.change.connection, call.change.now)
        public = shown.repositories if self.plural == "repositories" else shown.redirects
        return [row for row in rows if row.id in public]

    async def list(self, call: Call) -> Reply:
        rows, following = page_of(call, await self.rows(call))
        return collection([self.kind.view(row) for row in rows], following)

    async def create(self, call: Call) -> Reply:
        row = await self.kind.create(call.change, call.body)
        return made(self.kind.view(row), row.version)

    async def show(self, call: Call) -> Reply:
        for row in await self.rows(call):
            if row.id == call.numbers["number"]:
                return Reply(self.kind.view(row), version=row.version)
        raise Missing

    async def edit(self, call: Call) -> Reply:
        row = await self.kind.edit(call.change, call.numbers["number"], call.version, call.body)
        return Reply(self.kind.view(row), version=row.version)

    async def delete(self, call: Call) -> Reply:
        await self.kind.delete(call.change, call.numbers["number"], call.version)
        return Reply(status=204)


# -- The table ---------------------------------------------------------------------------------------------------------


def _catalogue(plural: str, kind: catalogue.Kind) -> Iterator[Route]:
    does = _Catalogue(plural, kind)
    public, noun, one = plural != "releases", kind.noun, f"/{plural}/{{number}}"
    more = f"One more of the {plural}"
    yield Route("GET", f"/{plural}", f"The {plural}", does.list, public=public, paged=True, tag=plural, shows=noun)
    yield Route("POST", f"/{plural}", more, does.create, noun, status=201, tag=plural, shows=noun)
    yield Route("GET", one, f"One of the {plural}", does.show, public=public, tag=plural, shows=noun)
    yield Route("PATCH", one, f"Change one of the {plural}", does.edit, noun, change=True, tag=plural, shows=noun)
    yield Route("DELETE", one, f"Remove one of the {plural}", does.delete, status=204, tag=plural)


def _child(
    plural: str, noun: type[nouns.Noun], listing: Any, add: Any, show: Any, delete: Any, edit: Any = None
) -> Iterator[Route]:
    path = f"/hosts/{{host}}/{plural}"
    one = f"{path}/{{number}}"
    looks: Literal["", "host"] = "host" if plural in ("urls", "asns") else ""
    yield Route("GET", path, f"The {plural} of a host", listing, paged=True, tag="hosts", shows=noun)
    yield Route(
        "POST", path, f"One more of the {plural} of a host", add, noun, status=201, tag="hosts", looks=looks, shows=noun
    )
    yield Route("GET", one, f"One of the {plural} of a host", show, tag="hosts", shows=noun)
    if edit is not None:
        text = f"Change one of the {plural} of a host"
        yield Route("PATCH", one, text, edit, noun, change=True, tag="hosts", looks=looks, shows=noun)
    yield Route("DELETE", one, f"Take one of the {plural} from a host", delete, status=204, tag="hosts")


ROUTES: tuple[Route, ...] = (
    Route("GET", "/sites", "Sites that you may read", list_sites, paged=True, tag="sites", shows=nouns.Site),
    Route("POST", "/sites", "A new site, a draft", create_site, nouns.Site, status=201, tag="sites", shows=nouns.Site),
    Route("GET", "/sites/{site}", "A site", show_site, tag="sites", shows=nouns.Site),
    Route("PATCH", "/sites/{site}", "Change a site", edit_site, nouns.Site, change=True, tag="sites", shows=nouns.Site),
    Route("DELETE", "/sites/{site}", "Delete a site and all that belongs to it", delete_site, status=204, tag="sites"),
    Route(
        "POST", "/sites/{site}/leave", "Off at once, deleted after 30 days", leave_site, tag="sites", shows=nouns.Site
    ),
    Route(
        "GET",
        "/sites/{site}/approval",
        "How far the approval is, and what speaks against it",
        show_approval,
        tag="sites",
        looks="site",
    ),
    Route(
        "POST",
        "/sites/{site}/approval",
        "Ask for approval, or decide",
        decide_site,
        nouns.Approval,
        tag="sites",
        shows=nouns.Site,
    ),
    Route("GET", "/sites/{site}/admins", "Admins, and who was asked", list_admins, tag="sites"),
    Route(
        "POST",
        "/sites/{site}/admins",
        "Ask an account to be an admin",
        invite_admin,
        nouns.Admin,
        status=201,
        tag="sites",
    ),
    Route(
        "DELETE",
        "/sites/{site}/admins/{admin}",
        "Take an account from the admins",
        remove_admin,
        status=204,
        tag="sites",
    ),
    Route("GET", "/sites/{site}/hosts", "The hosts of a site", list_hosts, paged=True, tag="hosts", shows=nouns.Host),
    Route(
        "POST",
        "/sites/{site}/hosts",
        "A new host",
        create_host,
        nouns.Host,
        status=201,
        tag="hosts",
        looks="host",
        shows=nouns.Host,
    ),
    Route("GET", "/sites/{site}/tokens", "The tokens of a site", list_tokens, paged=True, tag="tokens"),
    Route("POST", "/sites/{site}/tokens", "A new token for a site", make_token, nouns.Token, status=201, tag="tokens"),
    Route("DELETE", "/sites/{site}/tokens/{number}", "Revoke a token", revoke_token, status=204, tag="tokens"),
    Route("GET", "/sites/{site}/events", "What happened to a site", list_events, paged=True, tag="events"),
    Route("GET", "/sites/{site}/notes", "Notes on a site", list_notes, paged=True, tag="notes"),
    Route("POST", "/sites/{site}/notes", "One more note on a site", add_note, nouns.Note, status=201, tag="notes"),
    Route("GET", "/hosts/{host}", "A host", show_host, tag="hosts", shows=nouns.Host),
    Route(
        "PATCH",
        "/hosts/{host}",
        "Change a host",
        edit_host,
        nouns.Host,
        change=True,
        tag="hosts",
        looks="host",
        shows=nouns.Host,
    ),
    Route("DELETE", "/hosts/{host}", "Delete a host and all that belongs to it", delete_host, status=204, tag="hosts"),
    Route(
        "POST", "/hosts/{host}/leave", "Off at once, deleted after 30 days", leave_host, tag="hosts", shows=nouns.Host
    ),
    *_child("categories", nouns.Carried, list_carried, add_carried, show_carried, delete_carried, edit_carried),
    *_child("urls", nouns.Url, list_urls, add_url, show_url, delete_url, edit_url),
    *_child("networks", nouns.Network, list_networks, add_network, show_network, delete_network, edit_network),
    Route(
        "POST",
        "/hosts/{host}/networks/{number}/approval",
        "Decide about a network that waits",
        decide_network,
        nouns.Approval,
        tag="hosts",
        shows=nouns.Network,
    ),
    *_child("asns", nouns.AsnOf, list_asns, add_asn, show_asn, delete_asn),
    Route(
        "POST",
        "/hosts/{host}/asns/{number}/approval",
        "Decide about an AS number that waits",
        decide_asn,
        nouns.Approval,
        tag="hosts",
        shows=nouns.AsnOf,
    ),
    *_child("countries", nouns.CountryAllowed, list_countries, add_country, show_country, delete_country),
    *_child("acl", nouns.AclAddress, list_acl, add_acl, show_acl, delete_acl),
    Route("GET", "/hosts/{host}/tokens", "The tokens of a host", list_tokens, paged=True, tag="tokens"),
    Route("POST", "/hosts/{host}/tokens", "A new token for a host", make_token, nouns.Token, status=201, tag="tokens"),
    Route("DELETE", "/hosts/{host}/tokens/{number}", "Revoke a token", revoke_token, status=204, tag="tokens"),
    Route("GET", "/hosts/{host}/events", "What happened to a host", list_events, paged=True, tag="events"),
    Route("GET", "/hosts/{host}/notes", "Notes on a host", list_notes, paged=True, tag="notes"),
    Route("POST", "/hosts/{host}/notes", "One more note on a host", add_note, nouns.Note, status=201, tag="notes"),
    Route("GET", "/events", "What happened, oldest first", list_events, paged=True, tag="events"),
    *(route for plural, kind in catalogue.KINDS.items() for route in _catalogue(plural, kind)),
    *public.ROUTES,
)
