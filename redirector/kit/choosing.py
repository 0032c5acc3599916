"""Where a private mirror synchronizes from: a public mirror of tier 1 or 2, as the registry lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from redirector.errors import FormatError


def choose_source(tiers: str, public: str, categories: Mapping[str, str], country: str) -> str | None:
    """The rsync URL of the mirror that a private one shall pull from; None: there is none.

    tiers     the registry's export `tiers`
    public    its export `public`
    country   where the private mirror stands; "" where it does not say

    Of those that have the whole tree and are current: those of the country first, then tier 2, whose lines are less
    wanted, then the fastest. Raises FormatError.
    """
    ranks = {}
    for line in tiers.splitlines():
        fields = line.split("\t")
        if len(fields) == 6 and fields[0] in ("1", "2"):
            ranks[fields[1]] = int(fields[0])
    try:
        items = json.loads(public)["items"]
        found = [
            (each["country"] != country, -ranks[each["host"]], -int(each["bandwidth_mbit"]), each["host"], url)
            for each in items
            if each["host"] in ranks and each["state"] == "ok" and (url := _url_of(each, categories)) is not None
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"not what a registry says of its mirrors: {error!r}") from None
    return min(found)[-1] if found else None


def _url_of(item: Mapping[str, Any], categories: Mapping[str, str]) -> str | None:
    """Where *item* has the whole tree by rsync: all *categories*, each at its folder."""
    tops: set[str] | None = None
    for category, folder in categories.items():
        below = f"{folder}/" if folder else ""
        mine = {
            url[: len(url) - len(below)]
            for each in item["urls"]
            if each["protocol"] == "rsync" and each["category"] == category
            for url in [each["url"].rstrip("/") + "/"]
            if url.endswith(f"/{below}")
        }
        tops = mine if tops is None else tops & mine
    return min(tops) if tops else None
