"""Who is told that a look found something else than the one before, how, and how often."""

from __future__ import annotations

import json
from email import message_from_bytes
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from redirector.kit.changes import WELL, parse_seen, render_seen, seen_in
from redirector.kit.finding import Finding, Level
from redirector.kit.telling import tell_changes
from redirector.kit.wishes import Wishes, parse_wishes, render_file

FINE = Finding("http://m/", "missing", Level.OK, "404")
LATE = Finding("http://m/", "age", Level.ERROR, "TIME is 13 h behind the source")
LATER = Finding("http://m/", "age", Level.ERROR, "TIME is 14 h behind the source")
LOOSE = Finding("rsync://m/x/", "checksum", Level.WARNING, "-c is not refused")


class Hook:
    """A webhook."""

    def __init__(self) -> None:
        self.status = 204
        self.told: list[dict[str, object]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.told.append(await request.json())
        return web.Response(status=self.status)


def wishes(folder: Path, url: str) -> Wishes:
    answers = {"state": str(folder / "state"), "notify_mail": "admins@example.org", "notify_url": url}
    return parse_wishes(render_file(answers).encode(), "mirror.yml")


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a stand-in for sendmail puts what it is given."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "mails").mkdir()
    script = tmp_path / "bin" / "sendmail"
    script.write_text(f'#!/bin/sh\n[ "$*" = "-t -i" ] || exit 64\ncat >{tmp_path}/mails/$$\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return tmp_path / "mails"


async def test_a_change_is_told_once_and_its_end_too(tmp_path: Path, outbox: Path) -> None:
    hook = Hook()
    application = web.Application()
    application.router.add_post("/hook", hook.answer)
    async with TestServer(application) as server:
        mine = wishes(tmp_path, str(server.make_url("/hook")))
        for found in ([FINE], [FINE, LATE, LOOSE], [FINE, LATER, LOOSE], [FINE, LOOSE], [FINE], [FINE]):
            assert await tell_changes(mine, found, 1_795_000_000) == []
    assert [(each["before"], each["outcome"]) for each in hook.told] == [(0, 2), (2, 1), (1, 0)]
    assert hook.told[1]["gone"] == [{"url": "http://m/", "check": "age", "level": "error"}]
    assert hook.told[0]["mirror"] == "mirror.example.org" and hook.told[0]["at"] == 1_795_000_000
    mails = [message_from_bytes(path.read_bytes()) for path in outbox.iterdir()]
    subjects = {str(mail["Subject"]) for mail in mails}
    assert subjects == {
        "mirror.example.org: errors (before: all is well)",
        "mirror.example.org: warnings (before: errors)",
        "mirror.example.org: all is well (before: warnings)",
    }
    assert all(mail["To"] == "admins@example.org" and mail["Auto-Submitted"] == "auto-generated" for mail in mails)
    assert any("TIME is 13 h behind the source" in str(mail.get_payload()) for mail in mails)


async def test_what_could_not_be_told_is_told_next_time(tmp_path: Path, outbox: Path) -> None:
    hook = Hook()
    hook.status = 500
    application = web.Application()
    application.router.add_post("/hook", hook.answer)
    async with TestServer(application) as server:
        mine = wishes(tmp_path, str(server.make_url("/hook")))
        assert await tell_changes(mine, [LATE], 1) == ["the webhook answered 500"]
        hook.status = 200
        assert await tell_changes(mine, [LATE], 2) == [] and len(hook.told) == 2
        assert await tell_changes(mine, [LATE], 3) == [] and len(hook.told) == 2


async def test_mail_that_does_not_go_is_said(tmp_path: Path, outbox: Path) -> None:
    (tmp_path / "bin" / "sendmail").write_text("#!/bin/sh\necho no relay >&2\nexit 75\n")
    [said] = await tell_changes(wishes(tmp_path, ""), [LATE], 1)
    assert "ended with 75: no relay" in said


def test_what_is_remembered_comes_back() -> None:
    seen = seen_in([FINE, LATE, LOOSE])
    assert parse_seen(render_seen(seen)) == seen == seen_in([LATER, LOOSE])
    for broken in (b"", b"[]", b'{"outcome": "x", "ill": []}', json.dumps({"outcome": 1, "ill": [1]}).encode()):
        assert parse_seen(broken) == WELL
