"""The server's own log."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

import redirector
from redirector.server.between.logs import LIMIT_LINES, JsonFormatter, RateLimit, StandardError, TextFormatter
from tests.server.running import serving, write_snapshot


def record(message: str, *values: object, level: int = logging.WARNING, failed: bool = False) -> logging.LogRecord:
    failure = None
    if failed:
        try:
            raise RuntimeError("first line\nsecond line")
        except RuntimeError:
            failure = sys.exc_info()
    return logging.LogRecord("redirector.server", level, "", 1, message, values, failure)


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_one_event_is_one_line(formatter: logging.Formatter) -> None:
    text = formatter.format(record("a\nb %s", "c\r\nd", failed=True))
    assert len(text.splitlines()) == 1
    assert "second line" in text


def test_the_level_is_said_unless_it_is_the_usual_one() -> None:
    assert TextFormatter().format(record("up", level=logging.INFO)) == "redirector: up"
    assert TextFormatter().format(record("down", level=logging.ERROR)) == "redirector: error: down"


def test_json_holds_what_the_text_does() -> None:
    line = json.loads(JsonFormatter().format(record("down by %d", 3)))
    assert (line["level"], line["message"], line["logger"]) == ("warning", "down by 3", "redirector.server")


def test_repeated_lines_are_limited_and_different_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0] * 100 + [11.0] * 100)
    monkeypatch.setattr("redirector.server.between.logs.time.monotonic", lambda: next(clock))
    limit = RateLimit()
    passed = [limit.filter(record("request %s failed", number)) for number in range(50)]
    assert passed == [True] * LIMIT_LINES + [False] * (50 - LIMIT_LINES)
    assert all(limit.filter(record("%s", f"problem {number}")) for number in range(50))
    late = record("request %s failed", 99)
    assert limit.filter(late)
    assert late.getMessage() == f"request 99 failed (and {50 - LIMIT_LINES} more like it)"


@pytest.fixture
def blocked_standard_error() -> Iterator[None]:
    """Standard error is a pipe that nobody reads and that is full."""
    kept = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        for descriptor in (kept, reading, writing):
            os.close(descriptor)


def test_nobody_waits_for_whoever_should_read_the_log(blocked_standard_error: None) -> None:
    handler = StandardError()
    handler.setFormatter(TextFormatter())
    handler.emit(record("unheard"))


def test_a_server_whose_part_in_c_was_not_compiled_says_so_and_answers(tmp_path: Path) -> None:
    package = Path(redirector.__file__).parent
    copytree(package, tmp_path / "redirector", ignore=ignore_patterns("*.so", "__pycache__"))
    source = write_snapshot(tmp_path / "snapshot.proto")
    with serving(source, starter=("env", "-C", str(tmp_path))) as server:
        server.wait_for("the part in C was not compiled")
        assert server.ask().status == 200
