"""YAML as plain values, parsed so that no file can harm the process.

YAML is taken as a tree of texts, `true`, `false` and null: numbers stay as they were typed, and 8.10 is not 8.1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

Value: TypeAlias = "bool | str | list[Value] | dict[str, Value] | None"

YAML_LIMIT_BYTES = 4 << 20
"""The largest real file, `config.yml`, has 10 kB; a places file of 5,000 mirrors 400 kB."""

_LIMIT_NODES = 200_000
"""Counted with every alias written out: a file of 1 kB can name a billion values by aliases of aliases."""

_LIMIT_DEPTH = 20
"""Real files are four deep. The C composer of PyYAML overflows its stack some ten thousand deep; we do not use it."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_NO_TEXT = frozenset({"", "~", "null"})
_TRUE = frozenset(spelling for word in ("yes", "true", "on") for spelling in (word, word.capitalize(), word.upper()))
_FALSE = frozenset(spelling for word in ("no", "false", "off") for spelling in (word, word.capitalize(), word.upper()))
"""YAML 1.1, as every reader of these files today: the country code `NO` is false unless it is quoted."""

_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "seq", "map"))
_TEXT_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})


@dataclass(frozen=True, slots=True)
class Parsed:
    """A YAML document.

    repeated_keys    those that stand twice in one of its mappings (the later one counts)
    contradictions   those of them whose values differ, and all keys in the values that do not count
    empty_documents  lines where a document begins that holds nothing, beside the one that holds something
    raw              what it was read from
    """

    value: Value
    repeated_keys: tuple[str, ...]
    contradictions: frozenset[str] = frozenset()
    empty_documents: tuple[int, ...] = ()
    raw: bytes = b""


def parse_yaml(raw: bytes, texts: Collection[str] = ()) -> Parsed:
    """The one document in *raw*; others, before or behind it, must be empty.

    texts   keys under which, at any depth, words are texts and not true, false or null; `null`, `~` and nothing at all
            stay null
    raises  ValueError, with one line of text and the line number, for anything that is not plain YAML in UTF-8
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    builder = _Builder(frozenset(texts))
    try:
        builder.take_all(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"not YAML: {error.problem}{line}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {str(error).splitlines()[0]}") from error
    return Parsed(
        builder.root,
        tuple(builder.repeated_keys),
        frozenset(builder.contradictions),
        tuple(builder.starts) if len(builder.starts) > 1 else (),
        raw,
    )


@dataclass(slots=True)
class _Open:
    """A list or mapping that is still being read; a mapping's children are keys and values in turn."""

    is_mapping: bool
    anchor: str | None
    nodes_before: int
    holds_texts: bool = False
    children: list[Value] = field(default_factory=list)

    @property
    def wants_key(self) -> bool:
        return self.is_mapping and len(self.children) % 2 == 0


@dataclass(slots=True)
class _Builder:
    """Builds values from parser events, without recursion and within the limits."""

    texts: frozenset[str] = frozenset()
    root: Value = None
    repeated_keys: list[str] = field(default_factory=list)
    contradictions: set[str] = field(default_factory=set)
    nodes: int = 0
    starts: list[int] = field(default_factory=list)
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Value, int]] = field(default_factory=dict)

    def take_all(self, events: Iterable[yaml.Event]) -> None:
        first: Value = None
        for event in events:
            match event:
                case yaml.ScalarEvent():
                    self._count(1)
                    self._close(self._scalar(event), event.anchor, 1)
                case yaml.AliasEvent():
                    self._alias(event)
                case yaml.CollectionStartEvent():
                    self._start(event)
                case yaml.CollectionEndEvent():
                    ended = self.open.pop()
                    value = self._mapping(ended.children) if ended.is_mapping else ended.children
                    self._close(value, ended.anchor, self.nodes - ended.nodes_before)
                case yaml.DocumentStartEvent():
                    self.starts.append(event.start_mark.line + 1 if event.start_mark else 0)
                    first, self.root = self.root, None
                case yaml.DocumentEndEvent():
                    if first is not None:
                        if self.root is not None:
                            raise ValueError(f"a second document starts in line {self.starts[-1]}")
                        self.root = first
                case _:
                    pass

    def _scalar(self, event: yaml.ScalarEvent) -> Value:
        if event.tag is not None and event.tag not in _PLAIN_TAGS | _TEXT_TAGS:
            raise ValueError(f"tag {event.tag[:50]!r}{_where(event)}")
        is_key = bool(self.open) and self.open[-1].wants_key
        if event.style or event.tag in _TEXT_TAGS or is_key:
            return event.value
        if self.open and self._is_text():
            return None if event.value in _NO_TEXT else event.value
        if event.value in _NULLS:
            return None
        if event.value in _TRUE:
            return True
        return False if event.value in _FALSE else event.value

    def _is_text(self) -> bool:
        """Whether words that stand where we are now are texts."""
        around = self.open[-1]
        if not around.is_mapping or around.wants_key:
            return around.holds_texts
        key = around.children[-1]
        return around.holds_texts or (isinstance(key, str) and key in self.texts)

    def _alias(self, event: yaml.AliasEvent) -> None:
        anchor = event.anchor or ""
        if anchor not in self.anchors:
            raise ValueError(f"alias *{anchor[:50]} without its anchor{_where(event)}")
        value, nodes = self.anchors[anchor]
        self._count(nodes)
        self._close(value, None, nodes)

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        if event.tag is not None and event.tag not in _PLAIN_TAGS:
            raise ValueError(f"tag {event.tag[:50]!r}{_where(event)}")
        if self.open and self.open[-1].wants_key:
            raise ValueError(f"a key that is no text{_where(event)}")
        if len(self.open) == _LIMIT_DEPTH:
            raise ValueError(f"nested more than {_LIMIT_DEPTH} deep{_where(event)}")
        is_mapping, holds_texts = isinstance(event, yaml.MappingStartEvent), bool(self.open) and self._is_text()
        self.open.append(_Open(is_mapping, event.anchor, self.nodes, holds_texts))
        self._count(1)

    def _count(self, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > _LIMIT_NODES:
            raise ValueError(f"more than {_LIMIT_NODES:,} values, aliases written out")

    def _close(self, value: Value, anchor: str | None, nodes: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = value, nodes
        if self.open:
            self.open[-1].children.append(value)
        else:
            self.root = value

    def _mapping(self, children: list[Value]) -> dict[str, Value]:
        mapping: dict[str, Value] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, str):
                raise ValueError("a key that is no text")
            if key in mapping:
                self.repeated_keys.append(key)
                if mapping[key] != value:
                    self.contradictions |= {key, *_keys_in(mapping[key])}
            mapping[key] = value
        return mapping


def _keys_in(value: Value) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _keys_in(inner)


def _where(event: yaml.Event) -> str:
    return f" in line {event.start_mark.line + 1}" if event.start_mark else ""
