"""Why a client gets what it gets: the same ranking that answers it, told step by step."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from redirector.answer.answer import Answer, Form, Kind, Request
from redirector.answer.ask.listing import Listing
from redirector.answer.ask.query import Query, parse_query
from redirector.answer.ask.wishes import describe_wishes
from redirector.answer.choose.listed import Odds, list_hosts, odds_of
from redirector.answer.choose.rank import Ranking
from redirector.answer.reading import Reader, Seat
from redirector.answer.serve import Responder
from redirector.answer.show.formats import LINES, TABLES
from redirector.answer.show.metalink import METALINK_TYPE
from redirector.errors import QueryError
from redirector.locate.addresses import parse_address
from redirector.locate.places import place_of_country
from redirector.locate.proxies import Client
from redirector.model import HostId
from redirector.snapshot.snapshot import Snapshot

SHOWN = 20
"""Hosts left out that stand on lines of their own; the others are counted by reason."""

LEFT_OUT = "left out"
BY_NEARNESS = "near, drawn by weight"
TOO_LONG = "the list is full; another draw may list it"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What is known of the client, and which file said so. Empty strings: not known."""

    address: str
    country: str
    country_from: str
    place: str
    place_from: str
    asn: int | None
    asn_from: str
    netblocks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One host that was considered.

    tier    "" for a host that was left out
    rank    1 for the first; None for a host that is not listed
    reason  why it is listed, or why not
    km      distance, where it is known and plays a part
    odds    how it is drawn by nearness: `weight`, `factor`, `chance`; None where it is not
    """

    host: str
    country: str
    tier: str
    rank: int | None
    reason: str
    km: float | None
    urls: tuple[str, ...]
    odds: Odds | None = None

    @property
    def heading(self) -> str:
        """What it stands below."""
        if self.rank is None:
            return LEFT_OUT
        return BY_NEARNESS if self.odds is not None else f"tier {self.tier}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole story of one answer; *hosts* holds every host of the directory once, the listed ones first."""

    target: str
    lists: str
    client: Whereabouts
    status: int
    comment: str
    wishes: tuple[str, ...]
    relaxed: tuple[str, ...]
    hosts: tuple[Verdict, ...]
    answer: str

    def of_host(self, name: str) -> Explanation:
        """The same with one of its hosts alone; with none where nobody is called *name*."""
        return replace(self, hosts=tuple(each for each in self.hosts if each.host.casefold() == name.casefold()))

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    def as_text(self) -> str:
        """All of it for people; the answer itself stands last."""
        return f"{self.way_as_text()}\n{self.answer_as_text()}"

    def answer_as_text(self) -> str:
        """The answer's status and body."""
        body = self.answer.rstrip("\n")
        return f"answer {self.status}\n{body}"

    def way_as_text(self) -> str:
        """How the answer comes about; an empty line ends it."""
        client = self.client
        lines = [
            f"target    {self.target}",
            f"lists     {self.lists}",
            f"client    {client.address}",
            f"country   {client.country or 'unknown'}{_said_by(client.country_from)}",
            f"place     {client.place or 'unknown'}{f' ({client.place_from})' if client.place_from else ''}",
            f"AS        {client.asn or 'unknown'}{_said_by(client.asn_from)}",
            f"netblocks {', '.join(client.netblocks) or 'in none of any host'}",
            f"wishes    {', '.join(self.wishes) or 'none'}",
            f"relaxed   {', '.join(self.relaxed) or 'nothing'}",
        ]
        heading = ""
        left_out = [verdict for verdict in self.hosts if verdict.heading == LEFT_OUT]
        for verdict in self.hosts:
            if verdict.heading == LEFT_OUT:
                continue
            if verdict.heading != heading:
                heading = verdict.heading
                lines += ["", heading]
            lines.append(_verdict_line(verdict))
        if left_out:
            shown = left_out if len(left_out) <= SHOWN else left_out[: SHOWN - 1]
            lines += ["", "left out", *map(_verdict_line, shown)]
            rest = Counter(verdict.reason.partition(":")[0] for verdict in left_out[len(shown) :])
            lines += [f"  - and {count:,} more: {reason}" for reason, count in rest.most_common()]
        return "\n".join([*lines, ""])


def _said_by(path: str) -> str:
    return f" (says {path})" if path else ""


def _verdict_line(verdict: Verdict) -> str:
    rank = "  - " if verdict.rank is None else f"{verdict.rank:3} "
    km = "" if verdict.km is None else f", {verdict.km:,.0f} km"
    return f"{rank}{verdict.host} ({verdict.country or '??'}{km}): {verdict.reason}"


def explain(responder: Responder, target: str, client: str, now: float) -> Explanation:
    """Explain the answer to *target* (a path with parameters, or a whole URL) for the address *client*.

    raises  QueryError: 404 for no such repository or directory, 400 for a target or an address that cannot be read
    cost    some milliseconds
    """
    snapshot = responder.snapshot
    address = parse_address(client.strip())
    if address is None:
        raise QueryError(400, f"client {client[:60]!r}: an IPv4 or IPv6 address is needed")
    try:
        parts = urlsplit(target)
    except ValueError as error:
        raise QueryError(400, f"{target[:60]}: no URL: {error}") from None
    plain = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = Request(plain.encode("utf-8", "surrogateescape"), Client(address), now, 0)
    query = parse_query(request.target, snapshot.policy.decode)
    listing = responder.find_listing(query)
    seat = responder.reader.seat(request, query)
    answer = responder.answer(request)
    if query.address is not None:
        address = parse_address(query.address) or address
    if listing.only_url is not None:
        return _explanation(snapshot, plain, listing, address, seat, answer, Ranking((), {}), ())
    form = _form_of(query, answer)
    ranking, shown = responder.reader.rank(listing, seat, form)
    verdicts = verdicts_of(responder.reader, listing, ranking, shown, seat)
    return _explanation(snapshot, plain, listing, address, seat, answer, ranking, verdicts)


def _form_of(query: Query, answer: Answer) -> Form:
    """The form whose hosts and URLs *answer* shows."""
    if layout := TABLES.get(query.format or "") or LINES.get(query.format or ""):
        return layout.form
    if answer.kind is Kind.REDIRECT:
        return Form.REDIRECT
    return Form.METALINK if answer.content_type == METALINK_TYPE else Form.MIRRORLIST


def _explanation(
    snapshot: Snapshot,
    target: str,
    listing: Listing,
    address: bytes,
    seat: Seat,
    answer: Answer,
    ranking: Ranking,
    verdicts: tuple[Verdict, ...],
) -> Explanation:
    return Explanation(
        target=target,
        lists=listing.only_url or f"{listing.directory} ({listing.ending})",
        client=_whereabouts(snapshot, address, seat),
        status=answer.status,
        comment=ranking.comment,
        wishes=describe_wishes(seat.wishes),
        relaxed=ranking.relaxed,
        hosts=verdicts,
        answer=answer.body.decode(errors="replace") or dict(answer.headers).get("Location", ""),
    )


def _whereabouts(snapshot: Snapshot, address: bytes, seat: Seat) -> Whereabouts:
    audience = snapshot.audiences.audience(seat.audience)
    override = snapshot.audiences.combinations[seat.audience][1]
    asn = snapshot.asns.table.find(address) if snapshot.asns else None
    place, place_from = audience.place, f"says {snapshot.geo_path}"
    if place is None and audience.country and snapshot.policy.by_distance:
        place = place_of_country(audience.country)
        place_from = f"the largest city of {audience.country}; nobody says more"
    return Whereabouts(
        address=str(ip_address(address)),
        country=audience.country or "",
        country_from="" if not audience.country else snapshot.path if override else snapshot.geo_path,
        place=f"{place.latitude:.4f}, {place.longitude:.4f}" if place else "",
        place_from=place_from if place else "",
        asn=asn or None,
        asn_from=snapshot.asn_path if asn else "",
        netblocks=tuple(
            f"/{length} of {', '.join(snapshot.hosts[host].name for host in hosts)}"
            for length, hosts in audience.netblocks
        ),
    )


def verdicts_of(
    reader: Reader,
    listing: Listing,
    ranking: Ranking,
    shown: Mapping[HostId, tuple[str, ...]],
    seat: Seat,
) -> tuple[Verdict, ...]:
    """Every host of the listing's set once: the listed ones in this client's order, then the others with the reason."""
    snapshot = reader.snapshot
    order = reader.orders.of(ranking)
    listed = list_hosts(snapshot, order, ranking, shown, seat.seed)

    def verdict(
        host: HostId, tier: str, rank: int | None, reason: str, urls: tuple[str, ...], odds: Odds | None = None
    ) -> Verdict:
        facts = snapshot.hosts[host]
        return Verdict(facts.name, facts.country or "", tier, rank, reason, ranking.km.get(host), urls, odds)

    found = [
        verdict(
            each.host, each.tier.value, rank, each.reason, tuple(url + listing.ending for url in each.urls), each.odds
        )
        for rank, each in enumerate(listed, 1)
    ]
    in_list = {each.host for each in listed}
    for group in ranking.groups:
        odds = odds_of(snapshot, group)
        for host in group.hosts:
            if host not in in_list:
                why = f"{TOO_LONG}: {odds[host]}" if host in odds else TOO_LONG
                found.append(verdict(host, group.tier_of(host).value, None, why, (), odds.get(host)))
    left_out: Mapping[HostId, str] = {host: reason.value for host, reason in ranking.dropped.items()}
    found += [verdict(host, "", None, _with_facts(snapshot, host, why), ()) for host, why in left_out.items()]
    return tuple(found)


def _with_facts(snapshot: Snapshot, host: HostId, reason: str) -> str:
    facts = snapshot.hosts[host]
    if facts.withheld:
        return f"given to nobody: {facts.withheld}"
    return f"{reason}: {facts.down_reason}" if not facts.up and facts.down_reason else reason
