"""The crawler as a service: what follows a round, and what does not end it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import pytest

from redirector.errors import StoreError
from redirector.health.round import Crawler, Round, Wanted
from redirector.health.service import Service

VISITED: Any = (object(),)
"""Results of a round that nobody looks into."""


@dataclass
class OneRound:
    """A crawler that makes one round, during which the service is told to stop."""

    made: Round
    stop: asyncio.Event

    async def round(self, wanted: Wanted) -> Round:
        self.stop.set()
        return self.made


@pytest.mark.parametrize(
    ("made", "follows"),
    [
        pytest.param(Round(1.0, 0.1, "", VISITED), True, id="concluded"),
        pytest.param(Round(1.0, 0.1, "all fail", VISITED), False, id="void"),
        pytest.param(Round(1.0, 0.1, "", ()), False, id="nobody was due"),
    ],
)
@pytest.mark.parametrize("locked", [False, True])
async def test_what_follows_a_round(made: Round, follows: bool, locked: bool) -> None:
    followed: list[Round] = []

    async def then(made: Round) -> None:
        followed.append(made)
        if locked:
            raise StoreError("sqlite:///x", "locked", "wait")

    stop = asyncio.Event()
    crawler = cast(Crawler, OneRound(made, stop))
    async with asyncio.timeout(60):
        await Service(crawler, None, 900, lambda: 1.0, then).run(stop)
    assert followed == ([made] if follows else [])
