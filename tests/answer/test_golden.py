"""Answers stay what they are, byte by byte, until somebody writes the golden files anew on purpose."""

from __future__ import annotations

import pytest

from tests.answer.make_golden import CASES, FOLDER, golden


@pytest.fixture(scope="module")
def answers() -> dict[str, bytes]:
    return golden()


@pytest.mark.parametrize("name", CASES)
def test_answer_is_the_golden_one(name: str, answers: dict[str, bytes]) -> None:
    assert answers[name].decode() == (FOLDER / name).read_bytes().decode()


def test_every_golden_file_has_its_case() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(CASES)
