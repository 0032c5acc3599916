"""A publication as a tree of YAML files: one `mirrors.d/NAME.yml` a host. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from redirector.registry import rules
from redirector.registry.publish.holdings import Holdings
from redirector.registry.publish.selection import GATEWAY_S, is_in_tree, public_urls
from redirector.store.registry.rows import CarriedRow, HostRow

SCHEMES = ("http", "https", "rsync", "ftp")


class TreeCategories:
    """Which categories are a tree's: the one whose URLs are `address`, and those of its modules."""

    def __init__(self, holdings: Holdings) -> None:
        told = json.loads(holdings.facts.get("tree", "{}"))
        self.modules = {number: module for module, number in told.get("modules", {}).items()}
        self.root = told.get("root") if told.get("root") in holdings.categories else self._most_carried(holdings)

    def _most_carried(self, holdings: Holdings) -> int | None:
        """Without an imported tree: what most hosts carry."""
        counts: dict[int, int] = {}
        for carried in holdings.carried.values():
            for each in carried:
                if each.category not in self.modules:
                    counts[each.category] = counts.get(each.category, 0) + 1
        return max(sorted(counts), key=lambda number: counts[number], default=None)


def render_tree(holdings: Holdings, now: int, mail: bool) -> tuple[dict[str, bytes], list[str]]:
    """(file name -> its bytes, what could not be said).

    mail  with the contacts' addresses; never by itself
    """
    categories = TreeCategories(holdings)
    files: dict[str, bytes] = {}
    left_out: list[str] = []
    for _, row in sorted(holdings.hosts.items()):
        if not is_in_tree(holdings, row, now):
            continue
        document = _render_host(holdings, categories, row, mail, now, left_out)
        if document is not None:
            text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1000)
            files[f"{row.name}.yml"] = f"---\n{text}".encode()
    return files, left_out


def _render_host(
    holdings: Holdings, categories: TreeCategories, row: HostRow, mail: bool, now: int, left_out: list[str]
) -> dict[str, Any] | None:
    site = holdings.sites[row.site]
    addresses = {each.category: _addresses(holdings, each) for each in holdings.carried.get(row.id, ())}
    address = addresses.get(categories.root or 0)
    if not address:
        left_out.append(f"host {row.name}: no public URL: it has no file")
        return None
    optional = {
        module: addresses[number]
        for number, module in sorted(categories.modules.items(), key=lambda pair: pair[1])
        if addresses.get(number)
    }
    contacts = [each.mail for each in holdings.contacts.get(site.id, ())]
    networks = [
        text
        for each in holdings.networks.get(row.id, ())
        if each.counts
        for text in _network(holdings, each.network, now)
    ]
    asns = [each.asn for each in holdings.asns.get(row.id, ()) if each.counts]
    countries = sorted(each.country for each in holdings.countries.get(row.id, ()))
    lacking = sorted({*row.extra.get("lacking", ()), *_exclusions(holdings, categories, row)})
    private = row.private or site.private
    entries: list[tuple[str, object]] = [
        ("name", row.name),
        ("address", address),
        ("address_optional", optional),
        ("update_frequency", row.update_frequency),
        ("sponsor", row.extra.get("sponsor", site.name)),
        ("sponsor_url", row.extra.get("sponsor_url", site.url)),
        ("email", contacts[0] if mail and contacts else ""),
        ("geolocation", _geolocation(row)),
        ("private", private or None),
        ("monopoly", row.monopoly or None),
        ("asn", asns[0] if len(asns) == 1 else asns),
        ("subnets", networks),
        ("cloud_type", row.cloud_type),
        ("cloud_regions", list(row.cloud_regions)),
        ("bandwidth_mbit", row.bandwidth_mbit),
        ("own_asn", row.own_asn),
        ("countries_allowed", countries),
        ("countries_excluded", sorted(row.extra.get("countries_excluded", ()))),
        ("lacking", lacking),
    ]
    return {key: value for key, value in entries if value not in (None, "", [], {})}


def _addresses(holdings: Holdings, carried: CarriedRow) -> dict[str, str]:
    """Scheme -> the first URL of it."""
    found: dict[str, str] = {}
    for url in public_urls(holdings, carried):
        found.setdefault(url.url.partition(":")[0], url.url)
    return {scheme: found[scheme] for scheme in SCHEMES if scheme in found}


def _network(holdings: Holdings, text: str, now: int) -> Iterator[str]:
    if not rules.is_name(text):
        yield text
        return
    yield from (each.address for each in holdings.addresses.get(text, ()) if each.seen + GATEWAY_S > now)


def _exclusions(holdings: Holdings, categories: TreeCategories, row: HostRow) -> Iterable[str]:
    return (
        pattern
        for each in holdings.carried.get(row.id, ())
        if each.category == categories.root
        for pattern in each.exclusions
    )


def _geolocation(row: HostRow) -> Mapping[str, object]:
    if row.country is None and row.latitude is None:
        return {}
    entries: list[tuple[str, object]] = [
        ("country", row.country),
        ("state_province", row.state or None),
        ("city", row.city or None),
        ("latitude", row.latitude),
        ("longitude", row.longitude),
    ]
    return {key: value for key, value in entries if value is not None}
