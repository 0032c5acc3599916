"""`make soak`: every scenario at length, and a table of what was seen.

python -m tests.soak [--reloads N] [--scale NAME] [--seconds S] [NAME...]
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.scenarios import SCENARIOS, Plan, Scenario


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *(each.__name__ for each in SCENARIOS)], metavar="NAME")
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--scale", default="fedora")
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("| scenario | outcome | seconds | seen |\n|---|---|---|---|", flush=True)
    chosen = [each for each in SCENARIOS if not arguments.names or each.__name__ in arguments.names]
    outcomes = [_run(each, arguments.reloads, arguments.scale, arguments.seconds) for each in chosen]
    return 0 if all(outcomes) else 1


def _run(scenario: Scenario, reloads: int, scale: str, seconds: float) -> bool:
    """Run *scenario*, print its row, and tell whether it held."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            seen, held = asyncio.run(_await(scenario, Plan(Path(folder), reloads, scale, seconds=seconds))), True
        except AssertionError as error:
            seen, held = str(error).replace("\n", " ")[:500], False
    outcome = "held" if held else "FAILED"
    print(f"| {scenario.__name__} | {outcome} | {time.monotonic() - began:.0f} | {seen} |", flush=True)
    return held


async def _await(scenario: Scenario, plan: Plan) -> str:
    return await scenario(plan)


if __name__ == "__main__":
    sys.exit(main())
