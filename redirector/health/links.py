"""A directory as a web server shows it: a page of links."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

_LIMIT = 50_000
"""Names of one directory; the largest of a distribution hold some 30,000 packages."""


def parse_links(page: str) -> tuple[str, ...]:
    """Names in the directory that *page* shows, each once, folders closed by a slash.

    Links that lead anywhere but one step down are left out: the parent, orders of sorting, other servers, `..`.
    """
    reader = _Links()
    reader.feed(page)
    reader.close()
    return tuple(reader.names)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.names: dict[str, None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a" and len(self.names) < _LIMIT:
            for key, value in attrs:
                if key == "href" and value and (name := _name(value)):
                    self.names[name] = None


def _name(href: str) -> str | None:
    try:
        parts = urlsplit(href.strip())
    except ValueError:
        return None
    if parts.scheme or parts.netloc or parts.query or parts.fragment:
        return None
    path = parts.path.removeprefix("./")
    name = unquote(path.removesuffix("/"), errors="surrogateescape")
    if name in ("", ".", "..") or "/" in name or (not name.isprintable() and not _bytes_alone(name)):
        return None
    return name + "/" if path.endswith("/") else name


def _bytes_alone(name: str) -> bool:
    """Whether what cannot be printed in *name* are bytes that are no UTF-8, and no control characters."""
    return all(c.isprintable() or "\udc80" <= c <= "\udcff" for c in name)
