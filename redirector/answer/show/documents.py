"""What stands beside the page for people: ISO images by version, a module's mirrors, what browsers ask for unasked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address

from redirector.answer.answer import Answer, Kind
from redirector.answer.choose.listed import Listed
from redirector.answer.show.face import ROBOTS, Face, draw_icon
from redirector.answer.show.isos import MODULE_PAGES, list_isos
from redirector.answer.show.mirrors import address_of, by_country
from redirector.answer.show.page import PAGE_HEADERS, PAGE_TYPE
from redirector.answer.show.render import render
from redirector.model import Host, HostId, HostSet
from redirector.snapshot.snapshot import Snapshot

FIXED: Mapping[bytes, Answer] = {
    b"/robots.txt": Answer(200, Kind.OTHER, ROBOTS),
    b"/favicon.ico": Answer(200, Kind.OTHER, draw_icon(), "image/x-icon"),
}
"""Paths that are the same for everybody, whatever the mirrors are."""


def split_document(path: str) -> tuple[str, tuple[str, ...]] | None:
    """The module ("": none) and what is asked for of it, for a path that a document may stand behind; else None.

    `/isos` gives `("", ("isos",))`, `/kitten/isos/x86_64/10` gives `("kitten", ("isos", "x86_64", "10"))`.
    """
    segments = [part for part in path.split("/") if part]
    module = ""
    if segments and segments[0] in MODULE_PAGES:
        module = segments.pop(0)
    if (module and not segments) or (segments[:1] == ["isos"] and len(segments) in (1, 3)):
        return module, tuple(segments)
    return None


def write_index(snapshot: Snapshot, face: Face, module: str) -> Answer:
    """The versions and architectures that have ISO images."""
    assert snapshot.releases is not None
    versions = [each for each in list_isos(snapshot.releases) if each.module == module]
    return _document(snapshot, face, "ISO images", "isos.html", versions=versions)


def write_mirrors(
    snapshot: Snapshot, face: Face, title: str, host_set: HostSet, ending: str, listed: Sequence[Listed]
) -> Answer:
    """The public mirrors of *host_set* by country, the nearest ones to the visitor first.

    ending  what follows a base URL
    """
    hosts = snapshot.hosts
    nearest = [
        (hosts[each.host].name, address_of(each.urls[0] + ending))
        for each in listed
        if each.urls and hosts[each.host].for_strangers and not hosts[each.host].origin
    ]
    urls = {
        host: [url + ending for url in host_set.urls[host]]
        for host in host_set.public
        if not hosts[host].origin and host_set.urls.get(host)
    }
    return _document(snapshot, face, title, "mirrors.html", nearest=nearest, groups=by_country(hosts, urls))


def _document(snapshot: Snapshot, face: Face, title: str, template: str, **values: object) -> Answer:
    whole = render(template, snapshot=snapshot, face=face, title=title, **values)
    return Answer(200, Kind.PAGE, whole.encode(), PAGE_TYPE, PAGE_HEADERS)


# ---- For operators, who ask why --------------------------------------------------------------------------------------


def write_json(value: object) -> Answer:
    """*value* for an operator."""
    return Answer(200, Kind.OTHER, json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n", "application/json")


def describe_client(snapshot: Snapshot, address: bytes | None, audience_id: int) -> dict[str, object]:
    """What is known of an address."""
    audience = snapshot.audiences.audience(audience_id)
    place = audience.place
    asn = snapshot.asns.table.find(address) if snapshot.asns and address is not None else 0
    return {
        "ip": None if address is None else str(ip_address(address)),
        "country": audience.country,
        "continent": snapshot.continents.get(audience.country or ""),
        "latitude": place.latitude if place else None,
        "longitude": place.longitude if place else None,
        "asn": asn or None,
        "netblocks": [
            {"prefix": length, "mirrors": [snapshot.hosts[host].name for host in hosts]}
            for length, hosts in audience.netblocks
        ],
    }


def describe_listed(snapshot: Snapshot, listed: Iterable[Listed]) -> list[dict[str, object]]:
    """The hosts of a list, best first."""
    return [
        {
            **_facts(snapshot.hosts[each.host]),
            "tier": each.tier.value,
            "reason": each.reason,
            "km": each.km,
            "urls": list(each.urls),
        }
        for each in listed
    ]


def describe_all(snapshot: Snapshot) -> list[dict[str, object]]:
    """Every host, private ones too; without contacts, which a snapshot does not have."""
    urls: dict[HostId, dict[str, None]] = {}
    for carriers in snapshot.host_sets:
        for host, bases in carriers.urls.items():
            urls.setdefault(host, {}).update(dict.fromkeys(bases))
    return [
        {
            **_facts(host),
            "state": host.standing.value,
            "reason": host.withheld or host.down_reason,
            "private": host.private,
            "monopoly": host.monopoly,
            "subnets": list(map(str, host.netblocks)),
            "asn": list(host.asns),
            "urls": list(urls.get(HostId(n), ())),
        }
        for n, host in enumerate(snapshot.hosts)
    ]


def _facts(host: Host) -> dict[str, object]:
    return {
        "name": host.name,
        "country": host.country,
        "state_province": host.state,
        "city": host.city,
        "latitude": host.place.latitude if host.place else None,
        "longitude": host.place.longitude if host.place else None,
        "sponsor": host.sponsor,
        "sponsor_url": host.sponsor_url,
    }
