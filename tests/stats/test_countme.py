"""Which lines say `countme`, and what is learnt from them: a row for each thing that makes a difference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redirector.stats.counts import first_open_week, is_past, week_days, week_of
from tests.stats.rig import FEDORA, TARGET, Line, count, systems

SAID = Line(f"{TARGET}&countme=1")
FOUND = ("Fedora Linux", "42", "workstation", "x86_64", 1, "fedora-42", "x86_64")
UNNAMED = ("", "", "", "", 1, "fedora-42", "x86_64")


def said(target: str) -> Line:
    return replace(SAID, target=target)


def by(agent: str) -> Line:
    return replace(SAID, agent=agent)


COUNTED = {
    "GET": (SAID, FOUND),
    "HEAD": (replace(SAID, method="HEAD"), FOUND),
    "302": (replace(SAID, status=302), FOUND),
    "HTTP/1.0": (replace(SAID, version="HTTP/1.0"), FOUND),
    "HTTP/2.0": (replace(SAID, version="HTTP/2.0"), FOUND),
    "HTTP/3": (replace(SAID, version="HTTP/3"), FOUND),
    "no size": (replace(SAID, size="-"), FOUND),
    "mirrorlist": (said("/mirrorlist?repo=fedora-42&arch=x86_64&countme=1"), FOUND),
    "a prefix": (said("/pub/list/metalink?repo=fedora-42&arch=x86_64&countme=1"), FOUND),
    "a slash at the end": (said("/metalink/?repo=fedora-42&arch=x86_64&countme=1"), FOUND),
    "a whole URL": (said("http://mirrors.example.org/metalink?repo=fedora-42&arch=x86_64&countme=1"), FOUND),
    "an escaped path": (said("/%6Detalink?repo=fedora-42&arch=x86_64&countme=1"), FOUND),
    "escaped values": (said("/metalink?repo=fedora%2D42&arch=x86%5F64&countme=%31"), FOUND),
    "escaped names": (said("/metalink?%72epo=fedora-42&arch=x86_64&%63ountme=1"), FOUND),
    "an escaped ampersand": (
        said("/metalink?repo=a%26b&arch=x86_64&countme=1"),
        ("Fedora Linux", "42", "workstation", "x86_64", 1, "a&b", "x86_64"),
    ),
    "other order": (said("/metalink?countme=1&arch=x86_64&repo=fedora-42"), FOUND),
    "other names beside": (said("/metalink?infra=$infra&repo=fedora-42&arch=x86_64&countme=1&x"), FOUND),
    "no arch": (said("/metalink?repo=fedora-42&countme=1"), (*FOUND[:-1], "")),
    "no repository": (said("/metalink?path=pub/fedora&countme=1"), (*FOUND[:-2], "", "")),
    "several, the last is right": (said(f"{TARGET}&countme=9&countme=1"), FOUND),
    "several right ones": (said(f"{TARGET}&countme=4&countme=1"), FOUND),
    "several repositories": (said(f"{TARGET}&repo=epel-9&countme=1"), (*FOUND[:-2], "epel-9", "x86_64")),
    "an empty one after it": (said(f"{TARGET}&countme=1&countme="), FOUND),
    "age 2": (said(f"{TARGET}&countme=2"), (*FOUND[:4], 2, *FOUND[5:])),
    "age 3": (said(f"{TARGET}&countme=3"), (*FOUND[:4], 3, *FOUND[5:])),
    "age 4": (said(f"{TARGET}&countme=4"), (*FOUND[:4], 4, *FOUND[5:])),
    "path style": (
        said("/mirrorlist/9/baseos?countme=1"),
        ("Fedora Linux", "42", "workstation", "x86_64", 1, "baseos-9", "x86_64"),
    ),
    "path style with an arch": (
        said("/mirrorlist/9/baseos?arch=aarch64&countme=1"),
        ("Fedora Linux", "42", "workstation", "x86_64", 1, "baseos-9", "aarch64"),
    ),
    "path style, escaped": (
        said("/mirrorlist/9/%62aseos/?countme=1"),
        ("Fedora Linux", "42", "workstation", "x86_64", 1, "baseos-9", "x86_64"),
    ),
    "path style, unknown system": (
        replace(said("/mirrorlist/9/baseos?countme=1"), agent="curl/8"),
        ("", "", "", "", 1, "baseos-9", ""),
    ),
    "libdnf with a version": (by("libdnf/0.35.5 (Fedora Linux 42; workstation; Linux.x86_64)"), FOUND),
    "rpm-ostree": (by("rpm-ostree (Fedora Linux 42; workstation; Linux.x86_64)"), FOUND),
    "rpm-ostree with a version": (by("rpm-ostree/2024.8 (Fedora Linux 42; workstation; Linux.x86_64)"), FOUND),
    "another system": (
        by("libdnf (AlmaLinux 9.4; generic; Linux.aarch64)"),
        ("AlmaLinux", "9.4", "generic", "aarch64", 1, "fedora-42", "x86_64"),
    ),
    "no variant": (
        by("libdnf (CentOS Stream 9; ; Linux.x86_64)"),
        ("CentOS Stream", "9", "", "x86_64", 1, "fedora-42", "x86_64"),
    ),
    "a name with brackets": (
        by("libdnf (My (own) OS 1; server; Linux.x86_64)"),
        ("My (own) OS", "1", "server", "x86_64", 1, "fedora-42", "x86_64"),
    ),
    "no agent": (by("-"), UNNAMED),
    "an empty agent": (by(""), UNNAMED),
    "another program": (by("dnf/4.14"), UNNAMED),
    "a program of a like name": (by("libdnf5 (Fedora Linux 42; workstation; Linux.x86_64)"), UNNAMED),
    "something behind it": (by(f"{FEDORA} extra"), UNNAMED),
    "something before it": (by(f"x {FEDORA}"), UNNAMED),
    "no system in it": (by("libdnf/0.35.5"), UNNAMED),
    "a part is missing": (by("libdnf (Fedora Linux 42; workstation)"), UNNAMED),
}

NOT_COUNTED = {
    "POST": replace(SAID, method="POST"),
    "404": replace(SAID, status=404),
    "304": replace(SAID, status=304),
    "no countme": Line(),
    "a file": said("/pub/fedora/repomd.xml?countme=1"),
    "a like path": said("/metalinks?repo=fedora-42&arch=x86_64&countme=1"),
    "a longer path": said("/metalink/x?repo=fedora-42&arch=x86_64&countme=1"),
    "an ISO list": said("/isolist/9/x86_64?countme=1"),
    "another parameter": said(f"{TARGET}&xcountme=1"),
    "within a value": said(f"{TARGET}&x=countme=1"),
}

WRONG = {
    "0": "countme=0",
    "5": "countme=5",
    "negative": "countme=-1",
    "padded": "countme=01",
    "a word": "countme=yes",
    "a fraction": "countme=1.0",
    "empty": "countme=",
    "no value": "countme",
    "several, the last is wrong": "countme=1&countme=9",
}


@pytest.mark.parametrize("form", ["combined", "json"])
@pytest.mark.parametrize("name", COUNTED)
def test_counted(name: str, form: str) -> None:
    line, expected = COUNTED[name]
    counts = count(getattr(line, form)())
    assert systems(counts) == [expected]
    assert (counts.unread, counts.wrong_age) == (0, 0)


@pytest.mark.parametrize("form", ["combined", "json"])
@pytest.mark.parametrize("name", NOT_COUNTED)
def test_not_counted(name: str, form: str) -> None:
    counts = count(getattr(NOT_COUNTED[name], form)())
    assert (systems(counts), counts.unread, counts.wrong_age) == ([], 0, 0)


@pytest.mark.parametrize("form", ["combined", "json"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_reported(name: str, form: str) -> None:
    counts = count(getattr(said(f"{TARGET}&{WRONG[name]}"), form)())
    assert (systems(counts), counts.wrong_age) == ([], 1)


@pytest.mark.parametrize("agent", [r"a \"quoted\" agent", r"a\x22b\x22", r"ends with \\"])
def test_quotation_marks_in_an_agent_change_nothing(agent: str) -> None:
    counts = count(b"".join([SAID.combined(), replace(SAID, agent=agent).combined(), SAID.combined()]))
    assert systems(counts) == sorted([FOUND, FOUND, UNNAMED])
    assert counts.unread == 0


ZONES = {
    "before the edge": ("29/Nov/2026:23:59:59 +0000", 2968),
    "at the edge": ("30/Nov/2026:00:00:00 +0000", 2969),
    "east of it": ("30/Nov/2026:00:59:59 +0100", 2968),
    "west of it": ("29/Nov/2026:19:00:00 -0500", 2969),
    "half an hour": ("30/Nov/2026:05:29:59 +0530", 2968),
    "half an hour more": ("30/Nov/2026:05:30:00 +0530", 2969),
}


@pytest.mark.parametrize("name", ZONES)
def test_weeks_begin_on_monday_in_utc(name: str) -> None:
    time, week = ZONES[name]
    assert [row.weeknum for row in count(replace(SAID, time=time).combined()).countme] == [week]


def test_weeks_are_counted_from_the_first_monday_of_1970() -> None:
    assert (week_of(345_600), week_of(345_599), week_of(1_581_292_800)) == (0, -1, 2614)
    assert [str(day) for day in week_days(2614)] == ["2020-02-10", "2020-02-16"]


def test_a_week_is_past_ten_minutes_after_its_end() -> None:
    end = 345_600 + 2970 * 604_800
    assert not is_past(2969, end + 599)
    assert is_past(2969, end + 600)
    assert (first_open_week(end + 599), first_open_week(end + 600)) == (2969, 2970)


@pytest.mark.parametrize(
    ("line", "newest"),
    [
        (replace(SAID, time="30/Nov/2026:00:09:59 +0000"), 1_795_997_340),
        (replace(SAID, time="30/Nov/2026:00:10:00 +0000", status=404, target="/favicon.ico"), 1_795_997_400),
        (replace(SAID, time="30/Nov/2026:01:10:00 +0100", method="POST"), 1_795_997_400),
    ],
)
def test_the_newest_line_is_the_newest_of_any_kind(line: Line, newest: int) -> None:
    counts = count(SAID.combined() + line.combined())
    assert counts.newest == newest
    assert is_past(2968, newest) == (newest == 1_795_997_400)
