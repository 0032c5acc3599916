"""Answers made from a table of hosts: the formats that show more than URLs, or show them in their own way."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from redirector.answer.answer import Answer, Form, Kind, Request, Tier, relaxed_header
from redirector.answer.formats import Entry, Format, Table
from redirector.answer.listed import Listed, list_hosts
from redirector.answer.wishes import check_demands
from redirector.snapshot.listing import Listing

if TYPE_CHECKING:
    from redirector.answer.serve import Responder, Seat


def answer_table(responder: Responder, request: Request, listing: Listing, seat: Seat, layout: Format) -> Answer:
    """*listing* for a seat, as *layout* shows it.

    raises  QueryError 404 when a demand cannot be met
    cost    0.5 ms
    """
    listed, relaxed = _listed(responder, listing, seat, layout.form)
    if not listed:
        listed, relaxed = _listed(responder, listing, seat, Form.MIRRORLIST)
    entries = tuple(_entry(responder, listing, seat, layout, each) for each in listed)
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


def _listed(
    responder: Responder, listing: Listing, seat: Seat, form: Form
) -> tuple[tuple[Listed, ...], tuple[str, ...]]:
    """The hosts that are listed, and the wishes that could not be met; nothing of what the vault alone has."""
    if listing.only_url is not None:
        return (), ()
    snapshot = responder.snapshot
    ranking, shown = responder.rank(listing, seat, form)
    check_demands(seat.wishes, ranking.relaxed)
    order = responder.orders.of(ranking)
    return list_hosts(snapshot, order, ranking, shown, seat.seed), order.relaxed


def _entry(responder: Responder, listing: Listing, seat: Seat, layout: Format, listed: Listed) -> Entry:
    snapshot = responder.snapshot
    facts, urls = snapshot.hosts[listed.host], listed.urls
    if layout.every_url and not seat.wishes.protocols:
        urls = snapshot.host_sets[listing.host_set].urls[listed.host]
    whole = tuple(url + listing.ending for url in urls)
    return Entry(facts.name, facts.country, listed.tier, listed.reason, listed.km, whole)


def _vault(url: str) -> Entry:
    """The one entry of what no mirror carries."""
    return Entry(urlsplit(url).netloc, None, Tier.GLOBAL, "the vault alone has it", None, (url,))
