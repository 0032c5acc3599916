"""A new file reaches all servers when the first one does well with it, and stays with that one otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.rig import DEPLOY

_spec = spec_from_file_location("rollout", DEPLOY / "rollout.py")
assert _spec is not None and _spec.loader is not None
rollout: Any = module_from_spec(_spec)  # a program, and no part of a package
_spec.loader.exec_module(rollout)

WRITTEN = 1_790_000_000.0


def told(loaded: float, requests: int = 0, errors: int = 0, relaxed: int = 0, refused: int = 0) -> str:
    """What the first server's listener says."""
    return (
        f"# HELP redirector_requests_total answers\n"
        f'redirector_requests_total{{answer="mirrorlist",status="200"}} {requests - errors}\n'
        f'redirector_requests_total{{answer="mirrorlist",status="503"}} {errors}\n'
        f'redirector_relaxed_total{{wish="country"}} {relaxed}\n'
        f'redirector_reloads_total{{outcome="served"}} 3.0\n'
        f'redirector_reloads_total{{outcome="refused"}} {refused}\n'
        f"redirector_snapshot_loaded_timestamp_seconds {loaded}\n"
    )


BEFORE = told(WRITTEN - 900, 10_000, 10, 500)


@dataclass(slots=True)
class Stage:
    """A new file, the place for it, and a first server that says one thing after another."""

    folder: Path
    slept: list[float] = field(default_factory=list)

    def roll(self, *said: str) -> str | None:
        new, place = self.folder / "new.proto", self.folder / "place.proto"
        new.write_bytes(b"new")
        os.utime(new, (WRITTEN, WRITTEN))
        place.write_bytes(b"old")
        answers: Iterator[str] = iter(said)
        fault: str | None = rollout.roll_out(new, place, lambda: next(answers), 60.0, 10.0, self.slept.append)
        return fault

    @property
    def place(self) -> bytes:
        return (self.folder / "place.proto").read_bytes()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_file_that_the_first_server_does_well_with_goes_to_the_others(stage: Stage) -> None:
    loaded = told(WRITTEN + 5, 10_100, 10, 505)
    assert stage.roll(BEFORE, loaded, told(WRITTEN + 5, 12_000, 12, 600)) is None
    assert stage.place == b"new"
    assert stage.slept == [5.0, 60.0]


@pytest.mark.parametrize(
    ("after", "fault"),
    [
        (told(WRITTEN + 5, 12_000, 200, 600), "errors: 10.0%"),
        (told(WRITTEN + 5, 12_000, 10, 1_500), "relaxed: 52.4%"),
        (told(WRITTEN + 5, 12_000, 12, 600, refused=1), "a reload was refused"),
    ],
    ids=["errors", "relaxed", "refused"],
)
def test_a_file_that_makes_things_worse_stays_with_the_first_server(stage: Stage, after: str, fault: str) -> None:
    reason = stage.roll(BEFORE, told(WRITTEN + 5, 10_100, 10, 505), after)
    assert reason is not None and reason.startswith(fault)
    assert stage.place == b"old"


def test_a_file_that_is_refused_or_never_loaded_stays(stage: Stage) -> None:
    assert stage.roll(BEFORE, told(WRITTEN - 900, 10_010, refused=1)) == "the first server refused it"
    assert stage.roll(*[BEFORE] * 9) == "the first server has not loaded it within 10 s"
    assert stage.place == b"old"


def test_the_metrics_are_those_that_a_server_has() -> None:
    text = (DEPLOY.parent / "docs" / "interface.md").read_text()
    for name in ("requests_total", "relaxed_total", "reloads_total", "snapshot_loaded_timestamp_seconds"):
        assert f"`redirector_{name}`" in text, name
        assert f'"redirector_{name}"' in (DEPLOY / "rollout.py").read_text(), name
    assert rollout.read_metrics(BEFORE)["requests"] == 10_000
