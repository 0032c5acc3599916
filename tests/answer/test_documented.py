"""The examples in `docs/formats.md` are what the sample answers, and its tables name all there is."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from redirector.answer.ask.query import FORMATS
from redirector.answer.serve import Responder
from redirector.answer.show.formats import JSON_TYPE, METALINK4_TYPE, TABLES
from redirector.answer.show.metalink import METALINK_TYPE
from redirector.model import SCHEMES
from redirector.settings.file import load_config
from redirector.snapshot.load import load_snapshot
from tests.rig import NOW, Rig

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "formats.md").read_text()
EXAMPLES = re.findall(
    r"```console\n\$ curl (-I )?(?:-H 'X-Forwarded-For: (\S+)' )?'http://127\.0\.0\.1:8080(\S+)'\n(.*?)```", PAGE, re.S
)


@pytest.fixture(scope="module")
def sample() -> Rig:
    return Rig(Responder(load_snapshot(load_config({"config": str(ROOT / "data" / "redirector.yml")}), NOW)))


@pytest.mark.parametrize(("head", "client", "target", "expected"), EXAMPLES, ids=[each[2] for each in EXAMPLES])
def test_an_example_is_what_the_sample_answers(sample: Rig, head: str, client: str, target: str, expected: str) -> None:
    answer = sample.get(target, client or "127.0.0.1")
    text = answer.body.decode()
    if head:
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        text = "\n".join([*lines, *(f"{name}: {value}" for name, value in answer.headers), ""])
    text = re.sub(r"redirector/[0-9.]+", "redirector/VERSION", text)
    text = re.sub(r"<published>[^<]+", "<published>NOW", text)
    assert without_distance(text) == without_distance(expected)


def without_distance(text: str) -> str:
    """*text* but for kilometres, which depend on the gazetteer, and white space at the end of lines."""
    return re.sub(r" +$", "", re.sub(r'"distance_km": [0-9]+\.[0-9]', '"distance_km": KM', text), flags=re.M)


def test_all_examples_are_found() -> None:
    assert len(EXAMPLES) == PAGE.count("$ curl") == PAGE.count("```console")


def test_every_format_stands_in_the_table_with_its_type() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \| .* \|$", PAGE.partition("## Redirects")[0], re.M))
    assert tuple(rows) == FORMATS
    assert {name: rows[name] for name in TABLES} == {name: each.content_type for name, each in TABLES.items()}
    assert rows["metalink"] == METALINK_TYPE
    assert {METALINK4_TYPE, JSON_TYPE} <= set(rows.values())


@pytest.mark.parametrize(
    "name",
    ("country", "protocol", "exclude_host", "exclude_country", "limit", "ipv4", "ipv6", "netblock", "require", "ip",
     "redirect", "time", "countme"),
)  # fmt: skip
def test_every_parameter_is_described(name: str) -> None:
    assert re.search(rf"^\| .*`{name}[=`]", PAGE.partition("## Wishes")[2], re.M)


def test_every_scheme_is_named() -> None:
    assert all(f"`{scheme}`" in PAGE for scheme in SCHEMES)
