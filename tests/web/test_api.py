"""The API end to end: what is made is found, changed and removed, and every refusal says what would be right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from redirector.locate.proxies import trusted_proxies_of
from redirector.store.opening import Store
from redirector.web.access import API, Site
from redirector.web.api.call import BODY_LIMIT_BYTES, MAX_DEPTH
from redirector.web.api.routes import ROUTES
from redirector.web.application import make_application
from redirector.web.limits import Limits
from tests.registry.rig import HOST, SITE, Registry
from tests.web.conftest import Api

PEOPLE = ("visitor", "account", "owner", "admin")


async def furnish(api: Api) -> tuple[dict[str, str | None], dict[str, int], dict[str, int]]:
    """Tokens of each kind of person, the numbers of the owner's things, and those of another site's."""
    registry = api.registry
    await registry.category()
    owned = await registry.site(approved=False)
    other = await registry.site(name="Other Site")
    tokens: dict[str, str | None] = {"visitor": None}
    _, tokens["account"] = await api.person("somebody")
    _, tokens["admin"] = await api.person("chief", admin=True)
    await registry.owner("keeper", owned)
    tokens["owner"] = await api.token("keeper")
    numbers = []
    for site, name in ((owned, "own.example.org"), (other, "other.example.org")):
        host = await registry.host(site, name=name)
        await registry.carry(host)
        numbers.append({"site": site.id, "host": host.id})
    chief = str(tokens["admin"])
    for place in numbers:
        for child, body in CHILDREN.items():
            made = await api.ask("POST", f"/hosts/{place['host']}/{child}", chief, body)
            assert made.status == 201, await made.text()
            place[child] = (await made.json())["id"]
    return tokens, numbers[0], numbers[1]


CHILDREN: dict[str, dict[str, Any]] = {
    "networks": {"network": "192.88.99.0/24"},
    "asns": {"asn": 64500 - 60000 + 3320},
    "countries": {"country": "DE"},
    "acl": {"address": "8.8.8.8"},
}

ALLOWED = {
    "GET /sites": {"visitor": 401, "account": 200, "owner": 200, "admin": 200},
    "POST /sites": {"visitor": 401, "account": 201, "owner": 201, "admin": 201},
    "POST /sites/{site}/approval": {"visitor": 401, "account": 404, "owner": 403, "admin": 200},
    "GET /events": {"visitor": 401, "account": 200, "owner": 200, "admin": 200},
    "GET /categories": dict.fromkeys(PEOPLE, 200),
    "GET /categories/{number}": dict.fromkeys(PEOPLE, 200),
    "GET /repositories": dict.fromkeys(PEOPLE, 200),
    "GET /repositories/{number}": dict.fromkeys(PEOPLE, 200),
    "GET /redirects": dict.fromkeys(PEOPLE, 200),
    "GET /redirects/{number}": dict.fromkeys(PEOPLE, 404),
}
"""Routes that are for others than the admins of a site; GET of what is not there is 404 for everybody."""

ADMINISTRATIVE = ("/categories", "/repositories", "/redirects", "/releases")
PUBLIC = ("/mirrors", "/status", "/statistics/")
FOR_CHIEFS = ("/notes", "/networks/{number}/approval", "/asns/{number}/approval")


def expected(method: str, path: str, person: str) -> set[int]:
    """What the table says: statuses that are right."""
    if found := ALLOWED.get(f"{method} {path}"):
        return {found[person]}
    if path.startswith(PUBLIC):
        return {404 if "{name}" in path else 200}
    good = {200, 201, 202, 204, 404, 409, 422, 428}
    if person == "visitor":
        return {401}
    if person == "admin":
        return good
    if path.startswith(ADMINISTRATIVE):
        return {403, 428}
    if person == "account":
        return {404, 428} if "/notes" not in path else {403, 404}
    return {403} if path.endswith(FOR_CHIEFS) else good


BODIES: dict[str, Any] = {
    "/sites": {**SITE, "name": "One More"},
    "/sites/{site}/approval": {"action": "approve"},
    "/sites/{site}/hosts": {**HOST, "name": "one-more.example.org"},
    "/sites/{site}/admins": {"account": "somebody"},
    "/hosts/{host}/categories": {"category": "Example Linux"},
    "/hosts/{host}/urls": {"category": "Example Linux", "url": "http://own.example.org/more/"},
    "/hosts/{host}/networks": {"network": "192.88.98.0/24"},
    "/hosts/{host}/asns": {"asn": 3356},
    "/hosts/{host}/countries": {"country": "FR"},
    "/hosts/{host}/acl": {"address": "8.8.4.4"},
    "/categories": {"name": "More", "top": "pub/more"},
    "/repositories": {"prefix": "more-1", "arch": "x86_64", "directory": "pub/more/1"},
    "/redirects": {"source": "old", "target": "new"},
    "/releases": {"product": "Example Linux", "version": "43"},
}


def body_of(path: str) -> Any:
    if path.endswith("/approval"):
        return {"action": "approve"}
    if path.endswith("/tokens"):
        return {"scope": "read"}
    if path.endswith("/notes"):
        return {"text": "a note"}
    return BODIES.get(path, {})


@pytest.mark.parametrize("person", PEOPLE)
async def test_who_may_what_on_every_route(api: Api, person: str) -> None:
    tokens, own, _ = await furnish(api)
    order = {"GET": 0, "PATCH": 1, "POST": 2, "DELETE": 3}
    for route in sorted(
        ROUTES, key=lambda route: (order[route.method], route.path.count("/") == 2, "leave" in route.path)
    ):
        child = route.path.split("/")[3] if route.path.count("/") > 3 else ""
        number = own.get(child, 1)
        path = route.path.format(site=own["site"], host=own["host"], number=number, admin=10_000, name="nobody")
        body = body_of(route.path) if route.body is not None else None
        answer = await api.ask(route.method, path, tokens[person], body)
        wanted = expected(route.method, route.path, person)
        assert answer.status in wanted, (
            f"{route.method} {route.path} for {person}: {answer.status}, {await answer.text()}"
        )


async def test_another_site_s_numbers_are_missing_on_every_route(api: Api) -> None:
    tokens, own, other = await furnish(api)
    for route in ROUTES:
        if "{site}" not in route.path and "{host}" not in route.path:
            continue
        child = route.path.split("/")[3] if route.path.count("/") > 3 else ""
        path = route.path.format(site=other["site"], host=other["host"], number=other.get(child, 1), admin=1)
        body = body_of(route.path) if route.body is not None else None
        answer = await api.ask(route.method, path, tokens["owner"], body, If_Match='"1"')
        assert answer.status in (403, 404), (route.method, route.path, answer.status)
        assert answer.status == 404 or "notes" in path or "approval" in path
    for child in CHILDREN:
        answer = await api.ask("GET", f"/hosts/{own['host']}/{child}/{other[child]}", tokens["owner"])
        assert answer.status == 404, child


async def test_a_site_and_what_belongs_to_it_is_made_changed_and_removed(any_api: Api) -> None:
    api = any_api
    await api.registry.category()
    _, token = await api.person("keeper")
    made = await api.ask("POST", "/sites", token, SITE)
    assert made.status == 201
    site = await made.json()
    assert made.headers["Location"] == f"{API}/sites/{site['id']}"
    assert (site["name"], site["state"], site["contacts"]) == (SITE["name"], "draft", SITE["contacts"])
    made = await api.ask("POST", f"/sites/{site['id']}/hosts", token, HOST)
    assert made.status == 201
    host = await made.json()
    assert made.headers["Location"] == f"{API}/hosts/{host['id']}"
    etag = made.headers["ETag"]
    path = f"/hosts/{host['id']}"
    changed = await api.ask("PATCH", path, token, {"bandwidth_mbit": 10_000}, If_Match=etag)
    assert (changed.status, (await changed.json())["bandwidth_mbit"]) == (200, 10_000)
    stale = await api.ask("PATCH", path, token, {"bandwidth_mbit": 20}, If_Match=etag)
    assert stale.status == 412
    told = await stale.json()
    assert told["current"]["bandwidth_mbit"] == 10_000
    assert (await api.ask("PATCH", path, token, {"bandwidth_mbit": 20})).status == 428
    assert (await api.ask("POST", f"{path}/categories", token, {"category": "Example Linux"})).status == 201
    url = {"category": "Example Linux", "url": "https://mirror.example.org/linux"}
    assert (await api.ask("POST", f"{path}/urls", token, url)).status == 201
    listed = await (await api.ask("GET", f"{path}/urls", token)).json()
    assert [each["url"] for each in listed["items"]] == ["https://mirror.example.org/linux/"]
    events = await (await api.ask("GET", f"/sites/{site['id']}/events", token)).json()
    assert {"site.add", "host.add"} <= {each["what"] for each in events["items"]}
    long = "ß" * 255  # folding makes it twice as long
    assert (await api.ask("POST", "/sites", token, {**SITE, "name": long})).status == 201
    for taken in (long, "ＥＸＡＭＰＬＥ site"):
        again = await api.ask("POST", "/sites", token, {**SITE, "name": taken})
        assert (again.status, (await again.json())["errors"][0]["field"]) == (409, "name")
    assert (await api.ask("DELETE", path, token)).status == 204
    assert (await api.ask("GET", path, token)).status == 404


async def test_a_page_goes_on_where_the_last_one_ended(api: Api) -> None:
    _, token = await api.person("chief", admin=True)
    for number in range(7):
        assert (await api.ask("POST", "/sites", token, {**SITE, "name": f"Site {number}"})).status == 201
    seen, after = [], 0
    while after is not None:
        page = await (await api.ask("GET", f"/sites?limit=3&after={after}", token)).json()
        assert len(page["items"]) <= 3
        seen += [each["name"] for each in page["items"]]
        after = page["next"]
    assert seen == [f"Site {number}" for number in range(7)]
    for query in ("limit=0", "limit=201", "limit=x", "after=-1", "after=9999999999999999999999"):
        refused = await api.ask("GET", f"/sites?{query}", token)
        assert refused.status == 422
        assert (await refused.json())["errors"][0]["field"] in ("limit", "after")


async def test_all_problems_are_told_at_once_each_at_its_field(api: Api) -> None:
    _, token = await api.person("keeper")
    wrong = {"name": "a\nb", "url": "nowhere", "contacts": ["x"], "private": "yes", "state": "approved"}
    refused = await api.ask("POST", "/sites", token, wrong)
    assert (refused.status, refused.content_type) == (422, "application/problem+json")
    assert {each["field"] for each in (await refused.json())["errors"]} == {
        "name", "url", "contacts.0", "private", "state",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"nonsense", "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "application/json", 400),
        (b'"text"', "application/json", 422),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b"name=x", "application/x-www-form-urlencoded", 415),
        (b'{"name": "' + b"x" * BODY_LIMIT_BYTES + b'"}', "application/json", 413),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_a_body_that_cannot_be_read_is_refused(api: Api, raw: bytes, content_type: str, status: int) -> None:
    _, token = await api.person("keeper")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    answer = await api.client.post(f"{API}/sites", data=raw, headers=headers)
    assert (answer.status, answer.content_type) == (status, "application/problem+json"), await answer.text()


@pytest.mark.parametrize("told", [{"data": b"{"}, {"data": b"x", "headers": {"Content-Type": "text/plain"}}, {}])
async def test_whoever_is_nobody_is_told_that_first(api: Api, told: dict[str, Any]) -> None:
    for method, path in (("POST", "/sites"), ("PATCH", "/sites/1"), ("PATCH", "/categories/1")):
        assert (await api.client.request(method, API + path, **told)).status == 401
    assert (await api.client.patch(f"{API}/sites/1", json={}, headers={"If-Match": "nonsense"})).status == 401


@pytest.mark.parametrize("path", ["/sites/x", "/sites/-1", "/sites/1e3", "/sites/99999999999999999999", "/sites/%00"])
async def test_what_can_be_no_number_names_nothing(api: Api, path: str) -> None:
    _, token = await api.person("chief", admin=True)
    assert (await api.ask("GET", path, token)).status == 404


@pytest.mark.parametrize("etag", ["3", '"x"', '""', "W/3", '"99999999999999999999"'])
async def test_an_if_match_that_cannot_be_read_is_refused(api: Api, etag: str) -> None:
    _, token = await api.person("keeper")
    site = await (await api.ask("POST", "/sites", token, SITE)).json()
    assert (await api.ask("PATCH", f"/sites/{site['id']}", token, {"comment": "x"}, If_Match=etag)).status == 400


async def test_a_token_that_is_none_is_refused_and_told_so(api: Api) -> None:
    for secret in ("rdr_unknown", "x", "rdr_" + "x" * 5000):
        refused = await api.ask("GET", "/sites", secret)
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert (await api.ask("GET", "/sites")).status == 401


async def test_a_read_token_changes_nothing(api: Api) -> None:
    _, token = await api.person("keeper", scope="read")
    assert (await api.ask("GET", "/sites", token)).status == 200
    assert (await api.ask("POST", "/sites", token, SITE)).status == 403


async def test_who_asks_too_often_is_told_when_he_may_again(registry: Registry) -> None:
    site = Site(registry.store, registry.house, trusted_proxies_of(()), Limits(1, 5), now=lambda: 1.0)
    async with TestClient(TestServer(make_application(site))) as client:
        statuses = [(await client.get(f"{API}/categories")).status for _ in range(7)]
        assert statuses == [200] * 5 + [429] * 2
        assert (await client.get(f"{API}/categories")).headers["Retry-After"] == "2"


async def test_who_guesses_tokens_is_slowed_down(registry: Registry) -> None:
    site = Site(registry.store, registry.house, trusted_proxies_of(()), Limits(1, 5), now=lambda: 1.0)
    async with TestClient(TestServer(make_application(site))) as client:
        headers = {"Authorization": "Bearer rdr_guess"}
        statuses = [(await client.get(f"{API}/sites", headers=headers)).status for _ in range(7)]
        assert statuses == [401] * 5 + [429] * 2


async def test_who_is_nobody_never_waits_for_the_database(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(_: Store) -> Any:
        raise AssertionError

    site = Site(registry.store, registry.house, trusted_proxies_of(()), Limits(1000, 1000))
    async with TestClient(TestServer(make_application(site))) as client:
        monkeypatch.setattr(Store, "write", opened)
        assert (await client.post(f"{API}/sites", json=SITE)).status == 401


async def test_what_was_done_stands_though_the_use_of_the_token_cannot_be_written_down(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    from redirector.errors import StoreError
    from redirector.registry.edit import accounts

    async def locked(*_: Any) -> None:
        raise StoreError("sqlite:///x", "is locked", "ask again")

    _, token = await api.person("keeper")
    monkeypatch.setattr(accounts, "note_use", locked)
    assert (await api.ask("POST", "/sites", token, SITE)).status == 201


async def test_what_is_public_may_be_read_by_pages_of_other_sites(api: Api) -> None:
    for path in ("/categories", "/repositories", "/openapi.json"):
        answer = await api.ask("GET", path, None, None, Origin="https://elsewhere.example")
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
    _, token = await api.person("keeper")
    assert "Access-Control-Allow-Origin" not in (await api.ask("GET", "/sites", token)).headers


async def test_a_database_that_is_away_is_said(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(registry.store, registry.house, trusted_proxies_of(()), Limits(1000, 1000))
    async with TestClient(TestServer(make_application(site))) as client:
        from redirector.errors import StoreError

        def away(_: Store) -> Any:
            raise StoreError("postgresql://example/registry", "cannot be reached", "start it")

        monkeypatch.setattr(Store, "read", away)
        answer = await client.get(f"{API}/categories")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "postgresql" not in await answer.text()


async def test_the_document_describes_every_route_and_its_models(api: Api) -> None:
    told = await (await api.ask("GET", "/openapi.json")).json()
    assert told["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, operations in told["paths"].items() for method in operations}
    assert {(route.method, route.path) for route in ROUTES} <= described
    names = [operation["operationId"] for each in told["paths"].values() for operation in each.values()]
    assert len(set(names)) == len(names)
    references = {line for line in json.dumps(told).split('"') if line.startswith("#/components/schemas/")}
    assert {line.rsplit("/", 1)[1] for line in references} <= told["components"]["schemas"].keys()
    host = told["components"]["schemas"]["Host"]
    assert set(host["required"]) == {"name", "country", "bandwidth_mbit"}
    assert "required" not in told["components"]["schemas"]["HostChange"]


async def test_the_examples_of_the_document_are_taken_and_answers_are_as_it_says(any_api: Api) -> None:
    api = any_api
    told = await (await api.ask("GET", "/openapi.json")).json()
    schemas = told["components"]["schemas"]
    _, chief = await api.person("chief", admin=True)
    await api.registry.account("anna@example.org")

    def example(path: str) -> Any:
        body = told["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        return (schemas[body["$ref"].rsplit("/", 1)[1]] if "$ref" in body else body)["examples"][0]

    async def send(path: str, **numbers: int) -> Any:
        operation = told["paths"][path]["post"]
        answer = await api.ask("POST", path.format(**numbers), chief, example(path))
        value = await answer.json()
        assert str(answer.status) in operation["responses"], (path, value)
        shown = operation["responses"][str(answer.status)]["content"]["application/json"]["schema"]
        if "$ref" in shown:
            schema = schemas[shown["$ref"].rsplit("/", 1)[1]]
            assert set(value) <= schema["properties"].keys() and set(schema["required"]) <= set(value), path
        return value

    await api.registry.category()
    for path in ("/categories", "/repositories", "/redirects", "/releases"):
        await send(path)
    site = (await send("/sites"))["id"]
    await send("/sites/{site}/approval", site=site)
    host = (await send("/sites/{site}/hosts", site=site))["id"]
    for path in told["paths"]:
        if "post" in told["paths"][path] and path.startswith(("/sites/{site}/", "/hosts/{host}/")) and "{n" not in path:
            if "requestBody" in told["paths"][path]["post"] and not path.endswith(("/hosts", "/approval")):
                await send(path, site=site, host=host)
    token = (await (await api.ask("POST", f"/hosts/{host}/tokens", chief, {"scope": "check-in"})).json())["token"]
    receipt = await api.ask("POST", "/check-in", token, example("/check-in"))
    answered = told["paths"]["/check-in"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert receipt.status == 200 and set(await receipt.json()) == answered["properties"].keys()


async def test_methods_and_paths_that_are_not_there_are_problems_too(api: Api) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("PUT", "/sites", 405), ("DELETE", "/sites", 405)):
        answer = await api.ask(method, path)
        assert (answer.status, answer.content_type) == (status, "application/problem+json")
