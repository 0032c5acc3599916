"""Listings as bytes, as far as they depend on neither client nor time; and the bodies that are made of them."""

from __future__ import annotations

from dataclasses import dataclass

from redirector.answer.answer import Form
from redirector.answer.ask.listing import Listing
from redirector.answer.show.join import join
from redirector.answer.show.metalink import METALINK_END, PREFERENCES, metalink_file, metalink_header, metalink_seam
from redirector.answer.show.mirrorlist import mirrorlist_seam
from redirector.snapshot.policy import Policy


@dataclass(frozen=True, slots=True)
class Frame:
    """A listing in one form, as bytes: all of an answer that depends on neither client nor time.

    form   of the two
    top    what stands before the URLs (a metalink: behind the header; a mirrorlist: before the ranking's words)
    seam   what stands behind each base URL
    words  the ranking's words belong behind the top
    """

    listing: Listing
    form: Form
    top: bytes
    seam: bytes
    words: bool = False


def frame_of(listing: Listing, metalink: bool, policy: Policy) -> Frame:
    """The frame of *listing*, as a metalink or as a mirrorlist."""
    if metalink:
        return Frame(listing, Form.METALINK, metalink_file(listing, policy), metalink_seam(listing, policy))
    top = (listing.comment or "").encode()
    return Frame(listing, Form.MIRRORLIST, top, mirrorlist_seam(listing), words=listing.comment is not None)


def compose(frame: Frame, entries: list[bytes], now: int, words: bytes) -> bytes:
    """The body of a mirrorlist or metalink, from what its hosts show, in order.

    words  what the comment line says behind the listing's own words
    cost   2 µs for 60 URLs (7 kB), 4 µs for 150 of a metalink (25 kB)
    """
    if frame.form is Form.METALINK:
        return join(metalink_header(now) + frame.top, entries, frame.seam, METALINK_END, PREFERENCES)
    top = frame.top + words + b"\n" if frame.words else b""
    return join(top, entries, frame.seam, b"", ())
