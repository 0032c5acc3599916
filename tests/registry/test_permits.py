"""Who may do what, as one table of actors, acts and targets."""

from __future__ import annotations

import itertools

import pytest

from redirector.registry.permits import NOWHERE, OPERATOR, VISITOR, Act, Actor, Scope, Target, Verdict, decide

OWN, PULLED, OTHER = 1, 2, 3
"""The actor's site, one that it may pull from, and one that is none of its business."""

OWNER = Actor(7, "owner", sites=frozenset({OWN}))
ACTORS = {
    "visitor": VISITOR,
    "account": Actor(8, "account"),
    "owner": OWNER,
    "admin": Actor(9, "admin", admin=True),
    "command line": OPERATOR,
    "owner's read token": Actor(7, "owner", sites=frozenset({OWN}), scope=Scope.READ),
    "owner's write token": Actor(7, "owner", sites=frozenset({OWN}), scope=Scope.WRITE),
    "admin's read token": Actor(9, "admin", admin=True, scope=Scope.READ),
    "site's check-in token": Actor(None, "site", scope=Scope.CHECK_IN, only=("site", OWN)),
    "site's write token": Actor(None, "site", scope=Scope.WRITE, only=("site", OWN)),
    "host's read token": Actor(None, "host", scope=Scope.READ, only=("host", 11)),
    "host's write token": Actor(None, "host", scope=Scope.WRITE, only=("host", 11)),
}
TARGETS = {
    "nowhere": NOWHERE,
    "own site": Target(site=OWN),
    "own host": Target(site=OWN, host=11),
    "own other host": Target(site=OWN, host=12),
    "pulled host": Target(site=PULLED, host=21, pullers=frozenset({OWN})),
    "other site": Target(site=OTHER),
    "other host": Target(site=OTHER, host=31),
}

ALLOWED, LOGIN, FORBIDDEN, MISSING = Verdict.ALLOWED, Verdict.LOGIN, Verdict.FORBIDDEN, Verdict.MISSING
OWNERS = {Act.READ, Act.EDIT, Act.DELETE, Act.ASK, Act.SEE_MIRRORS, Act.CHECK_IN}
TOKENS = OWNERS - {Act.DELETE, Act.ASK}
READING = {Act.READ, Act.SEE_MIRRORS}


def expected(actor: str, act: Act, target: str) -> Verdict:
    """The table, written by hand for each kind of actor."""
    if act is Act.READ_PUBLIC:
        return ALLOWED
    own = target.startswith("own")
    match actor:
        case "visitor":
            return LOGIN
        case "admin" | "command line":
            return ALLOWED
        case "admin's read token":
            return ALLOWED if act in READING else FORBIDDEN
        case "account":
            if act is Act.CREATE_SITE:
                return ALLOWED
            return FORBIDDEN if act is Act.ADMINISTER or target == "nowhere" else MISSING
        case "owner" | "owner's write token":
            if act is Act.CREATE_SITE:
                return ALLOWED
            if act is Act.ADMINISTER or target == "nowhere":
                return FORBIDDEN
            if own:
                return ALLOWED if act in OWNERS else FORBIDDEN
            return ALLOWED if act is Act.SEE_MIRRORS and target == "pulled host" else MISSING
        case "owner's read token":
            if act not in READING or target == "nowhere":
                return FORBIDDEN
            return ALLOWED if own or (act is Act.SEE_MIRRORS and target == "pulled host") else MISSING
        case "site's check-in token":
            if act is not Act.CHECK_IN or target == "nowhere":
                return FORBIDDEN
            return ALLOWED if own else MISSING
        case "site's write token":
            if target == "nowhere":
                return FORBIDDEN
            return (ALLOWED if act in TOKENS else FORBIDDEN) if own else MISSING
        case "host's read token":
            if act not in READING or target == "nowhere":
                return FORBIDDEN
            return ALLOWED if target == "own host" else MISSING
        case "host's write token":
            if target == "nowhere":
                return FORBIDDEN
            return (ALLOWED if act in TOKENS else FORBIDDEN) if target == "own host" else MISSING
        case _:
            raise AssertionError(actor)


@pytest.mark.parametrize(("actor", "act", "target"), list(itertools.product(ACTORS, Act, TARGETS)))
def test_verdicts_are_those_of_the_table(actor: str, act: Act, target: str) -> None:
    assert decide(ACTORS[actor], act, TARGETS[target]) is expected(actor, act, target)


@pytest.mark.parametrize("actor", ["account", "owner", "site's write token", "host's write token"])
def test_nobody_but_a_distribution_admin_decides_or_administers(actor: str) -> None:
    for target in TARGETS.values():
        for act in (Act.DECIDE, Act.ADMINISTER):
            assert decide(ACTORS[actor], act, target) is not ALLOWED
