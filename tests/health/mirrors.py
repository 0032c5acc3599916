"""A world of mirrors on loopback addresses: a master tree, and servers that show it, each in a way of its own."""

from __future__ import annotations

import gzip
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from aiohttp import web

ARCHES = ("x86_64", "aarch64")
REPOSITORIES = ("BaseOS", "AppStream")
VERSION = "9.8"


def repomd(stamp: int, revision: str = "", primary_size: int = 0) -> bytes:
    """An index with one `primary`, whose time is *stamp*."""
    return (
        f'<?xml version="1.0"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>{revision}</revision>'
        f'<data type="primary"><location href="repodata/{stamp}-primary.xml.gz"/>'
        f"<timestamp>{stamp}</timestamp><size>{primary_size}</size></data></repomd>\n"
    ).encode()


def primary_xml(package: str, stamp: int, size: int) -> bytes:
    return gzip.compress(
        f'<metadata xmlns="http://linux.duke.edu/metadata/common"><package type="rpm"><name>p</name>'
        f'<time file="{stamp}" build="{stamp}"/><size package="{size}"/><location href="Packages/{package}"/>'
        f"</package></metadata>".encode(),
        mtime=0,
    )


def push(tree: Path, name: str, stamp: int) -> None:
    """The repository *name* as a push at *stamp* leaves it; older packages stay."""
    package = f"p-{stamp}.rpm"
    primary = primary_xml(package, stamp, 100)
    write(tree / name / "Packages" / package, b"r" * 100, stamp)
    write(tree / name / "repodata" / f"{stamp}-primary.xml.gz", primary, stamp)
    write(tree / name / "repodata" / "repomd.xml", repomd(stamp, primary_size=len(primary)), stamp)


def write(path: Path, body: bytes, stamp: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    os.utime(path, (stamp, stamp))


def repositories(arches: tuple[str, ...] = ARCHES) -> list[str]:
    return [f"{VERSION}/{name}/{arch}/os" for name in REPOSITORIES for arch in arches]


def make_master(tree: Path, stamp: int, arches: tuple[str, ...] = ARCHES) -> None:
    """A master with every repository as of *stamp*."""
    for name in repositories(arches):
        push(tree, name, stamp)
    write(tree / "TIME", f"{stamp}\n".encode(), stamp)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(eq=False)
class Mirror:
    """One mirror: where it listens, what it has, how it behaves; and what it was asked.

    behaviour  answers instead of the tree, where it is given; may fall back on `serve_tree`
    """

    name: str
    address: str
    tree: Path
    behaviour: Handler | None = None
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}/"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, dict(request.headers)))
        return await (self.behaviour or self.serve_tree)(request)

    async def serve_tree(self, request: web.Request) -> web.StreamResponse:
        path = self.tree / request.path.lstrip("/")
        if not path.is_file():
            return web.Response(status=404, text="not here")
        stat = path.stat()
        etag = f'"{stat.st_mtime_ns}-{stat.st_size}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=path.read_bytes(), headers={"ETag": etag})


@dataclass(eq=False)
class World:
    """A tree of mirror files, the master, and the mirrors that are running."""

    folder: Path
    primary: Path
    mirrors: dict[str, Mirror] = field(default_factory=dict)
    arches: tuple[str, ...] = ARCHES

    def write_config(self, **changes: object) -> None:
        config = {
            "config_version": 3,
            "allowed_outdate": "12h",
            "mirrors_dir": "mirrors.d",
            "versions": ["9", VERSION],
            "duplicated_versions": {"9": VERSION},
            "arches": {"9": list(self.arches)},
            "repos": [{"name": name.lower(), "path": f"{name}/$basearch/os/"} for name in REPOSITORIES],
            "primary": "../primary",
            "health": "../health.json",
        } | changes
        kept = {key: value for key, value in config.items() if value is not None}
        (self.folder / "config.yml").write_text(yaml.safe_dump(kept))

    def write_mirror(self, mirror: Mirror, **changes: object) -> None:
        document = {
            "name": mirror.name,
            "address": {"http": mirror.url},
            "update_frequency": "3h",
            "sponsor": "Example",
            "sponsor_url": "https://example.org",
            "email": f"admin@{mirror.name}",
            "geolocation": {"country": "DE"},
        } | changes
        (self.folder / "mirrors.d" / f"{mirror.name}.yml").write_text(yaml.safe_dump(document))

    @property
    def health(self) -> Path:
        return self.folder.parent / "health.json"


async def start(stack: AsyncExitStack, mirror: Mirror) -> None:
    """Let *mirror* answer until *stack* is closed."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", mirror.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, mirror.address, mirror.port)
    await site.start()
    assert runner.addresses
    mirror.port = runner.addresses[0][1]


@asynccontextmanager
async def make_world(folder: Path, stamp: int, behaviours: Mapping[str, Handler | None]) -> AsyncIterator[World]:
    """A world whose master was pushed at *stamp*, with a mirror for each behaviour; all have the master's tree."""
    world = World(folder / "tree", folder / "primary")
    (world.folder / "mirrors.d").mkdir(parents=True)
    make_master(world.primary, stamp)
    async with AsyncExitStack() as stack:
        for number, (name, behaviour) in enumerate(behaviours.items(), 2):
            mirror = Mirror(f"{name}.example.net", f"127.0.0.{number}", world.primary, behaviour)
            await start(stack, mirror)
            world.mirrors[name] = mirror
            world.write_mirror(mirror)
        world.write_config()
        yield world
