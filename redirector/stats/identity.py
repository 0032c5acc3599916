"""Which log is this? Told by its first lines, whatever its file is called now; pure.

An address is no part of what tells: of each line its three lowest bits of one digit go in, which an eighth of all
addresses have, and the rest of the line with every address taken out. So nobody's address can be found by trying all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

HEAD_BYTES = 64 << 10
"""How much of a log tells which one it is: some hundred lines at least."""

_BITS = 7
_ADDRESS = re.compile(rb'(?:^IP: |"client": ?")([^;"\s]*)|^([^{\s"]\S*) ')
_ANYWHERE = re.compile(
    rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f:]*::[0-9A-Fa-f:.]*|(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}"
    rb"|[?&]ip=[^&\s\"]*"
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells a log.

    lines  how many first lines it is about, at least one
    marks  number of lines -> a digest of so many first ones: for 1, 2, 4, 8, … and `lines`
    """

    lines: int
    marks: Mapping[int, str]

    @property
    def first(self) -> str:
        """Of the first line: what all logs share that could be the same."""
        return self.marks[1]

    def is_of(self, digests: Sequence[str]) -> bool:
        """Whether *digests* (`digest_lines`) are of the same log, grown or cut at its end since."""
        lines = self.lines if self.lines <= len(digests) else 1 << (len(digests).bit_length() - 1)
        return self.marks.get(lines) == digests[lines - 1]


def digest_lines(head: bytes) -> tuple[str, ...]:
    """Digests of the first line of *head*, of the first two, and so on; of whole lines within `HEAD_BYTES`.

    A line without its break counts only if there is no other. Empty when there is no line.
    """
    head = head[:HEAD_BYTES]
    lines = head.split(b"\n")
    if len(lines) > 1:
        lines.pop()
    if lines == [b""]:
        return ()
    digest = blake2b(digest_size=16)
    digests = []
    for line in lines:
        digest.update(blank(line))
        digest.update(b"\n")
        digests.append(digest.hexdigest())
    return tuple(digests)


def fingerprint_of(digests: Sequence[str]) -> Fingerprint:
    """What is kept of a log with these *digests* (at least one)."""
    numbers = {1 << power for power in range(len(digests).bit_length())} | {len(digests)}
    return Fingerprint(len(digests), {number: digests[number - 1] for number in sorted(numbers)})


def blank(line: bytes) -> bytes:
    """*line* without addresses, but for three bits of the client's last digit."""
    bits = b""
    match = _ADDRESS.search(line)
    if match is not None:
        group = 1 if match[1] is not None else 2
        bits = bytes(digit & _BITS for digit in match[group][-1:])
        line = line[: match.start(group)] + line[match.end(group) :]
    return bits + _ANYWHERE.sub(b"", line)
