"""How far each repository has spread, from what visits remember of every mirror."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.health.evidence import readable
from redirector.health.expected import Expected, Master
from redirector.health.judge import Content
from redirector.health.keeping import unpack_held
from redirector.health.memory import EVER, PENDING, Held, content_of, digest_of
from redirector.stats.propagation import NO_INFO, Behind, count_propagation
from redirector.store.evidence import find_contents
from redirector.store.opening import Store
from redirector.store.statistics import PropagationRow, add_propagation, find_last_run

RUN_S = 3600
"""How often a crawl that goes on keeps a row for each repository."""

MAX_NAME = 255
INDEX = "repodata/repomd.xml"


async def keep_propagation(
    store: Store, masters: Mapping[str, Master], vantage: str, run: int, *, always: bool = True
) -> int:
    """Keep how far each repository had spread when the round of *run* (epoch seconds) ended; how many rows that were.

    always  False: only if the last rows are an hour old
    """
    async with store.read() as connection:
        if not always and run - await find_last_run(connection, run) < RUN_S:
            return 0
        rows = await measure_propagation(connection, masters, vantage, run)
    async with store.write() as connection:
        await add_propagation(connection, rows)
    return len(rows)


async def measure_propagation(
    connection: AsyncConnection, masters: Mapping[str, Master], vantage: str, run: int
) -> tuple[PropagationRow, ...]:
    """The rows of one round, as this vantage point sees it."""
    digests = {name: digest_of([each.name for each in master.directories]) for name, master in masters.items()}
    found: dict[str, list[Behind]] = {}
    for row in await find_contents(connection, vantage):
        master = masters.get(row.category)
        if master is None:
            continue
        held = unpack_held(row.memory)
        if held.directories != digests[row.category]:
            continue  # the master's list is newer than the last visit: its numbers mean something else
        for number, expected in enumerate(master.directories):
            name = readable(f"{master.prefix}{expected.name}")
            if not expected.index.endswith(INDEX) or not expected.judged or len(name) > MAX_NAME:
                continue
            behind = behind_of(held, number, expected, run)
            if behind is not None:
                found.setdefault(name, []).append(behind)
    return count_propagation(run, found)


def behind_of(held: Held, number: int, expected: Expected, run: int) -> Behind | None:
    """How far behind a mirror's directory is that has this number; None where it never carried it."""
    state = held.states[number] if number < len(held.states) else 0
    content, trouble = content_of(state), held.troubles.get(number)
    match content:
        case Content.NOT_JUDGED | Content.UNKNOWN | Content.NO_ANSWER:
            return NO_INFO
        case Content.ABSENT:
            return NO_INFO if state & EVER else None
        case Content.CURRENT if state & PENDING:  # nobody has looked since the push
            return Behind(True, max(0, run - expected.pushed))
        case Content.CURRENT | Content.AHEAD:
            return Behind(True, 0)
        case Content.BEHIND | Content.STALE:
            is_known = trouble is not None and trouble.lacked > 0 and _is_known(expected, trouble.sha256)
            return Behind(True, max(0, run - trouble.lacked) if trouble is not None and is_known else None)


def _is_known(expected: Expected, sha256: str) -> bool:
    """Whether the master had this version; where no checksum is known, size and time have told."""
    hashes = {version.sha256 for version in expected.versions if version.sha256}
    return not hashes or sha256 in hashes
