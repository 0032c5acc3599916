"""What a request lists: a directory or a file, as far as it does not depend on the client."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from redirector.model import FileDetail, HostSetId

MAX_NAME_BYTES = 255
"""File systems have no longer names, and clients no room for longer lines."""

_IN_PATHS = "/$!&'()*+,;=:@~"
"""What may stand in a path as it is (RFC 3986, section 3.3), and `$`, which clients substitute."""

_IN_LINES = "".join(map(chr, range(0x21, 0x7F)))
"""What can be sent in a header and in a line of text."""


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


def ending_of(subpath: str, file: str | None, escape: bool = True) -> str:
    """`/` + *subpath*, closed by a slash or by the file, as a URL has it.

    escape  False: the names are percent-encoded already, as far as today's server cares
    """
    stem = f"/{subpath}" if subpath else ""
    return quote(f"{stem}/{file or ''}", safe=_IN_PATHS if escape else _IN_LINES)
