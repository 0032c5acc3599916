"""One report: JSON for machines, a table for people, plots as SVG and PNG."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks.curves import Point
from benchmarks.micro import Functions
from benchmarks.plots import draw_plots
from benchmarks.processes import ROOT
from benchmarks.table import TARGETS, Row, Target

_PACKAGES = ("aiohttp", "uvloop", "maxminddb", "numpy", "protobuf")


@dataclass(slots=True)
class Report:
    """What was measured; *curves* by their x axis."""

    machine: Mapping[str, object]
    table: dict[str, Row] = field(default_factory=dict)
    curves: dict[str, list[Point]] = field(default_factory=dict)
    functions: Functions | None = None

    def save(self, folder: Path) -> None:
        """Write `report.json`, `report.md` and the plots."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(asdict(self), indent=1) + "\n")
        (folder / "report.md").write_text(self.render())
        draw_plots(folder, self.table, self.curves)

    def render(self) -> str:
        """The report as Markdown."""
        parts = [_render_machine(self.machine), _render_table(self.table)]
        parts += [_render_curve(name, points) for name, points in self.curves.items()]
        if self.functions is not None:
            parts.append(_render_functions(self.functions))
        return "\n\n".join(parts) + "\n"


def describe_machine() -> dict[str, object]:
    """What a reader must know to compare numbers."""
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "commit": commit.stdout.strip(),
        "load_before": os.getloadavg()[0],
    }


def _render_machine(machine: Mapping[str, object]) -> str:
    return f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, Python {machine['python']}"


def _render_table(rows: Mapping[str, Row]) -> str:
    lines = [
        "| what | at least | aim | measured | reaches | by CPU | µs of CPU, against | a second, against | disturbed |",
        "|" + "---|" * 9,
    ]
    for name, row in rows.items():
        target = TARGETS[name]
        by_cpu = f"{row.detail['ratio_by_cpu']:g} ×" if "ratio_by_cpu" in row.detail else ""
        lines.append(
            f"| {target.what} | {target.at_least:g} {target.unit} | {target.aim:g} {target.unit} "
            f"| **{row.measured:g} {target.unit}** | {_verdict(target, row.measured)} | {by_cpu} "
            f"| {_times(row)} | {_rates(row)} | {_disturbance(row)} |"
        )
    return "\n".join(lines)


def _times(row: Row) -> str:
    """What one answer costs a server's core, in user and system time."""
    if "cpu_us" not in row.detail or "against_cpu_us" not in row.detail:
        return ""
    return f"{row.detail['cpu_us']}, {row.detail['against_cpu_us']}"


def _rates(row: Row) -> str:
    """Both rates that a ratio was made of."""
    if "rate" not in row.detail or "against" not in row.detail:
        return ""
    return f"{float(str(row.detail['rate'])):,.0f}, {float(str(row.detail['against'])):,.0f}"


def _disturbance(row: Row) -> str:
    """How much of the server's core strangers had, where that is enough to doubt the row; and that it was repeated."""
    share = f"by {row.strangers:.0%}" if row.is_disturbed else ""
    return ", ".join(filter(None, (share, "repeated" if row.detail.get("repeated") else "")))


def _verdict(target: Target, measured: float) -> str:
    if target.is_met(measured, target.aim):
        return "aim"
    return "at least" if target.is_met(measured, target.at_least) else "short"


def _render_curve(name: str, points: list[Point]) -> str:
    columns = list(points[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(point[column]) for column in columns) + " |" for point in points]
    return "\n".join([f"## By {name}", "", *lines])


def _render_functions(functions: Functions) -> str:
    lines = ["## One call of each hot function", "", "| what | µs |", "|---|---|"]
    lines += [f"| {name} | {microseconds:.2f} |" for name, microseconds in functions.microseconds.items()]
    return "\n".join([*lines, "", f"An order was in the pool for {functions.hit_rate:.2%} of the answers."])
