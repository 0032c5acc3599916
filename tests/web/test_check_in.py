"""Check-ins over HTTP: what each comes to, for private hosts and public ones."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import threading
import xmlrpc.client
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientResponse

from redirector.health.keeping import pack_memory, pack_names
from redirector.health.memory import Memory
from redirector.registry.edit import accounts, catalogue, hosts
from redirector.registry.secrets import hash_password, hash_token
from redirector.store import evidence
from redirector.store.opening import open_store
from redirector.store.registry import queries
from redirector.store.registry.rows import CheckedInRow, HostRow, SiteRow, TokenRow
from redirector.store.statistics import list_traffic
from redirector.web.checkins import CHECK_INS, MAX_WAITING
from redirector.web.limits import Limits
from tests.registry.check_ins import PICKLE, call, config, pack
from tests.registry.rig import NOW, Registry
from tests.store.empty import write_empty
from tests.web.conftest import Api, any_api, any_registry, serving

__all__ = ["any_api", "any_registry"]

DIRECTORIES = ("", "1", "1/x86_64", "1/x86_64/os", "2", "2/x86_64/os")
WRONG = "Config file site name or password incorrect.\nerror checking in"


@dataclass
class Mirror:
    """A host that can check in both ways, and the API."""

    api: Api
    site: SiteRow
    host: HostRow
    token: str

    async def old(self, *directories: str, **changes: Any) -> str:
        """What an old check-in is answered."""
        response = await self.post(call(pack(config(*directories, **changes))))
        assert response.status == 200
        values, _ = xmlrpc.client.loads(await response.text())
        return str(values[0])

    async def post(self, body: bytes, path: str = "/xmlrpc", **headers: str) -> ClientResponse:
        response = await self.api.client.post(
            path,
            data=io.BytesIO(body),
            headers={"Content-Type": "text/xml", **{n.replace("_", "-"): v for n, v in headers.items()}},
        )
        await response.read()
        return response

    async def new(self, *directories: str, token: str | None = None, **changes: Any) -> ClientResponse:
        body = {
            "host": self.host.name,
            "finished": "2026-11-28T06:00:00Z",
            "categories": {"Example Linux": {"directories": list(directories)}},
            **changes,
        }
        return await self.api.ask("POST", "/check-in", token or self.token, body)

    async def listed(self) -> set[str]:
        """Directories for which the host is in a list."""
        published = await self.api.registry.publication()
        found = set()
        for category in published.categories:
            for name, member in zip(category.names, category.members, strict=True):
                if self.host.id in category.sets[member].urls:
                    found.add(name.removeprefix("pub/linux").strip("/"))
        return found

    async def fresh(self) -> HostRow:
        async with self.api.registry.store.read() as connection:
            row = await queries.find(connection, HostRow, id=self.host.id)
        assert row is not None
        return row

    async def metric(self, outcome: str) -> int:
        text = await (await self.api.client.get("/metrics")).text()
        return int(text.split(f'redirector_checkins_total{{outcome="{outcome}"}} ')[1].split("\n")[0])


Made = tuple[bytes, SiteRow, HostRow, str]
"""The database of a mirror; its site, its host, and the host's token."""


async def make_mirror(registry: Registry, *, private: bool) -> tuple[SiteRow, HostRow, str]:
    await registry.category()
    for number, path in enumerate(DIRECTORIES):
        body = {"prefix": f"repo-{number}", "arch": "x86_64", "directory": f"pub/linux/{path}".strip("/")}
        await registry.do(catalogue.create_repository, body)
    site = await registry.site()
    host = await registry.host(site, private=private)
    await registry.carry(host, always=False)
    if private:
        await registry.network(host, "8.8.8.0/24")
    async with registry.store.write() as connection:
        await queries.add(
            connection,
            TokenRow,
            hash=hash_token("imported"),
            kind="argon2",
            secret=hash_password("correct horse"),
            scope="check-in",
            account=None,
            site=site.id,
            host=None,
            made=registry.now,
            expires=None,
            used=None,
        )
    _, token = await registry.do(accounts.make_host_token, host.id, {"scope": "check-in"})
    return site, host, token


def make_once(file: Path, *, private: bool) -> Made:
    async def make() -> tuple[SiteRow, HostRow, str]:
        async with await open_store(write_empty(file)) as opened:
            return await make_mirror(Registry(opened), private=private)

    made = asyncio.run(make())
    return file.read_bytes(), *made


@pytest.fixture(scope="module")
def made_private(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_once(tmp_path_factory.mktemp("private") / "store.db", private=True)


@pytest.fixture(scope="module")
def made_public(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_once(tmp_path_factory.mktemp("public") / "store.db", private=False)


@asynccontextmanager
async def checking_in(file: Path, made: Made) -> AsyncIterator[Mirror]:
    database, site, host, token = made
    file.write_bytes(database)
    async with await open_store(f"sqlite:///{file}") as opened, serving(Registry(opened, NOW + 10)) as api:
        yield Mirror(api, site, host, token)


@pytest.fixture
async def private(made_private: Made, tmp_path: Path) -> AsyncIterator[Mirror]:
    async with checking_in(tmp_path / "store.db", made_private) as mirror:
        yield mirror


@pytest.fixture
async def public(made_public: Made, tmp_path: Path) -> AsyncIterator[Mirror]:
    async with checking_in(tmp_path / "store.db", made_public) as mirror:
        yield mirror


async def test_check_ins_of_both_forms_on_either_database(any_api: Api) -> None:
    mirror = Mirror(any_api, *await make_mirror(any_api.registry, private=True))
    any_api.registry.now += 10
    assert (await mirror.old(*DIRECTORIES)).endswith("added: 6  deleted 0\nchecked in successful")
    assert await mirror.listed() == set(DIRECTORIES)
    answer = await mirror.new("", "1", traffic={"2026-11-27": 1 << 40})
    assert answer.status == 200 and (await answer.json())["categories"][0]["doubted"] is True
    mirror.api.registry.now += 3600
    assert (await (await mirror.new("", "1")).json())["categories"][0]["deleted"] == 4
    assert await mirror.listed() == {"", "1"}
    assert "incorrect" in await mirror.old("", site={"enabled": "1", "name": "Example Site", "password": "no"})


# -- The old form ------------------------------------------------------------------------------------------------------


async def test_a_private_host_is_listed_by_its_word(private: Mirror) -> None:
    assert await private.listed() == set()
    text = await private.old(*DIRECTORIES)
    assert text == "Category Example Linux directories updated: 0  added: 6  deleted 0\nchecked in successful"
    assert await private.listed() == set(DIRECTORIES)
    assert await private.old(*DIRECTORIES[:4]) == (
        "Category Example Linux directories updated: 0  added: 0  deleted 2\nchecked in successful"
    )
    assert await private.listed() == set(DIRECTORIES[:4])
    assert await private.metric("good") == 2


async def test_the_top_alone_is_a_tree_too(private: Mirror) -> None:
    await private.old("")
    assert await private.listed() == {""}
    assert "added: 0  deleted 0" in await private.old("")


async def test_a_python_client_can_call_it(private: Mirror) -> None:
    for path in ("/xmlrpc", "/xmlrpc/", "/mirrormanager/xmlrpc"):
        body = xmlrpc.client.dumps((pack(config("", "1")),), "checkin").encode()
        response = await private.post(body, path)
        assert response.content_type == "text/xml"
        assert "checked in successful" in str(xmlrpc.client.loads(await response.text())[0][0])


@pytest.mark.parametrize(
    "changes",
    [
        {"site": {"name": "Example Site", "password": "wrong"}},
        {"site": {"name": "No such site", "password": "correct horse"}},
        {"site": {"name": "Example\x00Site", "password": "correct horse"}},
        {"site": {"name": "Example Site", "password": ""}},
        {"site": {"name": "Example Site", "password": "\x00" * 5000}},
    ],
    ids=["password", "site", "NUL", "empty", "long"],
)
async def test_an_unknown_site_and_a_wrong_password_get_the_same_answer(private: Mirror, changes: Any) -> None:
    assert await private.old(*DIRECTORIES, **changes) == WRONG
    assert await private.listed() == set() and await private.metric("refused") == 1


async def test_an_unknown_host_is_named(private: Mirror) -> None:
    other = await private.api.registry.host(await private.api.registry.site(name="Other"), name="other.example.org")
    for name in ("no.example.org", other.name, "\x00"):
        text = await private.old("", host={"name": name})
        assert text == "Config file host name for site not found.\nerror checking in"


async def test_tokens_are_passwords_of_their_site_or_host_alone(private: Mirror) -> None:
    registry = private.api.registry
    second = await registry.host(private.site, name="second.example.org", private=True)
    _, of_site = await registry.do(accounts.make_site_token, private.site.id, {"scope": "check-in", "days": 1})
    _, reading = await registry.do(accounts.make_site_token, private.site.id, {"scope": "read"})

    async def answer(password: str, host: str) -> str:
        return await private.old("", site={"name": "Example Site", "password": password}, host={"name": host})

    assert "successful" in await answer(of_site, private.host.name)
    assert "successful" in await answer(of_site, second.name)
    assert "successful" in await answer(private.token, private.host.name)
    assert "host name" in await answer(private.token, second.name)
    assert await answer(reading, private.host.name) == WRONG
    registry.now += 86_400
    assert await answer(of_site, private.host.name) == WRONG


async def test_a_pickle_is_a_fault_that_asks_to_update(private: Mirror) -> None:
    for text in (PICKLE, "no base64", ""):
        response = await private.post(call(text))
        assert response.status == 200
        with pytest.raises(xmlrpc.client.Fault, match="update your copy of report_mirror"):
            xmlrpc.client.loads(await response.text())
    response = await private.post(call(PICKLE, "other"))
    with pytest.raises(xmlrpc.client.Fault, match="checkin"):
        xmlrpc.client.loads(await response.text())
    assert await private.metric("unreadable") == 4


@pytest.mark.parametrize(
    "body",
    [
        lambda: b"x" * ((2 << 20) + 1),
        lambda: call(pack({"version": 0, "x": " " * (16 << 20)})),
        lambda: call(pack(config(*(str(number) for number in range(200_001))))),
        lambda: call(pack(config("x" * 1025))),
    ],
    ids=["body", "unpacked", "directories", "path"],
)
async def test_what_is_too_large_is_413(private: Mirror, body: Callable[[], bytes]) -> None:
    response = await private.post(body())
    assert response.status == 413
    assert await private.metric("too-large") == 1 and await private.listed() == set()


async def test_a_body_of_unknown_length_is_read_to_the_bound(private: Mirror) -> None:
    sent = 0

    async def drip() -> Any:
        nonlocal sent
        for _ in range(1000):
            sent += 1 << 16
            yield b"x" * (1 << 16)

    try:
        response = await private.api.client.post("/xmlrpc", data=drip())
        assert response.status == 413
    except OSError:
        pass
    assert sent < 20 << 20


async def test_too_often_is_429(private: Mirror) -> None:
    answers = [await private.post(b"x") for _ in range(101)]
    assert answers[-1].status == 429 and int(answers[-1].headers["Retry-After"]) >= 1
    assert {each.status for each in answers[:100]} == {200}
    private.api.registry.now += 3600
    assert (await private.post(call(pack(config(""))))).status == 200


async def test_who_guesses_passwords_keeps_out_nobody_who_knows_one(
    private: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred wrong ones at once, as if each came from another network, while comparing one takes for ever."""
    check_ins = private.api.client.app
    assert check_ins is not None
    check_ins[CHECK_INS]._networks = Limits(1000, 1000)
    comparing = threading.Event()
    assert "successful" in await private.old("", "1")

    def slow(*_: object) -> None:
        comparing.wait(60)

    monkeypatch.setattr(accounts, "match_password", slow)
    wrong = [
        asyncio.ensure_future(
            private.post(
                call(pack(config("", site={"enabled": "1", "name": "Example Site", "password": f"wrong {number}"})))
            )
        )
        for number in range(100)
    ]
    try:
        done, waiting = await asyncio.wait(wrong, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 100 - MAX_WAITING:
            finished, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= finished
        assert {answer.result().status for answer in done} == {429}
        assert {answer.result().headers["Retry-After"] for answer in done} == {"11"}
        assert "successful" in await private.old("", "1", "2")
        token = {"enabled": "1", "name": "Example Site", "password": private.token}
        assert "successful" in await private.old("", "1", "2", site=token)
        assert (await private.new("", "1", "2")).status == 200
    finally:
        comparing.set()
    answers = [await (await each).text() for each in waiting]
    assert len(answers) == MAX_WAITING and all("incorrect" in text for text in answers)


async def test_a_host_that_checks_in_all_the_time_is_429(private: Mirror) -> None:
    statuses = [(await private.new("")).status for _ in range(31)]
    assert statuses == [200] * 30 + [429]
    assert await private.metric("too-often") == 1


async def test_a_category_that_is_not_enabled_changes_nothing(private: Mirror) -> None:
    await private.old(*DIRECTORIES)
    text = await private.old(**{"example linux": {"enabled": "0", "dirtree": {}}})
    assert text == "Category Example Linux directories updated: 0  added: 0  deleted 0\nchecked in successful"
    assert await private.listed() == set(DIRECTORIES)


async def test_categories_that_it_does_not_carry_or_that_there_are_not_are_passed_over(private: Mirror) -> None:
    await private.api.registry.category(name="Other", top="pub/other")
    text = await private.old("", other={"enabled": "1", "dirtree": {"": {}}}, nosuch={"enabled": "1", "dirtree": {}})
    assert text.count("Category") == 1 and text.endswith("checked in successful")


async def test_a_tree_that_lost_most_counts_once_it_comes_again_an_hour_later(private: Mirror) -> None:
    registry = private.api.registry
    await private.old(*DIRECTORIES)
    nothing = "Category Example Linux directories updated: 0  added: 0  deleted 0\nchecked in successful"
    assert await private.old() == nothing
    assert await private.metric("doubted") == 1
    registry.now += 1800
    assert await private.old() == nothing and await private.listed() == set(DIRECTORIES)
    registry.now += 1800
    assert "deleted 6" in await private.old()
    assert await private.listed() == set()


async def test_a_tree_that_is_whole_again_ends_the_doubt(private: Mirror) -> None:
    registry = private.api.registry
    await private.old(*DIRECTORIES)
    await private.old("1", "2")
    registry.now += 1800
    await private.old(*DIRECTORIES)
    registry.now += 1801
    assert "deleted 0" in await private.old("1", "2")
    assert await private.listed() == set(DIRECTORIES)
    registry.now += 3600
    assert "deleted 4" in await private.old("1", "2")


async def test_another_tree_that_lost_most_waits_for_its_own_hour(private: Mirror) -> None:
    registry = private.api.registry
    await private.old(*DIRECTORIES)
    await private.old("1", "2")
    registry.now += 3600
    assert "deleted 0" in await private.old()
    registry.now += 3600
    assert "deleted 6" in await private.old()


@pytest.mark.parametrize(("value", "enabled"), [("yes", True), ("1", True), ("no", False), ("0", False)])
async def test_user_active_switches_the_host(private: Mirror, value: str, enabled: bool) -> None:
    registry = private.api.registry
    await registry.do(hosts.edit_host, private.host.id, None, {"enabled": not enabled})
    await private.old("")
    assert (await private.fresh()).enabled is not enabled
    await private.old("", host={"name": private.host.name, "user_active": value})
    assert (await private.fresh()).enabled is enabled


async def test_user_active_keeps_nobody_who_is_leaving(private: Mirror) -> None:
    registry = private.api.registry
    await registry.do(hosts.leave_host, private.host.id, None)
    await private.old("", host={"name": private.host.name, "user_active": "1"})
    assert not (await private.fresh()).enabled and (await private.fresh()).leaving is not None


# -- Public hosts ------------------------------------------------------------------------------------------------------


async def visited(mirror: Mirror, names: tuple[str, ...], served: list[bool], next_in: int = 900) -> None:
    """A visit was made just now."""
    registry = mirror.api.registry
    memory = Memory(visited=registry.now, next_visit=registry.now + next_in)
    row = evidence.MemoryRow(
        mirror.host.name, "here", registry.now, registry.now + next_in, "ok", registry.now, "", 0, pack_memory(memory)
    )
    packed = np.packbits(np.array(served), bitorder="little").tobytes()
    content = evidence.ContentRow(mirror.host.name, "here", "Example Linux", "digest", packed, b"")
    async with registry.store.write() as connection:
        await evidence.add_names(connection, "digest", registry.now, pack_names(names))
        await evidence.put_memories(connection, [row], [content])


async def next_visit(mirror: Mirror) -> int:
    async with mirror.api.registry.store.read() as connection:
        (row,) = await evidence.find_hosts(connection)
    return row.next_visit


async def test_a_public_host_is_answered_as_good_and_not_made_current(public: Mirror) -> None:
    assert "added: 6" in await public.old(*DIRECTORIES)
    assert (await public.new(*DIRECTORIES)).status == 200
    assert await public.listed() == set()


async def test_a_public_host_that_checks_in_is_visited_sooner(public: Mirror) -> None:
    registry = public.api.registry
    await visited(public, DIRECTORIES, [True] * 6)
    begun = registry.now
    registry.now += 10
    await public.old(*DIRECTORIES)
    assert await next_visit(public) == begun + 120
    registry.now += 300
    await public.old(*DIRECTORIES)
    assert await next_visit(public) == begun + 120
    await visited(public, DIRECTORIES, [True] * 6)
    registry.now += 300
    await public.old(*DIRECTORIES)
    assert await next_visit(public) == registry.now


async def test_a_visit_that_agrees_settles_what_was_lost(public: Mirror) -> None:
    await public.old(*DIRECTORIES)
    await visited(public, DIRECTORIES, [True] * 6)
    assert "deleted 0" in await public.old("")
    await visited(public, DIRECTORIES, [True] + [False] * 5)
    assert "deleted 5" in await public.old("")


async def test_a_host_that_became_public_is_not_believed_any_more(private: Mirror) -> None:
    registry = private.api.registry
    await private.old(*DIRECTORIES)
    await registry.do(hosts.edit_host, private.host.id, None, {"private": False})
    assert await private.listed() == set()
    registry.now += 10
    await registry.do(hosts.edit_host, private.host.id, None, {"private": True})
    assert await private.listed() == set()
    assert "updated: 6  added: 0" in await private.old(*DIRECTORIES)
    assert await private.listed() == set(DIRECTORIES)


# -- The new form ------------------------------------------------------------------------------------------------------


async def test_the_new_form_counts_as_the_old_one(private: Mirror) -> None:
    response = await private.new("", "1", "nosuch/directory", "pub/linux/2", traffic={"2026-11-27": 12345})
    assert response.status == 200
    assert await response.json() == {
        "host": private.host.name,
        "believed": True,
        "categories": [
            {"category": "Example Linux", "updated": 0, "added": 3, "deleted": 0, "unknown": 1, "doubted": False}
        ],
        "not_carried": [],
    }
    assert await private.listed() == {"", "1", "2"}
    async with private.api.registry.store.read() as connection:
        rows = await list_traffic(connection)
        (claim,) = await queries.list_rows(connection, CheckedInRow)
    assert [(row.day, row.host, row.bytes) for row in rows] == [("2026-11-27", private.host.name, 12345)]
    assert claim.at == private.api.registry.now


async def test_a_host_token_needs_no_name_and_what_is_not_carried_is_told(private: Mirror) -> None:
    body = {"categories": {"Nothing": {"directories": [""]}}}
    response = await private.api.ask("POST", "/check-in", private.token, body)
    assert (await response.json())["not_carried"] == ["Nothing"]


async def test_who_may_check_in_by_the_api(private: Mirror) -> None:
    registry = private.api.registry
    other = await registry.host(await registry.site(name="Other"), name="other.example.org")
    _, foreign = await registry.do(accounts.make_host_token, other.id, {"scope": "check-in"})
    _, reading = await registry.do(accounts.make_host_token, private.host.id, {"scope": "read"})
    _, writing = await registry.do(accounts.make_site_token, private.site.id, {"scope": "write"})
    assert (await private.new("", token=foreign)).status == 404
    assert (await private.new("", token=reading)).status == 403
    assert (await private.new("", token=writing)).status == 200
    assert (await private.new("", token="rdr_nonsense")).status == 401
    assert (await private.new("", host="no.example.org")).status in (403, 404)
    response = await private.api.ask("POST", "/check-in", None, {})
    assert response.status == 401 and response.headers["WWW-Authenticate"] == "Bearer"


async def test_wrong_bodies_of_the_new_form(private: Mirror) -> None:
    response = await private.new("", traffic={"yesterday": 1})
    assert response.status == 422 and (await response.json())["errors"][0]["field"] == "traffic"
    headers = {"Authorization": f"Bearer {private.token}"}
    for body, kind, status in (
        (b"no JSON", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"x" * ((2 << 20) + 1), "application/json", 413),
        (json.dumps({"categories": {"a": {"directories": ["x" * 1025]}}}).encode(), "application/json", 413),
    ):
        response = await private.api.client.post(
            "/api/v1/check-in", data=io.BytesIO(body), headers={**headers, "Content-Type": kind}
        )
        assert response.status == status and response.content_type == "application/problem+json"


async def test_a_compressed_body_is_unpacked_to_the_bound(private: Mirror) -> None:
    headers = {
        "Authorization": f"Bearer {private.token}",
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
    }
    many = [f"{number:060}" for number in range(40_000)]
    body = json.dumps({"categories": {"Example Linux": {"directories": ["", *many]}}}).encode()
    assert len(body) > 2 << 20
    response = await private.api.client.post("/api/v1/check-in", data=gzip.compress(body), headers=headers)
    assert (await response.json())["categories"][0]["unknown"] == 40_000
    bomb = gzip.compress(bytes(64 << 20))
    response = await private.api.client.post("/api/v1/check-in", data=bomb, headers=headers)
    assert response.status == 413


async def test_events_name_the_token_and_no_secret_is_anywhere(private: Mirror) -> None:
    await private.old("", host={"name": private.host.name, "user_active": "no"})
    response = await private.api.ask("GET", "/events", await private.api.token((await _admin(private)).name))
    text = await response.text()
    assert "check-in of mirror.example.org" in text and "correct horse" not in text


async def _admin(mirror: Mirror) -> Any:
    return await mirror.api.registry.account("chief", admin=True)


# -- Questions of old programs -----------------------------------------------------------------------------------------


async def test_old_questions_are_answered_in_mirrormanagers_form(private: Mirror) -> None:
    registry = private.api.registry
    await registry.owner("anna", private.site)
    await registry.account("chief", admin=True)
    token = await private.api.token("chief", "read")
    headers = {"Authorization": f"Bearer {token}"}

    async def ask(path: str, **given: str) -> tuple[int, Any]:
        response = await private.api.client.get(path, headers=given)
        return response.status, await response.json() if response.status in (200, 400) else None

    for name in ("mirror.example.org", "Example Site"):
        assert await ask(f"/api/mirroradmins/?name={name}", **headers) == (200, {"admins": ["anna"], "total": 1})
    assert await ask("/api/mirroradmins", **headers) == (200, {"admins": ["anna"], "total": 1})
    status, told = await ask("/api/mirroradmins?name=nobody", **headers)
    assert (status, told) == (400, {"message": "No host or site found for nobody"})
    assert (await ask("/api/mirroradmins"))[0] == 401
    own = {"Authorization": f"Bearer {await private.api.token('anna', 'read')}"}
    assert (await ask("/api/mirroradmins", **own))[0] == 403
    status, told = await ask("/api/repositories/")
    assert status == 200 and told["total"] == len(told["repositories"]) == 7
    assert {"repo-1": {"name": "pub/linux/1", "directory": "pub/linux/1"}} in told["repositories"]
    release = {"product": "Example Linux", "version": "1", "not_before": "2040-01-01T00:00:00Z"}
    await registry.do(catalogue.create_release, release)
    status, told = await ask("/api/repositories")
    assert status == 200 and "pub/linux/1" not in str(told) and "pub/linux/2" in str(told)
    for asking, hidden in ((None, True), (own["Authorization"][7:], True), (token, False)):
        listed = await (await private.api.ask("GET", "/repositories", asking)).json()
        assert ("pub/linux/1/" not in str(listed)) is hidden and "pub/linux/2" in str(listed)
        rows = await (await private.api.ask("GET", "/repositories", token)).json()
        for row in rows["items"]:
            answer = await private.api.ask("GET", f"/repositories/{row['id']}", asking)
            assert answer.status == (404 if hidden and "pub/linux/1" in row["directory"] else 200)
