"""Which files of a tree name others: they come after what they name, and what they do not name any more goes last."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CHECKSUMS = ("*CHECKSUM*", "SHA*SUMS*", "MD5SUMS*")
_LISTS = ("fullfiletimelist*", "fullfilelist*", "imagelist*", "ls-lR*")

_RPM = (
    "repomd.xml", "repomd.xml.*",
    "primary.xml*", "filelists.xml*", "other.xml*", "primary.sqlite*", "filelists.sqlite*", "other.sqlite*",
    "primary_db.sqlite*", "filelists_db.sqlite*", "other_db.sqlite*",
    "updateinfo.xml*", "prestodelta.xml*", "comps*.xml*", "modules.yaml*", "group.xml*", "productid*",
    ".treeinfo", "treeinfo", ".discinfo", "media.repo", ".composeinfo", "COMPOSE_ID",
)  # fmt: skip
"""Metadata whose names hold a checksum are new names, and come with the packages."""

_DEB = (
    "InRelease", "Release", "Release.gpg", "Packages", "Packages.*", "Sources", "Sources.*", "Contents-*",
    "Translation-*", "Components-*.yml*", "icons-*.tar*", "Commands-*", "Index", "Archive-Update-in-Progress-*",
)  # fmt: skip
"""Below `by-hash` the names are checksums, and these match none of them."""

_PLAIN = (
    "APKINDEX.tar.gz",
    "*.db",
    "*.db.sig",
    "*.db.tar*",
    "*.files",
    "*.files.sig",
    "*.files.tar*",
    "summary",
    "summary.*",
)

INDEXES = {
    "rpm": (*_RPM, *_CHECKSUMS, *_LISTS),
    "deb": (*_DEB, *_CHECKSUMS, *_LISTS),
    "plain": (*_RPM, *_DEB, *_PLAIN, *_CHECKSUMS, *_LISTS),
}
"""By kind of tree: names of files, at any depth."""

NEVER = (".~tmp~/", "lost+found/", ".sync_in_progress")
"""What is never taken: unfinished work of the source's own synchronization, and what belongs to its file system."""


def regex_of(pattern: str) -> str:
    """An extended regular expression (POSIX) for the paths that rsync's *pattern* excludes, folders closed by a slash.

    `/a/b` is `^a/b(/|$)` · `*.iso` is `(^|/)[^/]*[.]iso(/|$)` · `debug/` is `(^|/)debug/`
    """
    anchored, folder = pattern.startswith("/"), pattern.endswith("/")
    body = pattern.strip("/")
    parts = re.split(r"(\*\*|\*|\?)", body)
    inside = "".join({"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part) or _literal(part) for part in parts)
    return ("^" if anchored else "(^|/)") + inside + ("/" if folder else "(/|$)")


def regex_of_all(patterns: Iterable[str]) -> str:
    """One expression for all of *patterns*; matches nothing when there are none."""
    return "|".join(map(regex_of, patterns)) or "^$"


def _literal(text: str) -> str:
    return re.sub(
        r"[.+()|{}^$\\]",
        lambda found: "\\\\" if found[0] == "\\" else f"[{found[0]}]" if found[0] != "^" else "\\^",
        text,
    )
