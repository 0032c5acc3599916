"""Draw the panels of the dashboard from what a Prometheus holds, without Grafana.

    python deploy/grafana/picture.py --prometheus http://127.0.0.1:9090 --minutes 60 --output dashboard.png

The queries are those of `redirector.json`, asked through Prometheus' own interface.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot, ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

DASHBOARD = Path(__file__).with_name("redirector.json")
POINTS = 240
"""Points of a line; what Grafana would ask for a panel of that width."""

COLUMN_INCHES, ROW_INCHES = 0.7, 0.4
"""Size of a unit of the dashboard's grid, which has 24 columns."""

LEGEND_COLUMNS = 3
GREY, FRAME = "#6b7280", "#d8dadf"
COLOURS = {"green": "#3f8f4f", "orange": "#d98b1f", "red": "#c8372d"}
"""Of thresholds."""

COURSES = (
    *("#3f7fbf", "#e0902f", "#3f8f4f", "#c8372d", "#7f5fbf"),
    *("#3fafaf", "#bf5f9f", "#8f8f3f", "#5f6f7f", "#9f6f4f"),
)
"""Of lines, in turn."""

SIZES: dict[str, tuple[tuple[float, str], ...]] = {
    "percentunit": ((0.01, " %"),),
    "reqps": ((1000, " k/s"), (1, "/s")),
    "none": ((1e6, " M"), (1e3, " k"), (1, "")),
    "s": ((86_400, " d"), (3600, " h"), (60, " min"), (1, " s"), (1e-3, " ms"), (1e-6, " µs")),
}
"""Unit -> the scales in which it is written, the largest first."""

Panel = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its legend, and its values over time (seconds since the epoch)."""

    legend: str
    times: list[float]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Source:
    """A Prometheus, and the span that is drawn.

    scrape_s  its scrape interval, from which Grafana derives `$__rate_interval`
    """

    url: str
    start: float
    end: float
    scrape_s: float

    @property
    def step_s(self) -> float:
        return max((self.end - self.start) / POINTS, self.scrape_s)

    def ask(self, target: Panel) -> list[Line]:
        """The series of one query of a panel."""
        interval_s = max(4 * self.scrape_s, self.step_s + self.scrape_s)
        query = target["expr"].replace("$__rate_interval", spell_window(interval_s)).replace("$instance", ".*")
        query = query.replace("$__range", spell_window(self.end - self.start))
        asked = {"query": query, "start": self.start, "end": self.end, "step": self.step_s}
        with urlopen(f"{self.url}/api/v1/query_range?{urlencode(asked)}", timeout=30) as answer:
            series = json.load(answer)["data"]["result"]
        return [
            Line(
                legend(target["legendFormat"], each["metric"]),
                [when for when, _ in each["values"]],
                [float(value) for _, value in each["values"]],
            )
            for each in series
        ]


def spell_window(seconds: float) -> str:
    """A duration as PromQL wants it."""
    return f"{seconds * 1000:.0f}ms"


def legend(form: str, labels: dict[str, str]) -> str:
    """`{{host}}` in *form* replaced by that label."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), form)


def draw(source: Source, output: Path) -> None:
    """Draw every panel where the dashboard has it."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * ROW_INCHES
    pyplot.rcParams.update({"font.size": 8, "axes.edgecolor": FRAME, "xtick.color": GREY, "ytick.color": GREY})
    figure = pyplot.figure(figsize=(24 * COLUMN_INCHES, height), dpi=90, facecolor="#f4f5f7")
    for panel in panels:
        card = Card(figure, height, panel)
        lines = [line for target in panel["targets"] for line in source.ask(target)]
        if panel["type"] == "stat":
            draw_number(card, lines)
        else:
            draw_lines(card, lines, source)
    figure.savefig(output)
    pyplot.close(figure)


class Card:
    """A white rectangle for a panel, with its title; positions inside are inches from its upper left corner."""

    def __init__(self, figure: Figure, height: float, panel: Panel) -> None:
        grid = panel["gridPos"]
        self._figure, self._height = figure, height
        self._left, self._top = grid["x"] * COLUMN_INCHES + 0.05, grid["y"] * ROW_INCHES + 0.05
        self.width, self.height = grid["w"] * COLUMN_INCHES - 0.1, grid["h"] * ROW_INCHES - 0.1
        self.settings = panel["fieldConfig"]["defaults"]
        background = self.axes(0, 0, self.width, self.height)
        background.set_xticks([])
        background.set_yticks([])
        background.text(0.1 / self.width, 1 - 0.2 / self.height, panel["title"], fontsize=9, fontweight="bold")

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self._height - self._top - top - height
        page = 24 * COLUMN_INCHES
        return self._figure.add_axes(
            ((self._left + left) / page, bottom / self._height, width / page, height / self._height)
        )


def draw_number(card: Card, lines: list[Line]) -> None:
    """The last value, coloured by its threshold, above its own course."""
    (line,) = lines
    last = line.values[-1]
    reached = [step for step in card.settings["thresholds"]["steps"] if step["value"] is None or last >= step["value"]]
    colour = COLOURS[reached[-1]["color"]]
    axes = card.axes(0, card.height - 0.5, card.width, 0.5)
    axes.fill_between(line.times, line.values, color=colour, alpha=0.15, linewidth=0)
    axes.plot(line.times, line.values, color=colour, linewidth=0.9)
    axes.set_ylim(0, max(max(line.values) * 1.1, 1e-9))
    axes.set_xlim(line.times[0], line.times[-1])
    axes.axis("off")
    divisor, suffix = scale(last, card.settings["unit"])
    text = f"{last / divisor:.3g}{suffix}"
    axes.text(0.5, 1.25, text, color=colour, transform=axes.transAxes, ha="center", fontsize=20)


def draw_lines(card: Card, lines: list[Line], source: Source) -> None:
    """The course of every series, on top of each other where the panel says so; the largest first in the legend."""
    lines = sorted(lines, key=lambda line: -sum(value for value in line.values if not math.isnan(value)))
    rows = -(-len(lines) // LEGEND_COLUMNS)
    axes = card.axes(0.62, 0.35, card.width - 0.8, card.height - 0.75 - 0.17 * rows)
    stacked = card.settings["custom"]["stacking"]["mode"] == "normal"
    logarithmic = "scaleDistribution" in card.settings["custom"]
    largest = max((value for line in lines for value in line.values if not math.isnan(value)), default=0)
    divisor, suffix = (1, "") if logarithmic else scale(largest, card.settings["unit"])
    if stacked:
        times = sorted({when for line in lines for when in line.times})
        values = [
            [dict(zip(line.times, line.values, strict=True)).get(when, 0) / divisor for when in times] for line in lines
        ]
        axes.stackplot(times, values, labels=[line.legend for line in lines], colors=COURSES, alpha=0.75)
    else:
        for line, colour in zip(lines, itertools.cycle(COURSES)):
            values_there = [value / divisor for value in line.values]
            axes.plot(line.times, values_there, color=colour, linewidth=1.2, label=line.legend)
    if logarithmic:
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, None if largest else 1)
        axes.yaxis.set_major_locator(ticker.MaxNLocator(5, integer=card.settings.get("decimals") == 0))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}{suffix}")
    axes.set_xlim(source.start, source.end)
    clock = "%H:%M:%S" if source.end - source.start < 3600 else "%H:%M"
    axes.xaxis.set_major_formatter(lambda when, _: time.strftime(clock, time.localtime(when)))
    axes.xaxis.set_major_locator(ticker.MaxNLocator(5))
    axes.set_axisbelow(True)
    axes.grid(color="#eceef1", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    below = -0.3 / (card.height - 0.75 - 0.17 * rows)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.09, below), ncols=LEGEND_COLUMNS, frameon=False, fontsize=7)


def scale(largest: float, unit: str) -> tuple[float, str]:
    """What values of *unit* are divided by, and what is written behind them, when the largest is of that size."""
    sizes = SIZES[unit]
    return next((size for size in sizes if largest >= size[0]), sizes[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the dashboard from what a Prometheus holds.")
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", metavar="URL")
    parser.add_argument("--minutes", type=float, default=60, help="how far back (default: 60)")
    parser.add_argument("--scrape-interval", type=float, default=15, metavar="SECONDS")
    parser.add_argument("--output", type=Path, default=Path("dashboard.png"), metavar="FILE")
    options = parser.parse_args()
    now = time.time()
    draw(Source(options.prometheus, now - options.minutes * 60, now, options.scrape_interval), options.output)


if __name__ == "__main__":
    main()
