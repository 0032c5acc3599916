"""Each thing that the soak holds against the network can be found broken."""

from __future__ import annotations

import pytest

from tests.soak.network import truth
from tests.soak.network.truth import Answer, Host, Ledger

FIRST, SECOND, INNER = "127.1.0.1", "127.1.0.2", "127.2.0.1"
STRANGER, INSIDER = "5.9.0.1", "41.100.3.4"


def network() -> dict[str, Host]:
    return {
        FIRST: Host("first.example.org", FIRST, due=10.0),
        SECOND: Host("second.example.org", SECOND, lacking=("2",), due=10.0),
        INNER: Host("inner.example.org", INNER, (INSIDER,), withheld={truth.PRIVATE: 0.0}, due=10.0),
    }


def broken(answer: Answer, **withheld: float) -> set[str]:
    """What is held against *answer* when the first mirror is withheld for these reasons."""
    ledger, hosts = Ledger(), network()
    hosts[FIRST].withheld |= {reason.replace("_", "-"): since for reason, since in withheld.items()}
    if withheld:
        hosts[FIRST].due = None
    truth.judge_answer(ledger, hosts, answer)
    return set(ledger.broken)


def answer(*given: str, has: float = 100.0, client: str = STRANGER, release: str = "1", whole: bool = False) -> Answer:
    return Answer("serve", has, client, release, frozenset(given), whole)


@pytest.mark.parametrize(
    ("given", "withheld", "found"),
    [
        (answer(FIRST, SECOND, whole=True), {}, set()),
        (answer(FIRST, INNER, client=INSIDER), {}, set()),
        (answer(FIRST, INNER), {}, {truth.NO_LEAK}),
        (answer("127.9.9.9"), {}, {truth.NO_LEAK}),
        (answer(FIRST), {"private": 50.0}, {truth.NO_LEAK}),
        (answer(FIRST), {"host_off": 50.0}, {truth.SWITCHED_OFF}),
        (answer(FIRST), {"site_suspended": 50.0}, {truth.SWITCHED_OFF}),
        (answer(FIRST, has=49.0), {"host_off": 50.0}, set()),
        (answer(FIRST), {"stale": 50.0}, {truth.OUT_IN_TIME}),
        (answer(FIRST), {"unreachable": 50.0}, {truth.OUT_IN_TIME}),
        (answer(FIRST, whole=True), {}, {truth.WELL_GIVEN}),
        (answer(FIRST, whole=True, release="2"), {}, set()),
        (answer(FIRST, whole=True, has=9.0), {}, set()),
    ],
)
def test_an_answer_is_held_against_what_is_so(given: Answer, withheld: dict[str, float], found: set[str]) -> None:
    assert broken(given, **withheld) == found


@pytest.mark.parametrize(("given", "found"), [(INNER, set()), (FIRST, {truth.OWN_MIRROR})])
def test_an_insider_gets_his_mirror(given: str, found: set[str]) -> None:
    ledger = Ledger()
    truth.judge_own_mirror(ledger, network()[INNER], answer(given, client=INSIDER))
    assert set(ledger.broken) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://first.example.org/", set()),
        ("inner.example.org", {truth.NO_TRACE}),
        (f"http://{INNER}:80/", {truth.NO_TRACE}),
    ],
)
def test_a_page_with_a_private_mirror_is_noticed(text: str, found: set[str]) -> None:
    ledger = Ledger()
    truth.judge_trace(ledger, network().values(), "/mirrors", text, 100.0)
    assert set(ledger.broken) == found


def test_who_says_something_else_is_named_but_for_what_moves() -> None:
    ledger = Ledger()
    truth.judge_agreement(ledger, {"published": {"a", "b"}, "pages": {"a"}}, {"b"})
    assert ledger.broken == {}
    truth.judge_agreement(ledger, {"published": {"a", "b"}, "pages": {"a"}}, set())
    assert ledger.words == {truth.AGREE: ["pages lacks b"]}


def test_what_was_never_looked_at_has_not_held() -> None:
    ledger = Ledger()
    for invariant in truth.INVARIANTS[1:]:
        ledger.check(invariant, True)
    assert not ledger.held
    ledger.check(truth.INVARIANTS[0], True)
    assert ledger.held
