"""Check-ins as MirrorManager's clients send them."""

from __future__ import annotations

import base64
import bz2
import json
from typing import Any
from xml.sax.saxutils import escape

VECTOR = (
    "QlpoOTFBWSZTWS7o_TYAAJrfgEAAUAX0EAIACAA_59_KMADYthpRhGJtTT1DQAANU8UbU0eoDQAA0EppJqep6CNPU0NGT1NGm9w0QQgFSuMG"
    "DfBoqYZBBVfVbq3XbFZWteCYZS86Sp3TshI5VkUv8TvmGdjjBFWToGiOrXG2W2YQtixN37y6EHwsDggq7SD8Rb2QsFiipj9elGZGEAfi4NEE"
    "wUV7gGDy2iUvkG3oraZZQsKVJggRjYnGTiEHLWDM1PBiDw9VbRJ1jGoQykEUFdpoQ4_8XckU4UJAu6P02A=="
)
"""What `report_mirror` wrote for "Example Site", password "correct horse", host mirror.example.org: `fedora linux`."""

PICKLE = "QlpoOTFBWSZTWU1DWUwAAAJfgAAQAEFgAAAgAQAGIdkAIAAxTAATQp6jI0MyjN0OagbtCcmtEJfF3JFOFCQTUNZTAA=="
"""What versions of it did that wrote pickles."""


def config(*directories: str, category: str = "example linux", **changes: Any) -> dict[str, Any]:
    """A check-in of one category, before it is packed."""
    return {
        "version": 0,
        "global": {"enabled": "1", "server": "https://mirrors.example.org/xmlrpc"},
        "site": {"enabled": "1", "name": "Example Site", "password": "correct horse"},
        "host": {"enabled": "1", "name": "mirror.example.org"},
        "stats": {},
        category: {"enabled": "1", "dirtree": {name: {} for name in directories}},
        **changes,
    }


def pack(told: object) -> str:
    """base64 of bzip2 of JSON."""
    return pack_bytes(json.dumps(told).encode())


def pack_bytes(raw: bytes) -> str:
    return base64.urlsafe_b64encode(bz2.compress(raw, 1)).decode()


def call(text: str, method: str = "checkin") -> bytes:
    """The XML-RPC call, as Python's client writes it."""
    return (
        f"<?xml version='1.0'?>\n<methodCall>\n<methodName>{method}</methodName>\n<params>\n<param>\n"
        f"<value><string>{escape(text)}</string></value>\n</param>\n</params>\n</methodCall>\n"
    ).encode()
