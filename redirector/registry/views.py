"""How rows look to people and programs: the fields of the bodies, and what is known beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from redirector.registry.nouns import time_of
from redirector.store.registry.rows import (
    AccountRow,
    AclRow,
    AsnRow,
    CarriedRow,
    CategoryRow,
    CountryRow,
    Edited,
    EventRow,
    HostRow,
    InvitationRow,
    NetworkRow,
    NoteRow,
    RedirectRow,
    ReleaseRow,
    RepositoryRow,
    SiteRow,
    TokenRow,
    UrlRow,
)

View = dict[str, Any]


def show_time(epoch: int | None) -> str | None:
    """RFC 3339 in UTC."""
    return None if epoch is None else time_of(epoch).isoformat().replace("+00:00", "Z")


def _base(row: Edited) -> View:
    return {"id": row.id, "version": row.version, "edited": show_time(row.edited)}


def show_account(row: AccountRow) -> View:
    """An account, without its password."""
    return {
        "id": row.id,
        "version": row.version,
        "login": row.login,
        "mail": row.mail,
        "mail_verified": row.mail_verified is not None,
        "distribution_admin": row.distribution_admin,
        "disabled": row.disabled,
        "created": show_time(row.created),
        "seen": show_time(row.seen),
    }


def site_body(row: SiteRow, contacts: Iterable[str], pullers: Iterable[int]) -> View:
    """A site as its body has it."""
    return {
        "name": row.name,
        "url": row.url,
        "contacts": list(contacts),
        "private": row.private,
        "enabled": row.enabled,
        "pulled_by": "all" if row.pulled_by_all else sorted(pullers),
        "comment": row.comment,
    }


def show_site(row: SiteRow, contacts: Iterable[str], pullers: Iterable[int]) -> View:
    """A site."""
    return {
        **_base(row),
        **site_body(row, contacts, pullers),
        "state": row.state,
        "state_since": show_time(row.state_since),
        "state_text": row.state_text,
        "leaving": show_time(row.leaving),
        "created": show_time(row.created),
    }


def host_body(row: HostRow, pulls_from: str | None) -> View:
    """A host as its body has it; *pulls_from*: the name of the host that it pulls from."""
    window = row.maintenance
    return {
        "name": row.name,
        "country": row.country,
        "state": row.state,
        "city": row.city,
        "latitude": row.latitude,
        "longitude": row.longitude,
        "bandwidth_mbit": row.bandwidth_mbit,
        "private": row.private,
        "monopoly": row.monopoly,
        "own_asn": row.own_asn,
        "serves_own_asn": row.serves_own_asn,
        "update_frequency": row.update_frequency,
        "cloud_type": row.cloud_type,
        "cloud_regions": list(row.cloud_regions),
        "maintenance": None if window is None else {"from": show_time(window[0]), "to": show_time(window[1])},
        "new_releases": row.new_releases,
        "tier": row.tier,
        "pulls_from": "master" if row.pulls_from_master else pulls_from,
        "enabled": row.enabled,
    }


def show_host(row: HostRow, pulls_from: str | None) -> View:
    """A host."""
    return {**_base(row), "site": row.site, **host_body(row, pulls_from), "leaving": show_time(row.leaving)}


def show_category(row: CategoryRow) -> View:
    """A category."""
    return {
        **_base(row),
        "name": row.name,
        "top": row.top,
        "product": row.product,
        "joinable": row.joinable,
        "for_people": row.for_people,
    }


def show_carried(row: CarriedRow, category: str) -> View:
    """A category of a host."""
    return {
        **_base(row),
        "category": category,
        "always_current": row.always_current,
        "exclusions": list(row.exclusions),
    }


def show_url(row: UrlRow, category: str, password: str | None = None) -> View:
    """A URL; *password* only for those who may see it."""
    shown = {**_base(row), "category": category, "url": row.url, "audience": row.audience, "user": row.user}
    return {**shown, "password": password} if password is not None else shown


def show_network(row: NetworkRow) -> View:
    """A network of a host."""
    return {**_base(row), "network": row.network, "name": row.name, "state": _waiting(row)}


def show_asn(row: AsnRow) -> View:
    """An AS number of a host."""
    return {**_base(row), "asn": row.asn, "own": row.own, "state": _waiting(row)}


def _waiting(row: NetworkRow | AsnRow) -> str:
    return "refused" if row.refused else "waiting" if row.waits else "approved"


def show_country(row: CountryRow) -> View:
    """A country allowed."""
    return {**_base(row), "country": row.country}


def show_acl(row: AclRow) -> View:
    """An address that pulls from the masters."""
    return {**_base(row), "address": row.address}


def show_repository(row: RepositoryRow) -> View:
    """A repository."""
    return {
        **_base(row),
        "prefix": row.prefix,
        "arch": row.arch,
        "directory": row.directory,
        "enabled": row.enabled,
        "category": row.category,
    }


def show_redirect(row: RedirectRow) -> View:
    """A redirect."""
    return {**_base(row), "kind": row.kind, "source": row.source, "target": row.target}


def show_release(row: ReleaseRow) -> View:
    """A release."""
    return {
        **_base(row),
        "product": row.product,
        "version": row.version_name,
        "revision": row.version,
        "arches": list(row.arches),
        "not_before": show_time(row.not_before),
    }


def show_note(row: NoteRow) -> View:
    """A note."""
    return {"id": row.id, "at": show_time(row.at), "writer": row.writer, "text": row.text}


def show_invitation(row: InvitationRow) -> View:
    """An invitation that is open."""
    return {
        "id": row.id,
        "account": row.account,
        "mail": row.mail,
        "made": show_time(row.made),
        "expires": show_time(row.expires),
    }


def show_token(row: TokenRow) -> View:
    """A token, of which nothing is known but what it is for."""
    return {
        "id": row.id,
        "scope": row.scope,
        "made": show_time(row.made),
        "expires": show_time(row.expires),
        "used": show_time(row.used),
    }


def show_event(row: EventRow) -> View:
    """An event."""
    old: Mapping[str, Any] = row.old
    return {
        "id": row.id,
        "at": show_time(row.at),
        "actor": row.actor,
        "what": row.what,
        "site": row.site,
        "host": row.host,
        "subject": row.subject,
        "name": row.name,
        "old": dict(old),
        "new": dict(row.new),
    }
