"""The exports by URL."""

from __future__ import annotations

import pytest

from redirector.web.access import API
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
    for path in ("/rsyncFilter", f"{API}/export/rsync-filter"):
        for query in ("", "?categories=None", "?categories=a%0A%2B%20*", "?categories=Example%20Linux&since=x"):
            wrong = await api.client.get(path + query)
            text = await wrong.text()
            assert (wrong.status, len(text.splitlines()), text.splitlines()[-1], text[0]) == (400, 2, "- *", "#")
    good = await api.client.get("/rsyncFilter?categories=Example%20Linux&since=0&stripprefix=pub/linux")
    assert (good.status, (await good.text()).splitlines()[-1]) == (200, "- *")


STATUSES = {
    "rsync-acl": {"nobody": 401, "unknown": 401, "somebody": 403, "host": 403, "other": 403, "chief": 200},
    "rsync-acl?host=one.example.org": {
        "nobody": 401, "unknown": 401, "somebody": 404, "host": 200, "other": 404, "chief": 200,
    },
    "rsync-acl?host=no.example.org": {
        "nobody": 401, "unknown": 401, "somebody": 404, "host": 404, "other": 404, "chief": 404,
    },
    "rsync-acl?host=a%0Ab": {"nobody": 401, "unknown": 401, "somebody": 404, "host": 404, "other": 404, "chief": 404},
    "rsync-acl?format=xml": dict.fromkeys(("somebody", "host", "other", "chief"), 422) | {"nobody": 401},
    "exclusions?host=one.example.org": {
        "nobody": 401, "unknown": 401, "somebody": 404, "host": 200, "other": 404, "chief": 200,
    },
    "exclusions": {"nobody": 401, "somebody": 422, "chief": 422},
    "tiers": {"nobody": 200, "unknown": 401, "somebody": 200, "host": 200, "check-in": 200, "chief": 200},
    "public": {"nobody": 200, "unknown": 401, "somebody": 200, "host": 200, "check-in": 200, "chief": 200},
    "mirmon": {"nobody": 200, "unknown": 401, "somebody": 200, "host": 200, "check-in": 200, "chief": 200},
    "rsync-filter?categories=Example%20Linux": {"nobody": 200, "unknown": 401, "somebody": 200, "chief": 200},
    "nothing": {"nobody": 404, "unknown": 404, "somebody": 404, "chief": 404},
}  # fmt: skip
"""Export -> who asks -> the answer's status. `host` and `check-in` are tokens of the host that is asked about."""


@pytest.mark.parametrize("name", STATUSES)
async def test_who_gets_which_export(api: Api, name: str) -> None:
    await furnish(api.registry)
    _, chief = await api.person("chief", admin=True)
    _, somebody = await api.person("somebody")
    tokens = {"nobody": None, "unknown": "rdr_unknown", "somebody": somebody, "chief": chief}
    for who, host, scope in (("host", 1, "read"), ("other", 3, "read"), ("check-in", 1, "check-in")):
        made = await api.ask("POST", f"/hosts/{host}/tokens", chief, {"scope": scope})
        tokens[who] = (await made.json())["token"]
    found = {who: (await api.ask("GET", f"/export/{name}", tokens[who])).status for who in STATUSES[name]}
    assert found == STATUSES[name]


async def test_contacts_are_given_by_command_alone(api: Api) -> None:
    await furnish(api.registry)
    _, chief = await api.person("chief", admin=True)
    assert "ops@example.org" not in await (await api.ask("GET", "/export/mirmon?mail=1", chief)).text()
