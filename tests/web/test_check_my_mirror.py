"""“Check my mirror”: only one's own, told while it is found, kept for who decides, bounded, and never inward."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from redirector.health.safety import Safety
from redirector.kit.checking import Tools, open_tools
from redirector.registry.edit import sites
from redirector.store.registry.rows import HostRow
from redirector.web.checks import AN_HOUR, known_of
from tests.registry.rig import Registry
from tests.web.browser import Browser
from tests.web.conftest import Api, serving
from tests.web.test_forms import logged_in

NAME = "mirror.example.org"


@pytest.fixture
async def mirror() -> AsyncIterator[TestServer]:
    """A mirror that says 200 of everything, as many a content system does."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="Welcome")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(application, host="127.0.0.1")
    await server.start_server()
    yield server
    await server.close()


def tools_of(allowed: str) -> Tools:
    async def resolve(name: str) -> tuple[object, ...]:
        return (ip_address("127.0.0.1"),)

    networks = (ip_network(allowed),) if allowed else ()
    return open_tools(
        Safety(networks),
        "test",
        time.time,
        lambda: time.monotonic() * 100,
        resolve=resolve,  # type: ignore[arg-type]
    )


async def make_host(registry: Registry, url: str, login: str) -> HostRow:
    await registry.category()
    site = await registry.site(approved=False)
    await registry.account(login)
    await registry.do(sites.put_admin, site.id, {"account": login})
    host = await registry.host(site, name=NAME)
    await registry.carry(host, url, always=False)
    return host


async def check(browser: Browser, host: HostRow) -> str:
    """Begin a look, and read along until it is done."""
    await browser.get(f"/hosts/{host.id}")
    await browser.send(f"/hosts/{host.id}/check")
    return browser.text


async def test_what_a_look_finds_is_told_while_it_is_found_and_stands_where_it_is_needed(
    registry: Registry, mirror: TestServer
) -> None:
    host = await make_host(registry, f"http://{NAME}:{mirror.port}/linux/", "ann")
    async with serving(registry, tools=lambda: tools_of("127.0.0.0/8")) as api:
        ann = await logged_in(api, "ann")
        text = await check(ann, host)
        assert "Done." in text and "soft 404" in text and "must change" in text
        assert "Answer 404 for what is not there" in text
        text = await ann.get(f"/hosts/{host.id}/check")
        assert "must change" in text and "as clients saw it" in text
        chief = await logged_in(api, "chief", admin=True)
        text = await chief.get(f"/sites/{host.site}")
        assert "the last check found 1 thing that must change" in text or "things that must change" in text
        stranger = await logged_in(api, "bob")
        await stranger.get(f"/hosts/{host.id}/check")
        assert stranger.status == 404
        await stranger.get("/sites")
        await stranger.post(f"/hosts/{host.id}/check")
        assert stranger.status == 404


async def test_inner_addresses_are_never_asked(registry: Registry, mirror: TestServer) -> None:
    host = await make_host(registry, f"http://{NAME}:{mirror.port}/linux/", "ann")
    async with serving(registry, tools=lambda: tools_of("")) as api:
        text = await check(await logged_in(api, "ann"), host)
        assert "soft 404" not in text and "127.0.0.1" in text and "must change" in text


async def test_an_account_may_ask_for_ten_an_hour(registry: Registry) -> None:
    host = await make_host(registry, f"https://{NAME}/linux/", "ann")
    async with serving(registry, tools=lambda: tools_of("")) as api:
        ann = await logged_in(api, "ann")
        for _ in range(AN_HOUR):
            await check(ann, host)
            assert ann.status == 200
        await check(ann, host)
        assert ann.status == 429 and "Ten checks an hour" in ann.text


async def test_private_hosts_and_hosts_without_a_url_are_not_looked_at(api: Api) -> None:
    registry = api.registry
    host = await make_host(registry, f"rsync://{NAME}/linux/", "ann")
    hidden = await registry.host(await registry.site(name="Hidden"), name="hidden.example.org", private=True)
    chief = await logged_in(api, "chief", admin=True)
    await check(chief, hidden)
    assert chief.status == 409 and "never visited" in chief.text
    bare = await registry.host(await registry.site(name="Bare"), name="bare.example.org")
    await check(chief, bare)
    assert chief.status == 409 and "Enter a public URL first" in chief.text
    assert host.id and known_of(None).index is None
