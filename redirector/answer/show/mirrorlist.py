"""The text answer: a comment line in MirrorManager's words, then one URL a line, best first."""

from __future__ import annotations

from collections.abc import Sequence

from redirector.answer.ask.listing import Listing
from redirector.answer.show.join import MARK


def mirrorlist_entry(urls: Sequence[str]) -> bytes:
    """What one host shows on a sheet."""
    return MARK.join(url.encode() for url in urls)


def mirrorlist_seam(listing: Listing) -> bytes:
    """What stands behind each base URL: the subpath, and the end of the line."""
    return f"{listing.ending}\n".encode()
