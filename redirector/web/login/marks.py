"""What a browser holds, and what follows from it: cookies, tokens of forms. Pure."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlsplit

DEVICE_S = 365 * 86_400
"""How long a browser is known that has logged in once."""

_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


@dataclass(frozen=True, slots=True)
class Marks:
    """Names and signatures.

    key     of this registry, 32 bytes
    secure  pages are reached by https: cookies go nowhere else then
    """

    key: bytes = field(repr=False)
    secure: bool

    def cookie(self, name: str) -> str:
        """The cookie's whole name; `__Host-` keeps other hosts of the domain from setting it."""
        return f"__Host-{name}" if self.secure else name

    def sign(self, purpose: str, text: str) -> str:
        """What only we can say of *text*."""
        return hmac.new(self.key, f"{purpose}\0{text}".encode(), sha256).hexdigest()

    def form_token(self, mark: str) -> str:
        """What forms carry for the browser or session that *mark* stands for."""
        return self.sign("form", mark)

    def device(self, account: int, chance: str) -> str:
        """A cookie that says: this browser has logged in as *account*."""
        return f"{account}.{chance}.{self.sign('device', f'{account}.{chance}')}"

    def knows_device(self, cookie: str, account: int) -> bool:
        """Whether the browser has logged in as *account* before."""
        number, _, rest = cookie.partition(".")
        chance, _, signature = rest.partition(".")
        return number == str(account) and self.agrees(signature, self.sign("device", f"{number}.{chance}"))

    @staticmethod
    def agrees(told: str, right: str) -> bool:
        """Compared in a time that says nothing."""
        return hmac.compare_digest(told.encode(), right.encode())


def is_same_origin(headers: Mapping[str, str], host: str, url: str) -> bool:
    """Whether a form was sent from one of our own pages; what says nothing of where it is from was not.

    host  that was asked
    url   where people reach the pages; "" when the operator did not say
    """
    told = headers.get("Origin") or headers.get("Referer") or ""
    try:
        parts = urlsplit(told)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
        return False
    own = urlsplit(url) if url else None
    if own is not None and (parts.scheme, parts.netloc.lower()) == (own.scheme, own.netloc.lower()):
        return True
    return parts.netloc.lower() == host.lower()


def safe_target(text: str, usual: str) -> str:
    """A path of ours to go to; anything that could lead elsewhere becomes *usual*."""
    return text if len(text) <= 2000 and _PATH.fullmatch(text) else usual
