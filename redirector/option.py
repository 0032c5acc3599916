"""What an option is, and the parsers of its value.

A value has one spelling, whether it comes from a flag or from the configuration file: both are text, and one parser
reads it.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TypeVar

from redirector.errors import ConfigError
from redirector.model import Network

T = TypeVar("T")

SHOWN_CHARACTERS = 100
"""How much of a wrong value an error message repeats."""

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
class Option:
    """What parser and documentation know about a field of `Config`.

    parse    text -> value, or ConfigError
    unit     of the number: `seconds`, `bytes`, ...; "" for anything else
    reason   why the default is what it is
    shown    how the default reads in the documentation, where its value alone would not tell
    repeat   the flag may be repeated, the file has a list
    filled   its list must not be empty
    in_file  False: a flag only
    restart  a reload cannot change it
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


def parse_path(given: Given) -> str:
    """A path; a relative one counts from the folder of the file that names it."""
    if not given.text or "\0" in given.text:
        raise given.wrong("a path is needed")
    return os.path.join(given.folder, given.text)


def parse_log_path(given: Given) -> str:
    """A path, or `-` for standard output."""
    return given.text if given.text == "-" else parse_path(given)


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

    def parse(given: Given) -> float:
        try:
            value = float(given.text)
        except ValueError:
            value = math.nan
        if least <= value <= most:
            return value
        raise given.wrong(f"a number of seconds from {least:g} to {most:,g} is needed")

    return parse


def one_of(*names: str) -> Callable[[Given], str]:
    """A parser of one of *names*."""

    def parse(given: Given) -> str:
        if given.text in names:
            return given.text
        near = difflib.get_close_matches(given.text.lower(), names, 1)
        raise given.wrong(f"must be {' or '.join(names)}" + (f"; did you mean {near[0]}?" if near else ""))

    return parse


def or_none(parse: Callable[[Given], T]) -> Callable[[Given], T | None]:
    """The parser *parse*, with `none` for None, so that a flag can switch off what a file switches on."""
    return lambda given: None if given.text == "none" else parse(given)


def shorten(text: str) -> str:
    """*text* as far as an error message repeats it."""
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
