"""URLs as they may stand in headers, documents and lists, whatever an operator's files say."""

from __future__ import annotations

import re
from urllib.parse import quote

_IN_URLS = "!#$%&'()*+,/:;=?@[]~"
"""What a URL may hold besides letters, digits and `-._` (RFC 3986): all else would need quotes somewhere."""

_ORDINARY = re.compile(r"[A-Za-z0-9!#$%&'()*+,/:;=?@\[\]~._-]*")


def plain_url(url: str) -> str:
    """*url* with all that a URL cannot hold percent-encoded; `%` stays as it is. cost: 0.5 µs"""
    return url if _ORDINARY.fullmatch(url) else quote(url, safe=_IN_URLS)
