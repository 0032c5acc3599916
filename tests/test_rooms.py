"""The rooms inside `answer/` and `server/`, and what keeps the answering half free of the other one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_imports import EDGE, MODULES, ORDER, imports_of, room_of

ROOT = Path(__file__).parents[1]

NETWORK_HALF = ("store", "master", "health", "registry", "stats", "kit", "web")
NETWORK_LIBRARIES = ("sqlalchemy", "alembic", "pydantic", "joserfc", "argon2", "aiosmtplib", "aiosqlite", "asyncpg")

INNER = {
    "answer": (
        "answer",
        "_fast",
        "ask",
        "choose",
        "show",
        "reading",
        "tables",
        "beside",
        "serve",
        "packed",
        "explain",
        "compare",
    ),
    "server": ("between", "worker", "nursery", "supervisor"),
}
"""Rooms in rooms, and single modules between them: each may import those before it."""

MIRRORLIST = (
    "server/worker/lane.py",
    "answer/reading.py",
    "locate/ranges.py",
    "answer/choose/orders.py",
    "answer/choose/lineup.py",
    "answer/_fast.c",
    "answer/show/frames.py",
    "server/worker/outbox.py",
)
"""The files that one mirrorlist passes through, in order."""


def within(room: str) -> Iterator[tuple[str, str, str]]:
    """(module, its inner room, inner room that it imports) of everything in *room*."""
    for module, path in MODULES.items():
        parts = module.split(".")
        if parts[1:2] == [room] and len(parts) > 2:
            for name in imports_of(path):
                other = name.split(".")
                if other[:2] == ["redirector", room] and len(other) > 2:
                    yield module, parts[2], other[2]


@pytest.mark.parametrize("room", INNER)
def test_inner_rooms_have_an_order_too(room: str) -> None:
    order = INNER[room]
    assert [
        f"{module} imports {other}" for module, own, other in within(room) if order.index(other) > order.index(own)
    ] == []


@pytest.mark.parametrize("room", [*INNER, "snapshot", "sources", "tree", "locate", "settings"])
def test_no_module_is_needed_by_what_it_needs(room: str) -> None:
    needs = {
        module: {each for name in imports_of(path) for each in (name, name.rpartition(".")[0])}
        for module, path in MODULES.items()
        if room_of(module) == room
    }

    def reached(module: str) -> set[str]:
        found: set[str] = set()
        waiting = [module]
        while waiting:
            for name in needs.get(waiting.pop(), ()):
                if name in needs and name not in found and MODULES[name].name != "__init__.py":
                    found.add(name)
                    waiting.append(name)
        return found

    assert [module for module in needs if module in reached(module)] == []


def test_nothing_above_the_network_half_imports_it() -> None:
    above = set(ORDER[: ORDER.index("store")])
    found = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        if room_of(module) in above
        for name in imports_of(path)
        if name.startswith("redirector.") and room_of(name) in NETWORK_HALF
    ]
    assert found == []


FOR_OTHERS = {"sqlalchemy.ext.asyncio.AsyncConnection", "sqlalchemy.exc.IntegrityError"}
"""What every room may name: whose transaction it is in, and that somebody else was first."""


def test_only_the_store_speaks_sql() -> None:
    assert [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        if room_of(module) != "store"
        for name in imports_of(path)
        if name.startswith(("redirector.store.tables", "redirector.store.schema"))
        or (
            name.split(".")[0] in ("sqlalchemy", "alembic", "aiosqlite", "asyncpg", "sqlite3")
            and name not in FOR_OTHERS
        )
    ] == []


def test_answering_reaches_into_no_source() -> None:
    found = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        if room_of(module) == "answer"
        for name in imports_of(path)
        if name.startswith("redirector.sources")
    ]
    assert found == []


LOADED = """
import sys
import redirector.server.nursery.nursery, redirector.server.supervisor.supervisor, redirector.cli.main
print(*sorted(sys.modules))
"""


def test_the_processes_of_the_server_load_nothing_of_the_network_half() -> None:
    run = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = set(run.stdout.split())
    assert "redirector.server.worker.lane" in loaded
    rooms = {f"redirector.{room}" for room in NETWORK_HALF}
    assert {name for name in loaded if name in NETWORK_LIBRARIES or ".".join(name.split(".")[:2]) in rooms} == set()


WITHOUT = f"""
import sys
from importlib.abc import MetaPathFinder

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NETWORK_LIBRARIES!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
from redirector.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def run_without_the_extra(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT, *arguments], cwd=ROOT, capture_output=True, text=True)


def test_an_installation_without_the_extra_answers() -> None:
    target = ("/mirrorlist/9/baseos", "--client", "192.0.2.1", "--config", "data/redirector.yml", "--asn", "none")
    answered = run_without_the_extra("explain", *target)
    assert "answer 200" in answered.stdout, answered.stderr


def test_a_command_that_needs_the_extra_says_so() -> None:
    refused = run_without_the_extra("registry", "init")
    assert refused.returncode == 2
    assert "pip install 'redirector[network]'" in refused.stderr


def test_the_manual_is_had_without_the_extra_and_says_which_commands_need_it() -> None:
    shown = run_without_the_extra("manual")
    assert shown.returncode == 0, shown.stderr
    assert "\\-\\-lineup\\-pool" in shown.stdout  # an option of `serve`
    assert "(needs redirector[network])" in shown.stdout
    assert "crawl" in run_without_the_extra("manual", "bash").stdout


def test_the_page_on_architecture_names_the_files_of_a_mirrorlist_in_order() -> None:
    assert len(MIRRORLIST) <= 8
    page = (ROOT / "docs" / "architecture.md").read_text()
    one_request = page[page.index("## One request") :]
    places = [one_request.index(f"`{name}`") for name in MIRRORLIST]
    assert places == sorted(places)
    assert all((ROOT / "redirector" / name).exists() for name in MIRRORLIST)


def test_the_page_on_architecture_names_the_order_of_rooms_in_rooms() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for modules in INNER.values():
        assert " ← ".join(each for each in modules if each not in ("answer", "_fast")) in page


def test_the_page_on_architecture_names_what_of_the_network_half_is_no_function_of_its_arguments() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    untold = []
    for module in sorted(each for each in EDGE if "." in each and each.partition(".")[0] in NETWORK_HALF):
        *folders, name = module.split(".")
        ways = [
            f"`{'/'.join(folders)}/{name}.py`",
            *(f"`{'/'.join(folders[:n])}/`" for n in range(2, len(folders) + 1)),
        ]
        if not any(way in page for way in ways):
            untold.append(module)
    assert untold == []
