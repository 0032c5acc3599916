"""What all vantage points together say of each host: what is published, and recalled where nobody has a source."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.health.hysteresis import Overall, Standing, State, agree, combine
from redirector.health.keeping import (
    unpack_held,
    unpack_memory,
)
from redirector.health.memory import Held, Memory
from redirector.health.report import HostHealth, entry_of
from redirector.health.world import World
from redirector.store import evidence as kept


async def judge_all(
    connection: AsyncConnection, world: World, now: float
) -> tuple[dict[str, HostHealth], dict[str, Overall]]:
    """What all vantage points together say of each host of the world that was ever visited."""
    rules = world.rules
    rows: dict[str, list[kept.MemoryRow]] = {}
    for row in await kept.find_hosts(connection):
        rows.setdefault(row.host, []).append(row)
    contents: dict[tuple[str, str], dict[str, Held]] = {}
    for content in await kept.find_contents(connection):
        contents.setdefault((content.host, content.vantage), {})[content.category] = unpack_held(content.memory)
    states = await kept.find_states(connection)
    entries: dict[str, HostHealth] = {}
    overalls: dict[str, Overall] = {}
    for subject in world.subjects:
        if subject.unvisited or subject.key not in rows:
            continue
        words: list[tuple[float, Overall]] = []
        views: list[tuple[Memory, dict[str, Held]]] = []
        for row in rows[subject.key]:
            held = contents.get((subject.key, row.vantage), {})
            standings: list[tuple[str, Standing]] = [
                (each.category, held[each.category].standing) for each in subject.categories if each.category in held
            ]
            if not standings:
                continue
            words.append((row.visited, combine(standings)))
            if now - row.visited <= max(rules.vantage_s, rules.interval_s * 2):
                views.append((unpack_memory(row.memory), held))
        overall = agree(words, now, rules) or as_before(words, states.get(subject.key))
        if overall is None:
            continue
        overalls[subject.key] = overall
        if not views:
            newest = max(rows[subject.key], key=lambda row: row.visited)
            views = [(unpack_memory(newest.memory), contents.get((subject.key, newest.vantage), {}))]
        if not subject.private:
            entries[subject.key] = entry_of(subject, overall, views, world.masters, rules, now, tree=world.tree)
    return entries, overalls


def as_before(words: list[tuple[float, Overall]], before: kept.HistoryRow | None) -> Overall | None:
    """Nobody looked lately: it stays as it was published, else as the last one saw it."""
    if before is not None:
        return Overall(State(before.state), before.at, before.reason)
    return max(words, key=lambda word: word[0])[1] if words else None
