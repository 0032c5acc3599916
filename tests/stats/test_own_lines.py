"""The lines that our own server writes have all that is counted, in each of its formats."""

from __future__ import annotations

import pytest

from redirector.answer.answer import Answer, Kind, Tier
from redirector.server.between.access_log import FORMATS, LogEntry, Moment
from redirector.stats.counts import day_of, week_of
from tests.stats.rig import FEDORA, count, requests, systems

NOW = 1_795_845_600


def line_of(form: str, target: str, asked: tuple[str, str] | None, agent: str = FEDORA, status: int = 200) -> bytes:
    answer = Answer(status, Kind.METALINK, b"", tier=Tier.COUNTRY, country="DE", asked=asked)
    entry = LogEntry(bytes((198, 51, 100, 7)), "GET", target, "HTTP/1.1", answer, 5, 0.0001, "a.example.org", "", agent)
    return FORMATS[form](entry, Moment(NOW)).encode() + b"\n"


@pytest.mark.parametrize("form", ["combined", "json"])
@pytest.mark.parametrize("agent", [FEDORA, "", "-", '"', "\\", "\\\\", "\x1b[1m", "é", "\udc80", '{"a": "b"}'])
def test_requests_and_systems(form: str, agent: str) -> None:
    target = "/metalink?repo=fedora-42&arch=x86_64&countme=3"
    counts = count(line_of(form, target, ("fedora-42", "x86_64"), agent) * 2)
    country = "DE" if form == "json" else "--"
    assert requests(counts) == {(day_of(NOW), country, "fedora-42", "x86_64"): 2}
    system = ("Fedora Linux", "42", "workstation", "x86_64") if agent == FEDORA else ("", "", "", "")
    assert systems(counts) == [(*system, 3, "fedora-42", "x86_64")] * 2
    assert (counts.unread, week_of(counts.newest)) == (0, week_of(NOW))


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_path_style(form: str) -> None:
    counts = count(line_of(form, "/mirrorlist/9/baseos", ("baseos-9", "$basearch")))
    arch = "--" if form == "mirrormanager" else "x86_64"
    assert [key[2:] for key in requests(counts)] == [("baseos-9", arch)]


@pytest.mark.parametrize("form", ["combined", "json"])
def test_refusals_are_not_counted(form: str) -> None:
    counts = count(line_of(form, "/metalink?repo=none&arch=x86_64&countme=1", None, status=404))
    assert (requests(counts), systems(counts), counts.unread) == ({}, [], 0)
