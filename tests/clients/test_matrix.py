"""Every client, in every situation of its mirrors: what the person sees, which mirror was used, what it cost us."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from tests.clients.conftest import Note, OpenTap, Services
from tests.clients.mirrors import Fleet
from tests.clients.programs import Aria2, Dnf, Librepo, Reader, Reading, Zypper
from tests.clients.service import Flavour, Kind, list_url
from tests.clients.sources import PUBLIC, client_of
from tests.clients.trees import NEW, OLD, Trees


class Used(Enum):
    """Which mirrors were asked for anything."""

    FIRST = "the first mirror"
    NEXT = "the first mirror, then the next"
    BOTH = "both healthy mirrors"
    NONE = "no mirror"


@dataclass(frozen=True, slots=True)
class Situation:
    """What the client meets: the mirror that it is given first, and the repository that it asks for."""

    name: str
    first: str = PUBLIC[0]
    repository: str = "baseos-9"


@dataclass(frozen=True, slots=True)
class Expected:
    code: int
    version: str | None
    used: Used
    requests: int = 1


OK = Situation("all is well")
MISSING = Situation("first mirror 404", "missing")
ERRORING = Situation("first mirror 503", "erroring")
REFUSING = Situation("first mirror refuses", "refusing")
SILENT = Situation("first mirror silent", "silent")
CORRUPT = Situation("first mirror corrupt, same size", "corrupt")
LONGER = Situation("first mirror corrupt, other size", "longer")
STALE_LISTED = Situation("first mirror stale, an alternate", "stale")
STALE = Situation("first mirror stale, no alternate", "stale", "appstream-9")
ALL_WRONG = Situation("all hashes wrong", repository="extras-9")
UNKNOWN = Situation("404 from us", repository="nosuch-9")
UNAVAILABLE = Situation("503 in our place")
EMPTY = Situation("list without URLs", repository="baseos-9-kitten")
DISABLED = Situation("repository disabled", repository="baseos-8")

FAILING = (MISSING, ERRORING, REFUSING, SILENT)
NEXT = Expected(0, NEW, Used.NEXT)
FIRST = Expected(0, NEW, Used.FIRST)
BEHIND = Expected(0, OLD, Used.FIRST)

# dnf and librepo share their downloader; both ask twelve times after an error.
LIBREPO = {
    Kind.METALINK: {
        OK: FIRST,
        **dict.fromkeys((*FAILING, CORRUPT, LONGER, STALE), NEXT),
        STALE_LISTED: BEHIND,
        ALL_WRONG: Expected(1, None, Used.BOTH),
        UNKNOWN: Expected(1, None, Used.NONE, 12),
        UNAVAILABLE: Expected(1, None, Used.NONE, 12),
        EMPTY: Expected(1, None, Used.NONE),
        DISABLED: Expected(1, None, Used.NONE),
    },
    Kind.MIRRORLIST: {
        **dict.fromkeys((OK, CORRUPT, LONGER), FIRST),
        **dict.fromkeys(FAILING, NEXT),
        **dict.fromkeys((STALE_LISTED, STALE), BEHIND),
        UNKNOWN: Expected(1, None, Used.NONE, 12),
        UNAVAILABLE: Expected(1, None, Used.NONE, 12),
        EMPTY: Expected(1, None, Used.NONE),
        DISABLED: Expected(1, None, Used.NONE),
    },
}

# zypper checks no hash of repomd.xml. For a silent mirror it waits an hour, whatever it is told: left out.
# It asks once to refresh and, where that went well, once more to search.
ZYPPER_BOTH = {
    **dict.fromkeys((OK, CORRUPT, LONGER), Expected(0, NEW, Used.FIRST, 2)),
    **dict.fromkeys((MISSING, ERRORING, REFUSING), Expected(0, NEW, Used.NEXT, 2)),
    **dict.fromkeys((STALE_LISTED, STALE), Expected(0, OLD, Used.FIRST, 2)),
    UNKNOWN: Expected(4, None, Used.NONE),
    UNAVAILABLE: Expected(4, None, Used.NONE),
    **dict.fromkeys((EMPTY, DISABLED), Expected(4, None, Used.NONE, 5)),
}
ZYPPER = {
    Kind.METALINK: {**ZYPPER_BOTH, ALL_WRONG: Expected(0, NEW, Used.FIRST, 2)},
    Kind.MIRRORLIST: ZYPPER_BOTH,
}

ARIA2 = {
    Kind.METALINK: {
        OK: FIRST,
        **dict.fromkeys((*FAILING, LONGER), NEXT),
        **dict.fromkeys((CORRUPT, STALE_LISTED, STALE, ALL_WRONG), Expected(32, None, Used.FIRST)),
        UNKNOWN: Expected(3, None, Used.NONE),
        UNAVAILABLE: Expected(29, None, Used.NONE),
        EMPTY: Expected(1, None, Used.NONE),
        DISABLED: Expected(0, None, Used.NONE),
    }
}

# Here one line of text stands for the document, and zypper believes at once that it is none.
EXCEPTIONS = {
    ("zypper", Kind.METALINK, Flavour.MIRRORMANAGER, DISABLED): Expected(4, None, Used.NONE, 1),
}

MATRIX = {"dnf": LIBREPO, "librepo": LIBREPO, "zypper": ZYPPER, "aria2": ARIA2}


def exists(situation: Situation, kind: Kind, flavour: Flavour) -> bool:
    """An AlmaLinux tree disables nothing, and knows no file of a module that no mirror has."""
    missing = {DISABLED} if kind is Kind.MIRRORLIST else {DISABLED, EMPTY}
    return flavour is not Flavour.ALMALINUX or situation not in missing


def cases() -> Iterator[object]:
    """All of the matrix, for each flavour of the service."""
    for flavour, (client, kinds) in itertools.product(Flavour, MATRIX.items()):
        for kind, situations in kinds.items():
            for situation in (situation for situation in situations if exists(situation, kind, flavour)):
                expected = EXCEPTIONS.get((client, kind, flavour, situation), situations[situation])
                name = f"{client}-{kind.value}-{flavour.value}-{situation.name}"
                yield pytest.param(client, kind, flavour, situation, expected, id=name)


def make_reader(client: str, home: Path, trees: Trees) -> Reader:
    match client:
        case "dnf":
            return Dnf(home)
        case "librepo":
            return Librepo(home)
        case "zypper":
            return Zypper(home)
        case _:
            return Aria2(home, trees)


def judge(used: list[str], first: str) -> Used | list[str]:
    """The word for what was used; the names where there is no word for it."""
    others = [name for name in used if name != first]
    if not used:
        return Used.NONE
    if used == [first]:
        return Used.FIRST
    if sorted(used) == sorted(PUBLIC):
        return Used.BOTH
    # A mirror that refuses is never seen to be asked.
    return Used.NEXT if set(others) <= set(PUBLIC) and (first in used or first == REFUSING.first) else used


@pytest.mark.parametrize(("client", "kind", "flavour", "situation", "expected"), list(cases()))
def test_client_in_situation(
    client: str,
    kind: Kind,
    flavour: Flavour,
    situation: Situation,
    expected: Expected,
    services: Services,
    fleet: Fleet,
    trees: Trees,
    home: Path,
    open_tap_to: OpenTap,
    note: Note,
) -> None:
    if situation is UNAVAILABLE:  # what a balancer says while none of its servers answers
        address = fleet["erroring"].address
    else:
        address = services[flavour].address
    tap = open_tap_to(address, client_of(fleet, situation.first))
    reading = make_reader(client, home, trees).read(kind, tap.url + list_url(kind, flavour, situation.repository))
    if situation is UNAVAILABLE:
        fleet["erroring"].asked.clear()
    used, requests = fleet.used(), len(tap.exchanges())
    note(
        f"{client:7} {kind.value:10} {flavour.value:13} {situation.name:32} rc {reading.code:<2} "
        f"{reading.version or 'nothing':7} {requests:2} requests, mirrors: {' '.join(used) or 'none'}"
    )
    assert (reading, judge(used, situation.first), requests) == (
        Reading(expected.code, expected.version),
        expected.used,
        expected.requests,
    )
