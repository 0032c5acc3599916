"""The made-up City database of the world, and the table of rules."""

from __future__ import annotations

from ipaddress import IPv4Address, collapse_addresses, ip_address
from pathlib import Path

import pytest

from benchmarks.choices import BY_ADDRESSES, BY_PEOPLE, Outcome, judge, people_by_country, render
from benchmarks.processes import Cores
from benchmarks.rules import FLOOD, RULES, Costs, Lane, clients_of
from benchmarks.rules import render as tell_costs
from benchmarks.setting import Setting
from benchmarks.world import _blocks
from tests.answer.test_diff import GEO, HOSTS, near_tree
from tests.rig import snapshot_of


def test_a_flood_comes_from_another_place_each_time() -> None:
    snapshot = snapshot_of(near_tree(*HOSTS), geo=GEO)
    setting = Setting(Path(), Path(), Cores((0,), (0,)), seconds=1, rounds=1, clients=12)
    places = len(snapshot.audiences.sizes()) - 1
    clients = list(clients_of(snapshot, None, setting))
    assert len(set(clients)) == 12
    numbers = [snapshot.audiences.find(ip_address(client).packed) for client in clients]
    assert len(set(numbers)) == len(set(numbers[:places])) == places and 0 not in numbers
    assert len({snapshot.audiences.find(ip_address(each).packed) for each in clients_of(snapshot, 2, setting)}) == 2


def test_what_rules_cost_is_told_beside_what_it_should_be() -> None:
    lane = {rule: Lane(1000.0 * n, 10.0 / n, n / 2) for n, rule in enumerate(RULES, 1)}
    one = {rule: Costs(80.0, 0.5) for rule in RULES}
    text = tell_costs({"tree": {FLOOD: lane}}, one, {5_000: (1.25, 6.5)})
    assert "| tree | flood | 1,000 · 10.0 | 2,000 · 5.0 | 3,000 · 3.3 | 1.50 × |" in text
    assert "| a new place | 80.00 | 80.00 | 80.00 | 100 |" in text
    assert "| 5,000 | 1.25 | 6.50 | 5 |" in text


def test_ranges_are_cut_into_blocks_without_a_gap() -> None:
    ranges = [(4096, 12_288), (65_536, 65_536 + 4_096 + 256)]
    blocks = list(_blocks(ranges, 1024))
    assert all(block.num_addresses <= 1024 for block in blocks)
    covered = [(int(each[0]), int(each[-1]) + 1) for each in collapse_addresses(blocks)]
    assert sum(end - start for start, end in covered) == sum(end - start for start, end in ranges)
    assert blocks[0][0] == IPv4Address(4096)


def test_rules_are_judged_and_told() -> None:
    found, shares = judge(snapshot_of(near_tree(*HOSTS), geo=GEO), {"GB": 3.0, "DE": 1.0})
    assert found.km_median == pytest.approx(0.0, abs=1.0)
    assert shares.sum() == pytest.approx(1.0) and found.busiest == shares.max()
    assert "| nearness | 1 · 2 | 3.00% | 4 · 5 | 6.00% |" in render(
        {"nearness": {BY_ADDRESSES: Outcome(1, 2, 0.03), BY_PEOPLE: Outcome(4, 5, 0.06)}}
    )
    people = people_by_country()
    assert people["IN"] > people["DE"] > people["IS"] > 0
