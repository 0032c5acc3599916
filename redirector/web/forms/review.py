"""What a decision about a site needs, on one page: what was typed, what tables say, coverage, duplicates, findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from redirector.registry.edit import carried, sites
from redirector.registry.edit.change import Change
from redirector.registry.hints import HostHints
from redirector.store.checks import find_checks
from redirector.store.registry import queries
from redirector.store.registry.rows import CarriedRow, ContactRow, HostRow, SiteRow, UrlRow
from redirector.web.forms.looking import ShownCheck, show_check


@dataclass(frozen=True, slots=True)
class HostReview:
    """One host.

    carries  (category, URLs) each
    hints    what our tables say, and how its country is served
    check    the last look that somebody asked for
    """

    host: HostRow
    carries: Sequence[tuple[str, Sequence[str]]]
    hints: HostHints
    check: ShownCheck | None


@dataclass(frozen=True, slots=True)
class Review:
    """All of it.

    people  logins of its admins
    heed    what speaks against it, in words
    """

    people: Sequence[str]
    heed: Sequence[str]
    hosts: Sequence[HostReview]


async def read_review(change: Change, site: SiteRow, hints: Sequence[HostHints]) -> Review:
    """What is known of a site that nobody decided about; *hints* are about its hosts."""
    checks = await find_checks(change.connection, [each.host.id for each in hints])
    names = await carried.category_names(change)
    hosts = []
    for each in hints:
        carries = []
        for part in await queries.list_rows(change.connection, CarriedRow, host=each.host.id):
            urls = await queries.list_rows(change.connection, UrlRow, carried=part.id)
            carries.append((names[part.category], [url.url for url in urls]))
        check = checks.get(each.host.id)
        hosts.append(HostReview(each.host, carries, each, show_check(check) if check else None))
    admins, _ = await sites.list_admins(change, site.id)
    contacts = await queries.list_rows(change.connection, ContactRow, site=site.id)
    heed = list(tell_heed(hosts))
    heed += [f"{url} of {host} is also {other}'s" for host, url, other in await carried.duplicates_of(change, site.id)]
    if not any(contact.verified for contact in contacts):
        heed.append("No contact address is verified yet: nobody is sure to read our mail")
    return Review([admin.login for admin in admins], heed, hosts)


def tell_heed(hosts: Sequence[HostReview]) -> Iterator[str]:
    """What speaks against hosts."""
    if not hosts:
        yield "It has no host"
    for each in hosts:
        name = each.host.name
        yield from (f"{name}: {text.rstrip('.')}" for text in each.hints.warnings)
        if not each.host.private and not any(url.startswith("http") for _, urls in each.carries for url in urls):
            yield f"{name} has no http or https URL"
        if each.check is not None:
            errors = sum(finding.level == "error" for finding in each.check.findings)
            if errors:
                yield f"{name}: the last check found {errors} thing{'' if errors == 1 else 's'} that must change"
