"""What is in C paints prefixes as its twin in Python does."""

from __future__ import annotations

import os
import subprocess
import sys
from bisect import bisect_right
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redirector.locate.steps import Painted, paint, paint_plainly

needs_c = pytest.mark.skipif(paint is paint_plainly and not os.environ.get("CI"), reason="there was no compiler")

BITS = st.sampled_from([3, 32, 64])
"""So few that prefixes nest, touch and repeat; and all there are."""

Prefix = tuple[int, int, int]
"""Where it begins and ends, and its value."""


def prefixes_of(bits: int) -> st.SearchStrategy[list[Prefix]]:
    ends = st.sampled_from([0, 1, 2, 3, 2 ** (bits - 1), 2**bits - 2, 2**bits - 1])
    lengths = st.sampled_from([0, 1, 2, 3, bits - 1, bits])
    return st.lists(st.builds(lambda at, length, value: prefix(bits, at, length, value), ends, lengths, VALUES))


def prefix(bits: int, at: int, length: int, value: int) -> Prefix:
    span = 2 ** (bits - length) - 1
    return at & ~span, at | span, value


VALUES = st.integers(0, 3)
CASES = BITS.flatmap(lambda bits: st.tuples(st.just(bits), prefixes_of(bits), VALUES))
NESTED = [prefix(64, 0, length, length % 4) for length in range(65)]


def columns_of(prefixes: list[Prefix]) -> tuple[Any, Any, Any]:
    """In the order that is asked for; equal ones stay as they came."""
    ordered = sorted(prefixes, key=lambda each: (each[0], -each[1]))
    firsts, lasts, values = ([each[n] for each in ordered] for n in range(3))
    return np.array(firsts, np.uint64), np.array(lasts, np.uint64), np.array(values, np.uint32)


def folded(painted: Painted) -> list[tuple[int, int]]:
    """Steps that change something."""
    starts, values = np.frombuffer(painted[0], np.uint64).tolist(), np.frombuffer(painted[1], np.uint32).tolist()
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    return [
        (at, value)
        for n, (at, value) in enumerate(zip(starts, values, strict=True))
        if n == 0 or value != values[n - 1]
    ]


@needs_c
@given(CASES)
@example((64, [], 7))
@example((64, NESTED, 5))
@example((64, NESTED * 2, 5))
def test_prefixes_are_painted_as_they_are_in_python(case: tuple[int, list[Prefix], int]) -> None:
    bits, prefixes, ground = case
    asked = *columns_of(prefixes), ground, 2**bits - 1
    assert folded(paint(*asked)) == folded(paint_plainly(*asked))


@pytest.mark.parametrize("function", [paint, paint_plainly], ids=["in C", "in Python"])
@given(case=CASES)
def test_the_longest_prefix_holds_and_of_equal_ones_the_last(
    function: Any, case: tuple[int, list[Prefix], int]
) -> None:
    bits, prefixes, ground = case
    starts, values = zip(*folded(function(*columns_of(prefixes), ground, 2**bits - 1)), strict=True)
    for number in {
        0,
        2**bits - 1,
        *(at for each in prefixes for at in (each[0], each[1], min(each[1] + 1, 2**bits - 1))),
    }:
        around = [each for each in prefixes if each[0] <= number <= each[1]]
        narrowest = min((last - first for first, last, _ in around), default=0)
        found = [value for first, last, value in around if last - first == narrowest]
        assert values[bisect_right(starts, number) - 1] == (found[-1] if found else ground)


@needs_c
@pytest.mark.parametrize(
    "wrong",
    [
        (),
        (None, None, None, 0, 7),
        (bytes(8), bytes(8), bytes(4), None, 7),
        (bytes(8), bytes(8), bytes(8), 0, 7),
        (bytes(8), bytes(16), bytes(4), 0, 7),
        (bytes(7), bytes(7), bytes(4), 0, 7),
        (bytes(8), bytes(8), bytes(3), 0, 7),
        (memoryview(bytes(9))[1:], bytes(8), bytes(4), 0, 7),
        (bytes(8) * 66, np.arange(66, 0, -1).astype(np.uint64), bytes(4) * 66, 0, 100),
    ],
    ids=range(9),
)
def test_what_are_no_columns_of_prefixes_is_refused(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        paint(*wrong)


def test_a_checkout_that_was_not_built_paints_them_too() -> None:
    code = (
        "import sys; sys.modules['redirector.locate._steps'] = None\n"
        "from redirector.locate import steps\n"
        "assert steps.paint is steps.paint_plainly"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
