#!/usr/bin/env python3
"""Fetch the server's input files, put each in place in one step, and ask for a reload if any of them changed.

    redirector-fetch --into DIR [--reload URL] [--every SECONDS] URL...

A file is written beside its place and renamed. An archive NAME.tar.gz (.tar.xz, .tar.bz2, .tar) also becomes the
folder NAME: unpacked beside, then a link is switched, to its top or to the tree in its one folder. What cannot be
fetched stays as it is, and the others go on.
With `--every` it runs until SIGTERM; without, it ends with 0 (all in place), 1 (something failed) or 2 (usage).
Needs the standard library alone, so that it runs in the server's image and on a bare machine.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import lzma
import os
import shutil
import signal
import sys
import tarfile
import time
import zlib
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

TIMEOUT_S = 60
RETRY_S = 30
RELOAD_TIMEOUT_S = 300
ARCHIVES: dict[str, Callable[[Path, Any], object]] = {
    ".tar": open,
    ".tar.gz": gzip.open,
    ".tar.xz": lzma.open,
    ".tar.bz2": bz2.open,
}

MAX_BYTES = 1 << 30
"""The largest file that is fetched: Fedora's snapshot has 30 MB, a City database 70, the AS table as text 30."""

MAX_FETCH_S = 1800
"""How long a file may take to arrive: a byte a minute never runs into `TIMEOUT_S`."""

MAX_UNPACKED_BYTES = 1 << 30
MAX_MEMBERS = 100_000
"""What an archive may come to: a tree of mirror files has some 600 in 1 MB, with copies of metadata some 100 MB."""

MAX_DEPTH = 50
"""Folders in one another: below thousands no path leads anywhere, not even to take them away again."""

MAX_HEADER_BYTES = 1 << 20
"""How long a name or a header of its own may be: tarfile reads them whole, and one can claim any length."""

FAILURES = (OSError, EOFError, ValueError, HTTPException, RecursionError, lzma.LZMAError, tarfile.TarError, zlib.error)
"""What a server can lead to, whatever it sends. tarfile goes deeper with each header that is for the next one."""


def main(arguments: list[str] | None = None) -> int:
    """Fetch once, or again and again; the exit status of the last round."""
    options = parse_options(arguments)
    options.into.mkdir(parents=True, exist_ok=True)
    # As the first process of a container it would not get the default action.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        good = fetch_all(options.urls, options.into, options.reload)
        if options.every is None:
            return 0 if good else 1
        time.sleep(options.every if good else min(options.every, RETRY_S))


def fetch_all(urls: list[str], into: Path, reload: str | None) -> bool:
    """One round. A server that does not answer is asked again in the next round, hence the mark on disk."""
    owed = into / ".reload-owed"
    changes = [fetch_or_say(url, into) for url in urls]
    if any(changes):
        owed.touch()
    if reload is None or not owed.exists():
        return None not in changes
    served = reload_or_say(reload)
    if served is not None:
        owed.unlink()
    return None not in changes and served is not False


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="redirector-fetch", description="Fetch input files and ask for a reload.")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR", help="where the files are put")
    parser.add_argument("--reload", metavar="URL", help="POST here when a file changed")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="go on, with this pause (default: once)")
    parser.add_argument("urls", nargs="+", metavar="URL")
    return parser.parse_args(arguments)


def fetch_or_say(url: str, into: Path) -> bool | None:
    """Whether what *url* names has changed; None when it could not be fetched, which is said on standard error."""
    try:
        changed = fetch(url, into)
    except FAILURES as error:
        say(f"{url}: {' '.join(str(error).split()) or type(error).__name__}; what is there stays")
        return None
    if changed:
        say(f"{url}: fetched")
    return changed


def fetch(url: str, into: Path) -> bool:
    """Put what *url* names into the folder; False when it is what was fetched before.

    raises  any of `FAILURES`; then nothing in place has changed
    """
    name = PurePosixPath(urlsplit(url).path).name
    if name in ("", ".."):
        raise ValueError("names no file")
    place = into / name
    request = Request(url)
    if place.exists():
        request.add_header("If-Modified-Since", formatdate(place.stat().st_mtime, usegmt=True))
    try:
        answer = urlopen(request, timeout=TIMEOUT_S)
    except HTTPError as error:
        with error:
            if error.code == 304:
                return False
            raise
    new = place.with_name(f".{place.name}.new")
    new.unlink(missing_ok=True)
    end = time.monotonic() + MAX_FETCH_S
    with answer, new.open("xb") as file:
        said, left = answer.length, MAX_BYTES + 1
        while left and (block := answer.read1(min(left, 1 << 20))):
            file.write(block)
            left -= len(block)
            if time.monotonic() > end:
                raise URLError(f"not all there after {MAX_FETCH_S} s")
        if not left:
            new.unlink()
            raise URLError(f"larger than {MAX_BYTES:,} bytes")
        missing = 0 if said is None else said - file.tell()
    if missing:  # reading in pieces does not tell
        raise URLError(f"{missing} bytes are missing")
    if changed := answer.headers.get("Last-Modified"):
        os.utime(new, (time.time(), parsedate_to_datetime(changed).timestamp()))
    unpack(new, place)
    new.replace(place)
    return True


def unpack(archive: Path, place: Path) -> None:
    """Let the folder that *place* is named after lead to the content of *archive*, if that is what it is.

    The folder before it stays for a load that is reading it; the ones before that go.
    """
    suffix = next((suffix for suffix in ARCHIVES if place.name.endswith(suffix)), None)
    if suffix is None:
        return
    link = place.with_name(place.name.removesuffix(suffix))
    kept = link.resolve()
    for old in link.parent.glob(f".{link.name}.[0-9]*"):
        if not kept.is_relative_to(old.resolve()):
            shutil.rmtree(old)
    folder = link.parent.resolve() / f".{link.name}.{time.time_ns()}"
    try:
        with cast(IO[bytes], ARCHIVES[suffix](archive, "rb")) as packed:
            stream = Bounded(packed)
            extract(stream, folder)
            while stream.read(1 << 20):  # the checksum stands behind the end of the archive
                pass
        top = find_top(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    new_link = link.with_name(f".{link.name}.link")
    new_link.unlink(missing_ok=True)
    new_link.symlink_to(top.relative_to(folder.parent))
    new_link.replace(link)


def find_top(folder: Path) -> Path:
    """Where the content of an archive that was unpacked into *folder* begins: forges pack a tree with all of it in one
    folder. Raises tarfile.ReadError when there is nothing."""
    found = list(folder.iterdir())
    if not found:
        raise tarfile.ReadError("nothing is in it")
    return found[0] if len(found) == 1 and (found[0] / "config.yml").is_file() else folder


class Bounded:
    """An unpacked stream that ends with an error where it is too long."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = MAX_UNPACKED_BYTES

    def read(self, size: int) -> bytes:
        block = self._stream.read(min(size, self._left + 1))
        self._left -= len(block)
        if self._left < 0:
            raise tarfile.ReadError(f"larger than {MAX_UNPACKED_BYTES:,} bytes when unpacked")
        return block


class Member(tarfile.TarInfo):
    """A member whose headers are bounded."""

    def _proc_member(self, tarfile_: tarfile.TarFile) -> tarfile.TarInfo:
        if not self.isreg() and self.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header is too long")
        return super()._proc_member(tarfile_)  # type: ignore[misc,no-any-return]


def extract(stream: Bounded, folder: Path) -> None:
    """Write the files and folders of the archive *stream* below *folder*, for everybody to read.

    raises  tarfile.TarError for anything else in it (links, devices, holes), for what is outside, and for too many
    """
    folder.mkdir()
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=Member) as tar:  # type: ignore[call-overload]  # a reader is all it needs
        for number, member in enumerate(tar):
            if member.name.count("/") > MAX_DEPTH:
                raise tarfile.ExtractError(f"more than {MAX_DEPTH} folders deep")
            inside = (folder / member.name).resolve().is_relative_to(folder)
            if not inside or not (member.isreg() or member.isdir()) or member.issparse():
                raise tarfile.ExtractError(f"{member.name} is outside, or neither file nor folder")
            if number == MAX_MEMBERS:
                raise tarfile.ExtractError(f"more than {MAX_MEMBERS:,} files")
            member.mode = 0o644 if member.isreg() else 0o755
            member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
            tar.extraction_filter = lambda checked, _: checked  # Debian 12's Python has no filters of its own yet
            tar.extract(member, folder)


def reload_or_say(url: str) -> bool | None:
    """Ask the server to read its files again: served, refused, or None when it did not answer (it may be starting)."""
    try:
        with urlopen(Request(url, method="POST"), timeout=RELOAD_TIMEOUT_S) as answer:
            say(f"{url}: served ({answer.status})")
            return True
    except HTTPError as error:
        with error:
            say(f"{url}: refused ({error.code})\n{error.read().decode(errors='replace').rstrip()}")
            return False
    except (OSError, HTTPException) as error:
        say(f"{url}: {error}; asked again the next time")
        return None


def say(text: str) -> None:
    print(f"redirector-fetch: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
