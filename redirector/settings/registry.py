"""What the registry is told by its operator."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from redirector.settings.option import Option, option_field, or_none, parse_flag, parse_path

KEY_FILE = "redirector.key"


@dataclass(frozen=True, slots=True)
class Registry:
    """Keys of the registry: they stand below `registry`.

    key_file  None: `redirector.key`, see `key_file_path`
    """

    SECTION: ClassVar[str] = "registry"

    key_file: str | None = option_field(
        None,
        Option(
            "--key-file",
            "FILE",
            or_none(parse_path),
            "the key that encrypts passwords of URLs; made by `registry init`, readable by its owner alone",
            shown="`redirector.key`, beside the configuration file, else here",
        ),
    )
    sign_key: str | None = option_field(
        None,
        Option(
            "--sign-key",
            "FILE",
            or_none(parse_path),
            "a private key of OpenSSH, without a passphrase, that release notices are signed with",
            shown="none: they are not signed",
        ),
    )
    allow_ftp: bool = option_field(
        False, Option("--allow-ftp", "BOOL", parse_flag, "whether mirrors may have ftp URLs", shown="false")
    )


def key_file_path(registry: Registry, config: str | None) -> str:
    """The key file: the one that was named, else `redirector.key` beside the file *config*, else in this folder."""
    return registry.key_file or os.path.join(os.path.dirname(config or ""), KEY_FILE)


@dataclass(frozen=True, slots=True)
class RegistryAtTop(Registry):
    """The same keys at the top of the file, where they may stand, too; below `registry` they count before these."""

    SECTION: ClassVar[str] = ""
