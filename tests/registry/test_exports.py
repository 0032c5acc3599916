"""What others need to know of the network: who may pull, what changed, tiers, mirmon's list."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from redirector.cli.main import main
from redirector.registry.edit import carried, networks, sites
from redirector.registry.exporting import FILES, Wish, export
from redirector.registry.exports import Changed, order_addresses, render_addresses, render_filter
from redirector.registry.permits import VISITOR
from redirector.registry.refusals import Forbidden, Invalid, RegistryError
from redirector.store.registry import queries
from redirector.store.registry.rows import AclRow, HostRow, UrlRow
from tests.registry.rig import NOW, Registry

ADDRESSES = ["2001:db8::1", "192.0.2.10", "192.0.2.9", "198.51.100.0/24", "nat.example.org", "192.0.2.9"]


def test_addresses_stand_once_ipv4_first_by_number() -> None:
    assert order_addresses(ADDRESSES) == [
        "192.0.2.9",
        "192.0.2.10",
        "198.51.100.0/24",
        "2001:db8::1",
        "nat.example.org",
    ]


def test_an_empty_list_lets_nobody_in() -> None:
    assert render_addresses([], "hosts") == "hosts allow =\nhosts deny = *\n"
    assert render_addresses(["192.0.2.1", "2001:db8::1"], "hosts") == (
        "hosts allow = 192.0.2.1 2001:db8::1\nhosts deny = *\n"
    )
    assert render_addresses([], "plain") == ""
    assert json.loads(render_addresses([], "json")) == []


CHANGED = Changed("pub/linux", {"": 5, "releases/42/os": 20, "releases/42/os/Packages": 10, "odd [x]*": 20, "a\nb": 20})


def test_a_filter_leads_to_what_changed_and_to_nothing_else() -> None:
    assert render_filter([CHANGED], 15, "").splitlines() == [
        "# what changed since 15: 2 directories",
        "+ /pub/",
        "+ /pub/linux/",
        "+ /pub/linux/odd \\[x]\\*/",
        "+ /pub/linux/odd \\[x]\\*/*",
        "+ /pub/linux/releases/",
        "+ /pub/linux/releases/42/",
        "+ /pub/linux/releases/42/os/",
        "+ /pub/linux/releases/42/os/*",
        "- *",
    ]


def test_a_filter_leaves_out_what_the_module_does() -> None:
    assert render_filter([CHANGED], 4, "pub/linux").splitlines()[1:4] == [
        "+ /*",
        "+ /odd \\[x]\\*/",
        "+ /odd \\[x]\\*/*",
    ]
    assert render_filter([CHANGED], 4, "elsewhere").splitlines()[1:] == ["- *"]


async def furnish(registry: Registry) -> None:
    """Two approved sites, one of which may pull from the other, a private host, and a draft."""
    await registry.category()
    first = await registry.site(name="First")
    second = await registry.site(name="Second", pulled_by=[first.id])
    draft = await registry.site(name="Draft", approved=False)
    for site, name, address, more in (
        (first, "one.example.org", "8.8.8.8", {"tier": 1, "pulls_from": "master"}),
        (first, "inside.example.org", "8.8.4.4", {"private": True}),
        (second, "two.example.org", "2001:4860::1", {"tier": 2, "pulls_from": "one.example.org"}),
        (draft, "three.example.org", "9.9.9.9", {}),
    ):
        host = await registry.host(site, name=name, **more)
        await registry.do(networks.add_acl, host.id, {"address": address})
        await registry.carry(host, f"https://{name}/linux/", f"rsync://{name}/linux/")


async def ask(registry: Registry, name: str, **wish: object) -> str:
    async with registry.change() as change:
        return await export(change, name, Wish(**wish))  # type: ignore[arg-type]


async def test_masters_let_in_public_hosts_of_approved_sites(registry: Registry) -> None:
    await furnish(registry)
    assert await ask(registry, "rsync-acl") == "8.8.8.8\n2001:4860::1\n"
    assert await ask(registry, "rsync-acl", tier="2") == "2001:4860::1\n"
    assert await ask(registry, "rsync-acl", tier="0", layout="hosts") == "hosts allow =\nhosts deny = *\n"


async def test_a_host_lets_in_the_sites_that_may_pull_from_it(registry: Registry) -> None:
    await furnish(registry)
    assert await ask(registry, "rsync-acl", host="two.example.org") == "8.8.4.4\n8.8.8.8\n"
    assert await ask(registry, "rsync-acl", host="one.example.org") == ""


async def test_what_is_suspended_is_let_in_no_more(registry: Registry) -> None:
    await furnish(registry)
    await registry.do(sites.decide_site, 1, None, {"action": "suspend"})
    assert await ask(registry, "rsync-acl") == "2001:4860::1\n"
    assert await ask(registry, "rsync-acl", host="two.example.org") == ""


async def test_tiers_and_mirmon_s_list_name_public_hosts_alone(registry: Registry) -> None:
    await furnish(registry)
    assert await ask(registry, "tiers") == (
        "1\tone.example.org\tDE\t1000\tmaster\trsync://one.example.org/linux/\n"
        "2\ttwo.example.org\tDE\t1000\tone.example.org\trsync://two.example.org/linux/\n"
    )
    assert await ask(registry, "mirmon") == (
        "de https://one.example.org/linux/\nde https://two.example.org/linux/\n"
        "de rsync://one.example.org/linux/\nde rsync://two.example.org/linux/\n"
    )
    assert "ops@example.org" in await ask(registry, "mirmon", mail=True)


@pytest.mark.parametrize(
    ("name", "wish"),
    [
        ("rsync-acl", {"layout": "xml"}),
        ("rsync-acl", {"tier": "7"}),
        ("exclusions", {}),
        ("rsync-filter", {}),
        ("rsync-filter", {"categories": "None such"}),
        ("rsync-filter", {"categories": "Example Linux", "since": "yesterday"}),
        ("rsync-filter", {"categories": "Example Linux", "since": "-1"}),
    ],
)
async def test_a_wrong_wish_is_said(registry: Registry, name: str, wish: dict[str, str]) -> None:
    await furnish(registry)
    with pytest.raises(Invalid):
        await ask(registry, name, **wish)


async def test_what_a_host_leaves_out_is_for_those_who_may_see_it(registry: Registry) -> None:
    await furnish(registry)
    await registry.do(carried.edit_carried, 1, 1, None, {"exclusions": ["8", "*/debug/*"]})
    assert await ask(registry, "exclusions", host="one.example.org") == "Example Linux\t*/debug/*\nExample Linux\t8\n"
    async with registry.change(await registry.account("somebody")) as change:
        with pytest.raises(RegistryError):
            await export(change, "exclusions", Wish(host="one.example.org"))


async def test_addresses_are_for_those_who_let_others_in(registry: Registry) -> None:
    await furnish(registry)
    somebody = await registry.account("somebody")
    for actor in (VISITOR, somebody):
        async with registry.change(actor) as change:
            with pytest.raises(Forbidden):
                await export(change, "rsync-acl", Wish())
            with pytest.raises(RegistryError):
                await export(change, "rsync-acl", Wish(host="two.example.org"))


async def test_a_publication_writes_them_as_files(registry: Registry, tmp_path: Path) -> None:
    await furnish(registry)
    database = str(registry.store.url)
    code = await asyncio.to_thread(
        main, ["registry", "publish", "--exports", str(tmp_path / "out"), "--database", database]
    )
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
    assert (tmp_path / "out/rsync-acl.hosts").read_text().endswith("hosts deny = *\n")
    listed = json.loads((tmp_path / "out/public.json").read_text())["items"]
    assert {each["host"] for each in listed} == {"one.example.org", "two.example.org"}


ODD = (
    "*",
    "0.0.0.0/0",
    "ALL",
    "8.8.8.8\nhosts allow = *",
    "8.8.8.8 9.9.9.9",
    "",
    "\t",
    "not a name",
    "-x",
    "&include /etc",
)


async def keep_odd(registry: Registry) -> None:
    """What an import keeps though it breaks rules: addresses, a name, a country and URLs."""
    await furnish(registry)
    async with registry.change() as change:
        for text in ODD:
            await queries.add(change.connection, AclRow, host=1, address=text, origin="import", edited=NOW)
        odd: dict[str, object] = {"name": "odd\n0\t*\tname", "country": "d\ne"}
        await queries.set_columns(change.connection, HostRow, {"id": 1}, **odd)
        for url in ("rsync://odd.example.org/a b/", "https://odd.example.org/x\nde https://evil.example/"):
            await queries.add(
                change.connection, UrlRow, carried=1, url=url, audience="public", user=None, password=None,
                origin="import", edited=NOW,
            )  # fmt: skip


async def test_nothing_that_an_import_kept_ends_a_line_or_lets_others_in(registry: Registry) -> None:
    await keep_odd(registry)
    assert await ask(registry, "rsync-acl") == "8.8.8.8\n2001:4860::1\n"
    assert await ask(registry, "rsync-acl", layout="hosts") == "hosts allow = 8.8.8.8 2001:4860::1\nhosts deny = *\n"
    tiers = (await ask(registry, "tiers")).splitlines()
    assert len(tiers) == 2 and all(line.count("\t") == 5 for line in tiers)
    assert len((await ask(registry, "mirmon")).splitlines()) == 4


def answers(tmp_path: Path, conf: str) -> bool:
    """Whether a real daemon with the lines of *conf* gives its module to 127.0.0.1."""
    (tmp_path / "module").mkdir(exist_ok=True)
    (tmp_path / "acl.conf").write_text(conf)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    user = f"use chroot = no\nuid = {os.getuid()}\ngid = {os.getgid()}\n"
    (tmp_path / "rsyncd.conf").write_text(
        f"{user}log file = {tmp_path}/log\n[linux]\npath = {tmp_path}/module\n&merge {tmp_path}/acl.conf\n"
    )
    command = ["rsync", "--daemon", "--no-detach", f"--config={tmp_path}/rsyncd.conf", "--address=127.0.0.1"]
    daemon = subprocess.Popen([*command, f"--port={port}"], stderr=subprocess.DEVNULL)
    try:
        asked = ["rsync", "--timeout=20", f"rsync://127.0.0.1:{port}/linux/"]
        until = time.monotonic() + 20
        while (done := subprocess.run(asked, capture_output=True, text=True)).returncode == 10:
            assert time.monotonic() < until, done.stderr
        assert "Unknown Parameter" not in (tmp_path / "log").read_text()
        return done.returncode == 0
    finally:
        daemon.terminate()
        daemon.wait(10)


async def test_a_real_daemon_reads_what_is_exported(registry: Registry, tmp_path: Path) -> None:
    await keep_odd(registry)
    assert not answers(tmp_path, await ask(registry, "rsync-acl", layout="hosts"))
    assert not answers(tmp_path, await ask(registry, "rsync-acl", tier="0", layout="hosts"))
    await registry.do(networks.add_acl, 1, {"address": "127.0.0.1"})
    assert answers(tmp_path, await ask(registry, "rsync-acl", layout="hosts"))
