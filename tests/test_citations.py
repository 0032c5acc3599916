"""Whatever a text of the project cites is there: files, their sections, the items in those, and anchors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("redirector", "tests", "benchmarks", "demo", "deploy", "docs", "data", ".ci", ".github")
TEXTS = {
    ".py",
    ".pyi",
    ".c",
    ".md",
    ".yml",
    ".yaml",
    ".toml",
    ".lua",
    ".cfg",
    ".conf",
    ".txt",
    ".proto",
    ".html",
    ".sh",
    "",
}
MADE = {"report.md", "benchmarks/results"}
"""Files that a program of ours writes."""

HIDDEN = {"__pycache__", "node_modules", "results", "tree"}

NUMBERS = r"\d+(?:(?:, | and | to )\d+)*"
CITATION = re.compile(
    rf"(?P<page>[\w./-]+\.md)`(?:, sections? (?P<sections>{NUMBERS})(?:, (?:item|row|rule)s? (?P<items>{NUMBERS}))?)?"
)
LINK = re.compile(r"\]\((?P<target>[^()\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)


def texts() -> Iterator[Path]:
    """Every file of the project that people read, but for made-up mirrors."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in TEXTS)
    for room in ROOMS:
        for path in (ROOT / room).rglob("*"):
            hidden = not HIDDEN.isdisjoint(path.parts)
            if path.is_file() and path.suffix in TEXTS and not hidden:
                yield path


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


ALL = sorted(texts(), key=name_of)
PAGES = [path for path in ALL if path.suffix == ".md"]


@cache
def read(path: Path) -> str:
    return path.read_text()


@cache
def sections(page: Path) -> dict[int, str]:
    """Number -> text of each section of a page that numbers them."""
    parts = re.split(r"^## (\d+)\. ", read(page), flags=re.M)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def items(page: Path, section: int) -> set[int]:
    """Numbers of a section's list, or of its table's rows."""
    return {int(number) for number in re.findall(r"^(?:(?:\| )?(\d+)(?:\.| \|) )", sections(page)[section], re.M)}


@cache
def anchors(page: Path) -> set[str]:
    """What GitHub makes of the page's headings: lower case, punctuation left out, a hyphen for each space."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", read(page)), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def numbers(text: str | None) -> Iterator[int]:
    """`2, 4 and 7` and `1 to 3 and 10`, one by one."""
    for part in re.split(r", | and ", text or ""):
        if part:
            first, _, last = part.partition(" to ")
            yield from range(int(first), int(last or first) + 1)


def flat(text: str) -> str:
    """*text* as one line, without the signs that begin a comment's lines."""
    return re.sub(r"\s+(?:#:? )?", " ", text)


def find_page(named: str, by: Path) -> Path | None:
    """The page that a text *by* names: from the root, or from where it lies."""
    return next((path for path in (ROOT / named, by.parent / named) if path.is_file()), None)


def citations(text: str) -> Iterator[re.Match[str]]:
    if ".md`" in text:
        yield from CITATION.finditer(flat(text))


def find_faults(path: Path, text: str) -> Iterator[str]:
    for cited in citations(text):
        page = find_page(cited["page"], path)
        if page is None:
            if cited["page"] not in MADE:
                yield f"{cited[0]}: there is no such page"
            continue
        for section in numbers(cited["sections"]):
            if section not in sections(page):
                yield f"{cited[0]}: there is no section {section}"
            elif missing := set(numbers(cited["items"])) - items(page, section):
                yield f"{cited[0]}: section {section} has no {sorted(missing)}"


def find_dead_links(page: Path, text: str) -> Iterator[str]:
    for link in LINK.finditer(FENCE.sub("", text)):
        file, _, anchor = link["target"].partition("#")
        if "://" in file or file.startswith("mailto:"):
            continue
        target = (page.parent / file).resolve() if file else page
        if not (target.is_relative_to(ROOT) and target.exists()) or (anchor and anchor not in anchors(target)):
            yield link["target"]


def find_names_outside(path: Path, text: str) -> Iterator[str]:
    outside = "sha" + "red"
    yield from re.findall(rf"\.\./{outside}\b.*|/ *[\"']{outside}[\"'/].*|[\"']{outside}/.*", text)
    yield from re.findall(r"\b(?:MEASURED|ARCHITECTURE|CHOICE|STYLE)\b(?=[, ]+section)", text)


def find_absent_files(page: Path, text: str) -> Iterator[str]:
    named = set(re.findall(r"`((?:redirector|tests|benchmarks|deploy|docs|data)/[\w./-]*)`", text)) - MADE
    yield from (name for name in sorted(named) if not (ROOT / name).exists())
    modules = set(re.findall(r"`([\w/]+\.(?:py|c))`", text)) - named
    homes = (page.parent, ROOT / "redirector")
    yield from (name for name in sorted(modules) if not any((home / name).exists() for home in homes))


def by_file(paths: list[Path], find: Callable[[Path, str], Iterator[str]]) -> dict[str, list[str]]:
    """What *find* finds in each file, of those in which it finds something."""
    return {name_of(path): found for path in paths if (found := list(find(path, read(path))))}


def test_what_is_cited_is_there() -> None:
    assert by_file([path for path in ALL if path != Path(__file__)], find_faults) == {}


def test_links_lead_somewhere() -> None:
    assert by_file(PAGES, find_dead_links) == {}


def test_nothing_names_what_lies_beside_the_clone() -> None:
    assert by_file(ALL, find_names_outside) == {}


def test_every_page_can_be_found_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in readme] == []


def test_files_that_a_page_names_are_there() -> None:
    assert by_file([page for page in PAGES if page.name != "CHANGELOG.md"], find_absent_files) == {}


# The test's own tools


def test_some_citations_are_found_at_all() -> None:
    found = [cited for path in ALL for cited in citations(read(path))]
    assert sum(cited["sections"] is not None for cited in found) > 10
    assert sum(cited["items"] is not None for cited in found) > 3


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("`docs/nowhere.md`", "`: there is no such page"),
        ("`docs/almalinux.md`, section 99", "no section 99"),
        ("`docs/almalinux.md`,\n    section 99", "no section 99"),
        ("# `docs/mirrormanager.md`,\n# section 5, items 5 to 99", "section 5 has no [15, "),
        ("`docs/mirrormanager.md`, section 3, row 13", "section 3 has no [13]"),
    ],
)
def test_a_citation_of_nothing_is_noticed(text: str, fault: str) -> None:
    (found,) = find_faults(Path(__file__), text)
    assert fault in found


def test_numbers_are_read_one_by_one() -> None:
    assert list(numbers("1 to 3 and 10")) == [1, 2, 3, 10]
    assert list(numbers("2, 4 and 7")) == [2, 4, 7]
    assert list(numbers(None)) == []
