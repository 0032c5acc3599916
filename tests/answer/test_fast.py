"""What is in C says what it says in Python, and refuses what would be unsafe."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.answer.choose import draw as drawing
from redirector.answer.choose.draw import draw, draw_plainly
from redirector.answer.show import frames
from redirector.answer.show.join import MARK, PREFERENCE, join, join_plainly
from redirector.snapshot.draws import SLOTS, draws_of, keys_of, name_bits
from tests.rig import mirror, rig

IS_BUILT = draw is not draw_plainly and join is not join_plainly

needs_c = pytest.mark.skipif(not IS_BUILT and not os.environ.get("CI"), reason="there was no compiler")


NAMES = name_bits(draws_of([f"m{n}" for n in range(901)]))


class Last:
    """Draws the last one; or someone else."""

    def __init__(self, stranger: str | None = None) -> None:
        self.stranger = stranger

    def draw_alone(self, present: str, seed: int) -> str:
        assert 0 <= seed < 2**64
        return self.stranger or present[-1]


def heads_of(hosts: str) -> str:
    return (hosts * SLOTS)[:SLOTS]


texts = st.lists(st.sampled_from([MARK, PREFERENCE, b"a", b"bc", b"d" * 70]), max_size=9).map(b"".join)
plain = st.binary(max_size=40).map(lambda text: text.replace(MARK, b"").replace(PREFERENCE, b""))


@needs_c
@given(plain, st.lists(texts, max_size=9), plain, plain, st.lists(plain, max_size=4).map(tuple))
def test_both_join_alike(
    top: bytes, entries: list[bytes], seam: bytes, end: bytes, preferences: tuple[bytes, ...]
) -> None:
    assert join(top, entries, seam, end, preferences) == join_plainly(top, entries, seam, end, preferences)


@needs_c
def test_both_join_alike_whatever_was_joined_before() -> None:
    entries = [MARK * 1_000 + PREFERENCE * 1_000] * 3
    of_short = (b"top", [b"entry"], b"seam", b"end", ())
    of_long = (b"top", entries, b"seam" * 100, b"end", (b"100" * 50, b"99"))
    for asked in (of_short, of_long, of_short):
        assert join(*asked) == join_plainly(*asked)


@st.composite
def lists_of(draw_one: st.DrawFn) -> tuple[tuple[int, ...], str, tuple[drawing.Span, ...], int]:
    """A list with some spans, of which some hosts of the tables are absent."""
    numbers = draw_one(st.lists(st.integers(1, 900), max_size=40, unique=True))
    hosts = "".join(map(chr, numbers))
    cuts = sorted(draw_one(st.sets(st.integers(0, len(hosts)), max_size=6)))
    spans = []
    for start, stop in pairwise(cuts):
        strangers = "".join(map(chr, range(1_000, 1_000 + draw_one(st.sampled_from([0, 1, 30, 3_000])))))
        table: str | bytes = heads_of(strangers + hosts[start:stop])
        if draw_one(st.booleans()):
            weights = draw_one(st.lists(st.floats(1e-9, 1e9), min_size=stop - start, max_size=stop - start))
            table = keys_of(NAMES, numbers[start:stop], weights, draw_one(st.integers(1, 12)))
        spans.append((start, stop, table, Last()))
    return tuple(range(len(hosts))), hosts, tuple(spans), draw_one(st.integers(0, 2**64 - 1))


@needs_c
@given(lists_of())
def test_both_draw_alike(asked: tuple[tuple[int, ...], str, tuple[drawing.Span, ...], int]) -> None:
    assert draw(*asked) == draw_plainly(*asked)


@needs_c
@pytest.mark.parametrize("drawn", [1, 63, 64, 65, 99, 500])
@pytest.mark.parametrize("count", [63, 64, 65, 300])
def test_both_draw_alike_however_long_the_list_is(count: int, drawn: int) -> None:
    numbers = range(1, count + 1)
    keys = keys_of(NAMES, numbers, [1.0 + n % 7 for n in numbers], drawn)
    for seed in range(20):
        asked = (
            tuple(numbers),
            "".join(map(chr, numbers)),
            ((0, count, keys, Last()),),
            seed * 0x9E3779B97F4A7C15 % 2**64,
        )
        one, other = draw(*asked), draw_plainly(*asked)
        assert one == other
        moved = min(drawn, count, drawing.MOST_DRAWN)
        assert one[0][moved:] == sorted(one[0][moved:])


@pytest.mark.parametrize("function", [draw, draw_plainly])
def test_the_first_is_the_head_and_the_second_has_draws_of_its_own(function: Callable[..., Any]) -> None:
    hosts, tail = "abcd", ("A", "B", "C", "D")
    spans = ((0, 3, heads_of("abc"), Last()), (3, 4, heads_of("d"), Last()))
    b, c, a = 1, 2, 0
    assert function(tail, hosts, spans, b | c << 20) == (["B", "C", "A", "D"], ord("b"))
    assert function(tail, hosts, spans, c | a << 20) == (["C", "A", "B", "D"], ord("c"))
    assert function(tail, hosts, spans, b | b << 20 | c << 30) == (["B", "C", "A", "D"], ord("b"))
    assert function(tail, hosts, spans, b | b << 20 | b << 30) == (["B", "A", "C", "D"], ord("b"))
    assert function((), "", (), 7) == ([], None)
    assert function(tail, hosts, (), 7) == (["A", "B", "C", "D"], ord("a"))


@pytest.mark.parametrize("function", [draw, draw_plainly])
def test_whoever_is_not_in_the_table_is_drawn_alone(function: Callable[..., Any]) -> None:
    span = (0, 3, heads_of("x"), Last())
    assert function(("A", "B", "C"), "abc", (span,), 2**64 - 1) == (["C", "A", "B"], ord("c"))


@needs_c
@pytest.mark.parametrize(
    "asked",
    [
        (("A",), "a", ((0, 1, b"x" * 31, Last()),), 1),
        (),
        (("A",), "a", ()),
        (["A"], "a", (), 1),
        (("A",), b"a", (), 1),
        (("A",), "a", [], 1),
        (("A",), "a", (), 1.0),
        (("A", "B"), "a", (), 1),
        (("A",), "a", (5,), 1),
        (("A",), "a", ((0, 1, heads_of("a")),), 1),
        (("A",), "a", (("0", 1, heads_of("a"), Last()),), 1),
        (("A",), "a", ((0, 1, b"a" * SLOTS, Last()),), 1),
        (("A",), "a", ((0, 1, "a", Last()),), 1),
        (("A",), "a", ((-1, 1, heads_of("a"), Last()),), 1),
        (("A",), "a", ((0, 2, heads_of("a"), Last()),), 1),
        (("A",), "a", ((1, 1, heads_of("a"), Last()),), 1),
        (("A",), "a", ((0, 2**80, heads_of("a"), Last()),), 1),
        (("A",), "a", ((0, 1, heads_of("x"), Last("y")),), 1),
        (("A",), "a", ((0, 1, heads_of("x"), None),), 1),
    ],
)
def test_no_drawing_from_what_is_not_a_list(asked: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError, AttributeError)):
        draw(*asked)


@needs_c
@pytest.mark.parametrize(
    "asked",
    [
        (b"", [b""], b"", b""),
        (b"", (b"",), b"", b"", ()),
        ("", [b""], b"", b"", ()),
        (b"", [""], b"", b"", ()),
        (b"", [b""], None, b"", ()),
        (b"", [b""], b"", bytearray(), ()),
        (b"", [b""], b"", b"", [b"1"]),
        (b"", [b""], b"", b"", (1,)),
    ],
)
def test_no_joining_of_what_is_not_bytes(asked: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        join(*asked)


@needs_c
def test_nothing_is_kept_of_what_was_drawn_and_joined() -> None:
    entries = tuple(b"entry %d" % n for n in range(50))
    hosts = "".join(map(chr, range(300, 350)))
    spans = ((0, 50, heads_of("x"), Last()),)

    def work() -> None:
        for seed in range(2_000):
            drawn, _ = draw(entries, hosts, spans, seed)
            join(b"top", drawn, b"seam", b"end", (b"100",))
            with pytest.raises(ValueError):
                draw(entries, hosts, ((0, 50, heads_of("x"), Last("y")),), seed)

    work()
    counts = [sys.getrefcount(each) for each in (entries[0], hosts, spans)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    work()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert [sys.getrefcount(each) for each in (entries[0], hosts, spans)] == counts
    assert grown < 20_000


def test_without_a_compiler_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    served = rig(*(mirror(f"m{n}.example", "DE", bandwidth_mbit=10 + n) for n in range(30)))
    targets = ["/mirrorlist?repo=fedora-40&arch=x86_64", "/metalink?repo=fedora-40&arch=x86_64"]
    clients = [f"10.1.0.{n}" for n in range(1, 60)]
    fast = [served.get(target, client).body for target in targets for client in clients]
    monkeypatch.setattr("redirector.answer.choose.lineup.draw", draw_plainly)
    monkeypatch.setattr(frames, "join", join_plainly)
    assert [served.get(target, client).body for target in targets for client in clients] == fast


def test_a_checkout_that_was_not_built_works() -> None:
    code = (
        "import sys; sys.modules['redirector.answer._fast'] = None\n"
        "from redirector.answer.choose import draw\nfrom redirector.answer.show import join\n"
        "assert draw.draw is draw.draw_plainly and join.join is join.join_plainly"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (draw is draw_plainly) == (join is join_plainly)
