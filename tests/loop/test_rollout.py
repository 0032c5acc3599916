"""Two real servers: what the first one does well with reaches the second, and nothing else does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.test_rollout import rollout
from tests.server.running import Server, serving, write_snapshot

TARGET = "/mirrorlist?repo=fedora-40&arch=x86_64&country=DE"


@contextmanager
def asked(server: Server) -> Iterator[None]:
    """Clients that want mirrors in Germany ask the server all the time."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            assert server.ask(TARGET).status == 200

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """What the first server reads, and what the second one does."""
    monkeypatch.setattr(rollout, "STEP_S", 0.1)
    monkeypatch.setattr(rollout, "FEW", 20)
    return tuple(write_snapshot(tmp_path / name, hosts=4) for name in ("first.pb", "others.pb"))  # type: ignore[return-value]


def roll(first: Server, new: Path, place: Path) -> int:
    result: int = rollout.main(["--first", first.admin, "--watch", "1", "--wait", "30", str(new), str(place)])
    return result


def test_a_good_file_reaches_the_other_server(files: tuple[Path, Path]) -> None:
    new, place = files
    with serving(new) as first, serving(place) as second, asked(first):
        write_snapshot(new, hosts=5, built=1_790_000_100)
        assert first.reload().status == 200
        assert roll(first, new, place) == 0
        assert place.read_bytes() == new.read_bytes()
        assert second.reload().status == 200
        assert b"mirror5" in second.ask(TARGET).body


def test_a_file_that_is_refused_or_leaves_wishes_unmet_stays_where_it_is(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    new, place = files
    before = place.read_bytes()
    with serving(new) as first, asked(first):
        write_snapshot(new, hosts=1, built=1_790_000_100)
        reload = threading.Timer(0.5, first.reload)
        reload.start()
        assert roll(first, new, place) == 1
        reload.join()
        assert "refused it" in capsys.readouterr().err
        new.write_bytes(before.replace(b"DE", b"FR"))
        assert first.reload("?allow=older").status == 200
        assert b"country = FR" in first.ask(TARGET).body or first.ask(TARGET).headers["X-Relaxed"]
        assert roll(first, new, place) == 1
        assert "relaxed" in capsys.readouterr().err
    assert place.read_bytes() == before
