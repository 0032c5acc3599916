from __future__ import annotations

import pytest

from redirector.health.reading import read_index, read_marker

NOW = 1_795_000_000.0
REPOMD = b'<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>9</revision>%s</repomd>'


@pytest.mark.parametrize(
    ("path", "body", "text", "stamp"),
    [
        ("TIME", b" 1794990000.25\n", "1794990000.25", 1794990000.25),
        ("project/trace/m", b"Sat Nov 28 06:00:00 UTC 2026\nHost: m\n", "Sat Nov 28 06:00:00 UTC 2026", None),
        ("project/trace/m", b"Wed Nov 18 06:00:00 UTC 2026\n", "Wed Nov 18 06:00:00 UTC 2026", 1794981600.0),
        ("lastsync", b"1795000301", "1795000301", None),
        ("lastsync", b"", "", None),
        ("TIME", b"<html>1794990000", "<html>1794990000", None),
        ("state", b"1794990000\n", "1794990000", None),
        ("COMPOSE_ID", b"Fedora-44-1\n", "Fedora-44-1", None),
        ("TIME", b"\xff\xfe", "\ufffd\ufffd", None),
    ],
)
def test_markers(path: str, body: bytes, text: str, stamp: float | None) -> None:
    assert read_marker(path, body, NOW) == (text, stamp)


@pytest.mark.parametrize(
    ("path", "body", "read"),
    [
        (
            "os/repodata/repomd.xml",
            REPOMD % b"<data><timestamp>5</timestamp></data><data><timestamp>7.5</timestamp></data>",
            (7.0, None),
        ),
        ("os/repodata/repomd.xml", REPOMD % b"", (None, None)),
        (
            "os/repodata/repomd.xml",
            b"<!DOCTYPE repomd>" + REPOMD % b"<data><timestamp>5</timestamp></data>",
            (None,) * 2,
        ),
        ("os/repodata/repomd.xml", b"<html>", (None, None)),
        (
            "dists/x/Release",
            b"Date: Wed, 18 Nov 2026 06:00:00 UTC\nValid-Until: Wed, 25 Nov 2026 06:00:00 UTC\n",
            (1794981600.0, 1795586400),
        ),
        ("dists/x/Release", b"no", (None, None)),
        ("extra.db", b"\x1f\x8b", (None, None)),
    ],
)
def test_indexes(path: str, body: bytes, read: tuple[float | None, int | None]) -> None:
    assert read_index(path, body) == read
