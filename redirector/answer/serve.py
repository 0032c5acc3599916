"""One request in, one answer out: the whole way through the house, for everything that is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from redirector.answer.answer import Answer, Form, Kind, Request, Tier
from redirector.answer.metalink import (
    METALINK_END,
    METALINK_TYPE,
    failure_document,
    metalink_file,
    metalink_header,
    metalink_pieces,
    metalink_seam,
    no_details,
)
from redirector.answer.mirrorlist import mirrorlist_seam
from redirector.answer.pages import Page, Pages
from redirector.answer.query import UNKNOWN_PAGE, Query, kind_of, parse_query
from redirector.answer.resolve import DANGLING, plain_queries, resolve, resolve_isos
from redirector.answer.seed import client_seed
from redirector.answer.wishes import NO_WISHES, Wishes
from redirector.errors import QueryError
from redirector.locate.proxies import parse_address
from redirector.model import HostId
from redirector.snapshot.listing import Listing
from redirector.snapshot.policy import Policy
from redirector.snapshot.snapshot import Snapshot

UNREADABLE = "Cannot parse client IP address. Aborting."

_MAX_ERROR_BYTES = 480
"""An error is one line under 500 bytes, for terminals and logs."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A listing in one form, as bytes: all of an answer that depends on neither client nor time.

    top   what stands before the URLs (a metalink: behind the header)
    seam  what stands between two pieces, and after the last one
    """

    listing: Listing
    metalink: bool
    top: bytes
    seam: bytes


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a client sits: all that an answer depends on besides what it lists."""

    audience: int
    family: int
    seed: int
    country: str | None
    wishes: Wishes


_PLAIN = Query(Kind.MIRRORLIST)
"""The query of a target that is known beforehand: no wishes."""


def frame_of(listing: Listing, metalink: bool, policy: Policy) -> Frame:
    if metalink:
        return Frame(listing, True, metalink_file(listing, policy), metalink_seam(listing, policy))
    return Frame(listing, False, (listing.comment or "").encode(), mirrorlist_seam(listing))


def compose(frame: Frame, page: Page, seed: int, now: int, extra: str = "") -> tuple[bytes, HostId | None]:
    """The body of a mirrorlist or metalink, and the host that comes first.

    extra  what the comment line holds beyond the page's own words
    cost   1.5 µs for 60 URLs (7 kB), 3 µs for 150 (25 kB)
    """
    pieces, first = page.draw(seed)
    if frame.metalink:
        top, end = metalink_header(now) + frame.top, METALINK_END
    elif frame.listing.comment is None:
        top, end = b"", b""
    else:
        top, end = frame.top + page.comment + extra.encode() + b"\n", b""
    if not pieces:
        return top + end, None
    pieces[0] = top + pieces[0]
    pieces.append(end)
    return frame.seam.join(pieces), first


def plain_frames(snapshot: Snapshot) -> dict[bytes, Frame]:
    """Frames of the targets that clients send day by day, with their parameters in either order.

    A target that cannot be answered, such as a metalink without file details, is left to the general way.
    """
    frames: dict[bytes, Frame] = {}
    for query, spellings in plain_queries(snapshot):
        metalink = query.kind is Kind.METALINK
        try:
            listing = resolve(snapshot, query)
        except QueryError:
            continue
        if listing.details or not metalink:
            frames.update(dict.fromkeys(spellings, frame_of(listing, metalink, snapshot.policy)))
    return frames


class Responder:
    """Answers from one snapshot; what it keeps between requests are the pages of its pool.

    frames  the plain spelling of every target that can be known beforehand -> its frame
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.pages = Pages(snapshot)
        self.frames: dict[bytes, Frame] = plain_frames(snapshot)

    def answer(self, request: Request) -> Answer:
        """Answer *request*. Raises nothing, whatever the client sent; a bug is a plain exception.

        cost  10 µs for a plain target, 20 µs for any other spelling, 200 µs with wishes
        """
        try:
            return self._answer(request)
        except QueryError as error:
            return self._refuse(request, error)

    def _answer(self, request: Request) -> Answer:
        frame = self.frames.get(request.target)
        if frame is not None:
            query = _PLAIN
            seat = self.seat(request, query)
        else:
            query = parse_query(request.target, self.snapshot.policy.decode)
            if query.kind is Kind.ISOLIST:
                return self._isolist(request, query)
            if query.kind is Kind.PAGE or query.kind is Kind.OTHER:
                raise QueryError(404, UNKNOWN_PAGE)
            metalink = query.form == "metalink" if query.form else query.kind is Kind.METALINK
            listing = resolve(self.snapshot, query)
            seat = self.seat(request, query)
            if metalink and not listing.details:
                refused = self._refuse(request, no_details(listing, self.snapshot.policy))
                return replace(refused, country=seat.country, asked=listing.asked)
            frame = frame_of(listing, metalink, self.snapshot.policy)
        if frame.listing.only_url is not None:
            return self._only(request, query, frame, seat)
        form = Form.METALINK if frame.metalink else Form.REDIRECT if query.redirect else Form.MIRRORLIST
        page = self.page(frame.listing, seat, form)
        if form is Form.REDIRECT:
            return _redirect(frame, page, seat)
        body, first = compose(frame, page, seat.seed, int(request.now), self._extra(query))
        return Answer(
            status=200,
            kind=Kind.METALINK if frame.metalink else Kind.MIRRORLIST,
            body=body,
            content_type=METALINK_TYPE if frame.metalink else "text/plain",
            headers=relaxed_header(page.relaxed),
            tier=page.tier,
            first=first,
            country=seat.country,
            relaxed=page.relaxed,
            asked=frame.listing.asked,
        )

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
        audience = snapshot.audiences.find(address)
        family = (4 if len(address) == 4 else 6) if address and snapshot.families_known else 0
        seed = request.chance
        if address and snapshot.order_window_s:
            seed = client_seed(address, request.now, snapshot.order_window_s)
        return Seat(audience, family, seed, snapshot.audiences.country(audience), wishes)

    def page(self, listing: Listing, seat: Seat, form: Form) -> Page:
        """The page for a seat; laid out for this request alone where there are wishes.

        raises  QueryError 404 when a demand cannot be met
        """
        if seat.wishes == NO_WISHES:
            return self.pages.find(listing.host_set, seat.audience, seat.family, form)
        ranking = self.pages.ranking(listing.host_set, seat.audience, seat.wishes, seat.family)
        unmet = seat.wishes.demands.intersection(ranking.relaxed)
        if unmet:
            raise QueryError(404, f"no mirror that carries this meets what is required: {', '.join(sorted(unmet))}")
        return self.pages.page(listing.host_set, ranking, seat.wishes, form)

    def _extra(self, query: Query) -> str:
        extra = "" if query.protocol is None else f"protocol = {query.protocol}"
        return f"{extra}\n# database creation time: {self.snapshot.built}" if query.time else extra

    def _only(self, request: Request, query: Query, frame: Frame, seat: Seat) -> Answer:
        """What lives on the vault alone: its one URL."""
        listing, url = frame.listing, frame.listing.only_url
        assert url is not None
        comment = f"{listing.comment}\n" if listing.comment else ""
        found = Answer(
            200,
            Kind.MIRRORLIST,
            f"{comment}{url}\n".encode(),
            tier=Tier.GLOBAL,
            country=seat.country,
            asked=listing.asked,
        )
        if frame.metalink:
            piece = metalink_pieces((url,), None, False, 0, self.snapshot.policy)[0]
            body = metalink_header(int(request.now)) + frame.top + piece + b"</url>\n" + METALINK_END
            return replace(found, kind=Kind.METALINK, body=body, content_type=METALINK_TYPE)
        if query.redirect:
            return replace(found, status=302, kind=Kind.REDIRECT, body=b"", headers=(("Location", url),))
        return found

    def _isolist(self, request: Request, query: Query) -> Answer:
        """A JSON array of directories with ISO files."""
        listing = resolve_isos(self.snapshot, query)
        seat = self.seat(request, query)
        page = self.page(listing, seat, Form.MIRRORLIST)
        pieces, first = page.draw(seat.seed)
        urls = [piece.decode() + listing.ending for piece in pieces]
        return Answer(
            200,
            Kind.ISOLIST,
            json.dumps(urls).encode(),
            "application/json",
            relaxed_header(page.relaxed),
            page.tier,
            first,
            seat.country,
            page.relaxed,
        )

    def _refuse(self, request: Request, error: QueryError) -> Answer:
        """An error's answer: one line, or with `compatibility` what today's server says."""
        kind, policy = kind_of(request.target), self.snapshot.policy
        if not policy.failure_documents:
            line = error.text.encode("ascii", "backslashreplace")[:_MAX_ERROR_BYTES]
            return Answer(error.status, kind, line + b"\n")
        if kind is Kind.METALINK and error.text not in (DANGLING, UNKNOWN_PAGE):
            return Answer(error.status, kind, failure_document(error.text, int(request.now)), METALINK_TYPE)
        return Answer(error.status, kind, error.text.encode(), content_type="")


def _redirect(frame: Frame, page: Page, seat: Seat) -> Answer:
    pieces, first = page.draw(seat.seed)
    if not pieces:
        return Answer(404, Kind.REDIRECT, b"", country=seat.country, asked=frame.listing.asked)
    location = pieces[0].decode() + frame.listing.ending
    return Answer(
        302,
        Kind.REDIRECT,
        b"",
        headers=(("Location", location), *relaxed_header(page.relaxed)),
        tier=page.tier,
        first=first,
        country=seat.country,
        relaxed=page.relaxed,
        asked=frame.listing.asked,
    )


def relaxed_header(relaxed: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """What could not be met, said in a header."""
    return (("X-Relaxed", ", ".join(relaxed)),) if relaxed else ()
