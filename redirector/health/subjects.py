"""Who is visited: hosts of a tree, of a snapshot or of the registry, reduced to what a visit needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from redirector.health.expected import Master
from redirector.model import Catalog, Host, HostId


@dataclass(frozen=True, slots=True)
class Carried:
    """One category of a host.

    category  the master's category
    urls      base URLs, closed by a slash: http, https and rsync
    only      names of the directories it is said to carry; None: whatever the master has
    """

    category: str
    urls: tuple[str, ...]
    only: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A host and what is known of it before anybody looks.

    key          stable name in store and health file
    name         for people; commands take either
    site         whose it is; for notices
    unvisited    why nobody goes there (private, always current, in maintenance, opted out …); "" when it is visited
    private      never named in what is published
    off          an admin switched it off: it stays off, whatever a visit finds
    maintenance  no notices meanwhile
    pulls_from   key of the host that it mirrors; "" when unknown
    contacts     mail addresses for notices; never published
    country      ISO 3166 alpha-2; "" when unknown
    tree         it is a mirror of a tree, whose categories share one base
    """

    key: str
    name: str
    categories: tuple[Carried, ...]
    site: str = ""
    unvisited: str = ""
    private: bool = False
    off: bool = False
    maintenance: bool = False
    pulls_from: str = ""
    contacts: tuple[str, ...] = ()
    country: str = ""
    tree: bool = False


VISITED_SCHEMES = ("http://", "https://", "rsync://")


def _bases(urls: Iterable[str]) -> tuple[str, ...]:
    """Base URLs that a visit can use, https first, each closed by a slash; those that name a user are none."""
    fit = [f"{url}/" for url in urls if url.startswith(VISITED_SCHEMES) and "@" not in url.split("/", 3)[2]]
    return tuple(sorted(dict.fromkeys(fit), key=lambda url: not url.startswith("https:")))


def subjects_of_tree(
    catalog: Catalog, masters: Iterable[Master], opted_out: Collection[str], contacts: Mapping[str, str]
) -> list[Subject]:
    """The mirrors of a tree, by their names."""
    releases = catalog.releases
    assert releases is not None
    sets = {"": catalog.host_sets[releases.standard_set]}
    sets |= {module: catalog.host_sets[number] for module, number in releases.module_sets.items()}
    listed = list(masters)
    subjects = []
    for number, host in enumerate(catalog.hosts):
        if host.origin:
            continue
        key = HostId(number)
        carried = [
            Carried(master.category, _bases(sets[master.category].urls[key]), _only(catalog, master, key))
            for master in listed
            if key in sets[master.category].urls
        ]
        subjects.append(_subject(host.name, host, carried, opted_out, contacts.get(host.name, ""), tree=True))
    return subjects


def _only(catalog: Catalog, master: Master, host: HostId) -> frozenset[str] | None:
    """What a mirror that says that it lacks something carries all the same; None for one that carries everything."""
    carries = {
        each.name: (directory := catalog.directories.get(each.name)) is None
        or host in catalog.host_sets[directory.host_set].urls
        for each in master.directories
    }
    return None if all(carries.values()) else frozenset(name for name, there in carries.items() if there)


def subjects_of_snapshot(catalog: Catalog, masters: Iterable[Master], opted_out: Collection[str]) -> list[Subject]:
    """The hosts of a snapshot, by the key that is its own: a name of ours, else MirrorManager's id."""
    carried: dict[HostId, list[Carried]] = {}
    for master in masters:
        only: dict[HostId, set[str]] = {}
        urls: dict[HostId, dict[str, None]] = {}
        for expected in master.directories:
            folder = (master.prefix + expected.index.rpartition("/")[0]).rstrip("/")
            for host, bases in catalog.host_sets[catalog.directories[folder].host_set].urls.items():
                only.setdefault(host, set()).add(expected.name)
                urls.setdefault(host, {}).update(dict.fromkeys(bases))
        for host, names in only.items():
            carried.setdefault(host, []).append(Carried(master.category, _bases(urls[host]), frozenset(names)))
    return [
        _subject(host.key or host.name, host, carried.get(HostId(number), []), opted_out, "", tree=False)
        for number, host in enumerate(catalog.hosts)
        if HostId(number) in carried
    ]


def _subject(
    key: str, host: Host, carried: list[Carried], opted_out: Collection[str], contact: str, *, tree: bool
) -> Subject:
    why = ""
    if host.private:
        why = "private"
    elif {key, host.name} & set(opted_out):
        why = "opted out"
    elif not any(each.urls for each in carried):
        why = "has no URL of http, https or rsync"
    return Subject(
        key=key,
        name=host.name,
        categories=tuple(each for each in carried if each.urls),
        site=host.sponsor,
        unvisited=why,
        private=host.private,
        contacts=(contact,) if contact else (),
        country=host.country or "",
        tree=tree,
    )
