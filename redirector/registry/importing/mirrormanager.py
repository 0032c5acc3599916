"""MirrorManager 2's own database becomes a harvest: all that its forms held, and what its crawler last found."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import numpy as np

from redirector.counted import counted
from redirector.model import FileDetail
from redirector.registry import rules
from redirector.registry.importing.harvest import (
    Harvest,
    HarvestedCarried,
    HarvestedCategory,
    HarvestedHost,
    HarvestedRelease,
    HarvestedRepository,
    HarvestedSite,
    HarvestedUrl,
)
from redirector.registry.publish.contents import Bits, CategoryContents
from redirector.store.mirrormanager import ForeignDatabase, open_foreign

_NOT_CARRIED = (
    ("directory_exclusive_host", "directories for single hosts alone"),
    ("host_location", "locations of hosts"),
    ("host_country", "further countries of hosts"),
    ("embargoed_country", "embargoed countries: name them in `join: {embargoed: [...]}`"),
    ("host_stats", "statistics of hosts"),
    ("access_stat", "access statistics"),
    ("propagation_stat", "propagation statistics"),
    ("mm_user", "passwords of local accounts: `redirector registry user` makes links"),
)
"""Tables that have no place here, and what they hold."""


async def read_database(url: str) -> Harvest:
    """What the database of MirrorManager 2 at *url* says. Raises StoreError."""
    async with open_foreign(url) as database:
        return await _Reader(database).read()


@dataclass(frozen=True, slots=True)
class _Category:
    """A category with the numbers of its directories."""

    key: int
    name: str
    contents: CategoryContents
    positions: Mapping[int, int]


class _Reader:
    def __init__(self, database: ForeignDatabase) -> None:
        self._database = database
        self._left_out: list[str] = []
        self._newest = 0

    async def read(self) -> Harvest:
        directories = await self._directories()
        categories, harvested = await self._categories(directories)
        sites = await self._sites()
        hosts = await self._hosts(categories)
        repositories, releases = await self._repositories(directories)
        redirects = [
            *await self._redirects("repository", "repository_redirect", "from_repo", "to_repo"),
            *await self._redirects("continent", "country_continent_redirect", "country", "continent"),
            *await self._redirects("country", "netblock_country", "netblock", "country"),
        ]
        for table, what in _NOT_CARRIED:
            if count := len(await self._database.rows(table, "id")):
                self._left_out.append(f"{count:,} rows of {table}: {what}")
        return Harvest(
            source="mirrormanager",
            built=self._newest,
            sites=sites,
            hosts=hosts,
            categories=harvested,
            repositories=repositories,
            redirects=redirects,
            releases=releases,
            left_out=self._left_out,
        )

    def _note_time(self, value: object) -> None:
        """Remember the newest time that the database knows: it is the age of what it says."""
        self._newest = max(self._newest, _epoch(value))

    # Categories and their directories

    async def _directories(self) -> dict[int, str]:
        """Number -> name of the readable ones."""
        found = {}
        secret = 0
        for number, name, readable, changed in await self._database.rows(
            "directory", "id", "name", "readable", "ctime"
        ):
            if readable is None or readable:
                found[number] = str(name).strip("/")
                self._note_time(changed)
            else:
                secret += 1
        if secret:
            self._left_out.append(f"not readable yet, so that a scan finds them: {counted(secret, 'directories')}")
        return found

    async def _categories(self, directories: Mapping[int, str]) -> tuple[dict[int, _Category], list[HarvestedCategory]]:
        products = {number: str(name) for number, name in await self._database.rows("product", "id", "name")}
        members: dict[int, dict[int, str]] = defaultdict(dict)
        async for category, directory in self._database.stream("category_directory", "category_id", "directory_id"):
            if directory in directories:
                members[category][directory] = directories[directory]
        details = await self._details(directories)
        categories: dict[int, _Category] = {}
        harvested = []
        rows = await self._database.rows(
            "category", "id", "name", "product_id", "topdir_id", "publiclist", "admin_only"
        )
        for number, name, product, topdir, public, admin_only in rows:
            top = directories.get(topdir, "")
            if not top:
                self._left_out.append(f"category {name}: its top directory is not readable, or not there")
                continue
            below = {each: path for each, path in members[number].items() if path == top or path.startswith(f"{top}/")}
            below[topdir] = top
            names = tuple(sorted(set(below.values())))
            numbers = {path: position for position, path in enumerate(names)}
            own = {key: found for key, found in details.items() if key[0] in numbers}
            contents = CategoryContents(top=top, names=names, details=own, made=0)
            positions = {each: numbers[path] for each, path in below.items()}
            categories[number] = _Category(number, str(name), contents, positions)
            harvested.append(
                HarvestedCategory(
                    key=str(number),
                    name=str(name),
                    top=top,
                    product=products.get(product, ""),
                    joinable=not admin_only,
                    for_people=public is None or bool(public),
                    contents=contents,
                )
            )
        return categories, harvested

    async def _details(self, directories: Mapping[int, str]) -> dict[tuple[str, str], tuple[FileDetail, ...]]:
        found: dict[tuple[str, str], list[FileDetail]] = defaultdict(list)
        columns = ("directory_id", "filename", "timestamp", "size", "md5", "sha1", "sha256", "sha512")
        for directory, name, timestamp, size, *hashes in await self._database.rows("file_detail", *columns):
            if directory in directories:
                md5, sha1, sha256, sha512 = (str(each or "").lower() for each in hashes)
                detail = FileDetail(int(timestamp or 0), int(size or 0), md5, sha1, sha256, sha512)
                found[directories[directory], str(name)].append(detail)
        return {key: tuple(sorted(versions, key=lambda one: -one.timestamp)) for key, versions in sorted(found.items())}

    # Sites

    async def _sites(self) -> list[HarvestedSite]:
        admins: dict[int, list[str]] = defaultdict(list)
        for login, site in await self._database.rows("site_admin", "username", "site_id"):
            if login:
                admins[site].append(str(login))
        mails = {
            str(login): str(mail)
            for login, mail in await self._database.rows("mm_user", "user_name", "email_address")
            if mail
        }
        pullers: dict[int, list[str]] = defaultdict(list)
        for upstream, downstream, password in await self._database.rows(
            "site_to_site", "upstream_site_id", "downstream_site_id", "password"
        ):
            pullers[upstream].append(str(downstream))
            if password:
                self._left_out.append(f"site {upstream}: the password of site {downstream} to pull from it")
        robots: dict[int, list[str]] = defaultdict(list)
        for site, mail in await self._database.rows("host", "site_id", "robot_email"):
            if mail:
                robots[site].append(str(mail))
        columns = (
            "id name password org_url private admin_active user_active created_at all_sites_can_pull_from_me"
            " downstream_comments"
        ).split()
        sites = []
        for row in await self._database.rows("site", *columns):
            number, name, password, url, private, admin_active, user_active, created, everybody, comment = row
            self._note_time(created)
            known = [mails[login] for login in admins[number] if login in mails]
            sites.append(
                HarvestedSite(
                    key=str(number),
                    number=number,
                    name=_text(name) or f"site {number}",
                    url=_text(url),
                    contacts=tuple(dict.fromkeys((*known, *robots[number]))),
                    private=bool(private),
                    enabled=user_active is None or bool(user_active),
                    state="approved" if admin_active is None or admin_active else "suspended",
                    comment=_text(comment),
                    pulled_by_all=bool(everybody),
                    pullers=tuple(pullers[number]),
                    admins=tuple(admins[number]),
                    password=str(password) if password else None,
                )
            )
        return sites

    # Hosts

    async def _hosts(self, categories: Mapping[int, _Category]) -> list[HarvestedHost]:
        networks: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for host, netblock, label in await self._database.rows("host_netblock", "host_id", "netblock", "name"):
            networks[host].append((self._network(host, _text(netblock)), _text(label)))
        peers: dict[int, list[int]] = defaultdict(list)
        for host, number in await self._database.rows("host_peer_asn", "host_id", "asn"):
            peers[host].append(int(number))
        countries: dict[int, list[str]] = defaultdict(list)
        for host, country in await self._database.rows("host_country_allowed", "host_id", "country"):
            countries[host].append(_text(country).upper())
        acl: dict[int, list[str]] = defaultdict(list)
        for host, address in await self._database.rows("host_acl_ip", "host_id", "ip"):
            if address:
                acl[host].append(_text(address))
        carried = await self._carried(categories)
        columns = (
            "id site_id name country bandwidth_int private asn asn_clients admin_active user_active comment"
            " latitude longitude max_connections internet2 last_checked_in last_crawled"
        ).split()
        hosts = []
        limited = 0
        for row in await self._database.rows("host", *columns):
            number, site, name, country, bandwidth, private, asn, clients, admin_active, user_active, comment = row[:11]
            latitude, longitude, connections, internet2, *times = row[11:]
            for time in times:
                self._note_time(time)
            limited += bool(internet2) or (connections or 1) != 1
            if site is None:
                self._left_out.append(f"host {name}: belongs to no site")
                continue
            off = not (admin_active is None or admin_active) or not (user_active is None or user_active)
            own = int(asn) if asn else None
            serves = own is not None and (clients is None or bool(clients))
            placed = latitude is not None and longitude is not None
            hosts.append(
                HarvestedHost(
                    key=str(number),
                    number=number,
                    site=str(site),
                    name=_text(name) or f"host-{number}",
                    country=_country(country),
                    latitude=float(latitude) if placed else None,
                    longitude=float(longitude) if placed else None,
                    bandwidth_mbit=None if bandwidth is None else int(bandwidth),
                    private=bool(private),
                    own_asn=own,
                    serves_own_asn=serves,
                    enabled=not off,
                    carried=tuple(carried.get(number, ())),
                    networks=tuple(dict.fromkeys(networks[number])),
                    asns=tuple(
                        {**{each: False for each in peers[number]}, **({own: True} if own and serves else {})}.items()
                    ),
                    countries=tuple(dict.fromkeys(each for each in countries[number] if len(each) == 2)),
                    acl=tuple(dict.fromkeys(acl[number])),
                    note=_text(comment),
                )
            )
        if limited:
            self._left_out.append(f"{counted(limited, 'hosts')}: Internet2 and the connections that a client may open")
        return hosts

    def _network(self, host: int, text: str) -> str:
        """In the one spelling that networks have here; bits beyond the prefix go, and that is told."""
        try:
            return rules.read_network(text)
        except ValueError as error:
            try:
                meant = str(ip_network(text, strict=False))
            except ValueError:
                self._left_out.append(f"host {host}: network {text!r:.100}: {error}; kept, and never published")
                return text
            self._left_out.append(f"host {host}: network {text}: taken as {meant}")
            return meant

    async def _carried(self, categories: Mapping[int, _Category]) -> dict[int, list[HarvestedCarried]]:
        rows = await self._database.rows("host_category", "id", "host_id", "category_id", "always_up2date")
        parts = {row[0]: row for row in rows if row[2] in categories}
        current: dict[int, Bits] = {
            number: np.zeros(len(categories[row[2]].contents.names), dtype=np.bool_) for number, row in parts.items()
        }
        stream = self._database.stream("host_category_dir", "host_category_id", "directory_id", "path", "up2date")
        async for number, directory, path, up2date in stream:
            if up2date and number in parts:
                category = categories[parts[number][2]]
                position = category.positions.get(directory)
                if position is None and directory is None:
                    position = _find(category.contents, str(path or ""))
                if position is not None:
                    current[number][position] = True
        urls: dict[int, list[HarvestedUrl]] = defaultdict(list)
        for key, number, url, private in await self._database.rows(
            "host_category_url", "id", "host_category_id", "url", "private"
        ):
            audience = "mirrors" if private else "public"
            urls[number].append(HarvestedUrl(key=str(key), number=key, url=_text(url).rstrip("/"), audience=audience))
        found: dict[int, list[HarvestedCarried]] = defaultdict(list)
        for number, host, category_id, always in parts.values():
            found[host].append(
                HarvestedCarried(
                    key=str(number),
                    category=str(category_id),
                    urls=tuple(urls[number]),
                    current=current[number],
                    always_current=bool(always),
                )
            )
        return found

    # Repositories

    async def _repositories(
        self, directories: Mapping[int, str]
    ) -> tuple[list[HarvestedRepository], list[HarvestedRelease]]:
        arches = {number: str(name) for number, name in await self._database.rows("arch", "id", "name")}
        products = {number: str(name) for number, name in await self._database.rows("product", "id", "name")}
        versions = {
            number: (products.get(product, ""), _text(name))
            for number, name, product in await self._database.rows("version", "id", "name", "product_id")
        }
        columns = ("name", "prefix", "version_id", "arch_id", "directory_id", "disabled")
        found = []
        released: dict[tuple[str, str], set[str]] = {pair: set() for pair in versions.values() if all(pair)}
        for name, prefix, version, arch, directory, disabled in await self._database.rows("repository", *columns):
            if not prefix or arch not in arches or directory not in directories:
                self._left_out.append(f"repository {name}: without prefix, architecture or readable directory")
                continue
            if versions.get(version) in released:
                released[versions[version]].add(arches[arch])
            found.append(
                HarvestedRepository(
                    prefix=_text(prefix), arch=arches[arch], directory=directories[directory], enabled=not disabled
                )
            )
        releases = [
            HarvestedRelease(product=product, version=version, arches=tuple(sorted(named)))
            for (product, version), named in released.items()
        ]
        return found, releases

    async def _redirects(self, kind: str, table: str, source: str, target: str) -> list[tuple[str, str, str]]:
        rows = await self._database.rows(table, source, target)
        return sorted({(kind, _text(each), _text(other)) for each, other in rows if each and other})


def _find(contents: CategoryContents, path: str) -> int | None:
    name = f"{contents.top}/{path.strip('/')}".strip("/")
    at = bisect_left(contents.names, name)
    return at if at < len(contents.names) and contents.names[at] == name else None


def _text(value: object) -> str:
    """One line of text; NUL, which PostgreSQL cannot keep, goes."""
    return " ".join(str(value if value is not None else "").replace("\0", "").split())


def _country(value: object) -> str | None:
    code = _text(value).upper()
    return code if len(code) == 2 and code.isalpha() else None


def _epoch(value: Any) -> int:
    """Epoch seconds of a time in UTC, as either database gives it; 0 when it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return 0
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    return 0
