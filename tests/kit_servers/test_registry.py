"""A mirror and its registry, both real: reports of both forms, who may pull, what is left out, whom to pull from."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.health.mirrors import write
from tests.kit_servers.test_end_to_end import redirector

LINUX = "Example Linux"


@dataclass
class Registry:
    """`registry serve` as a process, and a distribution admin's token for it."""

    url: str
    token: str
    folder: Path

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, f"{self.url}/api/v1{path}", json=body) as answer,
        ):
            assert answer.status < 300, await answer.text()
            return await answer.json() if answer.content_type.endswith("json") else await answer.text()

    async def site(self, name: str) -> int:
        site = {"name": name, "url": "https://example.org/", "contacts": ["admins@example.org"], "pulled_by": "all"}
        number: int = (await self.ask("POST", "/sites", site))["id"]
        for action in ("ask", "approve"):
            await self.ask("POST", f"/sites/{number}/approval", {"action": action, "text": ""})
        return number

    async def host(self, site: int, name: str, **fields: Any) -> int:
        """A host that carries Example Linux, has rsync, and pulls from 8.8.8.8 and the like."""
        body = {"name": name, "country": "DE", "bandwidth_mbit": 1000, **fields}
        number: int = (await self.ask("POST", f"/sites/{site}/hosts", body))["id"]
        carried = {"category": LINUX, "always_current": True, "exclusions": ["*/debug/*", "8"]}
        await self.ask("POST", f"/hosts/{number}/categories", carried)
        for url in (f"http://{name}/linux/", f"rsync://{name}/linux/"):
            await self.ask("POST", f"/hosts/{number}/urls", {"category": LINUX, "url": url})
        return number

    async def secret(self, host: int, scope: str, name: str) -> str:
        """The file that holds a new token of *host*."""
        made = await self.ask("POST", f"/hosts/{host}/tokens", {"scope": scope})
        path = self.folder / name
        path.write_text(made["token"] + "\n")
        path.chmod(0o600)
        return str(path)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    database = ("--database", f"sqlite:///{tmp_path}/registry.db", "--config", str(tmp_path / "redirector.yml"))
    (tmp_path / "redirector.yml").write_text("url: https://mirrors.example.org\n")
    for words in (["init"], ["user", "chief", "--distribution-admin"]):
        code, said = await redirector("registry", *words, *database)
        assert code == 0, said
    code, token = await redirector("registry", "token", "chief", "--scope", "write", *database)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "redirector", "registry", "serve", "--web", "127.0.0.1:0", *database,
        stderr=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stderr is not None
    found = None
    while not (found := re.search(r"http://\S+", line := (await process.stderr.readline()).decode())):
        assert line
    made = Registry(found[0].rstrip("/"), token.strip(), tmp_path)
    await made.ask("POST", "/categories", {"name": LINUX, "top": "pub/linux", "product": "Example", "joinable": True})
    try:
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def write_kit(registry: Registry, folder: Path, **keys: Any) -> tuple[int, str]:
    """`mirror init`, with *keys* in its file beside those of a mirror of this registry."""
    folder.mkdir()
    own = {
        "name": "mirror.example.org", "source": "rsync://master.example.org/m/", "root": f"{registry.folder}/tree",
        "state": f"{registry.folder}/state", "logs": str(registry.folder), "report": registry.url,
        "categories": {LINUX: ""},
    }  # fmt: skip
    told = {key: value for key, value in {**own, **keys}.items() if value is not None}
    (folder / "mirror.yml").write_text(yaml.safe_dump(told))
    return await redirector("mirror", "init", str(folder), "--registered" if "read_token" in keys else "--json")


async def test_a_mirror_reports_and_learns(registry: Registry, tmp_path: Path) -> None:
    mine, theirs = await registry.site("Example Site"), await registry.site("Other Site")
    host = await registry.host(mine, "mirror.example.org", tier=1)
    other = await registry.host(theirs, "below.example.org", tier=2)
    await registry.ask("POST", f"/hosts/{other}/acl", {"address": "8.8.8.8"})
    write(tmp_path / "tree" / "9" / "os" / "repodata" / "repomd.xml", b"<repomd/>", int(time.time()))
    kit = tmp_path / "kit"
    code, said = await write_kit(
        registry, kit, staged=True, tier2=["192.0.2.7"], report_site="Example Site", interface="eth0",
        report_token=await registry.secret(host, "check-in", "token"),
        read_token=await registry.secret(host, "read", "read-token"),
    )  # fmt: skip
    assert code == 0, said

    # What it is registered to leave out stands in its files.
    assert {"/**/debug/**/", "/8/"} <= set((kit / "exclude").read_text().splitlines())
    assert "^8/" in (kit / "sync").read_text()

    # It reports, in both forms; what a token may not do is refused.
    code, said = await redirector("mirror", "report", "--kit", str(kit), "--json")
    assert code == 0 and LINUX in said, said
    code, said = await redirector("mirror", "report", "--old", "--kit", str(kit))
    assert code == 0 and "checked in successful" in said, said
    (tmp_path / "token").write_text("rdr_wrong\n")
    for form in ([], ["--old"]):
        code, said = await redirector("mirror", "report", *form, "--kit", str(kit))
        assert code == 1 and "did not take it" in said, said

    # Who may pull comes by a token of scope read alone.
    assert await acl_update(kit) == 0
    assert "hosts allow = 8.8.8.8 192.0.2.7\nhosts deny = *\n" in (kit / "tier2.acl").read_text()
    before = (kit / "tier2.acl").read_bytes()
    await registry.secret(host, "check-in", "read-token")
    assert await acl_update(kit) != 0 and (kit / "tier2.acl").read_bytes() == before

    # Bytes sent are told too.
    await registry.secret(host, "check-in", "token")
    day = {"date": {"year": 2026, "month": 11, "day": 8}, "rx": 5, "tx": 700}
    (tmp_path / "traffic").write_text(
        json.dumps({"jsonversion": "2", "interfaces": [{"name": "eth0", "traffic": {"day": [day]}}]})
    )
    code, said = await redirector("mirror", "report", "--traffic", str(tmp_path / "traffic"), "--kit", str(kit))
    assert code == 0, said


async def acl_update(kit: Path) -> int:
    process = await asyncio.create_subprocess_exec(str(kit / "acl-update"), stderr=asyncio.subprocess.DEVNULL)
    return await process.wait()


async def test_a_private_mirror_pulls_from_a_public_one(registry: Registry, tmp_path: Path) -> None:
    site = await registry.site("Example Site")
    await registry.host(site, "zero.example.org", tier=0, pulls_from="master")
    await registry.host(site, "one.example.org", tier=1, bandwidth_mbit=20000)
    kit = tmp_path / "kit"
    keys = {"private": True, "source": None, "report_token": str(tmp_path / "token"), "country": "DE"}
    code, said = await write_kit(registry, kit, **keys)
    assert code == 0, said
    assert "SOURCE=rsync://one.example.org/linux/" in (kit / "sync").read_text()
    assert "source: rsync://one.example.org/linux/" in (kit / "mirror.yml").read_text()
    code, said = await write_kit(registry, tmp_path / "other", **{**keys, "categories": {"None such": ""}})
    assert code == 1 and "name one as source" in said
    code, said = await write_kit(registry, tmp_path / "mute", private=True, report=None, categories=None)
    assert code == 2 and "report: nobody visits a private mirror" in said.replace("'': ", "")
