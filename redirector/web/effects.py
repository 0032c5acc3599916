"""What a save does: to the lists at once in words, and to clients by the value that `redirector diff` prints."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from redirector.answer.compare.compare import compare
from redirector.answer.compare.difference import Difference
from redirector.registry.public import REASONS, PublicMirror
from redirector.registry.publish.encode import encode
from redirector.registry.publish.selection import Publication
from redirector.settings.serving import Config
from redirector.snapshot.load import KnownTables, load_snapshot

CLIENTS = 10_000
"""That are asked about: enough to see a share of a thousandth."""

KEPT = 16
"""Publications that are remembered, one a page."""


@dataclass(slots=True)
class Effects:
    """What would have been published before the last save of each host and site, by the path of its page.

    geoip, asn  tables of the operator, as paths; None: clients are nowhere
    """

    geoip: str | None = None
    asn: str | None = None
    _before: OrderedDict[str, Publication] = field(default_factory=OrderedDict)
    _tables: KnownTables = field(default_factory=KnownTables)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def remember(self, page: str, before: Publication) -> None:
        """*before* is what would have been published without the save that comes now."""
        self._before[page] = before
        self._before.move_to_end(page)
        if len(self._before) > KEPT:
            self._before.popitem(last=False)

    def find(self, page: str) -> Publication | None:
        """The publication before the last save; None when nobody saved since the process began."""
        return self._before.get(page)

    async def measure(self, before: Publication, after: Publication, now: float) -> Difference:
        """What clients will feel of it; one at a time. cost: 0.3 s of one core for 700 hosts, in a thread"""
        async with self._turn:
            return await asyncio.to_thread(self._measure, before, after, now)

    def _measure(self, before: Publication, after: Publication, now: float) -> Difference:
        with tempfile.TemporaryDirectory(prefix="redirector-effect-") as folder:
            loaded = []
            for name, publication in (("before", before), ("after", after)):
                path = os.path.join(folder, name)
                with open(path, "wb") as file:
                    file.writelines(encode(publication))
                config = Config(source=path, geoip=self.geoip, asn=self.asn)
                loaded.append(load_snapshot(config, now, known=self._tables, lint=False))
            return compare(loaded[0], loaded[1], CLIENTS)


def is_same(before: Publication, after: Publication) -> bool:
    """Whether clients are given the same by both."""
    return replace(before, built=after.built, left_out=after.left_out) == after


def tell_lists(hosts: Mapping[int, str], before: Publication, after: Publication) -> list[str]:
    """What the save changes in the lists, in words: nothing, or each category that a host comes into or leaves.

    hosts  number -> name; of several each text names the one it is about
    """
    told = {name: _tell_lists(number, before, after) for number, name in hosts.items()}
    return [text if len(hosts) == 1 else f"{name}: {text}" for name, texts in told.items() for text in texts]


def _tell_lists(host: int, before: Publication, after: Publication) -> list[str]:
    was, now = directories_of(before, host), directories_of(after, host)
    found = []
    for name in sorted(was.keys() | now.keys()):
        had, has = was.get(name, frozenset()), now.get(name, frozenset())
        if has and not had:
            found.append(f"{name}: it comes into the lists of {len(has):,} directories")
        elif had and not has:
            found.append(f"{name}: it goes out of all lists")
        elif has != had:
            more, less = len(has - had), len(had - has)
            parts = [f"{more:,} more" if more else "", f"{less:,} fewer" if less else ""]
            found.append(f"{name}: it is in the lists of {' and '.join(filter(None, parts))} directories")
    if not found and facts_of(before, host) != facts_of(after, host):
        found.append("The lists stay as they are, but who is given the host, and where in them, may change")
    return found


def directories_of(publication: Publication, host: int) -> Mapping[str, frozenset[str]]:
    """Category -> directories for which *host* is given to somebody."""
    found = {}
    for category in publication.categories:
        sets = {number for number, each in enumerate(category.sets) if host in each.urls}
        names = frozenset(name for name, member in zip(category.names, category.members, strict=True) if member in sets)
        if names:
            found[category.name] = names
    return found


def facts_of(publication: Publication, host: int) -> object:
    """What else is published of *host*."""
    return next((each for each in publication.hosts if each.id == host), None)


def tell_state(mirror: PublicMirror | None) -> str:
    """How strangers see it."""
    if mirror is None:
        return "It is on no public page."
    return "Strangers are given it." if mirror.ok else f"Strangers are not given it: {REASONS[mirror.state]}."
