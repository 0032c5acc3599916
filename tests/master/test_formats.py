"""The small documents: what each says, and what is not taken for one."""

from __future__ import annotations

import hashlib
import tracemalloc
from calendar import timegm
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.errors import FormatError
from redirector.master.formats import (
    INDEX_LIMIT_BYTES,
    Checksum,
    Kind,
    RsyncLine,
    parse_checksums,
    parse_marker,
    parse_release,
    parse_rsync_line,
    parse_state,
    parse_trace,
    parse_treeinfo,
    show,
)
from redirector.tree.paths import is_safe_path
from redirector.tree.repomd import parse_repomd

NOW = 1_795_000_000.0

PARSERS: dict[str, Callable[[bytes], object]] = {
    "marker": lambda raw: parse_marker(raw, NOW),
    "state": parse_state,
    "trace": lambda raw: parse_trace(raw, NOW),
    "repomd": parse_repomd,
    "release": parse_release,
    "checksums": parse_checksums,
    "treeinfo": parse_treeinfo,
    "rsync line": parse_rsync_line,
}

HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>404</body></html>\n"


@pytest.mark.parametrize("name", PARSERS)
@given(raw=st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_read_or_refused(name: str, raw: bytes) -> None:
    try:
        PARSERS[name](raw)
    except FormatError as error:
        assert len(str(error)) < 300 and str(error).isprintable()


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize(
    "raw", [b"", HTML, b"\0" * 100, b"\n", HTML[16:], b"x" * 10_000_000], ids=lambda raw: repr(raw[:20])
)
def test_nothing_html_and_floods_are_refused(name: str, raw: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(FormatError):
        PARSERS[name](raw)
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()


# Markers


@pytest.mark.parametrize(
    ("raw", "time"),
    [
        (b"1794990000", 1_794_990_000.0),
        (b"1794990000\n", 1_794_990_000.0),
        (b" \t1794990000.25\r\n\n", 1_794_990_000.25),
        (b"0", 0.0),
        (b"%d" % (NOW + 300), NOW + 300),
        (b" " * 54 + b"1794990000", 1_794_990_000.0),
    ],
)
def test_a_marker_is_a_number(raw: bytes, time: float) -> None:
    assert parse_marker(raw, NOW) == time


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" \n",
        b"-1794990000",
        b"+1794990000",
        b"1.794e9",
        b"0x6afd0f30",
        b"1_794_990_000",
        b"1794990000.",
        b".5",
        b"nan",
        b"inf",
        b"1794990000 1794990000",
        b"1794990000\0",
        b"1794990000Z",
        "１７９４９９００００".encode(),
        b"%d" % (NOW + 301),
        b"1794990000000",
        b" " * 55 + b"1794990000",
    ],
)
def test_anything_else_is_no_marker(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_marker(raw, NOW)


def test_a_state_is_one_line() -> None:
    assert parse_state(b"Fedora-43-20251028.0\n") == b"Fedora-43-20251028.0"
    for raw in (b"one\ntwo\n", b"<html>", b"x" * 1001, b"a\0b"):
        with pytest.raises(FormatError):
            parse_state(raw)


@pytest.mark.parametrize(
    "first", [b"Sat Nov 28 06:00:00 UTC 2026", b"Sat Nov 28 06:00:00 GMT 2026", b"Sat Nov 28 06:00:00 UTC 2026\r"]
)
def test_a_trace_has_its_time_in_the_first_line(first: bytes) -> None:
    trace = parse_trace(first + b"\nCreator: ftpsync 20180513\nDate: x: y\nSuite:\n\n", 1_796_000_000)
    assert trace.time == 1_795_845_600
    assert trace.fields == {"Creator": "ftpsync 20180513", "Date": "x: y", "Suite": ""}


@pytest.mark.parametrize("day", [b" 7", b"07", b"7"])
def test_the_day_of_a_trace_may_be_padded(day: bytes) -> None:
    assert parse_trace(b"Sat Nov %s 06:00:00 UTC 2026\n" % day, NOW).time == 1_794_031_200


@pytest.mark.parametrize(
    "raw",
    [
        b"Sat Nov 28 06:00:00 CET 2026",
        b"Sat Nov 31 06:00:00 UTC 2026",
        b"Sat Nov 28 25:00:00 UTC 2026",
        b"Sam Nov 28 06:00:00 UTC 2026",
        b"Sat, 28 Nov 2026 06:00:00 UTC",
        b"Sat Nov 28 06:00:00 UTC 2026 and more",
        b"\nSat Nov 28 06:00:00 UTC 2026",
        b"Sat Nov 28 06:00:00 UTC 2026\nno field",
        b"Sat Nov 28 06:00:00 UTC 2026\n<html>",
        b"Sat Nov 28 06:00:00 UTC 2027",
        b"Sat Nov 28 06:00:00 UTC 2026\n" + b"K: v\n" * 20_000,
    ],
)
def test_anything_else_is_no_trace(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_trace(raw, 1_796_000_000)


# repomd.xml

REPOMD = b"""<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>1899999999</revision>
  <data type="primary"><checksum type="sha256">ab</checksum><location href="repodata/ab-primary.xml.gz"/>
    <timestamp>1794990000</timestamp><size>1</size></data>
  <data type="filelists"><location href="repodata/cd-filelists.xml.gz"/><timestamp>1794990007.93</timestamp></data>
</repomd>
"""


def test_a_repomd_is_its_hash_and_its_newest_part() -> None:
    repomd = parse_repomd(REPOMD)
    assert repomd.detail.timestamp == 1_794_990_007
    assert repomd.detail.sha256 == hashlib.sha256(REPOMD).hexdigest()
    assert repomd.detail.sha512 == hashlib.sha512(REPOMD).hexdigest()
    assert repomd.detail.size_bytes == len(REPOMD)
    assert repomd.primary is not None and repomd.primary.path == b"repodata/ab-primary.xml.gz"


def test_a_repomd_without_times_has_none() -> None:
    assert parse_repomd(b"<repomd/>").detail.timestamp == 0
    assert parse_repomd(b"<repomd/>").primary is None


@pytest.mark.parametrize("href", ["../../etc/passwd", "/etc/passwd", "a//b", "a/./b", "", "a/.."])
def test_a_repomd_names_nothing_outside(href: str) -> None:
    raw = f'<repomd><data type="primary"><location href="{href}"/></data></repomd>'
    assert parse_repomd(raw.encode()).primary is None
    raw = '<repomd><data type="primary"><location xml:base="http://elsewhere/" href="a"/></data></repomd>'
    assert parse_repomd(raw.replace("xml:base", "base").encode()).primary is None


BOMB = b"""<?xml version="1.0"?><!DOCTYPE repomd [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><repomd><revision>&c;</revision></repomd>"""


@pytest.mark.parametrize(
    "raw",
    [
        BOMB,
        b'<!DOCTYPE repomd SYSTEM "file:///etc/passwd"><repomd/>',
        BOMB.decode().encode("utf-16"),
        b"<!DOCTYPE repomd><repomd/>",
        REPOMD[:-3],
        REPOMD + b"<more/>",
        b"<metalink/>",
        b'<?xml version="1.0" encoding="ebcdic-of-mine"?><repomd/>',
        b"<repomd><data><timestamp>soon</timestamp></data></repomd>",
        b"<repomd><data><timestamp>-5</timestamp></data></repomd>",
        b"<repomd><data><timestamp/></data></repomd>",
        b"<repomd>" + b" " * INDEX_LIMIT_BYTES + b"</repomd>",
        b"<repomd>" * 100_000,
    ],
    ids=lambda raw: repr(raw[:30]),
)
def test_anything_else_is_no_repomd(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_repomd(raw)


# Release

RELEASE = b"""Origin: Debian
Suite: stable
Date: Sat, 28 Nov 2026 06:00:00 UTC
Valid-Until: Sat, 05 Dec 2026 06:00:00 UTC
MD5Sum:
 d41d8cd98f00b204e9800998ecf8427e        0 main/binary-amd64/Packages
SHA256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855        0 main/binary-amd64/Packages
 E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855   123456 main/source/Sources.xz
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855        7 ../../etc/passwd
"""
SIGNED = b"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

%s-----BEGIN PGP SIGNATURE-----

iQ==
-----END PGP SIGNATURE-----
"""
EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("raw", [RELEASE, SIGNED % RELEASE, RELEASE.replace(b"\n", b"\r\n")])
def test_a_release_has_a_time_an_end_and_checksums(raw: bytes) -> None:
    release = parse_release(raw)
    assert (release.date, release.valid_until) == (1_795_845_600, 1_796_450_400)
    assert release.sha256 == {
        b"main/binary-amd64/Packages": Checksum(EMPTY, 0),
        b"main/source/Sources.xz": Checksum(EMPTY, 123_456),
    }
    assert release.detail.sha256 == hashlib.sha256(raw).hexdigest()
    assert release.detail.timestamp == release.date
    assert not release.is_expired(1_796_450_400) and release.is_expired(1_796_450_401)


def test_a_release_without_an_end_does_not_expire() -> None:
    assert not parse_release(b"Date: Sat, 28 Nov 2026 06:00:00 +0000\n").is_expired(9e9)


@pytest.mark.parametrize(
    "raw",
    [
        b"Date: soon\n",
        b"Origin: Debian\n",
        b" leading: space\n",
        b"Date: Sat, 28 Nov 2026 06:00:00 UTC\nno field\n",
        b"SHA256:\n abc 12 path\n",
        (SIGNED % RELEASE)[:-60].rpartition(b"-----BEGIN")[0],
        b"Date: Sat, 28 Nov 99999999 06:00:00 UTC\n",
    ],
)
def test_anything_else_is_no_release(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_release(raw)


# Checksums


def test_checksums_of_all_kinds_are_read() -> None:
    raw = b"""# Linux.iso: 4 bytes
SHA256 (Linux 43.iso) = %s
SHA512 (Linux 43.iso) = %s
%s  plain.iso
%s *./binary.iso
%s  ../outside.iso
"""
    hashes = [hashlib.new(kind, b"").hexdigest() for kind in ("sha256", "sha512", "sha256", "sha1", "sha256")]
    sums = parse_checksums(raw % tuple(map(str.encode, hashes)))
    assert sums == {
        b"Linux 43.iso": {"sha256": hashes[0], "sha512": hashes[1]},
        b"plain.iso": {"sha256": hashes[2]},
        b"binary.iso": {"sha1": hashes[3]},
    }
    assert parse_checksums(SIGNED % (hashes[0].encode() + b"  a\n")) == {b"a": {"sha256": hashes[0]}}


@pytest.mark.parametrize("raw", [b"# nothing\n", b"abc  file\n", b"MD5 (a) = " + b"a" * 64, b"a" * 33 + b"  file"])
def test_anything_else_is_no_checksum(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_checksums(raw)


def test_a_treeinfo_names_images_with_checksums() -> None:
    raw = b"[general]\nfamily = Fedora\n[checksums]\nimages/boot.iso = sha256:%s\n../x = sha256:%s\nb = sha256:12\n"
    assert parse_treeinfo(raw.replace(b"%s", EMPTY.encode())) == {b"images/boot.iso": {"sha256": EMPTY}}
    assert parse_treeinfo(b"[general]\nfamily = Fedora\n") == {}


# Listings by rsync


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        (
            rb"-rw-r--r--          1,234",
            None,
        ),
        (
            rb"-rw-r--r--           1234 2026/11/28 06:00:00 releases/43/Fedora Linux 43.iso",
            RsyncLine(Kind.FILE, b"releases/43/Fedora Linux 43.iso", 1234, 1_795_845_600, True),
        ),
        (
            rb"drwxr-xr-x           4096 2026/11/28 06:00:00 .",
            RsyncLine(Kind.DIRECTORY, b".", 4096, 1_795_845_600, True),
        ),
        (
            rb"drwxr-x--x           4096 2026/11/28 06:00:00 a",
            RsyncLine(Kind.DIRECTORY, b"a", 4096, 1_795_845_600, False),
        ),
        (
            rb"drwxr-xr--           4096 2026/11/28 06:00:00 a",
            RsyncLine(Kind.DIRECTORY, b"a", 4096, 1_795_845_600, False),
        ),
        (
            rb"drwxr-xr-t           4096 2026/11/28 06:00:00 a",
            RsyncLine(Kind.DIRECTORY, b"a", 4096, 1_795_845_600, True),
        ),
        (rb"-rw-r-----           4096 2026/11/28 06:00:00 a", RsyncLine(Kind.FILE, b"a", 4096, 1_795_845_600, False)),
        (rb"lrwxrwxrwx 7 2026/11/28 06:00:00 a -> b", RsyncLine(Kind.LINK, b"a -> b", 7, 1_795_845_600, True)),
        (rb"prw-r--r-- 0 1970/01/01 00:00:00 a", RsyncLine(Kind.OTHER, b"a", 0, 0, True)),
        (rb"-rw-r--r-- 0 1970/01/01 00:00:01  two", RsyncLine(Kind.FILE, b" two", 0, 1, True)),
        (rb"-rw-r--r-- 0 1970/01/01 00:00:01 lit\#134#012x", RsyncLine(Kind.FILE, rb"lit\#012x", 0, 1, True)),
        (rb"-rw-r--r-- 0 1970/01/01 00:00:01 a\#012b", RsyncLine(Kind.FILE, b"a\nb", 0, 1, True)),
        (rb"-rw-r--r-- 0 1970/01/01 00:00:01 a\#303\#251", RsyncLine(Kind.FILE, "aé".encode(), 0, 1, True)),
        (rb"-rw-r--r-- 0 1970/01/01 00:00:01 a\#99 \#4000 \n", RsyncLine(Kind.FILE, rb"a\#99 \#4000 \n", 0, 1, True)),
        (b"-rw-r--r-- 0 1970/01/01 00:00:01 a\xff", RsyncLine(Kind.FILE, b"a\xff", 0, 1, True)),
    ],
)
def test_a_line_of_a_listing(line: bytes, entry: RsyncLine | None) -> None:
    if entry is None:
        with pytest.raises(FormatError):
            parse_rsync_line(line)
    else:
        assert parse_rsync_line(line) == entry


@pytest.mark.parametrize(
    "line",
    [
        rb"-rw-r--r-- 0 1970/01/01 00:00:01 ../x",
        rb"-rw-r--r-- 0 1970/01/01 00:00:01 /etc/passwd",
        rb"-rw-r--r-- 0 1970/01/01 00:00:01 a/../../x",
        rb"-rw-r--r-- 0 1970/01/01 00:00:01 a/\#056\#056/x",
        rb"-rw-r--r-- 0 1970/01/01 00:00:01 a\#000b",
        rb"-rw-r--r-- 0 1970/01/01 00:00:01 ./a",
        rb"-rw-r--r-- 0 1970/01/01 00:00:01 ",
        rb"-rw-r--r-- 0 1970/02/30 00:00:01 a",
        rb"-rw-r--r-- 0 1970/01/01 24:00:01 a",
        rb"-rw-r--r-- -1 1970/01/01 00:00:01 a",
        rb"-rw-r--r-- 1.2K 1970/01/01 00:00:01 a",
        rb"@ERROR: max connections (4) reached -- try again later",
        rb"-rw-r--r-- 9999999999999999999 1970/01/01 00:00:01 a",
        rb"xrw-r--r-- 0 1970/01/01 00:00:01 a",
    ],
)
def test_no_line_of_a_listing(line: bytes) -> None:
    with pytest.raises(FormatError):
        parse_rsync_line(line)


@given(
    st.binary(min_size=1, max_size=60).filter(is_safe_path),
    st.integers(0, 4_000_000_000),
    st.integers(0, 10**15),
)
def test_a_name_comes_out_as_it_went_in(name: bytes, time: int, size: int) -> None:
    def escape(byte: int, following: bytes) -> bytes:
        # What rsync does: unprintable bytes, and a backslash that would read as the start of an escape.
        printable = 0x20 <= byte < 0x7F and not (byte == 0x5C and following[:1] == b"#")
        return bytes((byte,)) if printable else b"\\#%03o" % byte

    written = b"".join(escape(byte, name[at + 1 :]) for at, byte in enumerate(name))
    stamp = datetime.fromtimestamp(time, UTC).strftime("%Y/%m/%d %H:%M:%S").encode()
    line = b"-rw-r--r-- %14d %s %s" % (size, stamp, written)
    assert parse_rsync_line(line) == RsyncLine(Kind.FILE, name, size, time, True)


@given(st.binary(max_size=30) | st.lists(st.sampled_from([b"a", b".", b"..", b"", b"b\0", b"..."])).map(b"/".join))
def test_a_safe_path_stays_below(path: bytes) -> None:
    segments = path.split(b"/")
    expected = bool(path) and b"\0" not in path and not {b"", b".", b".."} & set(segments)
    assert is_safe_path(path) == expected


def test_what_is_shown_is_short_and_printable() -> None:
    assert show(b"\x1b[31m\xff" * 100).startswith("\\x1b[31m\\xff") and len(show(b"\x1b" * 200)) == 100
    assert timegm((2026, 11, 28, 6, 0, 0)) == 1_795_845_600
