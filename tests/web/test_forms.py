"""What admins of mirrors and of the distribution do, by pages alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from redirector.registry.edit import accounts, carried, networks, sites
from redirector.registry.edit.change import Change, House
from redirector.registry.permits import OPERATOR
from redirector.registry.public import public_list
from redirector.registry.publish.selection import select
from redirector.store.registry import queries
from redirector.store.registry.rows import CarriedRow, ContactRow, HostRow, SiteRow
from redirector.web.forms.desk import tell_changes
from redirector.web.words import FIELDS
from tests.registry.rig import CIPHER, HOST, Registry
from tests.web.browser import PASSWORD, Browser, letters, link_of, signed_up
from tests.web.conftest import Api, serving


async def logged_in(api: Api, login: str, *, admin: bool = False) -> Browser:
    """A browser of a new account."""
    async with api.registry.change(OPERATOR) as change:
        body = {"login": login, "mail": f"{login}@example.org", "distribution_admin": admin}
        row = await accounts.save_account(change, body)
        await accounts.use_link(change, await accounts.make_link(change, row), PASSWORD)
    browser = Browser(api)
    await browser.get("/login")
    await browser.send("/login", login=login, password=PASSWORD)
    return browser


async def with_host(api: Api) -> Browser:
    """Somebody with an approved site and one host, number 1."""
    await api.registry.category()
    browser = await logged_in(api, "ann")
    site = await api.registry.site()
    await api.registry.do(sites.put_admin, site.id, {"account": "ann"})
    await api.registry.host(site)
    await browser.get("/hosts/1")
    assert browser.status == 200
    return browser


async def listed(registry: Registry) -> dict[str, str]:
    """Host -> state, as published."""
    holdings = await registry.holdings()
    found = public_list(holdings, select(holdings, registry.now), registry.now)
    return {mirror.host: mirror.state for mirror in found.mirrors}


async def test_from_sign_up_to_a_listed_mirror_by_pages_alone(api: Api) -> None:
    await api.registry.category()
    ann = await signed_up(api, "ann")
    await ann.get("/sites/new")
    assert 'value="ann@example.org"' in ann.text or "ann@example.org</textarea>" in ann.text
    await ann.send("/sites/new", name="University of Somewhere", url="https://uni.example.org/")
    assert ann.path == "/sites/1/hosts/new"
    await ann.send(
        "/sites/1/hosts/new", name="mirror.uni.example.org", country="DE", city="Berlin", bandwidth_mbit="10000"
    )
    assert ann.path == "/hosts/1" and "not asked for" in ann.text
    await ann.send("/hosts/1/categories", category="Example Linux")
    await ann.send("/hosts/1/urls", category="Example Linux", url="https://mirror.uni.example.org/linux/")
    assert "https://mirror.uni.example.org/linux/" in ann.text.replace("<wbr>", "")
    await ann.get("/sites/1")
    await ann.send("/sites/1/approval", action="ask", text="10 Gbit/s since 1999")
    assert "waiting" in ann.text

    root = await logged_in(api, "root", admin=True)
    await root.get("/desk")
    assert "University of Somewhere" in root.text and "since 1999" in root.text
    await root.get("/sites/1")
    await root.send("/sites/1/approval", action="approve", text="welcome")
    assert "approved" in root.text

    await ann.get("/hosts/1")
    assert "unchecked" in ann.text and "Wait for the first visit" in ann.text
    async with api.registry.change(OPERATOR) as change:
        (part,) = await queries.list_rows(change.connection, CarriedRow)
        await carried.edit_carried(change, 1, part.id, None, {"always_current": True})
    assert await listed(api.registry) == {"mirror.uni.example.org": "ok"}
    await ann.get("/hosts/1")
    assert "Nothing: it is listed." in ann.text


async def test_visitors_are_sent_to_login_and_back(api: Api) -> None:
    await with_host(api)
    browser = Browser(api)
    await browser.get("/hosts/1")
    assert browser.path == "/login?next=/hosts/1"
    await browser.send("/login", login="ann", password=PASSWORD)
    assert browser.path == "/hosts/1"


async def test_another_s_site_is_missing(api: Api) -> None:
    await with_host(api)
    bob = await logged_in(api, "bob")
    for path in ("/sites/1", "/hosts/1", "/hosts/1/urls/1", "/sites/1/hosts/new", "/events?host=1", "/sites/99"):
        await bob.get(path)
        assert bob.status == 404, path


async def test_the_desk_is_for_the_distribution(api: Api) -> None:
    await with_host(api)
    bob, root = await logged_in(api, "bob"), await logged_in(api, "root", admin=True)
    for path in ("/desk", "/desk/accounts", "/desk/releases", "/desk/categories"):
        await bob.get(path)
        assert bob.status == 403, path
        await root.get(path)
        assert root.status == 200, path


WRONG: tuple[tuple[str, str, str], ...] = (
    ("/hosts/1", "name", "not a name"),
    ("/hosts/1", "name", ""),
    ("/hosts/1", "country", "Germany!"),
    ("/hosts/1", "latitude", "91"),
    ("/hosts/1", "latitude", "12"),
    ("/hosts/1", "longitude", "east"),
    ("/hosts/1", "bandwidth_mbit", "0"),
    ("/hosts/1", "bandwidth_mbit", "fast"),
    ("/hosts/1", "bandwidth_mbit", "1000001"),
    ("/hosts/1", "own_asn", "-1"),
    ("/hosts/1", "own_asn", "64512"),
    ("/hosts/1", "update_frequency", "often"),
    ("/hosts/1", "tier", "3"),
    ("/hosts/1", "pulls_from", "nobody.example.org"),
    ("/hosts/1", "pulls_from", "mirror.example.org"),
    ("/hosts/1", "monopoly", "on"),
    ("/hosts/1", "cloud_regions", "eu-west-1"),
    ("/hosts/1", "city", "x" * 256),
    ("/hosts/1/categories", "category", "no such"),
    ("/hosts/1/networks", "network", "192.0.2.1/24"),
    ("/hosts/1/networks", "network", "0.0.0.0/0"),
    ("/hosts/1/networks", "network", "10.0.0.0/24"),
    ("/hosts/1/networks", "network", ""),
    ("/hosts/1/asns", "asn", "AS"),
    ("/hosts/1/countries", "country", "XX"),
    ("/hosts/1/acl", "address", "198.51.0.0/16"),
    ("/hosts/1/maintenance", "to", "tomorrow"),
    ("/hosts/1/tokens", "days", "0"),
    ("/sites/1", "name", ""),
    ("/sites/1", "url", "javascript:alert(1)"),
    ("/sites/1", "contacts", "nobody"),
    ("/sites/1", "contacts", ""),
    ("/sites/1", "pulled_by", "99"),
    ("/sites/1/admins", "account", "nobody"),
)


async def test_every_wrong_value_is_said_at_its_field_and_nothing_typed_is_lost(api: Api) -> None:
    browser = await with_host(api)
    before = await api.registry.holdings()
    for form, field, value in WRONG:
        await browser.get("/hosts/1" if form.startswith("/hosts") else "/sites/1")
        await browser.send(form, **{field: value})
        assert browser.status in (403, 409, 422), (form, field, value)
        assert 'class="fault"' in browser.text and 'role="alert"' in browser.text, (form, field, value)
        assert value in browser.text or value == ""
    after = await api.registry.holdings()
    assert (before.hosts, before.sites, before.networks) == (after.hosts, after.sites, after.networks)


async def test_a_url_that_is_none_is_refused(api: Api) -> None:
    browser = await with_host(api)
    await browser.send("/hosts/1/categories", category="Example Linux")
    for url in ("http://a.example.org/x?y", "gopher://a.example.org/", "https://u:p@a.example.org/", "linux", ""):
        await browser.send("/hosts/1/urls", url=url)
        assert browser.status == 422 and 'class="fault"' in browser.text, url


async def test_a_stale_form_shows_both_values_and_goes_through_when_it_is_sent_again(api: Api) -> None:
    one = await with_host(api)
    two = Browser(api, dict(one.cookies))
    await two.get("/hosts/1")
    await one.send("/hosts/1", city="Berlin")
    assert one.status == 200
    await two.send("/hosts/1", city="Potsdam")
    assert two.status == 412
    assert "Potsdam" in two.text and "Meanwhile it is: Berlin" in two.text
    await two.send("/hosts/1")
    assert (await api.registry.holdings()).hosts[1].city == "Potsdam"


async def test_everything_that_belongs_to_a_host_is_added_changed_and_removed(api: Api) -> None:
    browser = await with_host(api)
    await browser.send("/hosts/1/categories", category="Example Linux", exclusions="*/isos/*\n*/debug/*")
    await browser.get("/hosts/1/categories/1")
    await browser.send("/hosts/1/categories/1", exclusions="*/isos/*")
    await browser.send(
        "/hosts/1/urls", url="rsync://mirror.example.org/linux/", audience="mirrors", user="u", password="s3cret"
    )
    assert "s3cret" not in browser.text
    await browser.get("/hosts/1/urls/1")
    assert "s3cret" not in browser.text
    await browser.send("/hosts/1/urls/1", url="rsync://mirror.example.org/other/")
    await browser.send("/hosts/1/networks", network="203.0.112.0/24", name="campus")
    await browser.send("/hosts/1/countries", country="de")
    await browser.send("/hosts/1/acl", address="203.0.112.7")
    found = await api.registry.holdings()
    assert found.carried[1][0].exclusions == ["*/isos/*"]
    assert found.urls[1][0].url == "rsync://mirror.example.org/other/" and found.urls[1][0].password is not None
    assert found.networks[1][0].name == "campus" and found.countries[1][0].country == "DE"
    for plural in ("urls", "networks", "countries", "acl", "categories"):
        await browser.send(f"/hosts/1/{plural}/1/delete")
        assert browser.path.startswith("/hosts/1"), browser.text
    found = await api.registry.holdings()
    assert not any((found.carried, found.urls, found.networks, found.countries))


async def test_a_wide_network_waits_and_is_decided_at_the_desk(api: Api) -> None:
    browser = await with_host(api)
    await browser.send("/hosts/1/networks", network="2001:4000::/23")
    assert "waiting" in browser.text
    root = await logged_in(api, "root", admin=True)
    await root.get("/desk")
    assert "2001:4000::/23" in root.text
    await root.send("/hosts/1/networks/1/approval", action="approve")
    async with api.registry.change(OPERATOR) as change:
        (row,) = await networks.list_networks(change, 1)
    assert row.counts


async def test_after_every_save_stands_what_it_does_to_clients(api: Api) -> None:
    browser = await with_host(api)
    other = await api.registry.host(await api.registry.site(name="Other"), name="other.example.org")
    await api.registry.carry(other)
    await api.registry.do(carried.add_carried, 1, {"category": "Example Linux", "always_current": True})
    await browser.get("/hosts/1")
    await browser.send("/hosts/1", city="[effect]")
    await browser.send("/hosts/1/urls", category="Example Linux", url="https://mirror.example.org/linux/")
    assert "it comes into the lists of" in browser.text and "Strangers are given it." in browser.text
    assert "10,000 made-up clients" in browser.text and "of all have mirror.example.org first, before" in browser.text
    await browser.get("/hosts/1")
    assert "made-up clients" not in browser.text


async def test_what_a_decision_about_a_site_does_to_clients_stands_on_its_page(api: Api) -> None:
    browser = await with_host(api)
    other = await api.registry.host(await api.registry.site(name="Other"), name="other.example.org")
    for number in (1, other.id):
        row = other if number == other.id else await api.registry.do(first_host)
        await api.registry.carry(row, f"https://{row.name}/linux/")
    second = await api.registry.host(await api.registry.do(first_site), name="second.example.org")
    await api.registry.carry(second, "https://second.example.org/linux/")
    chief = await logged_in(api, "chief", admin=True)
    await chief.get("/sites/1")
    await chief.send("/sites/1/approval", action="suspend", text="too slow")
    gone = "Example Linux: it goes out of all lists"
    assert f"mirror.example.org: {gone}; second.example.org: {gone}." in chief.text
    assert "10,000 made-up clients" in chief.text and "of all have Example Site first, before" in chief.text
    assert re.search(r"of all have Example Site first, before</dt><dd>6[67]\.\d\d %", chief.text), chief.text
    await chief.get("/sites/1/effect")
    assert chief.status == 200 and "Where clients get another mirror first" in chief.text

    await chief.get("/sites/1")
    await chief.send("/sites/1/approval", action="approve")
    assert "it comes into the lists of" in chief.text
    await browser.get("/sites/1")
    await browser.send("/sites/1", private="on")
    assert f"second.example.org: {gone}" in browser.text and "10,000 made-up clients" in browser.text
    await browser.get("/sites/1")
    await browser.send("/sites/1", comment="be kind")
    assert "No list changes by it" in browser.text and "made-up clients" not in browser.text
    await browser.get("/sites/2/effect")
    assert browser.status == 404


async def first_host(change: Change) -> HostRow:
    row = await queries.find(change.connection, HostRow, id=1)
    assert row is not None
    return row


async def first_site(change: Change) -> SiteRow:
    row = await queries.find(change.connection, SiteRow, id=1)
    assert row is not None
    return row


async def test_maintenance_begins_and_ends(api: Api) -> None:
    browser = await with_host(api)
    await browser.send("/hosts/1/maintenance", to="2030-01-01T00:00:00Z")
    assert await listed(api.registry) == {HOST["name"]: "maintenance"}
    version = str(browser.fields("/hosts/1/maintenance")["version"])
    await browser.post("/hosts/1/maintenance", end="1", version=version)
    assert await listed(api.registry) != {HOST["name"]: "maintenance"}


async def test_a_token_is_shown_once(api: Api) -> None:
    browser = await with_host(api)
    for base in ("/hosts/1", "/sites/1"):
        await browser.get(base)
        await browser.send(f"{base}/tokens", scope="read")
        assert "rdr_" in browser.text
        await browser.get(base)
        assert "rdr_" not in browser.text and "read" in browser.text
    await browser.send("/sites/1/tokens/2")
    await browser.get("/hosts/1")
    await browser.send("/hosts/1/tokens/1")
    async with api.registry.change(OPERATOR) as change:
        assert not await accounts.list_tokens(change, site=1) and not await accounts.list_tokens(change, host=1)


async def test_tokens_that_act_as_an_account_are_ended_by_it_alone(api: Api) -> None:
    ann, bob = await with_host(api), await logged_in(api, "bob")
    secret = await api.token("ann", "read")
    await ann.get("/account")
    form = re.search(r'action="(/account/tokens/\d+)"', ann.text)
    assert form is not None and secret not in ann.text
    await bob.get("/account")
    assert "/account/tokens/" not in bob.text
    await bob.post(form[1])
    assert bob.status == 404 and (await api.ask("GET", "/sites", secret)).status == 200
    await ann.send(form[1])
    assert ann.path == "/account" and "/account/tokens/" not in ann.text
    assert (await api.ask("GET", "/sites", secret)).status == 401


async def test_a_site_s_page_says_to_whom_no_notice_goes(api: Api) -> None:
    ann = await with_host(api)
    await ann.get("/sites/1")
    assert "No notice goes to ops@example.org yet" in ann.text
    async with api.registry.change(OPERATOR) as change:
        await queries.set_columns(change.connection, ContactRow, {"site": 1}, verified=api.registry.now)
    await ann.get("/sites/1")
    assert "No notice goes to" not in ann.text


async def test_an_admin_is_invited_by_a_link_where_no_mail_goes_out(api: Api) -> None:
    ann = await with_host(api)
    await ann.get("/sites/1")
    await ann.send("/sites/1/admins", account="bob@example.org")
    found = re.search(r"<pre>(?:http://[^/]*)?(/invitations/\S+)</pre>", ann.text)
    assert found is not None and not await letters(api)
    bob = await logged_in(api, "bob")
    await bob.get(found[1])
    await bob.send(bob.path)
    assert bob.path == "/sites/1"


async def test_who_must_log_in_first_comes_back_to_where_he_was_going(api: Api) -> None:
    ann = await with_host(api)
    await ann.get("/events")
    await ann.send("/logout")
    await ann.get("/events?what=host.add&host=1&before=9")
    assert ann.path.startswith("/login")
    await ann.send("/login", login="ann", password=PASSWORD)
    assert ann.path == "/events?what=host.add&host=1&before=9"


async def test_an_admin_is_invited_by_mail_and_the_last_cannot_go(registry: Registry) -> None:
    registry.house = House(cipher=CIPHER, pages="http://127.0.0.1", mails=True)
    async with serving(registry) as api:
        ann = await with_host(api)
        bob = await logged_in(api, "bob")
        await ann.get("/sites/1")
        await ann.send("/sites/1/admins", account="bob@example.org")
        await bob.get(await link_of(api, "bob@example.org"))
        await bob.send(bob.path)
        assert bob.path == "/sites/1"
        await bob.send("/sites/1/admins/1")
        await ann.get("/sites/1")
        assert ann.status == 404
        await bob.get("/sites/1")
        await bob.send("/sites/1/admins/2")
        assert bob.status == 409 and "last admin" in bob.text


async def test_a_host_and_a_site_leave(api: Api) -> None:
    browser = await with_host(api)
    await browser.send("/hosts/1/leave")
    assert await listed(api.registry) == {HOST["name"]: "host-off"}
    await browser.get("/sites/1")
    await browser.send("/sites/1/leave")
    assert "It leaves" in browser.text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            {},
            {"id": 3, "version": 1, "edited": 5, "city": "", "private": False, "name": "x"},
            ["private: no", "name: x"],
        ),
        ({"city": "Berlin"}, {"city": "Potsdam"}, ["city: Berlin → Potsdam"]),
        ({"city": "Berlin", "tier": 1}, {"city": None, "tier": 1}, ["city: Berlin → nothing"]),
        ({"network": "192.0.2.0/24"}, {}, ["network: 192.0.2.0/24 → nothing"]),
        ({"contacts": []}, {"contacts": ["a", "b"]}, ["contacts: nothing → a, b"]),
        ({"maintenance": None}, {"maintenance": {"from": 1, "to": None}}, ["maintenance: nothing → from 1, to "]),
    ],
    ids=["new", "changed", "emptied", "gone", "a list", "a mapping"],
)
def test_an_event_says_what_became_of_each_field(old: dict[str, Any], new: dict[str, Any], told: list[str]) -> None:
    assert tell_changes(old, new) == told


async def test_events_are_shown_and_chosen(api: Api) -> None:
    browser = await with_host(api)
    await browser.send("/hosts/1", city="<b>Berlin</b>")
    await browser.get("/events?what=host.change")
    assert "&lt;b&gt;Berlin" in browser.text and "host.add" not in browser.text


async def test_accounts_are_disabled_at_the_desk_and_are_out_at_once(api: Api) -> None:
    ann = await with_host(api)
    root = await logged_in(api, "root", admin=True)
    await root.get("/desk/accounts")
    await root.post("/desk/accounts/1", do="disable")
    await ann.get("/hosts/1")
    assert ann.path.startswith("/login")
    await root.post("/desk/accounts/2", do="disable")
    assert root.status == 409
    await ann.post("/desk/accounts/2", do="disable", csrf="x")
    assert ann.status in (200, 403)


async def test_a_release_is_put_under_embargo_at_the_desk(api: Api) -> None:
    root = await logged_in(api, "root", admin=True)
    await root.get("/desk/releases")
    await root.send("/desk/releases", product="Example Linux", version="43", not_before="soon")
    assert root.status == 422
    await root.send("/desk/releases", not_before="2040-01-01T00:00:00Z")
    assert "embargo" in root.text
    await root.send("/desk/releases/1/delete")
    assert "None." in root.text


async def test_notes_are_for_the_distribution(api: Api) -> None:
    ann = await with_host(api)
    root = await logged_in(api, "root", admin=True)
    await root.get("/sites/1")
    await root.send("/sites/1/notes", text="pays in cake")
    assert "pays in cake" in root.text
    await ann.get("/sites/1")
    assert "pays in cake" not in ann.text
    await ann.post("/sites/1/notes", text="me too")
    assert ann.status == 403


async def test_a_category_is_made_at_the_desk(api: Api) -> None:
    root = await logged_in(api, "root", admin=True)
    await root.get("/desk/categories")
    await root.send("/desk/categories", name="More", top="pub/more")
    assert "pub/more" in root.text
    await root.send("/desk/categories", name="more", top="pub/more")
    assert root.status == 409 and 'class="fault"' in root.text


def test_every_field_has_its_rule_beside_it() -> None:
    assert all(label and rule for label, rule in FIELDS.values())
