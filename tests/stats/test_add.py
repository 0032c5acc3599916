"""Each line is counted once, however its log comes: again, grown, renamed, packed, cut, through a pipe."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from redirector.stats.add import Added, Rules, add_logs
from redirector.stats.counts import first_open_week
from redirector.stats.lines import Reading
from redirector.stats.logs import read_range, split_file
from redirector.store.opening import Store, open_store
from redirector.store.statistics import (
    close_weeks,
    find_newest,
    list_access,
    list_countme,
    list_margins,
    trim_statistics,
)
from redirector.store.tables.statistics import logs
from tests.stats.rig import TARGET, Line, mirrormanager

PLAIN = Rules()


def lines(count: int, first: int = 0, form: str = "combined") -> list[bytes]:
    """Lines that differ as those of a log do."""
    made = []
    for number in range(first, first + count):
        clock = f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"
        line = Line(
            f"/metalink?repo=fedora-{40 + number % 3}&arch=x86_64",
            time=f"28/Nov/2026:{clock} +0000",
            iso=f"2026-11-28T{clock}Z",
            client=f"198.51.{number % 7}.{number % 251}",
        )
        made.append(getattr(line, form)())
    return made


async def add(
    store: Store, *paths: Path | str, server: str = "main", rules: Rules = PLAIN, jobs: int = 1
) -> list[Added]:
    return await add_logs(store, [str(path) for path in paths], server, rules, jobs)


async def counted(store: Store) -> int:
    async with store.read() as connection:
        cube = sum((await list_access(connection, "", "9999")).values())
        by_category = Counter[str]()
        for margin in await list_margins(connection):
            by_category[margin.category] += margin.requests
    assert set(by_category.values()) <= {cube}
    return cube


@pytest.fixture
async def store(sqlite_url: str) -> AsyncIterator[Store]:
    """SQLite alone: what differs between the kinds of databases, `any_store` shows."""
    async with await open_store(sqlite_url) as opened:
        yield opened


@pytest.fixture
async def any_store(tables_url: str) -> AsyncIterator[Store]:
    async with await open_store(tables_url) as opened:
        yield opened


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_bytes(b"".join(lines(300)))
    return path


async def test_once(store: Store, log: Path) -> None:
    (added,) = await add(store, log)
    assert (added.lines, added.requests, added.unread) == (300, 300, 0)
    assert await counted(store) == 300


async def test_the_same_file_again(store: Store, log: Path) -> None:
    await add(store, log, log)
    (added,) = await add(store, log)
    assert (added.lines, await counted(store)) == (0, 300)


async def test_grown(store: Store, log: Path) -> None:
    await add(store, log)
    with log.open("ab") as file:
        file.write(b"".join(lines(50, 300)))
    (added,) = await add(store, log)
    assert (added.lines, await counted(store)) == (50, 350)


async def test_rotated_renamed_and_packed(store: Store, log: Path) -> None:
    await add(store, log)
    with log.open("ab") as file:
        file.write(b"".join(lines(50, 300)))
    content = log.read_bytes()
    old = log.rename(f"{log}.1")
    log.write_bytes(b"".join(lines(20, 5000)))
    await add(store, log, old)
    assert await counted(store) == 370
    packed, tight = Path(f"{log}.1.gz"), Path(f"{log}.1.xz")
    packed.write_bytes(gzip.compress(content))
    tight.write_bytes(lzma.compress(content))
    old.unlink()
    await add(store, packed, tight, log)
    assert await counted(store) == 370


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
async def test_packed_at_first(store: Store, log: Path, pack: object) -> None:
    assert callable(pack)
    packed = log.with_name("packed")
    packed.write_bytes(pack(log.read_bytes()))
    await add(store, packed)
    assert await counted(store) == 300
    await add(store, log)
    assert await counted(store) == 300


async def test_members_of_gzip_one_after_the_other(store: Store, log: Path) -> None:
    packed = log.with_name("packed")
    packed.write_bytes(gzip.compress(b"".join(lines(100))) + gzip.compress(b"".join(lines(100, 100))))
    await add(store, packed)
    assert await counted(store) == 200


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
async def test_a_packed_file_that_ends_too_early(store: Store, log: Path, pack: object) -> None:
    assert callable(pack)
    content = b"".join(lines(20_000))
    packed = log.with_name("packed")
    packed.write_bytes(pack(content)[:-3000])
    (added,) = await add(store, packed)
    assert 0 < added.lines < 20_000 and "damaged" in added.trouble
    packed.write_bytes(pack(content))
    await add(store, packed)
    assert await counted(store) == 20_000


async def test_cut_at_its_end(store: Store, log: Path) -> None:
    await add(store, log)
    log.write_bytes(b"".join(lines(180)))
    await add(store, log)
    assert await counted(store) == 300
    log.write_bytes(b"".join(lines(310)))
    await add(store, log)
    assert await counted(store) == 310


async def test_emptied_and_begun_anew(store: Store, log: Path) -> None:
    await add(store, log)
    log.write_bytes(b"")
    await add(store, log)
    log.write_bytes(b"".join(lines(10, 7000)))
    await add(store, log)
    assert await counted(store) == 310


@pytest.mark.parametrize("cut", [1, 30, 70, 120, 150])
@pytest.mark.parametrize("form", ["combined", "json"])
async def test_a_line_that_is_written_just_now(store: Store, log: Path, cut: int, form: str) -> None:
    made = lines(30, form=form)
    whole = b"".join(made)
    log.write_bytes(whole[: len(whole) - len(made[-1]) + cut])
    await add(store, log)
    log.write_bytes(whole)
    await add(store, log)
    assert await counted(store) == 30


@pytest.mark.parametrize("cut", range(1, 5))
async def test_a_mirrormanager_line_that_seemed_whole(store: Store, log: Path, cut: int) -> None:
    whole = mirrormanager() + mirrormanager("FR") + mirrormanager("JP")
    log.write_bytes(whole[:-cut])
    await add(store, log)
    assert await counted(store) == 3
    log.write_bytes(whole + mirrormanager("US"))
    await add(store, log)
    async with store.read() as connection:
        rows = await list_access(connection, "", "9999")
    assert {(key[1], key[3]): requests for key, requests in rows.items()} == {
        (country, "x86_64"): 1 for country in ("DE", "FR", "JP", "US")
    }


@pytest.mark.parametrize("form", ["combined", "json"])
async def test_the_last_line_may_lack_its_break(store: Store, log: Path, form: str) -> None:
    whole = b"".join(lines(3, form=form))
    log.write_bytes(whole[:-1])
    for _ in range(2):
        await add(store, log)
        assert await counted(store) == 3
    log.write_bytes(whole + lines(1, 9, form)[0])
    await add(store, log)
    assert await counted(store) == 4


async def test_one_line_alone(store: Store, log: Path) -> None:
    log.write_bytes(mirrormanager()[:-1])
    await add(store, log)
    log.write_bytes(mirrormanager() + mirrormanager("FR"))
    await add(store, log)
    assert await counted(store) == 2


async def test_a_log_that_began_within_its_first_line(store: Store, log: Path) -> None:
    line = mirrormanager(arch="x86_64")
    for size in range(len(line) - 4, len(line) + 1):  # the arch is cut, but what is there is a line
        log.write_bytes(line[:size])
        await add(store, log)
        assert await counted(store) == 1
    async with store.read() as connection:
        assert {key[3] for key in await list_access(connection, "", "9999")} == {"x86_64"}


async def test_a_first_line_that_is_none_yet_leaves_nothing_behind(store: Store, log: Path) -> None:
    log.write_bytes(lines(1)[0][:40])
    (added,) = await add(store, log)
    assert added.lines == 0
    async with store.read() as connection:
        assert (await connection.execute(select(logs))).all() == []


async def test_any_number_of_networks_may_be_ignored(any_store: Store, log: Path) -> None:
    await add(any_store, log, rules=Rules(ignore=tuple(f"203.0.113.{number}/32" for number in range(256))))
    assert await counted(any_store) == 300


@pytest.mark.parametrize("magic", [b"BZh91AY&SY", b"(\xb5/\xfd\x04\x00"], ids=["bzip2", "zstd"])
async def test_what_is_packed_otherwise_is_told(store: Store, log: Path, magic: bytes) -> None:
    log.write_bytes(magic + log.read_bytes())
    (added,) = await add(store, log)
    assert added.failed and "gzip or xz" in added.trouble


async def test_a_pipe(store: Store, log: Path) -> None:
    pipe = log.with_name("pipe")
    os.mkfifo(pipe)
    for size, total in ((200, 200), (300, 300), (300, 300)):
        writer = threading.Thread(target=pipe.write_bytes, args=(b"".join(lines(size)),))
        writer.start()
        await add(store, pipe)
        writer.join()
        assert await counted(store) == total
    await add(store, log)
    assert await counted(store) == 300


async def test_servers_count_beside_each_other(store: Store, log: Path) -> None:
    await add(store, log, server="one")
    await add(store, log, server="two")
    await add(store, log, server="one")
    assert await counted(store) == 600


async def test_other_rules_replace_what_was_said_of_the_same_lines(any_store: Store, log: Path) -> None:
    await add(any_store, log)
    with log.open("ab") as file:
        file.write(b"".join(lines(7, 300)))
    (added,) = await add(any_store, log, rules=Rules(ignore=("198.51.3.0/24",)))
    expected = sum(number % 7 != 3 for number in range(307))
    assert (added.replaced, await counted(any_store)) == (True, expected)
    await add(any_store, log)
    assert await counted(any_store) == 307
    log.write_bytes(b"".join(lines(100)))
    await add(any_store, log, rules=Rules(ignore=("198.51.3.0/24",)))
    assert await counted(any_store) == 307


async def test_folding_later_replaces_too(store: Store, log: Path) -> None:
    log.write_bytes(mirrormanager("DE") + mirrormanager("FR"))
    await add(store, log)
    await add(store, log, rules=Rules(fold=frozenset({"FR"})))
    async with store.read() as connection:
        rows = await list_access(connection, "", "9999")
        margins = await list_margins(connection, category="countries")
    assert {key[1] for key in rows} == {"DE", "--"}
    assert {(margin.name, margin.percent) for margin in margins} == {("DE", 50.0), ("--", 50.0)}


async def test_systems_are_written_when_their_week_is_past(any_store: Store, log: Path) -> None:
    said = Line(f"{TARGET}&countme=2")
    late = replace(said, time="30/Nov/2026:00:09:59 +0000")
    seen = replace(said, time="30/Nov/2026:00:10:00 +0000", target="/")

    async def totals() -> list[tuple[int, int]]:
        async with any_store.read() as connection:
            return [(row.weeknum, row.hits) for row in await list_countme(connection)]

    log.write_bytes(said.combined() + late.combined())
    await add(any_store, log)
    assert await totals() == []
    with log.open("ab") as file:
        file.write(said.combined() + seen.combined())
    await add(any_store, log)
    assert await totals() == [(2968, 2)]
    old = log.with_name("older")
    old.write_bytes(said.combined() * 3)
    await add(any_store, old)
    assert await totals() == [(2968, 5)]
    other = log.with_name("other")
    other.write_bytes(said.combined())
    await add(any_store, other, server="other")
    assert await totals() == [(2968, 5)]
    other.write_bytes(said.combined() + seen.combined())
    await add(any_store, other, server="other")
    assert await totals() == [(2968, 6)]
    await add(any_store, log, rules=Rules(ignore=("198.51.100.0/24",)))
    assert await totals() == [(2968, 4)]


async def test_weeks_of_a_server_that_is_no_more_are_written(any_store: Store, log: Path) -> None:
    said = Line(f"{TARGET}&countme=2").combined()
    log.write_bytes(said * 2)
    await add(any_store, log)

    async def totals(silent_since: str) -> int:
        moment = int(datetime.fromisoformat(f"{silent_since}T00:00Z").timestamp())
        async with any_store.write() as connection:
            await close_weeks(connection, moment, first_open_week(moment))
            return sum(row.hits for row in await list_countme(connection))

    assert await totals("2026-11-30") == 0
    assert await totals("2026-12-01") == 2
    async with any_store.read() as connection:
        newest = await find_newest(connection, "main")
    assert await totals("2026-12-09") == 2
    async with any_store.read() as connection:  # a server of which nothing waits is not looked at again each day
        assert await find_newest(connection, "main") == newest
    log.write_bytes(said * 3)
    await add(any_store, log, rules=Rules(ignore=("198.51.100.0/24",)))
    assert await totals("2026-12-01") == 0
    await add(any_store, log)
    assert await totals("2026-12-01") == 3


async def test_trimmed_days_keep_their_margins(any_store: Store, log: Path) -> None:
    await add(any_store, log)
    async with any_store.write() as connection:
        assert await trim_statistics(connection, "2026-11-29", 1_900_000_000) == 3
    async with any_store.read() as connection:
        assert await list_access(connection, "", "9999") == {}
        assert sum(margin.requests for margin in await list_margins(connection, category="archs")) == 300
    await add(any_store, log, rules=Rules(fold=frozenset({"FR"})))
    with log.open("ab") as file:
        file.write(b"".join(lines(50, 300)))
    await add(any_store, log)
    async with any_store.read() as connection:
        assert sum(margin.requests for margin in await list_margins(connection, category="archs")) == 350


async def test_many_processes_count_the_same(store: Store, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redirector.stats.add.RANGE_BYTES", 4096)
    other, packed = log.with_name("other"), log.with_name("packed")
    other.write_bytes(b"".join(lines(500, 1000)) + lines(1, 9000)[0][:-1])
    packed.write_bytes(gzip.compress(b"".join(lines(40, 3000))))
    added = await add(store, log, other, packed, log, jobs=2)
    assert [each.lines for each in added] == [300, 501, 40, 0]
    assert await counted(store) == 841


def test_ranges_end_where_lines_end(log: Path) -> None:
    content = log.read_bytes() + b"unfinished"
    log.write_bytes(content)
    ranges = split_file(str(log), 0, len(content), 5)
    assert len(ranges) == 5 and ranges[0][0] == 0 and ranges[-1][1] == len(content) - len(b"unfinished")
    assert all(content[stop - 1 : stop] == b"\n" for _, stop in ranges)
    assert all(one[1] == next_[0] for one, next_ in pairwise(ranges))


def test_ranges_end_where_lines_end_even_when_one_is_longer_than_all_others(log: Path) -> None:
    whole = log.read_bytes()
    content = whole + b"x" * 9 * len(whole)
    log.write_bytes(content)
    assert split_file(str(log), 0, len(content), 2) == [(0, len(whole))]


async def test_what_cannot_be_read_is_told_and_hides_nothing(store: Store, log: Path, tmp_path: Path) -> None:
    added = await add(store, tmp_path / "absent", tmp_path, log)
    assert [each.failed for each in added] == [True, True, False]
    assert await counted(store) == 300


async def test_a_line_without_end_is_none(store: Store, log: Path) -> None:
    log.write_bytes(lines(1)[0] + b"x" * 3_000_000 + b"\n" + lines(1, 5)[0])
    (added,) = await add(store, log)
    assert (added.requests, added.unread) == (2, 1)
    counts = read_range(str(log), 0, log.stat().st_size, Reading())
    assert (counts.access.total(), counts.unread) == (2, 1)


@pytest.mark.parametrize("form", ["combined", "json"])
async def test_no_address_is_written_not_even_hashed(tmp_path: Path, form: str) -> None:
    addresses = [f"203.0.113.{number}" for number in range(1, 255)] + ["2001:db8:12:34::abcd"]
    said = [
        replace(
            Line(f"{TARGET}&countme=1&ip={address}&repo={address}"),
            client=address,
            agent=f"libdnf ({address} 42; server; Linux.x86_64)",
            referer=f"http://{address}/",
        )
        for address in addresses
    ]
    log = tmp_path / "access.log"
    log.write_bytes(b"".join(getattr(line, form)() for line in said))
    for first in (0, 1):  # a log of one line as well
        path = tmp_path / f"log{first}"
        path.write_bytes(getattr(said[first], form)())
        async with await open_store(f"sqlite:///{tmp_path}/store.db") as store:
            await add(store, log, path)
    content = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert b"statistics_log" in content
    for address in addresses:
        packed = bytes(map(int, address.split("."))) if "." in address else b""
        line = next(getattr(line, form)() for line in said if line.client == address)
        for secret in (address.encode(), packed, line, line[:-1]):
            if not secret:
                continue
            digests = [hashlib.new(name, secret).digest() for name in ("md5", "sha1", "sha256", "blake2b")]
            digests.append(hashlib.blake2b(secret, digest_size=16).digest())
            assert len(secret) < 6 or secret not in content
            assert not any(each in content or each.hex().encode() in content for each in digests)
