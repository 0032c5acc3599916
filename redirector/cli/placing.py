"""`redirector place`: looks up where mirrors are that do not say so themselves, and writes the tree's places file.

For cron: it asks the DNS, which loading a snapshot never does.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import takewhile

from redirector.errors import ConfigError, SnapshotError
from redirector.files import explain_failure, read_bytes, write_atomically
from redirector.locate.geoip import GeoDatabase, load_geoip
from redirector.locate.networks import AsnTable, load_asns
from redirector.locate.second_reader import SecondReader, open_second_reader
from redirector.model import Catalog, Host, HostId, Place, Severity
from redirector.plain_yaml import YAML_LIMIT_BYTES, parse_yaml
from redirector.settings.serving import Config
from redirector.sources.base_url import host_of
from redirector.sources.mirrors_d.load import CONFIG_FILE, load_tree
from redirector.sources.mirrors_d.places_file import Located, read_places
from redirector.sources.mirrors_d.tree_config import read_config
from redirector.sources.problems import Report

Resolver = Callable[[str], Collection[bytes]]
"""A host's name -> its addresses, 4 or 16 bytes each; empty when it has none."""

_HEADER = """\
# Where mirrors are that do not say so themselves. `redirector place` adds what it finds
# and keeps what is here: name, country, coordinates in degrees north and east, and AS number.
"""

_CONCURRENT_LOOKUPS = 16
"""One name server that does not answer costs some 10 s; hundreds of mirrors must not wait for it in turn."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What became of the mirrors without a place.

    path     the places file
    placed   name -> where it is now said to be
    missing  name -> why nothing was found
    """

    path: str
    placed: Mapping[str, Located]
    missing: Mapping[str, str]


def resolve(name: str) -> tuple[bytes, ...]:
    """All addresses of *name* that the system's resolver finds."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(socket.inet_pton(family, str(address[0]).partition("%")[0]) for family, _, _, _, address in found)


def place_mirrors(config: Config, now: float, resolver: Resolver = resolve) -> Placement:
    """Look the public mirrors of the tree without a place up, and write its places file if anything was found.

    raises  ConfigError without a tree, its `places` key or a country database; SnapshotError when one of these files
            cannot be read or the places file cannot be written
    """
    path = _read_places_path(config)
    if config.geoip is None:
        raise ConfigError("command line", "--geoip", None, "a country or City database is needed")
    catalog = load_tree(config.source, now)
    database, second = load_geoip(config.geoip), open_second_reader(config.geoip)
    asns = load_asns(config.asn) if config.asn else None
    known, header = _read_known(path)
    unplaced = {host.name: name for host, name in _find_unplaced(catalog, known, database)}
    names = unplaced | (_find_without_as(catalog) if asns else {})
    with ThreadPoolExecutor(_CONCURRENT_LOOKUPS) as pool:
        addresses = dict(zip(names, pool.map(resolver, names.values()), strict=True))
    placed: dict[str, Located] = {}
    missing: dict[str, str] = {}
    for mirror, found in addresses.items():
        before = known.get(mirror, Located())
        located = _locate(database, second, found) if mirror in unplaced else before
        if asns and isinstance(located, Located) and found and before.asn is None:
            located = replace(located, asn=_find_as(asns, found), addresses=before.addresses)
        if isinstance(located, str):
            missing[mirror] = located
        elif before.country not in (None, located.country):
            missing[mirror] = f"the database says {located.country}, and the places file {before.country}"
        elif located != before:
            placed[mirror] = located
    if placed:
        _write(path, header + _render(known | placed))
    return Placement(path, placed, missing)


def _read_places_path(config: Config) -> str:
    """The file that `places` in the tree's config.yml names; it need not exist."""
    path = os.path.join(config.source, CONFIG_FILE)
    try:
        tree = read_config(Report(path), parse_yaml(read_bytes(path, YAML_LIMIT_BYTES)).value)
    except (OSError, ValueError) as error:
        raise ConfigError(config.source, "source", path, f"a tree is needed: {explain_failure(error)}") from None
    if tree is None or tree.places is None:
        raise ConfigError(path, "places", None, "name the file that is to be written, such as `places: places.yml`")
    return tree.places


def _read_known(path: str) -> tuple[dict[str, Located], str]:
    """The entries of the places file and the comment on its top. What cannot be read is refused, not overwritten."""
    report = Report(path)
    try:
        raw = read_bytes(path, YAML_LIMIT_BYTES)
        document = parse_yaml(raw).value
    except FileNotFoundError:
        return {}, _HEADER
    except (OSError, ValueError) as error:
        report.error("file", f"{explain_failure(error)}: left as it is", fatal=True)
        raise SnapshotError(report.problems) from None
    known = read_places(report, document, document if isinstance(document, dict) else ())
    if any(problem.severity is Severity.ERROR for problem in report.problems):
        raise SnapshotError(report.problems)
    lines = raw.decode("utf-8-sig").splitlines(keepends=True)
    return known, "".join(takewhile(lambda line: line.startswith("#"), lines))


def _find_unplaced(catalog: Catalog, known: Mapping[str, Located], database: GeoDatabase) -> Iterator[tuple[Host, str]]:
    """Public hosts that nothing places, or the places file only by country, and the name that they serve under."""
    urls = {host: found for host_set in catalog.host_sets for host, found in host_set.urls.items()}
    for number, host in enumerate(catalog.hosts):
        told = known.get(host.name, Located())
        rough = told.country is not None and told.place is None and database.has_coordinates
        if (host.country is None or rough) and not (host.private or host.local or host.origin):
            yield host, host_of(urls[HostId(number)][0])


def _find_without_as(catalog: Catalog) -> dict[str, str]:
    """Public hosts of which nobody says in which AS they are -> the name that they serve under."""
    urls = {host: found for host_set in catalog.host_sets for host, found in host_set.urls.items()}
    return {
        host.name: host_of(urls[HostId(number)][0])
        for number, host in enumerate(catalog.hosts)
        if host.own_asn is None and not host.addresses and host.for_strangers and not host.origin
    }


def _find_as(asns: AsnTable, addresses: Collection[bytes]) -> int | None:
    """The AS that all *addresses* of a mirror are in, as far as they are in one."""
    found = {asns.table.find(address) for address in addresses} - {0}
    return found.pop() if len(found) == 1 else None


def _locate(database: GeoDatabase, second: SecondReader, addresses: Collection[bytes]) -> Located | str:
    """Where a mirror with these *addresses* is, or why that cannot be said."""
    if any(database.find(address) != second.find(address) for address in addresses):
        return "two readers of the database differ about its addresses"
    found = [location for location in map(second.find, addresses) if location.country]
    countries = sorted({location.country for location in found if location.country})
    if not addresses:
        return "its name has no address"
    if not countries:
        return "the database does not know its addresses"
    if len(countries) > 1:
        return f"its addresses are in {' and '.join(countries)}"
    places = [Place(at.latitude, at.longitude) for at in found if at.latitude is not None and at.longitude is not None]
    return Located(countries[0], places[0] if places else None)


def _render(entries: Mapping[str, Located]) -> str:
    """The body of a places file; strings stand in quotation marks, since an unquoted `NO` is false in YAML."""
    return "".join(f"{json.dumps(name)}: {{{render_entry(entries[name])}}}\n" for name in sorted(entries))


def render_entry(entry: Located) -> str:
    """What stands between the braces of an entry."""
    parts = [f'country: "{entry.country}"'] if entry.country else []
    if entry.place:
        parts += [f"latitude: {entry.place.latitude}", f"longitude: {entry.place.longitude}"]
    if entry.asn:
        parts.append(f"asn: {entry.asn}")
    if entry.addresses:
        parts.append(f"address: [{', '.join(json.dumps(each) for each in entry.addresses)}]")
    return ", ".join(parts)


def _write(path: str, text: str) -> None:
    """Replace the file *path* in one step, so that a reload never reads half of it."""
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise SnapshotError.of(path, f"cannot be written: {error.strerror}") from None
