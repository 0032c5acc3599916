"""Trees of other kinds: a Debian-like archive and plain files, synchronized while they are read, and cut meanwhile."""

from __future__ import annotations

import gzip
import re
from email.utils import formatdate
from hashlib import sha256
from pathlib import Path

import pytest

from tests.health.mirrors import write
from tests.kit.rig import Rig, make_rig, names_below
from tests.kit_servers.test_readers import Reader

BEGIN = 1_794_000_000
LISTS = "main/binary-amd64"


def push_archive(tree: Path, stamp: int, keep: int = 1) -> None:
    """The archive as the push at *stamp* leaves it; lists by hash of the *keep* pushes before stay, packages do not."""
    for old in sorted((tree / "pool").rglob("*.deb")):
        old.unlink()
    package = b"d" * (100 + stamp % 100)
    place = f"pool/main/p/p_{stamp}_amd64.deb"
    write(tree / place, package, stamp)
    listed = gzip.compress(
        f"Package: p\nFilename: {place}\nSize: {len(package)}\nSHA256: {sha256(package).hexdigest()}\n\n".encode(),
        mtime=0,
    )
    digest = sha256(listed).hexdigest()
    dists = tree / "dists" / "stable"
    write(dists / LISTS / "Packages.gz", listed, stamp)
    by_hash = dists / LISTS / "by-hash" / "SHA256"
    write(by_hash / digest, listed, stamp)
    for old in sorted(by_hash.iterdir(), key=lambda each: each.stat().st_mtime)[: -keep - 1]:
        old.unlink()
    release = (
        f"Suite: stable\nDate: {formatdate(stamp, usegmt=True)}\nAcquire-By-Hash: yes\n"
        f"SHA256:\n {digest} {len(listed)} {LISTS}/Packages.gz\n"
    ).encode()
    for name in ("InRelease", "Release"):
        write(dists / name, release, stamp)
    write(tree / "project" / "trace" / "master.example.org", f"{stamp}\n".encode(), stamp)


class AptReader(Reader):
    """Reads as apt does: the release, the list by its hash, then the packages that it names."""

    def look(self) -> None:
        dists = self.tree / "dists" / "stable"
        try:
            release = (dists / "InRelease").read_text()
        except FileNotFoundError:
            return
        found = re.search(r"^ (\w{64}) \d+ (\S+)$", release, re.MULTILINE)
        assert found
        try:
            assert (dists / found[2]).exists()
            listed = (dists / LISTS / "by-hash" / "SHA256" / found[1]).read_bytes()
            assert sha256(listed).hexdigest() == found[1]
            text = gzip.decompress(listed).decode()
            for place, size in re.findall(r"^Filename: (.*)\nSize: (\d+)$", text, re.MULTILINE):
                assert (self.tree / place).stat().st_size == int(size)
        except (FileNotFoundError, AssertionError) as error:
            self.missing.append(repr(error))
        self.read += 1
        self.seen.add(found[1])


async def read_archive(rig: Rig, cuts: list[str]) -> AptReader:
    """Pushes and runs of the script, each after the other, while somebody reads; *cuts*: where runs end early."""
    push_archive(rig.master, BEGIN)
    ran = await rig.sync()
    assert ran.code == 0, ran.said
    reader = AptReader(rig.root)
    reader.start()
    try:
        for n, cut in enumerate(cuts, 1):
            push_archive(rig.master, BEGIN + n)
            await rig.sync(env={"CUT_BEFORE": cut})
            reader.look()
        ran = await rig.sync()
        assert ran.code == 0, ran.said
    finally:
        reader.end()
    assert not reader.missing and reader.read > 10
    return reader


@pytest.mark.parametrize(
    "cuts", [pytest.param([""] * 3, id="whole"), pytest.param([str(n) for n in range(1, 9)], id="cut")]
)
async def test_an_archive_is_whole_for_its_readers(tmp_path: Path, cuts: list[str]) -> None:
    keys = {"kind": "deb", "marker": "", "grace_s": "1", "max_delete": "90%"}
    async with make_rig(tmp_path, **keys) as rig:
        reader = await read_archive(rig, cuts)
        assert len(reader.seen) >= 3
        own = {"project/trace/mirror.example.org"}
        assert rig.names() == names_below(rig.master) | own
        assert re.match(r"\w{3} \w{3} +\d+ \d\d:\d\d:\d\d UTC \d{4}\n", (rig.root / own.pop()).read_text())


async def test_an_archive_takes_its_pool_before_its_lists(tmp_path: Path) -> None:
    async with make_rig(tmp_path, kind="deb", marker="", grace_s="0") as rig:
        push_archive(rig.master, BEGIN)
        assert (await rig.sync()).code == 0
        push_archive(rig.master, BEGIN + 1)
        calls = (await rig.sync(env={"CUT_BEFORE": "4"})).calls
        assert len(calls) == 4
        here = rig.names()
        assert {f"pool/main/p/p_{BEGIN + n}_amd64.deb" for n in (0, 1)} <= here
        assert f"{formatdate(BEGIN, usegmt=True)}" in (rig.root / "dists/stable/InRelease").read_text()


async def test_a_plain_tree_is_taken_as_it_is(tmp_path: Path) -> None:
    async with make_rig(tmp_path, kind="plain", marker="") as rig:
        for n in range(3):
            write(rig.master / "v1" / f"f{n}.tar.xz", bytes([n]) * 10, BEGIN)
        write(rig.master / "v1" / "SHA256SUMS", b"sums", BEGIN)
        write(rig.master / "x86_64" / "APKINDEX.tar.gz", b"index", BEGIN)
        (rig.master / "latest").symlink_to("v1")
        (rig.master / "out").symlink_to("../../etc/passwd")
        (rig.master / "absolute").symlink_to("/etc/passwd")
        ran = await rig.sync()
        assert ran.code == 0, ran.said
        assert rig.names() == names_below(rig.master) - {"out", "absolute"}
        write(rig.master / "v1" / "f0.tar.xz", b"new", BEGIN + 1)
        (rig.master / "v1" / "f1.tar.xz").unlink()
        ran = await rig.sync()
        assert ran.code == 0, ran.said
        assert (rig.root / "v1" / "f0.tar.xz").read_bytes() == b"new"
        assert rig.names() == names_below(rig.master) - {"out", "absolute"}
