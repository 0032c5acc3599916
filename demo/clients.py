"""Clients that ask all the time, from all over the world: curl, or Python where there is none; dnf where there is."""

from __future__ import annotations

import asyncio
import random
import shutil
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.tree import ARCH, RELEASES

PLACES = ("5.9.0.1", "8.8.8.8", "80.67.169.12", "133.11.0.1", "200.160.2.3", "41.0.0.1", "1.1.1.1", "193.0.6.139")
"""Addresses of several countries, for `X-Forwarded-For`: the demo's server trusts what comes from this machine."""


@dataclass(slots=True)
class Counts:
    """What clients saw.

    refused  mirrors that were first in a list and did not give the file: the client went on to the next
    failed   requests to which nothing, or no mirror, was the answer
    """

    lists: int = 0
    files: int = 0
    refused: int = 0
    failed: int = 0
    dnf: int = 0
    dnf_failed: int = 0


async def run(*command: str) -> tuple[int, str]:
    """How a program ended, and what it printed. It ends with whoever waits for it."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, start_new_session=True
    )
    try:
        printed, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, printed.decode(errors="replace")


async def get(url: str, headers: Mapping[str, str]) -> str | None:
    """What *url* gives; None when that is no success, or nothing within five seconds."""
    if shutil.which("curl") is not None:
        words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
        code, text = await run("curl", "-sf", "-m", "5", *words, url)
        return None if code else text
    request = urllib.request.Request(url, headers=dict(headers))

    def read() -> str | None:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return str(answer.read(), errors="replace")
        except OSError:
            return None

    return await asyncio.to_thread(read)


async def ask_for_ever(answers: str, counts: Counts, chance: random.Random, every_s: float) -> None:
    """A list, then an index from the first mirror that has it, as package managers do."""
    while True:
        release = chance.choice(RELEASES)
        agent = {"User-Agent": f"libdnf (Example Linux {release}; server; Linux.{ARCH})"}
        url = f"{answers}/mirrorlist?repo=example-{release}&arch={ARCH}&countme={chance.randint(1, 4)}"
        text = await get(url, agent | {"X-Forwarded-For": chance.choice(PLACES)}) or ""
        mirrors = [line for line in text.splitlines() if line.startswith("http")]
        counts.lists += 1
        for mirror in mirrors:
            if await get(f"{mirror}repodata/repomd.xml", agent) is not None:
                counts.files += 1
                break
            counts.refused += 1
        else:
            counts.failed += 1
        await asyncio.sleep(every_s)


async def run_dnf_for_ever(answers: str, folder: Path, counts: Counts, every_s: float) -> None:
    """dnf reads a metalink, and the repository from the mirrors in it; nothing where there is no dnf."""
    if shutil.which("dnf") is None:
        return
    repos = folder / "repos"
    for each in (repos, folder / "log"):  # without the second one it ends at once: its library makes none
        await asyncio.to_thread(each.mkdir, parents=True, exist_ok=True)
    text = (
        "[example]\nname=Example Linux\nenabled=1\ngpgcheck=0\ncountme=1\n"
        f"metalink={answers}/metalink?repo=example-$releasever&arch=$basearch\n"
    )
    await asyncio.to_thread((repos / "example.repo").write_text, text)
    while True:
        code, _ = await run(
            "dnf", "-q", "makecache", "--refresh", f"--releasever={RELEASES[-1]}", f"--forcearch={ARCH}",
            f"--installroot={folder / 'root'}", f"--setopt=reposdir={repos}", f"--setopt=cachedir={folder / 'cache'}",
            f"--setopt=logdir={folder / 'log'}", "--setopt=plugins=0",
        )  # fmt: skip
        counts.dnf += 1
        counts.dnf_failed += code != 0
        await asyncio.sleep(every_s)
