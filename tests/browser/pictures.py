"""The pictures of the README, taken of a made-up network: `python -m tests.browser.pictures FILE`.

FILE is what `python -m benchmarks.made_up FILE` wrote; it is copied, and nothing is sent to anybody.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer

from redirector.locate.proxies import trusted_proxies_of
from redirector.registry.edit.change import House
from redirector.settings.joining import Join
from redirector.store.checks import put_check
from redirector.store.opening import open_store
from redirector.store.registry import queries
from redirector.store.registry.rows import ContactRow, HostRow, SiteRow
from redirector.web.access import Site
from redirector.web.application import make_application
from redirector.web.limits import Limits
from redirector.web.whereabouts import Whereabouts
from tests.browser.conftest import look
from tests.registry.rig import CIPHER, Registry
from tests.web.conftest import Api
from tests.web.test_forms import logged_in

ROOT = Path(__file__).parents[2]
WIDTH = 1100
BASEMENT = "mirror.basement.example.org"
ADDRESSES = {BASEMENT: ["145.0.2.10", "2001:610:188:444::10"], "mirror.valparaiso.example.org": ["200.1.19.5"]}
"""Addresses of real networks, which are asked nothing: our tables say where they are."""

FINDINGS = (
    ("https", "answer", "ok", "IPv4: answers from 145.0.2.10"),
    ("https", "hash", "ok", "10/Updates/x86_64/os/repodata/repomd.xml has its checksum"),
    ("https", "keep-alive", "ok", "one connection serves several requests"),
    (
        "https",
        "missing",
        "error",
        "what is not there is answered by 200: clients take the page for the file (soft 404)",
    ),
    ("rsync", "checksum", "warning", "rsync does not refuse -c"),
)


async def resolve(name: str) -> Sequence[str]:
    """Addresses of two hosts; others have none."""
    if name not in ADDRESSES:
        raise OSError(-2, "Name or service not known")
    return ADDRESSES[name]


async def take(database: Path, out: Path) -> None:
    """Write the pictures into the folder *out*."""
    now = int(time.time())
    async with await open_store(f"sqlite:///{database}") as store:
        registry = Registry(store, now, House(cipher=CIPHER))
        site = Site(
            store,
            registry.house,
            trusted_proxies_of(()),
            Limits(1000, 1000),
            now=lambda: float(now),
            join=Join(minimum_mbit=1000, embargoed=("KP",)),
            whereabouts=Whereabouts(
                str(ROOT / "data" / "geoip" / "country.mmdb"), str(ROOT / "data" / "geoip" / "asn.mmdb"), resolve
            ),
        )
        async with TestClient(TestServer(make_application(site))) as client:
            api = Api(client, registry)
            chief = await logged_in(api, "chief", admin=True)
            waiting = await _prepare(registry)
            worst = await _worst(registry)
            base = str(client.make_url("")).rstrip("/")
            pages = [
                ("mirrors", "/mirrors", None, 900),
                ("mirror", f"/mirrors/{worst}", None, 1165),
                ("map", "/map", None, 1130),
                ("approval", f"/sites/{waiting}", chief.cookies, 1480),
            ]
            found = await look(
                [
                    {
                        "url": base + path, "cookies": cookies, "width": WIDTH, "scheme": "light",
                        "picture": str(out / f"{name}.png"), "clip": {"width": WIDTH, "height": height},
                    }
                    for name, path, cookies, height in pages
                ]
            )  # fmt: skip
            for each in found:
                print(each["url"], each["status"], [violation["id"] for violation in each["axe"]])


async def _prepare(registry: Registry) -> int:
    """The request that is shown: its number."""
    async with registry.change() as change:
        host = await queries.find(change.connection, HostRow, name=BASEMENT)
        assert host is not None
        url = {scheme: f"{scheme}://{BASEMENT}/linux/" for scheme in ("https", "rsync")}
        found = [(url[scheme], check, level, text) for scheme, check, level, text in FINDINGS]
        await put_check(change.connection, host.id, registry.now - 1800, 41, "bo", found)
        await queries.set_columns(change.connection, ContactRow, {"site": host.site}, verified=registry.now)
        row = await queries.find(change.connection, SiteRow, id=host.site)
        assert row is not None
        await queries.set_columns(
            change.connection, SiteRow, {"id": row.id}, state_text="A fast line, and I am at home all day."
        )
        return host.site


async def _worst(registry: Registry) -> str:
    """The mirror that has most of a past, and carries all."""
    async with registry.store.read() as connection:
        from sqlalchemy import text

        query = text("select host from health_history group by host order by count(*) desc, host limit 1")
        return str(await connection.scalar(query))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.pictures", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "network.db"
        shutil.copy(options.file, copy)
        asyncio.run(take(copy, options.out))


if __name__ == "__main__":
    main()
