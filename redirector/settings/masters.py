"""The key `masters`: where the trees are that mirrors copy, and how their repositories are called."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar
from urllib.parse import urlsplit

from redirector.errors import ConfigError, ConfigErrors
from redirector.near_names import find_nearest
from redirector.plain_yaml import Value
from redirector.settings.option import Block, Option, option_field, shorten
from redirector.settings.repository_rules import Rule

_KEYS = ("category", "top", "path", "list", "rsync", "http", "files", "start", "exclude", "repositories")
_RULE_KEYS = ("match", "prefix", "product", "arch")

_CATEGORY_CHARACTERS = 200
_TOP_CHARACTERS = 1_000


class Reading(Enum):
    """How a master is read."""

    PATH = "path"
    LIST = "list"
    RSYNC = "rsync"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class Master:
    """Where the files of one category come from.

    top      the name of its top directory, without outer slashes
    where    a folder, a file or a URL, as *reading* says; URLs of folders end with a slash
    files    where the content of what a list names can be read; None: beside the list
    start    where the category begins in a list; None: it is found by *top*
    exclude  shell patterns of paths below the top
    """

    category: str
    top: str
    reading: Reading
    where: str
    files: str | None = None
    start: str | None = None
    exclude: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


def read_masters(block: Block) -> tuple[Master, ...]:
    """The value of `masters`. Raises ConfigErrors with all that is wrong in it."""
    reader = _Reader(block)
    masters = reader.read_all()
    if reader.errors:
        first = reader.errors[0]
        raise ConfigErrors(first.path, first.key, first.value, first.way_out, reader.errors)
    return masters


@dataclass(frozen=True, slots=True)
class Masters:
    """What `scan` reads. None: what the source itself knows of."""

    SECTION: ClassVar[str] = ""

    masters: tuple[Master, ...] | None = option_field(
        None,
        Option(
            "",
            "LIST",
            lambda given: None,
            "what `scan` reads: the trees that mirrors copy, see there",
            shown="a tree: its `primary`; a snapshot: its file details",
            read=read_masters,
        ),
    )


class _Reader:
    def __init__(self, block: Block) -> None:
        self._block = block
        self.errors: list[ConfigError] = []

    def read_all(self) -> tuple[Master, ...]:
        if not isinstance(self._block.value, list) or not self._block.value:
            self.errors.append(self._block.wrong("a list of masters is needed", value=_show(self._block.value)))
            return ()
        found = [self._read(str(number), value) for number, value in enumerate(self._block.value, 1)]
        masters = [master for master in found if master is not None]
        for number, master in enumerate(masters, 1):
            if master.category in (other.category for other in masters[: number - 1]):
                self._wrong(f"{number}.category", master.category, "stands there twice; one master holds a category")
        return tuple(masters)

    def _wrong(self, key: str, value: Value, way_out: str) -> None:
        self.errors.append(self._block.wrong(way_out, key, _show(value)))

    def _known(self, key: str, value: Value, known: tuple[str, ...], what: str) -> dict[str, Value]:
        if not isinstance(value, dict) or not value:
            self._wrong(key, value, f"{what} is needed: lines of `key: value` with {', '.join(known)}")
            return {}
        for name in value:
            if name not in known:
                near = find_nearest(name, known, 1, least=0)
                self._wrong(f"{key}.{shorten(name)}", value[name], f"unknown key; the nearest known one is {near[0]}")
        return value

    def _text(self, key: str, value: Value, what: str, most: int = _TOP_CHARACTERS) -> str | None:
        if isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= most:
            return value.strip()
        self._wrong(key, value, f"{what} is needed")
        return None

    def _read(self, key: str, value: Value) -> Master | None:
        record = self._known(key, value, _KEYS, "a master")
        if not record:
            return None
        before = len(self.errors)
        category = self._text(f"{key}.category", record.get("category"), "the category's name", _CATEGORY_CHARACTERS)
        top = self._read_top(f"{key}.top", record.get("top"))
        reading, where = self._read_where(key, record)
        rules = self._read_rules(f"{key}.repositories", record.get("repositories"), reading)
        if reading is Reading.HTTP and not rules and "repositories" not in record:
            self._wrong(f"{key}.repositories", None, "http reads only the repositories that stand here; name them")
        master = Master(
            category=category or "",
            top=top or "",
            reading=reading or Reading.PATH,
            where=where,
            files=self._read_files(f"{key}.files", record.get("files"), reading),
            start=self._read_start(f"{key}.start", record.get("start"), reading),
            exclude=self._read_patterns(f"{key}.exclude", record.get("exclude")),
            rules=rules,
        )
        return master if len(self.errors) == before else None

    def _read_top(self, key: str, value: Value) -> str | None:
        text = self._text(key, value, "the name of the top directory, such as pub/linux,")
        if text is None:
            return None
        top = text.strip("/")
        if not top or not {"", ".", ".."}.isdisjoint(top.split("/")):
            self._wrong(key, value, "a path such as pub/linux is needed")
        return top

    def _read_where(self, key: str, record: dict[str, Value]) -> tuple[Reading | None, str]:
        given = [reading for reading in Reading if reading.value in record]
        if len(given) != 1:
            names = " and ".join(reading.value for reading in given) or "none"
            self._wrong(key, names, "exactly one of path, list, rsync and http is needed")
            return None, ""
        reading = given[0]
        key = f"{key}.{reading.value}"
        text = self._text(key, record[reading.value], "a folder, file or URL")
        if text is None:
            return reading, ""
        match reading:
            case Reading.PATH:
                return reading, self._join(text)
            case Reading.LIST:
                return reading, self._check_url(key, text) if "://" in text else self._join(text)
            case Reading.RSYNC:
                return reading, self._check_url(key, text, "rsync").rstrip("/") + "/"
            case Reading.HTTP:
                return reading, self._check_url(key, text).rstrip("/") + "/"

    def _join(self, path: str) -> str:
        return os.path.join(self._block.folder, path)

    def _check_url(self, key: str, text: str, *schemes: str) -> str:
        schemes = schemes or ("http", "https")
        try:
            parts = urlsplit(text)
            _ = parts.port
        except ValueError:
            self._wrong(key, text, "no URL")
            return text
        if parts.username is not None or parts.password is not None:
            self._wrong(key, f"{parts.scheme}://…@{parts.hostname or ''}", "a URL without user and password is needed")
        elif parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment or " " in text:
            self._wrong(key, text, f"a URL is needed, such as {schemes[-1]}://master.example.org/linux/")
        elif ".." in parts.path.split("/"):
            self._wrong(key, text, "a path without .. is needed")
        return text

    def _read_files(self, key: str, value: Value, reading: Reading | None) -> str | None:
        if value is None:
            return None
        text = self._text(key, value, "a folder or URL")
        if reading is not Reading.LIST:
            self._wrong(key, value, "goes with `list` alone; others read the files where they are")
        if text is None:
            return None
        return self._check_url(key, text).rstrip("/") + "/" if "://" in text else self._join(text)

    def _read_start(self, key: str, value: Value, reading: Reading | None) -> str | None:
        if value is None:
            return None
        if reading is not Reading.LIST:
            self._wrong(key, value, "goes with `list` alone")
        if not isinstance(value, str) or not {".", ".."}.isdisjoint(value.strip("/").split("/")):
            self._wrong(key, value, "the path in the list where the category begins is needed; / is the list's own top")
            return None
        return value.strip("/")

    def _read_patterns(self, key: str, value: Value) -> tuple[str, ...]:
        if value is None:
            return ()
        items = value if isinstance(value, list) else [value]
        found = (self._text(f"{key}.{n}", item, "a pattern such as '*/images/*'") for n, item in enumerate(items, 1))
        return tuple(text for text in found if text)

    def _read_rules(self, key: str, value: Value, reading: Reading | None) -> tuple[Rule, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self._wrong(key, value, "a list of rules is needed, each with match and prefix")
            return ()
        found = (self._read_rule(f"{key}.{number}", item, reading) for number, item in enumerate(value, 1))
        return tuple(rule for rule in found if rule)

    def _read_rule(self, key: str, value: Value, reading: Reading | None) -> Rule | None:
        record = self._known(key, value, _RULE_KEYS, "a rule")
        if not record:
            return None
        match = self._text(f"{key}.match", record.get("match"), "a regular expression for the path below top", 10_000)
        prefix = self._text(f"{key}.prefix", record.get("prefix"), "a prefix such as '{name}-{version}'")
        named = {
            name: self._text(f"{key}.{name}", record[name], "a text") for name in ("product", "arch") if name in record
        }
        if match is None or prefix is None or None in named.values():
            return None
        try:
            pattern = re.compile(match)
        except re.error as error:
            self._wrong(f"{key}.match", match, f"no regular expression: {error}")
            return None
        rule = Rule(pattern, prefix, named.get("product") or "", named.get("arch") or "{arch}")
        if "arch" not in named and "arch" not in pattern.groupindex:
            self._wrong(f"{key}.arch", None, "missing: a group (?P<arch>…) in match, or this key, says it")
        elif unknown := rule.unknown_groups():
            known = ", ".join(pattern.groupindex) or "it has none"
            self._wrong(f"{key}.prefix", prefix, f"{', '.join(unknown)}: no such group in match (there are: {known})")
        if reading is Reading.HTTP and rule.list_paths() is None:
            way_out = "http cannot list a master: name the paths, as in (?P<version>42|43)/(?P<arch>x86_64)/os"
            self._wrong(f"{key}.match", match, way_out)
        return rule


def _show(value: Value) -> object:
    if isinstance(value, list | dict):
        return type(value).__name__
    return shorten(value) if isinstance(value, str) else value
