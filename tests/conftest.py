"""What all rooms' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.rig import SHARED

# An example that takes long on a busy machine is no failure. Examples are new on every run but in CI, where a landing
# must not hang on what another landing left unfound.
settings.register_profile("unhurried", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data and grammars, which lie beside the repository; without them a test fails in CI, and skips elsewhere."""
    if not SHARED.is_dir() and not os.environ.get("CI"):
        pytest.skip(f"{SHARED} is not there")
    return SHARED
