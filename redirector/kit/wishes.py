"""`mirror.yml`: what the admin of a mirror wants; its keys, its questions, and all that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from redirector.errors import ConfigError, ConfigErrors
from redirector.plain_yaml import Value, parse_yaml

FILE_NAME = "mirror.yml"
KINDS = ("rpm", "deb", "plain")
TEXTS = ("name", "path", "source", "first_from", "file_list", "file_list_prefix", "marker", "country")

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_EVERY = re.compile(r"([1-9][0-9]{0,2})(min|h|d)")
_DELETIONS = re.compile(r"([1-9][0-9]?|100)%|[0-9]{1,9}")
_CATEGORY_LIMIT = 255


class _Wrong(Exception):
    """A value that cannot be; its text says what would be right."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One key of `mirror.yml`.

    parse     the value in the file -> the value that is used
    sample    how it stands in a file that nobody filled in
    question  asked on a terminal; "": only the file can say it
    """

    parse: Callable[[Value], object]
    sample: str
    help: str
    question: str = ""


def _text(value: Value) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not value.isprintable() or len(value) > 1000:
        raise _Wrong("one line of text is needed")
    return value


def _host_name(value: Value) -> str:
    text = _text(value)
    if not _NAME.fullmatch(text) or len(text) > 253:
        raise _Wrong("a host name is needed, such as mirror.example.org")
    return text.lower()


def _kind(value: Value) -> str:
    text = _text(value)
    if text not in KINDS:
        raise _Wrong("must be rpm, deb or plain")
    return text


def _folder(value: Value) -> str:
    text = _text(value)
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or str(path) == "/":
        raise _Wrong("an absolute folder is needed, such as /srv/mirror/example")
    return str(path)


def _folder_or_none(value: Value) -> str:
    return _folder(value) if _text(value) else ""


def _url_path(value: Value) -> str:
    text = _text(value)
    if not re.fullmatch(r"/([A-Za-z0-9._~+-]+/)*", text) or ".." in text.split("/"):
        raise _Wrong("a path of URLs is needed, closed by a slash, such as /example/")
    return text


def _source(value: Value) -> str:
    text = _text(value)
    try:
        parts = urlsplit(text)
        named = parts.scheme == "rsync" and bool(parts.hostname) and len(parts.path) > 1 and parts.port != 0
    except ValueError:
        named = False
    if not named or "@" in text or ".." in text.split("/") or any(mark in text for mark in " ?#*["):
        raise _Wrong("rsync://HOST/MODULE/ is needed, without user and password")
    return text.rstrip("/") + "/"


def _source_or_none(value: Value) -> str:
    return _source(value) if _text(value) else ""


def _below(value: Value) -> str:
    """A path below the tree; "" for none."""
    text = _text(value)
    parts = text.strip("/").split("/")
    if text and (text.startswith(("/", "-")) or ".." in parts or "." in parts or re.search(r"[][*?\\]", text)):
        raise _Wrong("a path below the tree is needed, without a slash in front")
    return text.strip("/")


def _folder_prefix(value: Value) -> str:
    text = _below(value)
    return text + "/" if text else ""


def _user(value: Value) -> str:
    text = _text(value)
    if not _USER.fullmatch(text):
        raise _Wrong("the name of a user or group is needed")
    return text


def _every(value: Value) -> str:
    text = _text(value)
    found = _EVERY.fullmatch(text)
    if not found or not 600 <= _seconds_of(found) <= 86400:
        raise _Wrong("10min to 1d is needed, such as 3h")
    return text


def seconds_of(text: str) -> int:
    """Seconds of `10min`, `3h`, `1d`. Raises ValueError for anything else."""
    found = _EVERY.fullmatch(text)
    if not found:
        raise ValueError(text)
    return _seconds_of(found)


def _seconds_of(found: re.Match[str]) -> int:
    return int(found[1]) * {"min": 60, "h": 3600, "d": 86400}[found[2]]


def _whole(least: int, most: int) -> Callable[[Value], int]:
    def parse(value: Value) -> int:
        text = _text(value)
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise _Wrong(f"a whole number from {least:,} to {most:,} is needed")
        return int(text)

    return parse


def _yes_or_no(value: Value) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("must be yes or no")
    return value


def _deletions(value: Value) -> str:
    text = _text(value)
    if not _DELETIONS.fullmatch(text):
        raise _Wrong("a share or a number of files is needed, such as 50% or 20000")
    return text


def _texts(value: Value) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise _Wrong("a list of texts is needed")
    return tuple(_text(each) for each in value)


def _patterns(value: Value) -> tuple[str, ...]:
    found = _texts(value)
    for each in found:
        if each.startswith(("#", ";", "+ ", "- ", "!")) or "[" in each or "\\" in each or each.strip("/*") == "":
            raise _Wrong(f"{each!r}: a pattern of names is needed; it may hold *, ** and ?, and begin or end with /")
    return found


def _folders_below(value: Value) -> tuple[str, ...]:
    return tuple(filter(None, map(_below, _texts(value))))


def _networks(value: Value) -> tuple[str, ...]:
    found = _texts(value)
    for each in found:
        try:
            ip_network(each)
        except ValueError:
            raise _Wrong(f"{each!r}: an address or network is needed") from None
    return found


def _web_url(value: Value) -> str:
    text = _text(value)
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and "@" not in text
    except ValueError:
        good = False
    if text and (not good or " " in text):
        raise _Wrong("a URL is needed, such as https://mirrors.example.org")
    return text.rstrip("/")


def _categories(value: Value) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Wrong("a mapping of categories to folders of the tree is needed; the folder of all is empty")
    for each in value:
        if not each or not each.isprintable() or len(each) > _CATEGORY_LIMIT:
            raise _Wrong(f"{each!r}: the name of a category is needed")
    return {name: _below(folder) for name, folder in value.items()}


def _wish(parse: Callable[[Value], object], sample: str, help: str, question: str = "") -> Any:
    return field(metadata={"wish": Wish(parse, sample, help, question)})


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `mirror.yml` says. Every key but `name`, `source` and `root` may be left out."""

    name: str = _wish(
        _host_name, "mirror.example.org", "what the world calls this machine", "What is this mirror's host name?"
    )
    kind: str = _wish(
        _kind, "rpm", "rpm trees, Debian-like archives (deb), or plain files", "What does it carry: rpm, deb or plain?"
    )
    source: str = _wish(
        _source,
        "rsync://master.example.org/example/",
        "where it synchronizes from, by rsync",
        "Where does it synchronize from (rsync://HOST/MODULE/)?",
    )
    root: str = _wish(_folder, "/srv/mirror/example", "where the tree lies", "In which folder shall the tree lie?")
    path: str = _wish(_url_path, "/example/", "where the tree stands in URLs", "Under which path shall its URLs stand?")
    every: str = _wish(
        _every, "3h", "how often it synchronizes: 10min with a file list, a few times a day without",
        "How often shall it synchronize?",
    )  # fmt: skip
    first_from: str = _wish(
        _source_or_none, "", "a near mirror that the very first synchronization may take files from",
        "Is there a near mirror for the first synchronization (rsync://…, or nothing)?",
    )  # fmt: skip
    file_list: str = _wish(
        _below, "", "the source's list of all files, below the source (fullfiletimelist-example)",
        "Has the source a file list (its name, or nothing)?",
    )  # fmt: skip
    file_list_prefix: str = _wish(_folder_prefix, "", "what its paths begin with above the source")
    marker: str = _wish(
        _below, "TIME", "the file whose text is the time of the source's last push; nothing where there is none",
        "What is the source's time stamp file called (or nothing)?",
    )  # fmt: skip
    exclude: tuple[str, ...] = _wish(_patterns, "[]", "what is not carried, as patterns of rsync")
    staged: bool = _wish(
        _yes_or_no, "no", "carry content before its release (0750 until then), and serve it to tier-2 mirrors",
        "Shall it carry content before its release, for tier-2 mirrors too (yes or no)?",
    )  # fmt: skip
    max_delete: str = _wish(_deletions, "50%", "deletions beyond this share, or number, of files are refused")
    grace_s: int = _wish(
        _whole(0, 21600), "20", "seconds between new metadata and deletions, for readers of the old ones"
    )
    retries: int = _wish(_whole(1, 20), "4", "how often rsync is started where it fails by what passes by itself")
    retry_s: int = _wish(_whole(0, 3600), "15", "seconds before the second start, twice as many before each further")
    user: str = _wish(_user, "mirror", "who synchronizes; never who serves")
    group: str = _wish(_user, "mirror", "its group, which may read content before its release")
    rsync_user: str = _wish(_user, "nobody", "who serves by rsync")
    rsync_group: str = _wish(_user, "nogroup", "its group (nobody on Fedora and its kin)")
    state: str = _wish(_folder, "/var/lib/mirror", "what the synchronization remembers")
    logs: str = _wish(_folder, "/var/log/mirror", "where it logs")
    certificate: str = _wish(
        _folder_or_none, "", "the chain of certificates (fullchain.pem); https is served once it is named"
    )
    certificate_key: str = _wish(_folder_or_none, "", "its key")
    rsync_port: int = _wish(_whole(1, 65535), "873", "where everybody's rsync is served")
    tier2_port: int = _wish(_whole(1, 65535), "874", "where tier-2 mirrors' rsync is served")
    tier2: tuple[str, ...] = _wish(_networks, "[]", "tier-2 mirrors that no registry lists")
    rsync_allow: tuple[str, ...] = _wish(_networks, "[]", "who may use rsync; everybody where nobody is named")
    checkers: tuple[str, ...] = _wish(
        _networks, "[]", "addresses of the distribution's checker, let in wherever others are not"
    )
    iso_connections: int = _wish(_whole(1, 1000), "6", "connections that one client may have for images")
    interface: str = _wish(_text, "", "the network interface whose traffic is reported, by vnStat")
    report: str = _wish(
        _web_url, "", "the registry that is told of each synchronization",
        "Which registry shall be told of each synchronization (https://…, or nothing)?",
    )  # fmt: skip
    report_host: str = _wish(_text, "", "this mirror's name there, if another")
    report_site: str = _wish(_text, "", "its site's name there, for registries that speak the old check-in alone")
    report_token: str = _wish(_folder_or_none, "", "the file that holds the token (0600)")
    categories: Mapping[str, str] = _wish(_categories, "{}", "category of the registry -> its folder below the tree")
    urls: tuple[str, ...] = _wish(_texts, "[]", "the URLs that `mirror check` looks at where none is given")

    @property
    def slug(self) -> str:
        """What units and files are called."""
        return PurePosixPath(self.root).name.lower()

    @property
    def every_s(self) -> int:
        return seconds_of(self.every)


def wishes() -> dict[str, Wish]:
    """Every key of `mirror.yml`, in order."""
    return {each.name: each.metadata["wish"] for each in fields(Wishes)}


NEEDED = ("name", "source", "root")


def parse_wishes(raw: bytes, path: str) -> Wishes:
    """What the file *path* says. Raises ConfigErrors that hold all that is wrong."""
    try:
        parsed = parse_yaml(raw, TEXTS)
    except ValueError as error:
        raise ConfigError(path, "", None, str(error)) from None
    if not isinstance(parsed.value, dict):
        raise ConfigError(path, "", None, "a mapping of keys is needed")
    known = wishes()
    wrong = [ConfigError(path, key, None, "no such key") for key in parsed.value if key not in known]
    wrong += [ConfigError(path, key, None, "stands there twice") for key in parsed.repeated_keys]
    found: dict[str, Any] = {}
    for key, wish in known.items():
        value = parsed.value[key] if key in parsed.value else _sample(wish)
        try:
            if key in NEEDED and key not in parsed.value:
                raise _Wrong("is needed")
            found[key] = wish.parse(value)
        except _Wrong as error:
            wrong.append(ConfigError(path, key, value, str(error)))
    if not wrong:
        made = Wishes(**found)
        wrong = [ConfigError(path, key, getattr(made, key), text) for key, text in _contradictions(made)]
        if not wrong:
            return made
    raise ConfigErrors(wrong[0].path, wrong[0].key, wrong[0].value, wrong[0].way_out, tuple(wrong))


def _sample(wish: Wish) -> Value:
    return parse_yaml(f"x: {wish.sample}".encode()).value["x"]  # type: ignore[index,call-overload]


def _contradictions(made: Wishes) -> list[tuple[str, str]]:
    found = []
    if bool(made.certificate) != bool(made.certificate_key):
        found.append(("certificate_key", "certificate and certificate_key are needed together"))
    if made.rsync_port == made.tier2_port:
        found.append(("tier2_port", "must differ from rsync_port"))
    if made.user in (made.rsync_user, "root"):
        found.append(("user", "must be neither root nor the user that serves"))
    if made.group == made.rsync_group:
        found.append(("rsync_group", "must differ from the synchronization's, which reads what is not released"))
    if (made.state + "/").startswith(made.root + "/") or (made.logs + "/").startswith(made.root + "/"):
        found.append(("state", "what is remembered and logged must not lie in the tree that is served"))
    if made.file_list_prefix and not made.file_list:
        found.append(("file_list_prefix", "means nothing without file_list"))
    if made.report and not made.report_token:
        found.append(("report_token", "the registry knows this mirror by a token"))
    if made.report and not made.categories:
        found.append(("categories", "the registry is told category by category"))
    return found


def check_answer(key: str, text: str) -> str | None:
    """What is wrong with *text* as an answer about *key*; None: nothing."""
    value: Value = {"yes": True, "no": False}.get(text, text) if wishes()[key].sample in ("yes", "no") else text
    try:
        wishes()[key].parse(value)
    except _Wrong as error:
        return str(error)
    return None


def render_file(answers: Mapping[str, str]) -> str:
    """A `mirror.yml` with *answers*, and sample values for what is not among them."""
    lines = [
        "# What this mirror is. `redirector mirror init` writes its files from this one; run it again after a change.\n"
    ]
    for key, wish in wishes().items():
        value = answers.get(key)
        shown = wish.sample if value is None else _quoted(value, wish)
        lines.append(f"\n# {wish.help}\n{key}: {shown}".rstrip() + "\n")
    return "".join(lines)


def _quoted(value: str, wish: Wish) -> str:
    if (
        wish.sample[:1] in ("[", "{")
        or wish.sample in ("yes", "no")
        or not value
        or re.fullmatch(r"[A-Za-z0-9/][A-Za-z0-9./:_-]*", value)
    ):
        return value
    return "'" + value.replace("'", "''") + "'"
