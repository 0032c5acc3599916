"""What the registry's own web server is told."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar, cast

from redirector.model import Network
from redirector.settings.option import (
    Address,
    Option,
    one_of,
    option_field,
    parse_address,
    whole,
)
from redirector.settings.serving import Config

_SERVED = {each.name: each for each in fields(Config)}
"""Keys of `serve`: whoever forwards to one listener forwards to the other, and both read the same tables."""


@dataclass(frozen=True, slots=True)
class Web:
    """Keys of `registry serve`, at the top of the file."""

    SECTION: ClassVar[str] = ""

    web: Address = option_field(
        Address("127.0.0.1", 8090),
        Option(
            "--web",
            "ADDRESS",
            parse_address,
            "where `registry serve` listens: HOST:PORT, [IPV6]:PORT or unix:PATH",
            reason="a front that speaks TLS stands before it",
        ),
    )
    trusted_proxies: tuple[Network, ...] = option_field(
        cast(tuple[Network, ...], _SERVED["trusted_proxies"].default), _SERVED["trusted_proxies"].metadata["option"]
    )
    geoip: str | None = option_field(
        None,
        replace(
            _SERVED["geoip"].metadata["option"],
            help="MMDB with countries, for what reviewers see of a host's addresses; the key that `serve` has, too",
            reason="without it nobody is told that a host's address is in another country",
        ),
    )
    asn: str | None = option_field(
        None,
        replace(
            _SERVED["asn"].metadata["option"],
            help="AS numbers, as `serve` reads them: a host's own one needs no decision, and forms propose it",
            reason="without it every AS number waits for the distribution",
        ),
    )
    api_limit: int = option_field(
        600,
        Option(
            "--api-limit",
            "N",
            whole(1, 1_000_000),
            "requests a minute that one account, or one network of visitors, may send to the API",
            unit="requests a minute",
            reason="a script that lists everything needs a few dozen",
        ),
    )
    sign_up: str = option_field(
        "open",
        Option(
            "--sign-up",
            "NAME",
            one_of("open", "oidc", "invited"),
            "who may sign up: open, oidc (through the provider alone) or invited",
        ),
    )
