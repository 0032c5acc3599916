"""A harvest is written into the registry: what is new comes, what was edited here stays, and both are listed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from redirector.registry import nouns, rules
from redirector.registry.edit.change import Change
from redirector.registry.importing.harvest import (
    Harvest,
    HarvestedCarried,
    HarvestedCategory,
    HarvestedHost,
    HarvestedSite,
)
from redirector.registry.permits import Act
from redirector.registry.publish.contents import pack_bits, pack_details, pack_names, pack_subpaths
from redirector.registry.publish.holdings import TREE_FACT
from redirector.registry.refusals import Invalid
from redirector.registry.secrets import hash_password, hash_token, make_token
from redirector.store.registry import queries
from redirector.store.registry.rows import (
    AccountRow,
    AclRow,
    AdminRow,
    AsnRow,
    CarriedRow,
    CategoryRow,
    ContactRow,
    CountryRow,
    Edited,
    HostRow,
    ImportedCategoryRow,
    ImportedContentRow,
    ImportedThingRow,
    NetworkRow,
    NoteRow,
    PullerRow,
    RedirectRow,
    ReleaseRow,
    RepositoryRow,
    Row,
    SiteRow,
    TokenRow,
    UrlRow,
)

E = TypeVar("E", bound=Edited)

TIMES_FACT = "import_times"
"""When the sources of earlier imports were made: a row of another time was edited by hand."""

TEXT_LIMIT = 255


@dataclass(slots=True)
class Imported:
    """What an import did.

    added, changed  how many rows of each kind
    kept            what was edited or removed here, and stays so, a line each
    broken          what breaks a rule and was taken all the same, a line each
    left_out        what could not be carried over, a line each
    """

    added: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    kept: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


async def apply(change: Change, harvest: Harvest) -> Imported:
    """Write *harvest* in the transaction of *change*. A second time it changes nothing."""
    change.require(Act.ADMINISTER)
    writer = _Writer(change, harvest)
    await writer.load()
    categories = {each.key: await writer.put_category(each) for each in harvest.categories}
    sites: dict[str, SiteRow | None] = {}
    for site in harvest.sites:
        sites[site.key] = await writer.put_site(site)
    await writer.flush()
    for site in harvest.sites:
        await writer.put_people(site, sites)
    for host in harvest.hosts:
        owner = sites[host.site]
        if owner is not None:
            await writer.put_host(host, owner, categories)
        else:
            writer.report.kept.append(f"host {host.name}: its site was removed here")
    await writer.put_catalogue()
    await writer.put_facts(categories)
    await writer.finish()
    return writer.report


class _Writer:
    """One import: what earlier ones brought is read once, what this one brings is written."""

    def __init__(self, change: Change, harvest: Harvest) -> None:
        self._change = change
        self._harvest = harvest
        self._built = harvest.built
        self._times: set[int] = set()
        self._brought: dict[tuple[str, str], int] = {}
        self._rows: dict[str, dict[int, Any]] = {}
        self._unique: dict[str, dict[tuple[object, ...], int]] = {}
        self._fresh: list[dict[str, object]] = []
        self._next: dict[str, int] = {}
        self._pending: dict[type[Row], list[Row]] = {}
        self._people: dict[str, set[tuple[object, ...]]] = {}
        self._held: dict[int, ImportedContentRow] = {}
        self.report = Imported(left_out=list(harvest.left_out))

    async def load(self) -> None:
        """Read what is there."""
        connection = self._change.connection
        self._times = set(json.loads(await queries.find_fact(connection, TIMES_FACT) or "[]"))
        for thing in await queries.list_rows(connection, ImportedThingRow):
            self._brought[thing.kind, thing.origin] = thing.row
        for kind in _KINDS:
            self._rows[kind.TABLE.name], self._unique[kind.TABLE.name] = {}, {}
            for row in await queries.list_rows(connection, kind):
                self._remember(row)
            self._next[kind.TABLE.name] = await queries.next_number(connection, kind)
        for counted in (ContactRow, TokenRow, NoteRow):
            self._next[counted.TABLE.name] = await queries.next_number(connection, counted)
        for people in (ContactRow, AdminRow, PullerRow):
            rows: list[Row] = [*await queries.list_rows(connection, people)]
            self._people[people.TABLE.name] = {_identity(row) for row in rows}
        self._held = {row.carried: row for row in await queries.list_rows(connection, ImportedContentRow)}

    async def flush(self) -> None:
        """Write the rows that wait, parents before children: thousands at once, not one by one."""
        for kind in (*_KINDS, ContactRow, AdminRow, PullerRow, TokenRow, NoteRow, ImportedContentRow):
            rows = self._pending.pop(kind, [])
            await queries.add_all(self._change.connection, kind, [_columns(row) for row in rows])

    def _add(self, row: Row) -> None:
        self._pending.setdefault(type(row), []).append(row)

    async def finish(self) -> None:
        """Write down what was brought."""
        connection = self._change.connection
        await self.flush()
        await queries.add_all(connection, ImportedThingRow, self._fresh)
        times = sorted({*self._times, self._built})
        await queries.set_fact(connection, TIMES_FACT, json.dumps(times))
        for kind in (*_KINDS, ContactRow, TokenRow, NoteRow):
            await queries.replace_sequence(connection, kind)
        counts = {"added": dict(self.report.added), "changed": dict(self.report.changed)}
        if self.report.added or self.report.changed:
            await self._change.log(f"import.{self._harvest.source}", self._harvest.source, None, {}, counts)

    # One row

    async def _put(
        self,
        kind: type[E],
        key: str,
        name: str,
        values: Mapping[str, Any],
        fixed: Mapping[str, Any],
        number: int | None = None,
    ) -> E | None:
        """The row that stands for *key*, made or brought up to date; None when it was removed here.

        fixed  columns that are set when it is made, and never again
        """
        table = kind.TABLE.name
        origin = f"{self._harvest.source} {key}"[:TEXT_LIMIT]
        known = self._brought.get((table, origin))
        if known is None:
            if number is not None and (number in self._rows[table] or number < 1 or number > 2**31 - 1):
                number = None
            given = self._next[table] if number is None else number
            self._next[table] = max(self._next[table], given + 1)
            row = kind(id=given, version=1, **values, **fixed, origin=origin, edited=self._built)  # type: ignore[call-arg]
            self._add(row)
            self._remember(row)
            self._brought[table, origin] = row.id
            self._fresh.append({"kind": table, "origin": origin, "row": row.id})
            self.report.added[table] += 1
            return row
        there: E | None = self._rows[table].get(known)
        if there is None:
            self.report.kept.append(f"{table} {name}: was removed here")
            return None
        differing = {column: value for column, value in values.items() if getattr(there, column) != value}
        if not differing or there in self._pending.get(kind, ()):
            return there
        if there.edited not in self._times:
            self.report.kept.append(f"{table} {name}: was edited here; its source says otherwise: {_shown(differing)}")
            return there
        changed = await queries.change(
            self._change.connection, kind, there.id, there.version, **differing, edited=self._built
        )
        assert changed is not None
        self._remember(changed)
        self.report.changed[table] += 1
        return changed

    def _is_taken(self, rows: type[Edited], key: str, *unique: object) -> bool:
        """Whether a row that this import did not bring has the same *unique* columns."""
        table = rows.TABLE.name
        there = self._unique[table].get(unique)
        return there is not None and there != self._brought.get((table, f"{self._harvest.source} {key}"[:TEXT_LIMIT]))

    def _remember(self, row: Edited) -> None:
        table = row.TABLE.name
        self._rows[table][row.id] = row
        self._unique[table][tuple(getattr(row, column) for column in _UNIQUE.get(table, ("id",)))] = row.id

    def _check(self, subject: str, noun: type[nouns.Noun], body: Mapping[str, object]) -> None:
        """List what breaks a rule; it is taken all the same."""
        try:
            nouns.read_new(noun, body)
        except Invalid as error:
            self.report.broken += [f"{subject}: {each.field}: {each.text}; kept as it is" for each in error.problems]

    # Categories

    async def put_category(self, found: HarvestedCategory) -> CategoryRow | None:
        """A category, and what it held; one of that name that is there already is taken for it."""
        key = rules.name_key(found.name)
        table = CategoryRow.TABLE.name
        there: CategoryRow | None = self._rows[table].get(self._unique[table].get((key,), 0))
        origin = f"{self._harvest.source} {found.key}"[:TEXT_LIMIT]
        if there is not None and (table, origin) not in self._brought:
            self._brought[table, origin] = there.id
            self._fresh.append({"kind": table, "origin": origin, "row": there.id})
        row: CategoryRow | None
        if there is not None and not (there.origin or "").startswith(f"{self._harvest.source} "):
            row = there
        else:
            values = {
                "top": found.top,
                "product": found.product,
                "joinable": found.joinable,
                "for_people": found.for_people,
                "name": found.name[:TEXT_LIMIT],
                "name_key": key[:TEXT_LIMIT],
            }
            row = await self._put(CategoryRow, found.key, found.name, values, {})
        if row is not None and found.contents is not None:
            await self._keep_contents(row, found)
        return row

    async def _keep_contents(self, row: CategoryRow, found: HarvestedCategory) -> None:
        contents = found.contents
        assert contents is not None
        await self.flush()
        values = {
            "paths": pack_names(contents.names),
            "subpaths": pack_subpaths(contents.subpaths),
            "details": pack_details(contents.details),
        }
        connection = self._change.connection
        there = await queries.find(connection, ImportedCategoryRow, category=row.id)
        if there is None:
            await queries.add(connection, ImportedCategoryRow, category=row.id, **values)
        elif any(getattr(there, name) != value for name, value in values.items()):
            await queries.set_columns(connection, ImportedCategoryRow, {"category": row.id}, **values)

    # Sites

    async def put_site(self, found: HarvestedSite) -> SiteRow | None:
        """A site, its contacts, admins' accounts and check-in password."""
        name = found.name[:TEXT_LIMIT]
        if self._is_taken(SiteRow, found.key, rules.name_key(name)):
            name = f"{name[:200]} ({self._harvest.source} {found.key})"[:TEXT_LIMIT]
            self.report.broken.append(f"site {found.name}: the name is taken: it is called {name}")
        values = {
            "name": name,
            "name_key": rules.name_key(name),
            "url": found.url[:TEXT_LIMIT],
            "private": found.private,
            "pulled_by_all": found.pulled_by_all,
            "comment": " ".join(found.comment.split())[:TEXT_LIMIT],
        }
        fixed = {
            "enabled": found.enabled,
            "enabled_since": self._built,
            "state": found.state,
            "state_since": self._built,
            "state_text": "",
            "leaving": None,
            "created": self._change.now,
            "creator": None,
        }
        before = self.report.added["site"]
        row = await self._put(SiteRow, found.key, name, values, fixed, found.number)
        if row is None:
            return None
        if self.report.added["site"] > before:
            contacts = list(found.contacts)
            body = {"name": name, "url": found.url, "contacts": contacts or ["nobody@example.org"]}
            self._check(f"site {name}", nouns.Site, body)
        return row

    async def put_people(self, found: HarvestedSite, sites: Mapping[str, SiteRow | None]) -> None:
        """Contacts, admins, who may pull, and the check-in password of a site."""
        row = sites[found.key]
        if row is None:
            return
        for mail in found.contacts:
            number = self._next_of(ContactRow)
            self._once(f"{found.key} {mail}", ContactRow(id=number, site=row.id, mail=mail, verified=None))
        await self._put_admins(row, found)
        for key in found.pullers:
            puller = sites.get(key)
            if puller is not None and puller.id != row.id:
                self._once(f"{found.key} {key}", PullerRow(site=row.id, puller=puller.id))
        if found.password:
            self._put_password(row, found.password)

    def _next_of(self, kind: type[Row]) -> int:
        number = self._next[kind.TABLE.name]
        self._next[kind.TABLE.name] += 1
        return number

    def _once(self, key: str, row: Row) -> None:
        """Add a row that has no version, unless an import brought it before; removed here, it stays removed."""
        kind, origin = row.TABLE.name, f"{self._harvest.source} {key}"[:TEXT_LIMIT]
        if (kind, origin) in self._brought:
            return
        if _identity(row) not in self._people[kind]:
            self._people[kind].add(_identity(row))
            self._add(row)
            self.report.added[kind] += 1
        self._brought[kind, origin] = 0
        self._fresh.append({"kind": kind, "origin": origin, "row": 0})

    async def _put_admins(self, row: SiteRow, found: HarvestedSite) -> None:
        """Admins by their names: accounts without a password or a mail address, for OpenID Connect or a link."""
        for login in found.admins:
            account = await queries.find(self._change.connection, AccountRow, login_key=rules.login_key(login))
            if account is None:
                account = await queries.add(
                    self._change.connection,
                    AccountRow,
                    login=login[:64],
                    login_key=rules.login_key(login),
                    mail=None,
                    mail_verified=None,
                    password=None,
                    issuer=None,
                    subject=None,
                    distribution_admin=False,
                    disabled=False,
                    created=self._change.now,
                    seen=None,
                )
                self.report.added["account"] += 1
            self._once(f"{found.key} {login}", AdminRow(site=row.id, account=account.id, since=self._built))

    def _put_password(self, row: SiteRow, password: str) -> None:
        origin = f"{self._harvest.source} password of {row.id}"
        if ("token", origin) in self._brought:
            return
        token = TokenRow(
            id=self._next_of(TokenRow),
            hash=hash_token(make_token()),
            kind="argon2",
            secret=hash_password(password),
            scope="check-in",
            account=None,
            site=row.id,
            host=None,
            made=self._built,
            expires=None,
            used=None,
        )
        self._add(token)
        self.report.added["token"] += 1
        self._brought["token", origin] = 0
        self._fresh.append({"kind": "token", "origin": origin, "row": 0})

    # Hosts

    async def put_host(self, found: HarvestedHost, site: SiteRow, categories: Mapping[str, CategoryRow | None]) -> None:
        """A host, and all that belongs to it."""
        name = found.name[:TEXT_LIMIT]
        if self._is_taken(HostRow, found.key, rules.name_key(name)):
            name = f"{name[:200]}#{found.number or found.key}"[:TEXT_LIMIT]
            self.report.broken.append(f"host {found.name}: the name is taken: it is called {name}")
        values = _host_values(found, name, site)
        fixed = {
            "maintenance_from": None,
            "maintenance_to": None,
            "new_releases": False,
            "tier": None,
            "pulls_from": None,
            "pulls_from_master": False,
            "enabled": found.enabled,
            "enabled_since": self._built,
            "unchecked_since": self._built,
            "leaving": None,
            "created": self._change.now,
        }
        before = self.report.added["host"]
        row = await self._put(HostRow, found.key, name, values, fixed, found.number)
        if row is None:
            return
        if self.report.added["host"] > before:
            self._check(f"host {name}", nouns.Host, _host_body(found, name))
            if note := " ".join(found.note.split())[:TEXT_LIMIT]:
                number, writer = self._next_of(NoteRow), f"import of {self._harvest.source}"
                self._add(NoteRow(id=number, site=None, host=row.id, at=self._change.now, writer=writer, text=note))
        for each in found.carried:
            category = categories.get(each.category)
            if category is not None:
                await self._put_carried(each, row, category)
        await self._put_children(found, row)

    async def _put_carried(self, found: HarvestedCarried, host: HostRow, category: CategoryRow) -> None:
        values = {"always_current": found.always_current, "exclusions": list(found.exclusions)}
        fixed = {"host": host.id, "category": category.id}
        if self._is_taken(CarriedRow, found.key, host.id, category.id):
            self.report.kept.append(f"carried {host.name} {category.name}: is there already")
            return
        row = await self._put(CarriedRow, found.key, f"{host.name} {category.name}", values, fixed)
        if row is None:
            return
        for url in found.urls:
            spelled = url.url if url.url.endswith("/") else f"{url.url}/"
            try:
                rules.read_base_url(spelled, self._change.house.allow_ftp)
            except ValueError as error:
                if ("url", f"{self._harvest.source} {url.key}") not in self._brought:
                    self.report.broken.append(f"host {host.name}: {spelled:.200}: {error}; kept as it is")
            await self._put(
                UrlRow,
                url.key,
                spelled,
                {"url": spelled[:2048], "audience": url.audience},
                {"carried": row.id, "user": None, "password": None},
                url.number,
            )
        if found.current is not None:
            await self._put_content(found, row)

    async def _put_content(self, found: HarvestedCarried, row: CarriedRow) -> None:
        assert found.current is not None
        kept = ImportedContentRow(carried=row.id, current=pack_bits(found.current), at=self._built)
        there = self._held.get(row.id)
        if there is None:
            self._add(kept)
        elif there != kept:
            values = {"current": kept.current, "at": kept.at}
            await queries.set_columns(self._change.connection, ImportedContentRow, {"carried": row.id}, **values)

    async def _put_children(self, found: HarvestedHost, row: HostRow) -> None:
        for network, label in found.networks:
            await self._child(
                NetworkRow,
                f"{found.key} {network}",
                f"{row.name} {network}",
                {"name": label[:TEXT_LIMIT]},
                {"host": row.id, "network": network[:TEXT_LIMIT], "waits": False, "refused": False},
                "network",
            )
        for asn, own in found.asns:
            fixed: dict[str, object] = {"host": row.id, "asn": asn, "waits": False, "refused": False, "found": False}
            await self._child(AsnRow, f"{found.key} {asn}", f"{row.name} AS {asn}", {"own": own}, fixed, "asn")
        for country in found.countries:
            fixed = {"host": row.id, "country": country[:2]}
            await self._child(CountryRow, f"{found.key} {country}", f"{row.name} {country}", {}, fixed, "country")
        for address in found.acl:
            fixed = {"host": row.id, "address": address[:TEXT_LIMIT]}
            await self._child(AclRow, f"{found.key} {address}", f"{row.name} {address}", {}, fixed, "address")

    async def _child(
        self, kind: type[E], key: str, name: str, values: Mapping[str, Any], fixed: Mapping[str, Any], column: str
    ) -> None:
        if self._is_taken(kind, key, fixed["host"], fixed[column]):
            return
        await self._put(kind, key, name, values, fixed)

    # What belongs to no site

    async def put_catalogue(self) -> None:
        """Repositories, redirects, releases."""
        for each in self._harvest.repositories:
            name = f"{each.prefix}+{each.arch}"
            fixed = {"prefix": each.prefix[:TEXT_LIMIT], "arch": each.arch[:TEXT_LIMIT]}
            if self._is_taken(RepositoryRow, name, fixed["prefix"], fixed["arch"]):
                self.report.kept.append(f"repository {name}: is there already")
                continue
            values = {"directory": each.directory[:2048], "enabled": each.enabled}
            await self._put(RepositoryRow, name, name, values, {**fixed, "category": None})
        for kind, source, target in self._harvest.redirects:
            fixed = {"kind": kind, "source": source[:TEXT_LIMIT]}
            if self._is_taken(RedirectRow, f"{kind} {source}", kind, fixed["source"]):
                self.report.kept.append(f"redirect {source}: is there already")
                continue
            await self._put(RedirectRow, f"{kind} {source}", source, {"target": target[:TEXT_LIMIT]}, fixed)
        for release in self._harvest.releases:
            name = f"{release.product} {release.version}"
            fixed = {"product": release.product[:TEXT_LIMIT], "version_name": release.version[:TEXT_LIMIT]}
            if self._is_taken(ReleaseRow, name, fixed["product"], fixed["version_name"]):
                continue
            await self._put(ReleaseRow, name, name, {"arches": list(release.arches)}, {**fixed, "not_before": None})

    async def put_facts(self, categories: Mapping[str, CategoryRow | None]) -> None:
        """What publishing wants to know of a tree."""
        for name, value in self._harvest.facts.items():
            await queries.set_fact(self._change.connection, name, value)
        if self._harvest.root is not None:
            root = categories[self._harvest.root]
            modules = {module: categories[key] for module, key in self._harvest.modules.items()}
            told = {
                "root": root.id if root else None,
                "modules": {module: row.id for module, row in modules.items() if row is not None},
            }
            await queries.set_fact(self._change.connection, TREE_FACT, json.dumps(told))


_KINDS: Sequence[type[Edited]] = (
    SiteRow,
    HostRow,
    CategoryRow,
    CarriedRow,
    UrlRow,
    NetworkRow,
    AsnRow,
    CountryRow,
    AclRow,
    RepositoryRow,
    RedirectRow,
    ReleaseRow,
)


_UNIQUE: Mapping[str, Sequence[str]] = {
    "site": ("name_key",),
    "host": ("name_key",),
    "category": ("name_key",),
    "carried": ("host", "category"),
    "network": ("host", "network"),
    "asn": ("host", "asn"),
    "country_allowed": ("host", "country"),
    "acl_address": ("host", "address"),
    "repository": ("prefix", "arch"),
    "redirect": ("kind", "source"),
    "release": ("product", "version_name"),
}
"""Columns of a table that are unique together."""


def _columns(row: Row) -> dict[str, object]:
    return {each.name: getattr(row, each.name) for each in fields(row)}


def _identity(row: Row) -> tuple[object, ...]:
    """What makes a contact, an admin or a puller the same as another."""
    return tuple(getattr(row, each.name) for each in fields(row) if each.name in ("site", "mail", "account", "puller"))


def _host_values(found: HarvestedHost, name: str, site: SiteRow) -> dict[str, Any]:
    return {
        "site": site.id,
        "name": name,
        "name_key": rules.name_key(name),
        "country": found.country[:2] if found.country else None,
        "state": found.state[:TEXT_LIMIT],
        "city": found.city[:TEXT_LIMIT],
        "latitude": found.latitude,
        "longitude": found.longitude,
        "bandwidth_mbit": found.bandwidth_mbit,
        "private": found.private,
        "monopoly": found.monopoly,
        "own_asn": found.own_asn,
        "serves_own_asn": found.serves_own_asn,
        "update_frequency": found.update_frequency[:TEXT_LIMIT],
        "cloud_type": found.cloud_type,
        "cloud_regions": list(found.cloud_regions),
        "extra": dict(found.extra),
    }


def _host_body(found: HarvestedHost, name: str) -> dict[str, object]:
    """The body that a form would have sent; what the source does not say is not asked for."""
    body: dict[str, object] = {
        "name": name,
        "country": found.country or "",
        "state": found.state,
        "city": found.city,
        "latitude": found.latitude,
        "longitude": found.longitude,
        "bandwidth_mbit": 1 if found.bandwidth_mbit is None else found.bandwidth_mbit,
        "private": found.private,
        "own_asn": found.own_asn,
        "update_frequency": found.update_frequency,
        "cloud_type": found.cloud_type,
        "cloud_regions": list(found.cloud_regions),
    }
    return body


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value!r:.60}" for name, value in sorted(values.items()))


def report_lines(report: Imported) -> Iterable[str]:
    """The report for people: counts first."""
    for words, counts in (("added", report.added), ("changed", report.changed)):
        shown = ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()) if number)
        yield f"{words}: {shown or 'nothing'}"
    for words, lines in (("kept", report.kept), ("breaks a rule", report.broken), ("left out", report.left_out)):
        yield from (f"{words}: {line}" for line in lines)
