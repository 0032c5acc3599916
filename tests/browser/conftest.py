"""Chromium, axe-core and html-validate look at every page: they run when they are asked for, `make browser`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.registry.conftest import registry
from tests.web.conftest import api, network, network_database

__all__ = ["api", "network", "network_database", "registry"]

_HERE = Path(__file__).resolve().parent


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave this folder out unless the command line names it."""
    asked = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return None if any(_HERE == each or _HERE in each.parents for each in asked) else True


async def look(pages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is found at each of *pages*; see look.mjs."""
    node, chromium = shutil.which("node"), shutil.which("chromium")
    assert node and chromium and (_HERE / "node_modules").is_dir(), "make browser installs what is needed"
    program = await asyncio.create_subprocess_exec(
        node, "look.mjs", cwd=_HERE, env={**os.environ, "HOME": str(_HERE / "node_modules")},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told = json.dumps({"browser": chromium, "pages": list(pages)}).encode()
    out, errors = await program.communicate(told)
    assert program.returncode == 0, errors.decode()[-2000:]
    found: list[dict[str, Any]] = json.loads(out)
    return found
