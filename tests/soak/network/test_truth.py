"""Each thing that the soak holds against the network can be found broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from tests.soak.network import truth
from tests.soak.network.house import LOOK_S, seconds_until
from tests.soak.network.machines import Master, make_machines
from tests.soak.network.truth import Answer, Host, Ledger

FIRST, SECOND, INNER = "127.1.0.1", "127.1.0.2", "127.2.0.1"
STRANGER, INSIDER = "5.9.0.1", "41.100.3.4"


def network() -> dict[str, Host]:
    return {
        FIRST: Host("first.example.org", FIRST, due=10.0),
        SECOND: Host("second.example.org", SECOND, lacking=("2",), due=10.0),
        INNER: Host("inner.example.org", INNER, (INSIDER,), withheld={truth.PRIVATE: 0.0}, due=10.0),
    }


def broken(answer: Answer, **withheld: float) -> set[str]:
    """What is held against *answer* when the first mirror is withheld for these reasons."""
    ledger, hosts = Ledger(), network()
    hosts[FIRST].withheld |= {reason.replace("_", "-"): since for reason, since in withheld.items()}
    if withheld:
        hosts[FIRST].due = None
    truth.judge_answer(ledger, hosts, answer)
    return set(ledger.broken)


def answer(*given: str, has: float = 100.0, client: str = STRANGER, release: str = "1", whole: bool = False) -> Answer:
    return Answer("serve", has, client, release, frozenset(given), whole)


@pytest.mark.parametrize(
    ("given", "withheld", "found"),
    [
        (answer(FIRST, SECOND, whole=True), {}, set()),
        (answer(FIRST, INNER, client=INSIDER), {}, set()),
        (answer(FIRST, INNER), {}, {truth.NO_LEAK}),
        (answer("127.9.9.9"), {}, {truth.NO_LEAK}),
        (answer(FIRST), {"private": 50.0}, {truth.NO_LEAK}),
        (answer(FIRST), {"host_off": 50.0}, {truth.SWITCHED_OFF}),
        (answer(FIRST), {"site_suspended": 50.0}, {truth.SWITCHED_OFF}),
        (answer(FIRST, has=49.0), {"host_off": 50.0}, set()),
        (answer(FIRST), {"stale": 50.0}, {truth.OUT_IN_TIME}),
        (answer(FIRST), {"unreachable": 50.0}, {truth.OUT_IN_TIME}),
        (answer(FIRST, whole=True), {}, {truth.WELL_GIVEN}),
        (answer(FIRST, whole=True, release="2"), {}, set()),
        (answer(FIRST, whole=True, has=9.0), {}, set()),
    ],
)
def test_an_answer_is_held_against_what_is_so(given: Answer, withheld: dict[str, float], found: set[str]) -> None:
    assert broken(given, **withheld) == found


@pytest.mark.parametrize(("given", "found"), [(INNER, set()), (FIRST, {truth.OWN_MIRROR})])
def test_an_insider_gets_his_mirror(given: str, found: set[str]) -> None:
    ledger = Ledger()
    truth.judge_own_mirror(ledger, network()[INNER], answer(given, client=INSIDER))
    assert set(ledger.broken) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://first.example.org/", set()),
        ("inner.example.org", {truth.NO_TRACE}),
        (f"http://{INNER}:80/", {truth.NO_TRACE}),
    ],
)
def test_a_page_with_a_private_mirror_is_noticed(text: str, found: set[str]) -> None:
    ledger = Ledger()
    truth.judge_trace(ledger, network().values(), "/mirrors", text, 100.0)
    assert set(ledger.broken) == found


@pytest.mark.parametrize(("probes", "found"), [({"inner": 0}, set()), ({"inner": 0, "other": 1}, {truth.NO_PROBE})])
def test_a_visit_to_a_private_mirror_is_noticed(probes: dict[str, int], found: set[str]) -> None:
    ledger = Ledger()
    truth.judge_probes(ledger, probes)
    assert set(ledger.broken) == found


@pytest.mark.parametrize(("agent", "probed"), [("redirector-crawler/1 (+https://example.org/)", 1), ("dnf", 0)])
async def test_a_mirror_knows_the_crawler(agent: str, probed: int) -> None:
    async def found(request: web.Request) -> web.StreamResponse:
        return web.Response()

    machine = make_machines(8, 1, 1)[7]
    await machine.answer(make_mocked_request("GET", "/linux/TIME", {"User-Agent": agent}), found)
    assert machine.private and machine.probed == probed


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"enabled": False, "bandwidth_mbit": 100, "country": "DE"}, set()),
        ({"enabled": True, "bandwidth_mbit": 100}, {truth.NO_EDIT_LOST}),
        ({"enabled": False}, {truth.NO_EDIT_LOST}),
    ],
)
def test_an_edit_that_is_not_there_is_noticed(told: dict[str, object], found: set[str]) -> None:
    ledger = Ledger()
    truth.judge_edits(ledger, "first.example.org", {"enabled": False, "bandwidth_mbit": 100}, told)
    assert set(ledger.broken) == found


@pytest.mark.parametrize(
    ("looks", "passed_s", "found"),
    [
        ([0], 0, set()),
        ([0, 5, 9], 9, set()),
        ([0, *range(10, 120, 10), 119], 119, set()),
        ([0, *range(10, 130, 10), 140], None, {truth.BACK}),
        ([0, 1000, 1001], LOOK_S + 1, set()),  # the machine stood still
    ],
)
async def test_what_does_not_come_back_is_noticed(looks: list[float], passed_s: float | None, found: set[str]) -> None:
    left = list(looks)

    async def well() -> bool:
        return len(left) == 0

    told = await seconds_until(well, 120.0, lambda: left.pop(0), pause_s=0)
    ledger = Ledger()
    truth.judge_back(ledger, "serve", told)
    assert (told, set(ledger.broken)) == (passed_s, found)


@pytest.mark.parametrize(("mails", "events", "holds"), [(1, 1, 1), (1, 2, 1), (0, 1, 0), (2, 1, 0), (1, 0, 0)])
def test_a_request_that_nobody_is_told_of_is_noticed(mails: int, events: int, holds: int) -> None:
    ledger = Ledger()
    truth.judge_told(ledger, "Newcomer 1", mails, events)
    assert set(ledger.broken) == (set() if holds else {truth.TOLD})


@pytest.mark.parametrize(("lines", "counted", "holds"), [(7, 7, 1), (7, 6, 0), (6, 7, 0), (0, 0, 0)])
def test_lines_that_are_not_counted_once_are_noticed(lines: int, counted: int, holds: int) -> None:
    ledger = Ledger()
    truth.judge_counts(ledger, lines, counted)
    assert set(ledger.broken) == (set() if holds else {truth.COUNTED})


async def test_a_scan_that_began_before_a_push_was_whole_has_not_seen_it(tmp_path: Path) -> None:
    master, times = Master(tmp_path), iter((100.0, 109.0, 200.0, 209.0))
    await master.push(lambda: next(times))
    master.scanned(began=150.0, ended=151.0)
    assert (master.unseen, master.lag_s(1, 300.0)) == (False, 0)
    await master.push(lambda: next(times))
    master.scanned(began=205.0, ended=215.0)
    assert (master.unseen, master.lag_s(1, 300.0)) == (True, 0)
    master.scanned(began=210.0, ended=220.0)
    assert (master.unseen, master.lag_s(1, 300.0)) == (False, 80.0)


def test_who_says_something_else_is_named_but_for_what_moves() -> None:
    ledger = Ledger()
    truth.judge_agreement(ledger, {"published": {"a", "b"}, "pages": {"a"}}, {"b"})
    assert ledger.broken == {}
    truth.judge_agreement(ledger, {"published": {"a", "b"}, "pages": {"a"}}, set())
    assert ledger.words == {truth.AGREE: ["pages lacks b"]}


def test_what_was_never_looked_at_has_not_held() -> None:
    ledger = Ledger()
    for invariant in truth.INVARIANTS[1:]:
        ledger.check(invariant, True)
    assert not ledger.held
    ledger.check(truth.INVARIANTS[0], True)
    assert ledger.held
