"""The health file: what a checker found out about mirrors, for catalogs of every source.

`{"checked": TIME, "mirrors": {KEY: {"up": true, "versions": ["9.8"], ...}}}`; a mirror's key is `Host.key`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import msgspec

from redirector.model import Catalog, Condition, Host, HostId, HostSet, utc
from redirector.sources.inputs import NO_FILES, Good, GoodFiles, Inputs
from redirector.sources.lacking import leave_out
from redirector.sources.problems import Report, list_some, show

HEALTH_LIMIT_BYTES = 64 << 20
"""500 mirrors that lack 1,000 directories each have 40 MB; a usual file has 100 kB."""

OLD_S = 86_400.0
"""A checker writes every 15 minutes. When it has been dead for a day nobody knows anything any more."""

AHEAD_S = 7200.0
"""A clock may be wrong by an hour or two; what was checked later than that was not checked."""

_MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class Health:
    """What is known about one mirror; the defaults say that nothing is.

    up        None: not said
    versions  the versions that it has, as the checker names them; None: all
    lacking   directories that it lacks with all below, without outer slashes
    dead      base URLs that do not work, as `plain_base` writes them
    """

    up: bool | None = None
    condition: Condition = field(default_factory=Condition)
    versions: frozenset[str] | None = None
    lacking: frozenset[str] = frozenset()
    ipv4: bool | None = None
    ipv6: bool | None = None
    dead: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Findings:
    """A health file that is believed.

    checked  epoch seconds
    """

    checked: float
    mirrors: Mapping[HostId, Health] = field(default_factory=dict)


def heed_health(catalog: Catalog, path: str | None, now: float, earlier: GoodFiles = NO_FILES) -> Catalog:
    """*catalog* with what the health file *path* says of its hosts; as it is where there is none to be believed.

    path     None: the one that the source itself names, if it does
    now      epoch seconds
    earlier  what earlier loads read of a file that is not to be believed now; not of one that is gone
    """
    path = path or catalog.health
    if path is None:
        return catalog
    inputs = Inputs(Report(path), earlier=earlier)
    raw = inputs.load(path, HEALTH_LIMIT_BYTES, "health is ignored")
    findings, names = None, names_of(catalog.hosts)
    if raw is not None:
        findings = parse_health(inputs.report, raw, inputs.mtimes[path], now, names)
        if findings is not None:
            inputs.good[path] = Good(raw, inputs.mtimes[path])
    if findings is None and os.path.lexists(path) and (good := earlier.get(path)) is not None:
        findings = parse_health(Report(path), good.raw, good.written, now, names)
        if findings is not None:
            inputs.report.warning("file", "what was read of it before is used")
            inputs.good[path] = good
            inputs.broken.append(path)
    if findings is not None:
        catalog = apply_health(inputs.report, catalog, findings)
    problems = (*catalog.problems, *inputs.report.problems)
    return replace(
        catalog,
        health=path,
        good={**catalog.good, **inputs.good},
        broken=(*catalog.broken, *inputs.broken),
        built=catalog.built if catalog.dated else int(max(catalog.built, *inputs.mtimes.values(), 0)),
        inputs=(*catalog.inputs, *inputs.mtimes),
        problems=problems if catalog.dated else tuple(sorted(problems, key=lambda problem: problem.path)),
    )


def names_of(hosts: tuple[Host, ...]) -> dict[str, HostId]:
    """What a health file may call each host: its key, and its name where that is nobody's key."""
    names = {host.name: HostId(number) for number, host in enumerate(hosts) if host.key}
    return names | {host.key: HostId(number) for number, host in enumerate(hosts) if host.key}


def parse_health(
    report: Report, raw: bytes, written: float, now: float, names: Mapping[str, HostId]
) -> Findings | None:
    """What the file *raw* says; None, with a warning, when it is not to be believed.

    written  the file's mtime, which counts where `checked` is missing
    names    see `names_of`; others are reported
    """
    try:
        document = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        report.warning("file", f"no JSON ({error}): health is ignored")
        return None
    entries = document.get("mirrors", {}) if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        report.warning("mirrors", "no object of mirrors: health is ignored")
        return None
    checked = document.get("checked", written)
    if not _is_number(checked):
        report.warning("checked", f"{show(checked)} is no time: health is ignored")
        return None
    if now - checked > OLD_S or checked - now > AHEAD_S:
        what = "more than a day ago" if checked < now else "in the future"
        report.warning("checked", f"{utc(checked)} is {what}: health is ignored")
        return None
    strangers = sorted(name for name in entries if name not in names)
    if strangers:
        report.warning("mirrors", f"no such mirror: {list_some(strangers)}: left out")
    found = {names[name]: _read_entry(report, name, entry) for name, entry in entries.items() if name in names}
    down, known = sum(health.up is False for health in found.values()), len(set(names.values()))
    if down * 2 > known:
        report.warning("mirrors", f"{down} of {known} mirrors down is not believable: health is ignored")
        return None
    return Findings(checked, found)


def _read_entry(report: Report, name: str, entry: object) -> Health:
    if not isinstance(entry, dict):
        report.warning(f"mirrors.{name}", f"{show(entry)} is no object: left out")
        return Health()
    fields = _Fields(report, f"mirrors.{name}", entry)
    condition = Condition(
        state=_short_line(fields.text("state")),
        since=fields.number("since"),
        reason=_short_line(fields.text("reason")),
        checked=fields.number("checked"),
        lag_s=fields.number("lag_s"),
    )
    versions, lacking = fields.texts("versions"), fields.texts("lacking") or frozenset()
    return Health(
        up=fields.flag("up"),
        condition=condition,
        versions=versions,
        lacking=frozenset(path.strip("/") for path in lacking) - {""},
        ipv4=fields.flag("ipv4"),
        ipv6=fields.flag("ipv6"),
        dead=_read_dead(fields),
    )


def _read_dead(fields: _Fields) -> frozenset[str]:
    """The URLs of which the entry says `{"up": false}`."""
    urls = fields.take("urls", lambda value: isinstance(value, dict), "object of URLs")
    if not isinstance(urls, dict):
        return frozenset()
    dead = set()
    for url, said in urls.items():
        if not isinstance(said, dict):
            fields.report.warning(f"{fields.key}.urls", f"{show(url)}: {show(said)} is no object: left out")
        elif _Fields(fields.report, f"{fields.key}.urls.{url}", said).flag("up") is False:
            dead.add(plain_base(url))
    return frozenset(dead)


@dataclass(frozen=True, slots=True)
class _Fields:
    """The entry of one mirror: what is missing or null is None, and so, with a warning, is what is of another kind."""

    report: Report
    key: str
    entry: Mapping[str, object]

    def take(self, key: str, is_right: Callable[[object], bool], what: str) -> object:
        value = self.entry.get(key)
        if value is None or is_right(value):
            return value
        self.report.warning(f"{self.key}.{key}", f"{show(value)} is no {what}: left out")
        return None

    def flag(self, key: str) -> bool | None:
        value = self.take(key, lambda value: isinstance(value, bool), "boolean")
        return value if isinstance(value, bool) else None

    def number(self, key: str) -> float | None:
        value = self.take(key, _is_number, "time" if key in ("since", "checked") else "number")
        return value if isinstance(value, int | float) else None

    def text(self, key: str) -> str:
        value = self.take(key, lambda value: isinstance(value, str), "text")
        return value if isinstance(value, str) else ""

    def texts(self, key: str) -> frozenset[str] | None:
        value = self.take(key, _is_texts, "list of texts")
        return frozenset(value) if isinstance(value, list) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _short_line(text: str) -> str:
    return "".join(mark for mark in " ".join(text.split())[:_MAX_REASON] if mark.isprintable())


def plain_base(url: str) -> str:
    """*url* as two spellings of one base URL are compared: scheme and host in lower case, no slash at the end."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


# -- What follows for the catalog --------------------------------------------------------------------------------------


def apply_health(report: Report, catalog: Catalog, findings: Findings) -> Catalog:
    """*catalog* with its hosts up or down, without URLs that are dead, and without hosts where they lack something."""
    found = findings.mirrors
    working = _working_urls(catalog, {host: health.dead for host, health in found.items() if health.dead})
    lost = {host for host, urls in working.items() if not any(urls.values())}
    hosts = tuple(
        _heed(host, found[HostId(number)], HostId(number) in lost) if HostId(number) in found else host
        for number, host in enumerate(catalog.hosts)
    )
    changed = replace(
        catalog,
        hosts=hosts,
        host_sets=tuple(_with_urls(carriers, working) for carriers in catalog.host_sets),
        health_checked=findings.checked,
    )
    return leave_out(report, changed, _lacking(report, changed, found))


_Urls = Mapping[tuple[str, ...], tuple[str, ...]]
"""Base URLs as the source lists them -> those of them that work."""


def _working_urls(catalog: Catalog, dead: Mapping[HostId, Collection[str]]) -> dict[HostId, _Urls]:
    """Of each host with dead URLs, the lists of URLs that it has in its host sets, and what works of each."""
    working: dict[HostId, dict[tuple[str, ...], tuple[str, ...]]] = {host: {} for host in dead}
    for carriers in catalog.host_sets if dead else ():
        for host, known in working.items():
            urls = carriers.urls.get(host)
            if urls and urls not in known:
                known[urls] = tuple(url for url in urls if plain_base(url) not in dead[host])
    return {host: known for host, known in working.items() if known}


def _with_urls(carriers: HostSet, working: Mapping[HostId, _Urls]) -> HostSet:
    """*carriers* with the URLs that work; a host without such keeps all of them, for want of better."""
    if working.keys().isdisjoint(carriers.urls):
        return carriers
    urls = {host: working[host][bases] or bases if host in working else bases for host, bases in carriers.urls.items()}
    return replace(carriers, urls=urls)


def _heed(host: Host, health: Health, is_lost: bool) -> Host:
    """*host* with its health; one of which no URL works is down, whatever else is said."""
    condition = health.condition if health.condition != Condition() else host.condition
    up = (host.up if health.up is None else health.up) and not is_lost
    return replace(
        host,
        up=up,
        down_reason="" if up else _down_reason(condition or Condition(), is_lost) or host.down_reason,
        condition=condition,
        ipv4=host.ipv4 if health.ipv4 is None else health.ipv4,
        ipv6=host.ipv6 if health.ipv6 is None else health.ipv6,
    )


def _down_reason(condition: Condition, is_lost: bool) -> str:
    words = condition.reason or ("none of its URLs works" if is_lost else condition.state)
    when = f"since {utc(condition.since)}" if condition.since is not None else ""
    return ", ".join(filter(None, (words, when)))


def _lacking(report: Report, catalog: Catalog, found: Mapping[HostId, Health]) -> dict[str, set[HostId]]:
    """Who lacks which directories; of a tree also the versions that its health does not name."""
    lacking: dict[str, set[HostId]] = {}
    releases = catalog.releases
    short = {} if releases is None else releases.duplicated
    for host, health in found.items():
        for path in health.lacking:
            version, slash, below = path.partition("/")
            lacking.setdefault(f"{short.get(version, version)}{slash}{below}", set()).add(host)
    if releases is None:
        return lacking
    modules = [f"{version}-{module}" for module, versions in releases.modules.items() for version in versions]
    for version in dict.fromkeys((*(short.get(each, each) for each in releases.versions), *modules)):
        spellings = {version, *(each for each, full in short.items() if full == version)}
        if missing := {host for host, health in found.items() if _lacks_version(health, spellings)}:
            lacking.setdefault(version, set()).update(missing)
    known = {*releases.versions, *short.values(), *modules, *releases.vault}
    for host, health in found.items():
        for version in sorted((health.versions or frozenset()) - known):
            report.warning(f"mirrors.{catalog.hosts[host].key}.versions", f"no such version {show(version)}")
    return lacking


def _lacks_version(health: Health, spellings: Collection[str]) -> bool:
    return health.versions is not None and health.versions.isdisjoint(spellings)
