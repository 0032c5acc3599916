"""How logs are counted: `redirector stats`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from redirector.model import Network
from redirector.settings.option import Given, Option, option_field, options_of, parse_network, whole
from redirector.settings.serving import Config

_GEOIP = dict(options_of(Config))["geoip"]


def parse_server(given: Given) -> str:
    """A name: printable, without space around it."""
    if not given.text.isprintable() or given.text.strip() != given.text or not 0 < len(given.text) <= 255:
        raise given.wrong("a name is needed, such as eu-1")
    return given.text


def parse_countries(given: Given) -> frozenset[str]:
    """`CC,CC`; "" for none."""
    names = [name.strip().upper() for name in given.text.split(",") if name.strip()]
    if not all(re.fullmatch(r"[A-Z]{2}", name) for name in names):
        raise given.wrong("countries are needed, such as KP,SY")
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Keys below `stats`."""

    SECTION: ClassVar[str] = "stats"

    server: str = option_field(
        "main",
        Option(
            "--server",
            "NAME",
            parse_server,
            "who wrote these logs",
            reason="the same lines of another server count beside them, of the same server never twice",
        ),
    )
    fold: frozenset[str] = option_field(
        frozenset(),
        Option("--fold", "CC,…", parse_countries, "countries that are counted as unknown", shown="none"),
    )
    ignore: tuple[Network, ...] = option_field(
        (),
        Option(
            "--ignore",
            "CIDR",
            parse_network,
            "addresses whose lines are not counted: monitoring, one's own machines",
            repeat=True,
        ),
    )
    jobs: int = option_field(
        1, Option("--jobs", "N", whole(1, 1024), "processes that read", reason="one reads 30 million lines in minutes")
    )


@dataclass(frozen=True, slots=True)
class Countries:
    """The key of the answering half that statistics share: what gives countries to combined lines."""

    SECTION: ClassVar[str] = ""

    geoip: str | None = option_field(None, _GEOIP)
