"""The whole loop on one machine: scan, registry, crawl, publish, and the answer that follows."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from redirector.cli.main import main

REPODATA = Path(__file__).parents[2] / "data/tree/primary/10.1/BaseOS/x86_64/os/repodata"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *values: object) -> None:
        """Nothing."""


SIGN_UP: tuple[tuple[str, ...], ...] = (
    ("registry", "site", "add", "Example Site", "--url", "https://example.org/", "--contacts", "ops@example.org"),
    ("registry", "site", "approve", "Example Site"),
    ("registry", "host", "add", "m.example.org", "--site", "Example Site", "--country", "DE", "--bandwidth-mbit", "9"),
    ("registry", "carried", "add", "m.example.org", "Example Linux"),
)
"""How the one mirror of these tests is entered."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A master in `master`, and the base URL of a mirror that has the same."""
    top = tmp_path / "master" / "1/x86_64/os"
    (top / "Packages").mkdir(parents=True)
    (top / "Packages/a.rpm").write_bytes(b"a package")
    shutil.copytree(REPODATA, top / "repodata")
    shutil.copytree(tmp_path / "master", tmp_path / "www/linux")
    handler = functools.partial(_Quiet, directory=str(tmp_path / "www"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/linux/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_newcomers_mirror_is_in_the_answer(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "redirector.yml").write_text(
        "database: sqlite:///redirector.db\n"
        "masters:\n"
        "  - category: Example Linux\n"
        "    top: pub/linux\n"
        "    path: master\n"
        "    repositories:\n"
        "      - match: '(?P<version>[0-9.]+)/(?P<arch>[^/]+)/os'\n"
        "        prefix: 'example-{version}'\n"
        "        product: Example Linux\n"
    )
    commands: list[tuple[str, ...]] = [
        ("registry", "init"),
        ("scan",),
        *SIGN_UP,
        ("registry", "url", "add", "m.example.org", "Example Linux", mirror),
        ("crawl", "--once", "--allow-address", "127.0.0.0/8"),
        ("registry", "publish", "--snapshot", "cache.pb"),
    ]
    for words in commands:
        assert main([*words, "--config", "redirector.yml"]) == 0, (words, capsys.readouterr().err)
    capsys.readouterr()
    for target, told in (
        ("/mirrorlist?repo=example-1&arch=x86_64", f"{mirror}1/x86_64/os/"),
        ("/metalink?repo=example-1&arch=x86_64", '<hash type="sha256">'),
    ):
        assert main(["explain", target, "--client", "141.20.1.1", "--source", "cache.pb"]) == 0
        assert told in capsys.readouterr().out


def test_a_crawl_of_what_nobody_scanned_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands: list[tuple[str, ...]] = [
        ("registry", "init"),
        ("registry", "category", "add", "Example Linux", "--top", "pub/linux", "--product", "Example Linux"),
        *SIGN_UP,
        ("registry", "url", "add", "m.example.org", "Example Linux", "https://m.example.org/linux/"),
    ]
    for words in commands:
        assert main([*words, "--database", "sqlite:///redirector.db"]) == 0, (words, capsys.readouterr().err)
    capsys.readouterr()
    assert main(["crawl", "--once", "--database", "sqlite:///redirector.db"]) == 1
    said = capsys.readouterr().err
    assert "m.example.org: is not visited: nothing that it carries was scanned: `redirector scan`" in said
    assert "the registry: nobody to visit among 1 mirror" in said
