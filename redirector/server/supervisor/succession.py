"""Which age serves: the first one, its successors, and the drain of those that were."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum

from redirector.counted import counted
from redirector.errors import ConfigError, SnapshotError
from redirector.files import explain_failure
from redirector.model import Problem, Severity
from redirector.server.between.counters import Series
from redirector.server.between.messages import Before, Extent, LoadReport
from redirector.server.supervisor.age import Age, Backoff
from redirector.server.supervisor.inputs import Identity, identify, list_inputs
from redirector.server.supervisor.metrics import RELOAD_BOUNDS_S, Durations, Totals
from redirector.server.supervisor.pulse import Pulse
from redirector.server.supervisor.replacement import ALLOWANCES, Outcome, check_health, check_replacement
from redirector.server.supervisor.state import (
    BEFORE,
    Kept,
    as_named,
    is_rolled_back,
    keep,
    keep_rolled_back,
    load_kept,
    served_now,
    swap_kept,
)
from redirector.server.supervisor.systemd import Notifier
from redirector.settings.serving import Config, restart_keys
from redirector.sources.health import OLD_S
from redirector.sources.switched_off import SwitchedOff, keep_switched_off, load_switched_off, without_ended

_log = logging.getLogger("redirector.server")

SHOWN_PROBLEMS = 20
"""How many problems of a load are logged; `check` and `/snapshot` show all."""

STOP_TIMEOUT_S = 2.0
"""How long a reload waits until the old workers accept no more; they take milliseconds, but one may hang."""

WATCH_AGAIN_S = 5.0
"""How often a server that watches nothing looks whether a reload told it to."""

HEALTH_LOOK_S = 4.0
"""How often the health file is looked at. It is taken when it looks the same twice, so after 4 to 8 seconds; with the
4 s that a new age over what was read takes at the largest size, health is heeded well within 30."""


PULSE_S = 5.0
"""How often it is looked how often hosts are given first, and whether the time of one that is switched off is over."""


class Take(Enum):
    """Which inputs a reload takes.

    FRESH   those that the configuration names, as they are now
    SAME    what was read of them, if that is there; else they are read again, unless a rollback has left them
    BEFORE  those that were served before the last ones: a rollback
    """

    FRESH = "fresh"
    SAME = "same"
    BEFORE = "before"


@dataclass(slots=True)
class _Wish:
    """What was asked for since the last reload began."""

    asked: asyncio.Future[Outcome]
    take: Take
    needs_health: bool
    allowed: set[str] = field(default_factory=set)


class ReloadState(Enum):
    """What is being done about a successor."""

    IDLE = "idle"
    LOADING = "loading"
    CHECKING = "checking"
    STARTING = "starting"


class Succession:
    """At most two ages, and one that drains.

    current    the age that serves; None before the first one does
    fallback   it serves copies of earlier inputs
    returned   a rollback has led back to these, and holds
    off        hosts that operators have switched off
    pulse      how often hosts are given first
    restarts   of workers that died
    last       how the last reload ended
    durations  of reloads, by outcome
    """

    def __init__(
        self,
        config: Config,
        reread: Callable[[], Config],
        make_age: Callable[[Config, Callable[[], None]], Age],
        on_config: Callable[[Config], None],
        notifier: Notifier,
    ) -> None:
        """
        reread     gives the configuration as the file says it now
        make_age   makes an age, which calls back for each worker that it starts again
        on_config  is told the configuration of each age that begins to serve
        """
        self.config = config
        self.current: Age | None = None
        self.fallback = False
        self.returned = False
        self.off: tuple[SwitchedOff, ...] = ()
        self.pulse = Pulse()
        self.restarts = 0
        self.state = ReloadState.IDLE
        self.last: Outcome | None = None
        self.durations = {outcome: Durations(RELOAD_BOUNDS_S) for outcome in ("served", "refused")}
        self._reread = reread
        self._make_age = make_age
        self._on_config = on_config
        self._notifier = notifier
        self._ages: list[Age] = []
        self._totals = Totals()
        self._retiring: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeping = asyncio.Lock()
        self._tried: tuple[Identity, ...] = ()
        self._health_tried: tuple[Identity, ...] = ()
        self._read: tuple[str, ...] = ()
        self._next: _Wish | None = None
        self._swaps = False
        self._wanted = asyncio.Event()

    def counts(self) -> Counter[Series]:
        """What all workers counted, those of today and those before."""
        return self._totals.sum(age.memory for age in self._ages if age.memory is not None)

    async def begin(self) -> None:
        """Bring up the first age, from copies of earlier inputs if need be.

        raises  SnapshotError when nothing can be served; ConfigError when the options are wrong
        """
        kept = load_kept(self.config)
        self.off = self._load_off()
        if kept is not None and is_rolled_back(self.config):
            _log.warning("a rollback holds: what was served before, from %s, is; a reload ends it", self.config.state)
            try:
                await self._begin_with(kept.config, None)
            except SnapshotError as error:
                log_problems(error.problems)
                _log.error("what the rollback led back to cannot be served any more: the inputs are tried")
            else:
                self.fallback = self.returned = True
                return
        try:
            await self._begin_with(self.config, kept.extent if kept is not None and kept.same else None)
        except SnapshotError as error:
            if kept is None:
                raise
            log_problems(error.problems)
            _log.error("THE INPUTS CANNOT BE SERVED: copies of earlier ones, from %s, are", self.config.state)
            await self._begin_with(kept.config, None)
            self.fallback = True

    def _load_off(self) -> tuple[SwitchedOff, ...]:
        """The hosts that were switched off before this start."""
        try:
            return load_switched_off(self.config.state, time.time())
        except (OSError, ValueError) as error:
            _log.error(
                "which hosts are switched off cannot be read in %s: %s", self.config.state, explain_failure(error)
            )
            return ()

    def set_off(self, off: Iterable[SwitchedOff]) -> str:
        """Let *off* be the hosts that are switched off, from the next reload on; what keeps that from outliving a
        restart, or ""."""
        self.off = tuple(off)
        if self.config.state is None:
            return "there is no state directory (--state), so a restart forgets it"
        try:
            keep_switched_off(self.config.state, self.off)
        except OSError as error:
            _log.error(
                "which hosts are switched off cannot be kept in %s: %s", self.config.state, explain_failure(error)
            )
            return f"it cannot be kept in {self.config.state} ({error.strerror}), so a restart forgets it"
        return ""

    async def _begin_with(self, config: Config, before: Extent | None) -> None:
        age = self._add_age(config)
        try:
            report = await self._load(age)
            if before is not None:
                _refuse(check_replacement(before, report, ()))
            await age.start()
        except BaseException:
            await self._discard(age)
            raise
        log_problems(report.problems)
        self._promote(age)
        self._keep_copies(age)
        await self._look(config, report)

    def reload(
        self, allowed: Iterable[str] = (), needs_health: bool = False, take: Take = Take.FRESH
    ) -> asyncio.Future[Outcome]:
        """Ask for a reload. All that is asked for while one runs becomes the one that follows it.

        allowed       refusals that are overridden, see `ALLOWANCES`
        needs_health  it is of no use without a health file that is believed
        take          the last one who does not ask for the `SAME` decides
        returns       cancelled when the server ends before the reload does
        """
        if self._next is None:
            self._next = _Wish(asyncio.get_running_loop().create_future(), take, needs_health)
        self._next.needs_health &= needs_health
        self._next.allowed.update(allowed)
        if take is not Take.SAME:
            self._next.take = take
        self._wanted.set()
        return self._next.asked

    async def reload_forever(self) -> None:
        """Do what `reload` asks for, one after the other."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            assert self._next is not None
            wish, self._next = self._next, None
            try:
                self.last = await self._reload(wish)
                self.durations[self.last.name].add(self.last.duration_s)
                wish.asked.set_result(self.last)
            finally:
                wish.asked.cancel()
                self.state = ReloadState.IDLE

    async def _reload(self, wish: _Wish) -> Outcome:
        began = time.time()
        self._notifier.reloading()
        assert self.current is not None and self.current.report is not None
        known = Counter(as_named(problem, self.config) for problem in self.current.report.problems)
        problems: tuple[Problem, ...] = ()
        try:
            report = await self._succeed(wish)
        except Exception as error:
            report, problems = None, _problems_of(error)
            log_problems(problems)
        if report is None:
            outcome = Outcome(False, began, time.time() - began, problems)
            _log.error("reload refused after %.1f s: the old snapshot goes on", outcome.duration_s)
        else:
            fresh = Counter(as_named(problem, self.config) for problem in report.problems)
            news, gone = tuple((fresh - known).elements()), (known - fresh).total()
            outcome = Outcome(
                True,
                began,
                time.time() - began,
                news,
                changes=report.changes,
                gone=gone,
                same=len(report.problems) - len(news),
                broken=report.broken,
            )
            log_problems(news)
            _log.info(
                "reloaded in %.1f s: %s; %s",
                outcome.duration_s,
                counted(report.extent.counts["hosts"], "mirrors"),
                outcome.describe(),
            )
        self._notifier.ready(f"last reload: {outcome.name}")
        return outcome

    async def _succeed(self, wish: _Wish) -> LoadReport:
        """Bring up a successor of the current age. Raises SnapshotError or ConfigError, and changes nothing then."""
        assert self.current is not None
        self.state = ReloadState.LOADING
        if wish.take is Take.SAME and self.current.can_be_renewed:
            return await self._renew(self.current, wish)
        config = await self._read_config()
        allowed, kept = wish.allowed, None
        returns = wish.take is Take.BEFORE or (wish.take is Take.SAME and self.returned)
        if wish.take is Take.BEFORE:
            kept, allowed = await self._find_earlier(config), set(ALLOWANCES)
        elif returns:
            kept = load_kept(config)
        age = self._add_age(config if kept is None else kept.config)
        report = await self._begin_to_serve(age, self._load(age), allowed, wish.needs_health)
        old = self.current
        self.config = config
        self.fallback = kept is not None
        if wish.take is Take.BEFORE:
            await self._note_return(config)
        elif self.returned and not returns:
            self._end_return(config)
        self.returned = returns
        self._promote(age)
        self._keep_copies(age)
        await self._look(config, report)
        await self._wait_for_stop(old)
        return report

    async def _renew(self, old: Age, wish: _Wish) -> LoadReport:
        """Let *old* be succeeded by an age over what it has read, whatever lies in its place by now."""
        age = self._add_age(old.config)
        report = await self._begin_to_serve(age, age.renew(old, self.off), (), wish.needs_health)
        self._promote(age)
        await self._look_at_health(report)
        await self._wait_for_stop(old)
        return report

    async def _begin_to_serve(
        self, age: Age, load: Awaitable[LoadReport], allowed: Collection[str], needs_health: bool
    ) -> LoadReport:
        """Have *age* do its *load*, and start it if it may take the place of the current one."""
        assert self.current is not None and self.current.report is not None
        try:
            report = await load
            self.state = ReloadState.CHECKING
            _refuse(check_replacement(self.current.report.extent, report, allowed))
            if needs_health:
                _refuse(check_health(report))
            self.state = ReloadState.STARTING
            if self._retiring is not None:
                await self._retiring
            await age.start()
        except BaseException:
            await self._discard(age)
            raise
        return report

    async def _wait_for_stop(self, old: Age) -> None:
        """Wait until whoever connects gets the new data: then a reload is said to be done."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await old.stopped()

    async def _find_earlier(self, config: Config) -> Kept:
        """The copies that a rollback takes. Raises SnapshotError where there are none."""
        assert self.current is not None and self.current.report is not None
        if config.state is None:
            raise SnapshotError(
                [_refusal("rollback", "needs a state directory (--state), where earlier inputs are kept")]
            )
        async with self._keeping:
            last, before = load_kept(config), load_kept(config, BEFORE)
            if last is not None and not self.fallback:
                served = await asyncio.to_thread(served_now, self.current.config, self.current.report)
                if last.served != served:  # what is served now was never copied
                    self._swaps = False
                    return last
            self._swaps = True
            if before is None:
                text = f"nothing is kept in {config.state} of what was served before"
                raise SnapshotError([_refusal("rollback", text)])
            return before

    async def _note_return(self, config: Config) -> None:
        """Remember a rollback, so that it holds until somebody reloads or mends the inputs."""
        assert config.state is not None and self.current is not None and self.current.report is not None
        left = None
        if not self.returned:
            left = await asyncio.to_thread(served_now, self.current.config, self.current.report)
        try:
            async with self._keeping:
                if self._swaps:
                    swap_kept(config.state)
                if left is not None:
                    keep_rolled_back(config.state, left)
        except OSError as error:
            _log.warning("the rollback does not outlive a restart: %s: %s", config.state, explain_failure(error))

    def _end_return(self, config: Config) -> None:
        assert config.state is not None
        try:
            keep_rolled_back(config.state, None)
        except OSError as error:
            _log.warning("%s: %s", config.state, explain_failure(error))

    async def _load(self, age: Age) -> LoadReport:
        """Have *age* load, within its time. Raises SnapshotError or ConfigError."""
        limit_s = age.config.load_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._look(age.config)
                kept = load_kept(self.config)
                before = self.current.before if self.current is not None else Before()
                return await age.load(replace(before, kept=None if kept is None else kept.files), self.off)
        except TimeoutError:
            text = f"not done within {limit_s:g} s (load_timeout_s): a file may lie on a mount that does not answer"
            raise SnapshotError.of("redirector", text, "load") from None

    async def _read_config(self) -> Config:
        """The configuration as it is now, but for what a reload cannot change."""
        try:
            async with asyncio.timeout(self.config.load_timeout_s):
                fresh = await asyncio.to_thread(self._reread)
        except TimeoutError:
            text = f"cannot be read within {self.config.load_timeout_s:g} s (load_timeout_s)"
            raise SnapshotError.of("redirector", text, "config") from None
        fixed = restart_keys(self.config, fresh)
        if fixed:
            _log.warning("needs a restart to change: %s", ", ".join(fixed))
        return replace(fresh, **{key: getattr(self.config, key) for key in fixed})

    def _add_age(self, config: Config) -> Age:
        age = self._make_age(config, self._count_restart)
        self._ages.append(age)
        return age

    def _count_restart(self) -> None:
        self.restarts += 1

    def _promote(self, age: Age) -> None:
        """Let *age* be the one that serves, and retire its predecessor."""
        old, self.current = self.current, age
        self._on_config(age.config)
        self._begin(self._replace_nursery(age))
        if old is not None:
            self._retiring = asyncio.create_task(self._retire(old, age))

    def _keep_copies(self, age: Age) -> None:
        """Have what *age* read copied to the state directory, unless that is where it read it."""
        if age.config.state is not None and age.config == self.config:
            self._begin(self._keep(age))

    async def _retire(self, old: Age, successor: Age) -> None:
        await old.drain(successor, old.config.drain_timeout_s)
        self._fold(old)

    async def _discard(self, age: Age) -> None:
        """End *age*, which did not come to serve; some of its workers may have answered already."""
        if age.memory is None:
            await age.kill()
        else:
            await age.drain(self.current, age.config.drain_timeout_s)
        self._fold(age)

    def _fold(self, age: Age) -> None:
        """Keep what the workers of *age*, which has ended, counted."""
        self._ages.remove(age)
        present = self.current.report.hosts if self.current is not None and self.current.report is not None else ()
        if age.memory is not None:
            self._totals.fold(age.memory, present)

    async def _replace_nursery(self, age: Age) -> None:
        """When the nursery of *age* dies, load again; until that succeeds, its workers go on."""
        backoff = Backoff()
        began = time.monotonic()
        await age.nursery_ended.wait()
        while self.current is age:
            await asyncio.sleep(backoff.after(time.monotonic() - began))
            began = time.monotonic()
            await asyncio.wait([self.reload(take=Take.SAME)])

    async def _keep(self, age: Age) -> None:
        """Copy what *age* serves to the state directory."""
        assert age.report is not None
        async with self._keeping:
            try:
                if await asyncio.to_thread(keep, age.config, age.report, age.before.good):
                    _log.info("copies of the inputs are in %s", age.config.state)
            except OSError as error:
                _log.warning("copies of the inputs are not renewed in %s: %s", age.config.state, explain_failure(error))

    async def watch(self) -> None:
        """Reload when the input files have changed, and look the same twice."""
        seen: tuple[Identity, ...] = ()
        while True:
            await asyncio.sleep(self.config.watch_s or WATCH_AGAIN_S)
            if self.config.watch_s:
                now = await self._identify(self.config)
                if now == seen and now != self._tried:
                    self._tried = now
                    await asyncio.wait([self.reload()])
                seen = now

    async def watch_off(self) -> None:
        """Switch hosts on when their time is over, and look how often hosts are given first."""
        while True:
            ages = [(age, age.report.names, age.firsts()) for age in self._ages if age.report and age.memory]
            self.pulse.look(time.monotonic(), ages)
            left = without_ended(self.off, time.time())
            if left != self.off:
                _log.info("switched on again, as their time is over: %s", ", ".join(_names(set(self.off) - set(left))))
                self.set_off(left)
                await asyncio.wait([self.reload(take=Take.SAME)])
            await asyncio.sleep(PULSE_S)

    async def watch_health(self) -> None:
        """Reload when the health file has changed, and when the last one has become too old to go by.

        What cannot be believed takes nothing away: such a reload is refused, and the last one goes on being gone by.
        """
        seen: tuple[Identity, ...] = ()
        ended: LoadReport | None = None
        while True:
            await asyncio.sleep(HEALTH_LOOK_S)
            report = self.current.report if self.current is not None else None
            if report is None or report.health is None:
                continue
            found = await asyncio.to_thread(identify, [os.path.abspath(report.health)])
            is_new = found == seen and found != self._health_tried
            is_over = report.health_checked is not None and time.time() - report.health_checked > OLD_S
            if is_new or (is_over and report is not ended):
                self._health_tried, ended = found, report
                await asyncio.wait([self.reload(needs_health=not is_over, take=Take.SAME)])
            seen = found

    async def _look(self, config: Config, report: LoadReport | None = None) -> None:
        """Remember the input files as a load finds them, or, with *report*, as it found them.

        A file that changed after the load began is left out, and so differs at the next look.
        """
        if report is not None:
            self._read = report.inputs
            await self._look_at_health(report)
        found = await self._identify(config)
        self._tried = tuple(each for each in found if report is None or each.changed_ns < report.began * 1e9)

    async def _look_at_health(self, report: LoadReport) -> None:
        """`_look` at the health file alone."""
        if report.health is not None:
            health = await asyncio.to_thread(identify, [os.path.abspath(report.health)])
            self._health_tried = tuple(each for each in health if each.changed_ns < report.began * 1e9)

    async def _identify(self, config: Config) -> tuple[Identity, ...]:
        """The input files as they are now, but for health, which is watched by itself."""
        report = self.current.report if self.current is not None else None
        health = None if report is None or report.health is None else os.path.abspath(report.health)

        def look() -> tuple[Identity, ...]:
            return identify(path for path in list_inputs(config, self._read) if path != health)

        return await asyncio.to_thread(look)

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, last_connections: Callable[[], Sequence[socket.socket]]) -> None:
        """End all ages. *last_connections* closes the listening sockets and returns what still waited at them."""
        for task in self._tasks:
            task.cancel()
        if self._next is not None:
            self._next.asked.cancel()
        current = self.current
        if current is None:
            return
        draining = asyncio.create_task(current.drain(None, self.config.drain_timeout_s, more=True))
        await current.stopped()
        waiting = last_connections()
        current.finish(waiting)
        for connection in waiting:
            connection.close()
        await draining
        if self._retiring is not None:
            await self._retiring

    async def kill(self) -> None:
        """End all ages at once."""
        for age in list(self._ages):
            await age.kill()


def _names(off: Iterable[SwitchedOff]) -> list[str]:
    return sorted(each.name for each in off)


def _refusal(key: str, text: str) -> Problem:
    return Problem(Severity.ERROR, "redirector", key, text, fatal=True)


def _refuse(problems: tuple[Problem, ...]) -> None:
    if problems:
        raise SnapshotError(problems)


def _problems_of(error: Exception) -> tuple[Problem, ...]:
    match error:
        case SnapshotError(problems=problems):
            return tuple(problems)
        case ConfigError():
            text = f"{error.value!r}: {error.way_out}"
            return (Problem(Severity.ERROR, error.path, error.key, text, fatal=True),)
        case _:
            _log.error("a reload failed in a way that it should not", exc_info=error)
            return (Problem(Severity.ERROR, "redirector", "reload", str(error), fatal=True),)


def log_problems(problems: Iterable[Problem]) -> None:
    """One line for each, the fatal ones first."""
    ordered = sorted(problems, key=lambda problem: (not problem.fatal, problem.severity is not Severity.ERROR))
    for problem in ordered[:SHOWN_PROBLEMS]:
        _log.log(logging.ERROR if problem.severity is Severity.ERROR else logging.WARNING, "%s", problem)
    if len(ordered) > SHOWN_PROBLEMS:
        _log.warning("and %s; `redirector check` shows all", counted(len(ordered) - SHOWN_PROBLEMS, "more problems"))
