"""A look by rsync."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from redirector.health.evidence import Ask, Outcome, Probe, printable
from redirector.health.plan import control_name
from redirector.health.rsync import RsyncRun
from redirector.kit.exploring import explore
from redirector.kit.finding import Finding
from redirector.kit.looking.looking import OURS, Looking
from redirector.kit.looking.tools import DAY_S, ports_of
from redirector.kit.looking.trees import RsyncTree


class ByRsync(Looking):
    async def findings(self) -> AsyncIterator[Finding]:
        tree = RsyncTree(self.url, self.tools, self.family)
        if self.master.file is None and not self.master.marker:
            self.master = await explore(tree, self.tools.now(), self.look.staged)
        known = self.master
        path = known.index.path if known.index else known.marker or (known.file.path if known.file else "")
        listed, body = await self.attempt(path, "--times") if path else (RsyncRun(0), None)
        if not path:
            [seen] = await self.tools.rsync.probe(self.probe(Ask.FOLDER))
            if seen.outcome is not Outcome.OK:
                yield self.answer_by_rsync(seen.outcome, seen.finding)
                return
            yield self.ok("answer", "answers")
        elif body is None:
            outcome, text = self.outcome_by_rsync(listed)
            if outcome is Outcome.MISSING:
                yield self.error("answer", f"{path} is missing")
            else:
                yield self.answer_by_rsync(outcome, text)
                return
        else:
            yield self.ok("answer", "answers")
            for finding in self.judge_index(body) if known.index else []:
                yield finding
        current = (
            body is not None and known.index is not None and hashlib.sha256(body).hexdigest() == known.index.sha256
        )
        if known.named and (current or known.index is None):
            listed, named = await self.attempt(known.named.path, "--times")
            if named is not None:
                for finding in self.judge_file(known.named, len(named), named):
                    yield finding
            else:
                yield self.error("size", f"{known.named.path}: {self.outcome_by_rsync(listed)[1]}")
        if known.marker:
            listed, marker = await self.attempt(known.marker, "--times")
            if marker is not None:
                for finding in self.judge_marker(known.marker, marker):
                    yield finding
            else:
                yield self.error("age", f"{known.marker}: {self.outcome_by_rsync(listed)[1]}")
        async for finding in self.manners_by_rsync(path):
            yield finding

    async def manners_by_rsync(self, path: str) -> AsyncIterator[Finding]:
        name = control_name(self.url, int(self.tools.now() // DAY_S))
        listed, _ = await self.attempt(name, "--times")
        if listed.status == 23:
            yield self.ok("missing", "what is not there is answered by rsync's code 23")
        else:
            yield self.warning("missing", f"what is not there is answered by rsync's code {listed.status}")
        shown = [each for each in self.master.staged if await self.lists(each)]
        if shown:
            yield self.error("staged", f"what is not released yet is shown: {', '.join(shown)}")
        elif self.master.staged:
            yield self.ok("staged", f"{', '.join(self.master.staged)}: hidden")
        folders = dict.fromkeys(("", path.rpartition("/")[0]))
        unfinished = [f"{each}/.~tmp~".lstrip("/") for each in folders]
        shown = [each for each in unfinished if await self.lists(each)]
        if shown:
            yield self.error("temporary", f"unfinished files are shown: {', '.join(shown)}")
        else:
            yield self.ok("temporary", "unfinished files are hidden")
        if path:
            listed, _ = await self.attempt(path, "--checksum", "--dry-run")
            if listed.status == 0:
                yield self.warning("checksum", "-c is not refused: one question can read the whole tree")
            elif "checksum" in listed.errors or "refuse" in listed.errors:
                yield self.ok("checksum", "-c is refused")
            else:
                yield self.warning(
                    "checksum", f"-c is answered by rsync's code {listed.status}: {_first(listed.errors)}"
                )
        listed, _ = await self.tools.rsync.attempt(
            self.url + ".redirector-check", ("--dry-run",), family=self.family, ports=ports_of(self.url), send=True
        )
        if listed.status == 0:
            yield self.error("write", "takes files from anybody")
        else:
            yield self.ok("write", "takes nothing")

    async def attempt(self, path: str, *options: str) -> tuple[RsyncRun, bytes | None]:
        return await self.tools.rsync.attempt(self.url + path, options, family=self.family, ports=ports_of(self.url))

    async def lists(self, path: str) -> bool:
        [seen] = await self.tools.rsync.probe(self.probe(Ask.FOLDER, path))
        return seen.outcome is Outcome.OK

    def probe(self, ask: Ask, path: str = "") -> Probe:
        return Probe("", "", ask, self.url, path, family=self.family, ports=ports_of(self.url))

    def outcome_by_rsync(self, listed: RsyncRun) -> tuple[Outcome, str]:
        if listed.ended is not None:
            return listed.ended, listed.finding or str(listed.ended)
        text = f"rsync's code {listed.status}: {_first(listed.errors)}"
        if listed.status == 23 and "No such file" in listed.errors:
            return Outcome.MISSING, "missing"
        if listed.status == 5:
            return (Outcome.BUSY if "max connections" in listed.errors else Outcome.DENIED), text
        return Outcome.NO_CONNECTION, text

    def answer_by_rsync(self, outcome: Outcome, text: str) -> Finding:
        if outcome in OURS:
            return self.ok("answer", f"not looked at: {text}")
        return self.warning("answer", f"busy: {text}") if outcome is Outcome.BUSY else self.error("answer", text)


def _first(text: str) -> str:
    return printable(next((line for line in text.splitlines() if line.strip()), ""))
