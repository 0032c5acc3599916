"""What a listing says, and what was known before, become what is known now: which push changed what, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import msgspec

from redirector.errors import FormatError, MasterError
from redirector.master.formats import parse_checksums, parse_marker, parse_release, parse_state, parse_trace, show
from redirector.master.gathering import NEWEST_FILES, ListedDirectory, ListedFile
from redirector.master.names import MARKERS, REPOMD, STATES, is_checksums, is_index, is_list_of_packages, is_traces
from redirector.master.naming import name_repositories
from redirector.model import FileDetail
from redirector.settings.repository_rules import Rule
from redirector.store.directories import (
    Counts,
    MasterDirectory,
    MasterFile,
    Packed,
    Push,
    Version,
    add_size,
    bound_sizes,
    pack_directories,
    pack_files,
    pack_versions,
)
from redirector.tree.repomd import hash_file, parse_repomd

KEPT_VERSIONS = 16
"""Of one file. Repositories that are pushed every hour are behind by no more for long."""

Content = bytes | FileDetail | None
"""What was read of a file: all of it; of a large one its hashes alone; None: nothing."""

_HASHES = ("sha256", "sha512", "sha1", "md5")


def sized(directory: MasterDirectory, size_bytes: int) -> MasterDirectory:
    """The same with its size, which older scans did not keep."""
    if directory.size_bytes == size_bytes:
        return directory
    return msgspec.structs.replace(directory, size_bytes=size_bytes)


@dataclass(frozen=True, slots=True)
class Scan:
    """One reading of a category's master.

    directories  by path; gone through once, so that each may be forgotten then
    contents     path and name below the top -> what was read of a file that `find_wanted` asked for
    checksums    path below the top -> kind -> hex: what the list itself says
    """

    category: str
    top: str
    now: int
    validator: bytes
    directories: Iterable[ListedDirectory]
    contents: Mapping[bytes, Content] = field(default_factory=dict)
    checksums: Mapping[bytes, Mapping[str, str]] = field(default_factory=dict)
    rules: Sequence[Rule] = ()


@dataclass(frozen=True, slots=True)
class Merged:
    """What is known now, how many directories differ from before, and what of the master cannot be read."""

    known: Packed
    changed: int
    problems: tuple[str, ...]


def find_wanted(known: Packed | None, directories: Iterable[ListedDirectory]) -> Iterator[bytes]:
    """Paths of the files whose content is needed: all indexes of a directory in which one, or an image, is new."""
    for before, directory in _join(known.directories() if known else (), directories):
        if directory is None or directory.secret or not directory.kept:
            continue
        versions = before.versions if before else {}
        told = [file for file in directory.kept if not is_list_of_packages(file.name)]
        if all(_is_as_known(file, versions.get(file.name, ())) for file in told):
            continue
        yield from (join(directory.path, file.name) for file in directory.kept if is_index(file.name, directory.path))


def _join(
    known: Iterable[MasterDirectory], listed: Iterable[ListedDirectory]
) -> Iterator[tuple[MasterDirectory | None, ListedDirectory | None]]:
    """Both sides, which are by path, beside each other; None where one has nothing."""
    old = iter(known)
    before = next(old, None)
    for each in listed:
        while before is not None and before.path < each.path:
            yield before, None
            before = next(old, None)
        if before is not None and before.path == each.path:
            yield before, each
            before = next(old, None)
        else:
            yield None, each
    while before is not None:
        yield before, None
        before = next(old, None)


def _is_as_known(file: ListedFile, versions: Sequence[Version]) -> bool:
    return bool(versions) and (versions[0].listed, versions[0].detail.size_bytes) == (file.time, file.size_bytes)


def _is_marker(path: bytes, name: bytes) -> bool:
    """Whether it tells how old a mirror is: at the top, or a trace."""
    return (not path and name in MARKERS) or is_traces(path)


def join(path: bytes, name: bytes) -> bytes:
    """The path of *name* in the directory *path*."""
    return path + b"/" + name if path else name


def refuse_implausible(master: str, known: Counts | None, directories: Sequence[ListedDirectory]) -> None:
    """Raise MasterError for a master that is empty, or lost half of what was *known* of it."""
    files = sum(each.count for each in directories)
    if not files:
        raise MasterError(master, "empty", "see whether it is mounted and complete")
    if known is None:
        return
    repositories = sum(each.path.rpartition(b"/")[2] == b"repodata" for each in directories)
    for name, now, then in (
        ("directories", len(directories), known.directories),
        ("files", files, known.files),
        ("repositories", repositories, known.repositories),
    ):
        if then > 1 and now * 2 <= then:
            way_out = "see whether it is complete; if that is meant, scan with --allow shrink"
            raise MasterError(master, f"half gone: {now:,} {name} where {then:,} were", way_out)


def set_back(known: Packed, now: int) -> Packed:
    """What a clock that was ahead found, once it is right: no push was seen later than *now*, or mirrors would lack it
    for nothing until then. Whether it is still so must be read."""

    def of(directory: MasterDirectory) -> MasterDirectory:
        files = (msgspec.structs.replace(file, seen=min(file.seen, now)) for file in directory.files)
        versions = {
            name: tuple(msgspec.structs.replace(each, seen=min(each.seen, now)) for each in found)
            for name, found in directory.versions.items()
        }
        return msgspec.structs.replace(
            directory,
            changed=min(directory.changed, now),
            packed_files=pack_files(files),
            packed_versions=pack_versions(versions),
        )

    return replace(
        known,
        checked=now,
        read=now,
        validator=b"",
        pushes=tuple(msgspec.structs.replace(push, seen=min(push.seen, now)) for push in known.pushes),
        packed=pack_directories(map(of, known.directories())),
    )


def merge(known: Packed | None, scan: Scan) -> Merged:
    """What is known of a category after *scan*; *known* is what was before it.

    A file's push is that of the scan that first saw it; at the first scan of all it has the file's own time.
    """
    number = known.push + 1 if known else 1
    merger = _Merger(scan, number, first=known is None)
    pushes: tuple[Push, ...]
    packed = pack_directories(merger.merge_all(known.directories() if known else ()))
    if known is None:
        generation, pushes = 1, (Push(1, merger.newest, merger.changed),)
    else:
        generation, pushes = known.generation + merger.is_other_list, known.pushes
        if merger.changed:
            pushes = (Push(number, scan.now, merger.changed), *pushes)
        else:
            number = known.push
    after = Packed(
        category=scan.category,
        top=scan.top,
        generation=generation,
        push=number,
        checked=scan.now,
        read=scan.now,
        validator=scan.validator,
        pushes=pushes,
        repositories=name_repositories(scan.rules, merger.repodata),
        counts=merger.count(),
        packed=packed,
    )
    return Merged(after, merger.changed, tuple(merger.problems))


@dataclass(slots=True)
class _Merger:
    scan: Scan
    push: int
    first: bool
    changed: int = 0
    newest: int = 0
    is_other_list: bool = False
    counts: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    sizes: dict[bytes, int] = field(default_factory=dict)
    repodata: list[MasterDirectory] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def count(self) -> Counts:
        """How much there is."""
        directories, secret, files, repositories = self.counts
        return Counts(directories, secret, files, repositories, bound_sizes(self.sizes))

    def merge_all(self, known: Iterable[MasterDirectory]) -> Iterator[MasterDirectory]:
        """What is known of each directory now."""
        for before, listed in _join(known, self.scan.directories):
            self.is_other_list |= before is None or listed is None
            if listed is None:
                self.changed += 1
                continue
            directory = self.merge(before, listed)
            self.newest = max(self.newest, directory.changed)
            add_size(self.sizes, directory)
            is_repodata = directory.path.rpartition(b"/")[2] == b"repodata"
            for at, number in enumerate((1, directory.secret, directory.count, is_repodata)):
                self.counts[at] += number
            if is_repodata:
                self.repodata.append(directory)
            yield directory

    def merge(self, before: MasterDirectory | None, listed: ListedDirectory) -> MasterDirectory:
        if (
            before
            and (before.digest, before.secret, before.count) == (listed.digest, listed.secret, listed.count)
            and not self._was_read(listed)
        ):
            return sized(before, listed.size_bytes)
        # What was secret is new to mirrors from the moment when it may be seen.
        old = before if before and not (before.secret and not listed.secret) else None
        versions = {} if listed.secret else self._versions(old, listed)
        files = () if listed.secret else tuple(self._file(old, file) for file in listed.newest)
        if REPOMD in versions:
            files += self._list_of_packages(before, listed, files)
        packed_files, packed_versions = pack_files(files), pack_versions(versions)
        is_same = before is not None and (before.digest, before.secret, before.count, before.packed_versions) == (
            listed.digest,
            listed.secret,
            listed.count,
            packed_versions,
        )
        if before and is_same:
            return sized(before, listed.size_bytes)
        self.changed += 1
        return MasterDirectory(
            path=listed.path,
            changed=self._changed(listed, files, versions),
            push=self.push,
            secret=listed.secret,
            count=listed.count,
            digest=listed.digest,
            packed_files=packed_files,
            packed_versions=packed_versions,
            size_bytes=listed.size_bytes,
        )

    def _was_read(self, listed: ListedDirectory) -> bool:
        return any(join(listed.path, file.name) in self.scan.contents for file in listed.kept)

    def _changed(
        self, listed: ListedDirectory, files: Sequence[MasterFile], versions: Mapping[bytes, tuple[Version, ...]]
    ) -> int:
        if not self.first:
            return self.scan.now
        if REPOMD in versions:
            return versions[REPOMD][0].seen
        return min(files[0].time if files else listed.time, self.scan.now)

    def _file(self, before: MasterDirectory | None, file: ListedFile) -> MasterFile:
        return MasterFile(file.name, file.size_bytes, file.time, self._seen(before, file))

    def _list_of_packages(
        self, before: MasterDirectory | None, listed: ListedDirectory, files: Sequence[MasterFile]
    ) -> tuple[MasterFile, ...]:
        """The `primary` that a `repomd.xml` names, where it is not among the newest *files*: a push writes a dozen
        files beside the index at once."""
        there = {file.name: file for file in listed.kept if is_list_of_packages(file.name)}
        raw = self.scan.contents.get(join(listed.path, REPOMD))
        known = find_list_of_packages(before.files) if before else None
        named = known.name if known else b""
        if isinstance(raw, bytes):
            with suppress(FormatError):
                primary = parse_repomd(raw).primary
                named = primary.path.removeprefix(b"repodata/") if primary else b""
        if named not in there or any(file.name == named for file in files):
            return ()
        return (self._file(before, there[named]),)

    def _seen(self, before: MasterDirectory | None, file: ListedFile) -> int:
        own = min(file.time, self.scan.now)
        if self.first:
            return own
        if before is None:
            return self.scan.now
        known = before.files[:NEWEST_FILES]
        for old in before.files:
            if (old.name, old.size_bytes, old.time) == (file.name, file.size_bytes, file.time):
                return old.seen
        # Of more files than are kept one may have been there all the time, behind newer ones that are gone now.
        if len(known) == NEWEST_FILES and file.time <= known[-1].time and all(old.name != file.name for old in known):
            return own
        return self.scan.now

    # Indexes and images

    def _versions(self, before: MasterDirectory | None, listed: ListedDirectory) -> dict[bytes, tuple[Version, ...]]:
        known = before.versions if before else {}
        sums = self._image_sums(listed)
        found = {}
        for file in listed.kept:
            if is_list_of_packages(file.name):
                continue
            old = known.get(file.name, ())
            detail = self._detail(listed.path, file, sums.get(file.name))
            if detail is None:
                # What is there now is broken, or of another push than the list: what was known counts. But a marker
                # that cannot be read tells nobody's age.
                if old and (_is_as_known(file, old) or not _is_marker(listed.path, file.name)):
                    found[file.name] = old
                continue
            found[file.name] = self._put(old, file, detail)
        return found

    def _image_sums(self, listed: ListedDirectory) -> dict[bytes, dict[str, str]]:
        """What the lists of checksums in a directory say of the files beside them."""
        sums: dict[bytes, dict[str, str]] = {}
        for file in listed.kept:
            raw = self.scan.contents.get(join(listed.path, file.name))
            if not is_checksums(file.name) or not isinstance(raw, bytes):
                continue
            try:
                for name, hashes in parse_checksums(raw).items():
                    sums.setdefault(name, {}).update(hashes)
            except FormatError as error:
                self._note(listed.path, file.name, error)
        return sums

    def _detail(self, path: bytes, file: ListedFile, sums: Mapping[str, str] | None) -> FileDetail | None:
        """Hashes, size and time of *file*; None where nothing new is known of it."""
        full = join(path, file.name)
        if is_index(file.name, path):
            content, sums = self.scan.contents.get(full), self.scan.checksums.get(full)
            detail = self._parse(path, file, content) if isinstance(content, bytes) else content
            # Where the list says something else, what was read is of an earlier or a later push.
            if detail and all(getattr(detail, kind) == value for kind, value in (sums or {}).items()):
                return detail if detail.timestamp else replace(detail, timestamp=file.time)
        else:
            sums = {**(self.scan.checksums.get(full) or {}), **(sums or {})}
        return FileDetail(file.time, file.size_bytes, **sums) if sums else None

    def _parse(self, path: bytes, file: ListedFile, raw: bytes) -> FileDetail | None:
        try:
            if file.name == REPOMD:
                return parse_repomd(raw).detail
            if file.name in (b"Release", b"InRelease"):
                return parse_release(raw).detail
            if _is_marker(path, file.name):
                return hash_file(raw, self._time_of_marker(path, file.name, raw))
        except FormatError as error:
            self._note(path, file.name, error)
            return None
        return hash_file(raw)

    def _time_of_marker(self, path: bytes, name: bytes, raw: bytes) -> int:
        """What it says itself; 0 where it bears no time. Raises FormatError."""
        if path:
            return parse_trace(raw, self.scan.now).time
        if name in STATES:
            parse_state(raw)
            return 0
        return int(parse_marker(raw, self.scan.now))

    def _put(self, old: tuple[Version, ...], file: ListedFile, detail: FileDetail) -> tuple[Version, ...]:
        """*old* with what is there now in front."""
        if old and is_same_file(old[0].detail, detail):
            return (Version(detail, old[0].seen, old[0].push, file.time), *old[1:])
        seen = min(detail.timestamp or file.time, self.scan.now) if self.first else self.scan.now
        # What comes back is no longer an earlier version.
        others = (version for version in old if not is_same_file(version.detail, detail))
        return (Version(detail, seen, self.push, file.time), *others)[:KEPT_VERSIONS]

    def _note(self, path: bytes, name: bytes, error: FormatError) -> None:
        self.problems.append(f"{show(join(path, name))}: {error}")


def find_list_of_packages(files: Sequence[MasterFile]) -> MasterFile | None:
    """The `primary` among what is kept of a `repodata`: the one kept beyond the newest files, else the newest."""
    return next((file for file in (*files[NEWEST_FILES:], *files) if is_list_of_packages(file.name)), None)


def is_same_file(one: FileDetail, other: FileDetail) -> bool:
    """Whether two details are of one content: by any hash that both have, else by size and time."""
    for name in _HASHES:
        if (mine := getattr(one, name)) and (theirs := getattr(other, name)):
            return bool(mine == theirs)
    return (one.size_bytes, one.timestamp) == (other.size_bytes, other.timestamp)
