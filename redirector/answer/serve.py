"""One request in, one answer out: the whole way through the house, for everything that is asked."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

from redirector.answer.answer import Answer, Form, Kind, Request, Tier, relaxed_header
from redirector.answer.ask.files import resolve_file
from redirector.answer.ask.listing import Listing
from redirector.answer.ask.query import UNKNOWN_PAGE, Query, kind_of, parse_query
from redirector.answer.ask.resolve import DANGLING, plain_queries, resolve, resolve_isos
from redirector.answer.beside import Beside
from redirector.answer.reading import Reader, Reading, Seat
from redirector.answer.show.face import Face
from redirector.answer.show.folder import EMPTY, Folder
from redirector.answer.show.formats import LINES, TABLES
from redirector.answer.show.frames import Frame, compose, frame_of
from redirector.answer.show.join import MARK, join
from redirector.answer.show.metalink import (
    METALINK_END,
    METALINK_TYPE,
    PREFERENCES,
    failure_document,
    metalink_entry,
    metalink_header,
    no_details,
)
from redirector.answer.show.page import PLAIN_FACE
from redirector.answer.show.redirects import countries_of_urls, digest_headers, link_headers, wanted_metalink
from redirector.answer.show.urls import plain_url
from redirector.answer.tables import answer_lines, answer_table
from redirector.errors import QueryError
from redirector.snapshot.snapshot import Snapshot

_MAX_SHOWN = 200
"""Characters of a path in an error's line."""

_MAX_ERROR_BYTES = 480
"""An error is one line under 500 bytes, for terminals and logs."""


_PLAIN = Query(Kind.MIRRORLIST)
"""The query of a target that is known beforehand: no wishes."""


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
        if listing.only_url is None and (listing.details or not metalink):
            frames.update(dict.fromkeys(spellings, frame_of(listing, metalink, snapshot.policy)))
    return frames


class Responder:
    """Answers from one snapshot; what it keeps between requests are the orders of audiences.

    frames         target, as `/mirrorlist?repo=baseos-9&arch=x86_64` -> what of its answer is the same for everybody;
                   for every target that can be known beforehand, in its usual spelling
    folder         pages that others wrote, beside our own
    page           the page for people, ready but for whom it is shown to
    url_countries  see `countries_of_urls`
    """

    def __init__(self, snapshot: Snapshot, face: Face = PLAIN_FACE, folder: Folder = EMPTY) -> None:
        self.snapshot = snapshot
        self.folder = folder
        self.reader = Reader(snapshot)
        self.orders = self.reader.orders
        self.beside = Beside(snapshot, self.reader, face)
        self.page = self.beside.page
        self.url_countries = countries_of_urls(snapshot.hosts, snapshot.host_sets)
        self.frames: dict[bytes, Frame] = plain_frames(snapshot)

    def warm(self) -> None:
        """Prepare what most clients ask for, before workers are forked. cost: 1 s"""
        self.orders.warm(Counter((frame.listing.host_set, frame.form) for frame in self.frames.values()))

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
            seat = self.reader.seat(request, query)
        elif (page := self.folder.find(request.target)) is not None:
            return page
        else:
            if (beside := self.beside.find(request)) is not None:
                return beside
            query = parse_query(request.target, self.snapshot.policy.decode)
            if query.kind is Kind.ISOLIST:
                return self._isolist(request, query)
            if query.kind is Kind.OTHER:
                return self._file(request, query)
            if query.kind is Kind.PAGE:
                raise QueryError(404, "there is no page here for people")
            metalink = query.format == "metalink" if query.format else query.kind is Kind.METALINK
            if query.redirect and query.path and not (metalink or query.format) and self.snapshot.policy.decode:
                found = self._file(replace(request, accept=""), query)  # as the file's own path, but for `Accept`
                return replace(found, headers=tuple(each for each in found.headers if each[0] != "Vary"))
            listing = resolve(self.snapshot, query)
            seat = self.reader.seat(request, query)
            if (metalink or query.format == "meta4") and not listing.details:
                refused = self._refuse(request, no_details(listing, self.snapshot.policy, self.snapshot.has_primary))
                return replace(refused, country=seat.country, asked=listing.asked)
            if lines := LINES.get(query.format or ""):
                return answer_lines(self.reader, listing, seat, lines)
            if table := TABLES.get(query.format or ""):
                return answer_table(self.reader, request, listing, seat, table)
            frame = frame_of(listing, metalink, self.snapshot.policy)
        return self._list(request, query, frame, seat)

    def _list(self, request: Request, query: Query, frame: Frame, seat: Seat) -> Answer:
        """A mirrorlist or a metalink, or the redirect that stands for it."""
        if frame.listing.only_url is not None:
            return self._only(request, query, frame, seat)
        form = Form.REDIRECT if query.redirect and frame.form is Form.MIRRORLIST else frame.form
        reading = self.reader.read(frame.listing, seat, form)
        if form is Form.REDIRECT:
            return self._redirect(frame.listing, self._secure(request, frame.listing, seat, reading), seat)
        words = reading.words + self._extra(query)
        return Answer(
            status=200,
            kind=Kind.METALINK if form is Form.METALINK else Kind.MIRRORLIST,
            body=compose(frame, reading.entries, int(request.now), words),
            content_type=METALINK_TYPE if form is Form.METALINK else "text/plain",
            headers=relaxed_header(reading.relaxed),
            tier=reading.tier,
            first=reading.first,
            country=seat.country,
            relaxed=reading.relaxed,
            asked=frame.listing.asked,
        )

    def _extra(self, query: Query) -> bytes:
        extra = "" if query.protocol is None else f"protocol = {query.protocol}"
        return (f"{extra}\n# database creation time: {self.snapshot.built}" if query.time else extra).encode()

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
        if frame.form is Form.METALINK:
            entry = metalink_entry((url,), None, False, self.snapshot.policy)
            top = metalink_header(int(request.now)) + frame.top
            body = join(top, [entry], b"</url>\n", METALINK_END, PREFERENCES)
            return replace(found, kind=Kind.METALINK, body=body, content_type=METALINK_TYPE)
        if query.redirect:
            return replace(found, status=302, kind=Kind.REDIRECT, body=b"", headers=(("Location", url),))
        return found

    def find_listing(self, query: Query) -> Listing:
        """What *query* lists. Raises QueryError for what cannot be answered, and for the page, which lists nothing."""
        match query.kind:
            case Kind.ISOLIST:
                return resolve_isos(self.snapshot, query)
            case Kind.PAGE:
                raise QueryError(404, "the page for people is the same for everybody")
            case Kind.OTHER:
                assert query.path is not None
                found = resolve_file(self.snapshot, query.path)
                if found.missing:
                    raise _missing(query.path)
                return found.listing
            case _:
                return resolve(self.snapshot, query)

    def _file(self, request: Request, query: Query) -> Answer:
        """Where a file or directory is; or its metalink, where the client names that type and hashes are known."""
        assert query.path is not None
        found = resolve_file(self.snapshot, query.path)
        listing = found.listing
        if found.missing:
            return replace(self._refuse(request, _missing(query.path)), kind=Kind.REDIRECT)
        seat = self.reader.seat(request, query)
        if listing.only_url is not None:
            headers = (("Location", plain_url(listing.only_url)),)
            return Answer(302, Kind.REDIRECT, b"", headers=headers, tier=Tier.GLOBAL, country=seat.country)
        wanted = wanted_metalink(request.accept) if listing.details else None
        if wanted == "meta4":
            answer = answer_table(self.reader, request, listing, seat, TABLES[wanted])
        elif wanted:
            answer = self._list(request, _PLAIN, frame_of(listing, True, self.snapshot.policy), seat)
        else:
            reading = self._read_file(listing, seat, found.written, request.now)
            answer = self._redirect(listing, self._secure(request, listing, seat, reading), seat)
        vary = (("Vary", "Accept"),) if listing.details else ()
        return replace(answer, kind=Kind.REDIRECT, headers=(*answer.headers, *vary))

    def _read_file(self, listing: Listing, seat: Seat, written: int | None, now: float) -> Reading:
        """Who has a file: its origin alone while it is too new for the mirrors."""
        snapshot = self.snapshot
        carriers, origin = snapshot.host_sets[listing.host_set].urls, snapshot.origin
        is_new = written is not None and snapshot.newest_s > 0 and now - written < snapshot.newest_s
        if is_new and origin is not None and origin in carriers:
            return Reading([carriers[origin][0].encode()], origin, Tier.GLOBAL)
        return self.reader.read(listing, seat, Form.REDIRECT)

    def _secure(self, request: Request, listing: Listing, seat: Seat, reading: Reading) -> Reading:
        """*reading*, whose first host a client is sent to: by https where it came by https, and some host has it.

        apt, zypper and browsers go no other way.
        """
        is_secure = request.scheme != "https" or not reading.entries or reading.entries[0].startswith(b"https:")
        if is_secure or seat.wishes.protocols or not self.snapshot.policy.relax:
            return reading
        secured = replace(seat, wishes=replace(seat.wishes, protocols=("https",)))
        others = self.reader.read(listing, secured, Form.REDIRECT)
        if others.entries and "protocol" not in others.relaxed:
            return others
        secure = [entry for entry in reading.entries if entry.startswith(b"https:")]
        if not secure:
            return reading
        rest = [entry for entry in reading.entries if entry not in secure]  # no mirror has https, but the origin
        return replace(reading, entries=[*secure, *rest], first=self.snapshot.origin, tier=Tier.GLOBAL)

    def _redirect(self, listing: Listing, reading: Reading, seat: Seat) -> Answer:
        """To the first of *reading*; 404 when there is none."""
        bases = [base.decode() for entry in reading.entries for base in entry.split(MARK)]
        headers = [("Location", plain_url(bases[0] + listing.ending))] if bases else []
        if bases and self.snapshot.policy.decode:
            headers += link_headers(bases, listing.ending, self.url_countries)
            headers += digest_headers(listing.details)
        return Answer(
            302 if bases else 404,
            Kind.REDIRECT,
            b"",
            headers=(*headers, *relaxed_header(reading.relaxed)),
            tier=reading.tier,
            first=reading.first,
            country=seat.country,
            relaxed=reading.relaxed,
            asked=listing.asked,
        )

    def _isolist(self, request: Request, query: Query) -> Answer:
        """A JSON array of directories with ISO files."""
        listing = resolve_isos(self.snapshot, query)
        seat = self.reader.seat(request, query)
        if listing.only_url is not None:
            body = json.dumps([listing.only_url]).encode()
            return Answer(200, Kind.ISOLIST, body, "application/json", tier=Tier.GLOBAL, country=seat.country)
        reading = self.reader.read(listing, seat, Form.MIRRORLIST)
        urls = [url.decode() + listing.ending for entry in reading.entries for url in entry.split(MARK)]
        return Answer(
            status=200,
            kind=Kind.ISOLIST,
            body=json.dumps(urls).encode(),
            content_type="application/json",
            headers=relaxed_header(reading.relaxed),
            tier=reading.tier,
            first=reading.first,
            country=seat.country,
            relaxed=reading.relaxed,
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


def _missing(path: str) -> QueryError:
    return QueryError(404, f"{path[:_MAX_SHOWN]} is not in the primary tree")
