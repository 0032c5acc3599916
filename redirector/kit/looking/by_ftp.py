"""A look by ftp."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from urllib.parse import unquote, urlsplit

from redirector.health.evidence import Family
from redirector.health.plan import control_name
from redirector.kit.finding import Finding
from redirector.kit.ftp import Ftp, FtpError
from redirector.kit.known import KnownFile
from redirector.kit.looking.looking import FILE_BYTES, INDEX_BYTES, Looking
from redirector.kit.looking.tools import DAY_S, PORTS


class ByFtp(Looking):
    async def findings(self) -> AsyncIterator[Finding]:
        parts = urlsplit(self.url)
        port = parts.port or PORTS["ftp"]
        safety = self.tools.safety
        addresses = [
            each
            for each in await self.tools.resolve(parts.hostname or "")
            if (each.version == 4) == (self.family is Family.IPV4)
        ]
        allowed = [each for each in addresses if safety.refusal(each, port, {port}) is None]
        if not allowed:
            yield self.error("answer", f"{addresses[0]}: address is not public")
            return
        try:
            async with Ftp(allowed[0], port, lambda other: other >= 1024) as ftp:
                yield self.ok("answer", f"answers from {allowed[0]}")
                async for finding in self.look_by_ftp(ftp, unquote(parts.path)):
                    yield finding
        except FtpError as error:
            yield self.error("answer", str(error))

    async def look_by_ftp(self, ftp: Ftp, base: str) -> AsyncIterator[Finding]:
        known = self.master
        current = False
        if known.index:
            code, text, body = await ftp.fetch(base + known.index.path, INDEX_BYTES)
            if body is None:
                yield self.error("answer", f"{known.index.path}: {code} {text}")
            else:
                current = hashlib.sha256(body).hexdigest() == known.index.sha256
                for finding in self.judge_index(body):
                    yield finding
        if known.named and (current or known.index is None):
            code, text, body = await ftp.fetch(base + known.named.path, FILE_BYTES)
            if body is None:
                yield self.error("size", f"{known.named.path}: {code} {text}")
            else:
                for finding in self.judge_file(known.named, len(body), body):
                    yield finding
        if known.marker:
            code, text, body = await ftp.fetch(base + known.marker, 4096)
            if body is None:
                yield self.error("age", f"{known.marker}: {code} {text}")
            else:
                for finding in self.judge_marker(known.marker, body):
                    yield finding
        name = control_name(self.url, int(self.tools.now() // DAY_S))
        code, text, body = await ftp.fetch(base + name, 4096)
        if code == 550:
            yield self.ok("missing", "what is not there is answered by 550")
        elif body is not None:
            yield self.error("missing", "what is not there is answered by a file (soft 404)")
        else:
            yield self.warning("missing", f"what is not there is answered by {code} {text}, not by 550")
        if known.staged:
            shown = [each for each in known.staged if (await ftp.say(f"CWD {base}{each}"))[0] == 250]
            yield (
                self.error("staged", f"what is not released yet is shown: {', '.join(shown)}")
                if shown
                else self.ok("staged", f"{', '.join(known.staged)}: hidden")
            )
        folders = dict.fromkeys(("", (known.index or KnownFile("")).path.rpartition("/")[0]))
        unfinished = [f"{each}/.~tmp~".lstrip("/") for each in folders]
        shown = [each for each in unfinished if (await ftp.say(f"CWD {base}{each}"))[0] == 250]
        yield (
            self.error("temporary", f"unfinished files are shown: {', '.join(shown)}")
            if shown
            else self.ok("temporary", "unfinished files are hidden")
        )
