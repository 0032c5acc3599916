"""A look at one URL over one family: what is judged whatever it came by."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass

from redirector.counted import counted
from redirector.health.evidence import Family, Outcome, printable
from redirector.health.reading import read_index, read_marker
from redirector.kit.finding import Finding, Level
from redirector.kit.known import Known, KnownFile
from redirector.kit.looking.tools import DAY_S, Look, Tools

OURS = {Outcome.NO_ROUTE, Outcome.OURS, Outcome.UNASKED}
INDEX_BYTES = 4 << 20
LISTING_BYTES = 4 << 20
FILE_BYTES = 64 << 20


@dataclass(slots=True)
class Looking(ABC):
    """A look at one URL over one family."""

    url: str
    name: str
    family: Family
    master: Known
    look: Look
    tools: Tools
    lost: bool = False

    @abstractmethod
    def findings(self) -> AsyncIterator[Finding]:
        """What is found, as it is found."""

    def say(self, check: str, level: Level, text: str) -> Finding:
        return Finding(self.url, check, level, f"{self.name}: {printable(text)}")

    def ok(self, check: str, text: str) -> Finding:
        return self.say(check, Level.OK, text)

    def warning(self, check: str, text: str) -> Finding:
        return self.say(check, Level.WARNING, text)

    def error(self, check: str, text: str) -> Finding:
        return self.say(check, Level.ERROR, text)

    def judge_file(self, file: KnownFile, size: int | None, body: bytes | None) -> list[Finding]:
        """Size and checksum of a file that never changes under its name."""
        found = []
        if file.size_bytes is not None and size is not None:
            right = size == file.size_bytes
            text = f"{file.path} has {size:,} bytes" + ("" if right else f" instead of {file.size_bytes:,}")
            found.append(self.ok("size", text) if right else self.error("size", text))
        if file.sha256 is not None and body is not None:
            right = hashlib.sha256(body).hexdigest() == file.sha256
            text = f"{file.path} {'is' if right else 'is not'} what its checksum says"
            found.append(self.ok("hash", text) if right else self.error("hash", text))
        return found

    def judge_index(self, body: bytes) -> list[Finding]:
        """The mirror's index: the source's, or how much older."""
        index = self.master.index
        assert index is not None
        if hashlib.sha256(body).hexdigest() == index.sha256:
            return [
                self.ok("size", f"{index.path} has {len(body):,} bytes"),
                self.ok("hash", f"{index.path} is the source's"),
                *(
                    []
                    if self.master.marker_time is not None
                    else [self.ok("age", "current: it has the source's newest index")]
                ),
            ]
        if body[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
            return [self.error("hash", f"{index.path} is a page for people")]
        own, theirs = read_index(index.path, body)[0], self.master.index_time
        if own is None:
            return [self.error("hash", f"{index.path} is not the source's, and cannot be read")]
        if theirs is None or own == theirs:
            return [self.error("hash", f"{index.path} is not the source's, though as old")]
        if own > theirs:
            return [self.warning("hash", f"{index.path} is newer than the source's: the source changed just now")]
        late = self.tools.now() - theirs
        text = f"{index.path} is an older one: it lacks what the source has for {span_of(late)}"
        found = [self.error("age", text) if late > self.look.outdate_s else self.judge_lag("age", late, text)]
        return found

    def judge_lag(self, check: str, late: float, text: str) -> Finding:
        often = self.look.frequency_s
        if late > self.look.outdate_s:
            return self.error(check, text)
        if often is not None and late > 2 * often + 3600:
            return self.warning(check, f"{text}; it announces to synchronize every {span_of(often)}")
        return self.ok(check, text)

    def judge_marker(self, path: str, body: bytes) -> list[Finding]:
        """How far the mirror's time stamp is behind the source's, or behind now."""
        text, time = read_marker(path, body, self.tools.now())
        if self.master.marker_time is None and self.master.marker_text:
            same = text == self.master.marker_text
            return [
                self.ok("age", f"{path} is the source's")
                if same
                else self.warning("age", f"{path} is not the source's: {text}")
            ]
        if time is None:
            return [self.error("age", f"{path} holds no time: {text or 'empty'}")]
        reference = self.master.marker_time
        late = max(0.0, (self.tools.now() if reference is None else reference) - time)
        behind = "" if reference is None else " behind the source"
        return [self.judge_lag("age", late, f"{path} is {span_of(late)}{behind or ' old'}")]


def span_of(seconds: float) -> str:
    """A time that people can read: `40 min`, `3 h`, `12 days`."""
    if seconds < 5400:
        return f"{max(0, seconds) / 60:.0f} min"
    if seconds < 2 * DAY_S:
        return f"{seconds / 3600:.0f} h"
    return counted(round(seconds / DAY_S), "days")
