"""What the jobs of the network half share: the store, and where people reach the pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from redirector.settings.option import Given, Option, option_field, or_none, parse_path


def parse_database(given: Given) -> str:
    """`sqlite:///FILE` (absolute: four slashes) or `postgresql://...`; a relative file counts from the folder of the
    file that names it."""
    if given.text.startswith(("postgresql://", "postgres://")):
        return given.text
    scheme, _, path = given.text.partition(":///")
    if scheme != "sqlite" or not path or "\0" in path or "?" in path:
        raise given.wrong("sqlite:///FILE (absolute: four slashes) or postgresql://... is needed")
    return f"sqlite:///{parse_path(Given(given.path, given.key, path, given.folder))}"


def parse_page_url(given: Given) -> str:
    """An http or https URL without query and fragment; no slash at its end."""
    scheme, _, rest = given.text.partition("://")
    if scheme not in ("http", "https") or not rest or any(mark in rest for mark in " ?#\0\n\r"):
        raise given.wrong("a URL is needed, such as https://mirrors.example.org")
    return given.text.rstrip("/")


@dataclass(frozen=True, slots=True)
class Network:
    """Keys that stand at the top of the file, for every job of the network half.

    database  None: `sqlite:///redirector.db`, see `database_url`
    """

    SECTION: ClassVar[str] = ""

    database: str | None = option_field(
        None,
        Option(
            "--database",
            "URL",
            or_none(parse_database),
            "the store: `sqlite:///FILE` (absolute: four slashes) or `postgresql://...`; never opened by `serve`",
            shown="`sqlite:///redirector.db`, beside the configuration file, else here",
        ),
    )
    url: str | None = option_field(
        None,
        Option(
            "--url",
            "URL",
            or_none(parse_page_url),
            "where people reach the pages: for links in mail, one-time links, the crawler's user agent",
        ),
    )
    health: str | None = option_field(
        None,
        Option(
            "--health",
            "FILE",
            or_none(parse_path),
            "the health file: what visits found out about the mirrors",
            shown="what the tree's `config.yml` names",
        ),
    )


def database_url(network: Network, config: str | None) -> str:
    """The store's URL: the one that was named, else `redirector.db` beside the file *config*, else in this folder."""
    default = Given(config or "", "database", "sqlite:///redirector.db", _folder_of(config))
    return network.database or parse_database(default)


def _folder_of(config: str | None) -> str:
    return config.rpartition("/")[0] if config and "/" in config else ""
