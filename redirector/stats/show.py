"""An overview as text for a terminal; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from redirector.counted import counted
from redirector.stats.overview import Overview

_BAR_CHARACTERS = 24
_EIGHTHS = " ▏▎▍▌▋▊▉"


def render_overview(overview: Overview) -> str:
    """Tables one below the other."""
    if not overview.day and overview.systems_week is None:
        return "nothing is counted yet: redirector stats add LOG\n"
    blocks = []
    if overview.day:
        total = sum(requests for day, requests in overview.week if day == overview.day)
        blocks.append([f"{overview.day}: {counted(total, 'requests')}"])
        for category, parts in overview.parts.items():
            most = max((part.percent for part in parts), default=0)
            rows = [
                (part.name, f"{part.requests:,}", f"{part.percent:.1f} %", bar(part.percent, most)) for part in parts
            ]
            blocks.append([category, *_columns(rows)])
        most = max((requests for _, requests in overview.week), default=0)
        blocks.append(
            ["the week", *_columns([(day, f"{requests:,}", bar(requests, most)) for day, requests in overview.week])]
        )
        if overview.moves:
            rows_of_moves = [
                (move.name, f"{move.before:.1f} %", f"{move.after:.1f} %", f"{move.points:+.1f}")
                for move in overview.moves
            ]
            blocks.append(["moved since the week before", *_columns(rows_of_moves)])
    if overview.systems_week is not None:
        rows_of_releases: list[tuple[str, ...]] = [
            ("", "systems", "≤ 1 week", "≤ 1 month", "≤ 6 months", "longer", "by")
        ]
        for release in overview.releases:
            name = f"{release.name} {release.version}".strip() or "(unnamed)"
            ages = (f"{age:,}" for age in release.ages)
            rows_of_releases.append((name, f"{release.systems:,}", *ages, release.repository))
        monday, sunday = overview.systems_week
        blocks.append([f"systems, {monday} to {sunday}", *_columns(rows_of_releases)])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def bar(value: float, most: float) -> str:
    """*value* as a bar, *most* being the longest."""
    eighths = round(8 * _BAR_CHARACTERS * value / most) if most else 0
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """*rows* in columns, those of numbers to the right; the first row may be headings."""
    rows = list(rows)
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    is_number = [
        all(cell[:1].isdigit() or cell[:1] in "+-" for cell in column[1:] or column)
        for column in zip(*rows, strict=True)
    ]
    is_number[0] = False
    return [
        "  "
        + "  ".join(
            f"{cell:>{width}}" if right else f"{cell:{width}}"
            for cell, width, right in zip(row, widths, is_number, strict=True)
        ).rstrip()
        for row in rows
    ]
