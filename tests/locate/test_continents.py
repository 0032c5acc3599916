from __future__ import annotations

from pathlib import Path

import pytest

from redirector.errors import SnapshotError
from redirector.locate.continents import gazetteer_continents, load_continents
from tests.real import CONTINENTS


def test_the_real_file_and_the_gazetteer_agree_but_for_borders_of_continents() -> None:
    real = load_continents(str(CONTINENTS))
    gazetteer = gazetteer_continents()
    assert real.problems == gazetteer.problems == ()
    assert len(real.continents) == 249
    both = real.continents.keys() & gazetteer.continents.keys()
    assert {code for code in both if real.continents[code] != gazetteer.continents[code]} == {"CX", "CY", "TL", "TR"}
    assert len(both) > 240


def write(folder: Path, raw: bytes) -> str:
    (folder / "continents.csv").write_bytes(raw)
    return str(folder / "continents.csv")


@pytest.mark.parametrize(
    "raw",
    [
        b'"iso 3166 country","continent code"\nDE,EU\nA1,--\nUS,NA\n',
        b"country,continent\r\nDE,EU\r\nA1,--\r\nUS,NA\r\n",
        b"\xef\xbb\xbfDE,EU\n\nus , na\n",
        b'"DE","EU"\n"US","NA"',
    ],
)
def test_a_header_blank_lines_quotes_and_codes_without_continent_are_fine(tmp_path: Path, raw: bytes) -> None:
    loaded = load_continents(write(tmp_path, raw))
    assert loaded.continents == {"DE": "EU", "US": "NA"}
    assert loaded.problems == ()


def test_wrong_lines_are_skipped_and_named(tmp_path: Path) -> None:
    path = write(tmp_path, b"a,b\nDE,EU\nFRA,EU\nUS\nJP,XX\nCA,NA,x\nFR,EU\n")
    loaded = load_continents(path)
    assert loaded.continents == {"DE": "EU", "FR": "EU"}
    assert [problem.key for problem in loaded.problems] == ["line 3", "line 4", "line 5", "line 6"]
    assert str(loaded.problems[0]) == f"{path}: line 3: 'FRA,EU' is not CC,CONTINENT: skipped"


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"country,continent\n", b"\x00\n", b'"DE,EU'])
def test_a_file_without_usable_lines_is_refused(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(SnapshotError) as refused:
        load_continents(write(tmp_path, raw))
    assert all(problem.fatal for problem in refused.value.problems)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"none.csv: file: cannot be read"):
        load_continents(str(tmp_path / "none.csv"))
