"""What is kept between requests stays bounded, and what is asked for often stays."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.answer.choose.pool import Pool
from tests.answer.trees import tree_rig
from tests.rig import Rig, mirror, rig


def pool_of(limit_bytes: int) -> Pool[bytes]:
    return Pool(limit_bytes, len)


def test_what_was_kept_is_found() -> None:
    pool = pool_of(100)
    assert pool.find("a") is None
    assert pool.keep("a", b"x") == b"x"
    assert pool.find("a") == b"x"


def test_a_flood_of_keys_pushes_out_its_like_and_leaves_the_hot_ones() -> None:
    pool = pool_of(1000)
    pool.keep("hot", b"h" * 10)
    for n in range(10_000):
        pool.keep(n, b"x" * 10)
        if n % 40 == 0:
            assert pool.find("hot") is not None
    assert pool.find(0) is None
    assert pool.find(9_999) is not None


def test_what_is_not_asked_for_is_forgotten() -> None:
    pool = pool_of(100)
    pool.keep("cold", b"x")
    for n in range(100):
        pool.keep(n, b"x" * 10)
    assert pool.find("cold") is None


def test_a_pool_that_is_limited_later_soon_weighs_less() -> None:
    pool = pool_of(100_000)
    for n in range(1_000):
        pool.keep(n, b"x" * 10)
    pool.limit(100)
    for n in range(1_000, 1_020):
        pool.keep(n, b"x" * 10)
    assert sum(pool.find(n) is not None for n in range(1_020)) <= 12


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60)), max_size=200))
def test_entries_together_weigh_no_more_than_the_limit_and_one_entry(steps: list[tuple[int, int]]) -> None:
    pool = pool_of(100)
    kept: dict[int, bytes] = {}
    for key, size in steps:
        found = pool.find(key)
        assert found is None or found == kept[key]
        if found is None:
            kept[key] = pool.keep(key, bytes(size))
        assert sum(len(kept[each]) for each in kept if pool.find(each) is not None) <= 100 + 60 + 60


MIRRORS = [
    mirror(f"m{n}.example", country, netblocks=(f"10.1.{n}.0/24",)) for n, country in enumerate("DE FR US".split() * 60)
]

FLOODS = [
    pytest.param("exclude_host=m{n}.example&country={a}{b}&limit={n}", id="wishes"),
    pytest.param("unknown{n}=1", id="unknown parameters"),
    pytest.param("ip=10.1.{m}.{n}", id="ip"),
]


def flood(served: Rig, target: str, count: int) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    for n in range(1, count + 1):
        one = target.format(n=n % 180 + 1, m=n * 7 % 180, a=letters[n % 26], b=letters[n // 26 % 26])
        assert served.get(one, f"10.1.{n % 180}.1").status == 200


@pytest.mark.parametrize("flooded", FLOODS)
@pytest.mark.parametrize("kind", ["manager", "tree"])
def test_a_flood_of_odd_requests_adds_no_more_than_the_pool_s_limit(kind: str, flooded: str) -> None:
    limit_bytes = 400_000
    if kind == "tree":
        served, target = tree_rig(*MIRRORS, pool_bytes=limit_bytes), f"/mirrorlist/9/baseos?{flooded}"
    else:
        served = rig(*MIRRORS, pool_bytes=limit_bytes)
        target = f"/metalink?repo=fedora-40&arch=x86_64&{flooded}"
    flood(served, target, 10)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        flood(served, target, 200)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < limit_bytes
