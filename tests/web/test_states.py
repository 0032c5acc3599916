"""What is said of a host: the same on every page, to strangers, its admins and operators."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest

from redirector.registry.edit import hosts, sites
from redirector.web.words import REASONS, STATES, WHAT_TO_DO
from tests.registry.rig import Registry
from tests.web.conftest import serving
from tests.web.test_forms import logged_in

LONG = {"from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z"}

HOSTS: dict[str, dict[str, Any]] = {
    "ok": {},
    "host-off": {"enabled": False},
    "maintenance": {"maintenance": LONG},
    "no-url": {},
    "no-network": {"private": True},
    "unchecked": {},
    "cloud": {"cloud_type": "aws", "cloud_regions": ["eu-west-1"]},
}
"""State -> what is entered of a host so that it has that state, at a site that is approved."""

SITES: dict[str, tuple[dict[str, str], ...]] = {
    "site-draft": (),
    "site-waiting": ({"action": "ask"},),
    "site-refused": ({"action": "ask"}, {"action": "refuse", "text": "no"}),
    "site-suspended": ({"action": "approve"}, {"action": "suspend", "text": "no"}),
    "site-off": ({"action": "approve"},),
}
"""State -> what is decided about its site."""


async def made(registry: Registry, state: str) -> str:
    """A host of that state: its name."""
    name = f"{state}.example.org"
    site = await registry.site(name=state, approved=state in HOSTS)
    host = await registry.host(site, name=name)
    scheme = "rsync" if state == "no-url" else "https"
    await registry.carry(host, f"{scheme}://{name}/linux/", always=state != "unchecked")
    if fields := HOSTS.get(state):
        await registry.do(hosts.edit_host, host.id, None, fields)
    for decision in SITES.get(state, ()):
        await registry.do(sites.decide_site, site.id, None, decision)
    if state == "site-off":
        await registry.do(sites.edit_site, site.id, None, {"enabled": False})
    return name


@pytest.mark.parametrize("state", [*HOSTS, *SITES])
async def test_every_page_says_the_same_of_a_host(registry: Registry, state: str) -> None:
    await registry.category()
    name = await made(registry, state)
    public = state not in ("no-network", *SITES) or state == "site-off"
    async with serving(registry) as api:
        chief = await logged_in(api, "chief", admin=True)

        async def shows(path: str, *texts: str) -> None:
            text = unescape(await chief.get(path)).replace("<wbr>", "")
            assert chief.status == 200 and f">{STATES[state]}<" in text and name in text, (path, text)
            assert not [each for each in texts if each not in text], (path, text)

        await shows("/hosts/1", REASONS[state], WHAT_TO_DO[state])
        await shows("/sites/1", WHAT_TO_DO[state])
        answer = await api.ask("GET", "/mirrors")
        listed = {item["host"]: item["state"] for item in (await answer.json())["items"]}
        assert listed == ({name: state} if public else {})
        if public:
            await shows(f"/mirrors/{name}", *(() if state == "ok" else (REASONS[state],)))
            await shows("/mirrors")
        else:
            await chief.get(f"/mirrors/{name}")
            assert chief.status == 404
