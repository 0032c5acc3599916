"""The record of a directory: its name, its subpath, and the lists of who carries it, which most directories share.

Plain records are taken apart in C where a compiler was there at the installation: 2 µs for one of 6 kB, where protobuf,
which has whatever is odd and says what is wrong, takes 10.
"""

from __future__ import annotations

from redirector.built import refuse_stale_build
from redirector.sources.mirrormanager.messages import Carried

__all__ = ["split", "split_plainly", "split_quickly"]

Split = tuple[bytes, bytes, bytes]
"""The directory, its subpath, and the lists as they stand in the file, undecoded."""


def split(record: bytes) -> Split:
    """Take *record* apart. Raises DecodeError."""
    return split_quickly(record) or split_plainly(record)


def split_plainly(record: bytes) -> Split:
    """Likewise."""
    carried = Carried.FromString(record)
    directory, subpath = carried.directory, carried.subpath
    carried.ClearField("directory")
    carried.ClearField("subpath")
    return directory, subpath, carried.SerializePartialToString()


def _leave(_record: bytes, /) -> Split | None:
    return None


try:
    from redirector.sources.mirrormanager import _carried
except ImportError:
    split_quickly = _leave
else:
    refuse_stale_build(_carried, 1)
    split_quickly = _carried.split
