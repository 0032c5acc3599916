"""By which provider people can log in (OpenID Connect)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from redirector.settings.option import Block, Option, option_field

_KEYS = ("issuer", "client_id", "client_secret_file", "group")
_LOCAL = ("http://127.0.0.1", "http://[::1]", "http://localhost")


@dataclass(frozen=True, slots=True)
class Oidc:
    """A provider.

    issuer              URL; https, but for this machine's own
    client_secret_file  None: a public client, by PKCE alone
    group               of the claim `groups`: whoever has it is a distribution admin, judged at every login; "": none
    """

    issuer: str
    client_id: str
    client_secret_file: str | None = None
    group: str = ""


def read_oidc(block: Block) -> Oidc:
    """The mapping `oidc`. Raises ConfigError."""
    value = block.value
    if not isinstance(value, dict) or not {"issuer", "client_id"} <= value.keys():
        raise block.wrong("a mapping of issuer, client_id, client_secret_file and group is needed")
    told: dict[str, str] = {}
    for key, text in value.items():
        if key not in _KEYS:
            raise block.wrong(f"one of {', '.join(_KEYS)} is needed", str(key), text)
        if not isinstance(text, str) or not text or not text.isprintable():
            raise block.wrong("a text is needed", str(key), text)
        told[str(key)] = text
    issuer = told["issuer"]
    if not (issuer.startswith("https://") or issuer.startswith(_LOCAL)) or "?" in issuer or "#" in issuer:
        raise block.wrong("an https URL without query is needed", "issuer", issuer)
    secret = told.get("client_secret_file")
    path = None if secret is None else os.path.join(block.folder, secret)
    return Oidc(issuer, told["client_id"], path, told.get("group", ""))


@dataclass(frozen=True, slots=True)
class LoggingIn:
    """The key `oidc`."""

    SECTION: ClassVar[str] = ""

    oidc: Oidc | None = option_field(
        None,
        Option(
            "",
            "MAPPING",
            lambda given: given.text,
            "a provider that people can log in by: `{issuer: URL, client_id: TEXT, client_secret_file: FILE, "
            "group: TEXT}`",
            shown="none",
            read=read_oidc,
        ),
    )
