"""Pages of a folder beside our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from redirector.answer.answer import Kind, Request
from redirector.answer.serve import Responder
from redirector.answer.show import folder
from redirector.answer.show.face import Face
from redirector.answer.show.folder import EMPTY, read_folder
from redirector.errors import ConfigError
from redirector.locate.proxies import Client
from tests.rig import mirror, rig


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A folder with some pages, and what is none."""
    for name, text in (
        ("mirrors/index.html", "<h1>Mirrors</h1>"),
        ("mirrors/a.example.org/index.html", "<h1>a</h1>"),
        ("style.css", "p { margin: 0 }"),
        ("index.html", "not ours"),
        ("secret.key", "hush"),
        (".hidden.html", "hush"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "target", ["/mirrors", "/mirrors/", "/mirrors/index.html", "/mirrors?country=DE", "/mirrors/a.example.org"]
)
def test_a_page_is_found_with_and_without_its_slash(pages: Path, target: str) -> None:
    found = read_folder(str(pages)).find(target.encode())
    assert found is not None and found.content_type.startswith("text/html")
    assert dict(found.headers)["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "target", ["/", "/secret.key", "/.hidden.html", "/../secret.key", "/mirror", "/mirrors/%2e%2e/"]
)
def test_nothing_else_is_found(pages: Path, target: str) -> None:
    assert read_folder(str(pages)).find(target.encode()) is None


def test_a_folder_that_is_too_large_or_not_there_is_said(pages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="not a folder"):
        read_folder(str(pages / "nowhere"))
    monkeypatch.setattr(folder, "LIMIT_BYTES", 20)
    with pytest.raises(ConfigError, match="more than"):
        read_folder(str(pages))


def test_pages_are_served_and_lists_are_as_before(pages: Path) -> None:
    responder = Responder(rig(mirror("a")).responder.snapshot, folder=read_folder(str(pages)))

    def ask(target: str) -> tuple[int, Kind, bytes]:
        answer = responder.answer(Request(target.encode(), Client(None), 0.0, 0))
        return answer.status, answer.kind, answer.body

    assert ask("/mirrors") == (200, Kind.PAGE, b"<h1>Mirrors</h1>")
    assert ask("/")[0] == 200 and b"not ours" not in ask("/")[2]
    assert ask("/mirrors/nobody.example.org")[0] == 404


def test_the_server_s_own_page_leads_to_the_pages_that_are_there(pages: Path) -> None:
    found = read_folder(str(pages))
    assert ("Mirrors and how they are", "/mirrors") in found.links and not EMPTY.links
    responder = Responder(rig(mirror("a")).responder.snapshot, Face(links=found.links), found)
    body = responder.answer(Request(b"/", Client(None), 0.0, 0)).body
    assert b'<a href="/mirrors">Mirrors and how they are</a>' in body and b'href="/statistics"' not in body
