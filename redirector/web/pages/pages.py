"""What each public page shows: from the value that all share to a template's names. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from statistics import fmean
from typing import Any
from urllib.parse import urlencode

from redirector import __version__
from redirector.locate.places import name_of_country
from redirector.registry.public import PublicMirror
from redirector.registry.signing import NAMESPACE, SIGNER
from redirector.settings.joining import Join
from redirector.stats.asked import UNKNOWN
from redirector.stats.overview import Overview, overview_of
from redirector.stats.pictures import Layer, draw_areas, draw_bars, draw_lines
from redirector.stats.propagation import COLUMNS
from redirector.store.evidence import DAY_S
from redirector.store.statistics import PropagationRow
from redirector.web.pages import draw
from redirector.web.pages.filters import ORDERS, Choice, choose, values_of
from redirector.web.pages.render import show_bytes
from redirector.web.pages.shown import HISTORY_DAYS, REPOSITORIES_SHOWN, Past, Shown
from redirector.web.pages.versions import version_key
from redirector.web.words import KINDS, STATES, kind_of

POINTS = 112
"""Of one picture of propagation, at most: three hours apart in two weeks."""

LABELS = ("up to a day", "one day", "two days", "older", "not known")


@dataclass(frozen=True, slots=True)
class Page:
    """A template, and the names that it uses."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)


# -- The list of mirrors -----------------------------------------------------------------------------------------------


def mirrors_page(shown: Shown, choice: Choice, *, forms: bool = True) -> Page:
    """The mirrors that were asked for, by country or in another order.

    forms  with fields to choose by, which need somebody who answers
    """
    found = choose(shown, choice)
    countries = {mirror.country for mirror in shown.listed.mirrors if mirror.country}
    asked = {name: value for name, value in asdict(choice).items() if value and (name, value) != ("sort", "country")}
    asked.pop("sort", None)
    json = f"/api/v1/mirrors?{urlencode({**asked, 'limit': 200})}" if forms else "/mirrors.json"
    return Page(
        "mirrors.html",
        {
            "total": len(shown.listed.mirrors),
            "counts": {"ok": sum(mirror.ok for mirror in shown.listed.mirrors)},
            "countries": len(countries),
            "mbit": sum(mirror.bandwidth_mbit or 0 for mirror in shown.listed.mirrors if mirror.ok),
            "shown": len(found),
            "narrowed": choice.narrows,
            "groups": _groups(found) if choice.sort == "country" else [(None, found)] if found else [],
            "choices": list(_choices(shown)) if forms else [],
            "chosen": asdict(choice),
            "json": json,
            "now": shown.now,
        },
    )


def _groups(mirrors: Sequence[PublicMirror]) -> list[tuple[str, list[PublicMirror]]]:
    groups: dict[str, list[PublicMirror]] = {}
    for mirror in mirrors:
        groups.setdefault(name_of_country(mirror.country), []).append(mirror)
    return list(groups.items())


def _choices(shown: Shown) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """(name, label, values with their texts) of each field."""
    labels = {
        "country": "Country",
        "product": "Product",
        "version": "Version",
        "arch": "Architecture",
        "protocol": "Protocol",
        "tier": "Tier",
        "state": "State",
    }
    for name, label in labels.items():
        pairs = [(value, _text_of(name, value)) for value in values_of(shown, name)]
        if name == "country":
            pairs.sort(key=lambda pair: pair[1])
        yield name, label, [("", "all"), *pairs]
        if name == "protocol":
            yield "family", "Answers on", [("", "all"), ("ipv4", "IPv4"), ("ipv6", "IPv6")]
    yield "sort", "Sorted by", [(name, name) for name in ORDERS]


def _text_of(name: str, value: str) -> str:
    if name == "country":
        return name_of_country(value)
    return STATES.get(value, value) if name == "state" else value


# -- One mirror --------------------------------------------------------------------------------------------------------


def mirror_page(shown: Shown, mirror: PublicMirror, past: Past) -> Page:
    """All that is told of one mirror."""
    labels = [_day((shown.now // DAY_S - HISTORY_DAYS + 1 + number) * DAY_S) for number in range(HISTORY_DAYS)]
    states = draw.days_of(past.history, shown.now, HISTORY_DAYS)
    return Page(
        "mirror.html",
        {
            "mirror": mirror,
            "score": shown.scores.get(mirror.host),
            "days": HISTORY_DAYS,
            "strip": draw.draw_strip(f"{mirror.host}, the last {HISTORY_DAYS} days", states, labels),
            "share": draw.share_of(past.history, shown.now - HISTORY_DAYS * DAY_S, shown.now),
            "first_day": labels[0],
            "releases": _releases_of(mirror),
            "incidents": draw.incidents_of(past.history, shown.now - HISTORY_DAYS * DAY_S)[:50],
            "curves": list(_curves(past)),
            "now": shown.now,
        },
    )


def _releases_of(mirror: PublicMirror) -> list[tuple[str, str]]:
    """(product, its versions with their architectures) that strangers are given there."""
    found: dict[str, dict[str, set[str]]] = {}
    for product, version, arch in mirror.carries:
        if version:
            found.setdefault(product, {}).setdefault(version, set()).add(arch)
    return [
        (
            product,
            ", ".join(f"{v} ({', '.join(sorted(versions[v]))})" for v in sorted(versions, key=version_key)),
        )
        for product, versions in sorted(found.items())
    ]


Curve = tuple[str, str, Sequence[str], Sequence[Sequence[str]]]
"""Heading, picture, and the same as a table."""


def _curves(past: Past) -> Iterator[Curve]:
    good = [visit for visit in past.visits if visit.event == "good"]
    for heading, name, unit, values in (
        ("How far behind", "hours", " h", [(v.at, v.lag_s / 3600) for v in good if v.lag_s is not None]),
        ("Time to answer", "seconds", " s", [(v.at, v.duration_s) for v in good if v.duration_s is not None]),
    ):
        days = _by_day(values)
        if days:
            rows = [(day, f"{value:.2f}") for day, value in days.items()]
            layer = Layer(name, list(days.values()))
            yield heading, draw_lines(f"{heading}, {name}", _short(days), [layer], unit), ("Day", name), rows
    if past.traffic:
        days = {row.day: float(row.bytes) for row in past.traffic}
        layer = Layer("bytes", list(days.values()))
        rows = [(day, show_bytes(int(value))) for day, value in days.items()]
        yield "Traffic", draw_lines("Traffic, bytes a day", _short(days), [layer], "B"), ("Day", "Bytes"), rows


def _short(days: Iterable[str]) -> list[str]:
    """`2026-11-28` as it stands at an axis: `28 Nov`."""
    return [f"{date.fromisoformat(day):%d %b}" for day in days]


def _by_day(values: Sequence[tuple[int, float]]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for at, value in values:
        found.setdefault(_day(at), []).append(value)
    return {day: fmean(each) for day, each in found.items()}


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


# -- Map, propagation, statistics, join --------------------------------------------------------------------------------


def map_page(shown: Shown) -> Page:
    """The world, and where mirrors are."""
    towns = draw.towns_of(shown.listed.mirrors, shown.places)
    title = f"{len(shown.places)} mirrors in {len(towns)} towns"
    kinds = Counter(kind_of(shown_there.state) for town in towns for shown_there in town.mirrors)
    close = draw.closest(towns)
    return Page(
        "map.html",
        {
            "picture": draw.draw_map(title, towns, close),
            "closer": (close.name, draw.draw_closer(close, towns)) if close is not None else None,
            "kinds": [(kind, name, kinds[kind]) for kind, name in KINDS.items() if kinds[kind]],
            "towns": sorted(towns, key=lambda town: (name_of_country(town.mirrors[0].country), town.name)),
            "now": shown.now,
        },
    )


def propagation_page(
    shown: Shown, repository: str = "", asked: Sequence[PropagationRow] = (), *, forms: bool = True
) -> Page:
    """How fast pushes spread, and how old the copies of repositories are.

    repository, asked  the one that was asked for, and its rows; without rows those are shown that tell most
    """
    rows: dict[str, list[PropagationRow]] = {}
    for row in asked or shown.propagation:
        rows.setdefault(row.repository, []).append(row)
    newest: dict[str, int] = {}
    for push in shown.pushes:
        newest[push.category] = max(push.pushed, newest.get(push.category, 0))
    pictures = [(name, _draw_propagation(name, each), each[-30:][::-1]) for name, each in sorted(rows.items())]
    return Page(
        "propagation.html",
        {
            "pushes": [(push, push.pushed == newest[push.category]) for push in shown.pushes],
            "labels": LABELS,
            "repositories": pictures,
            "choice": shown.spreading if forms and len(shown.spreading) > REPOSITORIES_SHOWN else [],
            "repository": repository,
            "now": shown.now,
        },
    )


def _draw_propagation(name: str, rows: Sequence[PropagationRow]) -> str:
    rows = rows[::-1][:: -(-len(rows) // POINTS)][::-1]  # the newest is always one of them
    short = len(rows) > 1 and rows[-1].run - rows[0].run > 3 * DAY_S
    labels = [f"{datetime.fromtimestamp(row.run, UTC):{'%d %b' if short else '%d %b %H:%M'}}" for row in rows]
    layers = [
        Layer(label, [float(getattr(row, column)) for row in rows])
        for column, label in zip(COLUMNS, LABELS, strict=True)
    ]
    return draw_areas(f"Mirrors by how far behind their copy of {name} was", labels, layers, ages=True)


def statistics_page(shown: Shown) -> Page:
    """What was asked for, and which systems there are."""
    overview = overview_of(shown.margins, shown.systems)
    daily: Counter[str] = Counter()
    for margin in shown.margins:
        if margin.category == "archs":
            daily[margin.day] += margin.requests
    days = sorted(daily.items())
    return Page(
        "statistics.html",
        {
            "overview": overview,
            "name_of_part": name_of_part,
            "bars": _bars(overview),
            "daily": draw_lines(
                "Requests a day", _short(day for day, _ in days), [Layer("requests", [n for _, n in days])]
            ),
            "days": days[::-1],
            "systems": draw_bars(
                "Systems by release",
                [(f"{each.name} {each.version}".strip() or "unnamed", each.systems) for each in overview.releases],
            ),
            "now": shown.now,
        },
    )


def name_of_part(category: str, name: str) -> str:
    """Of what requests were counted, in words."""
    if name == UNKNOWN:
        return "not known"
    return name_of_country(name) if category == "countries" else name


def _bars(overview: Overview) -> dict[str, str]:
    return {
        category: draw_bars(
            f"Requests by {category}",
            [(name_of_part(category, part.name), part.requests) for part in parts],
        )
        for category, parts in overview.parts.items()
    }


def join_page(shown: Shown, join: Join, url: str, key: str = "") -> Page:
    """What whoever wants to become a mirror must know.

    key  by which signed notices are verified, as `ssh-keygen` writes it; "": none are signed
    """
    agent = f"redirector-crawler/{__version__}" + (f" (+{url})" if url else "")
    values = {
        "join": join,
        "agent": agent,
        "key": key,
        "signer": SIGNER,
        "namespace": NAMESPACE,
        "categories": shown.categories,
        "sized": any(each.sizes for each in shown.categories),
        "now": shown.now,
    }
    return Page("join.html", values)


def sizes_text(shown: Shown) -> bytes:
    """Bytes by category and release, tabs between: for whoever plans disks by a program."""
    lines = ["# bytes\tcategory\trelease; hard links count once, releases under embargo not at all"]
    for category in shown.categories:
        lines += [f"{size}\t{category.name}\t{release or '-'}" for release, size in category.sizes]
        if category.sizes:
            lines.append(f"{category.size_bytes}\t{category.name}\ttotal")
    return "".join(f"{line}\n" for line in lines).encode()
