"""Trees that are explored from afar."""

from __future__ import annotations

from collections.abc import Sequence

from redirector.health.evidence import Ask, Family, Outcome, Probe
from redirector.health.exchange import Question
from redirector.kit.exploring import Folder, Item, Place
from redirector.kit.looking.tools import Tools, ports_of, quoted


def place_of(where: str, tools: Tools, family: Family | None = None) -> Place:
    """The folder or URL *where*, to be explored."""
    if "://" not in where:
        return Folder(where)
    url = where if where.endswith("/") else where + "/"
    return RsyncPlace(url, tools, family) if url.startswith("rsync:") else WebPlace(url, tools, family)


class WebPlace:
    """A tree by http, by its pages of links."""

    def __init__(self, url: str, tools: Tools, family: Family | None = None) -> None:
        self._url = url
        self._tools = tools
        self._family = family

    async def list(self, path: str) -> Sequence[Item]:
        probe = Probe("", "", Ask.FOLDER, self._url, path, family=self._family, ports=ports_of(self._url))
        [seen] = await self._tools.http.probe(probe)
        return [Item(each.path, each.folder) for each in seen.entries]

    async def read(self, path: str, limit_bytes: int) -> bytes | None:
        question = Question(self._url + quoted(path), limit_bytes, self._family, ports=ports_of(self._url))
        answer = await self._tools.http.fetch(question)
        return answer.body if answer.outcome is Outcome.OK and answer.complete and answer.status == 200 else None


class RsyncPlace:
    """A tree by rsync."""

    def __init__(self, url: str, tools: Tools, family: Family | None = None) -> None:
        self._url = url
        self._tools = tools
        self._family = family

    async def list(self, path: str) -> Sequence[Item]:
        probe = Probe("", "", Ask.FOLDER, self._url, path, family=self._family, ports=ports_of(self._url))
        [seen] = await self._tools.rsync.probe(probe)
        return [Item(each.path, each.folder) for each in seen.entries if "/" not in each.path]

    async def read(self, path: str, limit_bytes: int) -> bytes | None:
        _, body = await self._tools.rsync.attempt(
            self._url + path, ("--times",), family=self._family, ports=ports_of(self._url)
        )
        return body if body is not None and len(body) <= limit_bytes else None
