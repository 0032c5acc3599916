"""What each host of a list shows, as bytes with marks where a request's own parts go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from redirector.answer.answer import Form
from redirector.answer.show.metalink import metalink_entry
from redirector.answer.show.mirrorlist import mirrorlist_entry
from redirector.model import HostId, HostSet
from redirector.snapshot.snapshot import Snapshot


def write_entries(
    snapshot: Snapshot, carriers: HostSet, shown: Mapping[HostId, Sequence[str]], form: Form
) -> list[Any]:
    """By host id what the hosts of *shown*, and no others, show of their base URLs there; None: nothing."""
    entries: list[Any] = [None] * len(snapshot.hosts)
    public = frozenset(carriers.public) if form is Form.METALINK else frozenset()
    for host, urls in shown.items():
        if urls:
            if form is Form.METALINK:
                entries[host] = metalink_entry(urls, snapshot.hosts[host].country, host not in public, snapshot.policy)
            else:
                entries[host] = mirrorlist_entry(urls)
    return entries
