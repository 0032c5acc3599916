"""What an operator says about the pages for people, whatever the mirrors are."""

from __future__ import annotations

import struct
from dataclasses import dataclass

ROBOTS = b"User-agent: *\nDisallow: /mirrorlist\nDisallow: /metalink\nDisallow: /isolist\nDisallow: /debug\n"
"""Pages may be found; lists are for programs, and one is made anew for everybody who asks."""


@dataclass(frozen=True, slots=True)
class Face:
    """How the pages look.

    shown   there are pages at all
    logo    a line above the title; "": none
    links   text and URL of what else there is to see
    gpgkey  where a repository's keys lie, for snippets; "": the client's package brings them
    """

    shown: bool = True
    title: str = "Mirrors"
    logo: str = ""
    links: tuple[tuple[str, str], ...] = ()
    gpgkey: str = ""


def draw_icon() -> bytes:
    """A dot with a ring around, 16 pixels wide, as `favicon.ico`: what a browser asks for on its own."""
    rows = []
    for y in range(16):
        bits = "".join("1" if 4 <= (x - 7.5) ** 2 + (y - 7.5) ** 2 <= 9 * 6 else "0" for x in range(16))
        rows.append(int(bits, 2))
    pixels = b"".join(struct.pack(">HH", row, 0) for row in reversed(rows))
    mask = b"".join(struct.pack(">HH", row ^ 0xFFFF, 0) for row in reversed(rows))
    palette = bytes((0, 0, 0, 0, 0xA4, 0x57, 0x0B, 0))
    image = struct.pack("<IiiHHIIiiII", 40, 16, 32, 1, 1, 0, len(pixels) + len(mask), 0, 0, 2, 0)
    image += palette + pixels + mask
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 2, 0, 1, 1, len(image), 22) + image
