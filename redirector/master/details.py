"""What a scan found, as the answering half knows it: versions of files, for metalinks and their alternates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from redirector.master.names import MARKERS, REPOMD, is_traces
from redirector.model import FileDetail
from redirector.store.directories import MasterDirectory, Packed

REPODATA = b"repodata"


def list_details(directories: Iterable[MasterDirectory]) -> Iterator[tuple[bytes, bytes, tuple[FileDetail, ...]]]:
    """(directory below the top, file name, versions newest first) of every file whose hashes are known and that
    everybody may see.

    A publication puts them into its snapshot; `redirector.sources.mirrors_d.primary.AlternatesRule` says which of them
    are alternates still.
    """
    for directory in directories:
        if directory.secret or not directory.packed_versions:
            continue
        for name, versions in directory.versions.items():
            if name in MARKERS or is_traces(directory.path):
                continue  # what changes every hour is nobody's download
            yield directory.path, name, tuple(version.detail for version in versions)


def metadata_of(scanned: Iterable[Packed]) -> dict[str, tuple[FileDetail, ...]]:
    """Directory of each repository below its top -> versions of its `repomd.xml`, newest first."""
    found: dict[str, tuple[FileDetail, ...]] = {}
    for packed in scanned:
        for path, name, versions in list_details(packed.directories()):
            folder, _, last = path.rpartition(b"/")
            if name == REPOMD and last == REPODATA:
                found[folder.decode("utf-8", "surrogateescape")] = versions
    return found
