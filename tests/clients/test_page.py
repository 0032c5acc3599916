"""The page for people in a browser: on a wide screen and on a phone, by day and by night."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.browser import look
from tests.clients.conftest import Note
from tests.clients.programs import ROOT
from tests.clients.service import Service, open_service
from tests.server.running import write_snapshot

PICTURE = ROOT / "build" / "page"
"""Where pictures are left for people to look at."""

PROGRAMS = ("dnf", "zypper", "apt", "pacman", "aria2", "curl")


@pytest.fixture(scope="module", params=["tree", "snapshot"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Service]]:
    """The sample tree, and a small snapshot."""
    source = ROOT / "data" / "tree"
    if request.param == "snapshot":
        source = write_snapshot(tmp_path_factory.mktemp("page") / "mirrors.pb")
    with open_service(source) as service:
        yield request.param, service


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_readable(served: tuple[str, Service], width: int, dark: bool, note: Note) -> None:
    kind, service = served
    url = f"http://{service.address[0]}:{service.address[1]}/"
    view = look(url, width, dark)
    PICTURE.mkdir(parents=True, exist_ok=True)
    (PICTURE / f"{kind}-{width}-{'dark' if dark else 'light'}.png").write_bytes(view.picture)
    note(
        f"chromium page     {kind:9} {width:4} px {'dark' if dark else 'light':5} content {view.width:g} px, "
        f"text from {view.smallest:g} px, contrast from {view.contrast:.1f}"
    )
    assert view.complaints == []
    assert view.width == width
    assert view.smallest >= 14
    assert view.contrast >= 4.5, "WCAG 2.2, 1.4.3"
    assert (view.background == "rgb(255, 255, 255)") is not dark
    assert all(program in view.text for program in PROGRAMS)
    assert f"{url}metalink?repo=" in view.text
    assert any(link.startswith("https://") for link in view.links)
    assert "@" not in view.text
