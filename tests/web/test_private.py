"""What is private is in nothing that a visitor can ask for, whatever its past."""

from __future__ import annotations

import re

from redirector.registry.edit import hosts, sites
from redirector.registry.exporting import NAMES
from redirector.store.registry import queries
from redirector.store.registry.rows import HostRow, SiteRow
from redirector.web.access import API
from tests.web.conftest import Api

FORMATS = (
    "",
    "?format=json",
    "?format=csv",
    "?limit=200",
    "?tier=1",
    "?country=DE",
    "?categories=Example%20Linux&since=1",
)


async def test_no_public_answer_names_a_private_host_or_the_host_of_a_private_site(network: Api) -> None:
    registry = network.registry
    async with registry.store.read() as connection:
        first, second, third = (await queries.list_rows(connection, HostRow))[:3]
        site = await queries.find(connection, SiteRow, id=second.site)
    assert site is not None
    await registry.do(hosts.edit_host, first.id, None, {"private": True})
    await registry.do(sites.edit_site, site.id, None, {"private": True})
    await registry.do(hosts.edit_host, third.id, None, {"pulls_from": first.name})
    router = network.client.app.router
    paths = {f"{API}/export/{name}" for name in NAMES}
    for resource in router.resources():
        pattern = resource.canonical
        for name in (first.name, second.name, third.name):
            paths.add(re.sub(r"\{[^}]*\}", name, pattern))
        paths.add(re.sub(r"\{[^}]*\}", "1", pattern))
    answered = set()
    for path in sorted(paths):
        for query in FORMATS if path.count("/") < 4 or "/export/" in path else ("",):
            answer = await network.client.get(path + query, allow_redirects=False)
            text = await answer.text()
            asked = next((name for name in (first.name, second.name) if name in path), None)
            assert answer.status < 500, path
            for name in {first.name, second.name} - {asked}:
                assert name not in text, path + query
            if asked is not None:
                assert answer.status in (303, 400, 401, 404, 405, 422), path
            if third.name in text and third.name not in path:
                answered.add(path)
    assert {"/mirrors", f"{API}/mirrors", f"{API}/export/public"} <= answered
