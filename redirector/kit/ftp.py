"""Asks a mirror by FTP: one connection, at an address that was checked, in passive mode to that same address."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from redirector.health.evidence import printable
from redirector.health.safety import Address

COMMAND_S = 10.0
FILE_S = 60.0
_LINE_BYTES = 4096


@dataclass(eq=False)
class FtpError(Exception):
    """No answer that FTP knows; *text* says what came instead."""

    text: str

    def __str__(self) -> str:
        return self.text


class Ftp:
    """A session as `anonymous`. Use it with `async with`; raises FtpError from any method.

    allows  whether a port of that address may be connected to
    """

    def __init__(self, address: Address, port: int, allows: Callable[[int], bool]) -> None:
        self._address = str(address)
        self._port = port
        self._allows = allows
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Ftp:
        self._reader, self._writer = await _open(self._address, self._port)
        try:
            code, text = await self._answer()
            if code == 220:
                code, text = await self.say("USER anonymous")
            if code == 331:
                code, text = await self.say("PASS mirror-check@")
            if code != 230:
                raise FtpError(f"{code} {text}")
            await self.say("TYPE I")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await self._writer.wait_closed()

    async def say(self, line: str) -> tuple[int, str]:
        """The code and the text of the answer to *line*."""
        if any(ord(c) < 32 or ord(c) == 127 for c in line):
            raise FtpError("a name with control characters")
        assert self._writer is not None
        self._writer.write(line.encode("utf-8", "surrogateescape") + b"\r\n")
        return await self._answer()

    async def fetch(self, path: str, limit_bytes: int) -> tuple[int, str, bytes | None]:
        """Code, text and body of the file *path*; no body where there is none, or more than *limit_bytes*."""
        code, text = await self.say("EPSV")
        found = re.search(r"\(\|\|\|(\d{1,5})\|\)", text)
        if code != 229 or not found:
            raise FtpError(f"EPSV: {code} {text}")
        port = int(found[1])
        if not self._allows(port):
            raise FtpError(f"EPSV leads to port {port}, which is not connected to")
        reader, writer = await _open(self._address, port)
        try:
            code, text = await self.say(f"RETR {path}")
            if code not in (125, 150):
                return code, text, None
            body = bytearray()
            try:
                async with asyncio.timeout(FILE_S):
                    while chunk := await reader.read(1 << 16):
                        body += chunk
                        if len(body) > limit_bytes:
                            raise FtpError(f"more than {limit_bytes} bytes")
            except (OSError, TimeoutError) as error:
                raise FtpError(f"cut: {str(error) or 'no end in time'}") from None
        finally:
            writer.close()
        code, text = await self._answer()
        return code, text, bytes(body)

    async def _answer(self) -> tuple[int, str]:
        assert self._reader is not None
        first = ""
        try:
            async with asyncio.timeout(COMMAND_S):
                for _ in range(200):
                    raw = await self._reader.readline()
                    if not raw:
                        raise FtpError("closed without an answer")
                    line = printable(raw[:_LINE_BYTES].decode("utf-8", "replace").rstrip("\r\n"))
                    first = first or line
                    if re.match(r"[1-5][0-9]{2}( |$)", line):
                        return int(line[:3]), line[4:]
        except TimeoutError:
            raise FtpError("no answer in time") from None
        except (OSError, ValueError) as error:
            raise FtpError(printable(str(error)) or "no answer") from None
        raise FtpError(f"no FTP: {first}")


async def _open(address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(COMMAND_S):
            return await asyncio.open_connection(address, port)
    except TimeoutError:
        raise FtpError("no connection in time") from None
    except OSError as error:
        raise FtpError(error.strerror or str(error)) from None
