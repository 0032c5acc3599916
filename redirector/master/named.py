"""A master of which only an HTTP server is known: the repositories that its rules name, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from redirector.errors import MasterError
from redirector.master.gathering import Gathering, compile_exclude
from redirector.master.merging import Content
from redirector.master.reading import Progress, Read
from redirector.master.web import Fetched, Web, join_url
from redirector.settings.masters import Master
from redirector.store.directories import Packed

UNDER_WAY = b".sync_in_progress"
REPOMD = "/repodata/repomd.xml"


class Named:
    """Reads the `repomd.xml` of each repository that the rules of *master* name."""

    def __init__(self, master: Master, now: int) -> None:
        self._master = master
        self._now = now
        self._found: dict[bytes, Content] = {}
        paths = dict.fromkeys(path.strip("/") for rule in master.rules for path in rule.list_paths() or ())
        self._urls = {join_url(master.where, f"{path}{REPOMD}".encode()): path.encode() for path in paths}

    async def check(self, known: Packed, validator: bytes) -> bool:
        try:
            validators: dict[str, str] = json.loads(validator)
        except ValueError:
            return False
        if not all(validators.values()):
            return False
        async with Web(self._master.where) as web:
            answers = await self._ask(web, validators)
        return all(
            answers[url].status == 304 if url in validators else answers[url].status in (404, 410) for url in self._urls
        )

    async def _ask(self, web: Web, known: Mapping[str, str]) -> dict[str, Fetched]:
        answers = await web.get_all(list(self._urls), known)
        for url, answer in answers.items():
            web.refuse_status(url, answer.status)
        return answers

    async def read(self, known: Packed | None, progress: Progress) -> Read:
        gathering = Gathering(self._master.where, compile_exclude(self._master.exclude))
        async with Web(self._master.where) as web:
            mark = await web.get(join_url(self._master.where, UNDER_WAY))
            if mark.status == 200 and b"<" not in (mark.body or b"")[:1000]:
                raise MasterError(self._master.where, f"a push is under way ({UNDER_WAY.decode()})", "scan later")
            answers = await self._ask(web, {})
        validators = {}
        for url, answer in answers.items():
            if answer.body is None:
                continue
            path = self._urls[url] + REPOMD.encode()
            time = str(answer.time or self._now).encode()
            gathering.take([(time, b"f", str(len(answer.body)).encode(), path)])
            self._found[path] = answer.body
            validators[url] = answer.validator
            progress(gathering.entries)
        return Read(list(gathering.finish(b"")), json.dumps(validators).encode())

    async def fetch(self, paths: Sequence[bytes]) -> Mapping[bytes, Content]:
        return {path: self._found[path] for path in paths if path in self._found}
