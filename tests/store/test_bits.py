"""Bit strings against sets of numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redirector.store.bits import Renumbering, change_bits, count_bits, find_positions, has_bit, make_bits

LENGTHS = st.integers(0, 70)
PATHS = st.lists(st.binary(max_size=2), unique=True).map(sorted)


@given(st.data(), LENGTHS)
def test_bits_are_a_set_of_positions(data: st.DataObject, length: int) -> None:
    ones = data.draw(st.sets(st.integers(0, length - 1)) if length else st.just(set[int]()))
    bits = make_bits(ones, length)
    assert len(bits) == (length + 7) // 8
    assert find_positions(bits) == sorted(ones)
    assert count_bits(bits) == len(ones)
    assert {each for each in range(length + 20) if has_bit(bits, each)} == ones


@given(st.data(), LENGTHS, st.integers(1, 70))
def test_changes_reach_the_new_length(data: st.DataObject, length: int, longer: int) -> None:
    before = data.draw(st.sets(st.integers(0, length - 1)) if length else st.just(set[int]()))
    ones, zeros = (data.draw(st.sets(st.integers(0, longer - 1))) for _ in range(2))
    bits = change_bits(make_bits(before, length), ones, zeros, longer)
    assert set(find_positions(bits)) == ({each for each in before if each < longer} | ones) - zeros
    assert len(bits) == (longer + 7) // 8


@given(PATHS, PATHS, st.data())
def test_each_path_keeps_its_bit(old: list[bytes], new: list[bytes], data: st.DataObject) -> None:
    had = data.draw(st.sets(st.sampled_from(old)) if old else st.just(set[bytes]()))
    bits = Renumbering(old, new).apply(make_bits(map(old.index, had), len(old)))
    assert {new[each] for each in find_positions(bits)} == had & set(new)
    assert len(bits) == (len(new) + 7) // 8


@given(PATHS, PATHS, st.data())
def test_there_and_back_loses_only_what_was_gone(old: list[bytes], new: list[bytes], data: st.DataObject) -> None:
    had = data.draw(st.sets(st.sampled_from(old)) if old else st.just(set[bytes]()))
    bits = make_bits(map(old.index, had), len(old))
    back = Renumbering(new, old).apply(Renumbering(old, new).apply(bits))
    assert {old[each] for each in find_positions(back)} == had & set(new)


def test_a_short_string_has_zeros_behind_it() -> None:
    assert find_positions(Renumbering([b"a", b"b"], [b"b", b"c"]).apply(b"")) == []
    assert not has_bit(b"", 5)
