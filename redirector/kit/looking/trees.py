"""Trees that are explored from afar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redirector.health.evidence import Ask, Family, Outcome, Probe
from redirector.health.exchange import Question
from redirector.kit.exploring import Item, LocalTree, Tree
from redirector.kit.looking.tools import Tools, ports_of, quoted


def tree_at(where: str, tools: Tools, family: Family | None = None) -> Tree:
    """The tree below the folder or URL *where*, to be explored."""
    if "://" not in where:
        return LocalTree(where)
    url = where if where.endswith("/") else where + "/"
    return RsyncTree(url, tools, family) if url.startswith("rsync:") else WebTree(url, tools, family)


@dataclass(frozen=True, slots=True)
class _DistantTree:
    url: str
    tools: Tools
    family: Family | None = None

    def folder(self, path: str) -> Probe:
        """What asks for the names in the folder *path*."""
        return Probe("", "", Ask.FOLDER, self.url, path, family=self.family, ports=ports_of(self.url))


class WebTree(_DistantTree):
    """A tree by http, by its pages of links."""

    async def list(self, path: str) -> Sequence[Item]:
        [seen] = await self.tools.http.probe(self.folder(path))
        return [Item(each.path, each.folder) for each in seen.entries]

    async def read(self, path: str, limit_bytes: int) -> bytes | None:
        question = Question(self.url + quoted(path), limit_bytes, self.family, ports=ports_of(self.url))
        answer = await self.tools.http.fetch(question)
        return answer.body if answer.outcome is Outcome.OK and answer.complete and answer.status == 200 else None


class RsyncTree(_DistantTree):
    """A tree by rsync."""

    async def list(self, path: str) -> Sequence[Item]:
        [seen] = await self.tools.rsync.probe(self.folder(path))
        return [Item(each.path, each.folder) for each in seen.entries if "/" not in each.path]

    async def read(self, path: str, limit_bytes: int) -> bytes | None:
        _, body = await self.tools.rsync.attempt(
            self.url + path, ("--times",), family=self.family, ports=ports_of(self.url)
        )
        return body if body is not None and len(body) <= limit_bytes else None
