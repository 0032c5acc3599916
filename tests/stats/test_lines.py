"""Lines of each format to requests by day, country, repository and architecture."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.stats.lines import Reading
from tests.stats.rig import TARGET, Line, count, mirrormanager, requests, systems

DAY = "2026-11-28"
PLAIN = Line()


@pytest.mark.parametrize("block", [mirrormanager(), PLAIN.json()])
def test_formats_with_a_country(block: bytes) -> None:
    assert requests(count(block)) == {(DAY, "DE", "fedora-42", "x86_64"): 1}


def test_combined_lines_have_no_country_of_their_own() -> None:
    assert requests(count(PLAIN.combined())) == {(DAY, "--", "fedora-42", "x86_64"): 1}


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (TARGET, ("fedora-42", "x86_64")),
        ("/mirrorlist?arch=x86_64&repo=fedora-42", ("fedora-42", "x86_64")),
        ("/mirrorlist/9/baseos", ("baseos-9", "x86_64")),
        ("/mirrorlist/9/baseos?arch=s390x", ("baseos-9", "s390x")),
        ("/mirrorlist/9/baseos?arch=$basearch", ("baseos-9", "x86_64")),
        ("/metalink?repo=c++-9&arch=x86_64", ("c++-9", "x86_64")),
        (f"/metalink?repo={'a' * 300}&arch=x86_64", ("--", "x86_64")),
        ("/metalink?repo=%00&arch=x86_64", ("--", "x86_64")),
        ("/metalink?repo=fedora-42", None),
        ("/metalink?path=pub/fedora/42", None),
        ("/metalink", None),
        ("/isolist/9/x86_64", None),
        ("/", None),
    ],
)
@pytest.mark.parametrize("form", ["combined", "json"])
def test_targets(target: str, found: tuple[str, str] | None, form: str) -> None:
    counts = count(getattr(replace(PLAIN, target=target, country=None), form)())
    assert requests(counts) == ({(DAY, "--", *found): 1} if found else {})


def test_path_style_of_an_unknown_agent_has_no_arch() -> None:
    line = replace(PLAIN, target="/mirrorlist/9/baseos", agent="curl/8")
    assert requests(count(line.combined())) == {(DAY, "--", "baseos-9", "--"): 1}


@pytest.mark.parametrize(
    ("block", "found"),
    [
        (mirrormanager(country="N/A"), ("--", "fedora-42", "x86_64")),
        (mirrormanager(country="de"), ("DE", "fedora-42", "x86_64")),
        (mirrormanager(country="ß"), ("--", "fedora-42", "x86_64")),
        (mirrormanager(arch="$basearch"), ("DE", "fedora-42", "--")),
        (mirrormanager(arch=""), ("DE", "fedora-42", "--")),
        (mirrormanager(client="2001:db8::1"), ("DE", "fedora-42", "x86_64")),
        (mirrormanager(client="N/A"), ("DE", "fedora-42", "x86_64")),
        (mirrormanager()[:-1], ("DE", "fedora-42", "x86_64")),
        (mirrormanager()[:-1] + b"\r\n", ("DE", "fedora-42", "x86_64")),
    ],
)
def test_mirrormanager_lines(block: bytes, found: tuple[str, ...]) -> None:
    assert requests(count(block)) == {(DAY, *found): 1}


@pytest.mark.parametrize("status", [200, 302])
def test_answers_are_counted(status: int) -> None:
    assert sum(requests(count(replace(PLAIN, status=status).json())).values()) == 1


@pytest.mark.parametrize("line", [replace(PLAIN, status=404), replace(PLAIN, status=503), replace(PLAIN, method="PUT")])
def test_refusals_are_not(line: Line) -> None:
    counts = count(line.json(), line.combined())
    assert (requests(counts), counts.unread, counts.lines) == ({}, 0, 2)


def test_folded_countries_are_unknown() -> None:
    counts = count(mirrormanager("DE") + mirrormanager("FR"), reading=Reading(fold=frozenset({"DE"})))
    assert {row[1] for row in requests(counts)} == {"--", "FR"}


@pytest.mark.parametrize("form", ["combined", "json"])
def test_ignored_addresses_are_not_counted(form: str) -> None:
    reading = Reading(ignores=lambda address: address[:1] == b"\x0a")
    said = replace(PLAIN, target=f"{TARGET}&countme=1")
    lines = [said, replace(said, client="10.0.0.1"), replace(said, client="::ffff:10.0.0.1")]
    counts = count(b"".join(getattr(line, form)() for line in lines), reading=reading)
    assert (sum(requests(counts).values()), len(systems(counts))) == (1, 1)


def test_ignored_addresses_of_mirrormanager_lines() -> None:
    reading = Reading(ignores=lambda address: address[:1] == b"\x0a")
    block = mirrormanager() + mirrormanager(client="10.0.0.1") + mirrormanager(client="N/A")
    assert sum(requests(count(block, reading=reading)).values()) == 2
    assert sum(requests(count(block + PLAIN.combined(), reading=reading)).values()) == 3


def test_a_table_gives_countries_where_the_line_has_none() -> None:
    reading = Reading(country_of=lambda address: "JP" if address == bytes((198, 51, 100, 7)) else None)
    lines = [
        PLAIN,
        replace(PLAIN, client="192.0.2.1"),
        replace(PLAIN, client="who"),
        replace(PLAIN, client="2001:db8::1"),
    ]
    combined = count(b"".join(line.combined() for line in lines), reading=reading)
    assert {row[1]: hits for row, hits in requests(combined).items()} == {"JP": 1, "--": 3}
    said = count(PLAIN.json() + replace(PLAIN, country=None).json(), reading=reading)
    assert {row[1]: hits for row, hits in requests(said).items()} == {"DE": 1, "JP": 1}


EXTRA = {
    "a front's fields behind": (b'"\n', b'" "203.0.113.9" 0.003\n'),
    "unquoted fields behind": (b'"\n', b'" 0.003 hit\n'),
    "a virtual host before": (b"198.51.100.7 - -", b"mirrors.example.org:443 198.51.100.7 - -"),
    "a user": (b"198.51.100.7 - -", b"198.51.100.7 - jo"),
    "the common format": (b' "-" "' + PLAIN.agent.encode() + b'"', b""),
    "carriage return": (b"\n", b"\r\n"),
}


@pytest.mark.parametrize("name", EXTRA)
def test_combined_lines_of_other_servers(name: str) -> None:
    line = PLAIN.combined().replace(*EXTRA[name])
    counts = count(line * 3)
    assert (requests(counts), counts.unread) == ({(DAY, "--", "fedora-42", "x86_64"): 3}, 0)


BROKEN = {
    "nothing that we know": b"hello\n",
    "no time": b'198.51.100.7 - - "GET /metalink?repo=a&arch=b HTTP/1.1" 200 5 "-" "-"\n',
    "a wrong month": replace(PLAIN, time="28/Nob/2026:06:00:07 +0000").combined(),
    "a wrong day": replace(PLAIN, time="31/Nov/2026:06:00:07 +0000").combined(),
    "JSON of something else": b'{"a": 1}\n',
    "JSON that is cut": PLAIN.json()[:80] + b"\n",
    "a wrong time in JSON": replace(PLAIN, iso="yesterday").json(),
    "deep JSON": b'{"a":' + b"[" * 100_000 + b"\n",
    "a day that is none": mirrormanager(day="2026-11-31"),
    "a day in other digits": mirrormanager(day="٢٠٢٦-11-28"),
    "a time in other digits": replace(PLAIN, iso="2026-11-28T٠٦:00:07Z").json(),
    "a clock that was never set": replace(PLAIN, time="31/Dec/1969:23:59:00 +0000").combined(),
    "a day of another age": mirrormanager(day="2106-02-07"),
    "before the calendar begins": replace(PLAIN, time="01/Jan/0001:00:00:00 +0100").combined(),
    "after the calendar ends": replace(PLAIN, iso="9999-12-31T23:59:00-01:00").json(),
    "fewer fields": b"IP: 198.51.100.7; DATE: 2026-11-28; COUNTRY: DE\n",
    "bytes": bytes(range(11, 256)) + b"\n",
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("good", [mirrormanager(), PLAIN.json(), replace(PLAIN, country="DE").json() + mirrormanager()])
def test_broken_lines_are_reported_and_hide_no_others(name: str, good: bytes) -> None:
    counts = count(good + BROKEN[name] + good)
    assert counts.unread == 1
    assert sum(requests(counts).values()) == 2 * good.count(b"\n")


def test_formats_may_be_mixed() -> None:
    lines = [mirrormanager(), PLAIN.json(), PLAIN.combined(), replace(PLAIN, agent=r"\"").combined(), b"\n"]
    for first in range(5):
        counts = count(b"".join(lines[first:] + lines[:first]))
        assert requests(counts) == {
            (DAY, "DE", "fedora-42", "x86_64"): 2,
            (DAY, "--", "fedora-42", "x86_64"): 2,
        }, first


def test_json_in_another_spelling() -> None:
    asked = b'"target":"\\/metalink?repo=fedora-42&arch=x86_64","method":"GET"'
    line = b'{"status":200,%b,"time":"2026-11-28T07:00:07.5+01:00"}' % asked
    assert requests(count(line)) == {(DAY, "--", "fedora-42", "x86_64"): 1}


def test_lone_surrogates_are_read() -> None:
    counts = count(replace(PLAIN, agent="\udc80").json())
    assert (sum(requests(counts).values()), counts.unread) == (1, 0)


@given(st.binary(max_size=300), st.sampled_from([b"", b"IP: ", b"{", b'a - - [28/Nov/2026:06:00:07 +0000] "']))
def test_every_block_is_read(junk: bytes, start: bytes) -> None:
    block = mirrormanager() + start + junk.replace(b"\n", b" ") + b"\n" + PLAIN.combined()
    counts = count(block)
    assert counts.lines == 3
    assert sum(requests(counts).values()) in (2, 3)


@given(
    st.lists(st.sampled_from([mirrormanager(), PLAIN.json(), PLAIN.combined(), b"?\n"]), max_size=12), st.integers(1, 5)
)
def test_it_does_not_matter_where_blocks_end(lines: list[bytes], size: int) -> None:
    blocks = [b"".join(lines[at : at + size]) for at in range(0, len(lines), size)]
    assert count(*blocks) == count(*lines)
