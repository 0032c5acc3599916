"""Pictures: well-formed, readable without seeing, in the page's own colours, of whatever is drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.stats.pictures import PALETTE, STYLE, WIDTH, Layer, draw_areas, draw_bars, draw_lines, nice_top, short

SVG = "{http://www.w3.org/2000/svg}"
NUMBER = st.floats(0, 1e15, allow_nan=False)
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60).map(
    lambda text: text.replace("\ufffe", "").replace("\uffff", "")
)


def read(picture: str) -> ElementTree.Element:
    root = ElementTree.fromstring(picture)
    assert root.tag == f"{SVG}svg" and root.get("role") == "img"
    return root


def points(shape: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in shape.attrib["points"].split())]


def check_inside(root: ElementTree.Element) -> None:
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for shape in [*root.iter(f"{SVG}polyline"), *root.iter(f"{SVG}polygon")]:
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points(shape))


@given(st.text("a<&\"'é", max_size=5), st.integers(0, 12), st.data())
def test_pictures_of_anything_are_well_formed(title: str, places: int, data: st.DataObject) -> None:
    labels = data.draw(st.lists(NAME, min_size=places, max_size=places))
    layers = [
        Layer(data.draw(NAME), data.draw(st.lists(NUMBER, min_size=places, max_size=places)))
        for _ in range(data.draw(st.integers(0, 3)))
    ]
    for picture in (draw_lines(title, labels, layers), draw_areas(title, labels, layers)):
        root = read(picture)
        assert root.get("aria-label") == root.findtext(f"{SVG}title") == title
        check_inside(root)
    rows = data.draw(st.lists(st.tuples(NAME, NUMBER), max_size=4))
    bars = read(draw_bars(title, rows))
    assert all(0 <= float(rect.attrib["width"]) < WIDTH for rect in bars.iter(f"{SVG}rect"))


def test_more_is_higher() -> None:
    (line,) = read(draw_lines("x", ["a", "b", "c"], [Layer("n", [1, 3, 2])])).iter(f"{SVG}polyline")
    heights = [y for _, y in points(line)]
    assert heights[1] < heights[2] < heights[0]


def test_areas_lie_upon_each_other() -> None:
    lower, upper = read(draw_areas("x", ["a", "b"], [Layer("n", [1, 2]), Layer("m", [3, 4])])).iter(f"{SVG}polygon")
    assert points(upper)[2:] == points(lower)[1::-1]


def test_one_day_is_drawn_too() -> None:
    assert len(list(read(draw_lines("x", ["a"], [Layer("n", [1])])).iter(f"{SVG}circle"))) == 1
    (area,) = read(draw_areas("x", ["a"], [Layer("n", [1])])).iter(f"{SVG}polygon")
    assert len({x for x, _ in points(area)}) == 2


def test_bars_are_as_long_as_their_values() -> None:
    root = read(draw_bars("x", [("DE", 4), ("FR", 2), ("JP", 0)], " %"))
    widths = [float(rect.attrib["width"]) for rect in root.iter(f"{SVG}rect")]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2) and widths[2] == 0
    assert [text.text for text in root.iter(f"{SVG}text")] == ["DE", "4 %", "FR", "2 %", "JP", "0 %"]


def test_colours_are_the_page_s() -> None:
    layers = [Layer(str(number), [number]) for number in range(PALETTE + 1)]
    picture = draw_areas("x", ["a"], layers)
    assert not re.search(r"#[0-9a-f]{3}|style=|<script|href", picture)
    light, _, dark = STYLE.partition("@media (prefers-color-scheme: dark)")
    for number in range(PALETTE):
        assert f".c{number} " in light and f".c{number} " in dark
    assert "c7" in picture and "c8" not in picture


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.3, 0.32), (1, 1), (3, 3.2), (21, 24), (99, 100), (101, 120), (5000, 5000)]
)
def test_axes_end_at_round_numbers(value: float, top: float) -> None:
    assert nice_top(value) == top


@pytest.mark.parametrize(
    ("values", "marks"),
    [((5, 3), "0 2 4 6 8"), ((0, 0), "0 1 2 3 4"), ((9, 10), "0 3 6 9 12"), ((0.5, 1), "0 0.25 0.5 0.75 1")],
)
def test_what_is_counted_has_whole_numbers_at_its_axis(values: Sequence[float], marks: str) -> None:
    for draw in (draw_lines, draw_areas):
        root = read(draw("Mirrors", ["1 Jan", "2 Jan"], [Layer("all", values)]))
        assert " ".join(text.text or "" for text in root.findall(f"{SVG}text[@class='end']")[:5]) == marks


@given(st.integers(0, 10**15))
def test_every_count_is_below_the_end_of_its_axis(value: int) -> None:
    top = nice_top(value, whole=True)
    assert top >= value and top % 4 == 0 and top <= max(4, 2 * value)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (1500, "1.5k"), (2_000_000, "2M"), (3.2e12, "3.2T")]
)
def test_numbers_at_an_axis_are_short(value: float, text: str) -> None:
    assert short(value) == text
