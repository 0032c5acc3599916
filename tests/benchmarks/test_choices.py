"""The made-up City database of the world, and the table of rules."""

from __future__ import annotations

from ipaddress import IPv4Address, collapse_addresses

import pytest

from benchmarks.choices import BY_ADDRESSES, BY_PEOPLE, Outcome, judge, people_by_country, render
from benchmarks.world import _blocks
from tests.answer.test_diff import GEO, HOSTS, near_tree
from tests.rig import snapshot_of


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
