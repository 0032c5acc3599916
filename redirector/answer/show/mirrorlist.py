"""The text answer: a comment line in MirrorManager's words, then one URL a line, best first."""

from __future__ import annotations

from collections.abc import Sequence

from redirector.answer.answer import Form
from redirector.answer.ask.listing import Listing
from redirector.answer.show.join import MARK


def choose_urls(urls: Sequence[str], protocols: Sequence[str], form: Form) -> tuple[str, ...]:
    """The base URLs of one host that an answer shows.

    urls       as listed; by default the source's https ones come first
    protocols  wished ones: up to as many URLs as there are; none: a metalink shows all, a mirrorlist the first one
               of https, http or ftp
    returns    () when none is suitable
    """
    chosen = tuple(urls)
    if protocols:
        starts = tuple(f"{scheme}:" for scheme in protocols)
        chosen = tuple(url for url in urls if url.startswith(starts))[: len(protocols)]
    if form is Form.REDIRECT:
        return tuple(url for url in chosen if url.startswith(("https:", "http:")))[:1]
    if form is Form.MIRRORLIST and not protocols:
        return tuple(url for url in urls if url.startswith(("https:", "http:", "ftp:")))[:1]
    return chosen


def mirrorlist_entry(urls: Sequence[str]) -> bytes:
    """What one host shows on a sheet."""
    return MARK.join(url.encode() for url in urls)


def mirrorlist_seam(listing: Listing) -> bytes:
    """What stands behind each base URL: the subpath, and the end of the line."""
    return f"{listing.ending}\n".encode()
