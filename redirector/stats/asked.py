"""What a request target and a user agent say: repository, architecture, `countme`; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

UNKNOWN = "--"
"""How a country, a repository or an architecture is spelled that is not known."""

MAX_NAME = 255
"""Characters; a longer repository, architecture or system is nobody's name."""

_NUMBERS = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|::|(?:[0-9A-Fa-f]+:){3}")
"""What looks like an address: none is kept, even where a client puts one into a name."""

AGES = ("1", "2", "3", "4")
"""What `countme=` may say: the first week, the first month, the first half year, later."""

_ORIGIN = re.compile(r"https?://[^/]*", re.IGNORECASE)
_UNSPELLED = frozenset({"", "$basearch", "$arch"})
"""Architectures that say none: the second and third are a client's, or our own log's, variables."""

_AGENT = re.compile(
    r"(?:libdnf|rpm-ostree)(?:/\S+)?\s+"
    r"\((?P<name>.*)\s(?P<version>[0-9a-z._-]*?);\s(?P<variant>[0-9a-z._-]*);\s[\w./]+\.(?P<arch>\w+)\)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class System:
    """What a user agent tells of a system; four empty texts when it tells nothing."""

    name: str = ""
    version: str = ""
    variant: str = ""
    arch: str = ""


NO_SYSTEM = System()


@dataclass(frozen=True, slots=True)
class Asked:
    """What one target asks for.

    repository  as asked, or `<repository>-<version>` of the path style; None: by directory, or not at all
    arch        as asked; None: the parameter is absent; "" where it says nothing
    by_path     path style, where the user agent tells the architecture that is not asked for
    age         `1` … `4` of `countme`; "" without it
    wrong_age   `countme` says something else
    """

    repository: str | None = None
    arch: str | None = None
    by_path: bool = False
    age: str = ""
    wrong_age: bool = False

    @property
    def is_counted(self) -> bool:
        """Whether it belongs into the table of requests: a repository and an architecture were named."""
        return bool(self.repository) and (self.by_path or self.arch is not None)

    def arch_of(self, system: System) -> str:
        """The architecture asked for, or the system's; "" when neither is known."""
        if self.arch is not None and self.arch not in _UNSPELLED:
            return self.arch
        return system.arch if self.by_path or self.arch is not None else ""


def parse_target(target: str) -> Asked | None:
    """What *target* asks for; None when it is no list of mirrors. Accepts whatever text there is.

    /metalink?repo=fedora-42&arch=x86_64&countme=2    Asked("fedora-42", "x86_64", age="2")
    /mirrorlist/9/baseos?countme=1                    Asked("baseos-9", None, by_path=True, age="1")
    /pub/fedora/mirrorlist?path=pub/fedora            Asked()
    """
    raw_path, _, raw_query = target.partition("?")
    if raw_path[:1] != "/" and (origin := _ORIGIN.match(raw_path)):
        raw_path = raw_path[origin.end() :]
    path = _decoded(raw_path).rstrip("/")
    segments = path.split("/")
    if segments[-1] in ("mirrorlist", "metalink") and len(segments) > 1:
        by_path = None
    elif len(segments) == 4 and segments[:2] == ["", "mirrorlist"] and segments[2] and segments[3]:
        by_path = f"{segments[3]}-{segments[2]}"
    else:
        return None
    values: dict[str, str] = {}
    blank = set()
    for part in raw_query.partition("#")[0].split("&"):
        name, _, value = part.partition("=")
        name, value = _decoded(name), _decoded(value)
        if value:
            values[name] = value
        else:
            blank.add(name)
    countme = values.get("countme")
    age = countme if countme in AGES else ""
    return Asked(
        repository=name_of(by_path or values.get("repo")),
        arch=name_of(values.get("arch", "" if "arch" in blank else None)),
        by_path=by_path is not None,
        age=age or "",
        wrong_age=not age and (countme is not None or "countme" in blank),
    )


def parse_agent(agent: str) -> System:
    """The system that a package manager's user agent names; `NO_SYSTEM` for every other text."""
    match = _AGENT.fullmatch(agent)
    if match is None or name_of(agent) != agent:
        return NO_SYSTEM
    return System(match["name"], match["version"], match["variant"], match["arch"])


def _decoded(text: str) -> str:
    return unquote(text, errors="replace") if "%" in text else text


def name_of(text: str | None) -> str | None:
    """*text* as a name that fits into a table; `--` where it is none."""
    if text is None or (len(text) <= MAX_NAME and text.isprintable() and not _NUMBERS.search(text)):
        return text
    return UNKNOWN
