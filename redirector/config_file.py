"""Where a `Config` comes from: flags, and the YAML file that they name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence

from redirector.config import COMPATIBLE_WINDOW_S, Config, options
from redirector.errors import ConfigError
from redirector.option import Given, Option, shorten
from redirector.sources.files import Value, explain_failure, parse_yaml, read_bytes

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
    given: dict[str, list[Given]] = {}
    if isinstance(path := flags.get("config"), str):
        given = read_file(path)
    for key, option in options():
        if key in flags:
            texts = [flags[key]] if isinstance(flags[key], str) else flags[key]
            given[key] = [Given(COMMAND_LINE, option.flag, str(text)) for text in texts]
    values = {key: _parse(option, given[key]) for key, option in options() if key in given}
    if "source" not in values:
        raise ConfigError(COMMAND_LINE, "--source", None, f"{_SOURCE_NEEDED}; for an example: --config {_EXAMPLE}")
    if values.get("compatibility") is not None:
        values.setdefault("order_window_s", COMPATIBLE_WINDOW_S)
        if os.path.isdir(str(values["source"])):
            raise given["compatibility"][0].wrong(f"needs a snapshot file, and {values['source']} is a directory")
    return Config(**values)  # type: ignore[arg-type]  # each value comes from the parser of its own field


def _parse(option: Option, given: list[Given]) -> object:
    if option.repeat:
        return tuple(option.parse(each) for each in given)
    return option.parse(given[0])


def read_file(path: str) -> dict[str, list[Given]]:
    """What the configuration file *path* says: key -> values as written. Raises ConfigError."""
    known = {key: option for key, option in options() if option.in_file}
    try:
        parsed = parse_yaml(read_bytes(path, MAX_FILE_BYTES))
    except (OSError, ValueError) as error:
        raise ConfigError(COMMAND_LINE, "--config", path, f"cannot be read: {explain_failure(error)}") from None
    mapping = {} if parsed.value is None else parsed.value
    if not isinstance(mapping, dict):
        raise ConfigError(COMMAND_LINE, "--config", path, "one mapping is needed, lines of `key: value`")
    for key, value in mapping.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, cutoff=0)[0]
            raise ConfigError(path, shorten(key), _show(value), f"unknown key; the nearest known one is {near}")
        if key in parsed.repeated_keys:
            raise ConfigError(path, key, _show(value), "the key stands more than once; keep one")
    return {key: _read_value(path, key, known[key], value) for key, value in mapping.items()}


def _read_value(path: str, key: str, option: Option, value: Value) -> list[Given]:
    items = value if option.repeat and isinstance(value, list) else [value]
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) < len(items) or (option.filled and not texts):
        kind = "a list of texts" if option.repeat else "a text or number"
        raise ConfigError(path, key, _show(value), f"{kind} is needed ({option.metavar}); quotes make a text of a word")
    return [Given(path, key, text, os.path.dirname(path)) for text in texts]


def _show(value: Value) -> object:
    """*value* for a message: short, however large it is."""
    if isinstance(value, list | dict):
        return type(value).__name__
    return shorten(value) if isinstance(value, str) else value
