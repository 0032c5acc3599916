"""The health file: what a checker found out about the mirrors (`docs/almalinux.md`, section 7)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from redirector.sources.problems import Report, list_some, show

HEALTH_LIMIT_BYTES = 16 << 20

STALE_S = 2 * 3600.0
"""A checker runs every 15 minutes; what it said two hours ago is no longer news."""


@dataclass(frozen=True, slots=True)
class Health:
    """What is known about one mirror; the defaults say that nothing is.

    versions  the versions that it has, as the checker names them; None: all
    """

    up: bool = True
    reason: str = ""
    versions: frozenset[str] | None = None
    ipv4: bool | None = None
    ipv6: bool | None = None


def parse_health(report: Report, raw: bytes, written: float, now: float, mirrors: Collection[str]) -> dict[str, Health]:
    """Mirror name -> its health; empty, with a warning, when the file is not to be believed.

    written  the file's mtime, which counts where `checked` is missing
    mirrors  names of the tree's mirrors; others are reported
    """
    try:
        document = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        report.warning("file", f"no JSON ({error}): health is ignored")
        return {}
    entries = document.get("mirrors", {}) if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        report.warning("mirrors", "no object of mirrors: health is ignored")
        return {}
    checked = document.get("checked", written)
    if not _is_number(checked):
        report.warning("checked", f"{show(checked)} is no time: health is ignored")
        return {}
    if abs(now - checked) > STALE_S:
        report.warning("checked", f"{_utc(checked)} is not within 2 h of now: health is ignored")
        return {}
    strangers = sorted(name for name in entries if name not in mirrors)
    if strangers:
        report.warning("mirrors", f"no such mirror: {list_some(strangers)}: left out")
    found = {name: _read_entry(report, name, entry) for name, entry in entries.items() if name in mirrors}
    down = sum(not health.up for health in found.values())
    if down * 2 > len(mirrors):
        report.warning("mirrors", f"{down} of {len(mirrors)} mirrors down is not believable: health is ignored")
        return {}
    return found


def _read_entry(report: Report, name: str, entry: object) -> Health:
    if not isinstance(entry, dict):
        report.warning(f"mirrors.{name}", f"{show(entry)} is no object: left out")
        return Health()

    def take(key: str, right: Callable[[object], bool], what: str) -> object:
        value = entry.get(key)
        if value is None or right(value):
            return value
        report.warning(f"mirrors.{name}.{key}", f"{show(value)} is no {what}: left out")
        return None

    up = take("up", lambda value: isinstance(value, bool), "boolean") is not False
    since, reason = take("since", _is_number, "time"), take("reason", lambda value: isinstance(value, str), "text")
    versions = take("versions", _is_texts, "list of texts")
    ipv4, ipv6 = (take(key, lambda value: isinstance(value, bool), "boolean") for key in ("ipv4", "ipv6"))
    return Health(
        up=up,
        reason="" if up else _down_reason(since, reason),
        versions=frozenset(versions) if isinstance(versions, list) else None,
        ipv4=ipv4 if isinstance(ipv4, bool) else None,
        ipv6=ipv6 if isinstance(ipv6, bool) else None,
    )


def _down_reason(since: object, reason: object) -> str:
    words = " ".join(reason.split())[:200] if isinstance(reason, str) else ""
    text = "".join(mark for mark in words if mark.isprintable())
    when = f"since {_utc(since)}" if isinstance(since, int | float) else ""
    return ", ".join(filter(None, (text, when)))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _utc(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return show(seconds)


def lacking(health: Mapping[str, Health], spellings: Collection[str]) -> frozenset[str]:
    """Mirrors whose health names `versions`, but none of the *spellings* of one version."""
    return frozenset(
        name for name, known in health.items() if known.versions is not None and known.versions.isdisjoint(spellings)
    )
