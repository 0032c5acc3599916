"""Blocks of log lines to counts, in one pass: our three formats, and combined lines of any server; pure.

A block is cut by one call, and each distinct spelling of a time, an address, a target or a user agent is understood
once and remembered: that no loop in Python goes over ordinary lines is what makes it quick
(`benchmarks/stats_lines.py`). A block in which some line is out of the ordinary is sorted line by line first.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import compress, repeat
from operator import attrgetter, itemgetter
from typing import TypeVar

import msgspec

from redirector.locate.addresses import parse_address
from redirector.stats.asked import NO_SYSTEM, UNKNOWN, Asked, System, name_of, parse_agent, parse_target
from redirector.stats.counts import YEARS, Access, Countme, Counts, day_of, week_of_day

MAX_REMEMBERED = 50_000
"""Spellings of a kind that are remembered; beyond, they are forgotten and learnt anew."""

MAX_ROWS = 100_000
"""Rows of numbers that wait to become rows of names."""

BLOCK_BYTES = 256 << 10
"""How much is read at once: it stays in a core's own memory."""

_FACTS_OF_LINE = re.compile(rb"; DATE: ([^\n]*)")
_MIRRORMANAGER = re.compile(rb"IP: ([^;\n]*); DATE: ([^\n]*)")
_FACTS = re.compile(r"(\d{4}-\d\d-\d\d); COUNTRY: ([^;]*); REPO: ([^;]*); ARCH: ([^;\r]*)\r?", re.ASCII)

_COMBINED = re.compile(
    rb'(\S+) [^\[]*(\[[^\]]{26}\] )"([^"\\]*(?:\\.[^"\\]*)*)"( [0-9]{3} )(?:[0-9]+|-)'
    rb'(?: "[^"\\]*(?:\\.[^"\\]*)*" "([^"\\]*(?:\\.[^"\\]*)*)")?'
)
_REQUEST = re.compile(r"(?:GET|HEAD) (\S+) HTTP/[0-9](?:\.[0-9])?")
_MINUTE = re.compile(rb"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d)")
_ZONE = re.compile(rb" ([+-])(\d\d)(\d\d)\] ")
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::\d\d(?:\.\d+)?(Z|[+-]\d\d:\d\d))?)?", re.ASCII)
_ESCAPE = re.compile(r'\\(?:x([0-9a-fA-F]{2})|(["\\]))')
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")

_METHODS = frozenset({"GET", "HEAD"})
_ANSWERED = frozenset({200, 302})
_ANSWERED_TEXTS = frozenset({b" 200 ", b" 302 "})

# Where the parts of a combined line stand that is cut at its quotation marks.
_BEFORE, _REQUESTED, _STATUS, _BETWEEN, _AGENT = 0, 1, 2, 4, 5
_WHEN = attrgetter("time")
_TIME_OF = itemgetter(slice(-29, -11), slice(-8, None))
_STATUS_OF = itemgetter(slice(0, 5))

Key = TypeVar("Key")
Value = TypeVar("Value")


class _Remembered(dict[Key, Value]):
    """What *understand* makes of each spelling, once."""

    def __init__(self, understand: Callable[[Key], Value]) -> None:
        super().__init__()
        self._understand = understand

    def __missing__(self, spelling: Key) -> Value:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        value = self[spelling] = self._understand(spelling)
        return value


class _Numbered(list[Value]):
    """Values by small numbers, which tables of counts are keyed by; equal values have one number."""

    def __init__(self, *first: Value) -> None:
        super().__init__(first)
        self._numbers = {value: number for number, value in enumerate(first)}

    def number(self, value: Value) -> int:
        """The number of *value*."""
        number = self._numbers.setdefault(value, len(self))
        if number == len(self):
            self.append(value)
        return number


class _Line(msgspec.Struct, gc=False):
    """What matters of a line of our `json` format."""

    time: str
    method: str
    target: str
    status: int
    client: str | None = None
    country: str | None = None
    agent: str | None = None


_decoder = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Reading:
    """How lines are read.

    fold        countries that count as unknown
    ignores     whether the lines of an address (4 or 16 bytes, network order) are left out; None: of no address
    country_of  the country of such an address, for lines that do not say it; None: they have none
    """

    fold: frozenset[str] = frozenset()
    ignores: Callable[[bytes], bool] | None = None
    country_of: Callable[[bytes], str | None] | None = None


_IGNORED = 0
_UNKNOWN_PLACE = 1
_NOTHING = 0
_NO_SYSTEM = 0
"""Numbers: of the place of an address that is ignored; of no country; of a target that is no list of mirrors; of an
agent that names no system."""

_Row = tuple[int, int, int, int]
"""Numbers of a day, a place, a target and a system."""


class Reader:
    """Counts blocks of lines.

    cost  a mirrormanager line 0.5 µs, a combined line 1.3 µs, a json line 2 µs; memory does not grow with the lines
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._counts = Counts()
        self._facts: Counter[bytes] = Counter()
        self._rows: Counter[_Row] = Counter()
        self._newest = 0
        self._forget()
        self._looks_at_addresses = reading.ignores is not None or reading.country_of is not None

    def _forget(self) -> None:
        """Begin to learn spellings anew, with no row left that is told by their numbers."""
        self._days: _Numbered[str] = _Numbered("")
        self._places: _Numbered[str] = _Numbered("", UNKNOWN)
        self._asked: _Numbered[Asked | None] = _Numbered(None)
        self._systems: _Numbered[System] = _Numbered(NO_SYSTEM)
        self._day_of_time = _Remembered(self._read_time)
        self._day_of_iso = _Remembered(self._read_iso)
        self._place_of_address = _Remembered(self._read_address)
        self._place_of_country = _Remembered(self._read_country)
        self._is_ignored = _Remembered(self._read_ignored)
        self._asked_of_request = _Remembered(self._read_request)
        self._asked_of_target = _Remembered(self._read_target)
        self._system_of_agent = _Remembered(self._read_agent)
        self._system_of_text = _Remembered(self._read_agent_text)

    def read(self, block: bytes) -> None:
        """Count *block*: whole lines; the last one with or without its line break."""
        if not block:
            return
        if block[-1:] != b"\n":
            block += b"\n"
        lines = block.count(b"\n")
        self._counts.lines += lines
        if block[:4] == b"IP: ":
            ordinary = self._read_mirrormanager(block, lines)
        elif block[:1] == b"{":
            ordinary = self._read_json(block)
        else:
            ordinary = self._read_combined(block, lines)
        if not ordinary:
            self._sort(block)
        if len(self._rows) > MAX_ROWS or len(self._facts) > MAX_ROWS:
            self._settle()
            self._forget()

    def counts(self) -> Counts:
        """What all blocks so far add up to."""
        self._settle()
        self._counts.newest = max(self._counts.newest, self._newest)
        return self._counts

    def _read_mirrormanager(self, block: bytes, lines: int) -> bool:
        """Count a block that has no other lines; False, and nothing is counted, when it has."""
        if block.count(b"\nIP: ") != lines - 1:
            return False
        if self._reading.ignores is None:
            found = _FACTS_OF_LINE.findall(block)
            if len(found) != lines:
                return False
        else:
            pairs = _MIRRORMANAGER.findall(block)
            if len(pairs) != lines:
                return False
            ignored = self._is_ignored
            found = [facts for address, facts in pairs if not ignored[address]]
        self._facts.update(found)
        return True

    def _read_combined(self, block: bytes, lines: int) -> bool:
        """Likewise: a block in which each line has as many quotation marks as the first, and at least the two of its
        request."""
        width = block.count(b'"', 0, block.index(b"\n"))
        if width in (0, 4) or width % 2 or b'\\"' in block:
            return False
        parts = block.split(b'"')
        before = parts[_BEFORE:-1:width]
        if len(parts) != lines * width + 1 or b"".join(before).count(b"\n") != lines - 1:
            return False
        agents: Iterable[int] = repeat(_NO_SYSTEM)
        if width > 2:
            if set(parts[_BETWEEN::width]) != {b" "}:
                return False
            agents = map(self._system_of_agent.__getitem__, parts[_AGENT::width])
        self._count_combined(before, parts[_REQUESTED::width], parts[_STATUS::width], agents)
        return True

    def _count_combined(
        self, before: Sequence[bytes], requests: Sequence[bytes], statuses: Sequence[bytes], systems: Iterable[int]
    ) -> None:
        places: Iterable[int] = repeat(_UNKNOWN_PLACE)
        if self._looks_at_addresses:
            addresses = [text.rpartition(b"\n")[2].partition(b" ")[0] for text in before]
            places = map(self._place_of_address.__getitem__, addresses)
        rows = zip(
            map(self._day_of_time.__getitem__, map(_TIME_OF, before)),
            places,
            map(self._asked_of_request.__getitem__, requests),
            systems,
            strict=False,
        )
        self._rows.update(compress(rows, map(_ANSWERED_TEXTS.__contains__, map(_STATUS_OF, statuses))))

    def _read_json(self, block: bytes) -> bool:
        """Likewise."""
        try:
            lines = _decoder.decode_lines(block)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        self._count_json(lines)
        return True

    def _count_json(self, lines: Sequence[_Line]) -> None:
        days, asked, systems = self._day_of_iso, self._asked_of_target, self._system_of_text
        place_of = self._place_of_line if self._looks_at_addresses else self._place_of_said
        days_of_lines = [days[time[:16] if time[19:] == "Z" else time] for time in map(_WHEN, lines)]
        self._rows.update(
            [
                (day, place_of(line), asked[line.target], systems[line.agent])
                for day, line in zip(days_of_lines, lines, strict=True)
                if line.status in _ANSWERED and line.method in _METHODS
            ]
        )

    def _place_of_said(self, line: _Line) -> int:
        return self._place_of_country[line.country]

    def _place_of_line(self, line: _Line) -> int:
        place = _UNKNOWN_PLACE if line.client is None else self._place_of_address[line.client.encode()]
        return self._place_of_country[line.country] if place != _IGNORED and line.country else place

    def _sort(self, block: bytes) -> None:
        """Count a block with lines out of the ordinary: of several formats, escaped, broken."""
        mirrormanager, combined, odd = [], [], []
        for line in block.split(b"\n"):
            if line[:4] == b"IP: ":
                mirrormanager.append(line)
            elif line[:1] == b"{":
                self._read_json_line(line)
            elif line.count(b'"') == 6 and b'\\"' not in line:
                combined.append(line)
            elif line:
                odd.append(line)
        if mirrormanager:
            found = [match.groups() for match in map(_MIRRORMANAGER.fullmatch, mirrormanager) if match]
            self._counts.unread += len(mirrormanager) - len(found)
            self._facts.update(facts for address, facts in found if not self._is_ignored[address])
        if combined and not self._read_combined(b"\n".join(combined) + b"\n", len(combined)):
            odd += combined
        for line in odd:
            self._read_combined_line(line)

    def _read_json_line(self, line: bytes) -> None:
        try:
            self._count_json([msgspec.convert(json.loads(line), _Line)])
        except (ValueError, RecursionError):
            self._counts.unread += 1

    def _read_combined_line(self, line: bytes) -> None:
        match = _COMBINED.match(line)
        if match is None:
            self._counts.unread += 1
            return
        address, time, request, status, agent = match.groups()
        before = address + b" - - " + time
        self._count_combined([before], [request], [status], [self._system_of_agent[agent or b""]])

    def _settle(self) -> None:
        """Turn rows of numbers into rows of names."""
        counts = self._counts
        for facts, hits in self._facts.items():
            match = _FACTS.fullmatch(facts.decode("utf-8", "replace"))
            if match is None or not self._day_of_iso[match[1]]:
                counts.unread += hits
                continue
            country = self._places[self._place_of_country[match[2]]]
            asked = Asked(name_of(match[3]), name_of(match[4]), by_path=True)
            if asked.is_counted:
                row = Access(match[1], country, str(asked.repository), asked.arch_of(NO_SYSTEM) or UNKNOWN)
                counts.access[row] += hits
        for (day, place, number, system), hits in self._rows.items():
            if not day:
                counts.unread += hits
                continue
            found = self._asked[number]
            if found is None or place == _IGNORED:
                continue
            self._count(self._days[day], self._places[place], found, self._systems[system], hits)
        self._facts.clear()
        self._rows.clear()
        counts.bounded()

    def _count(self, day: str, country: str, asked: Asked, system: System, hits: int) -> None:
        arch = asked.arch_of(system)
        if asked.is_counted:
            self._counts.access[Access(day, country, asked.repository or UNKNOWN, arch or UNKNOWN)] += hits
        if asked.wrong_age:
            self._counts.wrong_age += hits
        if asked.age:
            row = Countme(
                week_of_day(day),
                system.name,
                system.version,
                system.variant,
                system.arch,
                int(asked.age),
                asked.repository or "",
                arch if asked.by_path else asked.arch or "",
            )
            self._counts.countme[row] += hits

    def _read_time(self, minute_and_zone: tuple[bytes, bytes]) -> int:
        """The number of the day of `[28/Nov/2026:06:00` and ` +0100] `."""
        minute, zone = _MINUTE.fullmatch(minute_and_zone[0]), _ZONE.fullmatch(minute_and_zone[1])
        if minute is None or zone is None or minute[2] not in _MONTHS:
            return 0
        month = _MONTHS.index(minute[2]) + 1
        return self._number_day(
            int(minute[3]),
            month,
            int(minute[1]),
            int(minute[4]),
            int(minute[5]),
            _ahead_s(*map(bytes.decode, zone.groups())),
        )

    def _read_iso(self, text: str) -> int:
        """The number of the day of `2026-11-28T06:00:00+01:00`, of its minute in UTC or of its day alone."""
        match = _ISO.fullmatch(text)
        if match is None:
            return 0
        year, month, day, hour, minute = (int(number or 0) for number in match.group(1, 2, 3, 4, 5))
        zone = match[6] or "Z"
        return self._number_day(
            year, month, day, hour, minute, 0 if zone == "Z" else _ahead_s(zone[0], zone[1:3], zone[4:6])
        )

    def _number_day(self, year: int, month: int, day: int, hour: int, minute: int, ahead_s: int) -> int:
        try:
            moment = int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) - ahead_s
            day_in_utc = day_of(moment)
        except (ValueError, OverflowError):  # no day of the calendar, or one beyond its ends in UTC
            return 0
        if int(day_in_utc[:4]) not in YEARS:
            return 0
        self._newest = max(self._newest, moment)
        return self._days.number(day_in_utc)

    def _read_address(self, text: bytes) -> int:
        address = parse_address(text.decode("latin-1"))
        if address is None:
            return _UNKNOWN_PLACE
        if self._reading.ignores is not None and self._reading.ignores(address):
            return _IGNORED
        country_of = self._reading.country_of
        return _UNKNOWN_PLACE if country_of is None else self._read_country(country_of(address))

    def _read_ignored(self, text: bytes) -> bool:
        address = parse_address(text.decode("latin-1"))
        return self._reading.ignores is not None and address is not None and self._reading.ignores(address)

    def _read_country(self, country: str | None) -> int:
        if country is None or _COUNTRY.fullmatch(country) is None or country.upper() in self._reading.fold:
            return _UNKNOWN_PLACE
        return self._places.number(country.upper())

    def _read_request(self, request: bytes) -> int:
        match = _REQUEST.fullmatch(_unescaped(request))
        return _NOTHING if match is None else self._read_target(match[1])

    def _read_target(self, target: str) -> int:
        return self._asked.number(parse_target(target))

    def _read_agent(self, agent: bytes) -> int:
        return self._systems.number(parse_agent(_unescaped(agent)))

    def _read_agent_text(self, agent: str | None) -> int:
        return self._systems.number(parse_agent(agent or ""))


def _ahead_s(sign: str, hours: str, minutes: str) -> int:
    """How far a time zone is ahead of UTC."""
    ahead_s = int(hours) * 3600 + int(minutes) * 60
    return -ahead_s if sign == "-" else ahead_s


def _unescaped(text: bytes) -> str:
    r"""*text* of a combined line, `\x22` and `\"` resolved as far as agents and targets need it."""
    plain = text.decode("utf-8", "replace")
    if "\\" not in plain:
        return plain
    return _ESCAPE.sub(lambda match: match[2] or chr(int(match[1], 16)), plain)
