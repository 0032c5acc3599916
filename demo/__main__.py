"""`python -m demo`: the loop on a terminal, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
import time
from pathlib import Path

from demo.loop import Loop, Plan, Ports
from demo.programs import DemoError


def free_ports() -> Ports:
    """Ports that nobody has just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
    numbers = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return Ports(*numbers)


def taken(ports: Ports) -> int | None:
    """The first of the ports on 127.0.0.1 that somebody has."""
    for port in (ports.answers, ports.pages, ports.admin, ports.crawl):
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return port
    return None


def closing_words(loop: Loop) -> str:
    """What happened, as a table."""
    counts = loop.counts
    rows = (
        ("pushes of the master", loop.pushes),
        ("turns of scan, publish, reload, count", loop.turns),
        ("lists that clients asked for", counts.lists),
        ("indexes that they got from the mirrors in them", counts.files),
        ("mirrors that they tried in vain, and went on", counts.refused),
        ("lists without a mirror that answered", counts.failed),
        ("runs of dnf", counts.dnf),
        ("runs of dnf that failed", counts.dnf_failed),
    )
    return "".join(f"{name:46}{number:8,}\n" for name, number in rows)


async def turn(plan: Plan, seconds: float | None) -> int:
    """Run the loop until a signal, or for *seconds*."""
    begun = time.monotonic()

    def tell(text: str) -> None:
        passed = int(time.monotonic() - begun)
        print(f"{passed // 60:3}:{passed % 60:02}  {text}", flush=True)

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    loop = Loop(plan, tell)

    async def show() -> None:
        async with loop.run():
            print("\nLook at")
            for what, url in loop.addresses():
                print(f"  {what + ':':42} {url}")
            print(f"\nLog in, as the distribution's admin (the link works once)\n  {loop.link}")
            print("\nThe mirrors")
            for mirror in loop.mirrors:
                print(f"  {mirror.name:18} {mirror.url(plan.ports.mirrors):32} {mirror.habit}")
            print(f"\nA day of judgement lasts {86400 * plan.pace:.0f} s here. Ctrl-C ends it.\n", flush=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), seconds)

    showing, stopped = asyncio.create_task(show()), asyncio.create_task(stop.wait())
    await asyncio.wait({showing, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not showing.done() and not loop.listed:
        showing.cancel()
    stopped.cancel()
    try:
        await showing
    except asyncio.CancelledError:
        print("ended before it had begun")
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"\n{closing_words(loop)}\nEverything is in {plan.folder}", flush=True)
    return 0


def main() -> int:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/demo"), help="where everything goes; emptied before")
    parser.add_argument("--seconds", type=float, metavar="N", help="end by itself after so long")
    parser.add_argument("--pace", type=float, default=0.002, metavar="X", help="factor on the times of judgement")
    parser.add_argument("--free-ports", action="store_true", help="listen where nobody does, not at 8080 and the like")
    arguments = parser.parse_args()
    ports = free_ports() if arguments.free_ports else Ports()
    if (port := taken(ports)) is not None:
        print(f"demo: somebody listens at 127.0.0.1:{port}; end that, or use --free-ports", file=sys.stderr)
        return 1
    return asyncio.run(turn(Plan(arguments.folder.resolve(), ports, arguments.pace), arguments.seconds))


if __name__ == "__main__":
    sys.exit(main())
