"""A difference in words: a table with bars for terminals, Markdown for a review's comment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from redirector.answer.compare.difference import CountryMove, Difference, Example, HostShare
from redirector.counted import counted

_MOST_HOSTS = 20
_MOST_COUNTRIES = 15
_MOST_NAMES = 30
_BAR = 24
"""Characters of the longest bar."""


def as_text(difference: Difference) -> str:
    """For a terminal."""
    lines = [*_summary(difference), ""]
    movers = _movers(difference.shares)
    if movers:
        width = max(len(share.host) for share in movers)
        most = max(abs(share.gain) for share in movers)
        lines.append(f"{'first for':{width}}  {'before':>7}  {'after':>7}  {'carries':>7}")
        lines += [
            f"{each.host:{width}}  {each.before:7.2%}  {each.after:7.2%}  {each.capacity:7.2%}  {_bar(each.gain, most)}"
            for each in movers
        ]
        lines.append("")
    countries = _moved(difference.countries)
    if countries:
        lines.append(f"{'country':8}  {'clients':>8}  {'moved':>6}  {'km before':>9}  {'after':>6}")
        lines += [
            f"{each.country:8}  {each.clients:8,}  {each.moved:6.1%}  {_km(each.km_before):>9}  {_km(each.km_after):>6}"
            for each in countries
        ]
        lines.append("")
    lines += [f"  {tell(example)}" for example in difference.examples]
    return "\n".join(lines).rstrip() + "\n"


def as_markdown(difference: Difference) -> str:
    """For a comment in a review."""
    lines = ["### What this does to clients", "", *(f"- {_cell(line)}" for line in _summary(difference)), ""]
    movers = _movers(difference.shares)
    if movers:
        lines += ["| host | first for, before | after | share of the bandwidth |", "|---|---:|---:|---:|"]
        lines += [
            f"| {_cell(each.host)} | {each.before:.2%} | {each.after:.2%} | {each.capacity:.2%} |" for each in movers
        ]
        lines.append("")
    countries = _moved(difference.countries)
    if countries:
        lines += ["| country | clients | moved | km before | km after |", "|---|---:|---:|---:|---:|"]
        lines += [
            f"| {_cell(each.country)} | {each.clients:,} | {each.moved:.1%} | {_km(each.km_before)} "
            f"| {_km(each.km_after)} |"
            for each in countries
        ]
        lines.append("")
    if difference.examples:
        lines += ["<details><summary>Examples</summary>", ""]
        lines += [f"- {_cell(tell(example))}" for example in difference.examples]
        lines += ["", "</details>"]
    return "\n".join(lines).rstrip() + "\n"


def tell(example: Example) -> str:
    """One sentence."""
    like = f" ({example.like:,} clients)" if example.like > 1 else ""
    where = f"{example.address} in {example.country}" if example.country else example.address
    before = _named(example.before, example.km_before)
    return f"{where}{like}: from {before} to {_named(example.after, example.km_after)}, since {example.why}"


def _named(host: str, km: float | None) -> str:
    return f"{host or 'nobody'} ({km:,.0f} km)" if host and km is not None else host or "nobody"


def _summary(difference: Difference) -> Iterator[str]:
    way = f"; half of all go no farther than {_km(difference.km_before)} km before, {_km(difference.km_after)} after"
    is_known = (difference.km_before, difference.km_after) != (None, None)
    moved = f"{difference.moved:.2%} of {difference.clients:,} clients get another mirror first"
    yield moved + way if is_known else moved
    for word, names in (("new", difference.added), ("gone", difference.removed)):
        if names:
            yield f"{len(names)} {word}: {_some(names)}"
    for word, names in (("new", difference.lists_added), ("gone", difference.lists_removed)):
        if names:
            yield f"{counted(len(names), 'repositories')} {word}: {_some(names)}"
    if difference.changed:
        told = [f"{name} ({', '.join(difference.changes.get(name, ()))})" for name in difference.changed]
        yield f"{len(told)} changed: {_some(told)}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _movers(shares: Sequence[HostShare]) -> list[HostShare]:
    return [share for share in shares if abs(share.gain) >= 0.00005][:_MOST_HOSTS]


def _moved(countries: Sequence[CountryMove]) -> list[CountryMove]:
    return [country for country in countries if country.moved > 0][:_MOST_COUNTRIES]


def _bar(gain: float, most: float) -> str:
    length = max(1, round(abs(gain) / most * _BAR))
    return ("+" if gain > 0 else "-") + ("█" if gain > 0 else "░") * length


def _km(km: float | None) -> str:
    return "–" if km is None else f"{km:,.0f}"


def _cell(text: str) -> str:
    """*text* without what Markdown would read as a mark."""
    return "".join(f"\\{mark}" if mark in "\\`*_{}[]<>|#" else mark for mark in text)
