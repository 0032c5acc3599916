from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.health.evidence import Scheme
from redirector.health.pace import REQUESTS_PER_DAY, Bucket, Ledger, NotNow, Pace, Spent
from tests.patience import PATIENCE_S

DAY = 86400
ADDRESS = "127.0.0.1"


class Clock:
    """Seconds that pass when told."""

    def __init__(self, at: float = 1_795_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class Connection:
    """A connection that can be kept; says when it is closed."""

    def __init__(self, log: list[str], name: str) -> None:
        self._log, self._name = log, name

    async def close(self) -> None:
        self._log.append(self._name)


@given(st.lists(st.floats(min_value=0, max_value=3), min_size=1, max_size=60))
def test_in_any_stretch_of_t_seconds_at_most_four_t_and_four(pauses: list[float]) -> None:
    bucket = Bucket()
    now = 0.0
    sent = []
    for pause in pauses:
        now += pause
        now += bucket.take(now)
        sent.append(now)
    for i, first in enumerate(sent):
        for j in range(i, len(sent)):
            assert j - i + 1 <= 4 * (sent[j] - first) + 4 - 0.99


def test_a_clock_that_is_set_back_fills_nothing() -> None:
    bucket = Bucket()
    waits = [bucket.take(now) for now in (100.0, 100.0, 100.0, 50.0, 50.0)]
    assert waits == [0, 0, 0, 0.25, 0.5]


@given(st.lists(st.integers(min_value=0, max_value=7200), min_size=1, max_size=100))
def test_a_day_has_its_number_of_requests_and_no_more(pauses: list[int]) -> None:
    clock = 1_795_000_000.0
    ledger = Ledger()
    for _ in range(REQUESTS_PER_DAY - 20):
        ledger.take(clock)
    made = [clock] * (REQUESTS_PER_DAY - 20)
    for pause in pauses:
        clock += pause
        try:
            ledger.take(clock)
        except NotNow as refusal:
            assert refusal.until > clock
            continue
        made.append(clock)
    for at in set(made):
        assert bisect_right(made, at) - bisect_right(made, at - DAY) <= REQUESTS_PER_DAY


def test_when_the_day_is_spent_it_says_until_when() -> None:
    ledger = Ledger()
    clock = 1_795_000_000.0
    for _ in range(REQUESTS_PER_DAY):
        ledger.take(clock)
    with pytest.raises(NotNow) as refused:
        ledger.take(clock)
    assert not refused.value.busy
    assert DAY <= refused.value.until - clock <= DAY + 3600
    ledger.take(refused.value.until)


def test_a_whole_listing_is_taken_once_a_day() -> None:
    ledger = Ledger()
    ledger.take(0.0, listing=True)
    with pytest.raises(NotNow) as refused:
        ledger.take(DAY - 1.0, listing=True)
    assert refused.value.until == DAY
    ledger.take(DAY - 1.0)
    ledger.take(float(DAY), listing=True)


@pytest.mark.parametrize(("address", "days"), [("127.0.0.1", 0.01), ("::1", 0.01), ("192.0.2.1", 1.0)])
async def test_a_rehearsal_has_shorter_days_on_this_machine_alone(clock: Clock, address: str, days: float) -> None:
    pace = Pace(now=clock, monotonic=clock, rehearsed=0.01)
    async with pace.rsync(address, listing=True):
        pass
    with pytest.raises(NotNow) as refused:
        async with pace.rsync(address, listing=True):
            pass
    assert refused.value.until - clock.at == pytest.approx(days * DAY)


async def test_what_was_asked_by_a_clock_that_was_ahead_is_over_in_a_day(clock: Clock) -> None:
    pace = Pace(now=clock, monotonic=clock)
    async with pace.rsync(ADDRESS, listing=True):
        pass
    clock.at -= 365 * DAY
    again = Pace(now=clock, monotonic=clock, spent=pace.spent())
    assert again.requests_today(ADDRESS) == 1
    clock.at += DAY + 3600
    assert again.requests_today(ADDRESS) == 0
    async with again.rsync(ADDRESS, listing=True):
        pass


async def test_what_was_asked_before_counts_on(clock: Clock) -> None:
    pace = Pace(now=clock, monotonic=clock)
    async with pace.rsync(ADDRESS, listing=True):
        pass
    async with pace.request("127.0.0.2", ""):
        pass
    spent = pace.spent()
    assert spent[ADDRESS] == Spent(((int(clock.at // 3600), 1),), (clock.at,))
    again = Pace(now=clock, monotonic=clock, spent=spent)
    assert again.requests_today(ADDRESS) == 1
    with pytest.raises(NotNow):
        async with again.rsync(ADDRESS, listing=True):
            pass
    clock.at += 26 * 3600
    assert again.spent() == {}


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_two_connections_at_once_and_others_wait_their_turn() -> None:
    pace = Pace(now=time.time, monotonic=time.monotonic)
    order: list[int] = []
    most = inside = 0

    async def ask(number: int) -> None:
        nonlocal most, inside
        async with pace.request(ADDRESS, "p"):
            inside += 1
            most = max(most, inside)
            order.append(number)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(ask(number) for number in range(5)))
    assert (most, order) == (2, [0, 1, 2, 3, 4])


async def test_who_is_cancelled_while_waiting_takes_nothing_along() -> None:
    pace = Pace(now=time.time, monotonic=time.monotonic)

    async def ask() -> None:
        async with pace.request(ADDRESS, "p"):
            pass

    async with pace.request(ADDRESS, "p"):
        async with pace.request(ADDRESS, "p"):
            waiting = [asyncio.ensure_future(ask()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
        waiting[1].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    async with asyncio.timeout(PATIENCE_S):
        async with pace.request(ADDRESS, "p"), pace.request(ADDRESS, "p"):
            pass


async def test_a_kept_connection_goes_to_its_purpose_and_is_closed_for_another(clock: Clock) -> None:
    log: list[str] = []
    pace = Pace(now=clock, monotonic=clock)
    for purpose in "ab":
        async with pace.request(ADDRESS, purpose) as lease:
            assert await lease.take(purpose) is None
            lease.kept = (purpose, Connection(log, purpose))
    async with pace.request(ADDRESS, "a") as lease:
        kept = await lease.take("a")
        assert isinstance(kept, Connection) and not log
        lease.kept = ("a", kept)
    clock.at += 10
    async with pace.request(ADDRESS, "c") as lease:
        assert await lease.take("c") is None
    assert len(log) == 1
    await pace.close_kept(ADDRESS)
    assert sorted(log) == ["a", "b"]


async def test_addresses_of_yesterday_are_forgotten_and_those_of_today_are_not(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redirector.health.pace.REMEMBERED", 3)
    pace = Pace(now=clock, monotonic=clock)
    for number in range(3):
        async with pace.request(f"127.0.0.{number}", ""):
            pass
    clock.at += 26 * 3600
    async with pace.request("127.0.1.1", ""):
        pass
    assert pace.spent().keys() == {"127.0.1.1"}
    for number in range(9):
        async with pace.request(f"127.0.2.{number}", ""):
            pass
    assert len(pace.spent()) == 10


async def test_one_rsync_at_a_time() -> None:
    pace = Pace(now=time.time, monotonic=time.monotonic)
    inside = most = 0

    async def run() -> None:
        nonlocal inside, most
        async with pace.turn(ip_address(ADDRESS), Scheme.RSYNC) as may:
            assert may
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(run() for _ in range(3)))
    assert most == 1


async def test_a_busy_address_is_left_alone_until_then_but_not_in_a_single_round(clock: Clock) -> None:
    pace = Pace(now=clock, monotonic=clock)
    pace.busy(ADDRESS, clock.at + 60)
    pace.busy(ADDRESS, clock.at + 30)
    with pytest.raises(NotNow) as refused:
        async with pace.request(ADDRESS, ""):
            pass
    assert (refused.value.busy, refused.value.until) == (True, clock.at + 60)
    async with pace.turn(ip_address(ADDRESS), Scheme.HTTP) as may:
        assert not may
    once = Pace(now=clock, monotonic=clock, heeds_busy=False)
    once.busy(ADDRESS, clock.at + 60)
    async with once.turn(ip_address(ADDRESS), Scheme.HTTP) as may:
        assert may
    clock.at += 60
    async with pace.turn(ip_address(ADDRESS), Scheme.HTTP) as may:
        assert may
    assert pace.requests_today(ADDRESS) == 1
