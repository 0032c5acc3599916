"""The nouns: what an operator's files say once they are read. Frozen, slotted, no policy.

A *source* turns files into one `Catalog`; `snapshot.compile` turns that into a `Snapshot`, and nothing after it
refers back to the catalog.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, KeysView, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Network
from itertools import chain
from typing import NewType

HostId = NewType("HostId", int)
"""Position of a host in `Catalog.hosts`."""

HostSetId = NewType("HostSetId", int)
"""Position of a host set in `Catalog.host_sets`."""

Network = IPv4Network | IPv6Network

SCHEMES = ("https", "http", "ftp", "rsync")
"""Of URLs of mirrors, best first."""


class Dialect(Enum):
    """The family of files that a catalog was read from, and nothing else: what follows from it, the catalog says."""

    ALMALINUX = "almalinux"
    MIRRORMANAGER = "mirrormanager"


class Choice(Enum):
    """The rule by which hosts are chosen once those on the client's network are known.

    NEARNESS  drawn by a weight that falls with distance, balanced so that nobody carries too much
    DISTANCE  AlmaLinux's: near ones of the client's country, its others, the world
    TIERS     MirrorManager's: country, continent, the world
    """

    NEARNESS = "nearness"
    DISTANCE = "distance"
    TIERS = "tiers"


class Severity(Enum):
    """`ERROR`: something was left out or cannot be served. `WARNING`: it was repaired, or deserves a look."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing an operator should know, printed as `PATH: KEY: text`.

    path   the file as the operator named it (relative names inside a tree keep the tree's path in front)
    key    dotted key inside the file (`address.http`), `line 12` in text files, or the subject (`netblock 10.0.0.0/8`)
    text   what is wrong, the value, and what was done about it; one line
    fatal  nothing can be served from this input: a start ends with 1, a reload is refused
    """

    severity: Severity
    path: str
    key: str
    text: str
    fatal: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.key}: {self.text}"


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the globe, degrees north and east."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Condition:
    """What a checker says of a host. Nothing here decides an answer: `Host.up` does.

    state    `ok`, or why it is not listed: `unreachable`, `stale`, ...; "" when nobody says
    since    of the state, epoch seconds; None: not known, as below
    reason   what the checker met, one line
    checked  the last visit, epoch seconds
    lag_s    how far its content is behind
    """

    state: str = ""
    since: float | None = None
    reason: str = ""
    checked: float | None = None
    lag_s: float | None = None


def utc(seconds: float, *, exactly: bool = False) -> str:
    """A time, epoch seconds, as people read it; one that no calendar has as the number that it is.

    `2026-11-28 06:00 UTC`, or *exactly* `2026-11-28 06:00:07 UTC`
    """
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):{'%Y-%m-%d %H:%M:%S' if exactly else '%Y-%m-%d %H:%M'}} UTC"
    except (ValueError, OverflowError, OSError):
        return repr(seconds)[:100]


class Standing(Enum):
    """How a host stands, for operators: given to clients, known to be down, switched off by an operator, or withheld
    because of what its own entry says."""

    UP = "up"
    DOWN = "down"
    OFF = "off"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Host:
    """One machine that carries content.

    name            unique in the catalog; the stable identity in draws, metrics and `explain`
    key             its name in health files: a tree's `name`, a snapshot's own name field, else its host id; "" when no
                    file can speak of it
    country         ISO 3166 alpha-2, upper case; None when unknown
    city, state     as typed; "" when unknown
    place           None when it cannot be placed: such a host comes after those that can
    bandwidth_mbit  weight of draws, 1 or more
    netblocks       clients inside prefer this host (cloud ranges included), canonical, without duplicates
    asns            likewise, by AS number
    private         given only to clients inside `netblocks` or `asns`, never to a stranger
    local           not private, but left out of the distance rule all the same (AlmaLinux: a cloud's own mirror)
    monopoly        clients on its network get this host alone
    allowed         countries whose clients may have it; empty: everyone
    excluded        countries whose clients may not have it
    own_asn         the AS that its own address is in; None: not known
    addresses       its own addresses, where the AS table may find that AS
    guessed         those of its base URLs that were repaired from a slip: they come after its others
    withheld        why it is given to nobody, as a private one without networks; "": it is not withheld
    switched_off    an operator has withheld it, for a while: it is private too then
    public_again    strangers may have it once it is switched on: pages and metrics name it all the same
    bandwidth_said  the source says its bandwidth; else it is what is usual among those that it says
    file            the file that its entry stands in; "": that of the whole catalog
    up              False: known to be down, given only where nothing else remains
    down_reason     for people; "" when it is up
    condition       None: no checker said anything
    ipv4, ipv6      whether it is known to serve the family; None: not known
    origin          the `primary_url`: last of every list
    """

    name: str
    country: str | None = None
    place: Place | None = None
    key: str = ""
    city: str = ""
    state: str = ""
    bandwidth_mbit: int = 1
    netblocks: tuple[Network, ...] = ()
    asns: tuple[int, ...] = ()
    private: bool = False
    local: bool = False
    monopoly: bool = False
    allowed: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    own_asn: int | None = None
    addresses: tuple[str, ...] = ()
    guessed: frozenset[str] = frozenset()
    withheld: str = ""
    switched_off: bool = False
    public_again: bool = False
    bandwidth_said: bool = True
    file: str = ""
    up: bool = True
    down_reason: str = ""
    condition: Condition | None = None
    ipv4: bool | None = None
    ipv6: bool | None = None
    origin: bool = False
    sponsor: str = ""
    sponsor_url: str = ""

    @property
    def for_strangers(self) -> bool:
        """Whether clients on none of its networks may have it: the one question that decides what a stranger sees."""
        return not (self.private or self.local)

    @property
    def standing(self) -> Standing:
        """How it stands."""
        if self.switched_off:
            return Standing.OFF
        if self.withheld:
            return Standing.WITHHELD
        return Standing.UP if self.up else Standing.DOWN


@dataclass(frozen=True, slots=True)
class HostSet:
    """Who carries a directory, and under which base URLs. Stored once, however many directories share it.

    urls        host -> base URLs as listed, without trailing slash; its keys are the hosts of the set, private ones too
    public      hosts that strangers may have, in the file's order (MirrorManager: `Global`)
    by_country  upper-case ISO code -> public hosts there, in the file's order
    lacking     hosts that would be in the set, but are known to lack the directory: in none of the above
    twins       host -> another one with the same URLs: a list shows one of them
    """

    urls: Mapping[HostId, tuple[str, ...]]
    public: tuple[HostId, ...]
    by_country: Mapping[str, tuple[HostId, ...]]
    lacking: tuple[HostId, ...] = ()
    twins: Mapping[HostId, HostId] = field(default_factory=dict)


def listings(host_sets: Iterable[HostSet]) -> KeysView[tuple[HostId, tuple[str, ...]]]:
    """Each host with its base URLs, as they are met first: once, where host sets agree, as nearly all do.

    cost  10 ms for the 140 host sets of Fedora's size, which say 140,000 times what 3,000 entries say
    """
    return dict.fromkeys(chain.from_iterable(carriers.urls.items() for carriers in host_sets)).keys()


@dataclass(frozen=True, slots=True)
class Directory:
    """How a path of the master tree is carried. One value serves all directories that differ in name alone.

    cut      the subpath is `name[cut:]` of the directory's own name ...
    subpath  ... unless it is given here
    """

    host_set: HostSetId
    cut: int = 0
    subpath: str | None = None

    def subpath_of(self, name: str) -> str:
        """What follows a host's base URL for the directory *name*; no slash at either end."""
        return name[self.cut :] if self.subpath is None else self.subpath


@dataclass(frozen=True, slots=True)
class FileDetail:
    """Size, time and hashes of one version of a file. A hash is lower-case hex, or "" when unknown; 0 likewise."""

    timestamp: int
    size_bytes: int
    md5: str = ""
    sha1: str = ""
    sha256: str = ""
    sha512: str = ""


def path_key(path: bytes) -> int:
    """64 bits that stand for a path. cost: 1 µs"""
    return int.from_bytes(blake2b(path, digest_size=8).digest())


@dataclass(frozen=True, slots=True)
class FileIndex:
    """Which files the master tree holds, without their names: 16 bytes a file, in memory that workers share.

    keys    sorted `path_key`s without outer slashes, of paths below a tree's base, or as a snapshot names directories;
            folders, closed by a slash, are in it too
    values  of a file: when it was written, epoch seconds. Of a folder: 0 where it holds nothing but `repodata`, and so
            may be a copy of metadata alone, which says nothing about other files; else 1
    """

    keys: array[int]
    values: array[int]

    links: Mapping[str, str] = field(default_factory=dict)
    """Names of files that are links -> the file in the tree that they mean."""

    def find(self, path: str) -> int | None:
        """The value of *path*; None when it is not in the tree. cost: 2 µs"""
        key = path_key(path.encode())
        n = bisect_left(self.keys, key)
        return self.values[n] if n < len(self.keys) and self.keys[n] == key else None


@dataclass(frozen=True, slots=True)
class TreeRepository:
    """A repository as `config.yml` names it; *path* has no slash at its ends and may contain `$basearch`."""

    name: str
    path: str
    versions: frozenset[str] = frozenset()
    arches: frozenset[str] = frozenset()
    vault: bool = False


@dataclass(frozen=True, slots=True)
class Releases:
    """The versions and repositories of an AlmaLinux tree (`docs/almalinux.md`, section 2).

    versions    listed ones, in the file's order
    duplicated  major version -> full version (`9` -> `9.8`)
    vault       versions that live on the vault alone
    modules     module -> its versions (`kitten` -> (`10`,)): asked for as `10-kitten`
    arches      version or `VERSION-MODULE` as written in the file -> architectures
    vault_url   base URL of the vault without trailing slash; None when there is none
    """

    versions: tuple[str, ...]
    duplicated: Mapping[str, str]
    vault: tuple[str, ...]
    modules: Mapping[str, tuple[str, ...]]
    arches: Mapping[str, tuple[str, ...]]
    repositories: Mapping[str, TreeRepository]
    vault_url: str | None
    standard_set: HostSetId
    module_sets: Mapping[str, HostSetId]
    directory_sets: Mapping[str, HostSetId] = field(default_factory=dict)
    """Directory, by its mapped version (`9.8/BaseOS/x86_64/os`) -> its own host set, where some hosts lack it."""


@dataclass(frozen=True, slots=True)
class Category:
    """What hosts sign up for.

    top         name of its top directory, without outer slashes
    for_people  shown on pages
    """

    name: str
    top: str
    product: str = ""
    for_people: bool = True


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything a source said.

    dialect           the family of files it was read from
    choice            the rule of choosing that goes with it, unless another is asked for
    dated             the files themselves say when they were made, so that older data can be told from newer
    built             when the data was made, epoch seconds (a snapshot: `Time`; a tree: newest file's mtime)
    directories       name without outer slashes -> how it is carried
    repositories      (prefix, arch) -> directory name (MirrorManager)
    disabled          disabled repository prefixes
    redirects         repository prefix -> the prefix that answers for it, one hop
    details           (directory name, file name) -> versions, newest first
    client_countries  network -> country, asked before GeoIP
    continents        country -> continent, before the continents file
    releases          versions and repositories of a tree, and so the family of URLs: `/mirrorlist/9/baseos` and
                      `/isolist/9/x86_64` are answered by it, `repo=` is read with it; None: by `repositories`
    files             what the master tree holds; None: not known
    categories        () when the source does not say
    list_length       by nearness and distance: how many hosts a list holds
    near_km           by distance: what counts as near
    health            the health file that the source itself names
    health_checked    when the mirrors were checked whose health is in `hosts` and `host_sets`, epoch seconds
    good              files as they were when they could be read last, for later loads: path -> content, time
    broken            the files in place of which such earlier contents were taken
    inputs            every file that was read, for copies (`--state`), change watching and messages
    """

    dialect: Dialect
    choice: Choice
    dated: bool
    path: str
    built: int
    hosts: tuple[Host, ...]
    host_sets: tuple[HostSet, ...]
    directories: Mapping[str, Directory]
    repositories: Mapping[tuple[str, str], str] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()
    redirects: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[tuple[str, str], tuple[FileDetail, ...]] = field(default_factory=dict)
    client_countries: tuple[tuple[Network, str], ...] = ()
    continents: Mapping[str, str] = field(default_factory=dict)
    releases: Releases | None = None
    files: FileIndex | None = None
    categories: tuple[Category, ...] = ()
    list_length: int = 10
    near_km: float = 500.0
    health: str | None = None
    health_checked: float | None = None
    inputs: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    good: Mapping[str, tuple[bytes, float]] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
