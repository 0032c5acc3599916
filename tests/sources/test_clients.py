"""Where clients come from: what is written in a CSV file, and what could not be reckoned with."""

from __future__ import annotations

from pathlib import Path

import pytest

from redirector.errors import SnapshotError
from redirector.sources.clients import load_clients


def loaded(tmp_path: Path, text: str | bytes) -> tuple[dict[str, float], list[str]]:
    path = tmp_path / "clients.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    found = load_clients(str(path))
    return dict(found.weights), [f"{problem.key}: {problem.text}" for problem in found.problems]


def test_countries_are_added_up_and_what_is_none_is_named(tmp_path: Path) -> None:
    text = "country,weight\nDE,2\n GB , 4 ,more\nde,1\nFR,abc\nXX,7\n\n,,\nUS\n# a note\n"
    weights, problems = loaded(tmp_path, text)
    assert weights == {"DE": 3.0, "GB": 4.0}
    assert problems == [
        "line 5: 'FR,abc' is not CC,WEIGHT: skipped",
        "line 6: 'XX,7' is not CC,WEIGHT: skipped",
        "line 9: 'US' is not CC,WEIGHT: skipped",
    ]
    assert loaded(tmp_path, b"\xef\xbb\xbfDE,5\r\nFR,3\r\n") == ({"DE": 5.0, "FR": 3.0}, [])


@pytest.mark.parametrize("weight", ["-1", "nan", "inf", "1e400", "1e308", "1e-320"])
def test_weights_that_cannot_be_added_up_are_skipped(tmp_path: Path, weight: str) -> None:
    weights, problems = loaded(tmp_path, f"DE,1\nFR,{weight}\n")
    assert weights == {"DE": 1.0} and problems == [f"line 2: 'FR,{weight}' is not CC,WEIGHT: skipped"]


@pytest.mark.parametrize("text", ["", "DE,0\n", "DE;5\n", b"\xff\xfe\x00", "a" * 2_000_000], ids=len)
def test_a_file_without_clients_is_refused(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(SnapshotError):
        loaded(tmp_path, text)
