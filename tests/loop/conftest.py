"""These tests run all programs together for minutes: they run when they are asked for, `make loop`."""

from __future__ import annotations

from pathlib import Path

import pytest

_HERE = Path(__file__).resolve().parent


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave this folder out unless the command line names it."""
    asked = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return None if any(_HERE == each or _HERE in each.parents for each in asked) else True
