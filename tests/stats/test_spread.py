"""From what visits remember of mirrors to how far a repository has spread."""

from __future__ import annotations

import pytest

from redirector.health.expected import Expected, Master, Version
from redirector.health.judge import Content
from redirector.health.keeping import pack_held
from redirector.health.memory import EVER, PENDING, Held, Trouble, digest_of
from redirector.stats.propagation import NO_INFO, Behind
from redirector.stats.spread import behind_of, keep_propagation
from redirector.store.evidence import ContentRow, put_memories
from redirector.store.opening import Store
from redirector.store.statistics import PropagationRow, list_propagation

RUN = 1_795_845_600
DAY_S = 86_400
REPOSITORY = Expected(
    "9.8/BaseOS/x86_64/os",
    "9.8/BaseOS/x86_64/os/repodata/repomd.xml",
    (Version("new", 5, 0, RUN - 7200), Version("old", 5, 0, RUN - 9 * DAY_S)),
    pushed=RUN - 7200,
)
PLAIN = Expected("9.8/isos", pushed=RUN)
SECRET = Expected("10/BaseOS", "10/BaseOS/repodata/repomd.xml", judged=False)
MASTER = Master("", (SECRET, REPOSITORY, PLAIN))


def held(state: int, lacked: int = 0, sha256: str = "old") -> Held:
    troubles = {1: Trouble(RUN, lacked=lacked, sha256=sha256)} if lacked or sha256 != "old" else {}
    names = [each.name for each in MASTER.directories]
    return Held(directories=digest_of(names), states=bytes((0, state, 0)), troubles=troubles)


@pytest.mark.parametrize(
    ("memory", "behind"),
    [
        (held(Content.CURRENT | EVER), Behind(True, 0)),
        (held(Content.CURRENT | EVER | PENDING), Behind(True, 7200)),
        (held(Content.AHEAD | EVER, sha256="newer"), Behind(True, 0)),
        (held(Content.BEHIND | EVER, lacked=RUN - 7200), Behind(True, 7200)),
        (held(Content.STALE | EVER, lacked=RUN - 2 * DAY_S), Behind(True, 2 * DAY_S)),
        (held(Content.STALE | EVER, lacked=RUN - 60, sha256="stranger"), Behind(True, None)),
        (held(Content.STALE | EVER), Behind(True, None)),
        (held(Content.ABSENT | EVER), NO_INFO),
        (held(Content.ABSENT), None),
        (held(Content.NOT_JUDGED), NO_INFO),
        (held(Content.UNKNOWN | EVER), NO_INFO),
        (Held(), NO_INFO),
    ],
)
def test_how_far_behind_a_remembered_mirror_is(memory: Held, behind: Behind | None) -> None:
    assert behind_of(memory, 1, REPOSITORY, RUN) == behind


async def test_each_repository_is_counted_once_a_round(store: Store) -> None:
    memories = {
        "a": held(Content.CURRENT | EVER),
        "b": held(Content.STALE | EVER, lacked=RUN - 2 * DAY_S),
        "c": held(Content.UNKNOWN | EVER),
        "d": held(Content.ABSENT),
        "e": Held(directories="another list", states=b"\1\1\1"),
    }
    rows = [ContentRow(host, "main", "", each.directories, *pack_held(each)) for host, each in memories.items()]
    rows.append(ContentRow("f", "main", "unknown", "x", *pack_held(Held())))
    async with store.write() as connection:
        await put_memories(connection, [], rows)
    assert await keep_propagation(store, {"": MASTER}, "main", RUN) == 1
    assert await keep_propagation(store, {"": MASTER}, "main", RUN + 3599, always=False) == 0
    assert await keep_propagation(store, {"": MASTER}, "main", RUN + 3600, always=False) == 1
    assert await keep_propagation(store, {"": MASTER}, "elsewhere", RUN + 9000) == 0
    async with store.read() as connection:
        found = await list_propagation(connection)
    assert found[0] == PropagationRow(RUN, REPOSITORY.name, 1, 1, 0, 0, 1)
    assert [row.run for row in found] == [RUN, RUN + 3600]
