"""Answers in the formats that are neither mirrorlists nor metalinks of version 3."""

from __future__ import annotations

from urllib.parse import urlsplit

from redirector.answer.answer import Answer, Form, Kind, Request, Tier, relaxed_header
from redirector.answer.ask.listing import Listing
from redirector.answer.ask.wishes import refuse_unmet
from redirector.answer.choose.listed import Listed, list_hosts
from redirector.answer.reading import Reader, Seat
from redirector.answer.show.formats import Entry, LineFormat, Table, TableFormat
from redirector.answer.show.join import MARK


def answer_lines(reader: Reader, listing: Listing, seat: Seat, layout: LineFormat) -> Answer:
    """*listing* for a seat, as lines; where no host has a URL of the kind that *layout* wants, with what there is.

    raises  QueryError 404 when a demand cannot be met
    """
    if listing.only_url is not None:
        body = layout.render([listing.only_url])
        return Answer(200, Kind.MIRRORLIST, body, tier=Tier.GLOBAL, country=seat.country, asked=listing.asked)
    reading = reader.read(listing, seat, layout.form)
    if not reading.entries:
        reading = reader.read(listing, seat, Form.MIRRORLIST)
    urls = [base.decode() + listing.ending for entry in reading.entries for base in entry.split(MARK)]
    return Answer(
        status=200,
        kind=Kind.MIRRORLIST,
        body=layout.render(urls),
        headers=relaxed_header(reading.relaxed),
        tier=reading.tier,
        first=reading.first,
        country=seat.country,
        relaxed=reading.relaxed,
        asked=listing.asked,
    )


def answer_table(reader: Reader, request: Request, listing: Listing, seat: Seat, layout: TableFormat) -> Answer:
    """*listing* for a seat, as *layout* shows it.

    raises  QueryError 404 when a demand cannot be met
    cost    0.5 ms; by distance over 530 hosts 1 ms
    """
    listed, relaxed = _listed(reader, listing, seat, layout.form)
    entries = tuple(_entry(reader, listing, seat, layout, each) for each in listed)
    tier, first = (listed[0].tier, listed[0].host) if listed else (Tier.NONE, None)
    if listing.only_url is not None:
        entries, tier = (_vault(listing.only_url),), Tier.GLOBAL
    return Answer(
        status=200,
        kind=Kind.METALINK if layout.form is Form.METALINK else Kind.MIRRORLIST,
        body=layout.render(Table(listing, entries, seat.country, relaxed, int(request.now))),
        content_type=layout.content_type,
        headers=relaxed_header(relaxed),
        tier=tier,
        first=first,
        country=seat.country,
        relaxed=relaxed,
        asked=listing.asked,
    )


def _listed(reader: Reader, listing: Listing, seat: Seat, form: Form) -> tuple[tuple[Listed, ...], tuple[str, ...]]:
    """The hosts that are listed, and the wishes that could not be met; nothing of what the vault alone has."""
    if listing.only_url is not None:
        return (), ()
    snapshot = reader.snapshot
    ranking, shown = reader.rank(listing, seat, form)
    refuse_unmet(seat.wishes, ranking.relaxed)
    order = reader.orders.of(ranking)
    return list_hosts(snapshot, order, ranking, shown, seat.seed), order.relaxed


def _entry(reader: Reader, listing: Listing, seat: Seat, layout: TableFormat, listed: Listed) -> Entry:
    snapshot = reader.snapshot
    facts, urls = snapshot.hosts[listed.host], listed.urls
    if layout.every_url and not seat.wishes.protocols:
        urls = snapshot.host_sets[listing.host_set].urls[listed.host]
    whole = tuple(url + listing.ending for url in urls)
    return Entry(facts.name, facts.country, listed.tier, listed.reason, listed.km, whole)


def _vault(url: str) -> Entry:
    """The one entry of what no mirror carries."""
    return Entry(urlsplit(url).netloc, None, Tier.GLOBAL, "the vault alone has it", None, (url,))
