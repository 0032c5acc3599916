"""Config: every option once, with its flag, unit, default and the reason for it.

The parser, `--help`, the table in the README and the messages are all made from the fields of `Config`. A value has
one spelling, whether it comes from a flag or from the YAML file: both are text, and one parser reads it.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

import yaml

from redirector.errors import ConfigError
from redirector.model import Network

T = TypeVar("T")

COMMAND_LINE = "command line"
"""What stands where a file's name would, in an error about a flag."""

MAX_FILE_BYTES = 1 << 20
"""A configuration is a page or two; what is larger is another file given by mistake."""

COMPATIBLE_WINDOW_S = 0
"""MirrorManager's server draws a fresh order for every request."""

_SHOWN_CHARACTERS = 100
_LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_YAML_WORDS = frozenset({"", "~", "null", "true", "false", "yes", "no", "on", "off"})
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

    path    the file's name, or `COMMAND_LINE`
    key     the key or the flag
    folder  what a relative path is relative to; "" is the working directory
    """

    path: str
    key: str
    text: str
    folder: str = ""

    def wrong(self, way_out: str) -> ConfigError:
        return ConfigError(self.path, self.key, _shorten(self.text), way_out)


@dataclass(frozen=True, slots=True)
class Option:
    """What parser and documentation know about a field of `Config`.

    parse    text -> value, or ConfigError
    unit     of the number: `seconds`, `bytes`, ...; "" for anything else
    reason   why the default is what it is
    shown    how the default reads in the documentation, where its value alone would not tell
    repeat   the flag may be repeated, the file has a list
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
    in_file: bool = True
    restart: bool = False


# ---- text -> value -------------------------------------------------------------------------------------------------


def parse_path(given: Given) -> str:
    """A path; a relative one counts from the folder of the file that names it."""
    if given.text.lower() in _YAML_WORDS:
        raise given.wrong(f"a path is needed; write ./{given.text} if the file is really called so")
    if "\0" in given.text:
        raise given.wrong("a path cannot hold a NUL character")
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


# ---- the options ---------------------------------------------------------------------------------------------------


def usable_cpus(root: str = "/") -> int:
    """CPUs that this process may use: its affinity, or its control group's quota rounded up if that is less.

    root  where `proc` and `sys` are found
    cost  a few small files; a level without a quota, or a system without control groups, limits nothing
    """
    limits = [len(os.sched_getaffinity(0))]
    for folder in _cpu_groups(Path(root)):
        quota, period = _cpu_quota(folder)
        if quota > 0 and period > 0:
            limits.append(math.ceil(quota / period))
    return min(limits)


def _cpu_groups(root: Path) -> Iterator[Path]:
    """Folders whose quota binds this process: its own group and those above it, in both versions of cgroups."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "" or "cpu" in controllers.split(","):
            mount = root / "sys/fs/cgroup" / controllers
            own = mount / group.lstrip("/")
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(mount))


def _cpu_quota(folder: Path) -> tuple[int, int]:
    """(quota, period) in microseconds; (0, 0) when *folder* sets none."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((folder / name).read_text().strip() for name in names).split()
            return int(quota), int(period)
        except (OSError, ValueError):
            continue
    return 0, 0


def _option(default: T, option: Option) -> T:
    """A field of `Config` with *default*, and what is known about it."""
    return field(default=default, metadata={"option": option})


@dataclass(frozen=True, slots=True)
class Config:
    """What the operator wants. Every field has its `Option` in the field's metadata; `options()` lists them."""

    config: str | None = _option(
        None, Option("--config", "FILE", parse_path, "YAML file of these keys", in_file=False, shown="none")
    )
    source: str | None = _option(
        None,
        Option(
            "--source",
            "PATH",
            parse_path,
            "a directory with config.yml and mirror files (AlmaLinux dialect), or a MirrorManager snapshot file; "
            "told apart by looking",
            reason="nobody serves made-up mirrors by accident",
        ),
    )
    geoip: str | None = _option(
        None,
        Option(
            "--geoip",
            "FILE",
            or_none(parse_path),
            "MMDB with countries and, if it is a City database, coordinates",
            reason="without it nobody has a country, and a warning says so",
        ),
    )
    asn: str | None = _option(
        None,
        Option(
            "--asn",
            "FILE",
            or_none(parse_path),
            "AS numbers: MMDB, or text lines `PREFIX ASN` (also .gz, .xz)",
            reason="without it AS numbers choose nobody; a warning says so if the source has some",
        ),
    )
    continents: str | None = _option(
        None, Option("--continents", "FILE", or_none(parse_path), "CSV of `CC,CONTINENT`", shown="the gazetteer's")
    )
    minimum: int = _option(
        5,
        Option(
            "--minimum",
            "N",
            whole(0, 10_000),
            "MirrorManager sources: with fewer hosts than this after netblock, AS, country and continent, "
            "the global tier is added",
            unit="hosts",
            reason="what MirrorManager's server adds up to",
        ),
    )
    compatibility: str | None = _option(
        None,
        Option(
            "--compatibility",
            "NAME",
            or_none(one_of("mirrormanager")),
            "mirrormanager: answers as mirrorlist-server 3.1 gives them; a MirrorManager source is needed",
            reason="its known defects are not repeated unless asked for",
        ),
    )
    order_window_s: int = _option(
        3600,
        Option(
            "--order-window",
            "SECONDS",
            whole(0, 30 * 86_400),
            "how long one client (IPv4 address, IPv6 /64) keeps one order; 0: a fresh draw per request",
            unit="seconds",
            reason="all repositories of a transaction then come from one mirror",
            shown="3600 (0 with `mirrormanager`)",
        ),
    )
    listen: tuple[Address, ...] = _option(
        (Address("127.0.0.1", 8080),),
        Option(
            "--listen",
            "ADDRESS",
            parse_address,
            "HOST:PORT, [IPV6]:PORT ([::] takes both families) or unix:PATH; port 0 picks a free one; "
            "sockets that systemd hands over come first",
            reason="a proxy stands in front of most installations",
            repeat=True,
            restart=True,
        ),
    )
    admin: Address | None = _option(
        Address("127.0.0.1", 9180),
        Option(
            "--admin",
            "ADDRESS",
            or_none(parse_address),
            "the operator's listener: metrics, health, reload; `none` switches it off",
            restart=True,
        ),
    )
    admin_allow: tuple[Network, ...] = _option(
        _LOOPBACK,
        Option(
            "--admin-allow",
            "CIDR",
            parse_network,
            "who may use /snapshot, /explain and /-/reload; peers on a unix socket always may",
            repeat=True,
            shown="loopback",
        ),
    )
    workers: int = field(
        default_factory=usable_cpus,
        metadata={
            "option": Option(
                "--workers",
                "N",
                whole(1, 1024),
                "processes that answer",
                unit="processes",
                reason="one loop keeps one CPU busy",
                shown="min(CPU affinity, cgroup quota rounded up)",
            )
        },
    )
    trusted_proxies: tuple[Network, ...] = _option(
        _LOOPBACK,
        Option(
            "--trusted-proxy",
            "CIDR",
            parse_network,
            "who may say X-Forwarded-For; peers on a unix socket always may",
            reason="anybody else could pose as anybody",
            repeat=True,
            shown="loopback",
        ),
    )
    state: str | None = _option(
        None,
        Option(
            "--state",
            "DIR",
            or_none(parse_path),
            "where copies of the last served input files are kept; they are served if the inputs cannot be at start",
            restart=True,
        ),
    )
    access_log: str | None = _option(
        None,
        Option(
            "--access-log",
            "PATH",
            or_none(parse_log_path),
            "where each answer gets a line; `-` is standard output",
            reason="the metrics answer most questions at no price",
        ),
    )
    access_log_format: str = _option(
        "mirrormanager",
        Option(
            "--access-log-format",
            "NAME",
            one_of("mirrormanager", "combined", "json"),
            "mirrormanager, combined or json",
            reason="the statistics jobs of today's operators read it",
        ),
    )
    log_level: str = _option(
        "info",
        Option(
            "--log-level",
            "NAME",
            one_of("debug", "info", "warning", "error"),
            "debug, info, warning or error: what is worth a line on standard error",
        ),
    )
    log_format: str = _option(
        "text",
        Option("--log-format", "NAME", one_of("text", "json"), "text or json: how the server's own log lines look"),
    )
    shutdown_delay_s: float = _option(
        0.0,
        Option(
            "--shutdown-delay",
            "SECONDS",
            seconds(0, 3600),
            "after SIGTERM: not ready, but still accepting, for balancers that need time",
            unit="seconds",
        ),
    )
    drain_timeout_s: float = _option(
        30.0,
        Option(
            "--drain-timeout",
            "SECONDS",
            seconds(0, 3600),
            "how long what is under way may finish",
            unit="seconds",
            reason="below the 90 s after which systemd kills",
        ),
    )
    keep_alive_s: float = _option(
        75.0,
        Option(
            "--keep-alive",
            "SECONDS",
            seconds(0, 3600),
            "how long a connection without a request stays open",
            unit="seconds",
            reason="above the 60 s of proxies, so that they are the ones who close",
        ),
    )
    header_timeout_s: float = _option(
        10.0,
        Option(
            "--header-timeout",
            "SECONDS",
            seconds(0.1, 3600),
            "how long a client may take to send a request that it began",
            unit="seconds",
            reason="a request fits into one packet; three lost ones are sent again within 7 s",
        ),
    )
    write_timeout_s: float = _option(
        30.0,
        Option(
            "--write-timeout",
            "SECONDS",
            seconds(0.1, 3600),
            "how long a client may read nothing of its answer",
            unit="seconds",
            reason="answers that nobody reads hold memory",
        ),
    )
    max_connections: int = _option(
        16_384,
        Option(
            "--max-connections",
            "N",
            whole(1, 1_000_000),
            "open connections of one worker; further ones wait to be accepted",
            unit="connections",
            reason="a few kilobytes each",
        ),
    )
    max_target_bytes: int = _option(
        8190,
        Option(
            "--max-target",
            "BYTES",
            whole(256, 65_536),
            "longest request target; a longer one is answered with 414",
            unit="bytes",
            reason="the limit of aiohttp, nginx and Apache",
        ),
    )
    watch_s: float = _option(
        0.0,
        Option(
            "--watch",
            "SECONDS",
            seconds(0, 86_400),
            "look at the input files this often and reload when they have changed and settled; 0: never",
            unit="seconds",
            reason="whoever writes the files knows best when they are complete",
        ),
    )
    canaries: tuple[str, ...] = _option(
        (),
        Option(
            "--canary",
            "TARGET",
            parse_target,
            "a target that a snapshot must answer with a mirror (a metalink also with its sha512) before it is served",
            repeat=True,
            shown="none",
        ),
    )
    page_pool_mb: int = _option(
        64,
        Option(
            "--page-pool",
            "MB",
            whole(1, 65_536),
            "upper limit of the pages that one worker keeps ready",
            unit="megabytes",
            reason="holds every page of Fedora's size",
        ),
    )
    newest_s: float = _option(
        0.0,
        Option(
            "--newest",
            "SECONDS",
            seconds(0, 30 * 86_400),
            "file redirects: a file of the primary tree younger than this goes to primary_url; 0: none does",
            unit="seconds",
            reason="mirrors are asked even for what they may not have yet; clients try the next one",
        ),
    )


def options() -> Iterator[tuple[str, Option]]:
    """(key, option) of every field of `Config`, in order."""
    for each in fields(Config):
        yield each.name, each.metadata["option"]


def default_text(key: str) -> str:
    """How the default of *key* reads in the documentation."""
    each = next(each for each in fields(Config) if each.name == key)
    option: Option = each.metadata["option"]
    if option.shown:
        return option.shown
    assert each.default is not MISSING, f"{key} has a computed default and must say how it is shown"
    values = each.default if isinstance(each.default, tuple) else (each.default,)
    return ", ".join("none" if value is None else _spell(value) for value in values)


def _spell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def option_table() -> str:
    """The table of all options, in Markdown, as it stands in the README."""
    lines = ["| flag | key in the file | default | meaning |", "|---|---|---|---|"]
    for key, option in options():
        flag = f"`{option.flag} {option.metavar}`" + (" (repeatable)" if option.repeat else "")
        meaning = option.help + (f" ({option.reason})" if option.reason else "")
        lines.append(f"| {flag} | {f'`{key}`' if option.in_file else ''} | {default_text(key)} | {meaning} |")
    return "\n".join(lines) + "\n"


def restart_keys(old: Config, new: Config) -> tuple[str, ...]:
    """Keys that differ although a reload cannot change them."""
    return tuple(key for key, option in options() if option.restart and getattr(old, key) != getattr(new, key))


# ---- flags and file -> Config --------------------------------------------------------------------------------------


def load_config(flags: Mapping[str, str | Sequence[str]]) -> Config:
    """What *flags* and the file that they name amount to: a flag beats the file, the file beats the default.

    flags   key -> what stood behind its flag, or a list for a repeatable one; absent when not given
    raises  ConfigError for the first wrong file, key or value
    """
    written: dict[str, list[Given]] = {}
    if isinstance(path := flags.get("config"), str):
        written = read_file(path)
    for key, option in options():
        if key in flags:
            texts = [flags[key]] if isinstance(flags[key], str) else flags[key]
            written[key] = [Given(COMMAND_LINE, option.flag, str(text)) for text in texts]
    values = {key: _parse(option, written[key]) for key, option in options() if key in written}
    if values.get("compatibility") is not None:
        values.setdefault("order_window_s", COMPATIBLE_WINDOW_S)
    return Config(**values)  # type: ignore[arg-type]  # each value comes from the parser of its own field


def _parse(option: Option, given: list[Given]) -> object:
    if option.repeat:
        return tuple(option.parse(each) for each in given)
    return option.parse(given[0])


def read_file(path: str) -> dict[str, list[Given]]:
    """What the configuration file *path* says: key -> values as written.

    Scalars stay text (`NO` is no false here), and only text and lists of text are legal, so that nothing nested, no
    alias and no tag is ever built. Raises ConfigError.
    """
    known = {key: option for key, option in options() if option.in_file}
    written: dict[str, list[Given]] = {}
    for name, node in _compose(path):
        key = getattr(name, "value", "")
        if not isinstance(key, str) or key not in known:
            near = difflib.get_close_matches(str(key), known, 1, cutoff=0)[0]
            raise ConfigError(path, _shorten(str(key)), _text(node), f"unknown key; the nearest known one is {near}")
        if key in written:
            raise ConfigError(path, key, _text(node), f"the key stands twice, again in line {_line(name)}; keep one")
        written[key] = _read_value(path, key, known[key], node)
    return written


def _read_value(path: str, key: str, option: Option, node: yaml.Node) -> list[Given]:
    items = node.value if option.repeat and isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(item, yaml.ScalarNode) for item in items):
        wanted = "a list of plain values" if option.repeat else "one plain value"
        raise ConfigError(path, key, _text(node), f"{wanted} is needed ({option.metavar})")
    return [Given(path, key, item.value, os.path.dirname(path)) for item in items]


def _compose(path: str) -> list[tuple[yaml.Node, yaml.Node]]:
    """Pairs of nodes of the one mapping in *path*; an empty file has none."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a path cannot hold a NUL character"
        raise ConfigError(COMMAND_LINE, "--config", path, f"cannot be read: {reason}") from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(path, "file", f"over {MAX_FILE_BYTES:,} bytes", "too large to be a configuration")
    try:
        root = yaml.compose(content.decode("utf-8-sig"), Loader=yaml.BaseLoader)
    except UnicodeDecodeError as error:
        raise ConfigError(path, f"byte {error.start}", content[error.start : error.end], "must be UTF-8") from None
    except RecursionError:
        raise ConfigError(path, "file", "brackets in brackets", "one mapping of plain values is needed") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}" if mark else "file"
        lines = content.decode("utf-8-sig").splitlines()
        line = lines[mark.line] if mark and mark.line < len(lines) else ""
        raise ConfigError(path, where, _shorten(line), f"no YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(path, "file", _shorten(str(error).splitlines()[0]), "no YAML") from None
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(path, "file", _text(root), "one mapping is needed, lines of `key: value`")
    return list(root.value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _text(node: yaml.Node) -> str:
    """A short text for any node, however large what it stands for."""
    return _shorten(node.value) if isinstance(node, yaml.ScalarNode) else f"a {node.tag.rpartition(':')[2]}"


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
