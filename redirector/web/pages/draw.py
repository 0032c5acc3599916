"""Pictures of the pages: the map, and ninety days as a strip. SVG, without script, font or style of its own. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from math import asin, cos, radians, sin, sqrt

from redirector.model import Place
from redirector.registry.public import PublicMirror
from redirector.store.evidence import DAY_S, HistoryRow
from redirector.web.words import STATES, kind_of

WIDTH, HEIGHT = 960, 440
_SCALE = WIDTH / (2 * 2.7066)
_MIDDLE = 262
"""Where the equator is: without Antarctica the north has more."""

_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796
"""Equal Earth (Šavrič, Patterson, Jenny 2018): areas stay true."""


def project(latitude: float, longitude: float) -> tuple[float, float]:
    """Where a place is in the picture."""
    angle = asin(sqrt(3) / 2 * sin(radians(latitude)))
    square = angle * angle
    sixth = square * square * square
    below = 9 * _A4 * sixth * square + 7 * _A3 * sixth + 3 * _A2 * square + _A1
    x = 2 * sqrt(3) / 3 * radians(longitude) * cos(angle) / below
    y = angle * (_A4 * sixth * square + _A3 * sixth + _A2 * square + _A1)
    return WIDTH / 2 + x * _SCALE, _MIDDLE - y * _SCALE


@cache
def _world() -> str:
    """Land and borders as two paths."""
    paths: dict[str, list[str]] = {"land": [], "border": []}
    for line in (files("redirector.web.pages") / "world.txt").read_text().splitlines():
        kind, _, points = line.partition(" ")
        if kind in paths:
            placed = [project(int(y) / 10, int(x) / 10) for x, y in (point.split(",") for point in points.split(" "))]
            close = "z" if kind == "land" else ""
            paths[kind].append("M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in placed) + close)
    return "".join(f'<path class="{kind}" d="{"".join(parts)}"/>' for kind, parts in paths.items())


@dataclass(frozen=True, slots=True)
class Town:
    """Mirrors at one place; the worst-off kind of state that most of them have decides how it is drawn."""

    place: Place
    mirrors: tuple[PublicMirror, ...]

    @property
    def kind(self) -> str:
        """`ok` where any is."""
        kinds = [kind_of(mirror.state) for mirror in self.mirrors]
        return next(kind for kind in ("ok", "stale", "unreachable", "resting", "unknown") if kind in kinds)

    @property
    def name(self) -> str:
        """Its city, or else the country."""
        return next((mirror.city for mirror in self.mirrors if mirror.city), self.mirrors[0].country)


def towns_of(mirrors: Sequence[PublicMirror], places: Mapping[str, Place]) -> list[Town]:
    """Mirrors by where they are, to a tenth of a degree; the largest towns first."""
    found: dict[tuple[int, int], list[PublicMirror]] = {}
    for mirror in mirrors:
        place = places.get(mirror.host)
        if place is not None:
            found.setdefault((round(place.latitude * 10), round(place.longitude * 10)), []).append(mirror)
    towns = [Town(places[here[0].host], tuple(here)) for here in found.values()]
    return sorted(towns, key=lambda town: (-len(town.mirrors), town.name, town.mirrors[0].host))


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the picture, to be shown larger."""

    name: str
    x: float
    y: float
    width: float
    height: float

    def holds(self, town: Town) -> bool:
        """Whether its mark is in it."""
        x, y = project(town.place.latitude, town.place.longitude)
        return self.x <= x <= self.x + self.width and self.y <= y <= self.y + self.height


_CROWDED = 12
"""Towns in a window from which on it is worth a picture of its own."""

_PARTS = (
    ("Europe", 52.0, 12.0),
    ("North America", 40.0, -95.0),
    ("East Asia", 32.0, 122.0),
    ("South America", -20.0, -56.0),
)


def closest(towns: Sequence[Town]) -> Window | None:
    """The part of the world with most towns; None where marks are far apart everywhere."""
    width, height = WIDTH / 4.6, HEIGHT / 4.6
    windows = []
    for name, latitude, longitude in _PARTS:
        x, y = project(latitude, longitude)
        windows.append(Window(name, x - width / 2, y - height / 2, width, height))
    best = max(windows, key=lambda window: sum(map(window.holds, towns)))
    return best if sum(map(best.holds, towns)) >= _CROWDED else None


def draw_map(title: str, towns: Sequence[Town], window: Window | None = None) -> str:
    """The world, and a mark a town; a frame where *window* is shown larger below."""
    marks = "".join(_mark(town) for town in reversed(towns))
    frame = ""
    if window is not None:
        frame = (
            f'<rect class="frame" x="{window.x:.0f}" y="{window.y:.0f}" '
            f'width="{window.width:.0f}" height="{window.height:.0f}" rx="4"/>'
        )
    return _svg("map", title, f"0 0 {WIDTH} {HEIGHT}", f"{_world()}{frame}{marks}")


def draw_closer(window: Window, towns: Sequence[Town]) -> str:
    """What *window* holds, larger; marks are as large as on the map."""
    shrunk = 0.4
    marks = "".join(_mark(town, shrunk) for town in reversed(towns) if window.holds(town))
    box = f"{window.x:.1f} {window.y:.1f} {window.width:.1f} {window.height:.1f}"
    return _svg("map near", f"Mirrors in {window.name}", box, f"{_world()}{marks}")


def _svg(name: str, title: str, box: str, parts: str) -> str:
    return (
        f'<svg class="{name}" xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{parts}</svg>'
    )


def _mark(town: Town, scale: float = 1.0) -> str:
    x, y = project(town.place.latitude, town.place.longitude)
    size = scale * min(10.0, 2.6 + 1.4 * sqrt(len(town.mirrors)))
    names = ", ".join(f"{mirror.host} ({STATES[mirror.state]})" for mirror in town.mirrors[:8])
    more = f" and {len(town.mirrors) - 8} more" if len(town.mirrors) > 8 else ""
    return f'<g class="s-{town.kind}">{shape(town.kind, x, y, size, f"{town.name}: {names}{more}")}</g>'


def shape(kind: str, x: float, y: float, size: float, title: str) -> str:
    """A mark of that kind."""
    name = f"<title>{escape(title)}</title>"
    if kind == "ok":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}">{name}</circle>'
    if kind == "stale":
        points = f"{x:.1f},{y - size:.1f} {x + size:.1f},{y + size:.1f} {x - size:.1f},{y + size:.1f}"
    elif kind == "unreachable":
        side = size * 0.85
        return (
            f'<rect x="{x - side:.1f}" y="{y - side:.1f}" width="{2 * side:.1f}" height="{2 * side:.1f}">{name}</rect>'
        )
    else:
        points = f"{x:.1f},{y - size:.1f} {x + size:.1f},{y:.1f} {x:.1f},{y + size:.1f} {x - size:.1f},{y:.1f}"
    return f'<polygon points="{points}">{name}</polygon>'


# -- A mirror's past ---------------------------------------------------------------------------------------------------

SEVERITY = ("", "ok", "unchecked", "unknown", "stale", "unreachable")
"""From nothing known to worst: a day shows the worst that it saw."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A time in which a mirror was not `ok`. *end*: None while it lasts."""

    state: str
    reason: str
    start: int
    end: int | None


def incidents_of(history: Sequence[HistoryRow], since: int) -> list[Incident]:
    """Newest first; those that were over before *since* are left out, and so is what preceded the first visit."""
    found: list[Incident] = []
    for number, row in enumerate(history):
        following = history[number + 1].at if number + 1 < len(history) else None
        if row.state not in ("ok", "unchecked") and (following is None or following > since):
            found.append(Incident(row.state, row.reason, row.at, following))
    return found[::-1]


def days_of(history: Sequence[HistoryRow], now: int, days: int) -> list[str]:
    """The worst state of each of the last *days* days, oldest first; "" where nothing is known."""
    found = []
    today = now // DAY_S
    for day in range(today - days + 1, today + 1):
        start, end = day * DAY_S, min(now, (day + 1) * DAY_S)
        states = [row.state for row in history if start <= row.at < end]
        before = [row.state for row in history if row.at < start]
        states += before[-1:]
        found.append(max(states, key=lambda state: SEVERITY.index(state) if state in SEVERITY else 3, default=""))
    return found


def share_of(history: Sequence[HistoryRow], since: int, now: int) -> float | None:
    """How much of the time since *since* of which something is known a mirror was `ok`; None when nothing is."""
    known = well = 0
    for number, row in enumerate(history):
        end = history[number + 1].at if number + 1 < len(history) else now
        span = min(end, now) - max(row.at, since)
        if span > 0 and row.state != "unchecked":
            known += span
            well += span if row.state == "ok" else 0
    return well / known if known else None


def draw_strip(title: str, states: Sequence[str], labels: Sequence[str]) -> str:
    """A bar a day: its height and colour say how the day was."""
    return (
        f'<svg class="strip" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(states) * 8 - 1} 40" '
        f'preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{"".join(_bars(states, labels))}</svg>'
    )


def _bars(states: Sequence[str], labels: Sequence[str]) -> Iterator[str]:
    for number, (state, label) in enumerate(zip(states, labels, strict=True)):
        kind = kind_of(state) if state else "none"
        height = {"ok": 40, "stale": 28, "unreachable": 16, "none": 4}.get(kind, 22)
        yield (
            f'<rect class="s-{kind}" x="{number * 8}" y="{40 - height}" width="7" height="{height}">'
            f"<title>{escape(label)}: {escape(STATES.get(state, state) or 'not known')}</title></rect>"
        )
