"""Base URLs of mirrors: four schemes, written in many ways."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from redirector.plain_yaml import Value
from redirector.sources.fields import read_mapping, read_text
from redirector.sources.problems import Report, show

_LIMIT_CHARACTERS = 2048
"""Package managers take lines of up to 4,095 bytes (`docs/clients.md`); a repository's path follows the base."""

_URL = re.compile(
    r"(?P<scheme>http|https|ftp|rsync)://"
    r"(?:(?P<user>[A-Za-z0-9._~-]+)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?)"
    r"(?P<port>:[0-9]{0,5})?"
    r"(?P<path>/[A-Za-z0-9._~!&'()*+,;=:@%/-]*)?"
)
"""RFC 3986 without query and fragment, behind which no path can follow, and `$`, which package managers expand."""

_RSYNC_MODULE = re.compile(r"(?:rsync://)?(?P<host>(?:[A-Za-z0-9._~-]+@)?[A-Za-z0-9._-]+)::/?(?P<module>.*)")
"""rsync's own notation, `host::module`."""

_SCHEME = re.compile(r"(?P<scheme>https?|ftp|rsync) *(?P<mark>[:;.]+ *[/\\]+|[/\\]{2,}|:(?![0-9:])) *", re.IGNORECASE)
"""A scheme as people write it: one slash or three, no colon or another mark, blanks, backslashes."""

_NO_HOSTS = frozenset({"http", "https", "none", "null", "nil", "nan", "undefined", "true", "false"})
"""What stands where a host should when a template or a hand slipped."""


def parse_base_url(text: str, scheme: str) -> str:
    """*text* as a base URL without trailing slash; *scheme* counts where it names none.

    A slip in the scheme is repaired where there is one reading; see `is_slip`.

    raises  ValueError with a reason
    """
    if len(text) > _LIMIT_CHARACTERS:
        raise ValueError(f"longer than {_LIMIT_CHARACTERS} characters")
    text = mend_scheme(text, scheme)
    head, separator, rest = text.partition("://")
    match = _URL.fullmatch(head.lower() + separator + rest)
    if match is None:
        raise ValueError("not a base URL of http, https, ftp or rsync")
    if match["user"] and match["scheme"] != "rsync":
        raise ValueError("names a user")
    refuse_odd_host(match["host"])
    if "://" in (match["path"] or ""):
        raise ValueError("a second URL stands in its path")
    port = (match["port"] or "").removeprefix(":")
    if port and not 0 < int(port) < 65536:
        raise ValueError("no such port")
    path = re.sub("/{2,}", "/", match["path"] or "").rstrip("/")
    user = f"{match['user']}@" if match["user"] else ""
    return f"{match['scheme']}://{user}{match['host']}{':' + port if port else ''}{path}"


def mend_scheme(text: str, scheme: str) -> str:
    """*text* with one scheme in front, spelled right; *scheme* where it names none.

    raises  ValueError where it names several, or where nothing behind a slip looks like a host
    """
    if module := _RSYNC_MODULE.fullmatch(text):
        return f"rsync://{module['host']}/{module['module']}"
    schemes, rest = _split_schemes(text)
    if len(schemes) > 1:
        raise ValueError(f"names the schemes {' and '.join(schemes)}")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", rest):
        raise ValueError("not a base URL of http, https, ftp or rsync")
    mended = f"{schemes[0] if schemes else scheme}://{rest}"
    if module := _RSYNC_MODULE.fullmatch(mended):
        return f"rsync://{module['host']}/{module['module']}"
    if is_slip(text) and not re.match(r"(\[|[^/]*[.:])|localhost(/|$)", rest):
        raise ValueError("not a base URL of http, https, ftp or rsync")
    return mended


def is_slip(text: str) -> bool:
    """Whether *text* names a scheme, or none, in a way that URLs do not: what it means is guessed."""
    if _RSYNC_MODULE.fullmatch(text):
        return False
    schemes, rest = _split_schemes(text)
    return not (schemes and text.lower() == f"{schemes[0]}://{rest}".lower())


def _split_schemes(text: str) -> tuple[tuple[str, ...], str]:
    """The schemes in front of *text*, each once, however they are written; and what follows them."""
    schemes: dict[str, None] = {}
    rest = text
    while match := _SCHEME.match(rest):
        schemes[match["scheme"].lower()] = None
        rest = rest[match.end() :]
        if match["mark"].endswith("\\"):
            rest = rest.replace("\\", "/")
    return tuple(schemes), re.sub(r"^:?/{2,}", "", rest) if not schemes else rest


def refuse_odd_host(host: str) -> None:
    """Raise ValueError for what stands where a host should, and can be none."""
    if host.startswith("["):
        IPv6Address(host[1:-1])
    elif host.lower().rstrip(".") in _NO_HOSTS:
        raise ValueError(f"{host} is no host")
    elif re.fullmatch(r"[0-9.]+", host):
        IPv4Address(host)


def host_of(url: str) -> str:
    """The host name or address in a base URL, lower case, without brackets."""
    match = _URL.match(url)
    return match["host"].strip("[]").lower() if match else ""


def authority_of(url: str) -> str:
    """Host and port in a base URL, as written."""
    return url.partition("://")[2].partition("/")[0]


@dataclass(frozen=True, slots=True)
class BaseUrls:
    """Base URLs of one mirror, best understood first.

    guessed  those that were repaired from a slip: they come after the others
    """

    urls: tuple[str, ...] = ()
    guessed: frozenset[str] = frozenset()


def read_base_urls(report: Report, prefix: str, value: Value) -> BaseUrls:
    """Base URLs from a mapping scheme -> URL, in its order.

    The URL's own scheme counts: one that is filed under another key is taken over if it says something new.
    """
    bases: dict[str, str] = {}
    strays: list[tuple[str, str, str]] = []
    guessed: set[str] = set()
    for name, raw in read_mapping(report, prefix, value).items():
        key = f"{prefix}.{name}"
        url = _read_base_url(report, key, name, raw)
        if url is None:
            continue
        scheme = url.partition("://")[0]
        if isinstance(raw, str) and is_slip(" ".join(raw.split())):
            guessed.add(url)
        if scheme == name:
            bases[scheme] = url
        else:
            strays.append((key, scheme, url))
    for key, scheme, url in strays:
        if scheme in bases and (bases[scheme] not in guessed or url in guessed):
            report.warning(key, f"{show(url)} is {scheme}, of which there is one already: left out")
        else:
            report.warning(key, f"{show(url)} is {scheme}: taken as such")
            bases[scheme] = url
    found = dict.fromkeys(bases.values())
    return BaseUrls(tuple(sorted(found, key=lambda url: url in guessed)), frozenset(guessed.intersection(found)))


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
    _warn_of_mending(report, key, text, url)
    return url


def _warn_of_mending(report: Report, key: str, text: str, url: str) -> None:
    """Say that *text* was read as *url*, where they differ in more than slashes and the scheme's case."""
    _, separator, rest = text.rstrip("/").partition("://")
    if re.sub("/{2,}", "/", rest) != url.partition("://")[2] or not separator:
        report.warning(key, f"{show(text)}: taken as {url}")


def read_web_url(report: Report, key: str, value: Value) -> str | None:
    """One base URL of http or https; None when absent or something else (reported)."""
    text = read_text(report, key, value)
    if text is None:
        return None
    try:
        url = parse_base_url(text, "https")
    except ValueError as error:
        report.error(key, f"{show(text)}: {error}: left out")
        return None
    if not url.startswith("http"):
        report.error(key, f"{show(text)} is neither http nor https: left out")
        return None
    _warn_of_mending(report, key, text, url)
    return url
