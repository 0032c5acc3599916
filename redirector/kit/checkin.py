"""What a mirror reports of itself after a synchronization: bodies for today's registry and the old one."""

from __future__ import annotations

import base64
import bz2
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xmlrpc.client import Fault, dumps, loads

from redirector.errors import FormatError

REPOMD_LIMIT_BYTES = 4 << 20
DAYS = 40
"""Of traffic that are told: a registry that was away for a month misses nothing."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What lies below a category's folder.

    directories  below it, "" itself
    repomd       path of each `repomd.xml` -> SHA-256
    """

    directories: tuple[str, ...]
    repomd: Mapping[str, str] = field(default_factory=dict)


def look_at(root: str) -> Carried:
    """What lies below the folder *root*. Raises OSError where it cannot be read."""
    directories, repomd = [], {}
    if not os.path.isdir(root):
        raise NotADirectoryError(f"{root} is not there")
    for path, folders, files in os.walk(root):
        folders[:] = sorted(each for each in folders if each not in (".~tmp~", "lost+found"))
        below = os.path.relpath(path, root)
        below = "" if below == "." else below
        if _told(below):
            directories.append(below)
        if "repomd.xml" in files and path.endswith("/repodata"):
            with open(os.path.join(path, "repomd.xml"), "rb") as file:
                raw = file.read(REPOMD_LIMIT_BYTES)
            if _told(below):
                repomd[f"{below}/repomd.xml"] = hashlib.sha256(raw).hexdigest()
    return Carried(tuple(directories), repomd)


def _told(path: str) -> bool:
    """Whether *path* can stand in a report: names that are no UTF-8 cannot."""
    try:
        return len(path.encode()) <= 1024
    except UnicodeEncodeError:
        return False


def parse_traffic(raw: bytes, interface: str) -> dict[str, int]:
    """Bytes sent a day, `2026-11-28`, from what `vnstat --json d` says of *interface*. Raises FormatError.

    It counts bytes since its version 2; version 1 counted KiB, which its `jsonversion` tells.
    """
    try:
        told = json.loads(raw)
        unit = 1024 if str(told.get("jsonversion", "2")) == "1" else 1
        [found] = [each for each in told["interfaces"] if each.get("name", each.get("id")) == interface]
        days = found["traffic"].get("day", found["traffic"].get("days"))
        sent = {
            f"{each['date']['year']:04}-{each['date']['month']:02}-{each['date']['day']:02}": int(each["tx"]) * unit
            for each in days
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"not what vnstat --json d says of {interface}: {error}") from None
    return dict(sorted(sent.items())[-DAYS:])


def render_report(
    host: str, finished: int | None, carried: Mapping[str, Carried], traffic: Mapping[str, int]
) -> dict[str, Any]:
    """The body of `POST check-in`.

    finished  when the synchronization ended, epoch seconds; None: the report is about traffic alone
    """
    body: dict[str, Any] = {"host": host}
    if finished is not None:
        body["finished"] = finished
        body["categories"] = {
            name: {"directories": list(each.directories), "repomd": dict(each.repomd)} for name, each in carried.items()
        }
    if traffic:
        body["traffic"] = dict(traffic)
    return body


def render_old_report(server: str, site: str, host: str, token: str, carried: Mapping[str, Carried]) -> bytes:
    """The call of `checkin` as MirrorManager's `report_mirror` makes it; *token* stands where its password stood."""
    told: dict[str, Any] = {
        "version": 0,
        "global": {"enabled": "1", "server": server},
        "site": {"enabled": "1", "name": site, "password": token},
        "host": {"enabled": "1", "name": host},
        "stats": {},
    }
    for name, each in carried.items():
        told[name.lower()] = {"enabled": "1", "dirtree": {path: {} for path in each.directories}}
    packed = base64.urlsafe_b64encode(bz2.compress(json.dumps(told).encode()))
    return dumps((packed.decode(),), "checkin").encode()


def read_old_answer(raw: bytes) -> tuple[bool, str]:
    """Whether the check-in was taken, and what the server said."""
    try:
        values, _ = loads(raw)
    except Fault as fault:
        return False, fault.faultString
    except Exception as error:  # the parser's own, of several modules
        return False, f"no answer of XML-RPC: {error}"
    text = str(values[0]) if values else ""
    return "successful" in text, text
