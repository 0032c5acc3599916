"""A MirrorManager snapshot, `mirrorlist_cache.proto`, becomes a `Catalog` (`docs/mirrormanager.md`, section 8).

The file is walked record by record and never stands in memory as a whole. Most directories of a category repeat the
same host lists, some 4 kB each: the lists are decoded once, and equal bytes are the same host set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError

from redirector.errors import SnapshotError
from redirector.files import open_regular
from redirector.locate.addresses import unwrap_network
from redirector.model import (
    Catalog,
    Category,
    Choice,
    Condition,
    Dialect,
    Directory,
    FileDetail,
    Host,
    HostId,
    HostSet,
    HostSetId,
    Network,
    Place,
    Problem,
    Severity,
)
from redirector.sources.base_url import is_slip, parse_base_url, refuse_odd_host
from redirector.sources.fields import WIDEST
from redirector.sources.mirrormanager.carried import split
from redirector.sources.mirrormanager.messages import (
    DetailedDirectory,
    DetailedFile,
    FileDetails,
    HostLists,
    IntInt,
    IntInts,
    IntString,
    IntStrings,
    OwnCategory,
    OwnHost,
    StringBool,
    StringInts,
    StringString,
)

_BANDWIDTHS_MBIT = range(1, 10_001)
"""MirrorManager's weights (`docs/mirrormanager.md`, section 5, item 11)."""

_ASNS = range(1, 2**32)
"""RFC 6793; 0 is reserved (RFC 7607)."""

_VARINT_BYTES = 10
"""64 bits, seven a byte."""

_BLOCK_BYTES = 1 << 16
"""How much of the file is read at once: a dozen directories. Larger blocks the C library gives back to the kernel each
time, which costs more than it saves."""

_BASE_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/]\S*")

_UNFIT = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ufffe\uffff]")
"""Control characters, line ends of all kinds, and what XML 1.0 rules out."""

_COUNTRY = re.compile(r"[A-Z]{2}")


def load_snapshot_file(path: str, repair: bool = True) -> Catalog:
    """The snapshot in the file *path*.

    What a single record gets wrong (a host without URL, a text that is not UTF-8, an unreadable netblock) is left out
    and is in `Catalog.problems`.

    repair  what can be meant in one way only is taken as meant: slips in base URLs, references that lead astray. False:
            it is taken as it stands, as today's server takes it. It is reported in both cases
    raises  SnapshotError when the file cannot be read, is empty or truncated, or is something else
    cost    one pass; 50,000 directories in 220 MB take half a second and some 20 MB beside the result
    """
    said = read_records(path, repair)
    assert said.built is not None
    return _resolve(said, said.built)


def read_records(path: str, repair: bool = True) -> Records:
    """What the file *path* says, under its own numbers of hosts and URLs. Raises SnapshotError. *repair*: as above."""
    said = Records(path, repair)
    try:
        with open_regular(path) as file:
            for start, number, value in _walk(file):
                _take(said, start, number, value)
    except OSError as error:
        raise SnapshotError.of(path, f"cannot be read: {error.strerror}") from error
    except _NotASnapshot as error:
        raise SnapshotError.of(
            path, f"{error.what}: truncated, or not a MirrorManager snapshot", f"byte {error.start}"
        ) from error
    if said.built is None:
        raise SnapshotError.of(path, "is missing: empty, or not a MirrorManager snapshot", "Time")
    if not said.directories:
        raise SnapshotError.of(
            path, "names no directory: truncated, or not a MirrorManager snapshot", "MirrorListCache"
        )
    return said


# -- The wire: which record comes next ---------------------------------------------------------------------------------


@dataclass(eq=False)
class _NotASnapshot(Exception):
    """The bytes at *start* cannot be part of a snapshot."""

    start: int
    what: str


def _walk(file: BinaryIO) -> Iterator[tuple[int, int, int | bytes | None]]:
    """Where each field of the root message starts, its number, and its value; None for kinds that we never read."""
    size = os.fstat(file.fileno()).st_size
    block, at, passed = b"", 0, 0  # what was read last, how far it is walked, and how much came before it
    while True:
        if len(block) - at < 2 * _VARINT_BYTES:
            block, at, passed = block[at:] + file.read(_BLOCK_BYTES), 0, passed + at
            if not block:
                return
        start = passed + at
        tag, at = _read_varint(block, at, start)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise _NotASnapshot(start, "field number 0")
        if wire_type == 0:
            value, at = _read_varint(block, at, start)
            yield start, number, value
            continue
        if wire_type == 2:
            length, at = _read_varint(block, at, start)
            if length > size:
                raise _NotASnapshot(start, f"field {number} is {length} bytes long, the file {size}")
        elif wire_type in (1, 5):
            length = 8 if wire_type == 1 else 4
        else:
            raise _NotASnapshot(start, f"field {number} has wire type {wire_type}")
        if len(block) - at < length:
            block, at, passed = block[at:] + file.read(max(length, _BLOCK_BYTES)), 0, passed + at
        record = block[at : at + length]
        if len(record) < length:
            raise _NotASnapshot(start, f"the file ends after {len(record)} of {length} bytes")
        at += length
        yield start, number, record if wire_type == 2 else None


def _read_varint(block: bytes, at: int, start: int) -> tuple[int, int]:
    """The number at *at*, and where the next byte is; what ends inside of it is the file."""
    value = 0
    for position, byte in enumerate(block[at : at + _VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return value, at + position + 1
    if len(block) - at < _VARINT_BYTES:
        raise _NotASnapshot(start, "the file ends inside a number")
    raise _NotASnapshot(start, f"a number of more than {_VARINT_BYTES} bytes")


# -- The records: what the file says, under MirrorManager's own ids ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Lists:
    """Who carries a directory: ids of hosts and of base URLs."""

    public: tuple[int, ...]
    by_country: tuple[tuple[str, tuple[int, ...]], ...]
    urls: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(slots=True)
class Records:
    """What the records taken so far say."""

    path: str
    repair: bool
    built: int | None = None
    base_urls: dict[int, str] = field(default_factory=dict)
    guessed: set[str] = field(default_factory=set)
    directories: dict[str, Directory] = field(default_factory=dict)
    repositories: dict[tuple[str, str], str] = field(default_factory=dict)
    disabled: dict[str, bool] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    details: dict[tuple[str, str], tuple[FileDetail, ...]] = field(default_factory=dict)
    client_countries: dict[Network, str] = field(default_factory=dict)
    continents: dict[str, str] = field(default_factory=dict)
    host_country: dict[int, str] = field(default_factory=dict)
    host_bandwidth: dict[int, int] = field(default_factory=dict)
    host_allowed: dict[int, frozenset[str]] = field(default_factory=dict)
    host_netblocks: dict[int, dict[Network, None]] = field(default_factory=dict)
    host_asns: dict[int, dict[int, None]] = field(default_factory=dict)
    own_hosts: dict[int, _Own] = field(default_factory=dict)
    categories: list[Category] = field(default_factory=list)

    lists: list[_Lists] = field(default_factory=list)
    lists_by_bytes: dict[bytes, HostSetId] = field(default_factory=dict)
    lists_by_meaning: dict[object, HostSetId] = field(default_factory=dict)
    by_country_entries: dict[bytes, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    by_host_entries: dict[bytes, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    shared_directories: dict[tuple[HostSetId, int, str | None], Directory] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def report(self, severity: Severity, key: str, text: str) -> None:
        self.problems.append(Problem(severity, self.path, key, text))


def _take(said: Records, start: int, number: int, value: int | bytes | None) -> None:
    """Note what one field of the root message says; fields that no answer needs are passed over."""
    if number == 1 and isinstance(value, int):
        said.built = value
    elif number in _RECORDS:
        name, take = _RECORDS[number]
        if not isinstance(value, bytes):
            raise _NotASnapshot(start, f"{name} is not a record")
        try:
            take(said, value)
        except DecodeError as error:
            raise _NotASnapshot(start, f"{name} cannot be decoded") from error
        except _UnfitText as error:
            said.report(Severity.ERROR, name, f"{error.text!r:.100} {error.what}: left out")


@dataclass(eq=False)
class _UnfitText(Exception):
    """A text that no answer could hold."""

    text: bytes
    what: str


def _text(raw: bytes) -> str:
    """*raw* as text that can stand on a line of a mirrorlist and in XML 1.0; raises _UnfitText."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _UnfitText(raw, "is not UTF-8") from error
    if not text.isprintable() and _UNFIT.search(text):  # the first alone is quick, and knows most texts to be fit
        raise _UnfitText(raw, "holds control characters")
    return text


def _take_directory(said: Records, record: bytes) -> None:
    named, below, lists = split(record)
    name, subpath = _text(named).strip("/"), _text(below).strip("/")
    host_set = _host_set_of(said, lists)
    how = (host_set, len(name) - len(subpath), None) if name.endswith(subpath) else (host_set, 0, subpath)
    directory = said.shared_directories.get(how)
    if directory is None:
        directory = said.shared_directories[how] = Directory(*how)
    if name in said.directories:
        said.report(Severity.WARNING, f"directory {name}", "is listed twice: the later record counts")
    said.directories[name] = directory


def _host_set_of(said: Records, lists: bytes) -> HostSetId:
    """The host set that these undecoded *lists* describe; the order of hosts in them makes no difference."""
    known = said.lists_by_bytes.get(lists)
    if known is not None:
        return known
    decoded = _decode_lists(said, lists)
    meaning = (
        frozenset(decoded.public),
        frozenset((country, frozenset(hosts)) for country, hosts in decoded.by_country),
        frozenset(decoded.urls),
    )
    host_set = said.lists_by_meaning.setdefault(meaning, HostSetId(len(said.lists)))
    if host_set == len(said.lists):
        said.lists.append(decoded)
    said.lists_by_bytes[lists] = host_set
    return host_set


def _decode_lists(said: Records, lists: bytes) -> _Lists:
    """Different sets hold mostly equal entries: each entry is decoded once, and its value is shared."""
    message = HostLists.FromString(lists)
    for entry in message.by_country:
        if entry not in said.by_country_entries:
            pair = StringInts.FromString(entry)
            said.by_country_entries[entry] = (_text(pair.key).upper(), tuple(pair.value))
    for entry in message.by_host:
        if entry not in said.by_host_entries:
            pair = IntInts.FromString(entry)
            said.by_host_entries[entry] = (pair.key, tuple(pair.value))
    return _Lists(
        public=tuple(message.public),
        by_country=tuple(said.by_country_entries[entry] for entry in message.by_country),
        urls=tuple(said.by_host_entries[entry] for entry in message.by_host),
    )


def _take_details(said: Records, record: bytes) -> None:
    directory = DetailedDirectory.FromString(record)
    name = _text(directory.directory).strip("/")
    for file in map(DetailedFile.FromString, directory.files):
        details = tuple(_file_detail(FileDetails.FromString(detail)) for detail in file.details)
        if details:
            said.details[name, _text(file.filename)] = details


def _file_detail(message: Any) -> FileDetail:
    return FileDetail(
        timestamp=message.timestamp,
        size_bytes=message.size,
        md5=_text(message.md5).lower(),
        sha1=_text(message.sha1).lower(),
        sha256=_text(message.sha256).lower(),
        sha512=_text(message.sha512).lower(),
    )


def _take_base_url(said: Records, record: bytes) -> None:
    entry = IntString.FromString(record)
    url = _text(entry.value).strip().rstrip("/")
    key = f"URL {entry.key}"
    is_absolute = bool(_BASE_URL.fullmatch(url) and _hostname(url))
    try:
        meant = _meant_url(url, is_absolute)
    except ValueError as error:
        why = str(error) if is_absolute else "is not an absolute URL"
        meant = "" if said.repair or not is_absolute else url
        said.report(Severity.ERROR, key, f"{url!r:.200} {why}: {'kept' if meant else 'left out'}")
    else:
        if not is_absolute or is_slip(url):
            done = f"taken as {meant}" if said.repair else "kept" if is_absolute else "left out"
            said.report(Severity.WARNING, key, f"{url!r:.200} is no URL as it stands: {done}")
            if said.repair:
                said.guessed.add(meant)
        if not said.repair:
            meant = url if is_absolute else ""
    if meant:
        said.base_urls[entry.key] = meant


def _meant_url(url: str, is_absolute: bool) -> str:
    """*url* in the form that trees' base URLs have; kept where it is one that trees could not hold.

    raises  ValueError where it means nothing, or a host that nobody runs
    """
    try:
        return parse_base_url(url, "")
    except ValueError:
        if not is_absolute or is_slip(url):
            raise
        refuse_odd_host(_hostname(url))
        return url


def _hostname(url: str) -> str:
    """In lower case; "" when *url* names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _take_repository(said: Records, record: bytes) -> None:
    entry = StringString.FromString(record)
    key = _text(entry.key)
    prefix, plus, arch = key.rpartition("+")
    if plus:
        said.repositories[prefix, arch] = _text(entry.value).strip("/")
    else:
        said.report(Severity.ERROR, f"repository {key}", "has no architecture after a plus sign: left out")


def _take_disabled(said: Records, record: bytes) -> None:
    entry = StringBool.FromString(record)
    said.disabled[_text(entry.key)] = entry.value


def _take_redirect(said: Records, record: bytes) -> None:
    entry = StringString.FromString(record)
    said.redirects[_text(entry.key)] = _text(entry.value)


def _take_continent(said: Records, record: bytes) -> None:
    entry = StringString.FromString(record)
    said.continents[_text(entry.key).upper()] = _text(entry.value).upper()


def _take_client_country(said: Records, record: bytes) -> None:
    entry = StringString.FromString(record)
    network = _parse_network(said, _text(entry.key))
    country = _parse_country(said, f"netblock {_text(entry.key):.100}", _text(entry.value))
    if network is not None and country is not None:
        said.client_countries[network] = country


def _take_host_country(said: Records, record: bytes) -> None:
    entry = IntString.FromString(record)
    country = _parse_country(said, f"host {entry.key}", _text(entry.value))
    if country is not None:
        said.host_country[entry.key] = country


def _take_host_allowed(said: Records, record: bytes) -> None:
    """A text that cannot be read stands for a country that nobody comes from: the host must not be everybody's."""
    entry = IntStrings.FromString(record)
    said.host_allowed[entry.key] = frozenset(country.decode(errors="replace").upper() for country in entry.value)


def _take_host_bandwidth(said: Records, record: bytes) -> None:
    entry = IntInt.FromString(record)
    said.host_bandwidth[entry.key] = min(max(entry.value, _BANDWIDTHS_MBIT[0]), _BANDWIDTHS_MBIT[-1])


def _take_host_asn(said: Records, record: bytes) -> None:
    entry = IntInts.FromString(record)
    if entry.key not in _ASNS:
        said.report(Severity.ERROR, f"AS {entry.key}", "is no AS number: left out")
        return
    for host in entry.value:
        said.host_asns.setdefault(host, {})[entry.key] = None


def _take_host_netblock(said: Records, record: bytes) -> None:
    entry = StringInts.FromString(record)
    network = _parse_network(said, _text(entry.key))
    if network is not None:
        for host in entry.value:
            said.host_netblocks.setdefault(host, {})[network] = None


def _parse_network(said: Records, text: str) -> Network | None:
    """The network that *text* names; a bare address is a network of one. None, reported, when it cannot be read."""
    key = f"netblock {text:.100}"
    try:
        network = ip_network(text.strip(), strict=False)
        address = ip_address(text.strip().partition("/")[0])
    except ValueError:
        said.report(Severity.ERROR, key, "is neither a network nor an address: left out")
        return None
    if address != network.network_address:
        if network.prefixlen < WIDEST[network.version]:
            said.report(Severity.ERROR, key, f"has bits behind its prefix, and {network} is nobody's network: left out")
            return None
        said.report(Severity.WARNING, key, f"has bits behind its prefix: taken as {network}")
    return unwrap_network(network)


def _parse_country(said: Records, subject: str, text: str) -> str | None:
    """An ISO code in upper case. None when *text* is none, reported unless it says so itself."""
    country = text.strip().upper()
    if _COUNTRY.fullmatch(country):
        return country
    if country not in ("", "N/A", "--"):
        said.report(Severity.ERROR, subject, f"country {text!r:.100} is not two letters: taken as unknown")
    return None


@dataclass(frozen=True, slots=True)
class _Own:
    """What a snapshot of our own says of a host in the fields that MirrorManager has not."""

    name: str
    facts: Mapping[str, object]
    """Fields of `Host`, each where it is said."""


def _take_own_host(said: Records, record: bytes) -> None:
    own = OwnHost.FromString(record)
    subject = f"host {own.id}"
    facts: dict[str, object] = {
        name: getattr(own, name)
        for name in ("private", "ipv4", "ipv6", "monopoly", "local", "own_asn", "up")
        if own.HasField(name)
    }
    facts |= {name: _text(getattr(own, name)) for name in ("sponsor", "sponsor_url", "state", "city")}
    if own.HasField("latitude") and own.HasField("longitude"):
        if abs(own.latitude) <= 90 and abs(own.longitude) <= 180:
            facts["place"] = Place(own.latitude, own.longitude)
        else:
            said.report(Severity.ERROR, subject, f"{own.latitude}, {own.longitude} is no place: left out")
    excluded = (_parse_country(said, subject, _text(country)) for country in own.countries_excluded)
    facts["excluded"] = frozenset(country for country in excluded if country)
    if any(map(own.HasField, ("condition", "since", "reason", "checked", "lag_seconds"))):
        facts["condition"] = Condition(
            state=_text(own.condition),
            since=own.since if own.HasField("since") else None,
            reason=_text(own.reason),
            checked=own.checked if own.HasField("checked") else None,
            lag_s=own.lag_seconds if own.HasField("lag_seconds") else None,
        )
    if facts.get("up") is False:
        facts["down_reason"] = _text(own.reason) or _text(own.condition)
    said.own_hosts[own.id] = _Own(_text(own.name).strip(), facts)


def _take_own_category(said: Records, record: bytes) -> None:
    own = OwnCategory.FromString(record)
    for_people = own.for_people if own.HasField("for_people") else True
    said.categories.append(Category(_text(own.name), _text(own.top).strip("/"), _text(own.product), for_people))


_RECORDS: dict[int, tuple[str, Callable[[Records, bytes], None]]] = {
    2: ("NetblockCountryCache", _take_client_country),
    4: ("HCUrlCache", _take_base_url),
    5: ("FileDetailsCache", _take_details),
    6: ("DisabledRepositoryCache", _take_disabled),
    7: ("CountryContinentRedirectCache", _take_continent),
    8: ("RepositoryRedirectCache", _take_redirect),
    9: ("RepoArchToDirectoryName", _take_repository),
    10: ("HostAsnCache", _take_host_asn),
    12: ("HostCountryCache", _take_host_country),
    13: ("HostBandwidthCache", _take_host_bandwidth),
    14: ("HostCountryAllowedCache", _take_host_allowed),
    15: ("HostNetblockCache", _take_host_netblock),
    16: ("MirrorListCache", _take_directory),
    1000: ("OwnHosts", _take_own_host),
    1001: ("OwnCategories", _take_own_category),
}
"""By field number; 3 (locations) and 11 (connections a client may open) decide nothing in an answer. From 1000 on they
are our own (`docs/snapshot.proto`)."""


# -- The catalog: ids become hosts -------------------------------------------------------------------------------------


def _resolve(said: Records, built: int) -> Catalog:
    """The catalog of what the file *said*; what refers to nothing is reported and left out."""
    names = names_of_hosts(said)
    urls_of_host = _urls_of_hosts(said) if said.guessed else {}
    public = {host for lists in said.lists for host in lists.public}
    carrying = {host for lists in said.lists for host, _ in lists.urls}
    hosts = tuple(
        _host(said, host, name, host in public, host in carrying, urls_of_host.get(host, ()))
        for host, name in names.items()
    )
    host_sets = _host_sets(said, {host: HostId(position) for position, host in enumerate(names)})
    _check_references(said, names.keys())
    _mend_repositories(said)
    _mend_redirects(said)
    return Catalog(
        dialect=Dialect.MIRRORMANAGER,
        choice=Choice.NEARNESS if any(host.place for host in hosts) else Choice.TIERS,
        dated=True,
        path=said.path,
        built=built,
        hosts=hosts,
        host_sets=host_sets,
        directories=said.directories,
        repositories=said.repositories,
        disabled=frozenset(prefix for prefix, disabled in said.disabled.items() if disabled),
        redirects=said.redirects,
        details=said.details,
        client_countries=tuple(said.client_countries.items()),
        continents=said.continents,
        categories=tuple(said.categories),
        inputs=(said.path,),
        problems=tuple(said.problems),
    )


def _urls_of_hosts(said: Records) -> dict[int, set[str]]:
    """Every base URL of each host."""
    found: dict[int, set[str]] = {}
    for host, ids in said.by_host_entries.values():
        found.setdefault(host, set()).update(said.base_urls[each] for each in ids if each in said.base_urls)
    return found


def _host(said: Records, host: int, name: str, is_listed: bool, carries: bool, urls: Collection[str]) -> Host:
    """One host; who carries something, and is on no public list, is private whatever else is said."""
    own = said.own_hosts.get(host, _Own("", {}))
    plain = Host(
        name=name,
        key=own.name if own.name == name else str(host),
        country=said.host_country.get(host),
        bandwidth_mbit=said.host_bandwidth.get(host, _BANDWIDTHS_MBIT[0]),
        netblocks=tuple(said.host_netblocks.get(host, ())),
        asns=tuple(said.host_asns.get(host, ())),
        private=carries and not is_listed,
        allowed=said.host_allowed.get(host, frozenset()),
        guessed=frozenset(url for url in urls if url in said.guessed),
    )
    told: Host = replace(plain, **own.facts)  # type: ignore[arg-type]  # its keys are fields, and its values fit them
    return replace(told, private=told.private or plain.private)


def names_of_hosts(said: Records) -> dict[int, str]:
    """Every host that has a base URL, or an own name, by ascending id -> its name.

    The name is its own; else the hostname in its first http(s) URL, or else in its first, by URL id: it stays when
    lists change their order. Of hosts that share a name all but the first have their id behind a `#`.
    """
    url_ids: dict[int, set[int]] = {}
    for host, ids in said.by_host_entries.values():
        url_ids.setdefault(host, set()).update(ids)
    names: dict[int, str] = {}
    own_names: dict[str, int] = {}
    for host, own in sorted(said.own_hosts.items()):
        if own.name and own_names.setdefault(own.name, host) != host:
            said.report(
                Severity.ERROR, f"host {host}", f"{own.name} is host {own_names[own.name]} already: not its name"
            )
    taken = set(own_names)
    for host in sorted(url_ids.keys() | said.own_hosts.keys()):
        urls = [said.base_urls[url_id] for url_id in sorted(url_ids.get(host, ())) if url_id in said.base_urls]
        name = said.own_hosts[host].name if host in said.own_hosts else ""
        if name and own_names[name] == host:
            names[host] = name
        elif urls:
            name = _hostname(next((url for url in urls if url.lower().startswith(("http:", "https:"))), urls[0]))
            names[host] = f"{name}#{host}" if name in taken else name
            taken.add(name)
    return names


def _host_sets(said: Records, positions: Mapping[int, HostId]) -> tuple[HostSet, ...]:
    urls_of = {
        url_ids: tuple(dict.fromkeys(said.base_urls[url_id] for url_id in url_ids if url_id in said.base_urls))
        for _, url_ids in said.by_host_entries.values()
    }
    host_sets = []
    for lists in said.lists:
        urls = {positions[host]: urls_of[url_ids] for host, url_ids in lists.urls if urls_of[url_ids]}
        public = {host: positions[host] for host in lists.public if positions.get(host) in urls}
        by_country: dict[str, dict[HostId, None]] = {}
        for country, hosts in lists.by_country:
            by_country.setdefault(country, {}).update((public[host], None) for host in hosts if host in public)
        host_sets.append(
            HostSet(
                urls=urls,
                public=tuple(public.values()),
                by_country={country: tuple(there) for country, there in by_country.items() if there},
            )
        )
    return tuple(host_sets)


def _mend_repositories(said: Records) -> None:
    """Repositories that are registered at their metadata: lists of them end in /repodata/, which clients append."""
    for (prefix, arch), name in said.repositories.items():
        parent = name.removesuffix("/repodata")
        if parent != name and parent in said.directories:
            done = f"taken as {parent}" if said.repair else "kept"
            said.report(
                Severity.WARNING, f"repository {prefix}+{arch}", f"its directory {name} is that of its metadata: {done}"
            )
            if said.repair:
                said.repositories[prefix, arch] = parent


def _mend_redirects(said: Records) -> None:
    """Redirects that lead to no repository, or only by way of others: one hop is all that is ever made of them."""
    prefixes = {prefix for prefix, _ in said.repositories}
    for alias, target in list(said.redirects.items()):
        if target in prefixes:
            continue
        subject, passed, last = f"redirect {alias}", [alias], target
        while last in said.redirects and last not in prefixes and last not in passed:
            passed.append(last)
            last = said.redirects[last]
        if last in prefixes:
            way = " and ".join(passed[1:])
            done = "taken straight there" if said.repair else "its clients get 404"
            said.report(Severity.WARNING, subject, f"leads to {last} by way of {way}: {done}")
            if said.repair:
                said.redirects[alias] = last
        elif alias in prefixes:
            done = f"{alias} itself is given" if said.repair else "its clients get 404"
            said.report(Severity.WARNING, subject, f"leads to {target}, and there is no such repository: {done}")
            if said.repair:
                del said.redirects[alias]
        else:
            what = "round in a circle" if last in passed else f"to {target}, and there is no such repository"
            said.report(Severity.ERROR, subject, f"leads {what}: its clients get 404")


def _check_references(said: Records, hosts: Set[int]) -> None:
    """Report what refers to nothing, each subject once."""
    listed = {host for host, _ in said.by_host_entries.values()}.union(*(lists.public for lists in said.lists))
    for host in sorted(listed - hosts):
        said.report(Severity.ERROR, f"host {host}", "carries directories, but has no base URL: left out")
    named = {url_id for _, url_ids in said.by_host_entries.values() for url_id in url_ids}
    for url_id in sorted(named - said.base_urls.keys()):
        said.report(Severity.ERROR, f"URL {url_id}", "is named by a host, but not in HCUrlCache: left out")
    unlisted = (said.host_netblocks.keys() | said.host_asns.keys() | said.host_allowed.keys()) - listed
    unlisted -= said.own_hosts.keys()
    if unlisted:
        first = ", ".join(map(str, sorted(unlisted)[:5]))
        said.report(Severity.WARNING, "hosts", f"{len(unlisted)} carry no directory: left out; the first: {first}")
    for (prefix, arch), directory in said.repositories.items():
        if directory not in said.directories:
            said.report(
                Severity.ERROR,
                f"repository {prefix}+{arch}",
                f"its directory {directory} is not in MirrorListCache: no list can be given",
            )
