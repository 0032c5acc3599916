"""Where a `Config` comes from: flags, and the YAML file that they name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence

import yaml

from redirector.config import COMPATIBLE_WINDOW_S, Config, options
from redirector.errors import ConfigError
from redirector.option import Given, Option, shorten

COMMAND_LINE = "command line"
"""What stands where a file's name would, in an error about a flag."""

MAX_FILE_BYTES = 1 << 20
"""A configuration is a page or two; what is larger is another file given by mistake."""

_EXAMPLE = "data/redirector.yml"
_SOURCE_NEEDED = "a directory with config.yml and mirror files is needed, or a MirrorManager snapshot"


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
    if "source" not in written:
        raise ConfigError(COMMAND_LINE, "--source", None, f"{_SOURCE_NEEDED}; for an example: --config {_EXAMPLE}")
    values = {key: _parse(option, written[key]) for key, option in options() if key in written}
    if values.get("compatibility") is not None:
        values.setdefault("order_window_s", COMPATIBLE_WINDOW_S)
        if os.path.isdir(str(values["source"])):
            raise written["compatibility"][0].wrong(f"needs a snapshot file, and {values['source']} is a directory")
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
        key = _text(name)
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, cutoff=0)[0]
            raise ConfigError(path, key, _text(node), f"unknown key; the nearest known one is {near}")
        if key in written:
            line = name.start_mark.line + 1
            raise ConfigError(path, key, _text(node), f"the key stands twice, again in line {line}; keep one")
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
    text = _read_text(path)
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except RecursionError:
        raise ConfigError(path, "file", "brackets in brackets", "one mapping of plain values is needed") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        shown = shorten(text.splitlines()[line]) if line < len(text.splitlines()) else "the end"
        raise ConfigError(path, f"line {line + 1}", shown, f"no YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(path, "file", shorten(str(error).splitlines()[0]), "no YAML") from None
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(path, "file", _text(root), "one mapping is needed, lines of `key: value`")
    return list(root.value)


def _read_text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(COMMAND_LINE, "--config", path, f"cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(path, "file", f"over {MAX_FILE_BYTES:,} bytes", "too large to be a configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(path, f"byte {error.start}", content[error.start : error.end], "must be UTF-8") from None


def _text(node: yaml.Node) -> str:
    """A short text for any node, however large what it stands for."""
    return shorten(node.value) if isinstance(node, yaml.ScalarNode) else f"a {node.tag.rpartition(':')[2]}"
