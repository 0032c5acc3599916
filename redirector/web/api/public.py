"""What everybody may ask: the mirrors, their status, and what was counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

from redirector.health.recall import recall_listed
from redirector.health.report import render_status
from redirector.health.rules import FUTURE_S, Rules
from redirector.registry.public import mirror_object
from redirector.registry.publish.embargo import Embargo
from redirector.registry.refusals import FieldProblem, Invalid, Missing
from redirector.stats.counts import FIRST_DAY, LAST_DAY, begin_of_day, parse_day, week_of_day
from redirector.stats.exports import Table, access_table, countme_table, items, propagation_table
from redirector.store import evidence, statistics
from redirector.store.evidence import DAY_S
from redirector.web.api.call import MAX_PAGE, PAGE, Call, Reply, Route, read_number
from redirector.web.pages.filters import Choice, choose, read_choice
from redirector.web.pages.shown import told_margins, told_propagation, told_systems

ROUNDS = 10_000
"""More than a day can have."""


async def list_mirrors(call: Call) -> Reply:
    """By name; `after` is the name of the last one that was read. Parameters as those of the page choose."""
    shown = await call.shelf.read(call.change.connection, call.change.now)
    after, limit = call.query.get("after", ""), read_number(call.query, "limit", PAGE, 1, MAX_PAGE)
    found = [mirror for mirror in choose(shown, read_choice(call.query), in_order=False) if mirror.host > after]
    page = found[:limit]
    following = page[-1].host if len(found) > limit else None
    return Reply({"items": [mirror_object(mirror) for mirror in page], "next": following})


async def show_mirror(call: Call) -> Reply:
    """One mirror."""
    shown = await call.shelf.read(call.change.connection, call.change.now)
    mirror = shown.find(call.name)
    if mirror is None:
        raise Missing
    return Reply(mirror_object(mirror))


async def show_status(call: Call) -> Reply:
    """archlinux.org's version 3, of the public mirrors."""
    connection, now = call.change.connection, call.change.now
    shown = await call.shelf.read(connection, now)
    names = {mirror.host for mirror in shown.listed.mirrors}
    rules = Rules()
    listed = [each for each in await recall_listed(connection, rules, now, now - DAY_S) if each.entry.key in names]
    rounds = await evidence.find_rounds(connection, ROUNDS, void=False, until=now + FUTURE_S)
    today = sum(now - row.at <= DAY_S for row in rounds)
    last = rounds[0].at if rounds else 0
    return Reply(json.loads(render_status(listed, last, rules.interval_s, today, now)))


# -- Statistics --------------------------------------------------------------------------------------------------------


def _days(query: Mapping[str, str]) -> tuple[str, str]:
    """`since` and `until`, the first day and the last. Raises Invalid."""
    days = {name: parse_day(query.get(name, usual)) for name, usual in (("since", FIRST_DAY), ("until", LAST_DAY))}
    problems = [FieldProblem(name, "a day such as 2026-11-28 is needed") for name, day in days.items() if day is None]
    if problems:
        raise Invalid(problems=problems)
    return str(days["since"]), str(days["until"])


def _page(call: Call, rows: Iterable[Any], table: Callable[[Iterable[Any]], Table]) -> Reply:
    """Rows in their order; `after` is how many were read before."""
    after, limit = call.page
    listed = list(rows)
    found = items(table(listed[after : after + limit]))["items"]
    following = after + limit if len(listed) > after + limit else None
    return Reply({"items": found, "next": following})


async def _embargo(call: Call) -> Embargo:
    return (await call.shelf.read(call.change.connection, call.change.now)).embargo


async def show_access(call: Call) -> Reply:
    """Requests by day and country, architecture, repository."""
    since, until = _days(call.query)
    category = call.query.get("category")
    rows = await statistics.list_margins(call.change.connection, since, until, category)
    return _page(call, told_margins(await _embargo(call), rows), access_table)


async def show_countme(call: Call) -> Reply:
    """Systems of the weeks that hold the first day to that which holds the last."""
    first, last = map(week_of_day, _days(call.query))
    rows = await statistics.list_countme(call.change.connection, first, last, call.query.get("repository"))
    return _page(call, told_systems(await _embargo(call), rows), countme_table)


async def show_propagation(call: Call) -> Reply:
    """Mirrors by how far behind they were, by run and repository."""
    wanted = [call.query["repository"]] if "repository" in call.query else None
    first, last = map(begin_of_day, _days(call.query))
    rows = await statistics.list_propagation(call.change.connection, first, last + DAY_S - 1, wanted)
    return _page(call, told_propagation(await _embargo(call), rows), propagation_table)


_CHOICE = tuple(each.name for each in fields(Choice) if each.name != "sort")

ROUTES = (
    Route(
        "GET",
        "/mirrors",
        "The public mirrors",
        list_mirrors,
        public=True,
        paged=True,
        by_name=True,
        query=_CHOICE,
        tag="public",
    ),
    Route("GET", "/mirrors/{name}", "A public mirror", show_mirror, public=True, tag="public"),
    Route("GET", "/status", "Mirror status, archlinux.org's version 3", show_status, public=True, tag="public"),
    *(
        Route(
            "GET",
            f"/statistics/{name}",
            text,
            run,
            public=True,
            paged=True,
            query=("since", "until", choice),
            tag="public",
        )
        for name, text, run, choice in (
            ("access", "Requests by day", show_access, "category"),
            ("countme", "Systems by week", show_countme, "repository"),
            ("propagation", "How far repositories had spread", show_propagation, "repository"),
        )
    ),
)
