"""What each host has to show for one host set in one form: a list by host id, ready to be read in any order.

Sheets depend on neither client nor directory, so there are few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Any

from redirector.answer.answer import Form
from redirector.answer.ask.wishes import Wishes
from redirector.answer.choose.rank import Ranking, Reason, kept_hosts
from redirector.model import HostId, HostSet, HostSetId
from redirector.snapshot.snapshot import Snapshot


@dataclass(slots=True, eq=False)
class Sheet:
    """What hosts show, in one form.

    entries  by host id; None: nothing. See `join`
    present  by host id; the host as a character where there is an entry, "" elsewhere. Sheets share the characters:
             each has a reference count, and makes the page that it lies on a worker's own when it is read
    """

    entries: list[Any]
    present: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.present = ["" if entry is None else intern(chr(host)) for host, entry in enumerate(self.entries)]


Writer = Callable[[Snapshot, HostSet, Mapping[HostId, Sequence[str]], Form], list[Any]]
"""Writes the entries of a sheet: what each host shows of its base URLs, by host id."""


class Sheets:
    """The sheets of a snapshot for clients without wishes; made when first needed, never forgotten.

    cost  10 kB for 700 hosts, the texts being shared; there are three for each host set at most
    """

    def __init__(self, snapshot: Snapshot, write: Writer) -> None:
        self._snapshot = snapshot
        self._write = write
        self._sheets: dict[int, Sheet] = {}
        self._known: dict[object, Any] = {}
        """What a host of some URLs shows, in each form; and each text by itself, since many hold the same."""

    def find(self, host_set: HostSetId, form: Form) -> Sheet:
        """The sheet of a host set, each host with the URLs that *form* shows by itself."""
        key = host_set * 4 + form
        return self._sheets.get(key) or self._make(key, host_set, form)

    def _make(self, key: int, host_set: HostSetId, form: Form) -> Sheet:
        carriers, known = self._snapshot.host_sets[host_set], self._known
        public = frozenset(carriers.public)
        keys = {host: (form, host, urls, host in public) for host, urls in carriers.urls.items()}
        new = {host: choose_urls(carriers.urls[host], (), form) for host, each in keys.items() if each not in known}
        written = self._write(self._snapshot, carriers, new, form)
        known.update((keys[host], written[host] and known.setdefault(written[host], written[host])) for host in new)
        entries: list[Any] = [None] * len(self._snapshot.hosts)
        for host, each in keys.items():
            entries[host] = known[each]
        sheet = self._sheets[key] = Sheet(entries)
        return sheet


def choose_urls(urls: Sequence[str], protocols: Sequence[str], form: Form) -> tuple[str, ...]:
    """The base URLs of one host that an answer shows.

    urls       as listed; by default the source's https ones come first
    protocols  wished ones: up to as many URLs as there are; none: a metalink shows all, a mirrorlist the first one
               of https, http or ftp
    returns    () when none is suitable
    """
    chosen = tuple(urls)
    if protocols:
        starts = tuple(f"{scheme}:" for scheme in protocols)
        chosen = tuple(url for url in urls if url.startswith(starts))[: len(protocols)]
    if form is Form.REDIRECT:
        return tuple(url for url in chosen if url.startswith(("https:", "http:")))[:1]
    if form is Form.MIRRORLIST and not protocols:
        return tuple(url for url in urls if url.startswith(("https:", "http:", "ftp:")))[:1]
    return chosen


def visible(
    snapshot: Snapshot, carriers: HostSet, ranking: Ranking, wishes: Wishes, form: Form
) -> tuple[Ranking, dict[HostId, tuple[str, ...]]]:
    """The ranking without hosts that have no URL to show in *form*, unless that leaves nobody; and the base URLs."""
    hosts = [host for group in ranking.groups for host in group.hosts]
    if ranking.origin is not None:
        hosts.append(ranking.origin)
    relax = snapshot.policy.relax
    is_unmet = "protocol" in ranking.relaxed and (relax or form is Form.REDIRECT)
    protocols = () if is_unmet else wishes.protocols
    chosen = {host: choose_urls(carriers.urls[host], protocols, form) for host in hosts}
    if protocols and relax and not any(chosen.values()):  # a redirect to what browsers cannot read
        ranking = replace(ranking, relaxed=(*ranking.relaxed, "protocol"))
        chosen = {host: choose_urls(carriers.urls[host], (), form) for host in hosts}
    shown = {host: urls for host, urls in chosen.items() if urls}
    if not shown and form is not Form.REDIRECT and (relax or not protocols):
        shown = {host: carriers.urls[host] for host in hosts}
    if len(shown) == len(hosts):
        return ranking, shown
    dropped = {**ranking.dropped, **{host: Reason.PROTOCOL for host in hosts if host not in shown}}
    origin = ranking.origin if ranking.origin in shown else None
    return replace(ranking, groups=tuple(kept_hosts(ranking.groups, shown)), dropped=dropped, origin=origin), shown
