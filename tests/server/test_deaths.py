"""Any process may die at any time, and somebody answers."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tests.server.load import Crowd
from tests.server.running import is_alive, serving, wait_until


async def test_a_worker_that_is_killed_is_replaced_and_nothing_it_counted_is_lost(source: Path) -> None:
    with serving(source, "--workers", "2") as server:
        for _ in range(10):
            server.ask()
        victim = server.workers(2)[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: [pid for pid in server.workers(2) if pid != victim], 2)
        server.ask()
        assert server.requests() == 11
        assert server.metrics()["redirector_worker_restarts_total"] == 1
        server.wait_for(f"warning: worker {victim} ended: signal SIGKILL")


async def test_workers_go_on_when_the_nursery_is_killed_and_a_new_one_loads(source: Path) -> None:
    with serving(source) as server:
        crowd = Crowd(server.address, 4, 2, pause_s=0.01)
        await crowd.reach(20)
        before = server.nursery()
        os.kill(before, signal.SIGKILL)
        await asyncio.to_thread(server.wait_for, "reloaded")
        await crowd.reach(20)
        tally = await crowd.stop()
        assert not tally.failures
        assert server.nursery() != before
        assert server.requests() == tally.count


async def test_a_nursery_that_cannot_load_is_tried_again_while_its_workers_go_on(source: Path) -> None:
    with serving(source) as server:
        good = source.read_bytes()
        source.write_bytes(b"no snapshot")
        os.kill(server.nursery(), signal.SIGKILL)
        server.wait_for("reload refused", 2)
        assert server.ask().status == 200
        source.with_suffix(".new").write_bytes(good)
        source.with_suffix(".new").replace(source)
        server.wait_for("reloaded")
        assert server.ask().status == 200


def test_everything_ends_with_the_supervisor(source: Path) -> None:
    with serving(source, "--workers", "2") as server:
        everybody = [server.nursery(), *server.workers(2)]
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: [pid for pid in everybody if is_alive(pid)], 0)


def test_rapid_deaths_are_answered_with_patience_and_no_end(source: Path) -> None:
    with serving(source) as server:
        seen: set[int] = set()
        for _ in range(4):
            victim = wait_until(lambda: [pid for pid in server.workers(1) if pid not in seen], 1)[0]
            seen.add(victim)
            os.kill(victim, signal.SIGKILL)
        wait_until(lambda: [pid for pid in server.workers(1) if pid not in seen], 1)
        assert server.ask().status == 200
