"""What everybody may ask of the API."""

from __future__ import annotations

import pytest

from redirector.stats.counts import begin_of_day, week_of_day
from redirector.store import statistics
from redirector.store.statistics import PropagationRow
from tests.registry.rig import Registry
from tests.web.conftest import Api


async def network(registry: Registry) -> None:
    """Three mirrors, one of them switched off."""
    await registry.category()
    site = await registry.site()
    for name, country, fields in (
        ("a.example.org", "DE", {"tier": 1}),
        ("b.example.org", "FR", {}),
        ("c.example.org", "FR", {"enabled": False}),
    ):
        host = await registry.host(site, name=name, country=country, **fields)
        await registry.carry(host, f"https://{name}/linux/", f"rsync://{name}/linux/")


async def test_the_mirrors_are_told_page_by_page(api: Api) -> None:
    await network(api.registry)
    answer = await api.ask("GET", "/mirrors?limit=2")
    first = await answer.json()
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert [item["host"] for item in first["items"]] == ["a.example.org", "b.example.org"]
    rest = await (await api.ask("GET", f"/mirrors?limit=2&after={first['next']}")).json()
    assert [(item["host"], item["state"], item["reason"]) for item in rest["items"]] == [
        ("c.example.org", "host-off", "host-off")
    ]
    assert rest["next"] is None


async def test_mirrors_can_be_chosen_as_on_the_page(api: Api) -> None:
    await network(api.registry)
    for query, names in (
        ("country=fr", ["b.example.org", "c.example.org"]),
        ("state=ok&country=FR", ["b.example.org"]),
        ("tier=1", ["a.example.org"]),
        ("tier=none&state=ok", ["b.example.org"]),
        ("protocol=rsync", ["a.example.org", "b.example.org", "c.example.org"]),
        ("protocol=ftp", []),
        ("version=1&arch=x86_64", ["a.example.org", "b.example.org"]),
        ("version=1&arch=aarch64", []),
        ("product=Example Linux", ["a.example.org", "b.example.org", "c.example.org"]),
        ("family=ipv6", []),
    ):
        answer = await (await api.ask("GET", f"/mirrors?{query}")).json()
        assert [item["host"] for item in answer["items"]] == names, query


async def test_one_mirror_is_told_by_its_name_in_any_case(api: Api) -> None:
    await network(api.registry)
    answer = await api.ask("GET", "/mirrors/A.example.org")
    told = await answer.json()
    assert (told["host"], told["country"], told["urls"][0]["protocol"]) == ("a.example.org", "DE", "https")
    assert (await api.ask("GET", "/mirrors/nobody.example.org")).status == 404


async def test_a_change_is_seen_at_once(api: Api) -> None:
    await network(api.registry)
    _, token = await api.person("root", admin=True)
    assert (await (await api.ask("GET", "/mirrors/a.example.org")).json())["state"] == "ok"
    await api.ask("PATCH", "/hosts/1", token, {"enabled": False}, If_Match="*")
    assert (await (await api.ask("GET", "/mirrors/a.example.org")).json())["state"] == "host-off"


async def test_status_is_told_though_nothing_is_known(api: Api) -> None:
    told = await (await api.ask("GET", "/status")).json()
    assert (told["version"], told["urls"]) == (3, [])


async def test_statistics_are_told_page_by_page(api: Api) -> None:
    rows = [PropagationRow(api.registry.now, f"repo-{number}", 1, 2, 3, 4, 5) for number in range(3)]
    async with api.registry.store.write() as connection:
        await statistics.add_propagation(connection, rows)
    first = await (await api.ask("GET", "/statistics/propagation?limit=2")).json()
    assert [item["repository"] for item in first["items"]] == ["repo-0", "repo-1"]
    rest = await (await api.ask("GET", f"/statistics/propagation?after={first['next']}")).json()
    assert [item["same_day"] for item in rest["items"]] == [1] and rest["next"] is None
    assert (await (await api.ask("GET", "/statistics/access")).json())["items"] == []
    assert (await (await api.ask("GET", "/statistics/countme")).json())["items"] == []


@pytest.mark.parametrize("name", ["access", "countme", "propagation"])
async def test_statistics_of_some_days_are_told(api: Api, name: str) -> None:
    system = ("Fedora Linux", "42", "server", "x86_64", 1, "fedora-42", "x86_64")
    days = ("2026-11-08", "2026-11-15", "2026-11-22")  # each a Sunday
    async with api.registry.store.write() as connection:
        for day in days:
            await statistics.add_access(connection, [((day, "DE", "fedora-42", "x86_64"), 1)])
            await statistics.add_propagation(
                connection, [PropagationRow(begin_of_day(day) + 86_399, "a", 1, 2, 3, 4, 5)]
            )
        counted = [((week_of_day(day), *system), 1) for day in days]
        await statistics.add_countme(connection, "main", 1_800_000_000, 3000, counted)
    key = {"access": "day", "countme": "week_end", "propagation": "run"}[name]

    async def told(query: str) -> list[str]:
        found = await (await api.ask("GET", f"/statistics/{name}{query}")).json()
        return sorted({item[key][:10] for item in found["items"]})

    assert await told("") == [*days]
    assert await told("?since=2026-11-10") == [*days[1:]]
    assert await told("?since=2026-11-15&until=2026-11-15") == [days[1]]
    for wrong in ("since=yesterday", "until=2026-02-30", "since=9999-12-31"):
        assert (await api.ask("GET", f"/statistics/{name}?{wrong}")).status == 422, wrong


async def test_the_document_names_what_may_be_asked_for(api: Api) -> None:
    paths = (await (await api.ask("GET", "/openapi.json")).json())["paths"]

    def asked(path: str) -> set[str]:
        found = paths[path]["get"]["parameters"]
        return {each["name"] for each in found if each["in"] == "query"} - {"limit", "after"}

    assert asked("/mirrors") == {"country", "product", "version", "arch", "protocol", "family", "tier", "state"}
    assert asked("/statistics/access") == {"since", "until", "category"}
    assert asked("/statistics/countme") == asked("/statistics/propagation") == {"since", "until", "repository"}
