"""A look by http and https."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from urllib.parse import urljoin

from redirector.health.evidence import Outcome
from redirector.health.exchange import Fetched, Question
from redirector.health.plan import control_name
from redirector.kit.exploring import explore
from redirector.kit.finding import Finding
from redirector.kit.known import KnownFile
from redirector.kit.looking.looking import FILE_BYTES, INDEX_BYTES, LISTING_BYTES, OURS, Looking, span_of
from redirector.kit.looking.tools import DAY_S, ports_of, quoted
from redirector.kit.looking.trees import WebTree

REDIRECTED = (301, 302, 303, 307, 308)
TLS_FAILURES = {Outcome.TLS, Outcome.TLS_EXPIRED, Outcome.TLS_NAME, Outcome.TLS_UNTRUSTED}


class ByHttp(Looking):
    async def fetch(
        self, path: str, limit: int | None, *, span: tuple[int, int] | None = None, follow: bool = True
    ) -> Fetched:
        question = Question(
            self.url + quoted(path), limit, self.family, ports=ports_of(self.url), span=span, follow=follow
        )
        return await self.tools.http.fetch(question)

    async def findings(self) -> AsyncIterator[Finding]:
        if self.master.file is None and not self.master.marker:
            self.master = await explore(WebTree(self.url, self.tools, self.family), self.tools.now(), self.look.staged)
        known = self.master
        path = known.file.path if known.file else known.marker
        first = await self.fetch(path, self.first_bytes(path))
        async for finding in self.open_http(path, first):
            yield finding
        if self.lost:
            return
        for file in self.judge_known(path, first):
            yield file
        if known.index and known.named and first.outcome is Outcome.OK:
            named = await self.fetch(known.named.path, FILE_BYTES)
            for finding in self.judge_named(known.named, named, first):
                yield finding
        if known.marker:
            marker = await self.fetch(known.marker, 4096)
            if marker.outcome is Outcome.OK:
                for finding in self.judge_marker(known.marker, marker.body):
                    yield finding
            else:
                yield self.error("age", f"{known.marker}: {_reason(marker)}")
        async for finding in self.missing_by_http():
            yield finding
        async for finding in self.manners_by_http(path, first):
            yield finding
        async for finding in self.hidden_by_http(path):
            yield finding

    def first_bytes(self, path: str) -> int | None:
        """How much of the first answer is wanted: all that can be compared; None: nothing but its head."""
        if not path:
            return LISTING_BYTES
        if self.master.index:
            return INDEX_BYTES
        known = self.master.file
        return FILE_BYTES if known and known.sha256 and known.path == path else None

    async def open_http(self, path: str, first: Fetched) -> AsyncIterator[Finding]:
        """Whether it answers at all, from where, and with which certificate."""
        if first.outcome in TLS_FAILURES:
            self.lost = True
            yield self.error("certificate", first.finding)
            return
        if first.outcome in OURS:
            self.lost = True
            yield self.ok("answer", f"not looked at: {first.finding}")
            return
        if first.status is None:
            self.lost = True
            yield self.error("answer", _reason(first))
            plain = await self.fetch(path, None, follow=False)
            if plain.status in REDIRECTED:
                yield self.warning("redirect", f"{path or 'the folder'} is redirected to {plain.location}")
            return
        if first.outcome is Outcome.MISSING and path:
            yield self.error("answer", f"{path} is missing ({first.status})")
        elif first.outcome not in (Outcome.OK, Outcome.UNCHANGED):
            # What clients are refused, or cannot use, is no answer to them.
            self.lost = first.outcome is not Outcome.UNREADABLE
            yield self.error("redirect" if first.outcome is Outcome.REDIRECT else "answer", _reason(first))
        else:
            yield self.ok("answer", f"answers from {first.address}")
        if first.redirected or first.outcome is Outcome.OK:
            plain = await self.fetch(path, None, follow=False)
            if plain.status in REDIRECTED:
                text = f"{path or 'the folder'} is redirected to {plain.location}"
                downgraded = self.url.startswith("https:") and plain.location.startswith("http:")
                yield self.error("redirect", text) if downgraded else self.warning("redirect", text)
        if first.certificate_expires is not None:
            left = first.certificate_expires - self.tools.now()
            made = first.certificate_made or 0
            short = first.certificate_expires - made < 45 * DAY_S
            text = f"valid for {span_of(left)}"
            yield (
                self.warning("certificate", text)
                if left < (1 if short else 14) * DAY_S
                else self.ok("certificate", text)
            )

    def judge_known(self, path: str, first: Fetched) -> list[Finding]:
        known = self.master
        if first.outcome is not Outcome.OK or not path:
            return []
        if known.index and path == known.index.path:
            return self.judge_index(first.body)
        if known.file and path == known.file.path and known.file.size_bytes is not None:
            return self.judge_file(known.file, first.size_bytes, first.body if known.file.sha256 else None)
        return []

    def judge_named(self, named: KnownFile, answer: Fetched, first: Fetched) -> list[Finding]:
        """The file that the source's index names: on a mirror that has another index it need not be there."""
        current = self.master.index is not None and hashlib.sha256(first.body).hexdigest() == self.master.index.sha256
        if answer.outcome is Outcome.OK and answer.complete:
            found = self.judge_file(named, answer.size_bytes, answer.body)
            if answer.content_encoding and answer.content_encoding != "identity":
                text = f"{named.path} is sent as Content-Encoding {answer.content_encoding}: clients would unpack it"
                found.append(self.warning("encoding", text))
            return found
        if not current and answer.outcome is Outcome.MISSING:
            return []
        return [self.error("size", f"{named.path}, which the index names: {_reason(answer)}")]

    async def missing_by_http(self) -> AsyncIterator[Finding]:
        name = control_name(self.url, int(self.tools.now() // DAY_S))
        answer = await self.fetch(name, LISTING_BYTES, follow=False)
        text = f"what is not there is answered by {answer.status}"
        match answer.status:
            case 404:
                yield self.ok("missing", text)
            case 410:
                yield self.warning("missing", f"{text}: 404 is what clients know best")
            case None:
                yield self.error("missing", f"what is not there: {_reason(answer)}")
            case status if 200 <= status < 300:
                yield self.error("missing", f"{text}: clients take the page for the file (soft 404)")
            case 301 | 302 | 303 | 307 | 308:
                # A redirect to a page is followed by clients, whatever the page is called.
                target = urljoin(self.url + name, answer.location)
                end = await self.tools.http.fetch(
                    Question(target, LISTING_BYTES, self.family, ports=ports_of(self.url), follow=False)
                )
                soft = end.status is not None and 200 <= end.status < 300
                text = f"{text}, a redirect to {answer.location}"
                yield self.error("missing", f"{text} (soft 404)") if soft else self.warning("missing", text)
            case 401 | 403:
                yield self.warning("missing", f"{text}, as if it were forbidden")
            case status if status >= 500:
                yield self.error("missing", f"{text}: clients take the mirror for broken")
            case _:
                yield self.warning("missing", text)

    async def manners_by_http(self, path: str, first: Fetched) -> AsyncIterator[Finding]:
        """Types, caching, connections, parts."""
        known = self.master
        for file in (known.package, known.image):
            if file is None:
                continue
            answer = await self.fetch(file.path, None)
            if answer.outcome is not Outcome.OK:
                continue
            kind = answer.content_type.partition(";")[0].strip().lower()
            if kind == "application/octet-stream":
                yield self.ok("type", f"{file.path} is {kind}")
            else:
                yield self.warning("type", f"{file.path} is {kind or 'without a type'}, not application/octet-stream")
            if file is known.package and _must_ask_again(answer.cache_control):
                yield self.warning("cache", f"{file.path} never changes, and is sent with {answer.cache_control}")
        changing = known.index.path if known.index else known.marker
        answer = first if changing == path or not changing else await self.fetch(changing, None)
        if changing and answer.outcome is Outcome.OK:
            if _must_ask_again(answer.cache_control):
                yield self.ok("cache", f"{changing} is sent with {answer.cache_control}")
            else:
                text = f"Cache-Control: {answer.cache_control}" if answer.cache_control else "no Cache-Control"
                yield self.warning("cache", f"{changing} is sent with {text}: proxies hand out old metadata")
        if path and first.outcome is Outcome.OK:
            again = [await self.fetch(path, None) for _ in range(2)]
            if any(each.reused for each in again):
                yield self.ok("keep-alive", "a connection serves several requests")
            else:
                yield self.warning("keep-alive", "each request needs a connection of its own")
            part = await self.fetch(path, FILE_BYTES, span=(1, 8))
            if part.status == 206 and part.content_range.startswith("bytes 1-") and len(part.body) <= 8:
                yield self.ok("range", "a part of a file can be asked for")
            else:
                yield self.warning(
                    "range", f"a part of {path} is answered by {part.status or _reason(part)}, not by 206"
                )

    async def hidden_by_http(self, path: str) -> AsyncIterator[Finding]:
        shown = []
        for folder in self.master.staged:
            if await self.shows(folder + "/"):
                shown.append(folder)
        if shown:
            yield self.error("staged", f"what is not released yet is shown: {', '.join(shown)}")
        elif self.master.staged:
            yield self.ok("staged", f"{', '.join(self.master.staged)}: hidden")
        shown = []
        folders = dict.fromkeys(
            ("", path.rpartition("/")[0], (self.master.package or KnownFile("")).path.rpartition("/")[0])
        )
        for folder in folders:
            unfinished = f"{folder}/.~tmp~/".lstrip("/")
            if await self.shows(unfinished):
                shown.append(unfinished)
        yield (
            self.error("temporary", f"unfinished files are shown: {', '.join(shown)}")
            if shown
            else self.ok("temporary", "unfinished files are hidden")
        )

    async def shows(self, path: str) -> bool:
        """Whether something comes for *path* that does not come for what is not there."""
        answer = await self.fetch(path, LISTING_BYTES, follow=False)
        if answer.status != 200:
            return False
        control = await self.fetch(control_name(self.url, int(self.tools.now() // DAY_S)), LISTING_BYTES)
        return control.status != 200 or control.body != answer.body


def _must_ask_again(cache_control: str) -> bool:
    words = {each.strip().lower() for each in cache_control.split(",")}
    return bool(words & {"no-cache", "no-store", "max-age=0"})


def _reason(answer: Fetched) -> str:
    finding = answer.finding or (str(answer.status) if answer.status else "")
    text = finding or str(answer.outcome)
    return f"{text}; it came from {answer.redirected}" if answer.redirected else text
