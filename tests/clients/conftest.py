"""One fleet of mirrors and a service in each flavour, for all tests; a line of the matrix for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.mirrors import Fault, Fleet, open_fleet
from tests.clients.other_trees import build_archlinux, build_debian
from tests.clients.service import Flavour, Service, open_service
from tests.clients.sources import PUBLIC, client_of, write_almalinux, write_mirrormanager, write_primary
from tests.clients.tap import Tap, open_tap
from tests.clients.trees import NEW, Trees, build_trees

Services = dict[Flavour, Service]
OpenTap = Callable[[tuple[str, int], str], Tap]
TapNear = Callable[[Service, str], Tap]
Note = Callable[[str], None]

OWN = (Flavour.ALMALINUX, Flavour.MIRRORMANAGER)
"""The flavours in which the service speaks for itself, and not as today's server does."""

_HERE = Path(__file__).resolve().parent


def each_flavour(*flavours: Flavour) -> pytest.MarkDecorator:
    """Run a test in each of *flavours*, or in all there are."""
    return pytest.mark.parametrize("flavour", flavours or tuple(Flavour), ids=lambda flavour: flavour.value)


def each_first(*mirrors: str) -> pytest.MarkDecorator:
    """Run a test with each of *mirrors* as the first that the client is given."""
    return pytest.mark.parametrize("first", mirrors)


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    """Trees for rpm in two pushes; the newer one holds trees for apt and pacman too."""
    trees = build_trees(tmp_path_factory.mktemp("trees"))
    build_debian(trees.new, tmp_path_factory.mktemp("debian"), NEW)
    build_archlinux(trees.new, NEW)
    return trees


@pytest.fixture(scope="session")
def running_fleet(trees: Trees) -> Iterator[Fleet]:
    """Two healthy public mirrors, and a private one for each thing that can be wrong."""
    plan = {name: (trees.new, Fault.NONE) for name in PUBLIC}
    plan["stale"] = (trees.old, Fault.NONE)
    plan |= {fault.name.lower(): (trees.new, fault) for fault in Fault if fault is not Fault.NONE}
    with open_fleet(plan) as fleet:
        yield fleet


@pytest.fixture
def fleet(running_fleet: Fleet) -> Fleet:
    """The fleet, counting from zero."""
    running_fleet.forget()
    return running_fleet


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory, running_fleet: Fleet, trees: Trees) -> Iterator[Services]:
    """The service in each flavour, all over the same fleet."""
    folder = tmp_path_factory.mktemp("sources")
    tree = write_almalinux(folder / "tree", running_fleet, write_primary(folder, trees))
    snapshot = write_mirrormanager(folder / "snapshot.pb", running_fleet, trees)
    with ExitStack() as stack:
        yield {
            Flavour.ALMALINUX: stack.enter_context(open_service(tree)),
            Flavour.MIRRORMANAGER: stack.enter_context(open_service(snapshot)),
            Flavour.COMPATIBLE: stack.enter_context(open_service(snapshot, ["--compatibility", "mirrormanager"])),
        }


@pytest.fixture(scope="session")
def documents() -> dict[bytes, str]:
    """Every XML document that any test received, and the request that brought it."""
    return {}


@pytest.fixture
def open_tap_to(documents: dict[bytes, str]) -> Iterator[OpenTap]:
    """Opens taps to (host, port), for a client with the given address, until the test ends."""
    taps: list[Tap] = []
    with ExitStack() as stack:

        def tap(address: tuple[str, int], source: str) -> Tap:
            taps.append(stack.enter_context(open_tap(address, source)))
            return taps[-1]

        yield tap
    for exchange in (exchange for tap in taps for exchange in tap.exchanges()):
        if "xml" in exchange.headers.get("content-type", ""):
            documents[exchange.body] = exchange.target


@pytest.fixture
def tap_near(open_tap_to: OpenTap, fleet: Fleet) -> TapNear:
    """Opens taps for a client that is given the named mirror first."""
    return lambda service, mirror: open_tap_to(service.address, client_of(fleet, mirror))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the client of this test lives."""
    return tmp_path / "client"


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Writes the line that stands for this test in the matrix."""
    return lambda line: record_property("line", line)


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """These take minutes and a dozen of Debian's packages: they run where this folder is named (`make clients`)."""
    asked = (Path(argument.partition("::")[0]).resolve() for argument in config.args)
    return None if any(path.is_relative_to(_HERE) for path in asked) else True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix, one line a case."""
    lines = [
        f"{outcome:7} {dict(report.user_properties).get('line', report.nodeid)}"
        for outcome in ("passed", "failed", "error")
        for report in terminalreporter.getreports(outcome)
        if isinstance(report, pytest.TestReport) and report.nodeid.startswith("tests/clients/")
    ]
    if lines:
        terminalreporter.section("clients")
        terminalreporter.line("\n".join(lines))
