"""Around a push: mirrors follow hours later, and until they do every client must still find a repository that fits."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.conftest import Note, OpenTap
from tests.clients.mirrors import Fault, Fleet, Mirror, open_fleet
from tests.clients.programs import Dnf, Reading
from tests.clients.service import Kind, Service, open_service
from tests.clients.sources import PUBLIC, client_of, copy_repodata, write_almalinux
from tests.clients.trees import BASEOS, NEW, OLD, Trees

METALINK = "/metalink?repo=baseos-9&arch=$basearch"


@dataclass(frozen=True, slots=True)
class Master:
    """Where pushes happen: the tree that the service reads, its history, and the origin that has the last push."""

    folder: Path
    trees: Trees
    origin: Mirror

    @property
    def keys(self) -> dict[str, str]:
        """Keys of `config.yml`."""
        return {
            "primary": str(self.folder / "primary"),
            "primary_history": str(self.folder / "history"),
            "primary_url": self.origin.url,
        }

    def push(self, tree: Path) -> None:
        self.origin.tree = tree
        copy_repodata(tree, self.folder / "primary", BASEOS)

    def keep_history(self, tree: Path) -> None:
        copy_repodata(tree, self.folder / "history" / tree.name, BASEOS)


@pytest.fixture
def mirrors(trees: Trees) -> Iterator[Fleet]:
    """Mirrors that have seen the older push only."""
    with open_fleet({name: (trees.old, Fault.NONE) for name in PUBLIC}) as fleet:
        yield fleet


@pytest.fixture
def master(tmp_path: Path, trees: Trees) -> Iterator[Master]:
    """A master at the older push."""
    with open_fleet({"origin": (trees.old, Fault.NONE)}) as fleet:
        master = Master(tmp_path / "master", trees, fleet["origin"])
        master.push(trees.old)
        (master.folder / "history").mkdir()
        yield master


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


See = Callable[[Service, str], Reading]


@pytest.fixture
def see(mirrors: Fleet, open_tap_to: OpenTap, tmp_path: Path) -> See:
    """What a dnf without any cache makes of BaseOS, when the named mirror is the first that it is given."""
    numbers = itertools.count()

    def read(service: Service, mirror: str) -> Reading:
        tap = open_tap_to(service.address, client_of(mirrors, mirror))
        return Dnf(tmp_path / f"client{next(numbers)}").read(Kind.METALINK, tap.url + METALINK)

    return read


@pytest.mark.parametrize(
    ("keys", "version"),
    [(("primary_history",), OLD), (("primary_url",), NEW), (("primary_history", "primary_url"), OLD)],
    ids=["with-history", "with-an-origin", "with-both"],
)
def test_just_after_a_push_no_dnf_ends_with_an_error(
    keys: tuple[str, ...],
    version: str,
    master: Master,
    mirrors: Fleet,
    trees: Trees,
    stack: ExitStack,
    open_tap_to: OpenTap,
    tmp_path: Path,
    note: Note,
) -> None:
    master.keep_history(trees.old)
    master.push(trees.new)
    named = {key: value for key, value in master.keys.items() if key in ("primary", *keys)}
    service = stack.enter_context(open_service(write_almalinux(tmp_path / "tree", mirrors, named)))
    readings = set()
    for number in range(8):
        tap = open_tap_to(service.address, f"127.2.0.{number + 1}")
        readings.add(Dnf(tmp_path / f"client{number}").read(Kind.METALINK, tap.url + METALINK))
    note(f"dnf     metalink   just after a push, {' and '.join(keys)}: 8 clients see {readings}")
    assert readings == {Reading(0, version)}


def test_a_push_reaches_clients_mirror_by_mirror(
    master: Master, mirrors: Fleet, trees: Trees, stack: ExitStack, see: See, tmp_path: Path, note: Note
) -> None:
    north, south = PUBLIC
    service = stack.enter_context(open_service(write_almalinux(tmp_path / "tree", mirrors, master.keys)))
    seen = {"before the push": see(service, north)}
    master.keep_history(trees.old)
    master.push(trees.new)
    seen["the service has not read it"] = see(service, north)
    mirrors[north].tree = trees.new
    seen["a mirror is faster than the service"] = see(service, north)
    service.reload()
    seen["read, and the mirror has it"] = see(service, north)
    seen["read, the mirror is behind"] = see(service, south)
    mirrors[south].tree = trees.new
    seen["every mirror has it"] = see(service, south)
    note("dnf     metalink   a push, " + ", ".join(f"{step}: {reading.version}" for step, reading in seen.items()))
    assert seen == {
        "before the push": Reading(0, OLD),
        "the service has not read it": Reading(0, OLD),
        "a mirror is faster than the service": Reading(0, OLD),
        "read, and the mirror has it": Reading(0, NEW),
        "read, the mirror is behind": Reading(0, OLD),
        "every mirror has it": Reading(0, NEW),
    }


def test_earlier_loads_are_remembered_where_there_is_no_history(
    master: Master, mirrors: Fleet, trees: Trees, stack: ExitStack, see: See, tmp_path: Path, note: Note
) -> None:
    source = write_almalinux(tmp_path / "tree", mirrors, {"primary": str(master.folder / "primary")})
    options = ["--state", str(tmp_path / "state")]
    with open_service(source, options) as service:
        master.push(trees.new)
        service.reload()
        reloaded = see(service, PUBLIC[0])
    with open_service(source, options) as service:
        started_again = see(service, PUBLIC[0])
    mirrors[PUBLIC[1]].tree = trees.new
    shutil.rmtree(tmp_path / "state")
    with open_service(source, options) as service:
        forgotten = see(service, PUBLIC[0])
    note(f"dnf     metalink   state: reloaded {reloaded}, started again {started_again}, state lost {forgotten}")
    assert reloaded == started_again == Reading(0, OLD)
    assert forgotten == Reading(0, NEW)
