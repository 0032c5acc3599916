"""Every test that `docs/requirements.md` names is there, and every row names one."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| (?!asked|---)(?P<asked>[^|]+) \|[^|]*\| (?P<shown>[^|]+) \|$", re.M)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
TEXT = (ROOT / "docs" / "requirements.md").read_text()


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the tests in a file; none when it is not there."""
    file = ROOT / path
    if not file.exists():
        return frozenset()
    nodes = ast.walk(ast.parse(file.read_text()))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_test_that_is_named_is_there() -> None:
    named = NAMED.findall(TEXT)
    assert named
    assert [f"{path}::{name}" for path, name in named if name not in names_in(path)] == []


def test_every_row_names_a_test() -> None:
    rows = {row["asked"]: row["shown"] for row in ROW.finditer(TEXT)}
    assert len(rows) > 60
    assert [asked for asked, shown in rows.items() if not NAMED.search(shown)] == []
