from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.sources.health import Health, lacking, parse_health
from redirector.sources.problems import Report
from tests.sources.tree import NOW, health_text

MIRRORS = {"a", "b", "c", "d"}
HOUR_S = 3600


def read(text: str | bytes, written: float = NOW) -> tuple[dict[str, Health], list[str]]:
    report = Report("health.json")
    raw = text if isinstance(text, bytes) else text.encode()
    health = parse_health(report, raw, written, NOW, MIRRORS)
    return health, [str(problem).removeprefix("health.json: ") for problem in report.problems]


def test_every_key_is_optional() -> None:
    entries = {
        "a": {},
        "b": {"up": False, "since": 1_789_990_000, "reason": "TIME is\n14 h old"},
        "c": {"up": True, "reason": "fine", "versions": ["9.8"], "ipv4": True, "ipv6": False},
    }
    health, problems = read(health_text(entries))
    assert problems == []
    assert health["a"] == Health()
    assert health["b"] == Health(up=False, reason="TIME is 14 h old, since 2026-09-21 11:26 UTC")
    assert health["c"] == Health(versions=frozenset({"9.8"}), ipv4=True, ipv6=False)
    assert read("{}") == ({}, [])


@pytest.mark.parametrize("age_s", [0, 2 * HOUR_S, -60])
def test_a_file_of_the_last_two_hours_is_believed(age_s: int) -> None:
    assert read(health_text({"a": {"up": False}}, NOW - age_s))[0]["a"].up is False


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (health_text({"a": {}}, NOW - 2 * HOUR_S - 1), "checked: 2026-09-21 12:13 UTC is not within 2 h of now"),
        (health_text({"a": {}}, NOW + 3 * HOUR_S), "checked: 2026-09-21 17:13 UTC is not within 2 h of now"),
        (health_text({"a": {}}, 1e300), "checked: 1e+300 is not within 2 h of now"),
        ('{"checked": "now", "mirrors": {}}', "checked: 'now' is no time"),
        ('{"checked": true}', "checked: True is no time"),
        ("[]", "mirrors: no object of mirrors"),
        ('{"mirrors": []}', "mirrors: no object of mirrors"),
        ("{", "file: no JSON"),
        (b"\xff", "file: no JSON"),
        ("[" * 100_000, "file: no JSON"),
        (health_text({name: {"up": False} for name in "abc"}), "mirrors: 3 of 4 mirrors down is not believable"),
    ],
)
def test_a_file_that_is_old_or_not_believable_is_ignored_with_a_warning(text: str | bytes, problem: str) -> None:
    health, problems = read(text)
    assert health == {}
    assert len(problems) == 1
    assert problems[0].startswith(problem) and problems[0].endswith("health is ignored")


def test_half_of_the_mirrors_may_be_down() -> None:
    health, problems = read(health_text({"a": {"up": False}, "b": {"up": False}}))
    assert problems == []
    assert [name for name in health if not health[name].up] == ["a", "b"]


def test_without_checked_the_time_of_the_file_counts() -> None:
    text = json.dumps({"mirrors": {"a": {"up": False}}})
    assert read(text, NOW - HOUR_S)[0]["a"].up is False
    assert read(text, NOW - 3 * HOUR_S)[0] == {}


def test_wrong_entries_are_left_out_and_named() -> None:
    entries = {"a": [], "b": {"up": "no", "versions": "9.8", "ipv6": 1, "since": "x"}, "z": {"up": False}}
    health, problems = read(health_text(entries))
    assert health == {"a": Health(), "b": Health()}
    assert problems == [
        "mirrors: no such mirror: z: left out",
        "mirrors.a: [] is no object: left out",
        "mirrors.b.up: 'no' is no boolean: left out",
        "mirrors.b.since: 'x' is no time: left out",
        "mirrors.b.versions: '9.8' is no list of texts: left out",
        "mirrors.b.ipv6: 1 is no boolean: left out",
    ]


def test_a_mirror_lacks_a_version_only_if_its_health_lists_others() -> None:
    health = {"a": Health(versions=frozenset({"9"})), "b": Health(), "c": Health(versions=frozenset())}
    assert lacking(health, {"9", "9.8"}) == {"c"}
    assert lacking(health, {"8", "8.10"}) == {"a", "c"}


ENTRY = st.dictionaries(
    st.sampled_from(["up", "since", "reason", "versions", "ipv4"]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.text(max_size=3), max_size=2),
)


@given(st.dictionaries(st.sampled_from("abcdz"), ENTRY))
def test_any_entries_are_read_or_reported(entries: dict[str, object]) -> None:
    text = health_text(entries)
    health, problems = read(text)
    assert set(health) <= MIRRORS
    assert all("\n" not in problem for problem in problems)
