"""A folder of pages that others wrote, held in memory: `redirector pages` makes one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from redirector.answer.answer import Answer, Kind
from redirector.errors import ConfigError

LIMIT_BYTES = 64 << 20
"""700 mirrors are 20 MB."""

SECURITY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
"""What else lies in the folder is not served."""

_INDEX = "index.html"

_LED_TO = (
    ("Mirrors and how they are", "/mirrors"), ("Map", "/map"), ("Propagation", "/propagation"),
    ("Statistics", "/statistics"), ("Become a mirror", "/join"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Folder:
    """Path of a target -> the answer. `/` is never among them: it is the server's own page."""

    answers: Mapping[bytes, Answer]

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """Text and path of those pages that the server's own page leads to."""
        return tuple((text, path) for text, path in _LED_TO if path.encode() in self.answers)

    def find(self, target: bytes) -> Answer | None:
        """The page at *target*, whatever stands behind its `?`; None when there is none."""
        return self.answers.get(target.partition(b"?")[0])


EMPTY = Folder({})


def read_folder(path: str | None) -> Folder:
    """The pages below *path*. Raises ConfigError: it cannot be read, or is larger than `LIMIT_BYTES`."""
    if path is None:
        return EMPTY
    answers: dict[bytes, Answer] = {}
    left = LIMIT_BYTES
    try:
        if not os.path.isdir(path):
            raise NotADirectoryError(20, "is not a folder")
        for name, content_type in _files(path):
            with open(os.path.join(path, name), "rb") as file:
                body = file.read(left + 1)
            left -= len(body)
            if left < 0:
                raise ConfigError("configuration", "pages", path, f"it holds more than {LIMIT_BYTES >> 20} MB")
            found = _answer(body, content_type)
            answers |= dict.fromkeys(_targets(name), found)
    except OSError as error:
        raise ConfigError("configuration", "pages", path, f"it cannot be read: {error.strerror}") from error
    answers.pop(b"/", None)
    return Folder(answers)


def _files(path: str) -> Iterator[tuple[str, str]]:
    """(path below, content type) of what is served; hidden files, and what a link leads out to, are not."""
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            content_type = _TYPES.get(os.path.splitext(name)[1])
            whole = os.path.join(folder, name)
            if content_type is not None and not name.startswith(".") and os.path.isfile(whole):
                yield os.path.relpath(whole, path), content_type


def _targets(name: str) -> Iterator[bytes]:
    target = "/" + name.replace(os.sep, "/")
    yield target.encode("utf-8", "surrogateescape")
    if target.endswith(f"/{_INDEX}"):
        folder = target.removesuffix(_INDEX)
        yield folder.encode("utf-8", "surrogateescape")
        yield folder.rstrip("/").encode("utf-8", "surrogateescape") or b"/"


def _answer(body: bytes, content_type: str) -> Answer:
    headers: tuple[tuple[str, str], ...] = (("X-Content-Type-Options", "nosniff"),)
    if content_type.startswith("text/html"):
        headers = (("Content-Security-Policy", SECURITY), *headers)
    return Answer(200, Kind.PAGE, body, content_type, headers)
