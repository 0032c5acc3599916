"""Mirrors for the rehearsal: each has an address of its own on loopback, gets what is pushed some seconds later, and
may die. One program is all of them.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

COUNT = 40
VERSION = "9.8"
REPOSITORIES = [f"{VERSION}/{name}/x86_64/os" for name in ("BaseOS", "AppStream", "CRB", "HighAvailability")]


@dataclass(slots=True)
class Mirrors:
    """A master's folder, a tree of mirror files beside it, and who has what.

    pushes  when each was made, and which files it brought
    delays  of each mirror, seconds
    """

    folder: Path
    port: int
    chance: random.Random
    pushes: list[tuple[float, dict[str, bytes]]] = field(default_factory=list)
    dead: set[int] = field(default_factory=set)
    delays: list[float] = field(default_factory=list)

    def write_tree(self) -> None:
        """The files that a crawl reads. They are JSON, which YAML is as well."""
        self.delays = sorted(self.chance.expovariate(1 / 25) for _ in range(COUNT))
        config = {
            "config_version": 3,
            "mirrors_dir": "mirrors.d",
            "versions": [VERSION],
            "arches": {VERSION: ["x86_64"]},
            "repos": [
                {"name": name.split("/")[1].lower(), "path": f"{name.split('/')[1]}/$basearch/os/"}
                for name in REPOSITORIES
            ],
            "primary": "../master",
        }
        (self.folder / "tree/mirrors.d").mkdir(parents=True)
        (self.folder / "tree/config.yml").write_text(json.dumps(config))
        for number in range(COUNT):
            name = f"m{number:02}.example.org"
            mirror = {
                "name": name,
                "address": {"http": f"http://127.1.0.{number + 1}:{self.port}/"},
                "update_frequency": "1h",
                "sponsor": "Example",
                "sponsor_url": "https://example.org",
                "geolocation": {"country": "DE"},
            }
            (self.folder / f"tree/mirrors.d/{name}.yml").write_text(json.dumps(mirror))

    def push(self, repositories: int) -> None:
        """The master gets news of so many of its repositories."""
        now = time.time()
        files = {"TIME": f"{now:.0f}\n".encode()}
        for name in REPOSITORIES[:repositories]:
            package = f"p-{now:.0f}.rpm"
            primary = (
                '<metadata xmlns="http://linux.duke.edu/metadata/common"><package type="rpm">'
                f'<time file="{now:.0f}" build="{now:.0f}"/><size package="100"/><location href="Packages/{package}"/>'
                "</package></metadata>"
            ).encode()
            files[f"{name}/Packages/{package}"] = b"r" * 100
            files[f"{name}/repodata/{now:.0f}-primary.xml"] = primary
            files[f"{name}/repodata/repomd.xml"] = (
                '<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">'
                f'<location href="repodata/{now:.0f}-primary.xml"/><timestamp>{now:.0f}</timestamp>'
                f"<size>{len(primary)}</size></data></repomd>"
            ).encode()
        self.pushes.append((now, files))
        for path, body in files.items():
            file = self.folder / "master" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)

    async def answer(self, request: web.Request) -> web.Response:
        """What the mirror at that address shows."""
        assert request.transport is not None
        number = int(request.transport.get_extra_info("sockname")[0].rpartition(".")[2]) - 1
        if number in self.dead:
            return web.Response(status=500)
        for pushed, files in reversed(self.pushes):
            first = pushed == self.pushes[0][0]
            if request.path[1:] in files and (first or pushed + self.delays[number] <= time.time()):
                return web.Response(body=files[request.path[1:]])
        return web.Response(status=404)


@contextlib.asynccontextmanager
async def serve(mirrors: Mirrors) -> AsyncIterator[None]:
    """Let all of them answer."""
    application = web.Application()
    application.router.add_get("/{path:.*}", mirrors.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", mirrors.port).start()
    try:
        yield
    finally:
        await runner.cleanup()
