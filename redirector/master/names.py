"""Which files of a master say what a directory holds, by their names."""

from __future__ import annotations

import re

REPOMD = b"repomd.xml"

_INDEX = re.compile(rb"repomd\.xml|(?:In)?Release|\.?treeinfo|APKINDEX\.tar\.gz|summary|.+\.db")
_CHECKSUMS = re.compile(rb"(?:.+[-_.])?CHECKSUMS?(?:\.txt)?|(?:.+[-_.])?(?:SHA(?:1|256|512)|MD5)SUMS?(?:\.txt)?")
_IMAGE = re.compile(
    rb".+\.(?:iso|qcow2|raw|img|box|vmdk|vhd|vhdfixed|vagrant[^.]*\.box|ociarchive)(?:\.(?:xz|gz|zst))?"
)

MARKERS = (b"TIME", b"lastsync", b"lastupdate", b"last-updated", b"state", b"COMPOSE_ID")
"""Files at a master's top that change with every push, and are copied like all others: they tell how old a mirror is.
Where there are several the first of them counts."""

STATES = frozenset({b"state", b"COMPOSE_ID"})
"""Those of them that bear no time."""

TRACES = b"project/trace"
"""A folder of markers, one for each machine that the archive went through."""

KEPT_ENDS = frozenset(
    b"xml ase nfo .gz ary .db SUM UMS txt iso ow2 raw img box mdk vhd xed ive .xz zst bz2".split()
    + [name[-3:] for name in MARKERS]
)
"""The last three bytes of all these names: most others are told apart by them alone, in a quarter of the time."""

_LIST_OF_PACKAGES = re.compile(rb"(?:.+-)?primary\.xml(?:\.(?:gz|xz|bz2|zst))?")

_UNDER_WAY = (b".sync_in_progress", b"Archive-Update-in-Progress-")


def is_kept(name: bytes) -> bool:
    """Whether a file of this name is looked at by itself: an index, a list of checksums or of packages, or an image."""
    return name[-3:] in KEPT_ENDS and (is_index(name) or is_image(name) or is_list_of_packages(name))


def is_index(name: bytes, path: bytes = b"") -> bool:
    """Whether the content of a file of this name says what its directory, *path*, holds: it is hashed, and parsed."""
    return bool(_INDEX.fullmatch(name)) or is_checksums(name) or name in MARKERS or is_traces(path)


def is_traces(path: bytes) -> bool:
    """Whether *path*, below the top or what a list begins with, is the folder of traces."""
    return path[-len(TRACES) :] == TRACES and path[-len(TRACES) - 1 : -len(TRACES)] in (b"", b"/")


def is_checksums(name: bytes) -> bool:
    """Whether it is a list of checksums of the images beside it."""
    return bool(_CHECKSUMS.fullmatch(name))


def is_image(name: bytes) -> bool:
    """Whether it is what people download by hand, and a list of checksums may know."""
    return bool(_IMAGE.fullmatch(name))


def is_list_of_packages(name: bytes) -> bool:
    """Whether it is what a `repomd.xml` calls `primary`; no more is asked of it than to be there."""
    return bool(_LIST_OF_PACKAGES.fullmatch(name))


def is_under_way(name: bytes) -> bool:
    """Whether a file of this name at the top says that the master is being changed."""
    return name.startswith(_UNDER_WAY)
