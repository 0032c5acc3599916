"""Base URLs of mirrors: four schemes, written in many ways."""

from __future__ import annotations

import re
from ipaddress import IPv6Address

from redirector.plain_yaml import Value
from redirector.sources.fields import read_mapping, read_text
from redirector.sources.problems import Report, show

SCHEMES = ("http", "https", "ftp", "rsync")

_LIMIT_CHARACTERS = 2048
"""Package managers take lines of up to 4,095 bytes (`docs/clients.md`); a repository's path follows the base."""

_URL = re.compile(
    r"(?P<scheme>http|https|ftp|rsync)://"
    r"(?:(?P<user>[A-Za-z0-9._~-]+)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]+)"
    r"(?P<port>:[0-9]{0,5})?"
    r"(?P<path>/[A-Za-z0-9._~!&'()*+,;=:@%/-]*)?"
)
"""RFC 3986 without query and fragment, behind which no path can follow, and `$`, which package managers expand."""

_RSYNC_MODULE = re.compile(r"(?:rsync://)?(?P<host>(?:[A-Za-z0-9._~-]+@)?[A-Za-z0-9._-]+)::/?(?P<module>.*)")
"""rsync's own notation, `host::module`."""


def parse_base_url(text: str, scheme: str) -> str:
    """*text* as a base URL without trailing slash; *scheme* counts where it names none.

    raises  ValueError with a reason
    """
    if len(text) > _LIMIT_CHARACTERS:
        raise ValueError(f"longer than {_LIMIT_CHARACTERS} characters")
    if module := _RSYNC_MODULE.fullmatch(text):
        text = f"rsync://{module['host']}/{module['module']}"
    elif "://" not in text:
        text = f"{scheme}://{text}"
    head, separator, rest = text.partition("://")
    match = _URL.fullmatch(head.lower() + separator + rest)
    if match is None:
        raise ValueError("not a base URL of http, https, ftp or rsync")
    if match["user"] and match["scheme"] != "rsync":
        raise ValueError("names a user")
    if match["host"].startswith("["):
        IPv6Address(match["host"][1:-1])
    port = (match["port"] or "").removeprefix(":")
    if port and not 0 < int(port) < 65536:
        raise ValueError("no such port")
    path = re.sub("/{2,}", "/", match["path"] or "").rstrip("/")
    user = f"{match['user']}@" if match["user"] else ""
    return f"{match['scheme']}://{user}{match['host']}{':' + port if port else ''}{path}"


def host_of(url: str) -> str:
    """The host name or address in a base URL, lower case, without brackets."""
    match = _URL.match(url)
    return match["host"].strip("[]").lower() if match else ""


def authority_of(url: str) -> str:
    """Host and port in a base URL, as written."""
    return url.partition("://")[2].partition("/")[0]


def read_base_urls(report: Report, prefix: str, value: Value) -> tuple[str, ...]:
    """Base URLs from a mapping scheme -> URL, in its order.

    The URL's own scheme counts: one that is filed under another key is taken over if it says something new.
    """
    bases: dict[str, str] = {}
    strays: list[tuple[str, str, str]] = []
    for name, raw in read_mapping(report, prefix, value).items():
        key = f"{prefix}.{name}"
        url = _read_base_url(report, key, name, raw)
        if url is None:
            continue
        scheme = url.partition("://")[0]
        if scheme == name:
            bases[scheme] = url
        else:
            strays.append((key, scheme, url))
    for key, scheme, url in strays:
        if scheme in bases:
            report.warning(key, f"{show(url)} is {scheme}, of which there is one already: left out")
        else:
            report.warning(key, f"{show(url)} is {scheme}: taken as such")
            bases[scheme] = url
    return tuple(bases.values())


def _read_base_url(report: Report, key: str, name: str, raw: Value) -> str | None:
    text = read_text(report, key, raw)
    if text is None:
        if raw is None or raw == "":
            report.warning(key, "empty: left out")
        return None
    try:
        url = parse_base_url(text, name)
    except ValueError as error:
        report.error(key, f"{show(text)}: {error}: left out")
        return None
    _, separator, rest = text.rstrip("/").partition("://")
    if re.sub("/{2,}", "/", rest) != url.partition("://")[2] or not separator:
        report.warning(key, f"{show(text)}: taken as {url}")
    return url
