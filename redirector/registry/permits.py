"""Who may do what: one function, one table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Scope(Enum):
    """What a token is for."""

    CHECK_IN = "check-in"
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks.

    account  its number; None for a visitor, the command line, and tokens of a host or a site
    name     as events show it
    admin    distribution admin
    sites    numbers of the sites that it is an admin of
    scope    of the token that it came with; None for a person who logged in
    only     what a token of a site or host is for: ("site", 3), ("host", 17); None for accounts
    """

    account: int | None
    name: str
    admin: bool = False
    sites: frozenset[int] = frozenset()
    scope: Scope | None = None
    only: tuple[str, int] | None = None

    @property
    def known(self) -> bool:
        """False for visitors."""
        return self.account is not None or self.admin or self.only is not None


VISITOR = Actor(None, "visitor")
OPERATOR = Actor(None, "command line", admin=True)
"""Whoever runs commands where the database is: he may all."""


class Act(Enum):
    """What is asked for."""

    READ_PUBLIC = "read what is public"
    CREATE_SITE = "create a site"
    READ = "read"
    EDIT = "edit"
    DELETE = "delete"
    ASK = "ask for approval"
    DECIDE = "approve, refuse, suspend"
    SEE_MIRRORS = "see what a site gives to those that pull from it"
    CHECK_IN = "check in"
    ADMINISTER = "categories, releases, notes, accounts, all events"


@dataclass(frozen=True, slots=True)
class Target:
    """What it is about, found through its parents.

    site     number of the site that it belongs to; None for what belongs to no site
    host     number of the host; None for a site itself
    pullers  numbers of the sites that may pull from it, approved ones
    """

    site: int | None = None
    host: int | None = None
    pullers: frozenset[int] = frozenset()


NOWHERE = Target()


class Verdict(Enum):
    """What the answer is."""

    ALLOWED = "allowed"
    LOGIN = "log in first"
    """401: it is nobody yet."""
    FORBIDDEN = "forbidden"
    MISSING = "missing"
    """404: it is somebody else's, whose existence is nobody's business."""


_READING = frozenset({Act.READ_PUBLIC, Act.READ, Act.SEE_MIRRORS})
_OWNERS = frozenset({Act.READ, Act.EDIT, Act.DELETE, Act.ASK, Act.SEE_MIRRORS, Act.CHECK_IN})


def decide(actor: Actor, act: Act, target: Target = NOWHERE) -> Verdict:
    """Whether *actor* may do *act* to *target*.

    What waits for a distribution admin once it was entered is no matter of permission: `rules.reach_of`.
    """
    if act is Act.READ_PUBLIC:
        return Verdict.ALLOWED
    if not actor.known:
        return Verdict.LOGIN
    if not _in_scope(actor.scope, act):
        return Verdict.FORBIDDEN
    if actor.only is not None:
        return _decide_for_token(actor, act, target)
    if actor.admin:
        return Verdict.ALLOWED
    if act is Act.CREATE_SITE:
        return Verdict.ALLOWED
    if target.site is None or act is Act.ADMINISTER:
        return Verdict.FORBIDDEN
    if target.site in actor.sites:
        return Verdict.ALLOWED if act in _OWNERS else Verdict.FORBIDDEN
    if act is Act.SEE_MIRRORS and target.pullers & actor.sites:
        return Verdict.ALLOWED
    return Verdict.MISSING


def _in_scope(scope: Scope | None, act: Act) -> bool:
    if scope is None or scope is Scope.WRITE:
        return True
    return act in _READING if scope is Scope.READ else act is Act.CHECK_IN


def _decide_for_token(actor: Actor, act: Act, target: Target) -> Verdict:
    """A token of a host or site may what its scope says, for that alone; decisions and deletions are for people."""
    kind, number = actor.only or ("", 0)
    mine = target.host == number if kind == "host" else target.site == number
    if not mine and target.site is not None:
        return Verdict.MISSING
    return Verdict.ALLOWED if mine and act in _OWNERS - {Act.DELETE, Act.ASK} else Verdict.FORBIDDEN
