"""What a host says of itself: the old form of check-ins and the new one, as one value. Pure.

Both come from strangers until their secret was checked, so every bound is met before memory is spent: nothing is
unpacked, counted or kept beyond it. Nothing is ever unpickled, and no document type is read.
"""

from __future__ import annotations

import binascii
import bz2
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

import msgspec

BODY_BYTES = 2 << 20
UNPACKED_BYTES = 16 << 20
"""Of an old check-in: 785 bytes of bzip2 can be 1 GiB."""

DIRECTORIES = 200_000
PATH_BYTES = 1024

METHOD = "checkin"

ACTIVE = ("true", "1", "t", "y", "yes")
"""What `user_active` says when the host is to be on; anything else is off."""

SECTIONS = ("version", "global", "site", "host", "stats")
"""Keys of an old check-in that are no categories."""

UPDATE_CLIENT = "please update your copy of report_mirror: check-ins are bzip2 of JSON, in base64"

WRONG_SITE = "Config file site name or password incorrect."
WRONG_HOST = "Config file host name for site not found."
WRONG_FILE = "Invalid config file provided, please check your report_mirror.conf."
"""MirrorManager's texts: clients show them, and people search for them."""

MAX_DAYS = 400
"""Of traffic in one check-in: a year, and a month to catch up."""

_STREAMS = 64
_ELEMENTS = 100
_NAME = 255
_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(eq=False)
class TooLarge(Exception):
    """It goes beyond a bound, and was read no further."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(eq=False)
class Unreadable(Exception):
    """It is no check-in at all: no XML-RPC, base64, bzip2 or JSON."""

    text: str = UPDATE_CLIENT

    def __str__(self) -> str:
        return self.text


@dataclass(eq=False)
class Wrong(Exception):
    """It can be read, and says something that cannot be. *field*: where."""

    text: str
    field: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Part:
    """What it says of one category.

    enabled      False: nothing changes
    directories  below the category's top, without outer slashes; "" is the top
    repomd       directory of a `repomd.xml` -> its SHA-256, where the host says which it has
    """

    enabled: bool
    directories: frozenset[str] = frozenset()
    repomd: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckIn:
    """A check-in.

    host      its name; "" where the token says it
    site      "" in the new form
    password  of the old form
    active    the host is to be on, or off; None: as it was
    parts     category, in the case that it came with -> what is there
    finished  when the synchronization was over, epoch seconds; None: not said
    traffic   day (`2026-11-28`) -> bytes sent
    """

    host: str
    parts: Mapping[str, Part]
    site: str = ""
    password: str = field(default="", repr=False)
    active: bool | None = None
    finished: int | None = None
    traffic: Mapping[str, int] = field(default_factory=dict)


# -- The old form: XML-RPC, and in it base64 of bzip2 of JSON ----------------------------------------------------------


class _Call:
    """The one kind of call that there is: a method and strings."""

    _TEXTS = (
        ("methodCall", "methodName"),
        ("methodCall", "params", "param", "value"),
        ("methodCall", "params", "param", "value", "string"),
    )
    _PLACES = frozenset(place[:length] for place in _TEXTS for length in range(1, len(place) + 1))

    def __init__(self) -> None:
        self.method = ""
        self.values: list[str] = []
        self._place: tuple[str, ...] = ()
        self._count = 0
        self._text: list[str] = []

    def start(self, name: str, _: Mapping[str, str]) -> None:
        self._place = (*self._place, name)
        self._count += 1
        if self._place not in self._PLACES or self._count > _ELEMENTS:
            raise Unreadable
        self._text.clear()

    def end(self, name: str) -> None:
        text = "".join(self._text)
        if name == "methodName":
            self.method = text.strip()
        elif name == "string" or (name == "value" and self._text):
            self.values.append(text)
            self._text.clear()
        self._place = self._place[:-1]
        if name == "string":
            self._text.clear()

    def characters(self, text: str) -> None:
        if self._place in self._TEXTS:
            self._text.append(text)


def parse_call(body: bytes) -> tuple[str, tuple[str, ...]]:
    """(method, strings) of an XML-RPC call. Raises Unreadable: for anything else, and for every document type."""
    call = _Call()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = call.start
    parser.EndElementHandler = call.end
    parser.CharacterDataHandler = call.characters
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError):
        raise Unreadable("no call of XML-RPC") from None
    values = tuple(value for value in call.values if value.strip()) or tuple(call.values)
    return call.method, values


def _refuse(*_: object) -> None:
    raise Unreadable("no document type is read")


def parse_old(text: str) -> CheckIn:
    """The check-in in the one string of the call. Raises TooLarge, Unreadable, Wrong (with MirrorManager's texts)."""
    try:
        packed = binascii.a2b_base64("".join(text.split()).translate(_URLSAFE), strict_mode=True)
    except (binascii.Error, ValueError):
        raise Unreadable from None
    raw = b"".join(_unpack(packed))
    if raw.count(b"{") > DIRECTORIES + _ELEMENTS:
        raise TooLarge(f"more than {DIRECTORIES:,} directories")
    try:
        told = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Unreadable from None
    return _read_old(told)


_URLSAFE = {ord("-"): "+", ord("_"): "/"}


def _unpack(packed: bytes) -> Iterator[bytes]:
    """What bzip2 packed, stopped at the bound."""
    left = UNPACKED_BYTES
    for _ in range(_STREAMS):
        stream = bz2.BZ2Decompressor()
        given = packed
        while not stream.eof:
            try:
                out = stream.decompress(given, left + 1)
            except (OSError, EOFError, ValueError):
                raise Unreadable from None
            given = b""
            left -= len(out)
            if left < 0:
                raise TooLarge(f"more than {UNPACKED_BYTES >> 20} MiB when it is unpacked")
            yield out
            if not out and stream.needs_input and not stream.eof:
                raise Unreadable
        packed = stream.unused_data
        if not packed:
            return
    raise Unreadable


def _read_old(told: Any) -> CheckIn:
    if not isinstance(told, dict):
        raise _wrong_file("config file is not a dict.\nPlease update your copy of report_mirror.\n")
    if "version" not in told:
        raise _wrong_file("config file has no version field.\n")
    if told["version"] != 0 or isinstance(told["version"], bool):
        raise _wrong_file("config file version is not 0.\n")
    for section in ("global", "site", "host"):
        if not isinstance(told.get(section), dict):
            raise _wrong_file(f"config file missing section {section}.\n")
    if not _is_on(told["global"].get("enabled")):
        raise _wrong_file("config file section [global] not enabled.\n")
    site, host = told["site"], told["host"]
    for key in ("name", "password"):
        if not isinstance(site.get(key), str):
            raise _wrong_file(f"config file [site] missing required option {key}.\n")
    if not isinstance(host.get("name"), str):
        raise _wrong_file("section [host] missing required option name.\n")
    parts: dict[str, Part] = {}
    count = 0
    for name, section in told.items():
        if name in SECTIONS:
            continue
        tree = section.get("dirtree") if isinstance(section, dict) else None
        if not isinstance(tree, dict):
            raise _wrong_file("section of a category missing required option dirtree.\n")
        count += len(tree)
        parts[name] = Part(_is_on(section.get("enabled")), _directories(tree, count))
    active = None if "user_active" not in host else host["user_active"] in ACTIVE
    return CheckIn(host["name"], parts, site["name"], site["password"], active)


def _is_on(value: object) -> bool:
    """Values are strings; a client that writes the number means the same."""
    return value == "1" or (value == 1 and not isinstance(value, bool))


def _wrong_file(text: str) -> Wrong:
    return Wrong(f"{text}{WRONG_FILE}")


def _directories(names: Any, count: int) -> frozenset[str]:
    """*names* without outer slashes, within the bounds; *count*: of all directories up to these."""
    if count > DIRECTORIES:
        raise TooLarge(f"more than {DIRECTORIES:,} directories")
    for name in names:
        if len(name) > PATH_BYTES or len(name.encode(errors="surrogatepass")) > PATH_BYTES:
            raise TooLarge(f"a path of more than {PATH_BYTES:,} bytes")
    return frozenset(name.strip("/") for name in names)


@dataclass(frozen=True, slots=True)
class Counted:
    """What came of one category, as old clients are told it."""

    category: str
    updated: int = 0
    added: int = 0
    deleted: int = 0


def good_text(counts: tuple[Counted, ...]) -> str:
    """The answer to an old check-in that was taken."""
    lines = (
        f"Category {each.category} directories updated: {each.updated}  added: {each.added}  deleted {each.deleted}\n"
        for each in counts
    )
    return "".join(lines) + "checked in successful"


def wrong_text(text: str) -> str:
    """The answer to one that was not: clients look for "successful", which it never contains."""
    return f"{text.rstrip()}\nerror checking in"


def render_answer(text: str) -> bytes:
    """An XML-RPC answer that is one string."""
    return (
        "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n"
        f"<value><string>{escape(text)}</string></value>\n</param>\n</params>\n</methodResponse>\n"
    ).encode()


def render_fault(code: int, text: str) -> bytes:
    """An XML-RPC fault."""
    return (
        "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n"
        f"<member><name>faultCode</name><value><int>{code}</int></value></member>\n"
        f"<member><name>faultString</name><value><string>{escape(text)}</string></value></member>\n"
        "</struct></value>\n</fault>\n</methodResponse>\n"
    ).encode()


# -- The new form: JSON ------------------------------------------------------------------------------------------------


def parse_new(body: bytes) -> CheckIn:
    """The check-in of the API. Raises TooLarge, Unreadable, Wrong."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Unreadable("the body is no JSON") from None
    if not isinstance(told, dict):
        raise Wrong("an object is needed")
    for key in told:
        if key not in ("host", "finished", "categories", "traffic"):
            raise Wrong("unknown field", key[:_NAME])
    host = told.get("host", "")
    if not isinstance(host, str) or len(host) > _NAME:
        raise Wrong("the name of a host is needed", "host")
    categories = told.get("categories", {})
    if not isinstance(categories, dict):
        raise Wrong("an object is needed: the name of each category, and what is there", "categories")
    parts: dict[str, Part] = {}
    count = 0
    for name, part in categories.items():
        where = f"categories.{name[:_NAME]}"
        if not isinstance(part, dict):
            raise Wrong("an object is needed", where)
        names = part.get("directories", [])
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise Wrong("a list of directories is needed", f"{where}.directories")
        count += len(names)
        parts[name] = Part(True, _directories(names, count), _read_repomd(part.get("repomd"), where))
    return CheckIn(
        host=host,
        parts=parts,
        finished=_read_time(told.get("finished")),
        traffic=_read_traffic(told.get("traffic", {})),
    )


def _read_repomd(told: Any, where: str) -> dict[str, str]:
    """Directory of the file -> SHA-256. The path may name the file, its `repodata`, or the repository."""
    if told is None:
        return {}
    if not isinstance(told, dict):
        raise Wrong("an object is needed: path and SHA-256", f"{where}.repomd")
    if len(told) > DIRECTORIES:
        raise TooLarge(f"more than {DIRECTORIES:,} directories")
    found = {}
    for path, digest in told.items():
        if len(path.encode(errors="surrogatepass")) > PATH_BYTES:
            raise TooLarge(f"a path of more than {PATH_BYTES:,} bytes")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise Wrong("a SHA-256 is needed, 64 hexadecimal digits", f"{where}.repomd")
        folder = path.strip("/").removesuffix("repomd.xml").rstrip("/")
        if folder.rpartition("/")[2] != "repodata":
            folder = f"{folder}/repodata".strip("/")
        found[folder] = digest.lower()
    return found


def _read_time(told: Any) -> int | None:
    if told is None:
        return None
    if isinstance(told, int | float) and not isinstance(told, bool) and 0 <= told < 1 << 40:
        return int(told)
    try:
        moment = datetime.fromisoformat(told) if isinstance(told, str) and len(told) < 64 else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment.year < 1971:
        raise Wrong("a time is needed, such as 2026-11-28T06:00:00Z", "finished")
    return int(moment.timestamp())


def _read_traffic(told: Any) -> dict[str, int]:
    if not isinstance(told, dict) or len(told) > MAX_DAYS:
        raise Wrong(f"an object of at most {MAX_DAYS} days is needed", "traffic")
    for day, sent in told.items():
        if not _is_day(day):
            raise Wrong("days such as 2026-11-28 are needed", "traffic")
        if not isinstance(sent, int) or isinstance(sent, bool) or not 0 <= sent < 1 << 63:
            raise Wrong("a whole number of bytes is needed", f"traffic.{day}")
    return dict(told)


def _is_day(text: str) -> bool:
    try:
        return _DAY.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


# -- What a tree comes to ----------------------------------------------------------------------------------------------


AGAIN_S = 3600
"""A tree that lost most of what it had counts once it came again so much later."""


def is_lost(old: frozenset[str], new: frozenset[str]) -> bool:
    """Whether all, or more than half, of *old* is not in *new*: rather a disk that is not mounted than a wish."""
    gone = len(old - new)
    return bool(old) and (gone == len(old) or 2 * gone > len(old))


def is_confirmed(new: frozenset[str], before: frozenset[str], since_s: int) -> bool:
    """Whether a tree that lost much is the one that came *since_s* seconds ago."""
    return since_s >= AGAIN_S and not is_lost(before, new)
