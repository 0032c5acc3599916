"""The exports by URL."""

from __future__ import annotations

from tests.registry.test_exports import furnish
from tests.web.conftest import Api


async def test_addresses_need_a_token_and_tiers_do_not(api: Api) -> None:
    await furnish(api.registry)
    assert (await api.ask("GET", "/export/rsync-acl")).status == 401
    assert (await api.ask("GET", "/export/tiers")).status == 200
    assert (await api.ask("GET", "/export/nothing")).status == 404
    _, chief = await api.person("chief", admin=True)
    told = await api.ask("GET", "/export/rsync-acl?format=hosts", chief)
    assert await told.text() == "hosts allow = 8.8.8.8 2001:4860::1\nhosts deny = *\n"
    as_json = await api.ask("GET", "/export/rsync-acl?format=json&tier=1", chief)
    assert (as_json.content_type, await as_json.json()) == ("application/json", ["8.8.8.8"])


async def test_a_host_s_token_gives_who_may_pull_from_it(api: Api) -> None:
    await furnish(api.registry)
    _, chief = await api.person("chief", admin=True)
    made = await (await api.ask("POST", "/hosts/3/tokens", chief, {"scope": "read"})).json()
    told = await api.ask("GET", "/export/rsync-acl?host=two.example.org", made["token"])
    assert await told.text() == "8.8.4.4\n8.8.8.8\n"
    assert (await api.ask("GET", "/export/rsync-acl", made["token"])).status == 403
    assert (await api.ask("GET", "/export/rsync-acl?host=one.example.org", made["token"])).status == 404


async def test_a_wrong_request_for_the_filter_transfers_nothing(api: Api) -> None:
    await furnish(api.registry)
    for query in ("", "?categories=None", "?categories=Example%20Linux&since=x"):
        wrong = await api.client.get(f"/rsyncFilter{query}")
        text = await wrong.text()
        assert (wrong.status, text.splitlines()[-1], text[0]) == (400, "- *", "#")
    good = await api.client.get("/rsyncFilter?categories=Example%20Linux&since=0&stripprefix=pub/linux")
    assert (good.status, (await good.text()).splitlines()[-1]) == (200, "- *")
