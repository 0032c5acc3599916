"""What visits found, kept and found again, and how room is made."""

from __future__ import annotations

from dataclasses import replace

from redirector.store.evidence import (
    DAY_S,
    EVIDENCE_A_HOST,
    ContentRow,
    EvidenceRow,
    HistoryRow,
    MemoryRow,
    PushRow,
    RoundRow,
    VisitRow,
    add_evidence,
    add_history,
    add_names,
    add_round,
    add_visits,
    find_contents,
    find_evidence,
    find_history,
    find_hosts,
    find_known,
    find_names,
    find_pushes,
    find_rounds,
    find_spent,
    find_states,
    find_visits,
    forget_hosts,
    put_known,
    put_memories,
    put_pushes,
    put_spent,
    thin_out,
)
from redirector.store.opening import Store

NOW = 1_795_000_000
HOST = MemoryRow("a", "main", NOW, NOW + 900, "ok", NOW - 9, "", None, b"m")
CONTENT = ContentRow("a", "main", "Linux", "digest", b"\x01", b"c")
VISIT = VisitRow("a", NOW, "main", "good", True, "fresh", "", "ok", 0, 10, 0.25, 7)


async def test_what_is_remembered_is_replaced(store: Store) -> None:
    async with store.write() as connection:
        await put_memories(connection, [HOST, replace(HOST, host="b")], [CONTENT])
        await put_memories(connection, [replace(HOST, state="stale", lag_s=5)], [replace(CONTENT, served=b"\x02")])
    async with store.read() as connection:
        assert await find_hosts(connection) == [replace(HOST, state="stale", lag_s=5), replace(HOST, host="b")]
        assert await find_contents(connection) == [replace(CONTENT, served=b"\x02")]
        assert await find_contents(connection, "other") == []
        assert await find_contents(connection, "main", ["b", "c"]) == []


async def test_visits_evidence_and_states(store: Store) -> None:
    later = replace(VISIT, at=NOW + 900, event="failed", reason="refused", lag_s=None, delay_s=None, duration_s=None)
    async with store.write() as connection:
        await add_visits(connection, [replace(VISIT, counted=False), later])
        await add_visits(connection, [VISIT])
        await add_evidence(connection, [EvidenceRow("a", "main", NOW + n, n == 1, f'{{"n":{n}}}') for n in range(3)])
        await add_history(connection, [HistoryRow("a", NOW, "ok", "", 0), HistoryRow("a", NOW + 5, "stale", "late", 2)])
        await add_round(connection, RoundRow("main", NOW, 1.5, 2, 0, 14, ""))
        await add_round(connection, RoundRow("main", NOW + 1, 1.5, 2, 2, 14, "all failed"))
        await put_known(connection, {"Linux": b"k"})
        await put_pushes(connection, [PushRow("Linux", NOW, 3, b"d")])
        await put_spent(connection, "main", 10, {"192.0.2.1": b"s"})
        await add_names(connection, "digest", NOW, b"names")
    async with store.read() as connection:
        assert await find_visits(connection, NOW) == [VISIT, later]
        assert await find_visits(connection, NOW, "a", 1) == [later]
        assert await find_visits(connection, NOW, "b") == []
        assert await find_evidence(connection, "a", 2) == ['{"n":2}', '{"n":1}']
        assert await find_evidence(connection, "a", 9, notable=True) == ['{"n":1}']
        assert [row.state for row in await find_history(connection, NOW, "a")] == ["ok", "stale"]
        assert (await find_states(connection, NOW + DAY_S))["a"].state == "stale"
        assert [row.at for row in await find_rounds(connection, 5)] == [NOW + 1, NOW]
        assert [row.at for row in await find_rounds(connection, 5, void=False)] == [NOW]
        assert [row.at for row in await find_rounds(connection, 5, void=True)] == [NOW + 1]
        assert await find_known(connection) == {"Linux": b"k"}
        assert await find_pushes(connection, NOW, NOW) == [PushRow("Linux", NOW, 3, b"d")]
        assert await find_spent(connection, "main") == {"192.0.2.1": b"s"}
        assert await find_names(connection, "digest") == b"names"


async def test_room_is_made(store: Store) -> None:
    old = NOW - 3 * DAY_S
    begin = old - old % 21600
    async with store.write() as connection:
        every_quarter = [replace(VISIT, at=begin + n * 900) for n in range(24)]
        failed = [replace(VISIT, at=begin + 1 + n * 900, event="failed") for n in range(8)]
        recent = [replace(VISIT, at=NOW - n * 900) for n in range(24)]
        await add_visits(connection, [*every_quarter, *failed, *recent, replace(VISIT, at=NOW - 91 * DAY_S)])
        rows = [EvidenceRow("a", "main", NOW - n, False, str(n)) for n in reversed(range(EVIDENCE_A_HOST + 50))]
        rows += [EvidenceRow("b", "main", NOW - 2 * DAY_S, notable, str(notable)) for notable in (True, False)]
        await add_evidence(connection, [*rows, EvidenceRow("b", "main", NOW - 91 * DAY_S, True, "old")])
        history = [(HistoryRow("a", NOW - days * DAY_S, "ok", "", 0)) for days in (95, 92, 1)]
        await add_history(connection, [*history, HistoryRow("b", NOW - 200 * DAY_S, "stale", "", 0)])
        await put_memories(connection, [HOST], [CONTENT])
        await add_names(connection, "digest", NOW - 2 * DAY_S, b"used")
        await add_names(connection, "gone", NOW - 2 * DAY_S, b"unused")
        await put_pushes(connection, [PushRow("Linux", NOW - 91 * DAY_S, 1, b"")])
        await thin_out(connection, NOW)
    async with store.read() as connection:
        visits = await find_visits(connection, 0)
        assert [visit.at for visit in visits if visit.at < NOW - 2 * DAY_S and visit.event == "good"] == [begin]
        assert len([visit for visit in visits if visit.event == "failed"]) == 2
        assert len([visit for visit in visits if visit.at > NOW - DAY_S]) == 24
        assert len(await find_evidence(connection, "a", 9999)) == EVIDENCE_A_HOST
        assert await find_evidence(connection, "b", 9) == ["True"]
        assert [row.at for row in await find_history(connection, 0, "a")] == [NOW - DAY_S]
        assert [row.state for row in await find_history(connection, 0, "b")] == ["stale"]
        assert await find_names(connection, "digest") == b"used"
        assert await find_names(connection, "gone") is None
        assert await find_pushes(connection, 0, NOW) == []


async def test_hosts_that_are_gone_are_forgotten(store: Store) -> None:
    gone = replace(HOST, host="gone", visited=NOW - 2 * DAY_S)
    async with store.write() as connection:
        await put_memories(connection, [HOST, gone], [CONTENT, replace(CONTENT, host="gone")])
        await forget_hosts(connection, [], NOW - DAY_S)
    async with store.read() as connection:
        assert [row.host for row in await find_hosts(connection)] == ["a"]
        assert [row.host for row in await find_contents(connection)] == ["a"]
