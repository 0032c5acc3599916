"""What a request lists: a directory or a file, as far as it does not depend on the client."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from redirector.model import FileDetail, HostSetId

_UNRESERVED = "/$!&'()*+,;=:@~"
"""What may stand in a path as it is (RFC 3986, section 3.3), and `$`, which clients substitute."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One directory or file of the master tree, under the name it was asked for.

    directory  its name in the master tree
    ending     what follows a host's base URL: `/` + subpath + `/`, or `/` + subpath + `/` + file
    file       the file's name; None for a directory
    details    versions of the file, newest first; () when unknown
    comment    how the comment line of a mirrorlist starts: `# repo = R arch = A `; None: there is no such line
    asked      (repo, arch) as asked, for the access log
    only_url   the one URL there is (AlmaLinux's vault); no host set is looked at
    """

    host_set: HostSetId
    directory: str
    ending: str
    file: str | None = None
    details: tuple[FileDetail, ...] = ()
    comment: str | None = None
    asked: tuple[str, str] | None = None
    only_url: str | None = None


def ending_of(subpath: str, file: str | None) -> str:
    """`/` + *subpath*, closed by a slash or by the file, as it stands in the snapshot or the request."""
    stem = f"/{subpath}" if subpath else ""
    return f"{stem}/" if file is None else f"{stem}/{file}"


def escaped_ending_of(subpath: str, file: str | None) -> str:
    """Likewise, as a URL has it: names that no mirror would answer to otherwise are percent-encoded."""
    return quote(ending_of(subpath, file), safe=_UNRESERVED)
