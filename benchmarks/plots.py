"""The report's plots: throughput beside the yardstick, curves, and a reload. Each is written as SVG and PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.curves import Point
from benchmarks.setting import CLOSE, METALINK, MIRRORLIST
from benchmarks.table import Row

_OURS = "#2f6db3"
_SECOND = "#d0722b"
_YARDSTICK = "#b9bec4"
_INK = "#33383d"

_STYLE: Any = {
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": "#8a9096",
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e8ea",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "svg.hashsalt": "redirector",
}

_SIZES = ("directories", "hosts", "AS lines")
_THROUGHPUTS = {"mirrorlists/s": _OURS, "metalinks/s": _SECOND}


def draw_plots(folder: Path, table: Mapping[str, Row], curves: Mapping[str, Sequence[Point]]) -> None:
    """Write each plot for which there are numbers."""
    with pyplot.rc_context(_STYLE):
        if {MIRRORLIST, METALINK, CLOSE} <= table.keys():
            _save(_throughput(table), folder / "throughput")
        if set(_SIZES) <= curves.keys():
            _save(_by_size(curves), folder / "sizes")
        if {"connections", "workers"} <= curves.keys():
            _save(_by_load(curves), folder / "load")
        if "reload" in table:
            _save(_reload(table["reload"]), folder / "reload")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=150)
    pyplot.close(figure)


def _throughput(table: Mapping[str, Row]) -> Figure:
    """Answers a second of nginx and of redirector, pair by pair."""
    figure, axes = pyplot.subplots(figsize=(7, 2.6), layout="constrained")
    rows = {"mirrorlist": table[MIRRORLIST], "metalink": table[METALINK], "one a connection": table[CLOSE]}
    for place, row in enumerate(rows.values()):
        ours, theirs = float(str(row.detail["rate"])), float(str(row.detail["against"]))
        axes.barh(place - 0.2, theirs, 0.36, color=_YARDSTICK, label="nginx, static files" if place == 0 else None)
        axes.barh(place + 0.2, ours, 0.36, color=_OURS, label="redirector" if place == 0 else None)
        axes.annotate(f" {theirs:,.0f}", (theirs, place - 0.2), va="center")
        axes.annotate(f" {ours:,.0f}  ({row.measured:.2f} ×)", (ours, place + 0.2), va="center", weight="bold")
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.16)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("answers a second, one core, one worker")
    axes.legend(loc="lower right")
    return figure


def _by_size(curves: Mapping[str, Sequence[Point]]) -> Figure:
    """A column for each kind of size, a row for each thing it may cost."""
    figure, grid = pyplot.subplots(4, len(_SIZES), figsize=(9, 8), sharex="col", sharey="row", layout="constrained")
    for column, axis in enumerate(_SIZES):
        points = curves[axis]
        _lines(grid[0][column], points, axis, _THROUGHPUTS)
        for row, what in enumerate(("p99 ms", "resident MB", "start s"), start=1):
            _lines(grid[row][column], points, axis, {what: _OURS})
        grid[3][column].set_xlabel(axis)
    for row, label in enumerate(
        ("answers a second", "p99 at half load, ms", "resident memory, MB", "start to ready, s")
    ):
        grid[row][0].set_ylabel(label)
    grid[0][0].legend(loc="center left")
    return figure


def _by_load(curves: Mapping[str, Sequence[Point]]) -> Figure:
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
    _lines(left, curves["connections"], "connections", {"mirrorlists/s": _OURS})
    _lines(middle, curves["connections"], "connections", {"p99 ms": _OURS})
    _lines(right, curves["workers"], "workers", _THROUGHPUTS)
    right.set_xscale("linear")
    right.set_xticks([point["workers"] for point in curves["workers"]])
    right.legend(loc="lower right")
    for axes, x, y in (
        (left, "connections", "mirrorlists a second"),
        (middle, "connections", "p99 at full load, ms"),
        (right, "workers, as many cores", "answers a second"),
    ):
        axes.set_xlabel(x)
        axes.set_ylabel(y)
    return figure


def _lines(axes: Axes, points: Sequence[Point], axis: str, columns: Mapping[str, str]) -> None:
    for column, colour in columns.items():
        axes.plot(
            [point[axis] for point in points],
            [point[column] for point in points],
            color=colour,
            marker="o",
            markersize=4,
            linewidth=1.8,
            label=column,
        )
    axes.set_xscale("symlog" if points[0][axis] == 0 else "log", **({"linthresh": 1e5} if points[0][axis] == 0 else {}))
    axes.axhline(0, linewidth=0)
    axes.yaxis.set_major_formatter("{x:,.0f}" if axes.get_ylim()[1] >= 10 else "{x:g}")


def _reload(row: Row) -> Figure:
    """Answers a second around a reload."""
    figure, axes = pyplot.subplots(figsize=(7, 2.4), layout="constrained")
    record: Any = row.detail["timeline"]
    steps = list(pairwise(record))
    times = [(first + last) / 2 for (first, _), (last, _) in steps]
    rates = [(after - before) / (last - first) for (first, before), (last, after) in steps]
    axes.axvspan(0, float(str(row.detail["reload_s"])), color=_YARDSTICK, alpha=0.35, linewidth=0)
    axes.annotate(" reload", (0, 0), xytext=(0, 3), textcoords="offset points")
    axes.plot(times, rates, color=_OURS, linewidth=1.8)
    axes.axhline(0, linewidth=0)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("seconds since the reload was asked for")
    axes.set_ylabel("mirrorlists a second")
    return figure
