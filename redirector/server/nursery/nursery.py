"""A nursery: a plain synchronous process that loads one snapshot and forks the workers that share its pages.

It is started by the supervisor as a program of its own, never forked from it, and told what to do through the channel
at its standard input. When the channel closes, the supervisor is gone or has no more need of it.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import logging
import os
import select
import signal
import socket
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from redirector.answer.choose.draw import draw, draw_plainly
from redirector.answer.explain import explain
from redirector.answer.serve import Responder
from redirector.answer.show.face import Face
from redirector.answer.show.folder import EMPTY, Folder, read_folder
from redirector.errors import ConfigError, QueryError, SnapshotError
from redirector.files import explain_failure
from redirector.locate.proxies import trusted_proxies_of
from redirector.model import Standing
from redirector.server.between.channel import Channel
from redirector.server.between.counters import PRIVATE, CounterMemory, Counters, Layout
from redirector.server.between.logs import configure_logging
from redirector.server.between.messages import (
    Before,
    Born,
    Count,
    Describe,
    Described,
    Ended,
    Explain,
    Explained,
    Extent,
    Failed,
    Fork,
    Forked,
    Loaded,
    LoadReport,
    NotForked,
    Renew,
    Start,
)
from redirector.server.between.processes import SIGNALS, die_with_parent, name_process
from redirector.server.nursery.canaries import check_canaries
from redirector.server.nursery.describing import describe_hosts
from redirector.server.worker.plain import Tables, make_tables
from redirector.server.worker.worker import run_worker
from redirector.settings.serving import Config
from redirector.snapshot.changes import Changes, compare, outline_of, pack_outline, unpack_outline
from redirector.snapshot.load import Material, make_snapshot, read_material
from redirector.snapshot.snapshot import Snapshot
from redirector.sources.inputs import EarlierFiles
from redirector.sources.mirrors_d.remembered import keep_remembered, render_remembered
from redirector.sources.switched_off import SwitchedOff

_log = logging.getLogger("redirector.server")

NOT_COMPILED = (
    "the part in C was not compiled when redirector was installed: every answer takes longer; "
    "to mend it, have a C compiler and Python's headers there, and install again"
)


def main() -> None:
    """Be a nursery until the channel closes."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    die_with_parent()
    name_process("rd-nursery")
    control = Channel(socket.socket(fileno=os.dup(0)))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    with suppress(ConnectionError):
        received = control.receive()
        if received is None:
            return
        assert isinstance(received.message, Start)
        config = received.message.config
        configure_logging(config.log_level, config.log_format)
        log_sink, *listeners = (socket.socket(fileno=descriptor) for descriptor in received.descriptors)
        log_sink.setblocking(False)
        birth = Birth(config, control, log_sink, listeners, received.message.before, received.message.off)
        del received, control
        while (heir := _live(birth)) is not None:
            birth = heir
            gc.unfreeze()
            gc.collect()  # what the parent of a child has dropped, so that ages do not pile up


@dataclass(frozen=True, slots=True)
class Birth:
    """What a nursery begins with.

    control   its channel to the supervisor
    before    what is told of the age before
    off       the hosts that are switched off
    material  what the nursery that forked this one had read; None: nothing did
    """

    config: Config
    control: Channel
    log_sink: socket.socket
    listeners: Sequence[socket.socket]
    before: Before
    off: tuple[SwitchedOff, ...]
    material: Material | None = None


def _live(birth: Birth) -> Birth | None:
    """Load, and fork workers until the channel closes.

    returns  None then; in a child that was forked to be a nursery, what that begins with: of this one's data it has
             dropped all that is not in it
    """
    began = time.monotonic()
    gc.disable()  # hardly anything that is loaded becomes garbage
    config, control, before = birth.config, birth.control, birth.before
    try:
        earlier = EarlierFiles(before.good, before.kept)
        material = birth.material or read_material(config, time.time(), earlier)
        folder = _read_folder(config.pages)
        links = (*config.page_links, *folder.links)
        face = Face(config.page, config.page_title, config.page_logo, links, config.gpgkey or "")
        snapshot = make_snapshot(material, config, time.time(), off=birth.off, earlier=earlier)
        responder = Responder(snapshot, face, folder)
        if problems := check_canaries(responder, config.canaries, time.time()):
            raise SnapshotError(problems)
    except SnapshotError as error:
        control.send(Failed(tuple(error.problems)))
        return None
    except ConfigError as error:
        control.send(Failed(option=(error.path, error.key, error.value, error.way_out)))
        return None
    if draw is draw_plainly and birth.material is None:
        _log.warning("%s", NOT_COMPILED)
    tables = make_tables(config, responder)
    if tables is None:
        responder.warm()
    trusted_proxies_of(config.trusted_proxies)
    _freeze()
    outline = outline_of(responder.snapshot)
    changes = compare(unpack_outline(before.outline), outline) if before.outline else None
    report = _report(responder.snapshot, time.monotonic() - began, changes)
    told = Before(responder.snapshot.good, before.kept, pack_outline(outline))
    control.send(Loaded(report, told))
    del outline, before, snapshot, earlier
    birth = replace(birth, before=told, material=material)
    return Nursery(birth, responder, tables).run()


def _read_folder(path: str | None) -> Folder:
    """The pages beside our own; without those that cannot be had, everything else is served all the same."""
    try:
        return read_folder(path)
    except ConfigError as error:
        _log.warning("the pages are not served: %s", error)
        return EMPTY


def _freeze() -> None:
    """Give unused memory back, and let no garbage collection of a worker, which begin again, touch what all share."""
    gc.freeze()
    gc.enable()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _report(snapshot: Snapshot, duration_s: float, changes: Changes | None) -> LoadReport:
    return LoadReport(
        path=snapshot.path,
        extent=Extent(asdict(snapshot.counts), snapshot.built, snapshot.dated),
        loaded=time.time(),
        duration_s=duration_s,
        hosts=tuple(PRIVATE if host.private and not host.public_again else host.name for host in snapshot.hosts),
        countries=tuple(snapshot.countries),
        databases=dict(snapshot.databases),
        health=snapshot.health,
        health_checked=snapshot.health_checked,
        inputs=tuple(snapshot.inputs),
        problems=tuple(snapshot.problems),
        names=tuple(host.name for host in snapshot.hosts),
        broken=tuple(snapshot.broken),
        standings={**dict.fromkeys((each.value for each in Standing), 0), **_count_standings(snapshot)},
        changes=changes,
        expected=_expected(snapshot),
    )


def _count_standings(snapshot: Snapshot) -> Counter[str]:
    return Counter(host.standing.value for host in snapshot.hosts)


def _expected(snapshot: Snapshot) -> dict[str, float]:
    """What share of all clients each host should get, of those that strangers may have."""
    if snapshot.balance is None:
        return {}
    shares = zip(snapshot.hosts, snapshot.balance.shares.tolist(), strict=True)
    return {host.name: share for host, share in shares if host.for_strangers}


class Nursery:
    """Forks workers, and explains answers, as it is told."""

    def __init__(self, birth: Birth, responder: Responder, tables: Tables | None) -> None:
        """*birth*: what a child begins with, but for its channel and its hosts that are off."""
        self._birth = birth
        self._config = birth.config
        self._responder = responder
        self._tables = tables
        snapshot = responder.snapshot
        self._control = birth.control
        self._layout = Layout((host.name for host in snapshot.hosts), snapshot.countries)
        self._memory: CounterMemory | None = None
        self._children: dict[int, int] = {}
        """Process descriptor -> process id."""

    def run(self) -> Birth | None:
        """Serve the supervisor until it is gone: None. In a child that shall be a nursery: what that begins with."""
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor in self._children:
                    poll.unregister(descriptor)
                    self._bury(descriptor)
                    continue
                received = self._control.receive()
                if received is None:
                    return None
                match received.message:
                    case Renew(off):
                        if birth := self._renew(off, received.descriptors):
                            return birth
                    case Count(slots):
                        self._remember()
                        self._memory = CounterMemory(self._layout, slots, received.descriptors[0])
                        os.close(received.descriptors[0])
                    case Fork(slot):
                        process = self._fork(slot, received.descriptors)
                        if process is not None:
                            poll.register(process, select.POLLIN)
                    case Explain() as question:
                        self._control.send(self._explain(question))
                    case Describe(number):
                        self._control.send(Described(number, describe_hosts(self._responder.snapshot)))
                    case _:
                        raise AssertionError(received.message)

    def _renew(self, off: tuple[SwitchedOff, ...], descriptors: Sequence[int]) -> Birth | None:
        """Fork a nursery, and return in it what it begins with; None here, where it is no child of: its parent ends
        at once, which makes it the supervisor's. When that fails, its channel closes, and says so.

        descriptors  the channel's end for the other nursery; none when this process may not open another
        """
        if not descriptors:
            return None
        with socket.socket(fileno=descriptors[0]) as end:
            parent = -1
            try:
                parent = os.fork()
                if parent:
                    os.waitpid(parent, 0)
                    return None
                parent = os.getpid()
                if os.fork():
                    os._exit(0)
            except OSError as error:
                if parent == os.getpid():
                    os._exit(1)
                _log.error("the nursery cannot have a child: %s", error.strerror)
                return None
            control = Channel(end.dup())
        while os.getppid() == parent:
            time.sleep(0.001)
        die_with_parent()
        self._control.close()
        for descriptor in self._children:
            os.close(descriptor)
        control.send(Born(os.getpid()))
        return replace(self._birth, control=control, off=off)

    def _remember(self) -> None:
        """Keep what the metalinks of later ages need of this one, which is about to serve."""
        snapshot, state = self._responder.snapshot, self._config.state
        if state is None or snapshot.releases is None or not snapshot.details:
            return
        try:
            keep_remembered(state, render_remembered(snapshot.details, snapshot.directories))
        except OSError as error:
            _log.warning("the metalinks' alternates are not remembered in %s: %s", state, explain_failure(error))

    def _fork(self, slot: int, descriptors: Sequence[int]) -> int | None:
        """Start the worker of *slot*, and return its process descriptor; None when there is no room for either.

        descriptors  the worker's end of its channel; none when this process may not open another
        """
        pid = 0
        try:
            if not descriptors:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            pid = os.fork()
            if pid == 0:
                self._become_worker(slot, descriptors[0])
            descriptor = os.pidfd_open(pid)
        except OSError as error:
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            self._control.send(NotForked(slot, error.strerror or str(error)))
            return None
        finally:
            for each in descriptors:
                os.close(each)
        self._control.send(Forked(slot, pid))
        self._children[descriptor] = pid
        return descriptor

    def _become_worker(self, slot: int, channel: int) -> None:
        status = 1
        try:
            name_process(f"rd-worker-{slot}")
            self._control.close()
            for descriptor in self._children:
                os.close(descriptor)
            end = socket.socket(fileno=channel)
            end.setblocking(False)
            assert self._memory is not None
            counters = Counters(self._layout, self._memory.cells(slot))
            channel_end = Channel(end)
            birth = self._birth
            run_worker(
                self._config, self._responder, counters, channel_end, birth.listeners, birth.log_sink, self._tables
            )
            status = 0
        except BaseException:
            _log.exception("a worker ended by an error")
        finally:
            os._exit(status)

    def _bury(self, descriptor: int) -> None:
        """Take the exit status of a worker that ended."""
        pid = self._children.pop(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        self._control.send(Ended(pid, os.waitstatus_to_exitcode(status)))

    def _explain(self, question: Explain) -> Explained:
        try:
            text = explain(self._responder, question.target, question.client, time.time()).as_json()
        except QueryError as error:
            return Explained(question.number, error.status, error.text)
        except Exception:
            _log.exception("an answer could not be explained: %.200r", question.target)
            return Explained(question.number, 500, "this should not have happened, and is in the server's log")
        return Explained(question.number, 200, text)
