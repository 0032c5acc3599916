"""The whole way of a site, from an account to its end; and of a release under embargo, from its notice to its day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from redirector.health.send import empty
from redirector.kit.reporting import send_report
from redirector.registry.announcing import Post
from redirector.registry.edit import hosts, sites
from redirector.registry.edit.scanned import adopt_scans
from redirector.settings.mail import Telling
from redirector.store import evidence
from redirector.store.contents import keep_contents
from redirector.store.directories import Packed
from redirector.store.registry import queries
from redirector.store.registry.rows import AccountRow, HostRow
from redirector.web.mailing import Postman
from tests.health.test_sending import Relay, relay
from tests.registry.rig import CIPHER, NOW
from tests.registry.test_joined import current, scan, scanned, seen
from tests.web.conftest import Api, api, registry

__all__ = ["api", "registry"]

DAY_S = 86_400
MIRROR = "mirror.example.org"


@dataclass
class Network:
    """A registry with its API, its postman, a mail relay, and two people."""

    api: Api
    relay: Relay
    postman: Postman
    chief: str
    anna: str

    async def ask(self, method: str, path: str, token: str, body: Any = None, status: int = 200, **more: str) -> Any:
        response = await self.api.ask(method, path, token, body, **more)
        assert response.status == status, await response.text()
        return await response.json() if response.content_type.endswith("json") else await response.text()

    async def mail(self) -> list[tuple[str, str]]:
        """(address, subject) of what is sent now."""
        before = len(self.relay.taken)
        await self.postman.step()
        await empty(self.api.registry.store, self.postman.courier, lambda: float(self.api.registry.now))
        return [(to[0], str(message["Subject"]).strip()) for to, message in self.relay.taken[before:]]

    async def reason(self, host: str = MIRROR) -> str | None:
        """Why the host is in no list; None when it is listed."""
        published = await self.api.registry.publication()
        (found,) = [each for each in published.hosts if each.row.name == host]
        return found.reason[0].value if found.reason else None

    async def listed(self, host: str = MIRROR) -> set[str]:
        return (await current(self.api.registry)).get(host, set())

    async def acl(self) -> str:
        text: str = await self.ask("GET", "/export/rsync-acl?format=hosts", self.chief)
        return text


@pytest.fixture
async def network(api: Api) -> AsyncIterator[Network]:
    store = api.registry.store
    _, chief = await api.person("chief", admin=True)
    _, anna = await api.person("anna")
    async with store.write() as connection:
        for login in ("chief", "anna"):
            values = {"mail": f"{login}@example.org", "mail_verified": NOW}
            await queries.set_columns(connection, AccountRow, {"login": login}, **values)
    await scanned(api.registry)
    async with relay() as server:
        telling = Telling(server.mail(), ())
        post = Post(mails=True, name="Example Mirrors", pages="https://mirrors.example.org", cipher=CIPHER)
        postman = Postman(store, post, telling, lambda: float(api.registry.now))
        yield Network(api, server, postman, chief, anna)


async def join(network: Network) -> tuple[int, int]:
    """Anna's site and host, complete, and not approved yet: their numbers."""
    site = await network.ask(
        "POST",
        "/sites",
        network.anna,
        {"name": "Example Site", "url": "https://example.org/", "contacts": ["anna@example.org"]},
        201,
    )
    body = {"name": MIRROR, "country": "DE", "bandwidth_mbit": 1000, "new_releases": True, "tier": 2}
    host = await network.ask("POST", f"/sites/{site['id']}/hosts", network.anna, body, 201)
    path = f"/hosts/{host['id']}"
    await network.ask("POST", f"{path}/categories", network.anna, {"category": "Example Linux"}, 201)
    url = {"category": "Example Linux", "url": f"https://{MIRROR}/linux/"}
    await network.ask("POST", f"{path}/urls", network.anna, url, 201)
    await network.ask("POST", f"{path}/acl", network.anna, {"address": "8.8.8.8"}, 201)
    return site["id"], host["id"]


async def decide(network: Network, site: int, action: str, text: str = "") -> None:
    who = network.anna if action == "ask" else network.chief
    await network.ask("POST", f"/sites/{site}/approval", who, {"action": action, "text": text})


async def test_from_an_account_to_the_end(network: Network) -> None:
    registry = network.api.registry
    site, host = await join(network)
    assert await network.mail() == []
    assert "8.8.8.8" not in await network.acl() and "hosts deny = *" in await network.acl()

    await decide(network, site, "ask")
    assert await network.mail() == [("chief@example.org", "[Example Mirrors] Example Site asks for approval")]
    await decide(network, site, "refuse", "which rack is it in?")
    assert await network.mail() == [("anna@example.org", "[Example Mirrors] Example Site: not approved")]
    assert "which rack is it in?" in network.relay.taken[-1][1].get_content()
    assert network.relay.taken[-1][1]["Reply-To"] == "help@example.org"
    await decide(network, site, "ask")
    await decide(network, site, "approve", "welcome")
    subjects = [subject for _, subject in await network.mail()]
    assert "[Example Mirrors] Example Site: approved" in subjects

    assert "8.8.8.8" in await network.acl() and "hosts deny = *" in await network.acl()
    assert await network.reason() == "unchecked" and await network.listed() == set()

    registry.now += 600
    token = await network.ask("POST", f"/hosts/{host}/tokens", network.anna, {"scope": "check-in"}, 201)
    body = {"host": MIRROR, "categories": {"Example Linux": {"directories": ["", "1", "1/os"]}}}
    url = str(network.api.client.make_url("")).rstrip("/")
    assert '"believed": false' in await send_report(url, token["token"], body)
    assert await network.reason() == "unchecked"

    await seen(registry, MIRROR, {}, at=registry.now)
    assert await network.reason() is None and "1/os" in await network.listed()
    registry.now += 600
    await send_report(url, token["token"], body)
    async with registry.store.read() as connection:
        (row,) = await evidence.find_hosts(connection)
    assert row.next_visit <= registry.now

    await decide(network, site, "suspend", "wrong files")
    assert await network.mail() == [("anna@example.org", "[Example Mirrors] Example Site: suspended")]
    assert await network.listed() == set() and "8.8.8.8" not in await network.acl()
    await decide(network, site, "approve")
    assert await network.listed() and len(await network.mail()) == 1

    window = {"from": "2026-09-21T00:00:00Z", "to": "2026-09-30T00:00:00Z"}
    await registry.do(hosts.edit_host, host, None, {"maintenance": window})
    assert await network.reason() == "maintenance" and await network.listed() == set()
    await registry.do(hosts.edit_host, host, None, {"maintenance": None})
    assert await network.reason() is None

    below = await registry.site(name="Below", contacts=["below@example.org"])
    await registry.host(below, name="second.example.org", pulls_from=MIRROR)
    await registry.owner("bea", below)
    async with registry.store.write() as connection:
        values = {"mail": "bea@example.org", "mail_verified": NOW}
        await queries.set_columns(connection, AccountRow, {"login": "bea"}, **values)
    await network.mail()
    await network.ask("POST", f"/hosts/{host}/leave", network.anna)
    leaving = f"[Example Mirrors] {MIRROR} is leaving: pull from another mirror"
    assert await network.mail() == [("bea@example.org", leaving)]
    assert await network.listed() == set() and "8.8.8.8" not in await network.acl()
    registry.now += 30 * DAY_S
    assert await registry.do(sites.sweep) == [MIRROR]
    async with registry.store.read() as connection:
        assert await queries.find(connection, HostRow, name=MIRROR) is None


async def test_a_release_under_embargo(network: Network) -> None:
    registry = network.api.registry
    site, _ = await join(network)
    await decide(network, site, "approve")
    inside = await registry.host(await registry.site(name="Inside"), name="inside.example.org", private=True)
    await registry.carry(inside, always=False)
    await registry.network(inside, "8.8.4.0/24")
    registry.now += 10
    await seen(registry, MIRROR, {}, at=registry.now)
    await network.mail()

    release = {"product": "Example", "version": "3", "not_before": "2026-10-01T14:00:00Z"}
    await network.ask("POST", "/releases", network.chief, release, 201)
    await network.ask("GET", "/releases", network.anna, status=403)
    assert await network.mail() == [
        ("anna@example.org", "[Example Mirrors] Example 3: staged, public on 2026-10-01 14:00 UTC")
    ]

    token = await network.ask("POST", f"/hosts/{inside.id}/tokens", network.chief, {"scope": "check-in"}, 201)
    body = {"categories": {"Example Linux": {"directories": ["", "1", "1/os", "3", "3/os"]}}}
    told = await network.ask("POST", "/check-in", token["token"], body)
    assert told["categories"][0]["added"] == 5 and told["categories"][0]["unknown"] == 0
    assert await network.listed("inside.example.org") == {"", "1", "1/os"}

    registry.now = 1_790_863_200
    assert await network.mail() == [], "the moment has come, but the master does not show it yet"
    assert await network.listed("inside.example.org") == {"", "1", "1/os"}

    opened = tuple(
        type(each)(each.path, each.changed, 2, False, each.count, each.digest, each.packed_files, each.packed_versions)
        for each in scan().directories
    )
    async with registry.store.write() as connection:
        fresh = scan(push=2, checked=registry.now, read=registry.now, directories=opened)
        await keep_contents(connection, Packed.of(fresh))
    await registry.do(adopt_scans)
    registry.now += 60
    assert await network.mail() == [("anna@example.org", "[Example Mirrors] Example 3 is public")]
    assert await network.listed("inside.example.org") == {"", "1", "1/os", "3", "3/os"}
    registry.now += 60
    assert await network.mail() == []
