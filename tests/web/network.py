"""A made-up network with a past, for pages: some towns, some trouble, some weeks of visits and counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from redirector.health.keeping import pack_delays
from redirector.store import evidence, statistics
from redirector.store.evidence import DAY_S, HistoryRow, PushRow, VisitRow
from redirector.store.statistics import PropagationRow
from tests.registry.rig import Registry

TOWNS = (
    ("DE", "Berlin"), ("DE", "Frankfurt am Main"), ("FR", "Paris"), ("US", "Chicago"), ("US", "Seattle"),
    ("BR", "São Paulo"), ("JP", "Tokyo"), ("AU", "Sydney"), ("ZA", "Johannesburg"), ("IN", "Mumbai"),
    ("GB", "Manchester"), ("SE", "Stockholm"), ("CA", "Toronto"), ("KE", "Nairobi"), ("SG", "Singapore"),
)  # fmt: skip


async def make_network(registry: Registry, count: int = 12, days: int = 30, visits: int = 4) -> list[str]:
    """*count* mirrors with *days* of history, *visits* a day; their names."""
    chance = Random(7)
    await registry.category()
    names = []
    for number in range(count):
        country, city = TOWNS[number % len(TOWNS)]
        name = f"mirror{number:03}.{city.split()[0].lower().replace('ã', 'a')}.example.org"
        site = await registry.site(name=f"University <of> {city} {number}", url=f"https://uni{number}.example.org/")
        fields: dict[str, object] = {"tier": 1, "pulls_from": "master"} if number % 6 == 0 else {}
        if number % 9 == 5:
            fields["maintenance"] = {"from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z"}
        if number % 11 == 7:
            fields["enabled"] = False
        bandwidth = chance.choice((1000, 2000, 10_000, 40_000))
        host = await registry.host(site, name=name, country=country, city=city, bandwidth_mbit=bandwidth, **fields)
        scheme = ("https", "http", "rsync") if number % 4 else ("https",)
        await registry.carry(host, *(f"{each}://{name}/linux/" for each in scheme), always=number % 10 != 3)
        names.append(name)
    await _add_past(registry, names, days, visits, chance)
    return names


async def _add_past(registry: Registry, names: list[str], days: int, visits: int, chance: Random) -> None:
    now, history, rows = registry.now, [], []
    for name in names:
        history.append(HistoryRow(name, now - days * DAY_S, "ok", "", 0))
        for _ in range(chance.randrange(3)):
            at = now - chance.randrange(days * DAY_S)
            state = chance.choice(("stale", "unreachable"))
            history.append(HistoryRow(name, at, state, "https://… answered 503 <three> times", 0))
            history.append(HistoryRow(name, at + chance.randrange(3600, 40_000), "ok", "", 0))
        for step in range(days * visits):
            at = now - step * (DAY_S // visits)
            event = "good" if chance.random() > 0.03 else "failed"
            lag = chance.choice((0, 0, 0, 1800, 7200))
            rows.append(
                VisitRow(name, at, "main", event, True, "current", "", "ok", lag, lag + 600, chance.random(), 5)
            )
    runs = [now - step * 21_600 for step in range(40)]
    propagation = [
        PropagationRow(run, repository, chance.randrange(5, 12), chance.randrange(3), chance.randrange(2), 1, 1)
        for run in runs
        for repository in ("pub-linux-1", "updates & more")
    ]
    pushes = [
        PushRow(
            "Example Linux", now - step * DAY_S, 3, pack_delays({name: 900 + 400 * n for n, name in enumerate(names)})
        )
        for step in range(5)
    ]
    today = datetime.fromtimestamp(now, UTC).date()
    counted = {
        (str(today - timedelta(days=back)), country, repository, arch): chance.randrange(100, 90_000)
        for back in range(20)
        for country in ("DE", "US", "JP", "--")
        for repository in ("pub-linux-1", "updates-1")
        for arch in ("x86_64", "aarch64")
    }
    week = (now - 345_600) // 604_800 - 1
    systems = {
        (week, "Example Linux", version, "server", "x86_64", age, "pub-linux-1", "x86_64"): chance.randrange(9_000)
        for version in ("1", "2")
        for age in (1, 2, 3, 4)
    }
    async with registry.store.write() as connection:
        await evidence.add_history(connection, history)
        await evidence.add_visits(connection, rows)
        await evidence.put_pushes(connection, pushes)
        await statistics.add_propagation(connection, propagation)
        await statistics.add_access(connection, list(counted.items()))
        await statistics.add_countme(connection, "main", now, week + 1, list(systems.items()))
        await statistics.add_traffic(
            connection, names[0], {str(today - timedelta(days=back)): 10**12 + back * 10**10 for back in range(20)}
        )
