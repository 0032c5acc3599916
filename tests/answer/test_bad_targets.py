"""Whatever bytes a client sends, it gets a well-formed answer."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.answer.forms import refuse_forged
from tests.answer.trees import tree_rig
from tests.rig import mirror, rig

REPO = b"repo=fedora-40&arch=x86_64"

WORLD = (
    mirror("a.example", "DE"),
    mirror("b.example", "FR", "rsync://b.example/pub", "ftp://b.example/pub"),
    mirror("c.example", "US", "http://c.example/a&b<c>'d"),
)

RIGS = {"ours": rig(*WORLD), "today": rig(*WORLD, compatibility="mirrormanager"), "tree": tree_rig(*WORLD)}


@pytest.fixture(params=list(RIGS))
def served(request: pytest.FixtureRequest) -> str:
    return str(request.param)


SIXTY = b",".join(b"%c%c" % (a, b) for a in b"abcdefgh" for b in b"abcdefgh")

NASTY = {
    "malformed escapes": b"%, %4, %zz, %%, %u0041".replace(b" ", b""),
    "NUL": b"%00",
    "raw NUL": b"\x00",
    "newlines": b"%0d%0aX-Evil:%201%0d%0a%0d%0a<b>",
    "raw newlines": b"\r\nX-Evil: 1\r\n\r\n<b>",
    "other line ends": "\x85\u2028\u2029\x0b\x0c".encode(),
    "encoded line ends": b"%C2%85%E2%80%A8%E2%80%A9",
    "broken UTF-8": b"%ff%fe%c3",
    "raw broken UTF-8": b"\xff\xfe\xc3",
    "surrogates": b"%ed%a0%80",
    "overlong": b"%c0%af",
    "four bytes": "\U0001f600".encode() * 200,
    "encoded four bytes": b"%F0%9F%98%80" * 200,
    "XML": b"--><evil attribute='\"'>&amp;]]>",
    "encoded XML": b"--%3E%3Cevil%20attribute='%22'%3E%26amp;%5D%5D%3E",
    "dots": b"../../etc/passwd",
    "long": b"x" * 7000,
    "sixty countries": SIXTY,
    "commas": b"," * 5000,
    "equals signs": b"=" * 5000,
    "dollars": b"$releasever$basearch",
    "spaces": b"%20a%20",
}
assert SIXTY.count(b",") >= 59

PLACES = [
    b"/%s",
    b"/%s/mirrorlist",
    b"/mirrorlist/%s/baseos",
    b"/mirrorlist/9/%s",
    b"/isolist/9/%s",
    b"/mirrorlist?%s",
    b"/mirrorlist?" + REPO + b"&%s=1",
    b"/mirrorlist?" + REPO + b"&country=%s",
    b"/mirrorlist?" + REPO + b"&protocol=%s",
    b"/mirrorlist?" + REPO + b"&ip=%s",
    b"/mirrorlist?" + REPO + b"&limit=%s",
    b"/mirrorlist?" + REPO + b"&exclude_host=%s",
    b"/mirrorlist?" + REPO + b"&require=%s",
    b"/mirrorlist?" + REPO + b"&redirect=%s",
    b"/mirrorlist?repo=%s&arch=x86_64",
    b"/mirrorlist?repo=fedora-40&arch=%s",
    b"/mirrorlist?repo=baseos-9&arch=%s",
    b"/mirrorlist?path=%s",
    b"/mirrorlist?path=pub/linux/40/x86_64/os/%s",
    b"/mirrorlist?path=pub/linux/40/x86_64/os/%s&redirect=1",
    b"/metalink?repo=%s&arch=%s",
    b"/metalink?path=pub/linux/40/x86_64/os/repodata/repomd.xml&x=%s",
    b"/metalink?path=%s/repodata/repomd.xml",
]


@pytest.mark.parametrize("nasty", NASTY)
def test_nasty_values_get_a_clear_answer(served: str, nasty: str) -> None:
    for place in PLACES:
        target = place.replace(b"%s", NASTY[nasty])
        answer = RIGS[served].get(target)
        refuse_forged(answer, today=served == "today")
        unreadable = answer.status == 500 and answer.body.endswith(b"Cannot parse client IP address. Aborting.")
        assert answer.status in (200, 302, 400, 404) or (served == "today" and unreadable), target
        known = {"Location"} if served == "today" else {"Location", "X-Relaxed", "Link"}
        assert {name for name, _ in answer.headers} <= known


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(b"/mirrorlist?" + b"a" * 100_000, id="100 kB of one parameter"),
        pytest.param(b"/" + b"a" * 100_000, id="100 kB of path"),
        pytest.param(b"/metalink?" + b"&".join(b"p%d=1" % n for n in range(10_000)), id="10,000 parameters"),
    ],
)
def test_long_targets_are_no_bugs_where_an_operator_allows_them(served: str, target: bytes) -> None:
    answer = RIGS[served].get(target)
    assert answer.status in (200, 400, 404)
    refuse_forged(answer, today=served == "today")


def test_a_list_is_never_empty_for_what_is_well_formed() -> None:
    for parameters in (b"country=%s" % SIXTY, b"country=zz", b"protocol=ftp,rsync", b"exclude_country=" + SIXTY):
        answer = RIGS["ours"].get(b"/mirrorlist?" + REPO + b"&" + parameters, client=None)
        assert answer.status == 200
        assert b"://" in answer.body


TARGETS = st.builds(
    lambda place, values: place.replace(b"%s", values),
    st.sampled_from(PLACES),
    st.one_of(st.binary(max_size=40), st.text(max_size=20).map(str.encode), st.sampled_from(list(NASTY.values()))),
)


@given(st.one_of(TARGETS, st.binary(max_size=100), st.binary(max_size=60).map(b"/mirrorlist?".__add__)))
def test_any_bytes_as_target_get_a_well_formed_answer(target: bytes) -> None:
    for name, served in RIGS.items():
        refuse_forged(served.get(target), today=name == "today")


@given(st.text(max_size=30))
def test_a_file_s_url_names_the_file_that_was_asked_for(name: str) -> None:
    """What was percent-encoded in the request is so in the URL: the mirror is asked for the same file."""
    target = f"/mirrorlist?path=pub/linux/40/x86_64/os/{quote(name, safe='')}"
    answer = RIGS["ours"].get(target, client=None)
    refuse_forged(answer)
    if answer.status == 200 and name.strip("/") and "//" not in name:
        url = answer.body.decode().split("\n")[1]
        assert unquote(url.partition("/os/")[2]).rstrip("/") == name.strip("/")  # a directory keeps its slash
