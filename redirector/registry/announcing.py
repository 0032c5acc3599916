"""From what happened to what is sent: events and releases become parcels of the outbox.

A mark in the store says up to which event everything was put in; it moves in the transaction that puts it in. So
nothing is lost, and nothing sent twice, whoever is killed when.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.registry import contacts, letters
from redirector.registry.edit.new_releases import SCAN
from redirector.registry.edit.sites import LEAVE_S
from redirector.registry.hints import embargoed_of, is_below
from redirector.registry.letters import Letter
from redirector.registry.publish.scanned import contents_of, read_scans
from redirector.registry.rules import name_key
from redirector.registry.secrets import Cipher
from redirector.registry.signing import Signer
from redirector.settings.joining import Join
from redirector.settings.mail import Hook, is_mail_address
from redirector.store import outbox
from redirector.store.outbox import Parcel
from redirector.store.registry import queries
from redirector.store.registry.rows import (
    AccountRow,
    AclRow,
    AdminRow,
    CarriedRow,
    CategoryRow,
    ContactRow,
    EventRow,
    HostRow,
    ReleaseRow,
    SiteRow,
)

MARK = "told_event"

EVENTS_AT_ONCE = 200

DAY_S = 86_400
"""One mail of a kind about one host a day."""

GAP_S = 60
"""Numbers of events that are missing may belong to transactions that are not over yet, for so long."""


NOTHING_ASKED = Join()


@dataclass(frozen=True, slots=True)
class Post:
    """How the registry tells people and programs.

    mails   somebody takes our mail
    name    of the distribution, before each subject; "" when the operator did not say
    pages   where people reach the pages; "" when the operator did not say
    cipher  makes the links by which contacts say that they are right
    signer  of release notices; None: they are not signed
    join    what the operator asks of mirrors
    """

    mails: bool = False
    name: str = ""
    hooks: tuple[Hook, ...] = ()
    pages: str = ""
    cipher: Cipher | None = None
    signer: Signer | None = None
    join: Join = NOTHING_ASKED

    def letter(self, unique: str, kind: str, address: str, letter: Letter, host: str = "") -> Parcel:
        """A mail to *address*."""
        subject = f"[{self.name}] {letter.subject}" if self.name else letter.subject
        return _parcel(unique, "mail", kind, address, letter.text, subject, host)


async def announce(connection: AsyncConnection, post: Post, now: int) -> bool:
    """Put into the outbox what the next events ask for. Returns whether there may be more."""
    mark = int(await queries.find_fact(connection, MARK) or 0)
    events = _settled(await queries.list_events(connection, after=mark, limit=EVENTS_AT_ONCE), mark, now)
    for event in events:
        await _announce(connection, post, event, now)
    if events:
        await queries.set_fact(connection, MARK, str(events[-1].id))
    return len(events) == EVENTS_AT_ONCE


def _settled(events: Iterable[EventRow], mark: int, now: int) -> list[EventRow]:
    """Those before the first gap that may still be filled."""
    found = []
    for event in events:
        if event.id != mark + 1 and now - event.at < GAP_S and mark:
            break
        mark = event.id
        found.append(event)
    return found


async def _announce(connection: AsyncConnection, post: Post, event: EventRow, now: int) -> None:
    if event.what.startswith("import.") or not (post.mails or post.hooks):
        return
    site = await queries.find(connection, SiteRow, id=event.site) if event.site is not None else None
    host = await queries.find(connection, HostRow, id=event.host) if event.host is not None else None
    body = json.dumps(message_of(event, site, host, post.pages), ensure_ascii=False)
    parcels = [
        _parcel(f"event {event.id}", "webhook" if hook.url else "command", event.what, hook.target, body)
        for hook in post.hooks
        if hook.wants(event.what)
    ]
    await outbox.put(connection, parcels, now)
    if post.mails and event.what in ("host.delete", "site.delete"):
        for name, numbers in dict(event.new.get("downstream", {})).items():
            await _tell_downstream(connection, post, event, name, numbers, None, now)
    elif post.mails and site is not None:
        await _write_letters(connection, post, event, site, host, now)


async def _introduce(connection: AsyncConnection, site: SiteRow, join: Join) -> list[str]:
    """A line a host of *site*, as far as was typed, and what the operator wants to know of."""
    lines = []
    for host in await queries.list_rows(connection, HostRow, site=site.id):
        addresses = [row.address for row in await queries.list_rows(connection, AclRow, host=host.id)]
        facts = [host.country, f"{host.bandwidth_mbit:,} Mbit/s" if host.bandwidth_mbit else ""]
        facts += ["private" if host.private else "", f"pulls with {', '.join(addresses)}" if addresses else ""]
        facts.append(f"less than {join.minimum_mbit:,} Mbit/s" if is_below(host, join) else "")
        facts.append("a country under embargo" if embargoed_of(host, (), join) else "")
        lines.append(f"{host.name}: {', '.join(filter(None, facts))}")
    return lines


def message_of(event: EventRow, site: SiteRow | None, host: HostRow | None, pages: str) -> dict[str, object]:
    """An event for programs: the fields that notices have, and who did what."""
    name = host.name if host else event.name if event.what.startswith("host.") else ""
    return {
        "kind": event.what,
        "host": name,
        "site": site.name if site else event.name if event.what.startswith("site.") else "",
        "since": event.at,
        "reason": str(event.new.get("text") or event.new.get("state") or ""),
        "at": event.at,
        "logs_url": f"{pages}/mirrors/{quote(name, safe='')}" if pages and name else None,
        "event": event.id,
        "actor": event.actor,
        "name": event.name,
        "old": dict(event.old),
        "new": dict(event.new),
    }


def _parcel(unique: str, channel: str, kind: str, target: str, body: str, subject: str = "", host: str = "") -> Parcel:
    digest = hashlib.blake2b(f"{unique}\0{channel}\0{target}".encode(), digest_size=16).hexdigest()
    return Parcel(digest, channel, kind, host, target, body, subject)


async def _write_letters(
    connection: AsyncConnection, post: Post, event: EventRow, site: SiteRow, host: HostRow | None, now: int
) -> None:
    letter: Letter | None = None
    match event.what:
        case "site.approve" | "site.refuse" | "site.suspend":
            action = event.what.partition(".")[2]
            letter = letters.decision_letter(action, site.name, site.id, str(event.new.get("text", "")), post.pages)
        case "network.approve" | "network.refuse" | "asn.approve" | "asn.refuse" if host is not None:
            what = "network" if event.what.startswith("network") else "AS number"
            approved = event.what.endswith("approve")
            letter = letters.waiting_letter(what, event.name, host.name, approved, str(event.new.get("text", "")))
        case "admin.add" | "admin.remove":
            added = event.what == "admin.add"
            letter = letters.admins_letter(site.name, event.name, added, event.actor)
        case "site.ask":
            said, hosts = str(event.new.get("text") or ""), await _introduce(connection, site, post.join)
            request = letters.request_letter(site.name, post.pages, site.id, said, hosts)
            await _send(connection, post, event, request, await distribution_admins(connection), now)
        case "host.leave" if host is not None and host.leaving is not None:
            await _tell_of_leaving(connection, post, event, [host], host.leaving, now)
        case "site.leave" if site.leaving is not None:
            rows = await queries.list_rows(connection, HostRow, site=site.id)
            await _tell_of_leaving(connection, post, event, rows, site.leaving, now)
        case "site.add" | "site.change":
            await _ask_contacts(connection, post, site, now)
        case _:
            pass
    if letter is not None:
        letter = letters.to_site(letter, site.name, site.id, post.pages)
        await _send(connection, post, event, letter, await recipients(connection, site.id), now)


async def _send(
    connection: AsyncConnection, post: Post, event: EventRow, letter: Letter, addresses: Iterable[str], now: int
) -> None:
    parcels = [post.letter(f"event {event.id}", event.what, address, letter) for address in addresses]
    await outbox.put(connection, parcels, now)


async def recipients(connection: AsyncConnection, site: int) -> list[str]:
    """Who gets the mail of a site: contacts that said they are right, and its admins."""
    found = [row.mail for row in await queries.list_rows(connection, ContactRow, site=site) if row.verified is not None]
    numbers = {row.account for row in await queries.list_rows(connection, AdminRow, site=site)}
    found += _mails(await queries.list_rows(connection, AccountRow, id=numbers))
    return [address for address in dict.fromkeys(found) if is_mail_address(address)]


async def distribution_admins(connection: AsyncConnection) -> list[str]:
    """Addresses of those who decide."""
    return _mails(await queries.list_rows(connection, AccountRow, distribution_admin=True))


def _mails(accounts: Iterable[AccountRow]) -> list[str]:
    return [row.mail for row in accounts if row.mail is not None and row.mail_verified is not None and not row.disabled]


async def _ask_contacts(connection: AsyncConnection, post: Post, site: SiteRow, now: int) -> None:
    """Contacts of a site that nobody has proved yet are asked, once; its admins' own addresses are proved."""
    if site.origin is not None or post.cipher is None:
        return
    numbers = {row.account for row in await queries.list_rows(connection, AdminRow, site=site.id)}
    own = set(_mails(await queries.list_rows(connection, AccountRow, id=numbers)))
    for row in await queries.list_rows(connection, ContactRow, site=site.id):
        if row.verified is not None or not is_mail_address(row.mail):
            continue
        if row.mail in own:
            await queries.set_columns(connection, ContactRow, {"id": row.id}, verified=now)
        elif post.pages:
            link = f"{post.pages}{contacts.path_of(post.cipher, site.id, row.mail)}"
            letter = letters.contact_letter(site.name, link)
            await outbox.put(connection, (post.letter(f"contact {site.id}", "contact", row.mail, letter),), now)


async def _tell_of_leaving(
    connection: AsyncConnection, post: Post, event: EventRow, leaving: Iterable[HostRow], since: int, now: int
) -> None:
    for host in leaving:
        rows = await queries.list_rows(connection, HostRow, pulls_from=host.id)
        pulling = [row.id for row in rows if row.site != host.site]
        await _tell_downstream(connection, post, event, host.name, pulling, since + LEAVE_S, now)


async def _tell_downstream(
    connection: AsyncConnection,
    post: Post,
    event: EventRow,
    name: str,
    pulling: Iterable[int],
    end: int | None,
    now: int,
) -> None:
    """Sites of the hosts *pulling*, which pull from *name*; each is told of it once a day at most.

    end  when it is deleted; None: it is already
    """
    sites: dict[int, list[str]] = {}
    for row in await queries.list_rows(connection, HostRow, id=set(pulling)):
        sites.setdefault(row.site, []).append(row.name)
    for number, names in sites.items():
        letter = letters.leaving_letter(name, sorted(names), end, post.pages)
        letter = await _to_site(connection, post, number, letter)
        for address in await recipients(connection, number):
            if await outbox.find_latest(connection, "leaving", name, address) > now - DAY_S:
                continue
            parcel = post.letter(f"leaving {event.id} {name}", "leaving", address, letter, name)
            await outbox.put(connection, (parcel,), now)


# -- Releases ----------------------------------------------------------------------------------------------------------

STAGED, PUBLIC, ASKED = "release.staged", "release.public", "release.asked"


async def announce_releases(connection: AsyncConnection, post: Post, now: int) -> int:
    """Tell those who pick up new releases of what is staged, and of what has become public. Returns how many.

    What an import brought is old, and told to nobody.
    """
    told = 0
    scans: Mapping[str, tuple[frozenset[str], frozenset[str]]] | None = None
    for release in await queries.list_rows(connection, ReleaseRow):
        fact = f"release {release.id}"
        before = await queries.find_fact(connection, fact)
        if release.origin not in (None, SCAN) or before == PUBLIC:
            continue
        if release.not_before is not None and release.not_before > now:
            if before != f"{STAGED} {release.not_before}":
                await _tell_release(connection, post, release, STAGED, now)
                await queries.set_fact(connection, fact, f"{STAGED} {release.not_before}")
                told += 1
            continue
        scans = scans if scans is not None else await _names(connection)
        if await _is_readable(connection, release, scans):
            await _tell_release(connection, post, release, PUBLIC, now)
            await queries.set_fact(connection, fact, PUBLIC)
            told += 1
    return told


async def _names(connection: AsyncConnection) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Category -> names of its directories below the top, and those that are secret."""
    found = {}
    for key, scan in (await read_scans(connection)).items():
        contents = contents_of(scan)
        secret = frozenset(contents.subpath_of(name) for name in contents.secret)
        found[key] = (frozenset(contents.subpath_of(name) for name in contents.names), secret)
    return found


async def _is_readable(
    connection: AsyncConnection,
    release: ReleaseRow,
    scans: Mapping[str, tuple[frozenset[str], frozenset[str]]],
) -> bool:
    """Whether the masters show it to everybody; where nobody scans, its time decides."""
    categories = await queries.list_rows(connection, CategoryRow)
    scanned = [
        scans[row.name_key]
        for row in categories
        if row.name_key in scans and name_key(row.product) == name_key(release.product)
    ]
    if not scanned:
        return True
    version = release.version_name
    return any(
        version in name.split("/") and name not in secret for names, secret in scanned for name in names
    ) and not any(name.rpartition("/")[2] == version for _, secret in scanned for name in secret)


async def _tell_release(connection: AsyncConnection, post: Post, release: ReleaseRow, kind: str, now: int) -> None:
    """Programs at once; each site once, and no more than one mail of the kind a day."""
    staged = release.not_before if kind == STAGED else None
    name = f"{release.product} {release.version_name}"
    body = {
        "kind": kind,
        "host": "",
        "site": "",
        "since": now,
        "reason": name,
        "at": now,
        "logs_url": None,
        "product": release.product,
        "version": release.version_name,
        "not_before": release.not_before,
    }
    unique = f"{kind} {release.id} {release.not_before}"
    hooks = [
        _parcel(unique, "webhook" if hook.url else "command", kind, hook.target, json.dumps(body, ensure_ascii=False))
        for hook in post.hooks
        if hook.wants(kind)
    ]
    await outbox.put(connection, hooks, now)
    if not post.mails:
        return
    sites, others = await _carrying(connection, release.product)
    for site, hosts in sites.items():
        letter = letters.release_letter(
            release.product, release.version_name, hosts, staged, post.signer is not None, post.pages
        )
        letter = await _to_site(connection, post, site, letter)
        if post.signer is not None:
            letter = Letter(letter.subject, letter.text + post.signer.sign(letter.text.encode()))
        await _send_release(connection, post, f"{unique} {site}", kind, site, letter, now)
    for site, rows in others.items() if kind == PUBLIC else ():
        trusted = [row.name for row in rows if await _leaves_out(connection, row)]
        names = [(row.name, row.id) for row in rows]
        letter = letters.question_letter(release.product, release.version_name, names, trusted, post.pages)
        letter = await _to_site(connection, post, site, letter)
        await _send_release(connection, post, f"{unique} {site} ask", ASKED, site, letter, now)


async def _to_site(connection: AsyncConnection, post: Post, number: int, letter: Letter) -> Letter:
    site = await queries.find(connection, SiteRow, id=number)
    return letter if site is None else letters.to_site(letter, site.name, site.id, post.pages)


async def _send_release(
    connection: AsyncConnection, post: Post, unique: str, kind: str, site: int, letter: Letter, now: int
) -> None:
    """To all of a site; a second one of the kind waits for the next day."""
    for address in await recipients(connection, site):
        latest = await outbox.find_latest(connection, kind, "", address)
        due = latest + DAY_S if latest > now - DAY_S else now
        await outbox.put(connection, (post.letter(unique, kind, address, letter),), now, due)


async def _carrying(connection: AsyncConnection, product: str) -> tuple[dict[int, list[str]], dict[int, list[HostRow]]]:
    """(site -> names of its hosts that pick up new releases, site -> those that carry the product and do not).

    Of approved sites, and of hosts that are on. Where no category is of the product, nobody knows who carries it: then
    all that pick up new releases are meant, and nobody is asked.
    """
    sites = {
        row.id: row
        for row in await queries.list_rows(connection, SiteRow, state="approved", enabled=True)
        if row.leaving is None
    }
    categories = {
        row.id
        for row in await queries.list_rows(connection, CategoryRow)
        if row.product and name_key(row.product) == name_key(product)
    }
    carriers = {row.host for row in await queries.list_rows(connection, CarriedRow, category=categories)}
    picking: dict[int, list[str]] = {}
    others: dict[int, list[HostRow]] = {}
    for host in await queries.list_rows(connection, HostRow, enabled=True):
        if host.site not in sites or host.leaving is not None:
            continue
        if host.new_releases and (host.id in carriers or not categories):
            picking.setdefault(host.site, []).append(host.name)
        elif host.id in carriers and not host.new_releases:
            others.setdefault(host.site, []).append(host)
    return picking, others


async def _leaves_out(connection: AsyncConnection, host: HostRow) -> bool:
    """Whether it is trusted without a look: then what is new was entered as left out."""
    return bool(await queries.count(connection, CarriedRow, host=host.id, always_current=True))
