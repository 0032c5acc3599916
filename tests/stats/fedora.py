"""The same lines counted by Fedora's own tool (`mirrors-countme`) and by ours.

`python -m tests.stats.fedora [LINES]` makes up as many lines (a million), counts them by both, and prints how long
that took and which rows differ: none should.
"""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter

from redirector.stats.counts import Countme, first_open_week
from redirector.stats.lines import BLOCK_BYTES, Reader, Reading

_DAYS = ("13/Nov/2026", "15/Nov/2026", "16/Nov/2026", "22/Nov/2026", "23/Nov/2026", "29/Nov/2026", "30/Nov/2026")
_AGENTS = (
    *(f"libdnf (Fedora Linux {version}; workstation; Linux.x86_64)" for version in (40, 41, 42, 43)),
    "libdnf (Fedora Linux 42; server; Linux.aarch64)",
    "libdnf (AlmaLinux 9.4; generic; Linux.x86_64)",
    "libdnf (CentOS Stream 9; ; Linux.ppc64le)",
    "libdnf (My (own) OS 1.0; kde; Linux.x86_64)",
    "libdnf/0.35.5 (Fedora 31; generic; Linux.x86_64)",
    "rpm-ostree (Fedora Linux 41; coreos; Linux.x86_64)",
    "rpm-ostree/2024.8 (Fedora Linux 41; iot; Linux.aarch64)",
    "libdnf (Fedora Linux 42; Workstation; Linux.x86_64)",
    "libdnf5 (Fedora Linux 42; workstation; Linux.x86_64)",
    "libdnf (Fedora Linux 42; workstation)",
    "dnf/4.14",
    "-",
)
_PATHS = ("/metalink", "/metalink", "/metalink", "/mirrorlist", "/pub/fedora/repomd.xml", "/metalinks", "/")
_METHODS = ("GET", "GET", "GET", "GET", "HEAD", "POST")
_STATUSES = (200, 200, 200, 302, 404, 503)
_VERSIONS = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/3.0")
_ZONES = ("+0000", "+0000", "+0100", "-0500", "+0530")
_REPOSITORIES = ("fedora-42", "updates-released-f42", "epel-9", "fedora%2D41", "a%26b", "x~1")
_SAID = (
    "&countme=1",
    "&countme=2",
    "&countme=3",
    "&countme=4",
    "&countme=%32",
    "&countme=2&countme=1",
    "&countme=",
    "",
)


def make_lines(count: int, seed: int = 1) -> list[str]:
    """Lines that both tools read alike: of Apache, with all that makes a difference to either."""
    random = Random(seed)
    pick = random.choice
    made = []
    for _ in range(count):
        address = f"{random.randrange(1, 224)}.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)}"
        clock = f"{random.randrange(24):02}:{random.randrange(60):02}:{random.randrange(60):02}"
        parts = [
            f"repo={pick(_REPOSITORIES)}",
            f"arch={pick(('x86_64', 'aarch64'))}",
            pick(("infra=$infra", "content")),
        ]
        random.shuffle(parts)
        query = "&".join(parts[: random.choice((3, 3, 3, 2))]) + pick(_SAID)
        request = f"{pick(_METHODS)} {pick(_PATHS)}?{query} {pick(_VERSIONS)}"
        made.append(
            f'{address} - - [{pick(_DAYS)}:{clock} {pick(_ZONES)}] "{request}" {pick(_STATUSES)} '
            f'{pick(("18336", "0", "-"))} "{pick(("-", "http://example.org/"))}" "{pick(_AGENTS)}"\n'
        )
    made.append('192.0.2.1 - - [08/Dec/2026:12:00:00 +0000] "GET /metalink?countme=1 HTTP/1.1" 200 5 "-" "-"\n')
    return made


def count_by_fedora(log: Path, folder: Path) -> Counter[Countme]:
    """What `mirrors-countme` writes for the weeks that are past."""
    from mirrors_countme.matchers import CountmeMatcher  # type: ignore[import-untyped]
    from mirrors_countme.output_items import CountmeItem  # type: ignore[import-untyped]
    from mirrors_countme.parse import parse_from_iterator  # type: ignore[import-untyped]
    from mirrors_countme.totals import totals  # type: ignore[import-untyped]
    from mirrors_countme.writers import make_writer  # type: ignore[import-untyped]

    raw, written = folder / "raw.db", folder / "totals.db"
    with log.open() as file:
        parse_from_iterator(
            [file],
            writer=make_writer("sqlite", str(raw), CountmeItem),
            matcher=CountmeMatcher,
            sqlite=True,
            dupcheck=False,  # two systems behind one address that ask within one second are two
        )
    totals(countme_totals=str(written), countme_raw=str(raw))
    with closing(sqlite3.connect(written)) as database:
        numbers = "CAST(weeknum AS INTEGER), os_name, os_version, os_variant, os_arch, CAST(sys_age AS INTEGER)"
        rows = database.execute(f"SELECT {numbers}, repo_tag, repo_arch, hits FROM countme_totals").fetchall()
    return Counter({Countme(*row[:-1]): row[-1] for row in rows if row[5] >= 0})


def count_by_us(log: Path) -> Counter[Countme]:
    """The same by ours."""
    reader = Reader(Reading())
    with log.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            reader.read(block + file.readline())
    counts = reader.counts()
    first_open = first_open_week(counts.newest)
    return Counter({row: hits for row, hits in counts.countme.items() if row.weeknum < first_open})


def main(count: int) -> int:
    """Print what both say of *count* lines; 1 when they differ."""
    with TemporaryDirectory() as name:
        log = Path(name) / "access.log"
        log.write_text("".join(make_lines(count)))
        start = perf_counter()
        ours = count_by_us(log)
        between = perf_counter()
        theirs = count_by_fedora(log, Path(name))
        end = perf_counter()
    print(f"{count:,} lines: {ours.total():,} systems in {len(ours):,} rows")
    print(f"ours: {between - start:.1f} s, mirrors-countme: {end - between:.1f} s")
    differing = [(row, ours[row], theirs[row]) for row in ours.keys() | theirs.keys() if ours[row] != theirs[row]]
    print(f"{len(differing)} rows differ", *differing[:10], sep="\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
