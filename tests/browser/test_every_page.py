"""Every page in Chromium without script: three widths, light and dark, by keyboard alone; accessible, and valid."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from redirector.registry.edit import carried, catalogue, sites
from redirector.registry.edit.change import Change
from redirector.store.checks import put_check
from redirector.store.registry.rows import HostRow, ReleaseRow
from tests.browser.conftest import look
from tests.web.conftest import Api
from tests.web.test_forms import logged_in

WIDTHS = (360, 800, 1280)
SCHEMES = ("light", "dark")

VISITORS = (
    "/mirrors", "/mirrors?country=DE&state=ok&sort=lag", "/mirrors/{mirror}", "/map", "/propagation", "/statistics",
    "/join", "/signup", "/login", "/login/reset", "/there-is-no-such-page",
)  # fmt: skip
ADMINS = (
    "/sites", "/sites/new", "/sites/{site}", "/sites/{site}/hosts/new", "/hosts/{host}", "/hosts/{host}?saved=1",
    "/hosts/{host}/check", "/hosts/{host}/effect", "/sites/{site}/effect", "/hosts/{host}/urls/{url}",
    "/account", "/events",
)  # fmt: skip
DISTRIBUTION = (
    "/desk", "/sites/{site}", "/sites", "/desk/accounts", "/desk/releases", "/desk/releases/{release}",
    "/desk/categories", "/desk/repositories", "/desk/redirects", "/events?what=host.add",
)  # fmt: skip
NOBODY = ("/mirrors", "/map", "/propagation", "/statistics", "/join")


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was seen."""

    found: list[dict[str, Any]]

    def where(self, wrong: str) -> list[str]:
        return [
            f"{each['url']} at {each['width']}, {each['scheme']}: {each[wrong]}" for each in self.found if each[wrong]
        ]


async def _waiting(api: Api) -> dict[str, int]:
    """A site that asks, with a host, and a look that found one thing of each kind; a release under embargo."""
    registry = api.registry
    site = await registry.site(name="Waiting", approved=False)
    host = await registry.host(site, name="waiting.example.org", city="Berlin")
    await registry.carry(host, "https://waiting.example.org/linux/", always=False)
    url = (await registry.do(_urls, host))[0]
    await registry.owner("keeper", site)
    await registry.do(sites.decide_site, site.id, None, {"action": "ask", "text": "Please."})
    release = {"product": "Example Linux", "version": "2", "not_before": "2040-01-01T00:00:00Z"}
    made: ReleaseRow = await registry.do(catalogue.create_release, release)
    async with registry.store.write() as connection:
        found = [("https://waiting.example.org/linux/", *each) for each in (
            ("answer", "ok", "answers from 192.0.2.1"),
            ("missing", "error", "what is not there is answered by 200: clients take the page for the file (soft 404)"),
            ("cache", "warning", "repodata/repomd.xml is sent without Cache-Control"),
        )]  # fmt: skip
        await put_check(connection, host.id, registry.now - 60, 12, "keeper", [(u, c, v, t) for u, c, v, t in found])
    return {"site": site.id, "host": host.id, "url": url, "release": made.id}


async def _urls(change: Change, host: HostRow) -> list[int]:
    return [each.row.id for each in await carried.list_urls(change, host.id)]


@pytest.fixture
async def seen(network: Api) -> AsyncIterator[Seen]:
    """One look at all of it: a browser takes a second to begin, and a page half a second."""
    numbers = await _waiting(network)
    keeper = await logged_in(network, "keeper")
    chief = await logged_in(network, "chief", admin=True)
    mirror = (await network.registry.publication()).hosts[0].row.name
    base = str(network.client.make_url("")).rstrip("/")
    pages = [
        {
            "url": base + path.format(mirror=mirror, **numbers), "cookies": cookies, "width": width, "scheme": scheme,
            "tabs": width != 800 and scheme == "light", "validate": width == 800 and scheme == "light",
        }
        for paths, cookies in ((VISITORS, None), (ADMINS, keeper.cookies), (DISTRIBUTION, chief.cookies))
        for path in paths
        for width in WIDTHS
        for scheme in SCHEMES
    ]  # fmt: skip
    yield Seen(await look(pages))


@pytest.fixture
async def bare(api: Api) -> AsyncIterator[Seen]:
    """The public pages while nothing is there."""
    base = str(api.client.make_url("")).rstrip("/")
    yield Seen(
        await look(
            [{"url": base + path, "width": 360, "scheme": "light", "tabs": True, "validate": True} for path in NOBODY]
        )
    )


def check(seen: Seen) -> None:
    """Nothing is amiss anywhere."""
    statuses = {each["url"]: each["status"] for each in seen.found if each["status"] != 200}
    assert all(url.endswith("/there-is-no-such-page") for url in statuses), statuses
    wide = [f"{each['url']}: {each['wide']} at {each['width']}" for each in seen.found if each["wide"] > each["width"]]
    assert not wide, wide
    assert not seen.where("cut"), seen.where("cut")
    assert not seen.where("elsewhere") and not seen.where("axe")
    assert not [each for each in seen.found if each.get("html")], [
        each["html"] for each in seen.found if each.get("html")
    ]
    for each in seen.found:
        if "tabs" in each:
            assert each["tabs"]["reached"] >= each["tabs"]["expected"] > 4, (each["url"], each["tabs"])
            assert not each["tabs"]["invisible"], (each["url"], each["tabs"])


async def test_every_page_is_well_at_three_widths_light_and_dark(seen: Seen) -> None:
    check(seen)
    assert len(seen.found) == len((*VISITORS, *ADMINS, *DISTRIBUTION)) * 6
    colours = {scheme: {each["background"] for each in seen.found if each["scheme"] == scheme} for scheme in SCHEMES}
    assert len(colours["light"]) == len(colours["dark"]) == 1 and colours["light"] != colours["dark"]


async def test_pages_are_well_while_nothing_is_there(bare: Seen) -> None:
    check(bare)


async def test_what_looks_can_find_something() -> None:
    bad = (
        '<!doctype html><html><head><title></title></head><body><img src="/x.png"><input id="a"><input id="a">'
        '<p style="width:900px;color:#ccc;background:#fff">pale</p><button style="outline:none">x</button>'
        '<div class="wide" style="width:50px;overflow:auto"><p style="width:90px">cut off</p></div></bodyy>'
    )

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=bad, content_type="text/html")

    application = web.Application()
    application.router.add_get("/", answer)
    async with TestServer(application) as server:
        (found,) = await look(
            [{"url": str(server.make_url("/")), "width": 360, "scheme": "light", "tabs": True, "validate": True}]
        )
    assert found["wide"] > 360 and found["html"] and found["tabs"]["invisible"] and found["cut"] == ["cut off"]
    assert {"image-alt", "label", "color-contrast", "html-has-lang"} <= {each["id"] for each in found["axe"]}
