"""How mirrors are visited."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import ClassVar

from redirector.model import Network
from redirector.settings.option import (
    Address,
    Given,
    Option,
    option_field,
    or_none,
    parse_address,
    parse_network,
    parse_path,
    seconds,
)

_VANTAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def parse_pace(given: Given) -> float:
    """A factor above 0."""
    try:
        value = float(given.text)
    except ValueError:
        value = math.nan
    if 0.0001 <= value <= 1000:
        return value
    raise given.wrong("a number from 0.0001 to 1000 is needed")


def parse_vantage(given: Given) -> str:
    """A name for files and locks."""
    if _VANTAGE.fullmatch(given.text):
        return given.text
    raise given.wrong("up to 64 letters, digits, `.`, `_` and `-` are needed, such as `paris`")


def parse_name(given: Given) -> str:
    """A mirror as commands take it."""
    if given.text and given.text.isprintable():
        return given.text
    raise given.wrong("the name of a mirror is needed")


@dataclass(frozen=True, slots=True)
class Crawl:
    """The keys of `crawl`."""

    SECTION: ClassVar[str] = "crawl"

    source: str | None = option_field(
        None,
        Option(
            "--source",
            "PATH",
            or_none(parse_path),
            "the tree or snapshot whose hosts are visited",
            shown="with `database` the registry's hosts, else those of the common `source`",
        ),
    )
    interval_s: float = option_field(
        900.0, Option("--interval", "S", seconds(1, 86400), "between two visits of a mirror", unit="seconds")
    )
    pace: float = option_field(
        1.0,
        Option(
            "--pace",
            "X",
            parse_pace,
            "factor on every time by which mirrors are judged and their admins told, for rehearsals: with 0.01 a day is"
            " a quarter of an hour",
        ),
    )
    vantage: str = option_field(
        "main", Option("--vantage", "NAME", parse_vantage, "who looks, when several places of the world do")
    )
    allow_address: tuple[Network, ...] = option_field(
        (),
        Option(
            "--allow-address",
            "CIDR",
            parse_network,
            "addresses that mirrors may have though they are not global",
            repeat=True,
        ),
    )
    crawl_metrics: Address | None = option_field(
        None,
        Option(
            "--crawl-metrics", "ADDRESS", or_none(parse_address), "a listener with `/metrics` and `/healthz`, HOST:PORT"
        ),
    )
    no_crawl: tuple[str, ...] = option_field(
        (), Option("", "NAME", parse_name, "mirrors that are not visited: they stay `unchecked`", repeat=True)
    )
