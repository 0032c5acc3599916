from typing import TypeVar

from redirector.answer.choose.draw import Span
from redirector.model import HostId

INTERFACE: int

T = TypeVar("T")

def draw(tail: tuple[T, ...], hosts: str, spans: tuple[Span, ...], seed: int, /) -> tuple[list[T], HostId | None]: ...
def join(top: bytes, entries: list[bytes], seam: bytes, end: bytes, preferences: tuple[bytes, ...], /) -> bytes: ...
