"""What is given out: CSV as others read it, values for JSON, the overview, and the tables behind them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redirector.stats import exports
from redirector.stats.overview import moves_of, overview_of, releases_of
from redirector.stats.propagation import NO_INFO, Behind, column_of, count_propagation
from redirector.stats.show import bar, render_overview
from redirector.store.opening import Store
from redirector.store.statistics import (
    Margin,
    SystemRow,
    TrafficRow,
    add_access,
    add_propagation,
    add_traffic,
    list_margins,
    list_propagation,
    list_traffic,
    trim_statistics,
)

DAY_S = 86_400


async def test_requests_in_percent_of_the_day(store: Store) -> None:
    counted = {
        ("2026-11-27", "DE", "fedora-42", "x86_64"): 7,
        ("2026-11-28", "DE", "fedora-42", "x86_64"): 2,
        ("2026-11-28", "DE", "epel-9", "aarch64"): 1,
    }
    async with store.write() as connection:
        await add_access(connection, counted.items())
    async with store.read() as connection:
        text = exports.render_csv(exports.access_table(await list_margins(connection, "2026-11-28")))
    assert text == (
        "day,category,name,requests,percent\n"
        "2026-11-28,countries,DE,3,100.0\n"
        "2026-11-28,archs,x86_64,2,66.67\n"
        "2026-11-28,archs,aarch64,1,33.33\n"
        "2026-11-28,repositories,fedora-42,2,66.67\n"
        "2026-11-28,repositories,epel-9,1,33.33\n"
    )


def test_systems_in_the_columns_that_fedora_publishes() -> None:
    row = SystemRow(2968, 12, "Fedora Linux", "42", "workstation", "x86_64", 1, 'a "b", c', "x86_64")
    assert exports.render_csv(exports.countme_table([row])) == (
        "week_start,week_end,hits,os_name,os_version,os_variant,os_arch,sys_age,repo_tag,repo_arch\n"
        '2026-11-23,2026-11-29,12,Fedora Linux,42,workstation,x86_64,1,"a ""b"", c",x86_64\n'
    )
    (item,) = exports.items(exports.countme_table([row]))["items"]
    assert (item["week_start"], item["hits"], item["sys_age"]) == ("2026-11-23", 12, 1)


async def test_traffic_is_what_a_mirror_said_last(store: Store) -> None:
    async with store.write() as connection:
        await add_traffic(connection, "a.example.org", {"2026-11-27": 5, "2026-11-28": 1 << 42})
        await add_traffic(connection, "b.example.org", {"2026-11-28": 3})
        await add_traffic(connection, "a.example.org", {"2026-11-27": 6})
        await add_traffic(connection, "a.example.org", {})
    async with store.read() as connection:
        rows = await list_traffic(connection)
        assert rows[:1] == await list_traffic(connection, until="2026-11-27", host="a.example.org")
    assert exports.render_csv(exports.traffic_table(rows)) == (
        "day,host,bytes\n2026-11-27,a.example.org,6\n2026-11-28,a.example.org,4398046511104\n2026-11-28,b.example.org,3\n"
    )
    assert rows[0] == TrafficRow("2026-11-27", "a.example.org", 6)


@pytest.mark.parametrize(
    ("behind", "column"),
    [
        (Behind(True, 0), "same_day"),
        (Behind(True, -60), "same_day"),
        (Behind(True, DAY_S), "same_day"),
        (Behind(True, DAY_S + 1), "one_day"),
        (Behind(True, 2 * DAY_S), "one_day"),
        (Behind(True, 2 * DAY_S + 1), "two_day"),
        (Behind(True, 3 * DAY_S), "two_day"),
        (Behind(True, 3 * DAY_S + 1), "older"),
        (Behind(True, None), "older"),
        (NO_INFO, "no_info"),
        (Behind(False, 0), "no_info"),
    ],
)
def test_how_far_behind_a_mirror_is(behind: Behind, column: str) -> None:
    assert column_of(behind) == column


async def test_propagation_is_counted_by_run_and_repository(store: Store) -> None:
    found = {"epel-9": [Behind(True, 5), NO_INFO, Behind(True, 9 * DAY_S)], "baseos-9": [Behind(True, 5)] * 4}
    async with store.write() as connection:
        await add_propagation(connection, count_propagation(1_795_845_600, found))
        await add_propagation(connection, count_propagation(1_795_845_600, found))
        await add_propagation(connection, ())
    async with store.read() as connection:
        rows = await list_propagation(connection)
        assert await list_propagation(connection, repositories=["epel-9"]) == rows[1:]
    assert exports.render_csv(exports.propagation_table(rows)) == (
        "run,repository,same_day,one_day,two_day,older,no_info\n"
        "2026-11-28T06:00:00Z,baseos-9,4,0,0,0,0\n"
        "2026-11-28T06:00:00Z,epel-9,1,0,0,1,1\n"
    )


async def test_old_propagation_keeps_a_day_s_last_run(store: Store) -> None:
    runs = [10 * DAY_S + hour * 3600 for hour in (0, 7, 23)] + [11 * DAY_S, 200 * DAY_S, 200 * DAY_S + 3600]
    async with store.write() as connection:
        for run in runs:
            await add_propagation(connection, count_propagation(run, {"epel-9": [NO_INFO]}))
        await trim_statistics(connection, "1970-04-11", 100 * DAY_S)
    async with store.read() as connection:
        assert [row.run for row in await list_propagation(connection)] == runs[2:]


def margins_of(day: str, **requests: int) -> Iterator[Margin]:
    total = sum(requests.values())
    for name, number in requests.items():
        yield Margin(day, "repositories", name.replace("_", "-"), number, 100 * number / total)
    yield Margin(day, "archs", "x86_64", total, 100.0)


def system(repository: str, hits: int, age: int = 1, week: int = 2968, version: str = "42") -> SystemRow:
    return SystemRow(week, hits, "Fedora Linux", version, "server", "x86_64", age, repository, "x86_64")


def test_what_moved_is_a_share_of_the_week() -> None:
    margins = [
        *margins_of("2026-11-21", fedora_42=500, fedora_41=500, rare=9),
        *margins_of("2026-11-28", fedora_42=1500, fedora_41=500),
    ]
    moves = moves_of(margins, "2026-11-28")
    assert [(move.name, round(move.points, 1)) for move in moves] == [("fedora-42", 25.4), ("fedora-41", -24.6)]
    assert moves_of(margins, "2026-11-21") == moves_of([], "") == []


def test_a_system_is_counted_by_its_release_s_base_repository_alone() -> None:
    rows = [
        system("fedora-42", 100),
        system("fedora-42", 50, age=4),
        system("updates-released-f42", 90),
        system("fedora-41", 7, version="41"),
    ]
    releases = releases_of(rows)
    assert [(each.version, each.repository, each.ages, each.systems) for each in releases] == [
        ("42", "fedora-42", (100, 0, 0, 50), 150),
        ("41", "fedora-41", (7, 0, 0, 0), 7),
    ]


def test_overview_on_a_terminal() -> None:
    margins = [*margins_of("2026-11-21", fedora_42=500), *margins_of("2026-11-28", fedora_42=1500, epel_9=500)]
    text = render_overview(overview_of(margins, [system("fedora-42", 1200), system("old", 5, week=2967)]))
    assert "2026-11-28: 2,000 requests" in text
    assert "  fedora-42  1,500  75.0 %  ████████████████████████\n" in text
    assert "  2026-11-22      0\n" in text
    assert "  epel-9       0.0 %  25.0 %  +25.0\n" in text
    assert "systems, 2026-11-23 to 2026-11-29" in text
    assert "  Fedora Linux 42    1,200     1,200          0           0       0  fedora-42\n" in text
    assert "old" not in text


def test_overview_of_nothing() -> None:
    assert render_overview(overview_of([], [])) == "nothing is counted yet: redirector stats add LOG\n"


@pytest.mark.parametrize(("value", "most", "text"), [(0, 0, ""), (0, 5, ""), (5, 5, "█" * 24), (1, 48, "▌")])
def test_bars(value: float, most: float, text: str) -> None:
    assert bar(value, most) == text
