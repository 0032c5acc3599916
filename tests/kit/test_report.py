"""What a mirror reports, in both forms, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import base64
import bz2
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from xmlrpc.client import dumps, loads

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from redirector.errors import FormatError
from redirector.kit.checkin import Carried, look_at, parse_traffic, read_old_answer, render_old_report, render_report
from redirector.kit.reporting import ReportError, send_old_report, send_report
from tests.health.mirrors import write
from tests.kit.rig import write_kit

VECTOR = (
    "QlpoOTFBWSZTWS7o_TYAAJrfgEAAUAX0EAIACAA_59_KMADYthpRhGJtTT1DQAANU8UbU0eoDQAA0EppJqep6CNPU0NGT1NGm9w0QQgFSuMGDfBo"
    "qYZBBVfVbq3XbFZWteCYZS86Sp3TshI5VkUv8TvmGdjjBFWToGiOrXG2W2YQtixN37y6EHwsDggq7SD8Rb2QsFiipj9elGZGEAfi4NEEwUV7gGDy"
    "2iUvkG3oraZZQsKVJggRjYnGTiEHLWDM1PBiDw9VbRJ1jGoQykEUFdpoQ4_8XckU4UJAu6P02A=="
)


def unpack(packed: str) -> object:
    return json.loads(bz2.decompress(base64.urlsafe_b64decode(packed)))


def test_the_old_form_is_that_of_report_mirror() -> None:
    carried = {"Fedora Linux": Carried(("", "releases", "releases/42"))}
    call = render_old_report(
        "https://mm.example.org/xmlrpc", "Example Site", "mirror.example.org", "correct horse", carried
    )
    (packed,), method = loads(call)
    assert method == "checkin" and isinstance(packed, str)
    assert unpack(packed) == unpack(VECTOR)


def test_a_tree_is_reported_by_its_directories_and_indexes(tmp_path: Path) -> None:
    write(tmp_path / "releases" / "42" / "os" / "repodata" / "repomd.xml", b"<repomd/>", 1)
    write(tmp_path / ".~tmp~" / "x", b"x", 1)
    carried = look_at(str(tmp_path))
    assert carried.directories == ("", "releases", "releases/42", "releases/42/os", "releases/42/os/repodata")
    digest = hashlib.sha256(b"<repomd/>").hexdigest()
    assert carried.repomd == {"releases/42/os/repodata/repomd.xml": digest}
    assert render_report("m", 7, {"Fedora": carried}, {})["categories"]["Fedora"]["repomd"] == carried.repomd
    with pytest.raises(OSError):
        look_at(str(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        pytest.param({"jsonversion": "2", "interfaces": [{"name": "eth0", "traffic": {"day": "DAYS"}}]}, 1, id="2"),
        pytest.param({"jsonversion": "1", "interfaces": [{"id": "eth0", "traffic": {"days": "DAYS"}}]}, 1024, id="1"),
    ],
)
def test_traffic_is_what_vnstat_counted(told: dict[str, object], sent: int) -> None:
    days = '[{"date": {"year": 2026, "month": 11, "day": 8}, "rx": 5, "tx": 700}]'
    raw = json.dumps(told).replace('"DAYS"', days).encode()
    assert parse_traffic(raw, "eth0") == {"2026-11-08": 700 * sent}


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"interfaces": []}', b'{"interfaces": [{"name": "eth0"}]}'])
def test_what_vnstat_does_not_say_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_traffic(raw, "eth0")


def test_answers_of_old_servers() -> None:
    good = dumps(
        ("Category X directories updated: 1  added: 0  deleted 0\nchecked in successful",), methodresponse=True
    )
    assert read_old_answer(good.encode())[0]
    bad = dumps(("Config file site name or password incorrect.\nerror checking in",), methodresponse=True)
    assert read_old_answer(bad.encode()) == (False, "Config file site name or password incorrect.\nerror checking in")
    assert not read_old_answer(b"<html>no</html>")[0]


class Registry:
    """A registry that answers what it is told to answer."""

    def __init__(self, *answers: web.Response) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, bytes]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, request.headers.get("Authorization", ""), await request.read()))
        return self.answers.pop(0)

    def server(self) -> TestServer:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.answer)
        return TestServer(application)


async def test_a_report_carries_its_token_and_is_sent_again_when_the_registry_is_away() -> None:
    registry = Registry(web.Response(status=503), web.json_response({"known": 3}))
    async with registry.server() as server:
        said = await send_report(str(server.make_url("")).rstrip("/"), "rdr_x", {"host": "m"}, pause_s=0)
    assert said == '{"known": 3}'
    assert registry.asked[1] == ("/api/v1/check-in", "Bearer rdr_x", b'{"host": "m"}')


async def test_a_refused_report_says_why_and_no_redirect_takes_the_token_elsewhere() -> None:
    problem = web.json_response({"title": "wrong", "errors": [{"field": "host", "text": "no such host"}]}, status=422)
    registry = Registry(problem, web.Response(status=307, headers={"Location": "/elsewhere"}))
    async with registry.server() as server:
        url = str(server.make_url("")).rstrip("/")
        with pytest.raises(ReportError, match="422: wrong; host: no such host"):
            await send_report(url, "rdr_x", {}, pause_s=0)
        with pytest.raises(ReportError, match="307"):
            await send_report(url, "rdr_x", {}, pause_s=0)
    assert len(registry.asked) == 2


async def test_an_answer_that_comes_in_several_packets_is_read_whole() -> None:
    good = dumps(("checked in successful",), methodresponse=True).encode()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in (good[:40], good[40:]):
            await response.write(part)
            for _ in range(100):  # so that who asks, in this same loop, sees each part by itself
                await asyncio.sleep(0)
        return response

    application = web.Application()
    application.router.add_post("/xmlrpc", answer)
    async with TestServer(application) as server:
        said = await send_old_report(str(server.make_url("")).rstrip("/"), b"<x/>", pause_s=0)
    assert said == "checked in successful"


async def test_the_old_report_is_taken_or_not() -> None:
    good = dumps(("checked in successful",), methodresponse=True)
    bad = dumps(("error checking in",), methodresponse=True)
    registry = Registry(web.Response(text=good), web.Response(text=bad))
    async with registry.server() as server:
        url = str(server.make_url("")).rstrip("/")
        assert "successful" in await send_old_report(url, b"<x/>", pause_s=0)
        with pytest.raises(ReportError, match="error checking in"):
            await send_old_report(url, b"<x/>", pause_s=0)
    assert registry.asked[0][0] == "/xmlrpc"


def test_the_command_says_what_it_would_tell(tmp_path: Path) -> None:
    write(tmp_path / "tree" / "releases" / "x", b"x", 1)
    (tmp_path / "token").write_text("rdr_secret\n")
    kit = tmp_path / "kit"
    write_kit(
        kit,
        {
            "root": str(tmp_path / "tree"), "report": "https://mirrors.example.org", "categories": "{Example: ''}",
            "report_token": str(tmp_path / "token"),
        },
    )  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "redirector", "mirror", "report", "--dry-run", "--kit", str(kit)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["host"] == "mirror.example.org"
    assert told["categories"] == {"Example": {"directories": ["", "releases"], "repomd": {}}}
    assert "secret" not in ended.stdout
