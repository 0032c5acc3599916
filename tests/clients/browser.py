"""A browser without a window, driven through its debugging protocol: what a page looks like to a person."""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

from tests.patience import PATIENCE_S

_COMMAND = (
    "chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-port=0"
).split()


_LOOK = """
(() => {
  const parse = colour => colour.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const contrast = element => {
    const [low, high] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const texts = [...document.querySelectorAll("h1, h2, h3, p, a, code, td, th, caption, summary, span")];
  return {
    width: document.documentElement.scrollWidth,
    contrast: Math.min(...texts.map(contrast)),
    smallest: Math.min(...texts.map(each => parseFloat(getComputedStyle(each).fontSize))),
    background: getComputedStyle(document.body).backgroundColor,
    links: [...document.links].map(each => each.href),
    text: document.body.innerText,
  };
})()
"""


@dataclass(frozen=True, slots=True)
class View:
    """A page as it was shown.

    width       of its content, in pixels
    contrast    the lowest there is between a text and what is behind it
    smallest    font size, in pixels
    background  as CSS spells it
    complaints  of the browser
    """

    width: float
    contrast: float
    smallest: float
    background: str
    links: list[str]
    text: str
    complaints: list[str]
    picture: bytes


def look(url: str, width: int, dark: bool = False) -> View:
    """Show *url* in a window of *width*, and take a picture of all of it."""
    return asyncio.run(asyncio.wait_for(_look(url, width, dark), PATIENCE_S))


async def _look(url: str, width: int, dark: bool) -> View:
    async with _open_tab() as tab:
        await tab.send("Page.enable")
        await tab.send("Log.enable")
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await tab.send("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await tab.send("Emulation.setEmulatedMedia", features=[scheme])
        await tab.send("Page.navigate", url=url)
        await tab.wait_for("Page.loadEventFired")
        seen = (await tab.send("Runtime.evaluate", expression=_LOOK, returnByValue=True))["result"]["value"]
        shot = await tab.send("Page.captureScreenshot", captureBeyondViewport=True)
        complaints = [entry["entry"]["text"] for entry in tab.events.get("Log.entryAdded", [])]
        return View(**seen, complaints=complaints, picture=b64decode(shot["data"]))


class _Tab:
    """One tab; *events* by name, in order."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.session = ""
        self.events: dict[str, list[dict[str, Any]]] = {}
        self._socket = socket
        self._numbers = count(1)

    async def send(self, method: str, **parameters: object) -> dict[str, Any]:
        """The result of a command."""
        number = next(self._numbers)
        session = {"sessionId": self.session} if self.session else {}
        await self._socket.send_json({"id": number, "method": method, "params": parameters, **session})
        while (message := await self._receive()).get("id") != number:
            pass
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    async def wait_for(self, event: str) -> None:
        while event not in self.events:
            await self._receive()

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._socket.receive_json()
        if "method" in message:
            self.events.setdefault(message["method"], []).append(message["params"])
        return message


@asynccontextmanager
async def _open_tab() -> AsyncIterator[_Tab]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        browser = await asyncio.create_subprocess_exec(
            *_COMMAND, f"--user-data-dir={home}", "about:blank", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            assert browser.stderr is not None
            async for line in browser.stderr:
                if listening := re.match(rb"DevTools listening on (ws://\S+)", line):
                    break
            else:
                raise AssertionError("the browser ended before it listened")
            async with ClientSession() as client, client.ws_connect(listening[1].decode(), max_msg_size=0) as socket:
                tab = _Tab(socket)
                target = (await tab.send("Target.createTarget", url="about:blank"))["targetId"]
                attached = await tab.send("Target.attachToTarget", targetId=target, flatten=True)
                tab.session = attached["sessionId"]
                yield tab
        finally:
            browser.kill()
            await browser.wait()
