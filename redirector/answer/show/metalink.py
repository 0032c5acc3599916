"""The Metalink 3.0 answer, in MirrorManager's dialect, down to what single clients insist on."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from xml.sax.saxutils import escape, quoteattr

from redirector.answer.ask.listing import Listing
from redirector.answer.show.join import MARK, PREFERENCE
from redirector.errors import QueryError
from redirector.model import FileDetail
from redirector.snapshot.policy import Policy

METALINK_TYPE = "application/metalink+xml"

METALINK_END = b"   </resources>\n  </file>\n </files>\n</metalink>\n"

PREFERENCES = tuple(b"%d" % preference for preference in range(100, 0, -1))
"""Of the first host of a list, and of each next one; the last for all that follow."""


@lru_cache(maxsize=2)
def metalink_header(now: int) -> bytes:
    """Everything before the files; *now* in epoch seconds becomes `pubdate`."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" '
        f'pubdate="{formatdate(now, usegmt=True)}" generator="mirrormanager" '
        'xmlns:mm0="http://fedorahosted.org/mirrormanager">\n'
    ).encode()


def metalink_file(listing: Listing, policy: Policy) -> bytes:
    """The file's name and what is known of its versions: everything between the header and the URLs."""
    assert listing.file is not None
    newest, *alternates = listing.details
    name = quoteattr(listing.file) if policy.escape else f'"{listing.file}"'
    lines = [f" <files>\n  <file name={name}>\n", _detail(newest, "  ")]
    if alternates:
        lines.append("   <mm0:alternates>\n")
        for detail in alternates:
            lines += ["    <mm0:alternate>\n", _detail(detail, "     "), "    </mm0:alternate>\n"]
        lines.append("   </mm0:alternates>\n")
    lines.append('   <resources maxconnections="1">\n')
    return "".join(lines).encode()


def _detail(detail: FileDetail, indent: str) -> str:
    lines = []
    if detail.timestamp:
        lines.append(f" <mm0:timestamp>{detail.timestamp}</mm0:timestamp>")
    if detail.size_bytes:
        lines.append(f" <size>{detail.size_bytes}</size>")
    lines.append(" <verification>")
    for name in ("md5", "sha1", "sha256", "sha512"):
        digest = getattr(detail, name)
        if digest:
            lines.append(f'  <hash type="{name}">{digest}</hash>')
    lines.append(" </verification>")
    return "".join(f"{indent}{line}\n" for line in lines)


def metalink_entry(urls: Sequence[str], country: str | None, private: bool, policy: Policy) -> bytes:
    """What one host shows on a sheet."""
    location = "" if country is None and policy.escape else f' location="{country or ""}"'
    mark = ' mm0:private="True"' if private else ""
    parts = []
    for url in urls:
        scheme, base = url.partition(":")[0], escape(url) if policy.escape else url
        start = f'    <url protocol="{scheme}" type="{scheme}"{location} preference="'
        parts.append(start.encode() + PREFERENCE + f'"{mark}>{base}'.encode())
    return MARK.join(parts)


def metalink_seam(listing: Listing, policy: Policy) -> bytes:
    """What stands behind each base URL: the subpath, and the end of the element."""
    ending = escape(listing.ending) if policy.escape else listing.ending
    return f"{ending}</url>\n".encode()


def no_details(listing: Listing, policy: Policy, has_primary: bool = False) -> QueryError:
    """The error for a file of which neither size nor hashes are known."""
    text = f"{listing.directory}/{listing.file or ''} not found or has not metalink"
    if policy.by_distance:
        text += ": the primary tree has none that can be read" if has_primary else ": config.yml names no `primary`"
    return QueryError(404, text)


def failure_document(text: str, now: int) -> bytes:
    """Today's server's way to say an error to whoever asked for a metalink."""
    return metalink_header(now) + f"<!-- {text}\n-->\n</metalink>\n".encode()
