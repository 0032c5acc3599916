"""Evidence to findings: each row of the table of directories, and of markers."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from redirector.health.evidence import FAILED, Evidence, Outcome
from redirector.health.expected import Expected, NamedFile, Version
from redirector.health.judge import (
    Before,
    Content,
    Finding,
    explain,
    judge_files,
    judge_index,
    judge_listed,
    judge_marker,
    judge_verification,
)
from redirector.health.rules import Rules
from tests.health.seen import HOUR, NAME, NOW, file, index, marker, master, repository, sum_of

RULES = Rules()
THREE = repository(("new", 2), ("older", 20), ("oldest", 200))


def judged(seen: Evidence, expected: Expected = THREE, before: Before | None = None, **changes: Any) -> Finding:
    return judge_index(expected, seen, before or Before(), RULES, soft404=changes.get("soft404", False))


@pytest.mark.parametrize(
    ("seen", "content", "lacked_hours"),
    [
        pytest.param(index("new"), Content.CURRENT, 0, id="newest checksum"),
        pytest.param(index("older"), Content.BEHIND, 2, id="an older push, within 12 hours"),
        pytest.param(index("oldest"), Content.STALE, 20, id="an older push, beyond"),
        pytest.param(index("x", stamp=NOW - 300 * HOUR), Content.STALE, 200, id="unknown, older"),
        pytest.param(index("x", stamp=NOW - 2 * HOUR), Content.STALE, 200, id="unknown, of the same time"),
        pytest.param(index("x", stamp=None), Content.STALE, 200, id="unknown, time not readable"),
        pytest.param(index("x", stamp=NOW - HOUR), Content.AHEAD, 0, id="unknown, newer"),
        pytest.param(index("x", stamp=NOW + 301), Content.STALE, 200, id="unknown, of tomorrow"),
        pytest.param(index("", Outcome.MISSING, status=404), Content.ABSENT, 0, id="404"),
        pytest.param(index("", Outcome.BUSY, status=429), Content.NO_ANSWER, 0, id="busy"),
        pytest.param(index("", Outcome.DENIED, status=403), Content.NO_ANSWER, 0, id="403 of what is public"),
        pytest.param(index("", Outcome.UNASKED), Content.NO_ANSWER, 0, id="not asked"),
        pytest.param(index("page", html=True), Content.STALE, 200, id="HTML, control not there"),
        pytest.param(index("new", html=True), Content.CURRENT, 0, id="the checksum decides, whatever it looks like"),
    ],
)
def test_repositories(seen: Evidence, content: Content, lacked_hours: int) -> None:
    found = judged(seen)
    assert found.content is content
    assert found.lacked == (NOW - lacked_hours * HOUR if lacked_hours else 0)
    assert (found.reason == "") is (content is Content.CURRENT)


@pytest.mark.parametrize("outcome", sorted(FAILED))
def test_a_failure_says_nothing_about_content(outcome: Outcome) -> None:
    assert judged(index("", outcome)).content is Content.NO_ANSWER


def test_html_where_everything_is_there_is_absent() -> None:
    assert judged(index("page", html=True), soft404=True).content is Content.ABSENT
    assert judged(index("new", html=True), soft404=True).content is Content.CURRENT


def test_lag_is_the_first_push_lacked_not_the_age_of_what_is_there() -> None:
    weekly = repository(("new", 1), ("last week's", 169))
    found = judged(index("last week's"), weekly)
    assert (found.content, NOW - found.lacked) == (Content.BEHIND, HOUR)


@pytest.mark.parametrize(
    ("hours", "content"), [(12, Content.BEHIND), (13, Content.STALE)], ids=["exactly 12 hours", "13 hours"]
)
def test_the_bound_of_lag(hours: int, content: Content) -> None:
    assert judged(index("older"), repository(("new", hours), ("older", 100))).content is content


def test_ahead_turns_stale_when_nobody_learns_of_it() -> None:
    seen = index("x", stamp=NOW - HOUR)
    early = Before(NOW - 11 * HOUR, sum_of("x"))
    late = Before(NOW - 12 * HOUR, sum_of("x"))
    assert judged(seen, before=early).content is Content.AHEAD
    assert judged(seen, before=late).content is Content.STALE
    assert judged(index("x"), repository(("x", 1), ("new", 2)), late).content is Content.CURRENT


def test_ahead_stays_so_while_nobody_looks_at_the_master() -> None:
    seen, before = index("x", stamp=NOW - HOUR), Before(NOW - 40 * HOUR, sum_of("x"))
    assert judged(seen, before=replace(before, known_at=NOW - 39 * HOUR)).content is Content.AHEAD
    assert judged(seen, before=replace(before, known_at=NOW - 28 * HOUR)).content is Content.STALE


@pytest.mark.parametrize(
    ("remembered", "content"), [("new", Content.CURRENT), ("older", Content.BEHIND), ("oldest", Content.STALE)]
)
def test_unchanged_is_what_it_was_against_what_the_master_is(remembered: str, content: Content) -> None:
    assert judged(index("", Outcome.UNCHANGED, status=304), before=Before(0, sum_of(remembered))).content is content


def test_without_checksums_size_and_time_do() -> None:
    known = replace(THREE, versions=(Version("", 3000, NOW - 2 * HOUR, NOW - 2 * HOUR),))
    assert judged(index("x", size_bytes=3000, stamp=NOW - 2 * HOUR), known).content is Content.CURRENT
    assert judged(index("x", size_bytes=3001, stamp=NOW - 2 * HOUR), known).content is Content.STALE
    assert judged(index("x", size_bytes=3000, stamp=NOW - 9 * HOUR), known).content is Content.STALE


def test_where_nothing_is_known_being_there_is_enough() -> None:
    unknown = repository()
    assert judged(index("anything"), unknown).content is Content.CURRENT
    assert judged(index("page", html=True), unknown).content is Content.STALE
    assert judged(index("", Outcome.MISSING), unknown).content is Content.ABSENT


# -- The newest package and the primary --------------------------------------------------------------------------------

FILES = (NamedFile(f"{NAME}/repodata/1-primary.xml.gz", 50), NamedFile(f"{NAME}/Packages/p-2.rpm", 100))
WITH_FILES = replace(THREE, files=FILES)


@pytest.mark.parametrize(
    ("sizes", "content", "verified"),
    [
        pytest.param((50, 100), Content.CURRENT, True, id="both there"),
        pytest.param((50, None), Content.ABSENT, False, id="package missing"),
        pytest.param((None, 100), Content.ABSENT, False, id="primary missing"),
        pytest.param((50, 99), Content.ABSENT, False, id="package cut, sent whole"),
    ],
)
def test_current_needs_the_newest_package(
    sizes: tuple[int | None, int | None], content: Content, verified: bool
) -> None:
    seen = [
        file(each.path, size) if size is not None else file(each.path, None, Outcome.MISSING, status=404)
        for each, size in zip(FILES, sizes, strict=True)
    ]
    for order in permutations(seen):
        found = judge_verification(WITH_FILES, judged(index("new"), WITH_FILES), order, soft404=False)
        assert (found.content, found.verified) == (content, verified)


def test_a_package_that_gives_no_answer_is_asked_for_again() -> None:
    seen = [file(FILES[0].path, 50), file(FILES[1].path, None, Outcome.SERVER_ERROR, status=502)]
    found = judge_verification(WITH_FILES, judged(index("new"), WITH_FILES), seen, soft404=False)
    assert (found.content, found.verified) == (Content.CURRENT, False)


def test_where_everything_is_there_only_checksums_count() -> None:
    seen = [file(each.path, 1) for each in FILES]
    found = judge_verification(WITH_FILES, judged(index("new"), WITH_FILES), seen, soft404=True)
    assert found.content is Content.CURRENT


# -- Directories without index -----------------------------------------------------------------------------------------

ISOS = Expected("9.8/isos", files=(NamedFile("9.8/isos/a.iso", 10), NamedFile("9.8/isos/b.iso", 20)), pushed=NOW - HOUR)
A, B = (each.path for each in ISOS.files)
GONE = Outcome.MISSING


@pytest.mark.parametrize(
    ("seen", "content"),
    [
        pytest.param([file(A, 10), file(B, 20)], Content.CURRENT, id="both"),
        pytest.param([file(A, 10), file(B, None, GONE)], Content.BEHIND, id="one missing"),
        pytest.param([file(A, 10), file(B, 19)], Content.BEHIND, id="one of another size"),
        pytest.param([file(A, None, GONE), file(B, None, GONE)], Content.ABSENT, id="none"),
        pytest.param([file(A, 10), file(B, None, Outcome.TIMEOUT)], Content.NO_ANSWER, id="a timeout"),
        pytest.param([file(A, 10), file(B, 20, html=True)], Content.BEHIND, id="a page instead"),
    ],
)
def test_newest_files(seen: list[Evidence], content: Content) -> None:
    for order in permutations(seen):
        assert judge_files(ISOS, order, RULES, soft404=False).content is content
    assert judge_files(ISOS, seen, RULES, soft404=True).content is Content.NOT_JUDGED


def test_newest_files_lacked_for_long_are_stale() -> None:
    old = replace(ISOS, pushed=NOW - 13 * HOUR)
    assert judge_files(old, [file(A, 10), file(B, None, GONE)], RULES, soft404=False).content is Content.STALE


# -- Without checksums -------------------------------------------------------------------------------------------------

SIZES = replace(
    THREE,
    versions=tuple(
        replace(version, size_bytes=size) for version, size in zip(THREE.versions, (3000, 3000, 2900), strict=True)
    ),
)


@pytest.mark.parametrize(
    ("size", "hours", "content"),
    [
        pytest.param(3000, None, Content.CURRENT, id="the newest size"),
        pytest.param(3000, 2, Content.CURRENT, id="the newest of two of one size, by its time"),
        pytest.param(3000, 19, Content.BEHIND, id="the older of two of one size"),
        pytest.param(2900, 200, Content.STALE, id="an older size"),
        pytest.param(1234, 0, Content.AHEAD, id="another size, newer"),
        pytest.param(1234, 3, Content.STALE, id="another size, older"),
        pytest.param(1234, None, Content.STALE, id="another size of no time"),
    ],
)
def test_what_is_too_large_to_be_fetched_is_told_by_size_and_last_modified(
    size: int, hours: int | None, content: Content
) -> None:
    modified = None if hours is None else NOW - hours * HOUR
    seen = index(size_bytes=size, modified=modified, sha256="")
    assert judged(seen, SIZES).content is content
    assert judge_listed(SIZES, seen, (), Before(), RULES).content is content


COMING = (NamedFile(f"{NAME}/p.rpm", 100), NamedFile(f"{NAME}/primary", 100))


@pytest.mark.parametrize(
    ("seen", "content"),
    [
        pytest.param([file(each.path) for each in COMING], Content.CURRENT, id="all there"),
        pytest.param(
            [file(COMING[0].path), file(COMING[1].path, None, Outcome.MISSING)], Content.BEHIND, id="one missing"
        ),
        pytest.param([file(COMING[0].path), file(COMING[1].path, 99)], Content.BEHIND, id="one of another size"),
        pytest.param(
            [file(COMING[0].path), file(COMING[1].path, None, Outcome.DENIED)], Content.NO_ANSWER, id="denied"
        ),
    ],
)
def test_a_listed_index_is_the_newest_with_the_files_that_come_with_it(seen: list[Evidence], content: Content) -> None:
    listed = index(size_bytes=3000, modified=NOW - 2 * HOUR, sha256="")
    for order in permutations(seen):
        found = judge_listed(replace(SIZES, files=COMING), listed, order, Before(), RULES)
        assert (found.content, found.verified) == (content, content is Content.CURRENT)


def test_a_listed_index_that_is_missing_is_absent() -> None:
    assert judge_listed(SIZES, index("", Outcome.MISSING), (), Before(), RULES).content is Content.ABSENT


@pytest.mark.parametrize(
    ("content", "until", "expected"),
    [
        ("older", NOW - 1, Content.STALE),
        ("older", NOW + 1, Content.BEHIND),
        ("x", NOW - 1, Content.STALE),
        ("new", NOW - 1, Content.CURRENT),
    ],
    ids=["an older push, expired", "an older push", "unknown, expired", "the master's own has expired too"],
)
def test_a_release_that_has_expired_is_stale(content: str, until: int, expected: Content) -> None:
    release = replace(THREE, index="dists/stable/InRelease")
    seen = index(content, stamp=NOW - HOUR, valid_until=until)
    assert judged(seen, release).content is expected
    unchanged = index("", Outcome.UNCHANGED)
    assert judged(unchanged, release, Before(NOW - 5, sum_of(content), until)).content is expected


# -- Markers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "age_s"),
    [
        pytest.param(marker(NOW - HOUR), HOUR, id="an hour behind the master's"),
        pytest.param(marker(NOW), 0, id="the master's"),
        pytest.param(marker(NOW + 60), 0, id="newer than the master's"),
        pytest.param(marker(NOW + 301), None, id="of tomorrow: never age 0"),
        pytest.param(marker(None), None, id="not readable: never age 0"),
        pytest.param(marker(NOW, html=True), None, id="a page"),
        pytest.param(marker(None, outcome=Outcome.MISSING), None, id="missing"),
    ],
)
def test_markers(seen: Evidence, age_s: float | None) -> None:
    assert judge_marker(master(THREE), seen).age_s == age_s


def test_without_the_masters_marker_the_clock_counts() -> None:
    assert judge_marker(master(THREE, stamp=None), marker(NOW - HOUR)).age_s == HOUR


def test_a_state_is_the_masters_or_says_nothing() -> None:
    one = master(THREE, stamp=None, text="compose-7", marker="COMPOSE_ID")
    assert judge_marker(one, marker(None, text="compose-7")).age_s == 0
    other = judge_marker(one, marker(None, text="compose-6"))
    assert other.age_s is None
    assert "compose-6" in other.reason
    summed = master(THREE, stamp=None, sha256=sum_of("compose-7"), marker="COMPOSE_ID")
    assert judge_marker(summed, marker(None, text="compose-7", sha256=sum_of("compose-7"))).age_s == 0
    earlier = marker(None, text="compose-6", sha256=sum_of("compose-6"))
    assert judge_marker(summed, earlier).age_s is None
    assert judge_marker(replace(summed, since=NOW - 2 * HOUR), earlier).age_s == 2 * HOUR


@pytest.mark.parametrize(
    ("outcome", "status", "finding", "told"),
    [
        (Outcome.TIMEOUT, None, "no answer in time", "x: no answer in time"),
        (Outcome.TIMEOUT, None, "no answer about the name m", "x: no answer in time: no answer about the name m"),
        (Outcome.DENIED, 403, "403 Forbidden", "x: denied (403): Forbidden"),
        (Outcome.DENIED, 403, "403", "x: denied (403)"),
        (Outcome.TLS_EXPIRED, None, "certificate: certificate has expired", "x: its certificate has expired"),
        (Outcome.NO_CONNECTION, None, "no connection", "x: no connection"),
        (Outcome.REDIRECT, 302, "a redirect to another file", "x: redirected elsewhere (302): to another file"),
        (Outcome.UNREADABLE, 418, "418 I'm a teapot", "x: not readable (418): I'm a teapot"),
    ],
    ids=["timeout", "no name server", "denied", "denied, no words", "expired", "refused", "redirect", "teapot"],
)  # fmt: skip
def test_nothing_is_said_twice(outcome: Outcome, status: int | None, finding: str, told: str) -> None:
    assert explain(index("", outcome, status=status, finding=finding), "x") == told
