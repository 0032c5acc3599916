"""A naive model of today's server, from the contract: everything but the luck of the draw, with plain loops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from redirector.model import Catalog, HostId
from tests.rig import ASNS, CONTINENTS, GEO

Group = list[HostId]

SUBPATH = {False: "/linux/40/x86_64/os/", True: "/linux/40/x86_64/os/repodata/repomd.xml"}
"""Of a mirrorlist and of a metalink."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What a mirrorlist holds.

    comment  the first line or lines, without the newline behind them
    groups   hosts; the order inside a group is chance
    urls     of each listed host, in order
    """

    comment: str
    groups: list[Group]
    urls: dict[HostId, list[str]]


def parse(query: str) -> dict[str, str]:
    found = {}
    for part in query.split("&"):
        pieces = part.split("=")
        found[pieces[0]] = pieces[1] if len(pieces) > 1 else ""
    return found


def answer_today(catalog: Catalog, query: str, client: str, minimum: int, metalink: bool) -> Listed:
    """The answer for the directory of `repo=fedora-40&arch=x86_64` to *query* from *client*."""
    said = parse(query)
    carriers = catalog.host_sets[0]
    hosts = catalog.hosts
    comment = f"# repo = {said['repo']} arch = {said['arch']} "
    address = ip_address(said.get("ip") or client)
    country = next((at.country for prefix, at in GEO.items() if address in ip_network(prefix)), None)
    wanted = sorted(set(said["country"].split(","))) if said.get("country") else []

    def trimmed(group: Iterable[HostId]) -> Group:
        return [host for host in group if not hosts[host].allowed or country in hosts[host].allowed]

    def there(code: str) -> Group:
        return list(carriers.by_country.get(code.upper(), ()))

    def around(code: str) -> tuple[str, Group]:
        words, found = "", []
        continent = CONTINENTS.get(code.upper())
        for other in sorted(CONTINENTS):
            if continent and CONTINENTS[other] == continent and other != code.upper() and there(other):
                words += f"country = {other} "
                found += there(other)
        return words, found

    groups: list[Group] = []
    if not wanted and said.get("netblock", "1") == "1":
        by_length: dict[int, Group] = {}
        for number, host in enumerate(hosts):
            for network in host.netblocks:
                if address in network:
                    by_length.setdefault(network.prefixlen, []).append(HostId(number))
        groups += [by_length[length] for length in sorted(by_length, reverse=True)]
        comment += "Using preferred netblock " if by_length else ""
        asn = max(((ip_network(p).prefixlen, n) for p, n in ASNS.items() if address in ip_network(p)), default=(0, 0))[
            1
        ]
        same_as = [HostId(number) for number, host in enumerate(hosts) if asn in host.asns]
        if same_as:
            comment += f"Using ASN {asn} "
            groups.append(same_as)
    found: Group = []
    alone = False
    for code in wanted:
        if code.upper() == "GLOBAL":
            comment += "country = global "
            found = trimmed([*found, *carriers.public])
        elif there(code):
            comment += f"country = {code} "
            found += there(code)
    if wanted and not found:
        for code in wanted:
            words, more = around(code)
            comment += words
            found += more
    if found:
        alone = True
        groups.append(trimmed(found))
    if not alone and country:
        comment += f"country = {country} " if there(country) else ""
        groups.append(there(country))
        words, more = around(country)
        comment += words
        groups.append(more)

    schemes = sorted(set(said["protocol"].split(","))) if "protocol" in said else None

    def of_schemes(group: Group, schemes: list[str], most: int, is_redirect: bool = False) -> dict[HostId, list[str]]:
        """The URLs of *schemes*, at most *most* a host; of a redirect untouched when nobody has any."""
        every = {host: [url + SUBPATH[metalink] for url in carriers.urls[host]] for host in group}
        kept = {
            host: [url for url in urls if any(url.startswith(f"{scheme}:") for scheme in schemes)][:most]
            for host, urls in every.items()
        }
        kept = {host: urls for host, urls in kept.items() if urls}
        return kept or (every if is_redirect else {})

    def flat(groups: list[Group]) -> Group:
        return list(dict.fromkeys(host for group in groups for host in group if host in carriers.urls))

    near = of_schemes(flat(groups), schemes, len(schemes)) if schemes is not None else flat(groups)
    if len(near) < minimum and not alone:
        comment += "country = global "
        groups.append(trimmed(carriers.public))
    listed = flat(groups)
    if schemes is not None:
        comment += f"protocol = {said['protocol']}"
        urls = of_schemes(listed, schemes, len(schemes), "redirect" in said and not metalink)
    else:
        urls = {host: [url + SUBPATH[metalink] for url in carriers.urls[host]] for host in listed}
    if "time" in said:
        comment += f"\n# database creation time: {catalog.built}"
    if not metalink:
        if "redirect" in said:
            urls = _trim(urls, ("https", "http"))
        elif schemes is None:
            urls = _trim(urls, ("https", "http", "ftp"))
    seen: set[HostId] = set()
    unique: list[Group] = []
    for group in groups:
        unique.append([host for host in dict.fromkeys(group) if host in urls and host not in seen])
        seen.update(group)
    return Listed(comment, [group for group in unique if group], urls)


def _trim(urls: dict[HostId, list[str]], schemes: tuple[str, ...]) -> dict[HostId, list[str]]:
    kept = {
        host: [url for url in own if url.startswith(tuple(f"{scheme}:" for scheme in schemes))][:1]
        for host, own in urls.items()
    }
    kept = {host: own for host, own in kept.items() if own}
    return kept or urls
