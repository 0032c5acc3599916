"""What the registry's own web server is told."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, cast

from redirector.model import Network
from redirector.settings.option import Address, Option, one_of, option_field, parse_address, whole
from redirector.settings.serving import Config

_FRONTS = next(each for each in fields(Config) if each.name == "trusted_proxies")
"""Whoever forwards to one listener forwards to the other."""


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
        cast(tuple[Network, ...], _FRONTS.default), _FRONTS.metadata["option"]
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
