"""How far a repository has spread among its mirrors, judged by how old their `repomd.xml` is; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from redirector.store.statistics import PropagationRow

DAY_S = 86_400

COLUMNS = ("same_day", "one_day", "two_day", "older", "no_info")


@dataclass(frozen=True, slots=True)
class Behind:
    """What a visit found of one mirror's repository.

    answered  False: no visit learnt anything
    behind_s  how much older than the master's its `repomd.xml` is; None: its hash is none that the master had
    """

    answered: bool
    behind_s: int | None = None


NO_INFO = Behind(False)


def column_of(behind: Behind) -> str:
    """The column that counts a mirror: up to one day behind is `same_day`, up to two `one_day`, up to three `two_day`;
    more, and what nobody knows the hash of, is `older`."""
    if not behind.answered:
        return "no_info"
    if behind.behind_s is None or behind.behind_s > 3 * DAY_S:
        return "older"
    if behind.behind_s <= DAY_S:
        return "same_day"
    return "one_day" if behind.behind_s <= 2 * DAY_S else "two_day"


def count_propagation(run: int, found: Mapping[str, Iterable[Behind]]) -> tuple[PropagationRow, ...]:
    """The rows of one round of visits.

    run    when it ended, epoch seconds
    found  repository -> what was found of each mirror that carries it
    """
    rows = []
    for repository, mirrors in sorted(found.items()):
        counts = dict.fromkeys(COLUMNS, 0)
        for behind in mirrors:
            counts[column_of(behind)] += 1
        rows.append(PropagationRow(run, repository, **counts))
    return tuple(rows)
