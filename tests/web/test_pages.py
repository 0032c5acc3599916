"""The pages for everybody: valid, without script, and what they say is what is served."""

from __future__ import annotations

import asyncio
import re
from typing import NoReturn

import pytest
from lxml import etree  # type: ignore[import-untyped] # no stubs are needed for one call

from redirector.errors import StoreError
from redirector.registry.edit import hosts
from redirector.store.opening import Store
from redirector.store.registry import queries
from redirector.store.registry.rows import HostRow
from redirector.web.access import SITE
from redirector.web.pages import shown
from redirector.web.pages.filters import Choice
from redirector.web.pages.render import break_at_marks, mark_code
from tests.web.conftest import Api
from tests.web.html import check_html
from tests.web.test_forms import logged_in

PAGES = ("/mirrors", "/map", "/propagation", "/statistics", "/join")


async def read(api: Api, path: str, status: int = 200) -> str:
    """The page at *path*, checked."""
    answer = await api.client.get(path, allow_redirects=False)
    text = await answer.text()
    assert answer.status == status, text
    check_html(text)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    return text


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_valid_while_nothing_is_there(api: Api, path: str) -> None:
    assert "<h1>" in await read(api, path)


async def test_every_page_is_valid_with_a_network(network: Api) -> None:
    publication = await network.registry.publication()
    names = [host.row.name for host in publication.hosts]
    for path in (*PAGES, *(f"/mirrors/{name}" for name in names[:6]), "/propagation?repository=pub-linux-1"):
        text = await read(network, path)
        assert len(text) < 300_000
    assert "&lt;three&gt;" in "".join([await read(network, f"/mirrors/{name}") for name in names])


async def test_the_list_says_ok_exactly_of_those_that_are_given(network: Api) -> None:
    publication = await network.registry.publication()
    names = {host.id: host.row.name for host in publication.hosts}
    given = {names[number] for c in publication.categories for each in c.sets for number in each.public}
    rows = re.findall(
        r'href="/mirrors/([^"?]+)">[^/]+</a></td><td class="state t-(\w+)', await read(network, "/mirrors")
    )
    assert {host for host, state in rows if state == "ok"} == given
    assert len(rows) == 12


async def test_the_list_is_narrowed_and_sorted(network: Api) -> None:
    german = await read(network, "/mirrors?country=DE")
    assert "frankfurt" in german and "tokyo" not in german
    for sort in ("lag", "score", "name", "nonsense"):
        await read(network, f"/mirrors?sort={sort}&protocol=https")
    assert "No mirror fits." in await read(network, "/mirrors?country=%22%3E%3Cscript%3E")


async def test_the_map_has_a_mark_a_town(network: Api) -> None:
    text = await read(network, "/map")
    start = text.index('<svg class="map"')
    picture = text[start : text.index("</svg>", start) + 6]
    root = etree.fromstring(picture)
    assert len(root.findall("{*}g")) == 12
    assert "Natural Earth" in text and "GeoNames" in text


async def test_the_style_sheet_is_there(api: Api) -> None:
    answer = await api.client.get("/style.css")
    assert answer.content_type == "text/css" and "prefers-color-scheme: dark" in await answer.text()


async def test_two_hundred_visitors_at_once_are_answered(network: Api) -> None:
    answers = await asyncio.gather(*(network.client.get("/mirrors") for _ in range(200)))
    assert {answer.status for answer in answers} == {200}


async def test_visitors_see_an_edit_within_a_second_and_who_edits_at_once(network: Api) -> None:
    """Where a server keeps it fresh; a page that was kept is not given once something changed."""
    application = network.client.app
    assert application is not None
    shelf, store = application[SITE].shelf, network.registry.store
    browser = await logged_in(network, "chief", admin=True)
    async with store.read() as connection:
        await shelf.refresh(connection, network.registry.now)
    (name, *_) = re.findall(r'href="/mirrors/([^"?]+)">', await read(network, "/mirrors?sort=name"))
    row = await network.registry.do(lambda change: queries.find(change.connection, HostRow, name=name))
    assert row is not None
    await network.registry.do(hosts.edit_host, row.id, None, {"name": "renamed.example.org"})
    assert name in await read(network, "/mirrors?sort=name") and "renamed" not in await read(network, "/mirrors")
    assert "renamed.example.org" in await browser.get("/mirrors")
    assert "renamed.example.org" in await read(network, "/mirrors?sort=name")
    await network.registry.do(hosts.edit_host, row.id, None, {"private": True})
    network.registry.now += 1
    assert "renamed.example.org" not in await read(network, "/mirrors"), "an edit that another process made"
    network.registry.now += 3600
    await network.registry.do(hosts.edit_host, row.id, None, {"name": "again.example.org", "private": False})
    assert "again.example.org" in await read(network, "/mirrors"), "nobody refreshed it: the store is asked"


async def test_visitors_are_given_what_is_at_hand_while_the_store_is_away(
    network: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = network.client.app
    assert application is not None
    async with network.registry.store.read() as connection:
        await application[SITE].shelf.refresh(connection, network.registry.now)
    page = await read(network, "/mirrors")

    def away(_: Store) -> NoReturn:
        raise StoreError("sqlite://", "does not answer", "start it")

    monkeypatch.setattr(Store, "read", away)
    network.registry.now += 20
    assert await read(network, "/mirrors") == page
    network.registry.now += 60
    assert (await network.client.get("/mirrors")).status == 503


async def test_pages_of_one_moment_are_kept_up_to_a_bound(network: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "KEPT_BYTES", 60_000)
    application = network.client.app
    assert application is not None
    shelf = application[SITE].shelf
    for number in range(40):
        assert "No mirror fits" in await read(network, f"/mirrors?country={number}")
    async with network.registry.store.read() as connection:
        newest = await shelf.read(connection, network.registry.now)
    kept = [n for n in range(40) if shelf.page(("/mirrors", Choice(country=str(n))), newest) is not None]
    assert kept and kept == list(range(40 - len(kept), 40)), "the newest are"


async def test_what_is_not_there_is_said_on_a_page_to_browsers_and_in_a_line_to_others(api: Api) -> None:
    answer = await api.client.get("/mirrors/nobody", headers={"Accept": "text/html"})
    text = await answer.text()
    assert answer.status == 404 and "There is no such page" in text
    check_html(text)
    answer = await api.client.get("/mirrors/nobody")
    assert (answer.status, await answer.text()) == (404, "Not Found\n")


def test_names_break_at_their_dots_and_code_is_marked_without_letting_markup_through() -> None:
    assert str(break_at_marks("a.b<i>.org")) == "a.<wbr>b&lt;i&gt;.<wbr>org"
    assert str(break_at_marks("https://a.org/b/")) == "https://<wbr>a.<wbr>org/<wbr>b/"
    assert str(mark_code("Send `a: <b>` & `c`, not <d>.")) == (
        "Send <code>a: &lt;b&gt;</code> &amp; <code>c</code>, not &lt;d&gt;."
    )
