"""Every form with every kind of wrong value, found from the routes: one without a row here fails."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import pytest

from redirector.registry.edit import networks, sites
from redirector.store.registry import queries
from redirector.store.registry.rows import NetworkRow
from redirector.web.access import API
from tests.registry.conftest import any_registry, registry
from tests.web.browser import PASSWORD, Browser
from tests.web.conftest import Api, any_api, api
from tests.web.test_forms import logged_in
from tests.web.test_permissions import PROGRAMS, routes_of

__all__ = ["any_api", "any_registry", "api", "registry"]

SITE, HOST = "/sites/1", "/hosts/1"


@dataclass(frozen=True, slots=True)
class Form:
    """One form.

    route   as the application has it
    page    where it stands; "": a button that is sent without looking at it
    path    where it goes, when that differs from the route
    who     `visitor`, `keeper` (admin of the site) or `chief`
    good    what is typed so that nothing else is wrong
    takes   field -> kinds of wrong values that are none there: free text may look like markup
    alike   whatever is typed, the answer says nothing of it: nobody learns who exists
    """

    route: str
    page: str = ""
    path: str = ""
    who: str = "keeper"
    good: Mapping[str, str] = field(default_factory=dict)
    takes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    alike: bool = False

    @property
    def action(self) -> str:
        """Where it goes."""
        return self.path or self.route


TEXT = ("markup", "type")
"""Lines for people to read, shown as they were typed."""

FORMS = (
    Form("/login", "/login", who="visitor", alike=True),
    Form("/logout"),
    Form("/signup", "/signup", who="visitor", good={"login": "new", "mail": "new@example.org"}),
    Form("/login/reset", "/login/reset", who="visitor", alike=True),
    Form("/login/link/{secret}", path="/login/link/none", who="visitor"),
    Form("/contacts/{site}/{secret}", path="/contacts/1/none", who="visitor"),
    Form(
        "/account/password", "/account", good={"old": PASSWORD, "password": "another sentence altogether"},
        takes={"old": ("control", "markup", "type"), "password": TEXT},
    ),
    Form("/account/mail", "/account", good={"old": PASSWORD, "mail": "new@example.org"}),
    Form("/account/sessions"),
    Form("/account/tokens/{number}", path="/account/tokens/999"),
    Form("/account/delete", "/account"),
    Form("/sites/new", "/sites/new", good={"name": "New", "url": "https://new.example.org/"}, takes={"name": TEXT}),
    Form("/invitations/{secret}", path="/invitations/none"),
    Form("/sites/{site}", SITE, SITE, takes={"name": TEXT, "comment": TEXT}),
    Form("/sites/{site}/approval", SITE, f"{SITE}/approval", "chief", {"action": "suspend"}, {"text": TEXT}),
    Form("/sites/{site}/admins", SITE, f"{SITE}/admins"),
    Form("/sites/{site}/admins/{number}", path=f"{SITE}/admins/999"),
    Form("/sites/{site}/invitations/{number}", path=f"{SITE}/invitations/999"),
    Form("/sites/{site}/tokens", SITE, f"{SITE}/tokens"),
    Form("/sites/{site}/tokens/{number}", path=f"{SITE}/tokens/999"),
    Form("/sites/{site}/notes", SITE, f"{SITE}/notes", "chief", takes={"text": TEXT}),
    Form("/sites/{site}/leave", path=f"{SITE}/leave"),
    Form(
        "/sites/{site}/hosts/new", f"{SITE}/hosts/new", f"{SITE}/hosts/new",
        good={"name": "new.example.org", "country": "DE", "bandwidth_mbit": "1000"},
        takes={"city": TEXT, "state": TEXT},
    ),
    Form(
        "/hosts/{host}", HOST, HOST, good={"cloud_type": "aws", "cloud_regions": "eu-west-1"},
        takes={"city": TEXT, "state": TEXT, "cloud_regions": TEXT},
    ),
    Form("/hosts/{host}/maintenance", HOST, f"{HOST}/maintenance", good={"to": "2030-01-01T00:00:00Z"}),
    Form("/hosts/{host}/leave", path=f"{HOST}/leave"),
    Form("/hosts/{host}/tokens", HOST, f"{HOST}/tokens"),
    Form("/hosts/{host}/tokens/{number}", path=f"{HOST}/tokens/999"),
    Form("/hosts/{host}/check", path=f"{HOST}/check"),
    Form("/hosts/{host}/{plural}", HOST, f"{HOST}/categories", takes={"exclusions": TEXT}),
    Form("/hosts/{host}/{plural}", HOST, f"{HOST}/urls", good={"url": "https://new.example.org/linux/"}),
    Form("/hosts/{host}/{plural}", HOST, f"{HOST}/networks", good={"network": "8.8.4.0/24"}, takes={"name": TEXT}),
    Form("/hosts/{host}/{plural}", HOST, f"{HOST}/asns", good={"asn": "3320"}),
    Form("/hosts/{host}/{plural}", HOST, f"{HOST}/countries", good={"country": "DE"}),
    Form("/hosts/{host}/{plural}", HOST, f"{HOST}/acl", good={"address": "8.8.8.8"}),
    Form(
        "/hosts/{host}/{plural}/{number}", f"{HOST}/categories/1", f"{HOST}/categories/1", takes={"exclusions": TEXT}
    ),
    Form("/hosts/{host}/{plural}/{number}", f"{HOST}/urls/1", f"{HOST}/urls/1"),
    Form("/hosts/{host}/{plural}/{number}", f"{HOST}/networks/1", f"{HOST}/networks/1", takes={"name": TEXT}),
    Form("/hosts/{host}/{plural}/{number}/delete", path=f"{HOST}/urls/999/delete"),
    Form("/hosts/{host}/{plural}/{number}/approval", path=f"{HOST}/networks/999/approval", who="chief"),
    Form("/desk/accounts/{number}", path="/desk/accounts/999", who="chief"),
    Form("/desk/{plural}", "/desk/releases", "/desk/releases", "chief", {"product": "X", "version": "1"},
        {"product": TEXT, "version": TEXT, "arches": TEXT},
    ),
    Form("/desk/{plural}", "/desk/categories", "/desk/categories", "chief", {"name": "X", "top": "pub/x"},
        {"name": TEXT, "product": TEXT, "top": TEXT},
    ),
    Form(
        "/desk/{plural}", "/desk/repositories", "/desk/repositories", "chief",
        {"prefix": "x", "arch": "x86_64", "directory": "pub/linux/2/x86_64/os"},
        {"prefix": TEXT, "arch": TEXT, "directory": TEXT},
    ),
    Form("/desk/{plural}", "/desk/redirects", "/desk/redirects", "chief", {"source": "a", "target": "b"},
        {"source": TEXT, "target": TEXT},
    ),
    Form("/desk/{plural}/{number}", "/desk/categories/1", "/desk/categories/1", "chief",
        takes={"name": TEXT, "product": TEXT, "top": TEXT},
    ),
    Form("/desk/{plural}/{number}", "/desk/repositories/1", "/desk/repositories/1", "chief",
        takes={"prefix": TEXT, "arch": TEXT, "directory": TEXT},
    ),
    Form("/desk/{plural}/{number}/delete", path="/desk/releases/999/delete", who="chief"),
)  # fmt: skip

WRONG = {
    "empty": "",
    "long": "x" * 5000,
    "control": "a\x1b[31m\x07b",
    "markup": '"><script>alert(1)</script>',
    "type": "-1.5e3 or so",
}
"""Kinds of wrong values; `type`: no number, no time, no name, no URL."""

FREE = frozenset({"csrf", "version", "next"})


@pytest.fixture
async def people(api: Api) -> AsyncIterator[dict[str, Browser]]:
    """A site with a host and one of each that belongs to it, and who may send what."""
    await api.registry.category()
    await api.registry.category(name="Other", top="pub/other")
    keeper, chief = await logged_in(api, "keeper"), await logged_in(api, "chief", admin=True)
    site = await api.registry.site()
    await api.registry.do(sites.put_admin, site.id, {"account": "keeper"})
    host = await api.registry.host(site)
    await api.registry.carry(host)
    await api.registry.do(networks.add_network, host.id, {"network": "8.8.8.0/24"})
    yield {"visitor": Browser(api), "keeper": keeper, "chief": chief}


@contextmanager
def watched(api: Api) -> Iterator[list[str]]:
    """What is told when anybody wrote one byte into the database meanwhile; nothing else is."""
    file, told = api.registry.store.url.removeprefix("sqlite:///"), list[str]()
    with closing(sqlite3.connect(file)) as watcher:
        before = watcher.execute("PRAGMA data_version").fetchone()
        yield told
        if watcher.execute("PRAGMA data_version").fetchone() != before:
            told.append("something was stored")


def inside(page: str, action: str) -> str:
    """What stands in the form that goes to *action*."""
    found = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page, re.DOTALL)
    return found[0] if found else ""


def named(page: str, action: str, name: str) -> bool:
    """Whether the page says that something is wrong with the field *name*."""
    text = inside(page, action)
    tag = re.search(rf'<(?:input|select|textarea)[^>]*\bname="{re.escape(name)}"[^>]*>', text)
    beside = tag is not None and 'aria-invalid="true"' in tag[0]
    return beside or re.search(rf"<li>{re.escape(name)}\b[^<]*: ", page) is not None


def kept(page: str, action: str, name: str, value: str) -> bool:
    """Whether the field *name* still holds what was typed."""
    text = inside(page, action)
    tag = re.search(rf'<(?:input|textarea)[^>]*\bname="{re.escape(name)}"[^>]*>(?:\n?([^<]*)</textarea>)?', text)
    if tag is None:
        return False
    found = tag[1] if tag[1] is not None else (re.search(r'\bvalue="([^"]*)"', tag[0]) or ("", ""))[1]
    return unescape(found) == value


def test_every_form_has_a_row_and_every_row_is_a_form(api: Api) -> None:
    posts = {line.removeprefix("POST ") for line in routes_of(api) - PROGRAMS if line.startswith("POST ")}
    assert not any(path.startswith(API) for path in posts)
    assert sorted(posts) == sorted({form.route for form in FORMS})


@pytest.mark.parametrize("form", [each for each in FORMS if each.page], ids=lambda form: form.action.strip("/"))
async def test_every_wrong_value_is_said_at_its_field_keeps_what_was_typed_and_stores_nothing(
    api: Api, people: dict[str, Browser], form: Form
) -> None:
    browser = people[form.who]
    await browser.get(form.page)
    whole: dict[str, Any] = {**browser.fields(form.action), **form.good}
    page = browser.text
    tried, amiss = 0, []
    for name in [each for each in whole if each not in FREE]:
        tag = re.search(rf'<(input|select|textarea)[^>]*\bname="{name}"[^>]*>', inside(page, form.action))
        if tag is None or "checkbox" in tag[0]:
            continue
        for kind, value in WRONG.items():
            if kind in form.takes.get(name, ()) or (kind == "empty" and " required" not in tag[0]):
                continue
            with watched(api) as written:
                await browser.post(form.action, **{**whole, name: value})
            tried += 1
            ours = tag[1] == "select" or 'type="password"' in tag[0]
            wrong = {
                "written": bool(written),
                "no refusal": not (400 <= browser.status < 500 or (form.alike and browser.status < 500)),
                "not named": not form.alike and not named(browser.text, form.action, name),
                "not kept": not form.alike and not ours and not kept(browser.text, form.action, name, value),
                "markup": "<script>alert" in browser.text,
            }
            amiss += [(name, kind, browser.status, what) for what, holds in wrong.items() if holds]
    assert tried, "a form without a field to fill in needs no page"
    assert not amiss


ATTACKS = ("no token", "a forged token", "another's token", "no origin", "null origin", "another's origin")


@pytest.mark.parametrize("attack", ATTACKS)
async def test_no_form_is_taken_from_elsewhere(api: Api, people: dict[str, Browser], attack: str) -> None:
    """But for the one whose secret stands in its path."""
    other = await logged_in(api, "other")
    await other.get("/account")
    own = str(api.client.make_url("")).rstrip("/")
    for form in FORMS:
        if form.route == "/contacts/{site}/{secret}":
            continue
        browser = people[form.who]
        await browser.get("/login" if form.who == "visitor" else "/account")
        token = {"no token": "", "a forged token": "0" * 64, "another's token": other.csrf}.get(attack, browser.csrf)
        origin = {"no origin": None, "null origin": "null", "another's origin": "https://evil.example"}.get(attack, own)
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        headers = {"Cookie": cookie, **({} if origin is None else {"Origin": origin})}
        with watched(api) as written:
            answer = await api.client.post(
                form.action, data={**form.good, "csrf": token}, headers=headers, allow_redirects=False
            )
        api.client.session.cookie_jar.clear()
        assert answer.status == 403 and not written, (form.action, attack)


VERSIONED = [
    each
    for each in FORMS
    if each.page
    and (
        "{number}" in each.route
        or each.route in ("/sites/{site}", "/hosts/{host}", "/sites/{site}/approval", "/hosts/{host}/maintenance")
    )
]


@pytest.mark.parametrize("form", VERSIONED, ids=lambda form: form.action.strip("/"))
async def test_a_form_of_an_older_version_is_refused_and_keeps_what_was_typed(
    api: Api, people: dict[str, Browser], form: Form
) -> None:
    browser = people[form.who]
    await browser.get(form.page)
    whole: dict[str, Any] = {**browser.fields(form.action), **form.good}
    assert whole["version"]
    with watched(api) as written:
        await browser.post(form.action, **{**whole, "version": "999"})
    assert not written and browser.status == 412 and "Somebody changed it meanwhile" in browser.text, browser.text
    again = browser.fields(form.action)
    assert {name: value for name, value in again.items() if name not in FREE} == {
        name: value
        for name, value in whole.items()
        if name not in FREE | {"action"}  # which is a button's
    }


@pytest.mark.parametrize("form", VERSIONED, ids=lambda form: form.action.strip("/"))
@pytest.mark.parametrize("version", [None, "", "first", "-1"], ids=["none", "empty", "text", "negative"])
async def test_a_form_that_does_not_say_its_version_is_refused(
    api: Api, people: dict[str, Browser], form: Form, version: str | None
) -> None:
    """Else it would undo what somebody else saved meanwhile."""
    browser = people[form.who]
    await browser.get(form.page)
    whole: dict[str, Any] = {**browser.fields(form.action), **form.good}
    del whole["version"]
    with watched(api) as written:
        await browser.post(form.action, **whole, **({} if version is None else {"version": version}))
    assert not written and browser.status == 409 and "load the page again" in browser.text, browser.text
    assert browser.fields(form.action)["version"], "sent again it is of what is there now"


async def test_what_others_save_between_two_tries_is_not_undone_by_the_second(
    api: Api, people: dict[str, Browser]
) -> None:
    keeper, chief = people["keeper"], people["chief"]
    await keeper.get(HOST)
    await keeper.send(HOST, bandwidth_mbit="much")
    assert keeper.status == 422
    await chief.get(HOST)
    await chief.send(HOST, city="Berlin")
    await keeper.send(HOST, bandwidth_mbit="2000")
    assert keeper.status == 412 and "Meanwhile it is: Berlin" in keeper.text


async def test_nobody_approves_another_network_than_he_looked_at(api: Api, people: dict[str, Browser]) -> None:
    keeper, chief = people["keeper"], people["chief"]
    await keeper.get(HOST)
    await keeper.send(f"{HOST}/networks", network="8.0.0.0/15")
    await chief.get("/desk")
    approval = f"{HOST}/networks/2/approval"
    version = str(chief.fields(approval)["version"])
    await keeper.get(f"{HOST}/networks/2")
    await keeper.send(f"{HOST}/networks/2", network="8.0.0.0/9")
    with watched(api) as written:
        await chief.post(approval, action="approve", version=version)
    assert chief.status == 412 and "look at what is there now" in chief.text and not written
    await chief.send(approval, action="approve")
    async with api.registry.store.read() as connection:
        (row,) = await queries.list_rows(connection, NetworkRow, network="8.0.0.0/9")
    assert not row.waits


async def test_what_no_text_of_a_database_can_hold_finds_nothing(any_api: Api) -> None:
    """PostgreSQL takes no zero byte in a text."""
    browser = await logged_in(any_api, "ann", admin=True)
    for path in ("/events?what=%00", "/mirrors?country=%00", "/propagation?repository=%00", "/mirrors/%00"):
        await browser.get(path)
        assert browser.status == 404, path
    answer = await any_api.ask("GET", "/statistics/propagation?repository=%00")
    assert answer.status == 404
    visitor = Browser(any_api)
    await visitor.get("/login")
    await visitor.send("/login", login="a\0b", password="no password of anybody")
    assert visitor.status == 403
    await visitor.get("/login/reset")
    await visitor.send("/login/reset", login="a\0b")
    assert visitor.status == 200
