"""A machine that stood still, as a suspended one does, costs no worker and no server."""

from __future__ import annotations

from redirector.server.supervisor.silence import STANDSTILL_S, Silence


def looks(*steps: tuple[float, bool]) -> Silence:
    """After looks, each so many seconds after the one before, at which somebody answered or not."""
    silence, now = Silence(100.0), 100.0
    for passed_s, answering in steps:
        now += passed_s
        silence.note(now, answering)
    return silence


def test_silence_adds_up_second_by_second() -> None:
    assert looks(*[(1.0, False)] * 60).silent_s == 60


def test_an_answer_ends_it() -> None:
    assert looks(*[(1.0, False)] * 59, (1.0, True)).silent_s == 0


def test_a_standstill_counts_for_little_and_everything_is_timed_from_its_end() -> None:
    silence = looks((1.0, True), (3600.0, False))
    assert silence.silent_s == STANDSTILL_S
    assert silence.awake == silence.last == 3701.0


def test_a_slow_look_is_no_standstill() -> None:
    assert looks((1.0, True), (4.0, False)).awake < 0
