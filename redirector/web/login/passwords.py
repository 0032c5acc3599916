"""Passwords: which are accepted, and comparing them without keeping others waiting."""

from __future__ import annotations

import asyncio

from redirector.registry.refusals import FieldProblem, Invalid
from redirector.registry.secrets import hash_password, is_password

LEAST, MOST = 12, 256
"""Characters. Length is what counts; what must be in it is the person's."""

_COMMON = ("password", "passwort", "qwerty", "letmein", "welcome", "iloveyou", "administrator", "mirror", "changeme")

_NOBODY = hash_password("there is no such account")
"""Compared for logins that do not exist, so that they take as long."""

_AT_ONCE = asyncio.Semaphore(4)
"""Each comparison takes 19 MB and 30 ms of one core."""


def refuse_password(password: str, *names: str) -> None:
    """Raise Invalid for one that would be guessed first; *names*: login and mail address of whose it shall be."""
    told = password.casefold()
    problem = None
    if len(password) < LEAST:
        problem = f"at least {LEAST} characters are needed; a sentence is easy to keep in mind"
    elif len(password) > MOST:
        problem = f"at most {MOST} characters are allowed"
    elif any(name and name.casefold() in told for name in names):
        problem = "it holds your login or mail address"
    elif told.isdecimal() or len(set(told)) < 5 or any(told.strip("0123456789!.") == word for word in _COMMON):
        problem = "it would be guessed soon"
    if problem:
        raise Invalid(problems=(FieldProblem("password", problem),))


async def matches(password: str, hashed: str | None) -> bool:
    """Whether *hashed* is of *password*, in a thread; None takes as long and is never right."""
    async with _AT_ONCE:
        right = await asyncio.to_thread(is_password, password[: MOST + 1], hashed or _NOBODY)
    return right and hashed is not None
