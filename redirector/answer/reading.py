"""Who asks, and which hosts they get: what all answers have in common, the lane's and everybody else's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from zlib import crc32

from redirector.answer.answer import Form, Request, Tier
from redirector.answer.ask.listing import Listing
from redirector.answer.ask.query import Query
from redirector.answer.ask.wishes import NO_WISHES, Wishes, refuse_unmet
from redirector.answer.choose.lineup import Lineup
from redirector.answer.choose.orders import Orders
from redirector.answer.choose.rank import Ranking, rank
from redirector.answer.choose.sheets import Sheet, visible
from redirector.answer.show.entries import write_entries
from redirector.errors import QueryError
from redirector.locate.addresses import parse_address
from redirector.model import HostId
from redirector.snapshot.snapshot import Snapshot

UNREADABLE = "Cannot parse client IP address. Aborting."

_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a client sits: all that an answer depends on besides what it lists."""

    audience: int
    family: int
    seed: int
    country: str | None
    wishes: Wishes


@dataclass(frozen=True, slots=True)
class Reading:
    """A list that is not yet bytes.

    entries  what each host shows, in order
    words    the ranking's part of the comment line
    """

    entries: list[bytes]
    first: HostId | None
    tier: Tier
    words: bytes = b""
    relaxed: tuple[str, ...] = ()


def client_seed(address: bytes, now: int, window_s: int) -> int:
    """64 bits that stand for this client in this window.

    address   an IPv4 address, or an IPv6 one, of which the /64 counts
    window_s  above 0; each client's windows begin at a time of its own, so that orders never change all at once
    now       seconds
    cost      0.5 µs
    """
    number = crc32(address[:8])
    mixed = (number + (now + number) // window_s * 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ mixed >> 30) * 0x94D049BB133111EB & _MASK  # without it, who shares a slot would always share it
    return mixed ^ mixed >> 31


class Reader:
    """Seats clients, and reads what they get from the orders of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.orders = Orders(snapshot, write_entries)
        self._find_audience = snapshot.audiences.table.find
        self._families = snapshot.families_known
        self._window_s = snapshot.order_window_s

    def sit(self, address: bytes | None, now: int, chance: int) -> tuple[int, int, int]:
        """The audience of an address, its family (4 or 6; 0 where no host is known to serve one alone), and its seed.

        chance  the seed of a client that is not known, or where each request has an order of its own
        cost    1.2 µs
        """
        if address is None:
            return 0, 0, chance
        family = (4 if len(address) == 4 else 6) if self._families else 0
        seed = client_seed(address, now, self._window_s) if self._window_s else chance
        return self._find_audience(address), family, seed

    def seat(self, request: Request, query: Query) -> Seat:
        """Where the client sits: its audience and seed, and its wishes.

        raises  QueryError when `ip=`, or with `compatibility` the client's own address, cannot be read
        """
        snapshot, client, wishes = self.snapshot, request.client, query.wishes
        address = client.address
        if query.address is not None:
            address = parse_address(query.address)
            if address is None:
                raise QueryError(snapshot.policy.unreadable_status, UNREADABLE)
            if not client.trusted:
                wishes = replace(wishes, private=False)
        elif not client.readable and not snapshot.policy.relax:
            raise QueryError(snapshot.policy.unreadable_status, UNREADABLE)
        audience, family, seed = self.sit(address, int(request.now), request.chance)
        return Seat(audience, family, seed, snapshot.audiences.country(audience), wishes)

    def read(self, listing: Listing, seat: Seat, form: Form) -> Reading:
        """The list for a seat.

        raises  QueryError 404 when a demand cannot be met
        """
        if seat.wishes == NO_WISHES:
            lineup = self.orders.line_up(listing.host_set, form, seat.audience, seat.family)
            entries, first = lineup.read(seat.seed)
            if entries:  # nothing where only odd URLs are left
                return Reading(entries, first, lineup.tier_of(first), lineup.comment)
        ranking, shown = self.rank(listing, seat, form)
        refuse_unmet(seat.wishes, ranking.relaxed)
        order = self.orders.of(ranking)
        entries = write_entries(self.snapshot, self.snapshot.host_sets[listing.host_set], shown, form)
        lineup = Lineup.of(order, Sheet(entries))
        entries, first = lineup.read(seat.seed)
        return Reading(entries, first, lineup.tier_of(first), lineup.comment, order.relaxed)

    def rank(self, listing: Listing, seat: Seat, form: Form) -> tuple[Ranking, dict[HostId, tuple[str, ...]]]:
        """The ranking for a seat, and the base URLs that the hosts in it show in *form*."""
        snapshot = self.snapshot
        carriers = snapshot.host_sets[listing.host_set]
        audience = snapshot.audiences.audience(seat.audience)
        ranking = rank(snapshot, carriers, audience, seat.wishes, seat.family or None)
        return visible(snapshot, carriers, ranking, seat.wishes, form)
