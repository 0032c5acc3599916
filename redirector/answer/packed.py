"""Frames, sheets and line-ups as flat columns of numbers and texts, from which the plain request is answered in C.

Objects cost more to look at than all that is in them: each has a reference count, which dirties the page that forked
workers share, and lies where the allocator found room. So what plain targets and the likely audiences need is packed
once, before workers are forked, and only read from then on. It says nothing that frames and line-ups do not say.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

import numpy as np

from redirector.answer.answer import Form, Tier
from redirector.answer.choose.lineup import Lineup
from redirector.answer.serve import Responder
from redirector.answer.show.join import MARK, PREFERENCE
from redirector.locate.ranges import RangeTable
from redirector.model import HostId, HostSetId
from redirector.snapshot.draws import KEY

MAX_PACKED = 12_000
"""How many line-ups are packed at most; Fedora has some 50,000 that anybody is likely to meet."""

_PAD = bytes(64)
_FRAME = Struct("=IIIIHHHBB")
_LINEUP = Struct("=IHBBHHHHHHIII")
_SPAN = Struct("=HHIHH")
_FRONT = 0x80
_MAX_OWN = 16
_NOBODY = 0xFFFF
_BY_KEYS = 0x80000000
_MAX_HOSTS = 32_768
_MAX_TEXT_BYTES = 0xFFFF

_Sheet = tuple[HostSetId, Form]


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """What `redirector/server/worker/in_c/tables.h` reads; columns of numbers are in the machine's order.

    texts       all texts, one behind the other; numbers of texts are positions in it, and 0 is none
    frames      target, top, seam, size of the top, sizes of target and seam, sheet, whether it is a metalink, has words
    entries     what hosts show: a row for each sheet, a text for each host. It begins with how many URLs there are, and
                how long each is before and behind its preference
    lineups     audience, sheet, family, position of the tier, numbers of hosts, of spans, of hosts abroad, size of the
                comment, length, origin, two zeros (bytes and URLs of all entries, counted when it is checked), whether
                the rest of the world is in it; then spans, hosts, hosts abroad, comment. Each begins at a multiple of
                8. A *front*, whose family has the highest bit, has in place of a sheet which of the hosts on its
                networks show something
    heads       tables of spans, `SLOTS` hosts each
    keys        what keys of spans without a table are made of
    places      audience -> whose line-ups stand behind the hosts on its networks; itself, where that is nobody
    own_cuts   where the hosts on its networks begin in *own*, by audience, and where the last ones end
    regular     by sheet: 1, where these are just put before the others
    addresses   the columns of the flat table: starts, values, slots of IPv4, then of IPv6; then of each deep /64 its
                upper half, where its steps begin, their starts and their values
    asked       (repo, arch) of each frame, for the access log
    """

    texts: bytes
    frames: bytes
    entries: array[int]
    lineups: bytearray
    heads: bytes
    keys: bytes
    places: array[int]
    own_cuts: array[int]
    own: array[int]
    regular: bytes
    addresses: tuple[array[int], ...]
    hosts: int
    audiences: int
    asked: tuple[tuple[str, str] | None, ...]

    @property
    def columns(self) -> tuple[bytes | bytearray | array[int], ...]:
        """All of them, in the order in which they are read."""
        fixed = (self.texts, self.frames, self.entries, self.lineups, self.heads, self.keys)
        return (*fixed, self.places, self.own_cuts, self.own, self.regular, *self.addresses)


class More(NamedTuple):
    """One more line-up, with the tables and keys that it needs besides those that are known."""

    lineup: bytes
    heads: bytes
    keys: bytes


class _Texts:
    """Texts behind one another, each of them once."""

    def __init__(self) -> None:
        self.all = bytearray(1)
        self._known: dict[bytes, int] = {}

    def add(self, text: bytes) -> int:
        position = self._known.get(text)
        if position is None:
            position = self._known[text] = len(self.all)
            self.all += text
        return position


class Packer:
    """Packs the plain frames of a responder and the line-ups that most clients need, and then one more at a time."""

    def __init__(self, responder: Responder) -> None:
        """Of a responder that `can_pack`."""
        self._responder = responder
        self._hosts = len(responder.snapshot.hosts)
        self._texts = _Texts()
        self._sheets: dict[_Sheet, int] = {}
        self._entries: array[int] = array("I")
        self._shown: list[str] = []
        """By sheet: the hosts that show something."""
        self._known_entries: dict[bytes, int | None] = {}
        self._heads = bytearray()
        self._known_heads: dict[str, int] = {}
        self._keys = bytearray()
        self._key_count = self._first_heads = self._first_keys = 0
        self._own: dict[int, tuple[int, tuple[HostId, ...]]] = {}
        self._tiers = {tier: position for position, tier in enumerate(Tier)}

    @staticmethod
    def can_pack(responder: Responder) -> bool:
        """Hosts have numbers of 15 bits."""
        return 0 < len(responder.snapshot.hosts) <= _MAX_HOSTS

    def pack(self) -> Packed:
        """All of it. cost: 0.5 s and 10 MB at Fedora's size"""
        frames, asked = bytearray(), []
        wanted: Counter[_Sheet] = Counter()
        for target, frame in self._responder.frames.items():
            key = (frame.listing.host_set, frame.form)
            sheet = self._sheet(*key)
            if sheet is None or max(len(target), len(frame.seam)) > _MAX_TEXT_BYTES:
                continue
            wanted[key] += 1
            texts = [self._texts.add(text) for text in (target, frame.top, frame.seam)]
            sizes = len(frame.top), len(target), len(frame.seam)
            frames += _FRAME.pack(*texts, *sizes, sheet, frame.form is Form.METALINK, frame.words)
            asked.append(frame.listing.asked)
        lineups = bytearray()
        for record in self._lineups(wanted):
            lineups += record
        table = self._responder.snapshot.audiences.table
        heads, keys = self._take()
        places, own_cuts, own = self._networks()
        self._first_heads, self._first_keys = len(self._known_heads), self._key_count
        return Packed(
            texts=bytes(self._texts.all) + _PAD,
            frames=bytes(frames),
            entries=self._entries,
            lineups=lineups,
            heads=heads,
            keys=keys,
            places=places,
            own_cuts=own_cuts,
            own=own,
            regular=bytes(host_set in self._responder.snapshot.regular for host_set, _ in self._numbered()),
            addresses=_columns_of(table),
            hosts=self._hosts,
            audiences=len(self._responder.snapshot.audiences.combinations),
            asked=tuple(asked),
        )

    def pack_more(self, lineup: Lineup, host_set: HostSetId, form: Form, audience: int, family: int) -> More | None:
        """One more line-up; None: it cannot be packed. cost: 15 µs"""
        sheet = self._sheets.get((host_set, form), -1)
        record = None if sheet < 0 else self._pack_lineup(lineup, audience, sheet, family)
        return None if record is None else More(record, *self._take())

    def place_of(self, audience: int, host_set: HostSetId) -> int | None:
        """Whose line-up of a host set stands behind the front of an audience; None: it has none."""
        found = self._own.get(audience)
        return None if found is None or host_set not in self._responder.snapshot.regular else found[0]

    def shown_own(self, audience: int, host_set: HostSetId, form: Form) -> int:
        """Which of the hosts on the networks of an audience show something, a bit for each."""
        shown = self._shown[self._sheets[host_set, form]]
        return sum(1 << n for n, host in enumerate(self._own[audience][1]) if chr(host) in shown)

    def pack_front(self, front: Lineup, shown: int, audience: int, family: int) -> More:
        """The front of an audience that has a `place_of`. cost: 5 µs"""
        head = _LINEUP.pack(
            *(audience, shown, family | _FRONT, self._tiers[front.tier]),
            *(len(front.hosts), len(front.spans), 0, len(front.comment), _NOBODY, _NOBODY, 0, 0, 0),
        )
        return More(self._record(head, front, b""), *self._take())

    def _numbered(self) -> list[_Sheet]:
        """The sheets that are packed, by their numbers."""
        return [key for key, number in sorted(self._sheets.items(), key=lambda item: item[1]) if number >= 0]

    def _networks(self) -> tuple[array[int], array[int], array[int]]:
        """Of audiences on hosts' own networks: whose line-ups they see behind their fronts, and the hosts there."""
        snapshot, orders = self._responder.snapshot, self._responder.orders
        odd = {
            host
            for host_set, form in self._numbered()
            for host in snapshot.host_sets[host_set].urls.keys()
            - {*map(ord, self._shown[self._sheets[host_set, form]])}
        }
        places, cuts, own = array("I"), array("I", [0]), array("H")
        for audience in range(len(snapshot.audiences.combinations)):
            place = None if orders.is_kept(audience) else orders.place_of(audience)
            if place is not None:
                who = snapshot.audiences.audience(audience)
                hosts = sorted({*who.asn_hosts, *(host for _, some in who.netblocks for host in some)})
                if len(hosts) <= _MAX_OWN and odd.isdisjoint(hosts):
                    self._own[audience] = place, tuple(hosts)
                    own.extend(hosts)
            places.append(audience if audience not in self._own else self._own[audience][0])
            cuts.append(len(own))
        return places, cuts, own

    def forget(self) -> None:
        """Whoever was given more has none of it left."""
        self._take()
        self._known_heads = {heads: number for heads, number in self._known_heads.items() if number < self._first_heads}
        self._key_count = self._first_keys

    def _take(self) -> tuple[bytes, bytes]:
        """Tables and keys that are new."""
        heads, keys = bytes(self._heads), bytes(self._keys)
        self._heads.clear()
        self._keys.clear()
        return heads, keys

    def _sheet(self, host_set: HostSetId, form: Form) -> int | None:
        """The number of a sheet, packed when it is met first; None when it cannot be."""
        number = self._sheets.get((host_set, form))
        if number is not None:
            return None if number < 0 else number
        row = array("I", bytes(4 * self._hosts))
        for host, entry in enumerate(self._responder.orders.sheets.find(host_set, form).entries):
            if entry is not None:
                packed = self._entry(entry, form is Form.METALINK)
                if packed is None:
                    self._sheets[host_set, form] = -1
                    return None
                row[host] = packed
        number = self._sheets[host_set, form] = len(self._shown)
        self._entries += row
        self._shown.append("".join([chr(host) for host, at in enumerate(row) if at]))
        return number

    def _entry(self, entry: bytes, metalink: bool) -> int | None:
        """Where an entry is packed, as `_pack_entry` has it. An entry says which form it has."""
        if entry not in self._known_entries:
            packed = _pack_entry(entry, metalink)
            self._known_entries[entry] = None if packed is None else self._texts.add(packed)
        return self._known_entries[entry]

    def _lineups(self, wanted: Counter[_Sheet]) -> Iterator[bytes]:
        """Those of the largest audiences for the sheets that are asked for most."""
        snapshot, orders = self._responder.snapshot, self._responder.orders
        families = (4, 6) if snapshot.families_known else (0,)
        sizes = {audience: size for audience, size in snapshot.audiences.sizes().items() if orders.is_kept(audience)}
        sheets, audiences = [*wanted], [*sizes]
        asked = np.outer([*wanted.values()], [*sizes.values()])
        most_first = np.argsort(-asked, axis=None, kind="stable")[: MAX_PACKED // len(families)]
        told: dict[object, bytes] = {}  # those whose other form, which mostly differs in its sheet alone, is to come
        for row, column in (divmod(at, len(audiences)) for at in most_first.tolist()):
            (host_set, form), audience = sheets[row], audiences[column]
            sheet = self._sheets[host_set, form]
            for family in families:
                alike = host_set, audience, family, self._shown[sheet]
                record: bytes | None = told.pop(alike, None)
                if record is not None:
                    yield _with_sheet(record, sheet)
                    continue
                lineup = orders.line_up_once(host_set, form, audience, family)
                record = self._pack_lineup(lineup, audience, sheet, family)
                if record is not None:
                    told[alike] = record
                    yield record

    def _pack_lineup(self, lineup: Lineup, audience: int, sheet: int, family: int) -> bytes | None:
        """None: nobody has anything to show, or it is out of the ordinary."""
        length = _NOBODY if lineup.length is None else lineup.length
        shown, origin = lineup.hosts, lineup.origin
        if origin is not None and chr(origin) in self._shown[sheet]:
            shown += chr(origin)
        else:
            origin = None
        if not shown or not 0 < length <= _NOBODY or len(lineup.comment) > _MAX_TEXT_BYTES:
            return None
        abroad = array("H", sorted(lineup.abroad & {*map(ord, shown)})).tobytes() if lineup.abroad else b""
        head = _LINEUP.pack(
            *(audience, sheet, family, self._tiers[lineup.tier]),
            *(len(lineup.hosts), len(lineup.spans), len(abroad) // 2, len(lineup.comment)),
            *(length, _NOBODY if origin is None else origin, 0, 0, lineup.has_reserve),
        )
        return self._record(head, lineup, abroad)

    def _record(self, head: bytes, lineup: Lineup, abroad: bytes) -> bytes:
        spans = [
            _SPAN.pack(start, stop, self._find_heads(heads), min(line.spare(lineup.hosts[start:stop]), _NOBODY), 0)
            for start, stop, heads, line in lineup.spans
        ]
        record = b"".join((head, *spans, lineup.hosts.encode("utf-16")[2:], abroad, lineup.comment))
        return record + bytes(-len(record) % 8)

    def _find_heads(self, heads: str | bytes) -> int:
        """The number of a table, or of keys."""
        if isinstance(heads, bytes):
            position = self._key_count
            self._key_count += len(heads) // KEY.size
            self._keys += heads
            return position | _BY_KEYS
        number = self._known_heads.get(heads)
        if number is None:
            number = self._known_heads[heads] = len(self._known_heads)
            self._heads += heads.encode("utf-16")[2:]
        return number


def _with_sheet(record: bytes, sheet: int) -> bytes:
    """The line-up of *record* on another sheet of its host set, on which the same hosts show something."""
    audience, _, *others = _LINEUP.unpack_from(record)
    return _LINEUP.pack(audience, sheet, *others) + record[_LINEUP.size :]


def _pack_entry(entry: bytes, metalink: bool) -> bytes | None:
    """An entry with the sizes of its parts in front; None: a part is too long, or has not as many preferences as its
    form."""
    parts = [url.split(PREFERENCE) for url in entry.split(MARK)]
    if any(len(part) != 1 + metalink for part in parts) or len(entry) > _MAX_TEXT_BYTES:
        return None
    counts = array("H", [len(parts)])
    for part in parts:
        counts.extend((len(part[0]), len(part[1]) if metalink else 0))
    return counts.tobytes() + b"".join(piece for part in parts for piece in part)


def _columns_of(table: RangeTable) -> tuple[array[int], ...]:
    """The columns of *table*, those of deep /64s behind one another."""
    uppers = sorted(table.deep)
    cuts, starts, values = array("I", [0]), array("Q"), array("I")
    for upper in uppers:
        starts += table.deep[upper][0]
        values += table.deep[upper][1]
        cuts.append(len(starts))
    v4 = (table.v4_starts, table.v4_values, table.v4_slots)
    return (*v4, table.v6_starts, table.v6_values, table.v6_slots, array("Q", uppers), cuts, starts, values)
