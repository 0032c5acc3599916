"""What an option is, and the parsers of its value.

A value has one spelling, whether it comes from a flag or from the configuration file: both are text, and one parser
reads it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from ipaddress import ip_network
from typing import TypeVar

from redirector.errors import ConfigError
from redirector.model import Network
from redirector.near_names import find_nearest
from redirector.plain_yaml import Value

T = TypeVar("T")

SHOWN_CHARACTERS = 100
"""How much of a wrong value an error message repeats."""

_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_WHOLE_NUMBER = re.compile(r"-?[0-9]+")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host and a port, or the *path* of a unix socket (host and port then mean nothing)."""

    host: str = ""
    port: int = 0
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Given:
    """One value as somebody wrote it.

    path    the file's name, or `command line`
    key     the key or the flag
    folder  what a relative path is relative to; "" is the working directory
    """

    path: str
    key: str
    text: str
    folder: str = ""

    def wrong(self, way_out: str) -> ConfigError:
        return ConfigError(self.path, self.key, shorten(self.text), way_out)


@dataclass(frozen=True, slots=True)
class Block:
    """A list or mapping as the file has it, for keys that are more than a text.

    folder  what a relative path in it is relative to
    """

    path: str
    key: str
    value: Value
    folder: str = ""

    def wrong(self, way_out: str, key: str = "", value: object = None) -> ConfigError:
        """The error about this block, or about *key* inside it (`masters.0.path`)."""
        return ConfigError(self.path, f"{self.key}.{key}" if key else self.key, value, way_out)


@dataclass(frozen=True, slots=True)
class Option:
    """What parser and documentation know about a field of a job's settings.

    flag     "" when only the file can say it
    parse    text -> value, or ConfigError
    read     instead of *parse*, for a key whose value in the file is a list or mapping of its own
    unit     of the number: `seconds`, `bytes`, ...; "" for anything else
    reason   why the default is what it is
    shown    how the default reads in the documentation, where its value alone would not tell
    repeat   the flag may be repeated, the file has a list
    filled   its list must not be empty
    in_file  False: a flag only
    restart  a reload cannot change it
    switch   what the flag, which takes no value then, stands for; the file has the value
    """

    flag: str
    metavar: str
    parse: Callable[[Given], object]
    help: str
    reason: str = ""
    unit: str = ""
    shown: str = ""
    repeat: bool = False
    filled: bool = False
    in_file: bool = True
    restart: bool = False
    switch: str = ""
    read: Callable[[Block], object] | None = None


def option_field(default: T, option: Option) -> T:
    """A field of a job's settings with *default*, and what is known about it."""
    return field(default=default, metadata={"option": option})


def options_of(job: type) -> Iterator[tuple[str, Option]]:
    """(key, option) of every field of the settings class *job*, in order."""
    for each in fields(job):
        yield each.name, each.metadata["option"]


def default_text(job: type, key: str) -> str:
    """How the default of *key* reads in the documentation."""
    each = next(each for each in fields(job) if each.name == key)
    option: Option = each.metadata["option"]
    if option.shown:
        return option.shown
    assert each.default is not MISSING, f"{key} has a computed default and must say how it is shown"
    if each.default is None:
        return "none"
    if isinstance(each.default, tuple):
        return ", ".join(str(value) for value in each.default) or "none"
    value = f"{each.default:g}" if isinstance(each.default, float) else str(each.default)
    return f"{value} {option.unit}".rstrip()


def option_table(job: type) -> str:
    """The table of a job's options, in Markdown, as it stands in the documentation."""
    lines = ["| flag | key in the file | default | meaning |", "|---|---|---|---|"]
    section = getattr(job, "SECTION", "")
    for key, option in options_of(job):
        flag = (
            f"`{f'{option.flag} {option.metavar}'.rstrip()}`" + (" (repeatable)" if option.repeat else "")
            if option.flag
            else ""
        )
        named = f"`{section}.{key}`" if section else f"`{key}`"
        meaning = option.help + ("; needs a restart to change" if option.restart else "")
        meaning += f" ({option.reason})" if option.reason else ""
        lines.append(f"| {flag} | {named if option.in_file else ''} | {default_text(job, key)} | {meaning} |")
    return "\n".join(lines) + "\n"


def parse_path(given: Given) -> str:
    """A path; a relative one counts from the folder of the file that names it."""
    if not given.text or "\0" in given.text:
        raise given.wrong("a path is needed")
    return os.path.join(given.folder, given.text)


def parse_log_path(given: Given) -> str:
    """A path, or `-` for standard output."""
    return given.text if given.text == "-" else parse_path(given)


def parse_flag(given: Given) -> bool:
    """`true` or `false`."""
    if given.text not in ("true", "false"):
        raise given.wrong("true or false is needed")
    return given.text == "true"


def parse_network(given: Given) -> Network:
    """A CIDR or a single address. Set host bits are refused: half of such lines are typing errors."""
    try:
        return ip_network(given.text)
    except ValueError:
        pass
    try:
        meant = ip_network(given.text, strict=False)
    except ValueError:
        raise given.wrong("a network is needed, such as 192.0.2.0/24 or 2001:db8::/32") from None
    raise given.wrong(f"bits are set behind the prefix; {meant} would be right")


def parse_address(given: Given) -> Address:
    """`HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`."""
    kind, _, path = given.text.partition(":")
    if kind == "unix":
        return Address(path=parse_path(Given(given.path, given.key, path, given.folder)))
    host, colon, port = given.text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise given.wrong("an IPv6 address stands in brackets, such as [::1]:8080")
    if not (host and colon and re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= 65535):
        raise given.wrong("HOST:PORT, [IPV6]:PORT or unix:PATH is needed, the port from 0 (a free one) to 65535")
    return Address(host, int(port))


def parse_host_name(given: Given) -> str:
    """A host name, without a port; in lower case."""
    if not _HOST_NAME.fullmatch(given.text) or len(given.text) > 253:
        raise given.wrong("a host name is needed, without scheme and port, such as redirector.monitoring.svc")
    return given.text.lower().rstrip(".")


def parse_line(given: Given) -> str:
    """A line of text that people read."""
    if not given.text.isprintable() or len(given.text) > SHOWN_CHARACTERS:
        raise given.wrong(f"one line of at most {SHOWN_CHARACTERS} characters is needed")
    return given.text


def parse_link(given: Given) -> tuple[str, str]:
    """A text and the URL that it leads to, which stands last."""
    text, _, url = given.text.rpartition(" ")
    if not text.strip() or not given.text.isprintable() or not re.fullmatch(r"https?://[^\s/]\S*", url):
        raise given.wrong("a text and a URL are needed, such as 'Status https://status.example.org'")
    return text.strip(), url


def parse_key_url(given: Given) -> str:
    """Where keys lie: https, http or a file."""
    if not re.fullmatch(r"(https?://[^\s/]|file:///)[!-~]*", given.text):
        raise given.wrong("a URL is needed, such as https://example.org/RPM-GPG-KEY or file:///etc/pki/rpm-gpg/KEY")
    return given.text


def parse_target(given: Given) -> str:
    """A request target."""
    if not given.text.startswith("/") or not given.text.isascii() or not given.text.isprintable() or " " in given.text:
        raise given.wrong("a request target is needed, such as /metalink?repo=baseos-9&arch=x86_64")
    return given.text


def whole(least: int, most: int) -> Callable[[Given], int]:
    """A parser of whole numbers from *least* to *most*."""

    def parse(given: Given) -> int:
        if _WHOLE_NUMBER.fullmatch(given.text) and len(given.text) < 20 and least <= int(given.text) <= most:
            return int(given.text)
        raise given.wrong(f"a whole number from {least:,} to {most:,} is needed")

    return parse


def seconds(least: float, most: float) -> Callable[[Given], float]:
    """A parser of durations from *least* to *most* seconds; fractions are fine."""
    return number(least, most, " of seconds")


def number(least: float, most: float, of_what: str = "") -> Callable[[Given], float]:
    """A parser of numbers from *least* to *most*; fractions are fine. *of_what*: for the message."""

    def parse(given: Given) -> float:
        try:
            value = float(given.text)
        except ValueError:
            value = math.nan
        if least <= value <= most:
            return value
        raise given.wrong(f"a number{of_what} from {least:g} to {most:,g} is needed")

    return parse


def one_of(*names: str) -> Callable[[Given], str]:
    """A parser of one of *names*."""

    def parse(given: Given) -> str:
        if given.text in names:
            return given.text
        near = find_nearest(given.text, names, 1)
        raise given.wrong(f"must be {' or '.join(names)}" + (f"; did you mean {near[0]}?" if near else ""))

    return parse


def or_none(parse: Callable[[Given], T]) -> Callable[[Given], T | None]:
    """The parser *parse*, with `none` for None, so that a flag can switch off what a file switches on."""
    return lambda given: None if given.text == "none" else parse(given)


def shorten(text: str) -> str:
    """*text* as far as an error message repeats it."""
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
