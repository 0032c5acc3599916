"""A snapshot file becomes a harvest: a site a host, categories by their top directories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit

import numpy as np

from redirector.model import Catalog, Category, Host
from redirector.registry.importing.harvest import (
    Harvest,
    HarvestedCarried,
    HarvestedCategory,
    HarvestedHost,
    HarvestedRepository,
    HarvestedSite,
    HarvestedUrl,
)
from redirector.registry.publish.contents import Bits, CategoryContents, Details
from redirector.registry.rules import name_key
from redirector.sources.mirrormanager.snapshot_file import Records, load_snapshot_file, names_of_hosts, read_records


def read_snapshot(path: str, names: Mapping[str, str]) -> Harvest:
    """What the snapshot *path* says.

    names   top directory -> the category's name, as `masters` has them; else the file's own, else the top itself
    raises  SnapshotError
    cost    two passes: a second for 50,000 directories
    """
    said = read_records(path)
    catalog = load_snapshot_file(path)
    hosts = {host.name: host for host in catalog.hosts}
    numbered = {number: hosts[name] for number, name in names_of_hosts(said).items() if name in hosts}
    tops: dict[str, dict[str, str]] = defaultdict(dict)
    for name, directory in said.directories.items():
        subpath = directory.subpath_of(name)
        top = name[: len(name) - len(subpath)].strip("/") if directory.subpath is None else name
        tops[top][name] = subpath
    own = {each.top: each for each in catalog.categories}
    categories: list[HarvestedCategory] = []
    carried: dict[int, list[HarvestedCarried]] = defaultdict(list)
    known_urls: set[int] = set()
    for top in sorted(tops):
        contents = _contents(top, tops[top], catalog)
        told = own.get(top, Category(top or "top", top))
        categories.append(
            HarvestedCategory(
                key=top,
                name=names.get(top, told.name),
                top=top,
                product=told.product,
                for_people=told.for_people,
                contents=contents,
            )
        )
        urls, current = _carriers(said, contents.names, numbered.keys())
        for number, ids in urls.items():
            listed = tuple(
                HarvestedUrl(
                    key=f"{each}" if each not in known_urls else f"{each} {top}",
                    url=said.base_urls[each],
                    number=each if each not in known_urls else None,
                )
                for each in ids
            )
            known_urls.update(ids)
            carried[number].append(
                HarvestedCarried(key=f"{number} {top}", category=top, urls=listed, current=current[number])
            )
    return Harvest(
        source="snapshot",
        built=catalog.built,
        sites=list(
            {
                _site_key(number, host): _site(number, host, carried[number])
                for number, host in reversed(numbered.items())
            }.values()
        )[::-1],
        hosts=[_host(number, host, tuple(carried[number])) for number, host in numbered.items()],
        categories=categories,
        repositories=_repositories(catalog),
        redirects=_redirects(catalog),
        left_out=[str(problem) for problem in catalog.problems],
    )


def _carriers(
    said: Records, names: Sequence[str], known: Collection[int]
) -> tuple[dict[int, dict[int, None]], dict[int, Bits]]:
    """Of hosts that are *known*: the ids of their URLs for the directories *names*, and which of these they have."""
    urls: dict[int, dict[int, None]] = defaultdict(dict)
    current: dict[int, Bits] = {}
    positions: dict[int, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        positions[said.directories[name].host_set].append(position)
    for host_set, those in positions.items():
        chosen = np.array(those)
        for number, url_ids in said.lists[host_set].urls:
            if number not in known:
                continue
            urls[number].update((each, None) for each in url_ids if each in said.base_urls)
            if number not in current:
                current[number] = np.zeros(len(names), dtype=np.bool_)
            current[number][chosen] = True
    return urls, current


def _contents(top: str, subpaths: Mapping[str, str], catalog: Catalog) -> CategoryContents:
    names = tuple(sorted(subpaths))
    bare = CategoryContents(top=top, names=names)
    own = set(names)
    details: Details = {key: found for key, found in catalog.details.items() if key[0] in own}
    odd = {name: subpaths[name] for name in names if bare.subpath_of(name) != subpaths[name]}
    return CategoryContents(top=top, names=names, subpaths=odd, details=details, made=catalog.built)


def _site_key(number: int, host: Host) -> str:
    """A site a host; a file of ours names the site, which may have several."""
    return f"sponsor {name_key(host.sponsor)}" if host.sponsor else str(number)


def _site(number: int, host: Host, carried: list[HarvestedCarried]) -> HarvestedSite:
    urls = [url.url for each in carried for url in each.urls]
    web = next((url for url in urls if url.startswith("http")), None)
    page = f"{web.split('://')[0]}://{urlsplit(web).netloc}/" if web else ""
    name, url = host.sponsor or host.name, host.sponsor_url or page
    return HarvestedSite(key=_site_key(number, host), name=name, url=url, private=False)


def _host(number: int, host: Host, carried: tuple[HarvestedCarried, ...]) -> HarvestedHost:
    return HarvestedHost(
        key=str(number),
        site=_site_key(number, host),
        name=host.name,
        number=number,
        country=host.country,
        state=host.state,
        city=host.city,
        latitude=host.place.latitude if host.place else None,
        longitude=host.place.longitude if host.place else None,
        bandwidth_mbit=host.bandwidth_mbit,
        private=host.private,
        monopoly=host.monopoly,
        own_asn=host.own_asn,
        serves_own_asn=host.own_asn in host.asns,
        extra={"countries_excluded": sorted(host.excluded)} if host.excluded else {},
        carried=carried,
        networks=tuple((str(network), "") for network in host.netblocks),
        asns=tuple((asn, asn == host.own_asn) for asn in host.asns),
        countries=tuple(sorted(host.allowed)),
    )


def _repositories(catalog: Catalog) -> list[HarvestedRepository]:
    found = [
        HarvestedRepository(prefix=prefix, arch=arch, directory=directory, enabled=prefix not in catalog.disabled)
        for (prefix, arch), directory in sorted(catalog.repositories.items())
    ]
    named = {each.prefix for each in found}
    nameless = sorted(catalog.disabled - named)
    return [*found, *(HarvestedRepository(prefix=each, arch="", directory="", enabled=False) for each in nameless)]


def _redirects(catalog: Catalog) -> list[tuple[str, str, str]]:
    return [
        *(("repository", source, target) for source, target in sorted(catalog.redirects.items())),
        *(("continent", source, target) for source, target in sorted(catalog.continents.items())),
        *(("country", str(network), country) for network, country in catalog.client_countries),
    ]
