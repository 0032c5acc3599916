"""What a server goes through in years, in minutes. Each scenario asserts what must hold and returns what it saw."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.make_snapshot import AS_TABLE, SNAPSHOT, write_snapshot
from benchmarks.scale import SCALES
from tests.real import COUNTRIES
from tests.server.load import Crowd
from tests.server.running import Server, serving, wait_until
from tests.server.running import write_snapshot as write_small_snapshot
from tests.soak.memory import Peak, memory_mb


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything."""

    folder: Path
    reloads: int = 100
    scale: str = "fedora"
    workers: str = "2"
    seconds: float = 30.0
    slow: int = 1000
    quiet: int = 10_000


Scenario = Callable[[Plan], Awaitable[str]]


async def reload_under_load(plan: Plan) -> str:
    """Reloads under load: no failure, no lost count, memory as after the fifth."""
    source = write_small_snapshot(plan.folder / "reload.pb", hosts=50, repositories=20)
    with serving(source, "--workers", plan.workers) as server:
        crowd = Crowd(server.address, 30, 10)
        after_five = 0.0
        for number in range(plan.reloads):
            assert (await asyncio.to_thread(server.reload)).status == 200
            await crowd.reach(100)
            if number == 4:
                after_five = memory_mb(server.pid)
        at_the_end = memory_mb(server.pid)
        tally = await crowd.stop()
        assert not tally.failures, tally.failures
        assert server.requests() == tally.count
        assert at_the_end < after_five * 1.15, (after_five, at_the_end)
    return (
        f"{tally.count:,} answers on {tally.connections:,} connections, 0 failures, counters equal, slowest "
        f"{tally.slowest_s * 1000:.0f} ms; {after_five:.0f} MB after 5 reloads, {at_the_end:.0f} MB at the end"
    )


async def reload_for_few(plan: Plan) -> str:
    """Reloads while one client comes anew for each request: nobody is overlooked when a worker has nothing to do."""
    source = write_small_snapshot(plan.folder / "few.pb")
    with serving(source, "--workers", plan.workers) as server:
        crowd = Crowd(server.address, 0, 1, pause_s=0)
        for _ in range(plan.reloads):
            assert (await asyncio.to_thread(server.reload)).status == 200
        tally = await crowd.stop()
        assert not tally.failures, tally.failures
        assert server.requests() == tally.count
    return f"{tally.count:,} answers on as many connections, 0 failures, counters equal"


async def reload_peak(plan: Plan) -> str:
    """The most memory of a whole reload, below three times the steady one."""
    folder = plan.folder / plan.scale
    folder.mkdir()
    write_snapshot(folder, SCALES[plan.scale], 1)
    options = ("--asn", str(folder / AS_TABLE), "--geoip", str(COUNTRIES), "--workers", plan.workers)
    with serving(folder / SNAPSHOT, *options) as server:
        assert (await asyncio.to_thread(server.reload)).status == 200
        steady = memory_mb(server.pid)
        with Peak(server.pid) as peak:
            assert (await asyncio.to_thread(server.reload)).status == 200
        assert peak.megabytes < 3 * steady, (steady, peak.megabytes)
    return f"{plan.scale}: steady {steady:.0f} MB, peak {peak.megabytes:.0f} MB ({peak.megabytes / steady:.1f} times)"


async def break_files(plan: Plan) -> str:
    """Files broken and truncated while they are served: nothing changes but what is said about it."""
    source = write_small_snapshot(plan.folder / "broken.pb", hosts=50)
    geoip = plan.folder / "country.mmdb"
    good = {source: source.read_bytes(), geoip: COUNTRIES.read_bytes()}
    chance = Random(1)
    geoip.write_bytes(good[geoip])
    with serving(source, "--geoip", str(geoip), "--workers", plan.workers) as server:
        crowd = Crowd(server.address, 20, 5)
        before = server.workers(int(plan.workers))
        refused = 0
        for _ in range(max(plan.reloads // 4, 2)):
            for path, content in good.items():
                with path.open("r+b") as file:
                    file.truncate(chance.randrange(len(content) // 2))
                await crowd.reach(50)
                refused += (await asyncio.to_thread(server.reload)).status == 422
                path.write_bytes(content)
        assert server.workers(int(plan.workers)) == before
        tally = await crowd.stop()
        assert not tally.failures, tally.failures
        assert server.metrics()['redirector_reloads_total{outcome="refused"}'] == refused
    return f"{refused} reloads refused, {tally.count:,} answers, 0 failures, the same workers"


async def kill_processes(plan: Plan) -> str:
    """Workers and nurseries killed every few seconds: answers come back within 7 s, no count is lost."""
    source = write_small_snapshot(plan.folder / "kill.pb", hosts=50)
    with serving(source, "--workers", plan.workers) as server:
        crowd = Crowd(server.address, 10, 10, pause_s=0.01)
        end, killed, gaps, chance = time.monotonic() + plan.seconds, 0, [0.0], Random(1)
        while time.monotonic() < end:
            victims = [*server.workers(int(plan.workers)), server.nursery()]
            chosen = chance.choice([victims[:1], victims[-1:], victims[:-1], victims])
            for pid in chosen:
                os.kill(pid, signal.SIGKILL)
            killed += len(chosen)
            gaps.append(await _measure_gap(crowd))
        tally = await crowd.stop()
        surprises = tally.failures.total()
        assert max(gaps) < 7, gaps
        missing = tally.count - server.requests()
        assert abs(missing) <= surprises
    return (
        f"{killed} processes killed, {tally.count:,} answers, {surprises} connections cut, "
        f"longest gap {max(gaps):.1f} s"
    )


async def _measure_gap(crowd: Crowd) -> float:
    """Seconds until somebody was answered again, and then some more."""
    began, seen = time.monotonic(), crowd.tally.count
    while crowd.tally.count < seen + 20:
        await asyncio.sleep(0.01)
    gap = time.monotonic() - began
    await asyncio.sleep(1.0)
    return gap


async def freeze_worker(plan: Plan) -> str:
    """A worker that hangs is noticed and replaced, and the others go on."""
    source = write_small_snapshot(plan.folder / "freeze.pb")
    with serving(source, "--workers", "2") as server:
        crowd = Crowd(server.address, 0, 4, pause_s=0.01)
        await crowd.reach(50)
        frozen = server.workers(2)[0]
        os.kill(frozen, signal.SIGSTOP)
        began = time.monotonic()
        await asyncio.to_thread(server.wait_for, f"worker {frozen} does not answer")
        noticed_s = time.monotonic() - began
        await asyncio.to_thread(wait_until, lambda: [pid for pid in server.workers(2) if pid != frozen], 2)
        assert await _measure_gap(crowd) < 1
        tally = await crowd.stop()
        assert tally.failures.total() <= 4, tally.failures
    return f"noticed after {noticed_s:.0f} s, {tally.count:,} answers meanwhile"


async def end_under_load(plan: Plan) -> str:
    """SIGTERM to the supervisor or to all, every third time amid a reload: every request under way is answered."""
    source = write_small_snapshot(plan.folder / "end.pb")
    answered, spent = 0, []
    for turn in range(max(plan.reloads // 5, 2)):
        with serving(source, "--workers", plan.workers) as server:
            crowd = Crowd(server.address, 20, 10)
            await crowd.reach(200)
            if turn % 3 == 0:
                server.signal(signal.SIGHUP)
                await asyncio.sleep(turn * 0.1)
            began = time.monotonic()
            if turn % 2:
                server.signal(signal.SIGTERM)
            else:
                os.killpg(server.pid, signal.SIGTERM)
            assert await asyncio.to_thread(server.wait) == 0
            spent.append(time.monotonic() - began)
            tally = await crowd.stop()
            lost = [failure for failure in tally.failures if "ConnectionRefusedError" not in failure]
            assert not lost, lost
            answered += tally.count
    return f"{len(spent)} ends, {answered:,} answers, 0 lost, {statistics.median(spent):.1f} s each"


async def rotate_log(plan: Plan) -> str:
    """logrotate: every answer has its line in one file or another."""
    source, log = write_small_snapshot(plan.folder / "rotate.pb"), plan.folder / "access.log"
    options = ("--access-log", str(log), "--access-log-format", "combined", "--workers", plan.workers)
    with serving(source, *options) as server:
        crowd = Crowd(server.address, 20, 10)
        for turn in range(max(plan.reloads // 5, 2)):
            await crowd.reach(200)
            log.rename(plan.folder / f"access.log.{turn}")
            server.signal(signal.SIGUSR1)
            await asyncio.to_thread(wait_until, lambda: [1] if log.exists() else [], 1)
        tally = await crowd.stop()
        server.signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.wait) == 0
    files = sorted(plan.folder.glob("access.log*"))
    lines = sum(path.read_bytes().count(b"\n") for path in files)
    assert lines == tally.count, (lines, tally.count)
    return f"{lines:,} lines in {len(files)} files for {tally.count:,} answers"


async def crawl(plan: Plan) -> str:
    """Clients that send a byte a second disturb nobody."""
    source = write_small_snapshot(plan.folder / "slow.pb")
    with serving(source, "--workers", "1", "--header-timeout", "3600") as server:
        alone = await _middle_latency(server, 3.0)
        slow = [await asyncio.open_connection(*server.address) for _ in range(plan.slow)]
        writers = [writer for _, writer in slow]
        disturbed, _ = await asyncio.gather(_middle_latency(server, 3.0), _crawl(writers, 3.0))
        for writer in writers:
            writer.close()
        assert disturbed < 2 * alone + 0.002, (alone, disturbed)
    return f"{plan.slow:,} slow clients: {alone * 1000:.2f} ms without them, {disturbed * 1000:.2f} ms beside them"


async def _crawl(writers: Sequence[asyncio.StreamWriter], seconds: float) -> None:
    """Have each send a byte a second."""
    request = b"GET /mirrorlist HTTP/1.1\r\n"
    for turn in range(int(seconds)):
        for number, writer in enumerate(writers):
            writer.write(request[turn : turn + 1])
            if number % 100 == 0:
                await asyncio.sleep(100 / len(writers))


async def _middle_latency(server: Server, seconds: float) -> float:
    spent = []
    reader, writer = await asyncio.open_connection(*server.address)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        writer.write(b"HEAD /nothing HTTP/1.1\r\nHost: test\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        spent.append(time.perf_counter() - began)
        await asyncio.sleep(0.002)
    writer.close()
    return statistics.median(spent)


async def hold_many(plan: Plan) -> str:
    """Quiet connections cost little, and a reload takes them along."""
    source = write_small_snapshot(plan.folder / "quiet.pb")
    with serving(source, "--workers", plan.workers, "--max-connections", str(plan.quiet + 1)) as server:
        before = memory_mb(server.pid)
        quiet = [await asyncio.open_connection(*server.address) for _ in range(plan.quiet)]
        while server.metrics()["redirector_open_connections"] < plan.quiet:
            await asyncio.sleep(0.05)
        each_kb = (memory_mb(server.pid) - before) * 1024 / plan.quiet
        old = server.workers(int(plan.workers))
        began = time.monotonic()
        assert (await asyncio.to_thread(server.reload)).status == 200
        while set(server.workers(int(plan.workers))) & set(old):
            await asyncio.sleep(0.01)
        spent = time.monotonic() - began
        for _, writer in quiet:
            writer.write(b"GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n")
        for reader, writer in quiet:
            assert (await reader.readline()).startswith(b"HTTP/1.1 404")
            writer.close()
    return f"{plan.quiet:,} connections at {each_kb:.1f} kB each, all answered after a reload of {spent:.1f} s"


SCENARIOS: tuple[Scenario, ...] = (
    reload_under_load,
    reload_for_few,
    reload_peak,
    break_files,
    kill_processes,
    freeze_worker,
    end_under_load,
    rotate_log,
    crawl,
    hold_many,
)
