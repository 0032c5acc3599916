"""Variates, heads and tails: exact shares, and orders that hang on names alone."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from redirector.snapshot.draws import SLOTS, draws_of, heads_of, lone_head_of, tail_of

NAMES = [f"host{n}.example" for n in range(60)]
DRAWS = draws_of(NAMES)

WEIGHTS = st.lists(st.sampled_from((1, 2, 7, 100, 1000, 10_000)), min_size=1, max_size=len(NAMES))


@given(WEIGHTS)
def test_heads_have_their_exact_shares_of_the_slots(weights: list[int]) -> None:
    heads = Counter(heads_of(DRAWS, range(len(weights)), weights).tolist())
    assert sum(heads.values()) == SLOTS
    for member, weight in enumerate(weights):
        assert abs(heads[member] - SLOTS * weight / sum(weights)) < 1


@given(WEIGHTS, st.randoms(use_true_random=False))
def test_the_order_of_members_makes_no_difference(weights: list[int], chance: Random) -> None:
    members = list(range(len(weights)))
    chance.shuffle(members)
    shuffled = [weights[member] for member in members]
    plain = heads_of(DRAWS, range(len(weights)), weights)
    assert [members[head] for head in heads_of(DRAWS, members, shuffled)] == plain.tolist()
    assert [members[n] for n in tail_of(DRAWS, members, shuffled)] == tail_of(DRAWS, range(len(weights)), weights)


@given(WEIGHTS)
def test_a_tail_is_an_order_of_all_and_a_host_that_leaves_moves_no_other(weights: list[int]) -> None:
    members = range(len(weights))
    order = tail_of(DRAWS, members, weights)
    assert sorted(order) == list(members)
    assert tail_of(DRAWS, members[1:], weights[1:]) == [member - 1 for member in order if member != 0]


def test_slots_of_other_hosts_stay_when_one_joins() -> None:
    weights = [100 + n for n in range(60)]
    before = heads_of(DRAWS, range(59), weights[:59])
    after = heads_of(DRAWS, range(60), weights)
    moved = np.count_nonzero((before != after) & (after != 59))
    assert 0 < moved < 2 * np.count_nonzero(after == 59)


def test_a_head_without_a_table_has_its_share() -> None:
    weights = [500, 300, 150, 50]
    firsts = Counter(
        lone_head_of(DRAWS, [9, 4, 7, 1], weights, seed * 0x9E3779B97F4A7C15 % 2**64) for seed in range(20_000)
    )
    for member, weight in enumerate(weights):
        assert abs(firsts[member] / 20_000 - weight / 1000) < 0.01


def test_a_head_without_a_table_hangs_on_the_seed_and_on_names_alone() -> None:
    for seed in (0, 1, 2**63, 2**64 - 1):
        members = [3, 8, 21, 34]
        first = members[lone_head_of(DRAWS, members, [5, 6, 7, 8], seed)]
        assert members[::-1][lone_head_of(DRAWS, members[::-1], [8, 7, 6, 5], seed)] == first
        others = [member for member in members if member == first or member == members[0]]
        weights = [5 + members.index(member) for member in others]
        assert others[lone_head_of(DRAWS, others, weights, seed)] == first


def test_variates_are_exponential() -> None:
    assert DRAWS.shape == (60, SLOTS + 1)
    assert abs(float(DRAWS.mean()) - 1) < 0.02
    assert abs(float(DRAWS.std()) - 1) < 0.02
    assert float(DRAWS.min()) > 0
    assert np.isfinite(DRAWS).all()
    assert np.array_equal(draws_of(NAMES[5:7]), DRAWS[5:7])


def test_no_hosts_have_no_variates() -> None:
    assert draws_of([]).shape == (0, SLOTS + 1)
