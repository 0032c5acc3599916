"""Pictures of what was counted, as SVG for a page: functions of their arguments, without script or font.

Colours are the page's: text and lines are drawn in `currentColor`, and each layer has a class `c0`, `c1`, … (by turns,
`PALETTE` of them) for which `STYLE` holds a light and a dark rule. Whoever cannot see a picture reads its title; the
numbers belong into a table under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

PALETTE = 8
"""How many colours there are."""

AGES = 5
"""Colours of `a0`, well, to `a3`, old, and `a4`, not known."""

STYLE = """
.picture { width: 100%; height: auto; font: 13px system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  fill: currentColor; display: block; margin: .4rem 0; max-width: 42rem }
.picture .axis { stroke: currentColor; stroke-opacity: .25; stroke-width: 1 }
.picture .end { text-anchor: end } .picture .middle { text-anchor: middle }
.picture .line { fill: none; stroke-width: 2; stroke-linejoin: round }
.c0 { fill: #2a6fbb; stroke: #2a6fbb } .c1 { fill: #d1722b; stroke: #d1722b } .c2 { fill: #3d8f4f; stroke: #3d8f4f }
.c3 { fill: #a8439b; stroke: #a8439b } .c4 { fill: #8a6d3b; stroke: #8a6d3b } .c5 { fill: #c23b4b; stroke: #c23b4b }
.c6 { fill: #3f8f96; stroke: #3f8f96 } .c7 { fill: #77777f; stroke: #77777f }
.a0 { fill: #2f8f5b } .a1 { fill: #d9b13b } .a2 { fill: #d97a2b } .a3 { fill: #b93a32 } .a4 { fill: #8b97a3 }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; background: currentColor }
.key.a0 { color: #2f8f5b } .key.a1 { color: #d9b13b } .key.a2 { color: #d97a2b } .key.a3 { color: #b93a32 }
.key.a4 { color: #8b97a3 }
.picture .area { stroke: none }
@media (max-width: 480px) { .picture { font-size: 17px; overflow: visible } }
@media (prefers-color-scheme: dark) {
.c0 { fill: #6cb0f2; stroke: #6cb0f2 } .c1 { fill: #f0a265; stroke: #f0a265 } .c2 { fill: #7cc98d; stroke: #7cc98d }
.c3 { fill: #dd8ad2; stroke: #dd8ad2 } .c4 { fill: #c9ab78; stroke: #c9ab78 } .c5 { fill: #f08490; stroke: #f08490 }
.c6 { fill: #79c8cf; stroke: #79c8cf } .c7 { fill: #aaaab2; stroke: #aaaab2 }
}
""".strip()
"""What a page with pictures has in its style sheet."""

WIDTH = 560
_HEIGHT = 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 28
_ROW = 26
_LEGEND_ROW = 18
_LEGEND_COLUMNS = 3
_DATES = 5

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Layer:
    """One thing over time: as many *values* as the picture has labels."""

    name: str
    values: Sequence[float]


def draw_lines(title: str, labels: Sequence[str], layers: Sequence[Layer], unit: str = "") -> str:
    """*layers* as lines over *labels* (days, say), all from the same zero."""
    top = _top([value for layer in layers for value in layer.values])
    parts = []
    for number, layer in enumerate(layers):
        points = " ".join(f"{_x(at, len(labels)):.1f},{_y(value, top):.1f}" for at, value in enumerate(layer.values))
        mark = f"<title>{escape(layer.name)}</title>"
        if len(labels) == 1:
            x, y = points.split(",")
            parts.append(f'<circle class="{_colour(number)}" cx="{x}" cy="{y}" r="3">{mark}</circle>')
        else:
            parts.append(f'<polyline class="line {_colour(number)}" points="{points}">{mark}</polyline>')
    return _frame(title, [*_axes(labels, top, unit), *parts], layers)


def draw_areas(
    title: str, labels: Sequence[str], layers: Sequence[Layer], unit: str = "", *, ages: bool = False
) -> str:
    """*layers* one upon the other, the first at the bottom: what they add up to, and each one's part.

    ages  they are in the order of their age: colours from well to ill, told by a legend of the page
    """
    sums = [0.0] * len(labels)
    total = [sum(layer.values[at] for layer in layers) for at in range(len(labels))]
    top = _top(total)
    parts = []
    for number, layer in enumerate(layers):
        upper = [below + value for below, value in zip(sums, layer.values, strict=True)]
        if len(labels) == 1:  # nothing to draw a line to: as wide as the picture
            sums_, upper_, points = sums * 2, upper * 2, 2
        else:
            sums_, upper_, points = sums, upper, len(labels)
        edge = [f"{_x(at, points):.1f},{_y(value, top):.1f}" for at, value in enumerate(upper_)]
        edge += [f"{_x(at, points):.1f},{_y(sums_[at], top):.1f}" for at in range(points - 1, -1, -1)]
        mark = f"<title>{escape(layer.name)}</title>"
        colour = f"a{number % AGES}" if ages else _colour(number)
        parts.append(f'<polygon class="area {colour}" points="{" ".join(edge)}">{mark}</polygon>')
        sums = upper
    return _frame(title, [*_axes(labels, top, unit), *parts], () if ages else layers)


def draw_bars(title: str, rows: Sequence[tuple[str, float]], unit: str = "") -> str:
    """*rows* as bars one below the other, with name and value."""
    most = max((value for _, value in rows), default=0)
    name_width = min(240, 16 + 9 * max((len(name) for name, _ in rows), default=0))
    room = WIDTH - name_width - 80
    parts = []
    for at, (name, value) in enumerate(rows):
        y = at * _ROW
        width = room * value / most if most > 0 else 0
        shown = name if len(name) <= 27 else name[:26] + "…"
        parts += [
            f'<text class="end" x="{name_width - 8}" y="{y + 18}">{escape(shown)}</text>',
            f'<rect class="c0" x="{name_width}" y="{y + 3}" width="{width:.1f}" height="{_ROW - 6}" rx="3">'
            f"<title>{escape(name)}</title></rect>",
            f'<text x="{name_width + width + 6:.1f}" y="{y + 18}">{escape(short(value) + unit)}</text>',
        ]
    return _svg(title, parts, _ROW * max(1, len(rows)))


_TOPS = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8)
"""What an axis ends at: its quarters are short numbers, too."""


def nice_top(value: float, *, whole: bool = False) -> float:
    """The first of `_TOPS` times a power of ten that is not below *value*; 1 for nothing.

    whole  things are counted: its quarters are whole numbers, so 4 at the least
    """
    if value <= 0:
        return 4 if whole else 1
    power = 10.0 ** len(str(int(value)))
    steps = [power * factor / 1000 for tens in (10, 100) for factor in (tens * each for each in _TOPS)] + [power]
    steps += [power * each for each in _TOPS]
    return next(step for step in steps if step >= value and not (whole and step % 4))


def _top(values: Sequence[float]) -> float:
    return nice_top(max(values, default=0), whole=all(value == int(value) for value in values))


def short(value: float) -> str:
    """*value* as it stands at an axis: `1.2M`."""
    for size, letter in _UNITS:
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _frame(title: str, parts: Sequence[str], layers: Sequence[Layer]) -> str:
    legend = []
    rows = -(-len(layers) // _LEGEND_COLUMNS) if len(layers) > 1 else 0
    for number, layer in enumerate(layers if rows else ()):
        x = _LEFT + number % _LEGEND_COLUMNS * (WIDTH - _LEFT - _RIGHT) // _LEGEND_COLUMNS
        y = _HEIGHT + number // _LEGEND_COLUMNS * _LEGEND_ROW
        name = layer.name if len(layer.name) <= 20 else layer.name[:19] + "…"
        legend.append(f'<rect class="{_colour(number)}" x="{x}" y="{y + 3}" width="10" height="10"/>')
        legend.append(f'<text x="{x + 16}" y="{y + 12}">{escape(name)}</text>')
    return _svg(title, [*parts, *legend], _HEIGHT + rows * _LEGEND_ROW)


def _svg(title: str, parts: Sequence[str], height: int) -> str:
    return (
        f'<svg class="picture" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )


def _axes(labels: Sequence[str], top: float, unit: str) -> list[str]:
    parts = []
    for quarter in range(5):
        value = top * quarter / 4
        y = _y(value, top)
        parts.append(f'<line class="axis" x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{_LEFT - 6}" y="{y + 4:.1f}">{escape(short(value) + unit)}</text>')
    step = max(1, -(-len(labels) // _DATES))
    for at in range(0, len(labels), step):
        x = _x(at, len(labels))
        anchor = "begin" if x < _LEFT + 40 else "end" if x > WIDTH - 60 else "middle"
        name = "" if anchor == "begin" else f' class="{anchor}"'
        parts.append(f'<text{name} x="{x:.1f}" y="{_HEIGHT - 8}">{escape(labels[at])}</text>')
    return parts


def _x(at: int, points: int) -> float:
    width = WIDTH - _LEFT - _RIGHT
    return _LEFT + (width / 2 if points < 2 else width * at / (points - 1))


def _y(value: float, top: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / top)


def _colour(number: int) -> str:
    return f"c{number % PALETTE}"
