"""What all vantage points together say of each host: what is published, and recalled where nobody has a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.health.hysteresis import Overall, Standing, State, agree, combine
from redirector.health.keeping import (
    unpack_held,
    unpack_memory,
)
from redirector.health.memory import Held, Memory
from redirector.health.report import HostHealth, entry_of
from redirector.health.rules import FUTURE_S
from redirector.health.subjects import Subject
from redirector.health.world import World
from redirector.store import evidence as kept

Verdict = tuple[Overall, HostHealth | None]
"""What is said of a host, and what is published of it: None of a private one."""

Judged = dict[Subject, Verdict | None]
"""What was worked out of the same evidence: None where there is none."""


async def judge_all(
    connection: AsyncConnection, world: World, now: float, judged: Judged | None = None
) -> tuple[dict[str, HostHealth], dict[str, Overall]]:
    """What all vantage points together say of each host of the world that was ever visited.

    judged  of subjects that are in it, nothing is worked out again; the others are added
    """
    judged = {} if judged is None else judged
    wanted = {each.key for each in world.subjects if not each.unvisited and each not in judged}
    rows: dict[str, list[kept.MemoryRow]] = {}
    contents: dict[tuple[str, str], dict[str, Held]] = {}
    states: dict[str, kept.HistoryRow] = {}
    if wanted:
        for row in await kept.find_hosts(connection):
            rows.setdefault(row.host, []).append(row)
        for content in await kept.find_contents(connection):
            if content.host in wanted:
                held = contents.setdefault((content.host, content.vantage), {})
                held[content.category] = unpack_held(content.memory)
        states = await kept.find_states(connection, int(now + FUTURE_S))
    entries: dict[str, HostHealth] = {}
    overalls: dict[str, Overall] = {}
    for subject in world.subjects:
        if subject.unvisited:
            continue
        if subject not in judged:
            judged[subject] = _judge(world, subject, rows.get(subject.key, ()), contents, states.get(subject.key), now)
        verdict = judged[subject]
        if verdict is not None:
            overalls[subject.key] = verdict[0]
            if verdict[1] is not None:
                entries[subject.key] = verdict[1]
    return entries, overalls


def _judge(
    world: World,
    subject: Subject,
    rows: Sequence[kept.MemoryRow],
    contents: Mapping[tuple[str, str], Mapping[str, Held]],
    before: kept.HistoryRow | None,
    now: float,
) -> Verdict | None:
    """One host, by what each vantage point remembers of it (*rows*) and of its categories; None: nothing is known."""
    rules = world.rules
    words: list[tuple[float, Overall]] = []
    views: list[tuple[Memory, Mapping[str, Held]]] = []
    for row in rows:
        held = contents.get((subject.key, row.vantage), {})
        standings: list[tuple[str, Standing]] = [
            (each.category, held[each.category].standing) for each in subject.categories if each.category in held
        ]
        if not standings:
            continue
        words.append((row.visited, combine(standings)))
        if -FUTURE_S <= now - row.visited <= max(rules.vantage_s, rules.interval_s * 2):
            views.append((unpack_memory(row.memory), held))
    if not rows or (overall := agree(words, now, rules) or as_before(words, before)) is None:
        return None
    if subject.private:
        return overall, None
    if not views:
        newest = max(rows, key=lambda row: (row.visited <= now + FUTURE_S, row.visited))
        views = [(unpack_memory(newest.memory), contents.get((subject.key, newest.vantage), {}))]
    return overall, entry_of(subject, overall, views, world.masters, rules, now, tree=world.tree)


def as_before(words: list[tuple[float, Overall]], before: kept.HistoryRow | None) -> Overall | None:
    """Nobody looked lately: it stays as it was published, else as the last one saw it."""
    if before is not None:
        return Overall(State(before.state), before.at, before.reason)
    return max(words, key=lambda word: word[0])[1] if words else None
