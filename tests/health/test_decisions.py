"""What mirrors do, and what becomes of them: each row of the tables, over real sockets."""

from __future__ import annotations

import shutil
from pathlib import Path

from aiohttp import web

from redirector.health.hysteresis import State
from redirector.health.report import rendered_entry
from redirector.health.round import Wanted
from tests.health.mirrors import VERSION, Handler, Mirror, make_master, push, repomd, repositories, write
from tests.health.rehearsal import BEGIN, Rehearsal, rehearse

BASE = f"{VERSION}/BaseOS/x86_64/os"
OTHER = f"{VERSION}/AppStream/x86_64/os"


def answering(status: int, **headers: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    return answer


async def page(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<!DOCTYPE html><html><body>for sale</body></html>", content_type="text/html")


async def cut(request: web.Request) -> web.StreamResponse:
    """Half of what was announced."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"x" * 500)
    assert request.transport is not None
    request.transport.close()
    return response


async def elsewhere(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/index.html"})


async def circle(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": request.path})


def own_tree(rehearsal: Rehearsal, name: str) -> Path:
    """From now on *name* shows a copy of what the master has now."""
    mirror = rehearsal.world.mirrors[name]
    copy = rehearsal.world.folder.parent / f"copy-{name}"
    shutil.copytree(rehearsal.world.primary, copy)
    mirror.tree = copy
    return copy


def push_all(tree: Path, stamp: int) -> None:
    for name in repositories():
        push(tree, name, stamp)
    write(tree / "TIME", f"{stamp}\n".encode(), stamp)


GOOD: dict[str, Handler | None] = {f"good{n}": None for n in range(4)}


async def test_failures_take_a_mirror_out_after_three_and_ten_minutes(tmp_path: Path) -> None:
    failing: dict[str, Handler | None] = {
        "dead": answering(500),
        "denied": answering(403),
        "parked": page,
        "cut": cut,
        "elsewhere": elsewhere,
        "circle": circle,
        "gone": answering(502),
    }
    async with rehearse(tmp_path, GOOD | failing) as rehearsal:
        mirror = rehearsal.world.mirrors["gone"]
        rehearsal.world.write_mirror(mirror, address={"http": f"http://{mirror.address}:9/"})
        await rehearsal.round()
        assert {rehearsal.state(name) for name in failing} == {State.UNCHECKED}
        await rehearsal.round(5)
        assert {rehearsal.state(name) for name in failing} == {State.UNCHECKED}
        assert not any("urls" in rendered_entry(entry) for entry in rehearsal.entries.values())
        await rehearsal.round(5)
        assert {rehearsal.state(name) for name in failing} == {State.UNREACHABLE}
        assert all("urls" in rendered_entry(rehearsal.entries[name]) for name in ("dead", "denied", "gone"))
        assert {rehearsal.state(name) for name in GOOD} == {State.OK}
        reasons = {name: rehearsal.entries[name].reason for name in failing}
        assert "500" in reasons["dead"]
        assert "403" in reasons["denied"]
        assert "HTML" in reasons["parked"]
        assert "fewer bytes" in reasons["cut"]
        assert "redirect" in reasons["elsewhere"]
        assert "redirect" in reasons["circle"]
        assert "connection" in reasons["gone"]
        for name in failing:
            rehearsal.world.mirrors[name].behaviour = None
        rehearsal.world.write_mirror(mirror)
        await rehearsal.round(20)
        assert {rehearsal.state(name) for name in failing} == {State.UNREACHABLE}
        await rehearsal.round(5)
        assert {rehearsal.state(name) for name in failing} == {State.OK}
        assert not any(entry.reason for entry in rehearsal.entries.values())


async def test_busy_mirrors_stay_as_they_are_for_a_day(tmp_path: Path) -> None:
    async with rehearse(tmp_path, GOOD | {"busy": None}) as rehearsal:
        await rehearsal.round()
        rehearsal.world.mirrors["busy"].behaviour = answering(503, **{"Retry-After": "600"})
        for minutes in (15, 15, 15, 60 * 23):
            await rehearsal.round(minutes)
            assert rehearsal.state("busy") is State.OK
        await rehearsal.round(30)
        assert rehearsal.state("busy") is State.UNKNOWN
        assert not rehearsal.entries["busy"].up


async def test_late_mirrors_are_behind_then_stale(tmp_path: Path) -> None:
    async with rehearse(tmp_path, GOOD | {"late": None, "partly": None}) as rehearsal:
        await rehearsal.round()
        own_tree(rehearsal, "late")
        partly = own_tree(rehearsal, "partly")
        pushed = BEGIN + 3600
        rehearsal.clock[0] = pushed
        push_all(rehearsal.world.primary, pushed)
        push(partly, BASE, pushed)
        await rehearsal.round()
        await rehearsal.round(30)
        assert rehearsal.state("late") is State.OK
        assert rehearsal.entries["late"].lag_s == 1800
        assert rehearsal.entries["good0"].lag_s == 0
        assert not rehearsal.entries["late"].lacking
        await rehearsal.round(60 * 12)
        assert rehearsal.state("late") is State.OK
        await rehearsal.round(11)
        assert rehearsal.state("late") is State.STALE
        assert "late" in rehearsal.entries["late"].reason
        assert rehearsal.state("partly") is State.OK
        assert rehearsal.entries["partly"].lacking == tuple(sorted(set(repositories()) - {BASE}))
        assert rehearsal.entries["partly"].versions == (VERSION,)
        rehearsal.world.mirrors["late"].tree = rehearsal.world.primary
        await rehearsal.round(15)
        assert rehearsal.state("late") is State.OK
        assert rehearsal.entries["late"].lag_s == 0


async def test_what_is_missing_unknown_or_ahead(tmp_path: Path) -> None:
    names = ("absent", "bare", "older", "newer", "garbled")
    async with rehearse(tmp_path, GOOD | dict.fromkeys(names)) as rehearsal:
        copies = {name: own_tree(rehearsal, name) for name in names}
        shutil.rmtree(copies["absent"] / OTHER)
        shutil.rmtree(copies["bare"] / BASE / "Packages")
        write(copies["older"] / BASE / "repodata/repomd.xml", repomd(BEGIN - 90_000, "other"), BEGIN)
        write(copies["newer"] / BASE / "repodata/repomd.xml", repomd(BEGIN - 60, "other"), BEGIN)
        write(copies["garbled"] / BASE / "repodata/repomd.xml", b"<repomd>", BEGIN)
        await rehearsal.round()
        assert not any(entry.lacking for entry in rehearsal.entries.values())
        await rehearsal.round(9)
        assert not any(entry.lacking for entry in rehearsal.entries.values())
        await rehearsal.round(2)
        lacking = {name: rehearsal.entries[name].lacking for name in names}
        assert lacking == {"absent": (OTHER,), "bare": (BASE,), "older": (BASE,), "newer": (), "garbled": (BASE,)}
        assert {rehearsal.state(name) for name in names} == {State.OK}
        for name in names[:3]:
            rehearsal.world.mirrors[name].tree = rehearsal.world.primary
        await rehearsal.round(16)
        assert not any(rehearsal.entries[name].lacking for name in names[:3])
        await rehearsal.round(60 * 12)
        await rehearsal.round(11)
        assert rehearsal.entries["newer"].lacking == (BASE,)


async def test_where_what_cannot_exist_is_there_only_checksums_count(tmp_path: Path) -> None:
    async def soft(request: web.Request) -> web.StreamResponse:
        found = await mirror.serve_tree(request)
        return await page(request) if found.status == 404 else found

    async with rehearse(tmp_path, GOOD | {"soft": soft}) as rehearsal:
        mirror: Mirror = rehearsal.world.mirrors["soft"]
        copy = own_tree(rehearsal, "soft")
        shutil.rmtree(copy / OTHER)
        shutil.rmtree(copy / BASE / "Packages")
        await rehearsal.round()
        await rehearsal.round(11)
        assert rehearsal.entries["soft"].lacking == (OTHER,)
        assert rehearsal.state("soft") is State.OK


async def test_a_mirror_of_nothing_is_out(tmp_path: Path) -> None:
    async with rehearse(tmp_path, GOOD | {"empty": answering(404)}) as rehearsal:
        await rehearsal.round()
        assert rehearsal.entries["empty"].up
        await rehearsal.round(11)
        assert rehearsal.state("empty") is State.STALE


async def test_without_a_master_the_marker_tells(tmp_path: Path) -> None:
    async with rehearse(tmp_path, GOOD | {"old": None, "new": None, "odd": None}, primary=None) as rehearsal:
        write(own_tree(rehearsal, "old") / "TIME", f"{BEGIN - 13 * 3600}".encode(), BEGIN)
        write(own_tree(rehearsal, "new") / "TIME", f"{BEGIN - 11 * 3600}".encode(), BEGIN)
        write(own_tree(rehearsal, "odd") / "TIME", b"<html>", BEGIN)
        await rehearsal.round()
        assert rehearsal.state("old") is State.OK
        await rehearsal.round(11)
        assert rehearsal.state("old") is State.STALE
        assert rehearsal.entries["old"].lag_s == 13 * 3600 + 660
        assert rehearsal.state("new") is State.OK
        assert rehearsal.state("odd") is State.OK


async def test_where_only_a_state_tells_it_is_the_masters_or_late(tmp_path: Path) -> None:
    async with rehearse(tmp_path, GOOD | {"old": None}) as rehearsal:
        primary = rehearsal.world.primary
        shutil.rmtree(primary / VERSION)
        (primary / "TIME").unlink()
        write(primary / f"{VERSION}/isos/x86_64/a.iso", b"iso", BEGIN - 3600)
        write(primary / "COMPOSE_ID", b"Linux-1\n", BEGIN - 3600)
        own_tree(rehearsal, "old")
        await rehearsal.round()
        assert {rehearsal.state(name) for name in ("old", "good0")} == {State.OK}
        rehearsal.clock[0] += 900
        write(primary / "COMPOSE_ID", b"Linux-2\n", BEGIN + 900)
        await rehearsal.round()
        await rehearsal.round(60)
        assert (rehearsal.state("old"), rehearsal.entries["old"].lag_s) == (State.OK, 3600)
        await rehearsal.round(60 * 11 + 1)
        await rehearsal.round(11)
        assert rehearsal.state("old") is State.STALE
        assert rehearsal.state("good0") is State.OK


async def test_a_void_round_changes_nothing(tmp_path: Path) -> None:
    async with rehearse(tmp_path, GOOD | {"dead": answering(500)}) as rehearsal:
        await rehearsal.round()
        before = rehearsal.entries
        for name in ("good0", "good1", "good2"):
            rehearsal.world.mirrors[name].behaviour = answering(500)
        for _ in range(4):
            made = await rehearsal.round(11)
            assert "3 of 4" in made.void
            assert not made.entries
        for name in ("good0", "good1", "good2"):
            rehearsal.world.mirrors[name].behaviour = None
        await rehearsal.round(11)
        assert {rehearsal.state(name) for name in GOOD} == {State.OK}
        assert rehearsal.state("dead") is State.UNCHECKED
        assert before["dead"].state is State.UNCHECKED


async def test_an_unreadable_or_shrunken_master_voids(tmp_path: Path) -> None:
    async with rehearse(tmp_path, dict(GOOD)) as rehearsal:
        await rehearsal.round()
        moved = rehearsal.world.primary.rename(tmp_path / "moved")
        assert (await rehearsal.round(15)).void == "the master cannot be read"
        make_master(rehearsal.world.primary, BEGIN, ("x86_64",))
        shutil.rmtree(rehearsal.world.primary / OTHER)
        assert (await rehearsal.round(15)).void == "the master cannot be read"
        shutil.rmtree(rehearsal.world.primary)
        moved.rename(rehearsal.world.primary)
        assert not (await rehearsal.round(15)).void


async def test_little_is_asked_where_nothing_changed(tmp_path: Path) -> None:
    async with rehearse(tmp_path, dict(GOOD)) as rehearsal:
        await rehearsal.round()
        assert rehearsal.requests("good0") == 1 + 1 + 4 + 8
        await rehearsal.round(15, Wanted())
        assert rehearsal.requests("good0") == 2
        asked = rehearsal.world.mirrors["good0"].asked
        assert all(headers["Accept-Encoding"] == "identity" for _, _, headers in asked)
        assert {headers["User-Agent"] for _, _, headers in asked} == {"redirector-crawler/test"}
        assert "If-None-Match" in asked[-1][2]
        push(rehearsal.world.primary, BASE, BEGIN + 1000)
        await rehearsal.round(15, Wanted())
        paths = [path for _, path, _ in asked[-5:]]
        assert f"/{BASE}/repodata/repomd.xml" in paths
        assert f"/{BASE}/Packages/p-{BEGIN + 1000}.rpm" in paths
