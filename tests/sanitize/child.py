"""What runs under the sanitizers: the tests of the parts in C, or random input for some seconds."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import random
import socket
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

WRONG: tuple[Any, ...] = (None, (), [], b"", "", 7, -1, 2**70, (1, 2, "x", None), ((),))

NAMES = (
    "redirector.locate._lines",
    "redirector.locate._steps",
    "redirector.sources.mirrormanager._carried",
    "redirector.answer._fast",
    "redirector.server.worker._plain",
)


def load(name: str, path: str) -> None:
    """Have everybody who imports the part *name* get the one at *path*."""
    parent, _, short = name.rpartition(".")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    setattr(importlib.import_module(parent), short, module)


def fuzz(seconds: float, chance: random.Random) -> int:
    """Give both functions input of all kinds, right and wrong; what is right must come out as from their twins."""
    from redirector.answer.choose.draw import draw, draw_plainly
    from redirector.answer.show.join import join, join_plainly

    assert draw is not draw_plainly and join is not join_plainly
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for function, twin, asked in (
            (draw, draw_plainly, something_to_draw(chance)),
            (join, join_plainly, something_to_join(chance)),
        ):
            assert function(*asked) == twin(*asked)
            spoil(function, asked, chance)
        count += 1
    return count


async def fuzz_plain(seconds: float, chance: random.Random) -> int:
    """Give the lane requests of all kinds, inside and at its door; what it answers is what its twin in Python does."""
    from tests.rig import NOW
    from tests.server.test_door import Doorstep, visit
    from tests.server.test_plain import ADDRESSES, request_of

    patch = pytest.MonkeyPatch()
    patch.setattr("redirector.server.worker.lane.clock", lambda: float(NOW))
    patch.setattr("redirector.server.worker.lane.getrandbits", lambda _: 7)  # of clients that nobody knows
    step = Doorstep(socket.create_server(("127.0.0.1", 0)))
    accept = step.at_door.lane.accept
    assert accept is not None
    targets = [*step.inside.service.responder.frames]
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        headers = chance.choice(((), ("Connection: close",), ("Accept: */*", "Connection: close")))
        raw = request_of(chance.choice(targets), chance.choice((*ADDRESSES, None)), *headers)
        if chance.random() < 0.3:
            cut = chance.randrange(len(raw))
            raw = raw[:cut] + chance.choice((b"", b"\0", b"\r\n", raw, bytes(5000))) + raw[chance.randrange(len(raw)) :]
        step.at_door.wire.closed = False
        assert step.at_door.ask(raw)[2] == step.ask_inside(raw)
        visit(step, raw)
        asked: list[Any] = [step.listener.fileno(), 1, NOW]
        for _ in range(chance.randrange(1, 3)):
            asked[chance.randrange(len(asked))] = chance.choice(WRONG)
        try:
            descriptor = accept(*asked)
            assert descriptor is None
        except (TypeError, ValueError, OverflowError, OSError):
            pass
        step.inside.log.flush()
        step.at_door.log.flush()
        count += 1
    step.close()
    return count


class Last:
    """Draws the last one."""

    def draw_alone(self, present: str, seed: int) -> str:
        return present[-1]


def something_to_draw(chance: random.Random) -> tuple[Any, ...]:
    from redirector.snapshot.draws import SLOTS

    numbers = chance.sample(range(1, chance.choice((100, 200, 60_000, 100_000))), chance.randrange(60))
    hosts = "".join(chr(number) for number in numbers if not 0xD800 <= number < 0xE000)
    cuts = sorted(chance.sample(range(len(hosts) + 1), min(len(hosts) + 1, chance.randrange(6))))
    spans = []
    for start, stop in pairwise(cuts):
        heads = [chance.choice(hosts[start:stop] + chance.choice(("", "x", "xyzuvw\U0001f600"))) for _ in range(SLOTS)]
        spans.append((start, stop, "".join(heads), Last()))
    return tuple(range(len(hosts))), hosts, tuple(spans), chance.getrandbits(64)


def something_to_join(chance: random.Random) -> tuple[Any, ...]:
    from redirector.answer.show.join import MARK, PREFERENCE

    def text() -> bytes:
        return b"".join(
            chance.choice((MARK, PREFERENCE, b"a", b"bc" * chance.randrange(90))) for _ in range(chance.randrange(9))
        )

    def plain() -> bytes:
        return b"t" * chance.randrange(chance.choice((2, 50, 5_000)))

    preferences = tuple(b"%d" % n for n in range(chance.randrange(5)))
    return plain(), [text() for _ in range(chance.randrange(200))], plain(), plain(), preferences


def spoil(function: Callable[..., Any], asked: tuple[Any, ...], chance: random.Random) -> None:
    """Ask with something wrong among the arguments: an exception may come, and nothing worse."""
    wrong: list[Any] = [*asked]
    for _ in range(chance.randrange(1, 3)):
        wrong[chance.randrange(len(wrong))] = chance.choice(WRONG)
    if chance.random() < 0.3:
        wrong = wrong[: chance.randrange(len(wrong) + 1)]
    try:
        function(*wrong)
    except (TypeError, ValueError, OverflowError, AttributeError):
        pass


def main() -> int:
    """Exit code."""
    work, *paths = sys.argv[1:]
    for name, path in zip(NAMES, paths, strict=True):
        load(name, path)
    if work == "tests":
        skipped = "not test_a_checkout_that_was_not_built and not test_nothing_is_kept and not a_server"
        return int(
            pytest.main(
                [
                    "-q",
                    "-p",
                    "no:cacheprovider",
                    "-k",
                    skipped,
                    "tests/locate/test_asn_lines.py",
                    "tests/locate/test_steps.py",
                    "tests/sources/test_carried.py",
                    "tests/answer/test_fast.py",
                    "tests/server/test_plain.py",
                    "tests/server/test_door.py",
                ]
            )
        )
    seed = random.randrange(2**32)
    chance, seconds = random.Random(seed), float(work) / 2
    rounds = fuzz(seconds, chance) + asyncio.run(fuzz_plain(seconds, chance))
    print(f"seed {seed}: {rounds:,} rounds without a finding")
    return 0


if __name__ == "__main__":
    sys.exit(main())
