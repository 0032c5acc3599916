"""What all rooms' tests share."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import settings

from tests.real import unpack_tree

pytest_plugins = ("tests.store.postgresql",)

# An example that takes long on a busy machine is no failure. Examples are new on every run but in CI, where a landing
# must not hang on what another landing left unfound; `--hypothesis-profile thorough` tries many more.
settings.register_profile("unhurried", deadline=None, max_examples=30, derandomize=bool(os.environ.get("CI")))
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("unhurried")

# Workers of one run, which begin after this, agree on the order of sets: a test whose name came from one would be
# another test in each of them. The order is a new one on every run, but in CI.
os.environ.setdefault("PYTHONHASHSEED", "0" if os.environ.get("CI") else str(random.randrange(2**32)))

# No test asks anybody outside: reading whom the system trusts would be a tenth of each program's start, twice over.
os.environ["SSL_CERT_FILE"] = os.devnull


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than processors: what waits for a clock leaves one of them idle."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.fixture(scope="session")
def real_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real tree of 530 mirrors, unpacked; tests only read it."""
    return unpack_tree(tmp_path_factory.mktemp("real"))
