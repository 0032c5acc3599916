"""Targets that decide whether a snapshot is served."""

from __future__ import annotations

import pytest

from redirector.answer.answer import Answer, Kind, Request
from redirector.model import HostId
from redirector.server.nursery.canaries import check_canaries


class Told:
    """A responder that says what it was told to."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def answer(self, request: Request) -> Answer:
        return self._answer


FIRST = HostId(0)


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (Answer(200, Kind.MIRRORLIST, b"https://a.example/\n", first=FIRST), ""),
        (Answer(302, Kind.REDIRECT, b"", first=FIRST), ""),
        (Answer(200, Kind.METALINK, b'<hash type="sha512">aa</hash>', first=FIRST), ""),
        (Answer(200, Kind.METALINK, b'<hash type="sha-512">aa</hash>', first=FIRST), ""),
        (Answer(200, Kind.METALINK, b'<hash type="sha256">aa</hash>', first=FIRST), "is answered without a sha512"),
        (Answer(200, Kind.MIRRORLIST, b"# nobody\n"), "is answered without a mirror"),
        (Answer(404, Kind.MIRRORLIST, b""), "is answered with 404"),
    ],
)
def test_a_canary_lives_or_dies(answer: Answer, wrong: str) -> None:
    problems = check_canaries(Told(answer), ["/some/target"], 0.0)
    if wrong:
        assert [(problem.key, problem.fatal) for problem in problems] == [("canaries", True)]
        assert wrong in problems[0].text and "/some/target" in problems[0].text
    else:
        assert problems == ()
