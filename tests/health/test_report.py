"""What is told of what was found, as its readers read it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from redirector.health.evidence import Family, printable
from redirector.health.hysteresis import Overall, State
from redirector.health.judge import Content
from redirector.health.keeping import (
    evidence_text,
    pack_delays,
    pack_held,
    pack_memory,
    pack_names,
    unpack_delays,
    unpack_held,
    unpack_memory,
    unpack_names,
)
from redirector.health.memory import EVER, OUT, FamilyNote, Held, Memory, Trouble, UrlNote, Validator
from redirector.health.replay import replay
from redirector.health.report import (
    HostHealth,
    Look,
    StatusHost,
    entry_of,
    mirmon_state,
    render_health,
    render_metrics,
    render_mirmon,
    render_status,
    score_of,
)
from redirector.health.rules import Rules
from redirector.health.subjects import Carried, Subject
from redirector.store.evidence import VisitRow
from tests.health.seen import NOW, file, master, repository

RULES = Rules()
ENTRY = HostHealth(State.OK, NOW - 500, "", NOW - 60)
FINE, GONE = Content.CURRENT | EVER, Content.ABSENT | EVER | OUT


def entry(states: dict[str, bytes], *, tree: bool = True, views: int = 1, **changes: Any) -> HostHealth:
    """A host with these bytes for its directories, as *views* vantage points see it (the others see all well)."""
    names = [f"{version}/{name}/os" for version in ("9.8", "10.2") for name in ("a", "b")]
    category = "" if tree else "pub/linux"
    one = master(
        *(repository(("x", 1), name=name) for name in names), category=category, prefix="" if tree else "pub/linux/"
    )
    subject = Subject("m", "m", (Carried(category, ("http://m/",)),), tree=tree)
    memory = Memory(visited=NOW, **changes)
    seen = [(memory, {category: Held(states=states["main"])})]
    seen += [(memory, {category: Held(states=bytes([FINE] * 4))}) for _ in range(views - 1)]
    return entry_of(subject, Overall(State.OK, NOW, ""), seen, {category: one}, RULES, NOW, tree=tree)


def test_lacking_names_directories_and_versions() -> None:
    found = entry({"main": bytes([FINE, GONE, GONE, GONE])})
    assert found.lacking == ("10.2/a/os", "10.2/b/os", "9.8/b/os")
    assert found.versions == ("9.8",)
    assert entry({"main": bytes([FINE, GONE, FINE, FINE])}, tree=False).lacking == ("pub/linux/9.8/b/os",)
    assert entry({"main": bytes([FINE, GONE, FINE, FINE])}, tree=False).versions is None
    assert entry({"main": bytes([FINE, GONE, FINE, FINE])}, views=2).lacking == ()


def test_families_are_true_false_or_missing() -> None:
    notes = {
        Family.IPV4: FamilyNote(answered=NOW - 100),
        Family.IPV6: FamilyNote(failures=2),
    }
    found = entry({"main": bytes([FINE] * 4)}, families=notes)
    assert (found.ipv4, found.ipv6) == (True, None)
    notes = {Family.IPV4: FamilyNote(answered=NOW - 90_000), Family.IPV6: FamilyNote(failures=3)}
    found = entry({"main": bytes([FINE] * 4)}, families=notes)
    assert (found.ipv4, found.ipv6) == (None, False)


def test_the_health_file() -> None:
    entries = {
        "a.example.org": HostHealth(
            State.UNREACHABLE, NOW - 9, "no connection", NOW - 1, ("9.8",), True, False, 5400, ("9.8/x/os",),
            {"http://a/": UrlNote(False, NOW, "refused"), "https://a/": UrlNote(True, NOW, "redirects to b")},
            certificate_expires=NOW + 99, marked=frozenset({"http://a/"}),
        ),
        "b.example.org": ENTRY,
    }  # fmt: skip
    assert json.loads(render_health(entries, NOW)) == {
        "checked": NOW,
        "mirrors": {
            "a.example.org": {
                "up": False, "state": "unreachable", "since": NOW - 9, "reason": "no connection", "versions": ["9.8"],
                "ipv4": True, "ipv6": False, "checked": NOW - 1, "lag_s": 5400, "lacking": ["9.8/x/os"],
                "urls": {
                    "http://a/": {"up": False, "reason": "refused"},
                    "https://a/": {"up": True, "reason": "redirects to b"},
                },
                "certificate_expires": NOW + 99,
            },
            "b.example.org": {"up": True, "state": "ok", "since": NOW - 500, "checked": NOW - 60},
        },
    }  # fmt: skip


@pytest.mark.parametrize("state", list(State))
def test_up_is_false_exactly_when_out(state: State) -> None:
    assert HostHealth(state, 0, "", 0).up is (state in (State.OK, State.UNCHECKED))


def test_beyond_a_thousand_parents_stand_for_directories() -> None:
    names = [f"9.8/r{n // 10:03}/x{n % 10}" for n in range(3000)]
    one = master(*(repository(("x", 1), name=name) for name in names))
    held = Held(states=bytes([GONE]) * 3000)
    subject = Subject("m", "m", (Carried("", ("http://m/",)),))
    found = entry_of(subject, Overall(State.OK, 0, ""), [(Memory(), {"": held})], {"": one}, RULES, NOW, tree=False)
    assert found.lacking == tuple(f"9.8/r{n:03}" for n in range(300))


def test_scores() -> None:
    assert score_of(7200, 0.5, 0.25, 0.5) == 5.5
    assert score_of(7200, 0.5, 0.25, 0) == pytest.approx(550)


def test_status_as_reflector_reads_it() -> None:
    looks = (Look(NOW - 900, True, 7200, 0.25), Look(NOW - 1800, False, None, None), Look(NOW - 2700, True, 7200, 0.75))
    old = Look(NOW - 90_000, False, None, None)
    host = StatusHost(
        ("https://m.example.org/",), "DE", HostHealth(State.OK, 0, "", NOW, stamp=NOW - 7200.0), (*looks, old)
    )
    status = json.loads(render_status([host], NOW, 900, 96, NOW))
    assert status["version"] == 3
    assert (status["cutoff"], status["num_checks"], status["check_frequency"]) == (86400, 96, 900)
    (url,) = status["urls"]
    assert url["last_sync"].endswith("Z")
    assert url["protocol"] == "https"
    assert url["completion_pct"] == pytest.approx(2 / 3)
    assert (url["delay"], url["duration_avg"], url["duration_stddev"]) == (7200, 0.5, 0.25)
    assert url["score"] == pytest.approx((2 + 0.5 + 0.25) / (2 / 3))
    assert (url["country"], url["country_code"], url["active"]) == ("Germany", "DE", True)


@pytest.mark.parametrize(
    ("age_s", "state"),
    [(28 * 3600 + 180, "s"), (28 * 3600 + 420, "b"), (52 * 3600 + 240, "b"), (53 * 3600, "f"), (None, "z")],
)
def test_mirmon_states(age_s: float | None, state: str) -> None:
    assert mirmon_state(age_s) == state


def test_mirmon_lines() -> None:
    day = NOW // 86400 * 86400
    looks = (
        Look(day - 3 * 86400, True, 100, 1.0),
        Look(day - 86400, False, None, None),
        Look(day, True, 30 * 3600, 1.0),
    )
    host = StatusHost(("http://m/",), "DE", HostHealth(State.OK, 0, "", NOW, stamp=float(day - 30 * 3600)), looks)
    unknown = StatusHost(("http://n/",), "", ENTRY, ())
    lines = render_mirmon([unknown, host]).decode().splitlines()
    assert lines[0] == f"http://m/ {day - 30 * 3600} ok {day} sfs {day}-sxbb {day}"
    assert lines[1] == "http://n/ undef undef undef undef undef undef"


def test_metrics_escape_labels_and_count_states() -> None:
    text = render_metrics({'a"b\\c': ENTRY}, NOW, {("http", "ok"): 5}, 1.5, 2).decode()
    assert 'redirector_mirror_up{host="a\\"b\\\\c"} 1' in text
    assert 'redirector_health_mirrors{state="ok"} 1' in text
    assert 'redirector_crawl_requests_total{scheme="http",outcome="ok"} 5' in text
    assert "redirector_crawl_duration_seconds 1.500" in text


def test_what_is_packed_comes_back() -> None:
    memory = Memory(
        visited=1, urls={"http://a/": UrlNote(True, 1)}, families={Family.IPV6: FamilyNote(5)}, soft404=True
    )
    assert unpack_memory(pack_memory(memory)) == memory
    held = Held(
        directories="d",
        states=bytes([FINE, GONE]),
        troubles={1: Trouble(5.5)},
        validators={0: Validator("e", "", "s", 1)},
    )
    served, packed = pack_held(held)
    assert (served, unpack_held(packed)) == (b"\x01", held)
    assert unpack_names(pack_names(["a", "b\udcff"])) == ("a", "b\udcff")
    assert unpack_names(pack_names([])) == ()
    assert unpack_delays(pack_delays({"a": 5})) == {"a": 5}


def test_what_cannot_be_read_was_never_known() -> None:
    assert unpack_memory(b"rubbish") == Memory()
    assert unpack_held(pack_names(["x"])) == Held()
    assert unpack_names(b"rubbish") == ()


def test_evidence_is_text_without_what_is_empty() -> None:
    told = json.loads(evidence_text(file("a\udcff", 5)))
    assert (told["path"], told["size_bytes"], "sha256" in told) == ("a\N{REPLACEMENT CHARACTER}", 5, False)
    assert printable("a\x00b" * 200).startswith("a\N{REPLACEMENT CHARACTER}b")
    assert len(printable("x" * 500)) == 200


def visit(at: int, event: str, **changes: Any) -> VisitRow:
    fields: dict[str, Any] = {
        "host": "a", "at": at, "vantage": "main", "event": event, "counted": True, "content": "fresh",
        "reason": "why", "state": "ok", "lag_s": 0, "delay_s": None, "duration_s": None, "requests": 1,
    }  # fmt: skip
    return VisitRow(**fields | changes)


def test_a_replay_with_other_numbers() -> None:
    failures = [visit(n * 300, "failed", content="none") for n in range(1, 6)]
    visits = [visit(0, "good"), *failures, visit(1800, "good"), visit(2100, "good")]
    found = replay(visits, RULES)["a", "main"]
    assert [change.state for change in found.changes] == [State.OK, State.UNREACHABLE, State.OK]
    assert found.out_s == 2100 - 900
    from dataclasses import replace

    patient = replay(visits, replace(RULES, down_after=6))["a", "main"]
    assert [change.state for change in patient.changes] == [State.OK]
    assert replay(visits[::-1], RULES) == replay(visits, RULES)
    void = [replace(each, counted=False) if each.event == "failed" else each for each in visits]
    assert [change.state for change in replay(void, RULES)["a", "main"].changes] == [State.OK]


def test_a_replay_with_another_bound_of_lag() -> None:
    visits = [visit(n * 900, "good", lag_s=5 * 3600) for n in range(3)]
    from dataclasses import replace

    assert replay(visits, RULES)["a", "main"].state is State.OK
    assert replay(visits, replace(RULES, outdate_s=4 * 3600))["a", "main"].state is State.STALE
