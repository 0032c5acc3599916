"""A made-up network: mirrors in real cities, a master that is pushed to, and a month in which the crawler visited them.

python -m benchmarks.made_up FILE [--mirrors N] [--days N]

FILE is a database for `redirector registry serve`. Sites, hosts and decisions are made by the registry's own rules, and
states, history and delays by the crawler itself, whose mirrors answer without sockets and by a clock of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from math import sin
from random import Random

from benchmarks.simulated import DAY, HOUR, SimulatedMaster, SimulatedMirror, sum_of
from redirector.health.evidence import Evidence, Family, Outcome, Probe
from redirector.health.masters import VERSIONS_KEPT
from redirector.health.round import Crawler, Wanted
from redirector.health.rules import Rules
from redirector.locate.places import fold
from redirector.model import FileDetail
from redirector.registry.edit import accounts, carried, catalogue, hosts, networks, sites
from redirector.registry.edit.change import Change, House
from redirector.registry.edit.scanned import adopt_scans
from redirector.registry.permits import OPERATOR
from redirector.registry.world import read_world
from redirector.stats.spread import keep_propagation
from redirector.store import contents as scans
from redirector.store import evidence, statistics
from redirector.store.directories import (
    Contents,
    MasterDirectory,
    MasterFile,
    MasterRepository,
    Packed,
    Push,
    Version,
    pack_files,
    pack_versions,
)
from redirector.store.evidence import RoundRow
from redirector.store.opening import Store, open_store
from redirector.store.registry import queries
from redirector.store.registry.rows import HostRow

LINUX, EXTRAS = "Example Linux", "Example Extras"
TOPS = {LINUX: "pub/linux", EXTRAS: "pub/extras"}
NAMES = ("BaseOS", "AppStream", "Updates")
ARCHES = ("x86_64", "aarch64", "ppc64le")

TOWNS = (
    "DE Berlin|DE Frankfurt am Main|DE Nürnberg|DE Leipzig|DE Aachen|DE Karlsruhe|FR Paris|FR Lyon|FR Strasbourg|"
    "GB London|GB Manchester|GB Edinburgh|NL Amsterdam|NL Utrecht|BE Brussels|CH Zürich|CH Genève|AT Vienna|AT Graz|"
    "SE Stockholm|SE Umeå|NO Oslo|NO Trondheim|DK Copenhagen|FI Helsinki|FI Espoo|PL Warsaw|PL Poznań|CZ Prague|"
    "CZ Brno|SK Bratislava|HU Budapest|RO Bucharest|BG Sofia|GR Athens|IT Milano|IT Bologna|ES Madrid|ES Barcelona|"
    "PT Lisbon|IE Dublin|IS Reykjavík|EE Tallinn|LV Riga|LT Vilnius|UA Kyiv|TR Istanbul|GE Tbilisi|KZ Almaty|"
    "US New York City|US Chicago|US Dallas|US Seattle|US Los Angeles|US Atlanta|US Denver|US Ashburn|US Salt Lake City|"
    "CA Toronto|CA Montréal|CA Vancouver|MX Mexico City|CR San José|CO Bogotá|EC Quito|PE Lima|CL Santiago|"
    "AR Buenos Aires|BR São Paulo|BR Curitiba|BR Recife|UY Montevideo|ZA Johannesburg|ZA Cape Town|KE Nairobi|NG Lagos|"
    "GH Accra|MA Casablanca|EG Cairo|IL Tel Aviv|SA Riyadh|AE Dubai|IN Mumbai|IN Bengaluru|IN Chennai|BD Dhaka|"
    "LK Colombo|NP Kathmandu|TH Bangkok|VN Hanoi|MY Kuala Lumpur|SG Singapore|ID Jakarta|ID Surabaya|PH Manila|"
    "TW Taipei|HK Hong Kong|KR Seoul|KR Busan|JP Tokyo|JP Osaka|JP Sapporo|CN Beijing|CN Shanghai|CN Guangzhou|"
    "MN Ulaanbaatar|AU Sydney|AU Melbourne|AU Perth|NZ Auckland|NZ Wellington|NC Nouméa"
).split("|")

KINDS = (
    ("University of {}", "mirror.uni-{}.example.org"),
    ("{} Internet Exchange", "mirror.{}-ix.example.net"),
    ("{} Technical University", "ftp.{}.example.edu"),
    ("{} Hosting", "mirrors.{}.example.com"),
    ("{} Linux Users", "linux.{}.example.org"),
)

FAULTS = (
    "stale",
    "down",
    "stale",
    "maintenance",
    "down",
    "off",
    "tls",
    "no-url",
    "cloud",
    "stale",
    "slow",
    "unchecked",
)
"""What is wrong with every eighth mirror, by turns."""


@dataclass(eq=False)
class Mirror(SimulatedMirror):
    """One of the network, with an answer time of its own."""

    ipv6: bool = True
    outcome: Outcome = Outcome.NO_CONNECTION
    delay_s: float = 0.1

    def _file(self, probe: Probe, path: str, now: float, synced: float) -> Evidence:
        found = re.search(r"-(\d{10})", path)
        folder = re.match(r"(.*?/os)/", path) or re.match(r"(.*)/", path)
        number = self.numbers.get(folder[1]) if folder else None
        has = found is not None and number is not None and int(found[1]) <= self.master.pushed(number, synced)
        seen = self._evidence(probe, path, now, Outcome.OK if has else Outcome.MISSING)
        return replace(seen, size_bytes=int(found[1]) % 90_000_000 if has and found else None)

    def _evidence(self, probe: Probe, path: str, now: float, outcome: Outcome) -> Evidence:
        if probe.family is Family.IPV6 and not self.ipv6:
            outcome = Outcome.NO_NAME
        elif outcome is Outcome.NO_CONNECTION:
            outcome = self.outcome
        seen = SimulatedMirror._evidence(self, probe, path, now, outcome)
        swing = 1 + 0.4 * sin(now / DAY * 6.3) + 0.2 * sin(now / 7 / DAY * 6.3)
        return replace(seen, duration_s=self.delay_s * swing)


@dataclass(slots=True)
class World:
    """Everybody who answers, and the clock."""

    now: float
    mirrors: dict[str, dict[str, Mirror]] = field(default_factory=dict)

    async def probe(self, probe: Probe) -> tuple[Evidence, ...]:
        return self.mirrors[probe.host][probe.category].answer(probe, self.now)

    async def leave(self, evidence: Sequence[Evidence]) -> None:
        """Nothing is held open."""


# -- The masters -------------------------------------------------------------------------------------------------------


def make_masters(begin: int, days: int, chance: Random) -> dict[str, SimulatedMaster]:
    """Two masters with a push or two a day; updates change oftener than what was released."""
    names = {
        LINUX: [
            f"{v}/{r}/{a}/os" for v in ("8", "9", "10") for r in ("BaseOS", "AppStream", "Updates") for a in ARCHES
        ],
        EXTRAS: [f"{v}/Everything/{a}/os" for v in ("9", "10") for a in ARCHES],
    }
    images = [f"{v}/isos/{a}" for v in ("9", "10") for a in ARCHES]
    found = {}
    for category, own in names.items():
        pushes = {name: [begin - chance.randrange(20, 200) * DAY] for name in own}
        for day in range(-6, days):
            for part in range(1 + (day % 3 == 0)):
                at = begin + day * DAY + 3 * HOUR + part * 9 * HOUR + chance.randrange(HOUR)
                for name in own:
                    if "Updates" in name or "Everything" in name or day % 4 == 3:
                        pushes[name].append(at)
        more = images if category == LINUX else []
        listed = [*pushes.values(), *([begin - 30 * DAY] for _ in more)]
        found[category] = SimulatedMaster([*own, *more], len(own), listed, marker="")
    return found


def scan(category: str, master: SimulatedMaster, now: int) -> Packed:
    """What a scan of *master* finds at the time *now*."""
    times = sorted({t for each in master.pushes for t in each if t <= now})
    numbers = {at: number for number, at in enumerate(times, 1)}
    directories: dict[str, MasterDirectory] = {}
    for place, name in enumerate(master.names):
        told = [t for t in master.pushes[place] if t <= now][::-1]
        newest, push = told[0], numbers[told[0]]
        if place < master.repositories:
            versions = tuple(
                Version(FileDetail(t, 3000, sha256=sum_of(name, t)), t, numbers[t], t) for t in told[:VERSIONS_KEPT]
            )
            files = {
                f"{name}/repodata": [f"{newest % 997}-primary.xml-{newest}.gz"],
                f"{name}/Packages": [f"kernel-core-6.{place}-{newest}.rpm"],
            }
            put(directories, f"{name}/repodata", newest, push, files[f"{name}/repodata"], 9, 40_000_000, versions)
            count = 900 + 137 * (place * 31 % 40)
            put(directories, f"{name}/Packages", newest, push, files[f"{name}/Packages"], count, count * 2_400_000)
        else:
            put(directories, name, newest, push, [f"Example-dvd-{newest}.iso"], 4, 13_400_000_000)
    for path in list(directories):
        while path:
            path = path.rpartition("/")[0]
            if path not in directories:
                put(directories, path, times[0], 1, [], 0, 0)
    repositories = tuple(
        MasterRepository(
            f"{name.split('/')[1].lower()}-{name.split('/')[0]}", name.split("/")[2], category, name.encode()
        )
        for name in master.names[: master.repositories]
    )
    pushes = tuple(Push(numbers[at], at, 6) for at in times[::-1])
    listed = tuple(directories[path] for path in sorted(directories))
    return Packed.of(Contents(category, TOPS[category], 1, len(times), now, now, b"", listed, pushes, repositories))


def put(
    found: dict[str, MasterDirectory],
    path: str,
    changed: int,
    push: int,
    names: Sequence[str],
    count: int,
    size_bytes: int,
    versions: tuple[Version, ...] = (),
) -> None:
    """One directory of a master."""
    files = [MasterFile(name.encode(), changed % 90_000_000, changed, changed) for name in names]
    packed = pack_versions({b"repomd.xml": versions} if versions else {})
    listed = pack_files(files)
    found[path] = MasterDirectory(path.encode(), changed, push, False, count, changed, listed, packed, size_bytes)


# -- The registry ------------------------------------------------------------------------------------------------------


async def make_registry(store: Store, house: House, count: int, begin: int, now: int, chance: Random) -> list[str]:
    """Categories, sites and hosts; the names of the hosts, in the order of `TOWNS`."""
    async with store.write() as connection:
        change = Change(connection, OPERATOR, begin - 40 * DAY, house)
        await adopt_scans(change)
        await catalogue.create_release(change, {"product": LINUX, "version": "10", "arches": list(ARCHES)})
        when = datetime.fromtimestamp(now + 9 * DAY, UTC).replace(hour=14, minute=0, second=0)
        soon = {"product": LINUX, "version": "11", "arches": ["x86_64"], "not_before": f"{when:%Y-%m-%dT%H:%M:%SZ}"}
        await catalogue.create_release(change, soon)
        for login in ("chief", "ana", "bo"):
            body = {"login": login, "mail": f"{login}@example.org", "distribution_admin": login == "chief"}
            await accounts.save_account(change, body)
        names: list[str] = []
        for number in range(count):
            if number % 40 == 39:
                change = replace(change, now=change.now + 10 * DAY)
            names.append(await _add_mirror(change, number, names, now, chance))
        await _add_waiting(replace(change, now=now - 5 * HOUR), now)
    return names


def _town(number: int) -> tuple[str, str]:
    country, _, city = TOWNS[number % len(TOWNS)].partition(" ")
    return country, city


def fault_of(number: int) -> str:
    """What is wrong with the mirror of that number; "": nothing."""
    return FAULTS[number // 8 % len(FAULTS)] if number % 8 == 5 else ""


async def _add_mirror(change: Change, number: int, names: Sequence[str], now: int, chance: Random) -> str:
    country, city = _town(number)
    site_name, pattern = KINDS[(number * 7 + number // len(TOWNS)) % len(KINDS)]
    slug = re.sub(r"[^a-z]+", "-", fold(city)).strip("-")
    name = pattern.format(slug)
    if name in names:
        name = f"mirror{number}.{name.partition('.')[2]}"
    title = site_name.format(city) + (f" {number // len(TOWNS) + 1}" if number >= len(TOWNS) else "")
    body = {"name": title, "url": f"https://{name.partition('.')[2]}/", "contacts": [f"noc@{name}"]}
    site = await sites.create_site(change, body)
    await sites.decide_site(change, site.id, None, {"action": "approve", "text": "Welcome."})
    fault, main = fault_of(number), number % 17 == 0
    fields: dict[str, object] = {
        "name": name, "country": country, "city": city, "update_frequency": chance.choice(("1h", "3h", "6h")),
        "bandwidth_mbit": chance.choice((100, 1000, 1000, 2000, 10_000, 10_000, 20_000, 40_000, 100_000)),
        "tier": 1 if main else chance.choice((2, 2, None)), "new_releases": number % 3 == 0,
    }  # fmt: skip
    fields["pulls_from"] = "master" if main else names[number // 17 * 17] if fields["tier"] == 2 else None
    if fault == "cloud":
        fields |= {"cloud_type": "aws", "cloud_regions": ["eu-central-1"]}
    host = await hosts.create_host(change, site.id, fields)
    schemes = ["https", "http"][: 1 + (number % 3 > 0)] + ["rsync"] * (number % 2)
    schemes = ["rsync"] if fault == "no-url" else schemes
    for category in (LINUX, EXTRAS)[: 1 + (number % 3 != 2)]:
        parts = {"category": category, "exclusions": ["*/ppc64le"] if number % 9 == 4 else []}
        await carried.add_carried(change, host.id, parts)
        for scheme in schemes:
            path = category.split()[1].lower()
            await carried.add_url(change, host.id, {"category": category, "url": f"{scheme}://{name}/{path}/"})
    if number % 5 == 0:
        network = {"network": str(ip_network((0xC0000000 + (number + 1) * 65536 * 7, 24))), "name": "campus"}
        await networks.add_network(change, host.id, network)
    if fault in ("maintenance", "off", "unchecked"):
        late = replace(change, now=now - 30 * HOUR)
        window = {"from": "2020-01-01T00:00:00Z", "to": f"{datetime.fromtimestamp(now + DAY, UTC):%Y-%m-%dT%H:%M:%SZ}"}
        window["from"] = f"{datetime.fromtimestamp(now - 7 * HOUR, UTC):%Y-%m-%dT%H:%M:%SZ}"
        if fault == "maintenance":
            await hosts.edit_host(late, host.id, None, {"maintenance": window})
        elif fault == "off":
            await hosts.edit_host(late, host.id, None, {"enabled": False})
    return name


async def _add_waiting(change: Change, now: int) -> None:
    """Who asks for approval, and what waits by itself."""
    for login, name, place, mbit, text in (
        (
            "ana",
            "Universidad de Valparaíso",
            ("CL", "Valparaíso"),
            10_000,
            "We have mirrored you since 2023, and like it.",
        ),
        ("bo", "Bo's Basement", ("DE", "Kassel"), 50, ""),
    ):
        slug = re.sub(r"[^a-z]+", "", fold(name.split()[-1]))
        site = await sites.create_site(
            change, {"name": name, "url": f"https://{slug}.example.org/", "contacts": [f"{login}@example.org"]}
        )
        await sites.put_admin(change, site.id, {"account": login})
        fields = {"name": f"mirror.{slug}.example.org", "country": place[0], "city": place[1], "bandwidth_mbit": mbit}
        host = await hosts.create_host(change, site.id, {**fields, "update_frequency": "3h"})
        await carried.add_carried(change, host.id, {"category": LINUX})
        for scheme in ("https", "rsync"):
            url = {"category": LINUX, "url": f"{scheme}://{host.name}/linux/"}
            await carried.add_url(change, host.id, url)
        await sites.decide_site(change, site.id, None, {"action": "ask", "text": text})


# -- What happened -----------------------------------------------------------------------------------------------------


def make_mirrors(
    names: Sequence[str], masters: dict[str, SimulatedMaster], begin: int, now: int, chance: Random
) -> dict[str, dict[str, Mirror]]:
    """How each behaves: most synchronise every few hours, some have had their days."""
    found = {}
    for number, name in enumerate(names):
        fault = fault_of(number)
        every = chance.choice((HOUR, 3 * HOUR, 3 * HOUR, 6 * HOUR))
        stuck, down = (0, 0), []
        for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 4))):
            at = begin + chance.randrange(max(DAY, now - begin - 2 * DAY))
            down.append((at, at + chance.randrange(2 * HOUR, 18 * HOUR)))
        if fault == "stale":
            stuck = (now - chance.randrange(3, 9) * DAY, now + DAY)
        elif chance.random() < 0.15:
            at = begin + chance.randrange(max(DAY, now - begin - 4 * DAY))
            stuck = (at, at + chance.randrange(2, 4) * DAY)
        elif fault in ("down", "tls"):
            down.append((now - chance.randrange(14, 60) * HOUR, now + DAY))
        outcome = (
            Outcome.TLS_EXPIRED
            if fault == "tls"
            else chance.choice((Outcome.NO_CONNECTION, Outcome.TIMEOUT, Outcome.SERVER_ERROR))
        )
        quick, offset = chance.uniform(0.02, 0.6) * (4 if fault == "slow" else 1), chance.randrange(every)
        found[name] = {
            category: Mirror(
                master,
                every_s=every,
                offset_s=offset,
                stuck=stuck,
                down=down,
                ipv6=number % 4 != 1,
                outcome=outcome,
                delay_s=quick,
            )
            for category, master in masters.items()
        }
    return found


async def live(store: Store, masters: dict[str, SimulatedMaster], world: World, begin: int, end: int) -> None:
    """Scans and rounds from *begin* to *end*: every six hours, in the last two days every two, at last every half."""
    loop = asyncio.get_running_loop()

    async def read(now: float):  # type: ignore[no-untyped-def] # the crawler's own type
        async with store.read() as connection:
            return await read_world(connection, Rules(), (), int(now))

    crawler = Crawler(
        store, world, lambda known, now: asyncio.run_coroutine_threadsafe(read(now), loop).result(), "main", 1.0,
        lambda: world.now,
    )  # fmt: skip
    known = dict.fromkeys(masters, 0)
    at = begin
    while at <= end:
        world.now = at
        for category, master in masters.items():
            newest = max(t for each in master.pushes for t in each if t <= at)
            if newest != known[category]:
                known[category] = newest
                async with store.write() as connection:
                    await scans.keep_contents(connection, scan(category, master, at))
        made = await crawler.round(Wanted())
        assert made is not None and not made.void, made
        if made.world is not None:
            await keep_propagation(store, made.world.masters, "main", at, always=False)
        at += 6 * HOUR if at < end - 2 * DAY else 2 * HOUR if at < end - 8 * HOUR else HOUR // 2


async def count(store: Store, names: Sequence[str], end: int, days: int, chance: Random) -> None:
    """Requests, systems and traffic as logs of a month would have them."""
    today = datetime.fromtimestamp(end, UTC).date()
    shares = dict(
        zip("US DE GB FR JP IN BR CN NL CA AU --".split(), (31, 13, 9, 8, 7, 7, 6, 6, 4, 4, 3, 2), strict=True)
    )
    parts = {"updates-10": 30, "baseos-10": 22, "appstream-10": 20, "everything-10": 17, "updates-9": 9, "baseos-9": 6}
    counted = {}
    for back in range(1, days + 1):
        day = today - timedelta(days=back)
        weekend = 0.72 if day.weekday() > 4 else 1.0
        for country, share in shares.items():
            for repository, part in parts.items():
                for arch, size in (("x86_64", 88), ("aarch64", 10), ("ppc64le", 2)):
                    number = share * part * size * weekend * chance.uniform(0.9, 1.1) * 6
                    counted[str(day), country, repository, arch] = int(number)
    newest = (end - 345_600) // 604_800 - 1
    systems = {
        (week, LINUX, version, variant, arch, age, f"baseos-{version}", arch): int(
            size
            * (1.4 if variant == "server" else 1)
            * (9 if arch == "x86_64" else 1)
            * (1, 2, 3, 5)[age - 1]
            * (1 + week % 5 / 40)
        )
        for week in (newest, newest - 1)
        for version, size in (("10", 2100), ("9", 3900), ("8", 1400))
        for variant in ("server", "workstation")
        for arch in ("x86_64", "aarch64")
        for age in (1, 2, 3, 4)
    }
    async with store.write() as connection:
        await statistics.add_access(connection, list(counted.items()))
        await statistics.add_countme(connection, "main", end, newest + 1, list(systems.items()))
        for number, name in enumerate(names):
            if number % 4 == 0:
                base = chance.uniform(0.2, 9) * 1e12
                traffic = {
                    str(today - timedelta(days=back)): int(base * chance.uniform(0.7, 1.2) * (1 - 0.2 * (back % 7 > 4)))
                    for back in range(1, days + 1)
                }
                await statistics.add_traffic(connection, name, traffic)
        void = "most of the mirrors failed at once: 96 of 118"
        await evidence.add_round(connection, RoundRow("main", end - 9 * DAY - 1200, 41.0, 118, 96, 300, void))


async def make_network(
    database: str, mirrors: int, days: int, house: House, end: int, seed: int = 11, visited_s: int | None = None
) -> list[str]:
    """The whole network in a new *database*; names of its mirrors. cost: half a minute for 120 mirrors and 30 days

    visited_s  for how long the crawler looks; None: all the time
    """
    chance = Random(seed)
    end = end // HOUR * HOUR
    begin = end - days * DAY
    masters = make_masters(begin, days, chance)
    async with await open_store(database) as store:
        async with store.write() as connection:
            for category, master in masters.items():
                await scans.keep_contents(connection, scan(category, master, begin - 1))
        names = await make_registry(store, house, mirrors, begin, end, chance)
        world = World(begin, make_mirrors(names, masters, begin, end, chance))
        await live(store, masters, world, begin if visited_s is None else end - visited_s, end)
        await count(store, names, end, days, chance)
        async with store.write() as connection:
            for number, name in enumerate(names):
                if fault_of(number) == "unchecked":
                    row = await queries.find(connection, HostRow, name=name)
                    assert row is not None
                    await queries.set_columns(connection, HostRow, {"id": row.id}, unchecked_since=end + 1)
    return names


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.made_up", description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--mirrors", type=int, default=120)
    parser.add_argument("--days", type=int, default=30)
    options = parser.parse_args()
    begun = time.perf_counter()
    names = asyncio.run(
        make_network(f"sqlite:///{options.file}", options.mirrors, options.days, House(), int(time.time()))
    )
    print(f"{options.file}: {len(names)} mirrors, {options.days} days, {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
