"""What whoever wants to become a mirror is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import ClassVar

from redirector.settings.option import Block, Option, option_field

_COUNTRY = re.compile(r"[A-Z]{2}")
_KEYS = ("text", "minimum_mbit", "embargoed", "addresses")


@dataclass(frozen=True, slots=True)
class Join:
    """Rules of a distribution.

    text          shown above them, one paragraph
    minimum_mbit  0: none
    embargoed     countries, ISO 3166 alpha-2, whose mirrors cannot be listed
    addresses     networks that visits come from
    """

    text: str = ""
    minimum_mbit: int = 0
    embargoed: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


def read_join(block: Block) -> Join:
    """The mapping `join`. Raises ConfigError."""
    value = block.value
    if not isinstance(value, dict):
        raise block.wrong("a mapping of text, minimum_mbit, embargoed and addresses is needed")
    for key in value:
        if key not in _KEYS:
            raise block.wrong(f"{key!r} is not one of {', '.join(_KEYS)}")
    text, least = value.get("text", ""), value.get("minimum_mbit", 0)
    if not isinstance(text, str) or len(text) > 10_000:
        raise block.wrong("text: a text of at most 10,000 characters is needed")
    number = str(least)
    if not re.fullmatch(r"[0-9]{1,7}", number) or int(number) > 1_000_000:
        raise block.wrong("minimum_mbit: a whole number from 0 to 1,000,000 is needed")
    embargoed = _texts(block, value.get("embargoed", []), "embargoed")
    if any(not _COUNTRY.fullmatch(code) for code in embargoed):
        raise block.wrong("embargoed: countries such as KP are needed, two capitals each")
    addresses = _texts(block, value.get("addresses", []), "addresses")
    for address in addresses:
        try:
            ip_network(address)
        except ValueError:
            raise block.wrong(f"addresses: {address!r} is no network") from None
    return Join(text, int(number), embargoed, addresses)


def _texts(block: Block, value: object, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise block.wrong(f"{key}: a list of texts is needed")
    return tuple(each for each in value if isinstance(each, str))


@dataclass(frozen=True, slots=True)
class Joining:
    """The key `join`."""

    SECTION: ClassVar[str] = ""

    join: Join = option_field(
        Join(),
        Option(
            "",
            "MAPPING",
            lambda given: given.text,
            "what `/join` says: `{text, minimum_mbit, embargoed: [CC], addresses: [CIDR]}`",
            shown="nothing of its own",
            read=read_join,
        ),
    )
