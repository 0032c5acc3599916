"""Masters read over HTTP, and file lists from files: a server of our own on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from redirector.errors import MasterError
from redirector.master import web as master_web
from redirector.settings.masters import Reading, read_masters
from redirector.settings.option import Block
from tests.master.rig import START, Rig, make_repomd
from tests.master.test_filelist import make_list

REPOMD = "43/os/repodata/repomd.xml"


@dataclass(slots=True)
class Server:
    """Files by path, each with its own ETag; `asked` is what came for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    tags: bool = True
    cut: bool = False
    answer: Callable[[web.Request], web.StreamResponse | None] = lambda request: None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.cut:
            return await self._cut(request)
        response = self.answer(request) or self._file(request)
        self.asked.append((request.path.lstrip("/"), response.status))
        return response

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        """Half of what is promised."""
        raw = self.files[request.path.lstrip("/")]
        response = web.StreamResponse(headers={"Content-Length": str(len(raw))})
        await response.prepare(request)
        await response.write(raw[: len(raw) // 2])
        assert request.transport
        request.transport.close()
        return response

    def _file(self, request: web.Request) -> web.Response:
        raw = self.files.get(request.path.lstrip("/"))
        if raw is None:
            return web.Response(status=404, text="<html>404</html>")
        headers: Mapping[str, str] = {"ETag": f'"{hashlib.md5(raw).hexdigest()}"'} if self.tags else {}
        if self.tags and request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=raw, headers={**headers, "Last-Modified": "Sat, 14 Nov 2026 06:00:00 GMT"})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield server
    await runner.cleanup()


async def refusal(rig: Rig) -> str:
    before = rig.known
    with pytest.raises(MasterError) as caught:
        await rig.scan()
    assert rig.known is before
    return str(caught.value)


# File lists


def make_tree_list(raw: bytes, *others: str, sums: str = "") -> bytes:
    return make_list("1 d 0 linux", f"{START - 50} f {len(raw)} linux/{REPOMD}", *others, sums=sums)


async def test_a_list_in_a_file_is_read_with_the_files_beside_it(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "module")
    raw = make_repomd(START - 100)
    rig.write(f"linux/{REPOMD}", raw)
    place = rig.write("fullfiletimelist-linux", make_tree_list(raw, "5 f 1 archive/x"))
    rig.set(reading=Reading.LIST, where=str(place))
    contents = await rig.scan()
    assert [each.path for each in contents.directories] == [b"", b"43", b"43/os", b"43/os/repodata"]
    (version,) = rig.directory("43/os/repodata").versions[b"repomd.xml"]
    assert version.detail.sha256 == hashlib.sha256(raw).hexdigest() and version.seen == START - 100
    await rig.scan()
    assert rig.last is None
    os.utime(place, (1, 1))
    await rig.scan()
    assert rig.last and rig.last.changed == 0
    rig.write("fullfiletimelist-linux", make_tree_list(raw, "9 f 1 linux/new/x"))
    assert (await rig.scan()).generation == 2


async def test_without_the_files_the_list_s_checksums_do(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "module")
    sums = f"[Checksums SHA1]\n{'ab' * 20}\tlinux/{REPOMD}\n\n"
    place = rig.write("fullfiletimelist-linux", make_tree_list(b"x" * 80, sums=sums))
    rig.set(reading=Reading.LIST, where=str(place))
    await rig.scan()
    (version,) = rig.directory("43/os/repodata").versions[b"repomd.xml"]
    assert (version.detail.sha1, version.detail.sha256, version.detail.size_bytes) == ("ab" * 20, "", 80)


async def test_the_files_and_the_start_may_be_named(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "tree")
    raw = make_repomd(START)
    rig.write(f"fedora/core/{REPOMD}", raw)
    place = tmp_path / "list"
    place.write_bytes(make_list(f"7 f {len(raw)} fedora/core/{REPOMD}"))
    rig.set(reading=Reading.LIST, where=str(place), files=str(rig.folder), start="fedora/core")
    await rig.scan()
    assert rig.directory("43/os/repodata").versions
    rig.set(start="elsewhere")
    assert "nothing of pub/linux in it" in await refusal(rig)


async def test_a_list_at_a_url_is_fetched_when_it_changed(tmp_path: Path, server: Server) -> None:
    rig = Rig.make(tmp_path / "unused")
    raw = make_repomd(START - 100)
    server.files = {"pub/list": make_tree_list(raw), f"pub/linux/{REPOMD}": raw}
    rig.set(reading=Reading.LIST, where=f"{server.url}pub/list")
    await rig.scan()
    assert rig.directory("43/os/repodata").versions
    server.asked.clear()
    await rig.scan()
    assert rig.last is None and server.asked == [("pub/list", 304)]
    server.files["pub/list"] = make_tree_list(raw, "5 f 5 linux/43/os/new.rpm")
    server.asked.clear()
    assert (await rig.scan()).push == 2
    assert server.asked == [("pub/list", 200), ("pub/list", 200)]


async def test_a_server_without_tags_is_read_each_time(tmp_path: Path, server: Server) -> None:
    rig = Rig.make(tmp_path / "unused")
    server.files, server.tags = {"list": make_tree_list(b"")}, False
    rig.set(reading=Reading.LIST, where=f"{server.url}list")
    await rig.scan()
    await rig.scan()  # its Last-Modified is the same, and so it is as it was
    assert rig.last is None


async def test_a_list_that_cannot_be_had_whole_changes_nothing(tmp_path: Path, server: Server) -> None:
    rig = Rig.make(tmp_path / "unused")
    server.files = {"list": make_tree_list(b"")}
    rig.set(reading=Reading.LIST, where=f"{server.url}list")
    await rig.scan()
    good = server.files.pop("list")
    assert "status 404" in await refusal(rig)
    server.files["list"] = good.replace(b"[End]", b"")
    assert "it has no [End]" in await refusal(rig)
    server.files["list"] = b"<html>login</html>"
    assert "no section" in await refusal(rig)

    server.files["list"] = good
    server.cut = True
    assert "list" in await refusal(rig)


# Repositories by name


def make_named(server: Server, *rules: dict[str, str]) -> dict[str, object]:
    value = [{"category": "c", "top": "pub/linux", "http": server.url, "repositories": list(rules)}]
    (master,) = read_masters(Block("r.yml", "masters", value))  # type: ignore[arg-type]
    return {name: getattr(master, name) for name in ("reading", "where", "rules")}


RULE = {"match": r"(?P<version>42|43)/(?P<arch>os)", "prefix": "linux-{version}", "product": "Linux"}


async def test_repositories_by_name_are_read_over_http(tmp_path: Path, server: Server) -> None:
    rig = Rig.make(tmp_path / "unused")
    raw = make_repomd(START - 100)
    server.files = {REPOMD: raw, "42/os/repodata/repomd.xml": make_repomd(START - 900)}
    rig.set(**make_named(server, RULE))
    contents = await rig.scan()
    assert [(each.prefix, each.arch, each.path) for each in contents.repositories] == [
        ("linux-42", "os", b"42/os"),
        ("linux-43", "os", b"43/os"),
    ]
    (version,) = rig.directory("43/os/repodata").versions[b"repomd.xml"]
    assert version.detail.sha256 == hashlib.sha256(raw).hexdigest()
    assert version.listed == 1_794_636_000
    server.asked.clear()
    await rig.scan()
    assert rig.last is None and {status for _, status in server.asked} == {304}
    server.files[REPOMD] = make_repomd(START, "2")
    assert (await rig.scan()).push == 2


async def test_a_repository_that_is_not_there_is_none_until_it_comes(tmp_path: Path, server: Server) -> None:
    rig = Rig.make(tmp_path / "unused")
    server.files = {REPOMD: make_repomd(START)}
    rig.set(**make_named(server, RULE))
    assert len((await rig.scan()).repositories) == 1
    await rig.scan()
    assert rig.last is None
    server.files["42/os/repodata/repomd.xml"] = make_repomd(START)
    assert len((await rig.scan()).repositories) == 2
    server.files.clear()
    assert "empty" in await refusal(rig)


async def test_a_push_under_way_and_a_sick_server_change_nothing(tmp_path: Path, server: Server) -> None:
    rig = Rig.make(tmp_path / "unused")
    server.files = {REPOMD: make_repomd(START)}
    rig.set(**make_named(server, RULE))
    await rig.scan()
    server.files |= {".sync_in_progress": b"", REPOMD: make_repomd(START, "2")}
    assert "a push is under way" in await refusal(rig)
    del server.files[".sync_in_progress"]
    server.answer = lambda request: web.Response(status=503) if "43" in request.path else None
    assert "status 503" in await refusal(rig)
    server.answer = lambda request: web.Response(body=b"x" * (5 << 20)) if "43" in request.path else None
    assert "larger than 4 MiB" in await refusal(rig)


async def test_an_endless_or_dripping_answer_is_ended(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig.make(tmp_path / "unused")
    rig.set(**make_named(server, RULE))
    monkeypatch.setattr(master_web, "FILE_S", 0.5)

    class Drip(web.StreamResponse):
        async def write_eof(self, data: bytes = b"") -> None:
            while True:
                await self.write(b"x")
                await asyncio.sleep(0.01)

    server.answer = lambda request: Drip()
    assert "no whole answer in" in await refusal(rig)
    rig.set(where="http://127.0.0.1:9/")
    assert "127.0.0.1:9" in await refusal(rig)


async def test_a_flood_without_a_length_is_ended_at_the_bound(tmp_path: Path, server: Server) -> None:
    rig = Rig.make(tmp_path / "unused")
    rig.set(**make_named(server, RULE))
    sent = 0

    class Flood(web.StreamResponse):
        async def write_eof(self, data: bytes = b"") -> None:
            nonlocal sent
            while sent < 1 << 30:
                await self.write(bytes(1 << 20))
                sent += 1 << 20

    server.answer = lambda request: Flood()
    assert "larger than 4 MiB" in await refusal(rig)
    assert sent < 128 << 20
