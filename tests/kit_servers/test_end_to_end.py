"""From a fresh folder to a list that has the mirror in it, by commands alone and with the programs that mirrors run."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import yaml

from tests.health.mirrors import World
from tests.kit.rig import daemon
from tests.kit_servers.servers import REPOSITORY, make_trees, program
from tests.patience import free_port


async def redirector(*arguments: str) -> tuple[int, str]:
    """Exit code, and what was said on standard output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "redirector", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    said, complaints = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode() + (complaints.decode() if process.returncode else "")


async def test_a_fresh_folder_becomes_a_mirror_that_clients_are_sent_to(tmp_path: Path) -> None:
    with make_trees(int(time.time()) - 3600) as trees:
        folder = trees.folder
        rsync, web = free_port(), free_port()
        config = folder / "master.conf"
        owner = "uid = root\ngid = root\n" if os.getuid() == 0 else ""
        master = free_port()
        config.write_text(f"use chroot = no\n{owner}[m]\npath = {trees.master}\n")
        kit = folder / "new-kit"
        assert (await redirector("mirror", "init", str(kit)))[0] == 0
        keys = yaml.safe_load((kit / "mirror.yml").read_text())
        keys |= {
            "source": f"rsync://127.0.0.1:{master}/m/", "root": f"{folder}/served", "path": "/pub/", "grace_s": 0,
            "state": f"{folder}/state", "logs": str(folder), "rsync_port": rsync,
            "urls": [f"http://127.0.0.1:{web}/pub/", f"rsync://127.0.0.1:{rsync}/served/"],
        }  # fmt: skip
        (kit / "mirror.yml").write_text(yaml.safe_dump(keys))
        assert (await redirector("mirror", "init", str(kit)))[0] == 0
        async with daemon(config, master):
            process = await asyncio.create_subprocess_exec(str(kit / "sync"), stdout=asyncio.subprocess.DEVNULL)
            assert await process.wait() == 0
            assert (folder / "served" / REPOSITORY / "repodata" / "repomd.xml").exists()
            public = folder / "public.conf"
            public.write_text((kit / "rsyncd.conf").read_text().replace("/run/", f"{folder}/run-"))
            server = folder / "web.conf"
            text = (kit / "nginx.conf").read_text().replace("/var/log/nginx", str(folder))
            text = text.replace("listen 80;", f"listen 127.0.0.1:{web};").replace("listen [::]:80;", "")
            user = "user www-data;" if os.getuid() == 0 else ""
            server.write_text(
                f"daemon off; {user} pid {folder}/pid; error_log {folder}/error; events {{}}\n"
                f"http {{ include /etc/nginx/mime.types; {text} }}\n"
            )
            async with daemon(public, rsync), program("nginx", "-c", server, port=web):
                code, said = await redirector(
                    "mirror", "check", "--kit", str(kit), "--master", str(trees.master),
                    "--allow-address", "127.0.0.0/8",
                )  # fmt: skip
                assert code == 0, said
                assert "age: ok" in said and "staged: ok" in said and "checksum: ok" in said
                await crawled_and_listed(tmp_path, trees.master, web)
        assert "Unknown Parameter" not in (folder / "rsyncd.log").read_text()


async def crawled_and_listed(folder: Path, master: Path, port: int) -> None:
    """A crawl finds it well, and an answer has it."""
    (folder / "tree" / "mirrors.d").mkdir(parents=True)
    (folder / "primary").symlink_to(master)
    world = World(folder / "tree", folder / "primary", arches=("x86_64",))
    world.write_config()
    document = {
        "name": "new.example.org", "address": {"http": f"http://127.0.0.1:{port}/pub/"}, "update_frequency": "3h",
        "sponsor": "Example", "sponsor_url": "https://example.org", "email": "admin@example.org",
        "geolocation": {"country": "DE"},
    }  # fmt: skip
    (folder / "tree" / "mirrors.d" / "new.example.org.yml").write_text(yaml.safe_dump(document))
    code, said = await redirector(
        "crawl", "--once", "--source", str(folder / "tree"), "--allow-address", "127.0.0.0/8",
        "--database", f"sqlite:///{folder}/health.db",
    )  # fmt: skip
    assert code == 0, said
    told = json.loads((folder / "health.json").read_text())["mirrors"]["new.example.org"]
    assert (told["up"], told["state"], told["lag_s"]) == (True, "ok", 0)
    code, said = await redirector(
        "explain", "/mirrorlist/9/baseos?arch=x86_64", "--client", "192.0.2.1", "--source", str(folder / "tree")
    )
    assert code == 0 and f"http://127.0.0.1:{port}/pub/9.8/BaseOS/x86_64/os/" in said, said
