"""What our processes say to each other over channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from redirector.model import Problem, Standing
from redirector.settings.serving import Config
from redirector.snapshot.changes import Changes
from redirector.sources.switched_off import SwitchedOff


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is and how old it is: what a replacement is measured by.

    counts  name -> how many
    built   when the source's data was made, epoch seconds
    dated   the source itself says so (MirrorManager's `Time`), so that older data can be told
    """

    counts: dict[str, int]
    built: int
    dated: bool


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What the supervisor knows about a snapshot that a nursery holds.

    hosts           what metrics call each host, by host id
    names           names, by host id
    expected        host -> share of all clients that should get it first; empty: the rule of choosing works out none
    countries       codes that a client can come from
    databases       base name of each MMDB -> when it was built, epoch seconds
    health          the health file; None: none was named
    health_checked  when the mirrors were checked whose health is gone by, epoch seconds; None: nobody's is
    broken          input files in place of which what was read of them before is used
    standings       `Standing` -> how many hosts stand so
    changes         since the snapshot before; None: there was none
    """

    path: str
    extent: Extent
    loaded: float
    duration_s: float
    hosts: tuple[str, ...]
    countries: tuple[str, ...]
    databases: Mapping[str, int]
    health: str | None
    health_checked: float | None
    inputs: tuple[str, ...]
    problems: tuple[Problem, ...]
    names: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    standings: Mapping[str, int] = field(default_factory=dict)
    changes: Changes | None = None
    expected: Mapping[str, float] = field(default_factory=dict)

    @property
    def began(self) -> float:
        """When the load began, epoch seconds."""
        return self.loaded - self.duration_s


@dataclass(frozen=True, slots=True)
class Before:
    """What a load is told of what was loaded before.

    good     what the last load read of files that may be broken now: path -> content, and when it was written
    kept     a folder with copies of files, below their absolute paths, for those that are not in *good*; None: none
    outline  the packed outline of the snapshot that serves; b"": there is none
    """

    good: Mapping[str, tuple[bytes, float]] = field(default_factory=dict)
    kept: str | None = None
    outline: bytes = b""


@dataclass(frozen=True, slots=True)
class Start:
    """Supervisor to nursery, with the access log's socket and the listening sockets: load, without the hosts *off*."""

    config: Config
    before: Before = field(default_factory=Before)
    off: tuple[SwitchedOff, ...] = ()


@dataclass(frozen=True, slots=True)
class Renew:
    """Supervisor to nursery, with the other end of a channel: have a child that loads anew, without the hosts *off*,
    what this one has read, and health as it is now."""

    off: tuple[SwitchedOff, ...] = ()


@dataclass(frozen=True, slots=True)
class Born:
    """A nursery that another one forked to the supervisor, its first message."""

    pid: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """Nursery to supervisor: ready to fork. *before*: what the next load is told."""

    report: LoadReport
    before: Before = field(default_factory=Before)


@dataclass(frozen=True, slots=True)
class Failed:
    """Nursery to supervisor, its last message: these inputs cannot be served.

    option  the fields of a ConfigError, if it is an option that is wrong, and not the files
    """

    problems: tuple[Problem, ...] = ()
    option: tuple[str, str, object, str] | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """Supervisor to nursery, with the memory of the counters of *slots* workers."""

    slots: int


@dataclass(frozen=True, slots=True)
class Fork:
    """Supervisor to nursery, with the worker's end of its channel."""

    slot: int


@dataclass(frozen=True, slots=True)
class Forked:
    """Nursery to supervisor, for each `Fork` in order."""

    slot: int
    pid: int


@dataclass(frozen=True, slots=True)
class NotForked:
    """Nursery to supervisor, in place of `Forked`: there was no process, memory or descriptor left."""

    slot: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Nursery to supervisor: a worker ended with *code*, or by the signal of which it is the negative number."""

    pid: int
    code: int


@dataclass(frozen=True, slots=True)
class Explain:
    """Supervisor to nursery."""

    number: int
    target: str
    client: str


@dataclass(frozen=True, slots=True)
class Describe:
    """Supervisor to nursery: which hosts are there?"""

    number: int


@dataclass(frozen=True, slots=True)
class DescribedHost:
    """A host as operators see it; what nobody knows is None or empty.

    visibility   `public`, `private`, or `local`: for the clients on its own networks
    reason       why it does not stand `up`
    condition    what a checker says: `stale`, `unreachable`, ...
    since        of the condition, epoch seconds
    checked      the last visit, epoch seconds
    directories  how many it carries
    """

    name: str
    key: str
    standing: Standing
    visibility: str
    country: str
    city: str
    latitude: float | None
    longitude: float | None
    bandwidth_mbit: int
    sponsor: str
    own_asn: int | None
    asns: tuple[int, ...]
    netblocks: tuple[str, ...]
    urls: tuple[str, ...]
    directories: int
    reason: str
    condition: str
    since: float | None
    checked: float | None
    lag_s: float | None
    ipv4: bool | None
    ipv6: bool | None
    file: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """Nursery to supervisor, by host id."""

    number: int
    hosts: tuple[DescribedHost, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """Nursery to supervisor: *status* and *text* (JSON with 200) for the admin listener."""

    number: int
    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Accepting:
    """Worker to supervisor: it accepts connections."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Worker to supervisor: it no longer accepts connections."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Supervisor to worker, with one end of a socket pair over which another worker hands connections over."""


@dataclass(frozen=True, slots=True)
class Take:
    """Worker to worker, or supervisor to worker, with open connections."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Supervisor to worker: stop accepting, then finish within *timeout_s*.

    With a descriptor: hand quiet connections over through it. Without one: take more connections until `Finish`.
    """

    timeout_s: float


@dataclass(frozen=True, slots=True)
class Finish:
    """Supervisor to worker that drains: no further connection will come; end when the last one has."""
