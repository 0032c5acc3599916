"""Values of `mirror.yml`: how each is read, and what is said of one that cannot be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from redirector.plain_yaml import Value
from redirector.settings.mail import is_mail_address

KINDS = ("rpm", "deb", "plain")

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE | re.ASCII)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_EVERY = re.compile(r"([1-9][0-9]{0,2})(min|h|d)")
_MODULE = re.compile(r"[a-z0-9][a-z0-9._-]{0,50}")
_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_ODD = re.compile(r"[\"'`$%\\#*?\[\]{}<>|;&!]")
"""What means something in one of the files that a folder's name is written into."""

_DELETIONS = re.compile(r"([1-9][0-9]?|100)%|[0-9]{1,9}")
_CATEGORY_LIMIT = 255


class Wrong(Exception):
    """A value that cannot be; its text says what would be right."""


def parse_text(value: Value) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not value.isprintable() or len(value) > 1000:
        raise Wrong("one line of text is needed")
    return value


def parse_host_name(value: Value) -> str:
    text = parse_text(value)
    if not _NAME.fullmatch(text) or len(text) > 253:
        raise Wrong("a host name is needed, such as mirror.example.org")
    return text.lower()


def parse_kind(value: Value) -> str:
    text = parse_text(value)
    if text not in KINDS:
        raise Wrong("must be rpm, deb or plain")
    return text


def parse_folder(value: Value) -> str:
    text = re.sub("^/+", "/", parse_text(value))
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
        raise Wrong("an absolute folder is needed, such as /srv/mirror/example")
    if _ODD.search(text) or any(part != part.strip() or part.startswith("-") for part in path.parts):
        raise Wrong(
            "a folder is needed whose name has no quotation marks, blanks at its ends, or any of $%#*?[]{}<>|;&!"
        )
    return str(path)


def parse_folder_or_none(value: Value) -> str:
    return parse_folder(value) if parse_text(value) else ""


def parse_url_path(value: Value) -> str:
    text = parse_text(value)
    if not re.fullmatch(r"/([A-Za-z0-9._~+-]+/)*", text) or ".." in text.split("/"):
        raise Wrong("a path of URLs is needed, closed by a slash, such as /example/")
    return text


def parse_source(value: Value) -> str:
    text = parse_text(value)
    try:
        parts = urlsplit(text)
        named = parts.scheme == "rsync" and bool(parts.hostname) and len(parts.path) > 1 and parts.port != 0
    except ValueError:
        named = False
    if not named or "@" in text or ".." in text.split("/") or any(mark in text for mark in " ?#*["):
        raise Wrong("rsync://HOST/MODULE/ is needed, without user and password")
    return text.rstrip("/") + "/"


def parse_source_or_none(value: Value) -> str:
    return parse_source(value) if parse_text(value) else ""


def parse_module(value: Value) -> str:
    text = parse_text(value)
    if text and not _MODULE.fullmatch(text):
        raise Wrong("small letters, digits, dots and dashes are needed")
    return text


def parse_interface(value: Value) -> str:
    text = parse_text(value)
    if text and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}", text):
        raise Wrong("the name of a network interface is needed, such as eth0")
    return text


def parse_country(value: Value) -> str:
    text = parse_text(value)
    if text and not re.fullmatch("[A-Za-z]{2}", text):
        raise Wrong("a country of two letters is needed, such as DE")
    return text.upper()


def parse_login_or_none(value: Value) -> str:
    text = parse_text(value)
    if text and not _LOGIN.fullmatch(text):
        raise Wrong("the name of a user of rsync is needed")
    return text


def parse_logins(value: Value) -> tuple[str, ...]:
    found = parse_texts(value)
    for each in found:
        if not _LOGIN.fullmatch(each):
            raise Wrong(f"{each!r}: the name of a user of rsync is needed")
    return tuple(dict.fromkeys(found))


def parse_mail_or_none(value: Value) -> str:
    text = parse_text(value)
    if text and not is_mail_address(text):
        raise Wrong("a mail address is needed, such as mirror-admins@example.org")
    return text


def parse_mirror_urls(value: Value) -> tuple[str, ...]:
    found = parse_texts(value)
    for each in found:
        try:
            parts = urlsplit(each)
            good = parts.scheme in ("http", "https", "rsync", "ftp") and bool(parts.hostname) and "@" not in each
        except ValueError:
            good = False
        if not good or " " in each:
            raise Wrong(f"{each!r}: a URL of http, https, rsync or ftp is needed, without user and password")
    return found


def parse_below(value: Value) -> str:
    """A path below the tree; "" for none."""
    text = parse_text(value)
    parts = text.strip("/").split("/")
    if text and (text.startswith(("/", "-")) or not {"", ".", ".."}.isdisjoint(parts) or _ODD.search(text)):
        raise Wrong(
            "a path below the tree is needed, without a slash in front, and without any of \"'`$%\\#*?[]{}<>|;&!"
        )
    return text.strip("/")


def parse_folder_prefix(value: Value) -> str:
    text = parse_below(value)
    return text + "/" if text else ""


def parse_user(value: Value) -> str:
    text = parse_text(value)
    if not _USER.fullmatch(text):
        raise Wrong("the name of a user or group is needed")
    return text


def parse_every(value: Value) -> str:
    text = parse_text(value)
    found = _EVERY.fullmatch(text)
    if not found or not 600 <= _seconds_of(found) <= 86400:
        raise Wrong("10min to 1d is needed, such as 3h")
    return text


def seconds_of(text: str) -> int:
    """Seconds of `10min`, `3h`, `1d`. Raises ValueError for anything else."""
    found = _EVERY.fullmatch(text)
    if not found:
        raise ValueError(text)
    return _seconds_of(found)


def _seconds_of(found: re.Match[str]) -> int:
    return int(found[1]) * {"min": 60, "h": 3600, "d": 86400}[found[2]]


def parse_whole(least: int, most: int) -> Callable[[Value], int]:
    def parse(value: Value) -> int:
        text = parse_text(value)
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise Wrong(f"a whole number from {least:,} to {most:,} is needed")
        return int(text)

    return parse


def parse_yes_or_no(value: Value) -> bool:
    if not isinstance(value, bool):
        raise Wrong("must be yes or no")
    return value


def parse_deletions(value: Value) -> str:
    text = parse_text(value)
    if not _DELETIONS.fullmatch(text):
        raise Wrong("a share or a number of files is needed, such as 50% or 20000")
    return text


def parse_texts(value: Value) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise Wrong("a list of texts is needed")
    return tuple(parse_text(each) for each in value)


def parse_patterns(value: Value) -> tuple[str, ...]:
    found = parse_texts(value)
    for each in found:
        if each.startswith(("#", ";", "+ ", "- ", "!")) or "[" in each or "\\" in each or each.strip("/*") == "":
            raise Wrong(f"{each!r}: a pattern of names is needed; it may hold *, ** and ?, and begin or end with /")
    return found


def parse_folders_below(value: Value) -> tuple[str, ...]:
    return tuple(filter(None, map(parse_below, parse_texts(value))))


def parse_networks(value: Value) -> tuple[str, ...]:
    found = parse_texts(value)
    for each in found:
        try:
            network = ip_network(each)
        except ValueError as error:
            raise Wrong(f"{each!r}: an address or network is needed: {error}") from None
        if network.prefixlen < 8:
            raise Wrong(f"{each!r}: that is nearly everybody; leave it out to let everybody in")
    return found


def parse_web_url(value: Value) -> str:
    return _parse_url(value, without="?", example="https://mirrors.example.org").rstrip("/")


def parse_hook_url(value: Value) -> str:
    return _parse_url(value, without="#", example="https://example.org/hook?mirror=1")


def _parse_url(value: Value, without: str, example: str) -> str:
    """A URL of the web that names nobody; *without*: the sign of the part that it may not have, `?` or `#`."""
    text = parse_text(value)
    try:
        parts = urlsplit(text)
        left_out = parts.query if without == "?" else parts.fragment
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not left_out and "@" not in text
        good = good and parts.port != 0
    except ValueError:
        good = False
    if text and (not good or " " in text):
        raise Wrong(f"a URL is needed, such as {example}")
    return text


def parse_categories(value: Value) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Wrong("a mapping of categories to folders of the tree is needed; the folder of all is empty")
    for each in value:
        if not each or not each.isprintable() or len(each) > _CATEGORY_LIMIT:
            raise Wrong(f"{each!r}: the name of a category is needed")
    return {name: parse_below(folder) for name, folder in value.items()}
