"""The server's own log on standard error: one line per event, text or JSON, repeated lines limited in rate."""

from __future__ import annotations

import json
import logging
import os
import select
import time

LIMIT_PERIOD_S = 10.0
"""How long a message template is counted together ..."""

LIMIT_LINES = 5
"""... and how many lines of it are written in that time; the next line says how many were left out."""

TEMPLATE_CHARACTERS = 60
"""Libraries put values into the template itself, mostly behind this many characters."""

MAX_TEMPLATES = 1000
"""Ours are some tens; what libraries add must not grow without end."""

MAX_LINE_BYTES = 4000
"""Below PIPE_BUF (4096), so that lines of several processes never mix."""


def configure_logging(level: str, log_format: str) -> None:
    """Send what we and our libraries log to standard error, in place of what was configured before.

    log_format  `text` or `json`
    """
    handler = StandardError()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    handler.addFilter(RateLimit())
    for name in ("redirector", "aiohttp", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
    logging.getLogger("redirector").setLevel(level.upper())


class StandardError(logging.Handler):
    """Writes each record with one system call, and drops it where writing would block."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record).encode("utf-8", "backslashreplace")[:MAX_LINE_BYTES] + b"\n"
        try:
            if select.select([], [2], [], 0)[1]:
                os.write(2, line)
        except (OSError, ValueError):
            return


class TextFormatter(logging.Formatter):
    """`redirector: message`, or `redirector: warning: message`; a traceback stays on the same line."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        return f"redirector: {level}{_in_one_line(record, self)}"


class JsonFormatter(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "time": round(record.created, 3),
                "level": record.levelname.lower(),
                "logger": record.name,
                "pid": record.process,
                "message": _in_one_line(record, self),
            },
            ensure_ascii=False,
        )


def _in_one_line(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    text = record.getMessage()
    if record.exc_info:
        text += ": " + formatter.formatException(record.exc_info)
    return " | ".join(line.strip() for line in text.splitlines())


class RateLimit(logging.Filter):
    """Passes `LIMIT_LINES` records of one template every `LIMIT_PERIOD_S`; without a template, of one text."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage() if record.msg == "%s" else str(record.msg)[:TEMPLATE_CHARACTERS]
        template = (record.name, text)
        if len(self._seen) > MAX_TEMPLATES:
            self._seen.clear()
        began, count = self._seen.get(template, (0.0, 0))
        now = time.monotonic()
        if now - began >= LIMIT_PERIOD_S:
            if count > LIMIT_LINES:
                record.msg = f"{record.msg} (and {count - LIMIT_LINES} more like it)"
            began, count = now, 0
        self._seen[template] = (began, count + 1)
        return count < LIMIT_LINES


def announce(text: str) -> None:
    """Log *text* whatever the level."""
    logger = logging.getLogger("redirector")
    logger.handle(logger.makeRecord(logger.name, logging.INFO, "", 0, "%s", (text,), None))
