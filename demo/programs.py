"""The programs that turn the loop, started as an operator would start them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

END_S = 10.0


class DemoError(Exception):
    """A program of the demo could not do its part; *log* has what it said."""

    def __init__(self, what: str, log: Path) -> None:
        super().__init__(what, log)
        self.what, self.log = what, log

    def __str__(self) -> str:
        return f"{self.what}: see {self.log}"


@dataclass(slots=True)
class Programs:
    """Commands of `redirector`, all with the demo's configuration; what they say goes to files of their names."""

    folder: Path
    config: Path
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "redirector", *words, "--config", str(self.config)]

    def log(self, name: str) -> Path:
        """What a program said."""
        return self.folder / "logs" / f"{name}.log"

    async def start(self, name: str, *words: str) -> None:
        """A program that goes on until `stop`. It does not get the terminal's Ctrl-C: the demo ends it."""
        with self.log(name).open("ab") as log:
            self.running[name] = await asyncio.create_subprocess_exec(
                *self._command(*words), stdout=log, stderr=log, start_new_session=True
            )

    async def finish(self, name: str, *words: str, may_fail: bool = False) -> str:
        """What a command printed. Raises DemoError when it fails, unless it may."""
        with self.log(name).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self._command(*words), stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True
            )
            try:
                printed, _ = await process.communicate()
            except asyncio.CancelledError:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()
                raise
        if process.returncode and not may_fail:
            raise DemoError(f"redirector {' '.join(words[:2])} ended with {process.returncode}", self.log(name))
        return printed.decode()

    def dead(self) -> str | None:
        """The name of a program that ended though nobody wanted that."""
        return next((name for name, process in self.running.items() if process.returncode is not None), None)

    async def stop(self) -> None:
        """SIGTERM to all, the last one that was started first; what has not ended in ten seconds is killed."""
        for process in reversed(self.running.values()):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                await asyncio.wait_for(process.wait(), END_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        self.running.clear()


async def ask(
    url: str, body: Any = None, *, method: str | None = None, token: str | None = None, timeout_s: float = 5
) -> bytes:
    """The answer to a request; raises OSError when there is none, or one that is no success."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    raw = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, raw, headers, method=method)

    def send() -> bytes:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            answer: bytes = response.read()
            return answer

    return await asyncio.to_thread(send)


async def wait_for(url: str, seconds: float, what: str, log: Path) -> None:
    """Until *url* answers. Raises DemoError after *seconds*."""
    for _ in range(int(seconds / 0.2)):
        with contextlib.suppress(OSError):
            await ask(url)
            return
        await asyncio.sleep(0.2)
    raise DemoError(f"{what} does not answer at {url}", log)
