"""Answers to what stands beside lists and files: the page for people, its sisters, and what operators look at."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

from redirector.answer.answer import Answer, Form, Kind, Request
from redirector.answer.ask.listing import Listing
from redirector.answer.ask.query import Query, kind_of, parse_query
from redirector.answer.ask.resolve import resolve, resolve_isos
from redirector.answer.choose.listed import Listed, list_hosts
from redirector.answer.reading import Reader, Seat
from redirector.answer.show.documents import (
    FIXED,
    describe_all,
    describe_client,
    describe_listed,
    split_document,
    write_index,
    write_json,
    write_mirrors,
)
from redirector.answer.show.face import Face
from redirector.answer.show.page import answer_page, compile_page, write_visitor
from redirector.answer.show.samples import pick_sample
from redirector.errors import QueryError
from redirector.locate.addresses import parse_address
from redirector.snapshot.snapshot import Snapshot

DEBUG = "/debug/json/"

FOR_OPERATORS = (
    "only for addresses in admin_allow that ask without a proxy, by an address, localhost or a name in admin_hosts"
)


class Beside:
    """Answers whatever is neither a list nor a file."""

    def __init__(self, snapshot: Snapshot, reader: Reader, face: Face) -> None:
        self.page = compile_page(snapshot, face)
        self._snapshot = snapshot
        self._reader = reader
        self._face = face
        self._sample = _find_sample(snapshot)

    def find(self, request: Request) -> Answer | None:
        """The answer to *request*; None when its path names nothing of this kind.

        raises  QueryError
        cost    1 µs for paths of other kinds
        """
        raw = request.target.partition(b"?")[0]
        if fixed := FIXED.get(raw):
            return fixed
        kind = kind_of(request.target)
        if kind is Kind.PAGE:
            return self._answer_page(request) if self._face.shown else None
        if kind is not Kind.OTHER or not self._snapshot.policy.decode:
            return None
        if raw.startswith(DEBUG.encode()):
            return self._debug(request, raw.decode("latin-1").removeprefix(DEBUG).rstrip("/"))
        if raw.startswith((b"/isos", b"/kitten")) and self._face.shown:
            return self._document(request, unquote(raw.decode("latin-1")))
        return None

    def _answer_page(self, request: Request) -> Answer:
        visitor = ""
        if self._sample is not None:
            try:
                seat = self._reader.seat(request, Query(Kind.PAGE))
                visitor = write_visitor(self._snapshot, self._listed(self._sample, seat), seat.country)
            except QueryError:
                visitor = ""  # who cannot be told apart has no mirrors of its own
        return answer_page(self.page, request.host, request.scheme, visitor)

    def _listed(self, listing: Listing, seat: Seat) -> tuple[Listed, ...]:
        ranking, shown = self._reader.rank(listing, seat, Form.MIRRORLIST)
        return list_hosts(self._snapshot, self._reader.orders.of(ranking), ranking, shown, seat.seed)

    def _document(self, request: Request, path: str) -> Answer | None:
        snapshot, asked = self._snapshot, split_document(path)
        if asked is None or snapshot.releases is None:
            return None
        module, segments = asked
        if module and module not in snapshot.releases.modules:
            return None
        if segments == ("isos",):
            return write_index(snapshot, self._face, module)
        seat = self._reader.seat(request, Query(Kind.PAGE))
        if not segments:
            carriers = snapshot.host_sets[snapshot.releases.module_sets[module]]
            return write_mirrors(snapshot, self._face, f"Mirrors of {module}", carriers, "/", ())
        _, arch, version = segments
        full = f"{version}-{module}" if module and not version.endswith(f"-{module}") else version
        listing = resolve_isos(snapshot, Query(Kind.ISOLIST, version=full, arch=arch))
        title = f"ISO images of {full} for {arch}"
        if listing.only_url is not None:
            return Answer(302, Kind.PAGE, b"", headers=(("Location", listing.only_url),))
        carriers = snapshot.host_sets[listing.host_set]
        return write_mirrors(snapshot, self._face, title, carriers, listing.ending, self._listed(listing, seat))

    def _debug(self, request: Request, name: str) -> Answer | None:
        if name not in ("ip_info", "nearest_mirrors", "all_mirrors"):
            return None
        if not request.operator:
            raise QueryError(403, FOR_OPERATORS)
        if name == "all_mirrors":
            return write_json(describe_all(self._snapshot))
        query = parse_query(request.target)
        seat = self._reader.seat(request, query)
        if name == "ip_info":
            address = request.client.address if query.address is None else parse_address(query.address)
            return write_json(describe_client(self._snapshot, address, seat.audience))
        listed = () if self._sample is None else self._listed(self._sample, seat)
        return write_json(describe_listed(self._snapshot, listed))


def _find_sample(snapshot: Snapshot) -> Listing | None:
    """What many people use, to show a visitor's mirrors by."""
    sample = pick_sample(snapshot)
    query = Query(Kind.MIRRORLIST, repo=sample.repo, arch=sample.arch)
    try:
        return resolve(snapshot, query if sample.repo else replace(query, repo=None, arch=None, path=sample.directory))
    except QueryError:
        return None
