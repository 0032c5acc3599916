"""What is known to be so, and what follows for every answer. Pure: times are arguments.

A server *has* all that was true before the publication began that it has taken up last. So whatever must keep a mirror
out of the lists is noted with the time since when it is so, and an answer is held against what its server has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STALE, UNREACHABLE = "stale", "unreachable"
PRIVATE = "private"
SWITCHES = ("host-off", "maintenance", "site-suspended", "no-url")

ANSWERED = "every request is answered with a mirror"
NO_LEAK = "private mirrors are given to their networks alone"
NO_TRACE = "private mirrors are on no page, in no export, no health file"
NO_PROBE = "private mirrors are never visited"
OWN_MIRROR = "a private mirror is given to its own network"
SWITCHED_OFF = "nothing is listed that is switched off"
OUT_IN_TIME = "stale and dead mirrors are out in time"
WELL_GIVEN = "mirrors that are well are given"
AGREE = "published data, pages, exports and answers agree"
NO_EDIT_LOST = "no edit that was accepted is lost"
BACK = "what was killed is back within two minutes"
TOLD = "each request for approval is mailed, and told to the hook"
COUNTED = "each line of the logs is counted once"

INVARIANTS = (
    ANSWERED, NO_LEAK, NO_TRACE, NO_PROBE, OWN_MIRROR, SWITCHED_OFF, OUT_IN_TIME, WELL_GIVEN, AGREE, NO_EDIT_LOST,
    BACK, TOLD, COUNTED,
)  # fmt: skip

_GIVEN = re.compile(r"https?://(127\.\d+\.\d+\.\d+):")
KEPT = 20
"""Violations of one kind that are kept in words; the others are counted."""


def addresses_in(text: str) -> frozenset[str]:
    """The mirrors that an answer, a page or a file names by URL."""
    return frozenset(_GIVEN.findall(text))


@dataclass(slots=True)
class Ledger:
    """How often each thing was looked at, and what was found against it."""

    checks: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    words: dict[str, list[str]] = field(default_factory=dict)

    def check(self, invariant: str, holds: bool, why: str = "") -> bool:
        """Note one look."""
        self.checks[invariant] += 1
        if not holds:
            self.broken[invariant] += 1
            told = self.words.setdefault(invariant, [])
            if len(told) < KEPT:
                told.append(why)
        return holds

    @property
    def held(self) -> bool:
        """Everything was looked at, and nothing was found."""
        return not self.broken and all(self.checks[each] for each in INVARIANTS)


@dataclass(slots=True)
class Host:
    """A mirror as it truly is.

    networks  a client in each of its networks; () when it has none
    withheld  why no list may have it -> since when that is so
    due       since when every list of all mirrors must have it; None: it need not be there
    lacking   releases that it does not carry
    """

    name: str
    address: str
    networks: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    withheld: dict[str, float] = field(default_factory=dict)
    due: float | None = None

    @property
    def private(self) -> bool:
        """It is given to its own networks alone, just now."""
        return PRIVATE in self.withheld

    def reasons(self, has: float) -> Iterator[str]:
        """Why a server that has all that was so at *has* may not give it to strangers."""
        return (reason for reason, since in self.withheld.items() if since < has)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said.

    has     it has all that was so at this time
    client  who asked
    whole   all mirrors of *release* were asked for
    """

    server: str
    has: float
    client: str
    release: str
    given: frozenset[str]
    whole: bool = False


def judge_answer(ledger: Ledger, hosts: Mapping[str, Host], answer: Answer) -> None:
    """Hold *answer* against what is so. *hosts*: address -> mirror; it was so when the answer came."""
    strangers: list[str] = []
    switched: list[str] = []
    late: list[str] = []
    for address in answer.given:
        host = hosts.get(address)
        if host is None:
            strangers.append(address)
            continue
        for reason in host.reasons(answer.has):
            if reason == PRIVATE:
                if answer.client not in host.networks:
                    strangers.append(host.name)
            elif reason in SWITCHES:
                switched.append(f"{host.name} ({reason})")
            else:
                late.append(f"{host.name} ({reason})")
    where = f"{answer.server} to {answer.client}, release {answer.release}: "
    ledger.check(NO_LEAK, not strangers, where + ", ".join(strangers))
    ledger.check(SWITCHED_OFF, not switched, where + ", ".join(switched))
    ledger.check(OUT_IN_TIME, not late, where + ", ".join(late))
    if answer.whole:
        missing = [
            host.name
            for host in hosts.values()
            if host.due is not None
            and host.due < answer.has
            and not host.private
            and answer.release not in host.lacking
            and host.address not in answer.given
        ]  # fmt: skip
        ledger.check(WELL_GIVEN, not missing, where + ", ".join(missing))


def judge_own_mirror(ledger: Ledger, host: Host, answer: Answer) -> None:
    """A client on a private mirror's network got *answer*."""
    excused = any(reason != PRIVATE for reason in host.withheld)
    if host.due is not None and host.due < answer.has and not excused:
        ledger.check(OWN_MIRROR, host.address in answer.given, f"{answer.server}: {host.name} to {answer.client}")


def judge_trace(ledger: Ledger, hosts: Iterable[Host], where: str, text: str, has: float) -> None:
    """A page or file for everybody names no private mirror. *has*: as of an answer."""
    found = [
        host.name
        for host in hosts
        if host.withheld.get(PRIVATE, has) < has and (host.name in text or f"//{host.address}:" in text)
    ]
    ledger.check(NO_TRACE, not found, f"{where}: {', '.join(found)}")


def judge_probes(ledger: Ledger, probes: Mapping[str, int]) -> None:
    """*probes*: private mirror -> how often the crawler asked it."""
    ledger.check(NO_PROBE, not any(probes.values()), ", ".join(name for name, count in probes.items() if count))


def judge_edits(ledger: Ledger, name: str, accepted: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """What was accepted last of the mirror *name* is what the registry tells."""
    wrong = {key: told.get(key) for key, value in accepted.items() if told.get(key) != value}
    ledger.check(NO_EDIT_LOST, not wrong, f"{name}: {wrong}")


def judge_back(ledger: Ledger, name: str, passed_s: float | None) -> None:
    """Something that was killed was well again after *passed_s*; None: it was not in time."""
    ledger.check(BACK, passed_s is not None, f"{name} is not back")


def judge_told(ledger: Ledger, name: str, mails: int, events: int) -> None:
    """Mails to the distribution's admin and events of the hook that say that the site *name* asks for approval.

    One mail: the relay knows a second copy by its Message-ID. Events may come twice.
    """
    ledger.check(TOLD, mails == 1 and events >= 1, f"{name}: {mails} mails, {events} events")


def judge_counts(ledger: Ledger, lines: int, counted: int) -> None:
    """*lines* of the logs are to be counted, *counted* were."""
    ledger.check(COUNTED, lines == counted > 0, f"{lines} lines, {counted} counted")


def judge_agreement(ledger: Ledger, told: Mapping[str, Collection[str]], moving: Collection[str]) -> None:
    """All of *told* (who says so -> the mirrors that strangers are given) are one set, but for those in motion."""
    sets = {name: frozenset(given) - frozenset(moving) for name, given in told.items()}
    whole = frozenset().union(*sets.values())
    differences = [f"{name} lacks {', '.join(sorted(whole - given))}" for name, given in sets.items() if given != whole]
    ledger.check(AGREE, not differences, "; ".join(differences))


def quantile(values: Sequence[float], share: float) -> float:
    """The value that *share* of *values* do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
