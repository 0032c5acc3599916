"""What the pages call `ok` is what strangers are given: a thousand of them ask a server over the published snapshot."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from random import Random

from redirector.answer.answer import Request
from redirector.answer.serve import Responder
from redirector.locate.proxies import Client
from redirector.registry.publish.encode import encode
from redirector.settings.serving import Config
from redirector.snapshot.load import load_snapshot
from tests.web.conftest import Api

STRANGERS = 1000


async def test_a_mirror_is_ok_on_the_list_exactly_when_a_stranger_can_be_given_it(network: Api, tmp_path: Path) -> None:
    publication = await network.registry.publication()
    path = tmp_path / "snapshot"
    path.write_bytes(b"".join(encode(publication)))
    snapshot = load_snapshot(Config(source=str(path), minimum=100), network.registry.now, lint=False)
    responder = Responder(snapshot)
    chance, given = Random(5), set[str]()
    for _ in range(STRANGERS):
        address = ip_address(chance.randrange(0x0B000000, 0xDF000000))
        query = f"/mirrorlist?repo=pub-linux-1&arch=x86_64&protocol={chance.choice(('http', 'https'))}"
        answer = responder.answer(Request(query.encode(), Client(address.packed), float(network.registry.now), 0))
        given |= set(re.findall(r"^https?://([^/]+)/", answer.body.decode(), re.MULTILINE))
    text = await (await network.client.get("/mirrors")).text()
    rows = re.findall(r'href="/mirrors/([^"?]+)">[^/]+</a></td><td class="state t-(\w+)', text)
    assert {host for host, state in rows if state == "ok"} == given
    assert 0 < len(given) < len(rows)
