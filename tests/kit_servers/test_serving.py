"""What the kit's servers do beside what `mirror check` asks: images for accelerators, and passwords for tier 2."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.kit.rig import write_kit
from tests.kit_servers.servers import NAME, Trees, apache, make_trees, nginx, program, replace
from tests.kit_servers.test_end_to_end import redirector
from tests.patience import free_port

NOW = 1_794_000_000
IMAGE_BYTES = 256 << 20


@pytest.fixture
def trees() -> Iterator[Trees]:
    with make_trees(NOW) as made:
        yield made


@asynccontextmanager
async def asked(url: str, path: str, *headers: str) -> AsyncIterator[int]:
    """The status of the answer, of which no more is read: it is under way for as long as this is open."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection("127.0.0.1", at.port, limit=1 << 14)
    lines = [f"GET {at.path}{path} HTTP/1.1", f"Host: {NAME}", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    try:
        yield int((await reader.readline()).split()[1])
    finally:
        writer.close()


def with_qos(text: str) -> str:
    """Apache with mod_qos, which `.ci/install` unpacks: as a package it would be loaded into every Apache here."""
    module = Path(__file__).parents[2] / "build/libapache2-mod-qos/usr/lib/apache2/modules/mod_qos.so"
    return f"LoadFile /usr/lib/x86_64-linux-gnu/libpcre.so.3\nLoadModule qos_module {module}\n{text}"


Serve = Callable[[Trees], AbstractAsyncContextManager[str]]


@pytest.mark.parametrize("serve", [nginx, lambda trees: apache(trees, with_qos)], ids=["nginx", "apache"])
async def test_a_client_has_six_connections_for_images_and_any_number_for_packages(trees: Trees, serve: Serve) -> None:
    with (trees.mirror / "9.8" / "isos" / "big.iso").open("wb") as file:
        file.truncate(IMAGE_BYTES)
    with (trees.mirror / "9.8" / "big.rpm").open("wb") as file:
        file.truncate(IMAGE_BYTES)
    async with serve(trees) as url, AsyncExitStack() as stack:
        image, package = "9.8/isos/big.iso", "9.8/big.rpm"
        # Parts are what accelerators ask for, and what resuming needs: they are answered as such.
        part = f"Range: bytes=0-{IMAGE_BYTES - 2}"
        first = [await stack.enter_async_context(asked(url, image, part)) for _ in range(6)]
        assert first == [206] * 6
        async with asked(url, image) as seventh, asked(url, image, "Range: bytes=5-9") as eighth:
            assert (seventh, eighth) == (429, 429)
        packages = [await stack.enter_async_context(asked(url, package)) for _ in range(8)]
        assert packages == [200] * 8


async def rsync(*arguments: str, password: Path | None = None) -> tuple[int, str]:
    """Exit code, and what was said."""
    secret = [] if password is None else [f"--password-file={password}"]
    process = await asyncio.create_subprocess_exec(
        "rsync", "--contimeout=20", *secret, *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@asynccontextmanager
async def tier_2_daemon(trees: Trees, **keys: str) -> AsyncIterator[int]:
    """The kit's second daemon, with its files written by the command; its port."""
    port = free_port()
    kit = trees.folder / "kit"
    write_kit(kit, {"root": str(trees.mirror), "logs": str(trees.folder), "staged": "yes", **keys})
    code, said = await redirector("mirror", "init", str(kit))
    assert code == 0, said
    text = (kit / "rsyncd-tier2.conf").read_text().replace("/run/", f"{trees.folder}/run-")
    text = replace("gid = mirror", f"gid = {os.getgid()}")(text)
    config = trees.folder / "tier2.conf"
    config.write_text(text)
    command = ("rsync", "--daemon", "--no-detach", f"--config={config}", f"--port={port}")
    async with program(*command, port=port):
        yield port
    assert "Unknown Parameter" not in (trees.folder / "rsyncd-tier2.log").read_text()


def secret(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


async def test_tier_2_comes_by_address_or_with_a_password(trees: Trees, tmp_path: Path) -> None:
    async with tier_2_daemon(trees, tier2="[192.0.2.1]", tier2_users="[alice]") as port:
        secrets = trees.folder / "kit" / "tier2.secrets"
        assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
        [password] = [line.partition(":")[2] for line in secrets.read_text().splitlines() if line.startswith("alice:")]
        right, wrong = secret(tmp_path, "right", password), secret(tmp_path, "wrong", "guessed")
        at = f"127.0.0.1:{port}"
        assert (await rsync(f"rsync://{at}/mirror/"))[0] == 5
        assert (await rsync(f"rsync://{at}/mirror-password/"))[0] == 5
        assert (await rsync(f"rsync://alice@{at}/mirror-password/", password=wrong))[0] == 5
        assert (await rsync(f"rsync://eve@{at}/mirror-password/", password=right))[0] == 5
        code, said = await rsync(f"rsync://alice@{at}/mirror-password/10.0/", password=right)
        assert code == 0 and "secret.rpm" in said
        assert (
            await rsync("-c", "--dry-run", f"rsync://alice@{at}/mirror-password/TIME", str(tmp_path), password=right)
        )[0]
        # A file of passwords that others can read is no secret any more: nobody comes in by it.
        secrets.chmod(0o644)
        assert (await rsync(f"rsync://alice@{at}/mirror-password/", password=right))[0] == 5

        # The other side: the kit of the tier-2 mirror pulls with its password, what is not released included.
        secrets.chmod(0o600)
        kit = tmp_path / "kit"
        keys = {
            "source": f"rsync://{at}/mirror-password/", "source_user": "alice", "source_password": str(right),
            "root": f"{tmp_path}/tree", "state": f"{tmp_path}/state", "staged": "yes", "retries": "1", "grace_s": "0",
        }  # fmt: skip
        write_kit(kit, keys)
        process = await asyncio.create_subprocess_exec(str(kit / "sync"), stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0
        assert (tmp_path / "tree" / "10.0" / "secret.rpm").exists()
        assert stat.S_IMODE((tmp_path / "tree" / "10.0").stat().st_mode) == 0o750
        write_kit(kit, {**keys, "source_password": str(wrong)})
        process = await asyncio.create_subprocess_exec(
            str(kit / "sync"), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 1


@pytest.mark.parametrize("serve", [nginx, apache], ids=["nginx", "apache"])
async def test_a_tree_may_stand_at_the_top(
    trees: Trees, serve: Callable[..., AbstractAsyncContextManager[str]]
) -> None:
    async with serve(trees, path="/") as url:
        base = url.removesuffix("pub/")
        async with asked(base, "TIME") as found, asked(base, "none") as missing, asked(base, ".~tmp~/half.rpm") as half:
            assert (found, missing, half) == (200, 404, 404)


@pytest.mark.parametrize("serve", [nginx, apache], ids=["nginx", "apache"])
@pytest.mark.parametrize("marker", ["TIMESTAMP", "project/trace/last update"])
async def test_the_time_stamp_is_asked_for_again_wherever_it_lies(
    trees: Trees, serve: Callable[..., AbstractAsyncContextManager[str]], marker: str
) -> None:
    (trees.mirror / marker).parent.mkdir(parents=True, exist_ok=True)
    (trees.mirror / marker).write_text("1\n")
    async with serve(trees, marker=marker) as url:
        at = urlsplit(url)
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        target = quote(f"{at.path}{marker}")
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode().lower()
        writer.close()
    assert " 200 " in answer.partition("\r\n")[0] and "\ncache-control: no-cache\r\n" in answer
