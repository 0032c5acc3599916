"""`make soak-network`: the whole network at a faster pace, everybody killed by turns, and a table of what was seen.

python -m tests.soak.network [--minutes N] [--mirrors N] [--pace X] [--folder DIR] [--seed N]
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from tests.soak.network.soak import Plan, Soak


def main() -> int:
    """Read the command line, run, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.network", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, metavar="N")
    parser.add_argument("--mirrors", type=int, default=120, metavar="N")
    parser.add_argument(
        "--pace", type=float, metavar="X", help="factor on the times of judgement (default: 0.01, for short runs 0.003)"
    )
    parser.add_argument("--folder", type=Path, help="where everything goes (default: a temporary folder)")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    arguments = parser.parse_args()
    pace = arguments.pace or (0.01 if arguments.minutes >= 20 else 0.003)
    with tempfile.TemporaryDirectory(prefix="redirector-soak-") as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        plan = Plan(folder, arguments.minutes * 60, arguments.mirrors, pace, arguments.seed)
        soak = Soak(plan, lambda text: print(text, file=sys.stderr, flush=True))
        for number in (signal.SIGINT, signal.SIGTERM):  # started in the background, too: its table is printed
            signal.signal(number, signal.default_int_handler)
        try:
            asyncio.run(soak.run())
        finally:
            print(soak.table(), flush=True)
    return 0 if soak.ledger.held else 1


if __name__ == "__main__":
    sys.exit(main())
