"""What the store alone remembers, for those who have no source at hand: who was visited, and what of."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.health.expected import Expected, Master
from redirector.health.keeping import unpack_held, unpack_memory, unpack_names
from redirector.health.published import judge_all
from redirector.health.report import HostHealth, Look, StatusHost
from redirector.health.rules import FUTURE_S, Rules
from redirector.health.subjects import Carried, Subject
from redirector.health.world import World
from redirector.store import evidence as kept


async def recall_world(connection: AsyncConnection, rules: Rules) -> World:
    """The hosts and directories of the last rounds."""
    memories = {row.host: (row, unpack_memory(row.memory)) for row in await kept.find_hosts(connection)}
    categories: dict[str, dict[str, None]] = {}
    digests: dict[str, tuple[int, str]] = {}
    for row in await kept.find_contents(connection):
        categories.setdefault(row.host, {})[row.category] = None
        visited = memories[row.host][0].visited if row.host in memories else 0
        digest = unpack_held(row.memory).directories
        digests[row.category] = max(digests.get(row.category, (0, "")), (visited, digest))
    tree = any(memory.tree for _, memory in memories.values())
    masters = {}
    for category, (_, digest) in digests.items():
        raw = await kept.find_names(connection, digest)
        names = unpack_names(raw) if raw else ()
        prefix = "" if tree or not category else f"{category}/"
        masters[category] = Master(category, tuple(Expected(name) for name in names), prefix)
    subjects = tuple(
        Subject(
            key=key,
            name=memory.name or key,
            categories=tuple(Carried(category, tuple(memory.urls)) for category in categories.get(key, ())),
            private=memory.private,
            country=memory.country,
            tree=memory.tree,
        )
        for key, (_, memory) in sorted(memories.items())
    )
    return World(subjects, masters, {}, rules, tree)


async def recall_entries(connection: AsyncConnection, rules: Rules, now: float) -> dict[str, HostHealth]:
    """What is published of every host."""
    entries, _ = await judge_all(connection, await recall_world(connection, rules), now)
    return entries


async def recall_listed(connection: AsyncConnection, rules: Rules, now: float, since: int) -> list[StatusHost]:
    """The same with URLs and the visits since then, for statistics."""
    entries = await recall_entries(connection, rules, now)
    looks: dict[str, list[Look]] = {}
    for visit in await kept.find_visits(connection, since, until=int(now + FUTURE_S)):
        if visit.counted and visit.event != "quiet":
            good = visit.event == "good"
            looks.setdefault(visit.host, []).append(Look(visit.at, good, visit.delay_s, visit.duration_s))
    listed: list[StatusHost] = []
    for row in await kept.find_hosts(connection):
        memory, entry = unpack_memory(row.memory), entries.get(row.host)
        if entry is not None and not (listed and listed[-1].entry.key == row.host):
            listed.append(StatusHost(tuple(memory.urls), memory.country, entry, tuple(looks.get(row.host, ()))))
    return listed
