"""Where settings come from: flags, and the YAML file that they name.

One file of keys serves every command: those of the answering half and those that all jobs share stand at its top, a
job's own keys below its name (`crawl: {interval_s: 900}`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from redirector.errors import ConfigError
from redirector.files import explain_failure, read_bytes
from redirector.near_names import find_nearest
from redirector.plain_yaml import Value, parse_yaml
from redirector.settings.jobs import JOBS, section_of
from redirector.settings.option import Block, Given, Option, options_of, parse_flag, shorten
from redirector.settings.serving import COMPATIBLE_WINDOW_S, Config

T = TypeVar("T")

Flags = Mapping[str, str | Sequence[str]]
"""Key -> what stood behind its flag, or a list for a repeatable one; absent when not given."""

COMMAND_LINE = "command line"
"""What stands where a file's name would, in an error about a flag."""

MAX_FILE_BYTES = 1 << 20
"""A configuration is a page or two; what is larger is another file given by mistake."""

_OF_A_TREE = frozenset({"config_version", "mirrors_dir", "versions", "repos"})
"""Keys of the other file that is called `config.yml`."""

_EXAMPLE = "data/redirector.yml"
_SOURCE_NEEDED = "a directory with config.yml and mirror files is needed, or a MirrorManager snapshot"


@dataclass(frozen=True, slots=True)
class Document:
    """The mapping that a configuration file holds; "" and {} where there is no file."""

    path: str = ""
    mapping: Mapping[str, Value] = field(default_factory=dict)

    def block(self, section: str, key: str) -> Block | None:
        """What stands behind *key* in *section* ("": at the top); None when nothing does."""
        inside = self.mapping if not section else self.mapping.get(section, {})
        if not isinstance(inside, Mapping) or key not in inside:
            return None
        name = f"{section}.{key}" if section else key
        return Block(self.path, name, inside[key], os.path.dirname(self.path))


def load_config(flags: Flags) -> Config:
    """What *flags* and the file that they name amount to: a flag beats the file, the file beats the default.

    raises  ConfigError for the first wrong file, key or value
    """
    document = _document_of(flags)
    values = _read_job(Config, flags, document)
    if "source" not in values:
        here = "" if os.path.exists(_EXAMPLE) else " (`redirector sample data` writes it)"
        way_out = f"{_SOURCE_NEEDED}; for an example: --config {_EXAMPLE}{here}"
        raise ConfigError(COMMAND_LINE, "--source", None, way_out)
    if values.get("compatibility") is not None:
        values.setdefault("order_window_s", COMPATIBLE_WINDOW_S)
    return Config(**values)  # type: ignore[arg-type]  # each value comes from the parser of its own field


def load_job(job: type[T], flags: Flags, elsewhere: type[T] | None = None) -> T:
    """The settings of the class *job*, read as `load_config` reads those of the answering half.

    elsewhere  a class of the same keys that may stand in another place of the file: what is not said in the place of
               *job* itself
    """
    document = _document_of(flags)
    other = {} if elsewhere is None else _read_job(elsewhere, flags, document)
    return job(**other | _read_job(job, flags, document))


def load_key(job: type, key: str, flags: Flags, default: object = None) -> object | None:
    """The value of one *key* of *job*, for commands that can do without the others; *default* when nobody gave one,
    None when it is switched off."""
    return _read_job(job, flags, _document_of(flags)).get(key, default)


def _document_of(flags: Flags) -> Document:
    path = flags.get("config")
    return read_file(path) if isinstance(path, str) else Document()


def read_file(path: str) -> Document:
    """What the configuration file *path* says; every key in it is known. Raises ConfigError."""
    try:
        parsed = parse_yaml(read_bytes(path, MAX_FILE_BYTES))
    except (OSError, ValueError) as error:
        raise ConfigError(COMMAND_LINE, "--config", path, f"cannot be read: {explain_failure(error)}") from None
    mapping = {} if parsed.value is None else parsed.value
    if not isinstance(mapping, dict):
        raise ConfigError(COMMAND_LINE, "--config", path, "one mapping is needed, lines of `key: value`")
    if not _OF_A_TREE.isdisjoint(mapping):
        way_out = (
            f"is the config.yml of mirror files, and none of this program: --source {os.path.dirname(path) or '.'}"
        )
        raise ConfigError(COMMAND_LINE, "--config", path, way_out)
    sections = {section_of(job) for job in JOBS}
    _refuse_unknown(path, "", mapping, [*_keys_of(""), *filter(None, sections)], parsed.repeated_keys)
    for section in sorted(filter(None, sections & mapping.keys())):
        inside = mapping[section]
        if not isinstance(inside, dict):
            raise ConfigError(path, section, _show(inside), "a mapping is needed, lines of `key: value`")
        _refuse_unknown(path, section, inside, _keys_of(section), parsed.repeated_keys)
    return Document(path, mapping)


def _keys_of(section: str) -> list[str]:
    """Keys of all jobs that may stand in *section*."""
    jobs = [job for job in JOBS if section_of(job) == section]
    return [key for job in jobs for key, option in options_of(job) if option.in_file]


def _refuse_unknown(
    path: str, section: str, mapping: Mapping[str, Value], known: Sequence[str], repeated: Sequence[str]
) -> None:
    for key, value in mapping.items():
        name = shorten(f"{section}.{key}" if section else key)
        if key not in known:
            near = find_nearest(key, tuple(known), 1, least=0)
            raise ConfigError(path, name, _show(value), f"unknown key; the nearest known one is {near[0]}")
        if key in repeated:
            raise ConfigError(path, name, _show(value), "the key stands more than once; keep one")


def _read_job(job: type, flags: Flags, document: Document) -> dict[str, object]:
    """Values of the fields of *job* that somebody gave."""
    values: dict[str, object] = {}
    for key, option in options_of(job):
        block = document.block(section_of(job), key) if option.in_file else None
        if option.flag and key in flags:
            texts = [flags[key]] if isinstance(flags[key], str) else flags[key]
            values[key] = _parse(option, [Given(COMMAND_LINE, option.flag, str(text)) for text in texts])
        elif block is not None:
            values[key] = option.read(block) if option.read is not None else _parse(option, _read_value(block, option))
    return values


def _parse(option: Option, given: list[Given]) -> object:
    if option.repeat:
        return tuple(option.parse(each) for each in given)
    return option.parse(given[0])


def _read_value(block: Block, option: Option) -> list[Given]:
    value = block.value
    items = value if option.repeat and isinstance(value, list) else [value]
    if option.parse is parse_flag:
        items = [str(item).lower() if isinstance(item, bool) else item for item in items]
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) < len(items) or (option.filled and not texts):
        kind = "a list of texts" if option.repeat else "a text or number"
        raise block.wrong(f"{kind} is needed ({option.metavar}); quotes make a text of a word", value=_show(value))
    return [Given(block.path, block.key, text, block.folder) for text in texts]


def _show(value: Value) -> object:
    """*value* for a message: short, however large it is."""
    if isinstance(value, list | dict):
        return type(value).__name__
    return shorten(value) if isinstance(value, str) else value
