"""Changes: what they do, what refuses them, and what is written down about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import insert

from redirector.registry.edit import accounts, asns, carried, catalogue, hosts, networks, notes, sites
from redirector.registry.edit.change import Change
from redirector.registry.refusals import Conflict, Forbidden, Invalid, Missing, RegistryError, Stale
from redirector.registry.views import show_network
from redirector.store.registry import queries
from redirector.store.registry.rows import EventRow, HostRow, SiteRow, TokenRow, UrlRow
from redirector.store.tables import registry as tables
from tests.registry.rig import HOST, NOW, OPERATOR, SITE, VISITOR, Registry


def fields_of(error: Any) -> set[str]:
    return {problem.field for problem in error.problems}


async def events(registry: Registry) -> list[EventRow]:
    async with registry.change() as change:
        return await queries.list_rows(change.connection, EventRow)


async def test_a_site_goes_from_draft_to_approved(any_registry: Registry) -> None:
    registry = any_registry
    owner, admin = await registry.account("owner"), await registry.account("boss", admin=True)
    site = await registry.do(sites.create_site, SITE, actor=owner)
    assert site.state == "draft"
    owner = await registry.do(accounts.actor_of, await account_of(registry, "owner"))
    assert owner.sites == {site.id}
    asked = await registry.do(sites.decide_site, site.id, site.version, {"action": "ask", "text": "Hello"}, actor=owner)
    assert (asked.state, asked.state_text) == ("waiting", "Hello")
    with pytest.raises(Forbidden):
        await registry.do(sites.decide_site, site.id, None, {"action": "approve"}, actor=owner)
    refused = await registry.do(sites.decide_site, site.id, None, {"action": "refuse", "text": "No"}, actor=admin)
    assert refused.state == "refused"
    await registry.do(sites.decide_site, site.id, None, {"action": "ask"}, actor=owner)
    approved = await registry.do(sites.decide_site, site.id, None, {"action": "approve"}, actor=admin)
    assert approved.state == "approved"
    with pytest.raises(Conflict):
        await registry.do(sites.decide_site, site.id, None, {"action": "ask"}, actor=owner)
    suspended = await registry.do(sites.decide_site, site.id, None, {"action": "suspend"}, actor=admin)
    assert suspended.state == "suspended"
    told = [event.what for event in await events(registry) if event.what.startswith("site")]
    assert told == ["site.add", "site.ask", "site.refuse", "site.ask", "site.approve", "site.suspend"]


async def account_of(registry: Registry, login: str) -> Any:
    return await registry.do(accounts.save_account, {"login": login})


async def test_five_sites_of_an_account_may_wait_and_no_more(registry: Registry) -> None:
    owner = await registry.account("owner")
    for number in range(5):
        await registry.do(sites.create_site, {**SITE, "name": f"Site {number}"}, actor=owner)
    with pytest.raises(Conflict):
        await registry.do(sites.create_site, {**SITE, "name": "Site 5"}, actor=owner)
    await registry.do(sites.decide_site, 1, None, {"action": "approve"})
    await registry.do(sites.create_site, {**SITE, "name": "Site 5"}, actor=owner)


async def test_a_visitor_makes_nothing(registry: Registry) -> None:
    with pytest.raises(Forbidden):
        await registry.do(sites.create_site, SITE, actor=VISITOR)


async def test_an_edit_of_an_older_version_is_refused_and_shows_what_is_there(any_registry: Registry) -> None:
    registry = any_registry
    site = await registry.site()
    host = await registry.host(site)
    edited = await registry.do(hosts.edit_host, host.id, host.version, {"city": "Berlin"})
    assert edited.version == host.version + 1
    with pytest.raises(Stale) as caught:
        await registry.do(hosts.edit_host, host.id, host.version, {"city": "Bonn"})
    assert (caught.value.version, caught.value.current["city"]) == (edited.version, "Berlin")
    with pytest.raises(Stale):
        await registry.do(sites.edit_site, site.id, site.version - 1, {"comment": "x"})
    async with registry.change() as change:
        row = await queries.find(change.connection, HostRow, id=host.id)
    assert row is not None and row.city == "Berlin"


OUTRUN: dict[str, Callable[[Change], Awaitable[object]]] = {
    "site": lambda change: sites.edit_site(change, 1, None, {"comment": "x"}),
    "site-decision": lambda change: sites.decide_site(change, 1, None, {"action": "suspend"}),
    "site-leaving": lambda change: sites.leave_site(change, 1, None),
    "host": lambda change: hosts.edit_host(change, 1, None, {"city": "Bonn"}),
    "network": lambda change: networks.edit_network(change, 1, 1, None, {"name": "x"}),
    "network-decision": lambda change: networks.decide_network(change, 1, 1, None, {"action": "refuse"}),
    "asn-decision": lambda change: asns.decide_asn(change, 1, 1, None, {"action": "refuse"}),
}
"""Edits of a row that was read a moment before."""


@pytest.mark.parametrize("name", OUTRUN)
@pytest.mark.parametrize("gone", [False, True], ids=["changed", "gone"])
async def test_who_is_outrun_by_another_edit_is_told_so(
    registry: Registry, name: str, gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in PostgreSQL, where another transaction may end between reading a row and writing it."""
    host = await registry.host(await registry.site())
    await registry.do(networks.add_network, host.id, {"network": "8.8.8.0/24"})
    await registry.do(asns.add_asn, host.id, {"asn": 3320})
    write = queries.change

    async def outrun(connection: Any, kind: Any, number: int, version: int | None, /, **values: object) -> Any:
        if gone:
            await queries.remove(connection, kind, id=number)
        else:
            await write(connection, kind, number, None)
        return await write(connection, kind, number, version, **values)

    monkeypatch.setattr(queries, "change", outrun)
    with pytest.raises(Missing if gone else Stale) as caught:
        async with registry.change() as change:
            await OUTRUN[name](change)
    if isinstance(caught.value, Stale):
        assert caught.value.version > 1 and caught.value.current


async def test_what_changes_nothing_writes_nothing(registry: Registry) -> None:
    host = await registry.host(await registry.site())
    before = len(await events(registry))
    same = await registry.do(hosts.edit_host, host.id, None, {"bandwidth_mbit": 1000, "enabled": True})
    assert same.version == host.version and len(await events(registry)) == before


async def test_names_are_unique_whatever_their_case(registry: Registry) -> None:
    site = await registry.site()
    await registry.host(site)
    with pytest.raises(Conflict) as caught:
        await registry.host(site, name="MIRROR.example.org")
    assert fields_of(caught.value) == {"name"}
    with pytest.raises(Conflict):
        await registry.site(name="EXAMPLE SITE")
    await registry.category()
    with pytest.raises(Conflict):
        await registry.category(name="example linux")


CHILDREN: dict[str, tuple[Callable[..., Awaitable[Any]], Callable[..., Awaitable[Any]]]] = {
    "category": (carried.list_carried, carried.delete_carried),
    "url": (carried.list_urls, carried.delete_url),
    "network": (networks.list_networks, networks.delete_network),
    "asn": (asns.list_asns, asns.delete_asn),
    "country": (networks.list_countries, networks.delete_country),
    "acl": (networks.list_acl, networks.delete_acl),
}


async def furnished(registry: Registry, name: str) -> tuple[SiteRow, HostRow]:
    """A site with a host that has one of everything."""
    site = await registry.site(name=name)
    host = await registry.host(site, name=f"{name.lower()}.example.org")
    await registry.carry(host)
    await registry.network(host, "8.8.8.0/24")
    await registry.do(asns.add_asn, host.id, {"asn": 3320})
    await registry.do(networks.add_country, host.id, {"country": "DE"})
    await registry.do(networks.add_acl, host.id, {"address": "8.8.8.8"})
    return site, host


@pytest.mark.parametrize("kind", CHILDREN)
async def test_children_are_found_through_their_parents_alone(registry: Registry, kind: str) -> None:
    await registry.category()
    mine, my_host = await furnished(registry, "Mine")
    _, other_host = await furnished(registry, "Other")
    owner = await registry.owner("owner", mine)
    listing, delete = CHILDREN[kind]
    row = (await registry.do(listing, other_host.id))[0]
    number = row.row.id if kind == "url" else row.id
    for actor, parent in ((owner, my_host.id), (owner, other_host.id), (OPERATOR, my_host.id), (owner, 999)):
        with pytest.raises(Missing):
            await registry.do(delete, parent, number, actor=actor)
    with pytest.raises(Missing):
        await registry.do(listing, other_host.id, actor=owner)
    assert await registry.do(listing, other_host.id)
    await registry.do(delete, other_host.id, number)
    assert not await registry.do(listing, other_host.id)


async def test_another_sites_admin_cannot_touch_a_host_or_site(registry: Registry) -> None:
    mine, other = await registry.site(name="Mine"), await registry.site(name="Other")
    host = await registry.host(other)
    owner = await registry.owner("owner", mine)
    refused: list[Awaitable[object]] = [
        registry.do(hosts.edit_host, host.id, None, {"city": "x"}, actor=owner),
        registry.do(hosts.delete_host, host.id, None, actor=owner),
        registry.do(hosts.leave_host, host.id, None, actor=owner),
        registry.do(hosts.create_host, other.id, {**HOST, "name": "b.example.org"}, actor=owner),
        registry.do(sites.edit_site, other.id, None, {"comment": "x"}, actor=owner),
        registry.do(sites.delete_site, other.id, None, actor=owner),
        registry.do(sites.list_admins, other.id, actor=owner),
        registry.do(sites.invite_admin, other.id, {"account": "owner"}, actor=owner),
        registry.do(accounts.make_host_token, host.id, {"scope": "write"}, actor=owner),
        registry.do(accounts.make_site_token, other.id, {"scope": "write"}, actor=owner),
        registry.do(accounts.list_tokens, host=host.id, actor=owner),
        registry.do(notes.list_events, site=other.id, actor=owner),
        registry.do(notes.list_events, host=host.id, actor=owner),
    ]
    for each in refused:
        with pytest.raises(Missing):
            await each


# -- Admins ------------------------------------------------------------------------------------------------------------


async def test_admins_come_by_accepted_invitation_and_the_last_stays(any_registry: Registry) -> None:
    registry = any_registry
    site = await registry.site()
    owner = await registry.owner("owner", site)
    second, third = await registry.account("second"), await registry.account("third")
    assert second.account is not None and owner.account is not None
    invitation, secret = await registry.do(sites.invite_admin, site.id, {"account": "second"}, actor=owner)
    with pytest.raises(Missing):
        await registry.do(sites.accept_invitation, secret, actor=third)
    with pytest.raises(Missing):
        await registry.do(sites.accept_invitation_by_number, invitation.id, actor=third)
    with pytest.raises(Conflict):
        await registry.do(sites.remove_admin, site.id, owner.account, actor=owner)
    await registry.do(sites.accept_invitation, secret, actor=second)
    with pytest.raises(Missing):
        await registry.do(sites.accept_invitation, secret, actor=second)
    admins, open_ones = await registry.do(sites.list_admins, site.id, actor=owner)
    assert [each.login for each in admins] == ["owner", "second"] and not open_ones
    await registry.do(sites.remove_admin, site.id, owner.account, actor=owner)
    with pytest.raises(Conflict):
        await registry.do(sites.remove_admin, site.id, second.account)
    with pytest.raises(Conflict):
        await registry.do(accounts.delete_account, second.account)


async def test_an_invitation_ends(registry: Registry) -> None:
    site, second = await registry.site(), await registry.account("second")
    _, secret = await registry.do(sites.invite_admin, site.id, {"account": "second"})
    registry.now += sites.INVITATION_S
    with pytest.raises(Missing):
        await registry.do(sites.accept_invitation, secret, actor=second)


async def test_contacts_are_invited_once_and_never_where_there_is_an_admin(registry: Registry) -> None:
    site = await registry.site(contacts=["a@example.org", "b@example.org"])
    made = await registry.do(sites.invite_contacts, site.id)
    assert [mail for mail, _ in made] == ["a@example.org", "b@example.org"]
    assert await registry.do(sites.invite_contacts, site.id) == []
    await registry.do(sites.accept_invitation, made[0][1], actor=await registry.account("a"))
    assert await registry.do(sites.invite_contacts, site.id) == []


# -- Hosts and what belongs to them ------------------------------------------------------------------------------------


async def test_a_loop_of_hosts_that_pull_from_each_other_is_refused_with_its_names(registry: Registry) -> None:
    site = await registry.site()
    a = await registry.host(site, name="a.example.org")
    await registry.host(site, name="b.example.org", pulls_from="a.example.org")
    await registry.host(site, name="c.example.org", pulls_from="b.example.org")
    with pytest.raises(Invalid) as caught:
        await registry.do(hosts.edit_host, a.id, None, {"pulls_from": "c.example.org"})
    assert fields_of(caught.value) == {"pulls_from"}
    assert all(f"{name}.example.org" in str(caught.value) for name in "abc")
    with pytest.raises(Invalid):
        await registry.do(hosts.edit_host, a.id, None, {"pulls_from": "a.example.org"})
    changed = await registry.do(hosts.edit_host, a.id, None, {"pulls_from": "master"})
    assert changed.pulls_from_master and changed.pulls_from is None
    assert [each.name for each in await registry.do(hosts.downstream, a.id)] == ["b.example.org"]


async def test_a_monopoly_needs_a_network_and_keeps_it(registry: Registry) -> None:
    site = await registry.site()
    with pytest.raises(Invalid) as caught:
        await registry.host(site, monopoly=True)
    assert fields_of(caught.value) == {"monopoly"}
    host = await registry.host(site)
    await registry.network(host, "8.8.8.0/24")
    await registry.do(hosts.edit_host, host.id, None, {"monopoly": True})
    number = (await registry.do(networks.list_networks, host.id))[0].id
    with pytest.raises(Conflict):
        await registry.do(networks.delete_network, host.id, number)
    own = await registry.host(site, name="own.example.org", monopoly=True, own_asn=3320)
    assert own.monopoly


@pytest.mark.parametrize("patch", [{"private": True}, {"name": "new.example.org"}], ids=["private", "name"])
async def test_such_an_edit_unchecks_a_host(registry: Registry, patch: dict[str, object]) -> None:
    host = await registry.host(await registry.site())
    registry.now += 100
    assert (await registry.do(hosts.edit_host, host.id, None, patch)).unchecked_since == NOW + 100


async def test_a_new_url_unchecks_a_host_and_a_new_city_does_not(registry: Registry) -> None:
    await registry.category()
    site = await registry.site()
    host = await registry.host(site)
    await registry.carry(host)
    registry.now += 100
    assert (await registry.do(hosts.edit_host, host.id, None, {"city": "Bonn"})).unchecked_since == NOW
    await registry.do(carried.add_url, host.id, {"category": "Example Linux", "url": "http://mirror.example.org/"})
    registry.now += 100
    await registry.do(sites.edit_site, site.id, None, {"private": True})
    async with registry.change() as change:
        row = await queries.find(change.connection, HostRow, id=host.id)
    assert row is not None and row.unchecked_since == NOW + 200
    (url, _) = await registry.do(carried.list_urls, host.id)
    for audience, since in (("mirrors", NOW + 200), ("public", NOW + 300)):
        registry.now = NOW + 300
        await registry.do(carried.edit_url, host.id, url.row.id, None, {"audience": audience})
        async with registry.change() as change:
            row = await queries.find(change.connection, HostRow, id=host.id)
        assert row is not None and row.unchecked_since == since


async def test_networks_of_a_site_admin(any_registry: Registry) -> None:
    registry = any_registry
    site = await registry.site()
    host = await registry.host(site)
    owner, admin = await registry.owner("owner", site), await registry.account("boss", admin=True)
    with pytest.raises(Forbidden) as caught:
        await registry.do(networks.add_network, host.id, {"network": "10.0.0.0/8"}, actor=owner)
    assert fields_of(caught.value) == {"network"}
    for everybody in ("0.0.0.0/0", "::/0"):
        with pytest.raises(Invalid):
            await registry.do(networks.add_network, host.id, {"network": everybody}, actor=admin)
    free = await registry.do(networks.add_network, host.id, {"network": "8.8.8.0/24", "name": "dorm"}, actor=owner)
    wide = await registry.do(networks.add_network, host.id, {"network": "9.0.0.0/8"}, actor=owner)
    assert [show_network(row)["state"] for row in (free, wide)] == ["approved", "waiting"]
    with pytest.raises(Conflict):
        await registry.do(networks.add_network, host.id, {"network": "8.8.8.0/24"}, actor=owner)
    with pytest.raises(Forbidden):
        await registry.do(networks.decide_network, host.id, wide.id, None, {"action": "approve"}, actor=owner)
    approved = await registry.do(networks.decide_network, host.id, wide.id, None, {"action": "approve"}, actor=admin)
    assert approved.counts
    widened = await registry.do(networks.edit_network, host.id, wide.id, None, {"network": "9.0.0.0/9"}, actor=owner)
    assert widened.waits
    assert not (await registry.do(networks.add_network, host.id, {"network": "10.0.0.0/8"}, actor=admin)).waits


async def test_an_as_number_is_ones_own_or_waits(registry: Registry) -> None:
    site = await registry.site()
    host = await registry.host(site)
    owner = await registry.owner("owner", site)
    registry.own_asns = frozenset({3320})
    own = await registry.do(asns.add_asn, host.id, {"asn": 3320}, actor=owner)
    foreign = await registry.do(asns.add_asn, host.id, {"asn": 680}, actor=owner)
    registry.own_asns = None
    unknown = await registry.do(asns.add_asn, host.id, {"asn": 681}, actor=owner)
    assert [row.waits for row in (own, foreign, unknown)] == [False, True, True]
    refused = await registry.do(asns.decide_asn, host.id, foreign.id, None, {"action": "refuse"})
    assert refused.refused and not refused.counts


async def test_the_own_as_of_a_host_is_judged_like_any_other(registry: Registry) -> None:
    site = await registry.site()
    owner = await registry.owner("owner", site)
    host = await registry.do(hosts.create_host, site.id, {**HOST, "own_asn": 3320}, actor=owner)
    (row,) = await registry.do(asns.list_asns, host.id)
    assert row.own and row.waits
    registry.own_asns = frozenset({680})
    await registry.do(hosts.edit_host, host.id, None, {"own_asn": 680}, actor=owner)
    (row,) = await registry.do(asns.list_asns, host.id)
    assert (row.asn, row.waits) == (680, False)
    await registry.do(hosts.edit_host, host.id, None, {"serves_own_asn": False}, actor=owner)
    assert await registry.do(asns.list_asns, host.id) == []


async def test_what_is_left_to_distribution_admins_is_forbidden_to_others(registry: Registry) -> None:
    await registry.category()
    await registry.category(name="Secret", top="pub/secret", joinable=False)
    site = await registry.site()
    host = await registry.host(site)
    owner = await registry.owner("owner", site)
    for body, field in (
        ({"category": "Example Linux", "always_current": True}, "always_current"),
        ({"category": "Secret"}, "category"),
    ):
        with pytest.raises(Forbidden) as caught:
            await registry.do(carried.add_carried, host.id, body, actor=owner)
        assert fields_of(caught.value) == {field}
    row = await registry.do(carried.add_carried, host.id, {"category": "example linux"}, actor=owner)
    with pytest.raises(Forbidden):
        await registry.do(carried.edit_carried, host.id, row.id, None, {"always_current": True}, actor=owner)
    forbidden: list[Awaitable[object]] = [
        registry.do(catalogue.create_category, {"name": "Mine", "top": "pub/mine"}, actor=owner),
        registry.do(catalogue.create_release, {"product": "P", "version": "1"}, actor=owner),
        registry.do(catalogue.list_releases, actor=owner),
        registry.do(accounts.save_account, {"login": "owner", "distribution_admin": True}, actor=owner),
        registry.do(accounts.make_account_token, "owner", "write", actor=owner),
        registry.do(notes.add_note, "hm", site=site.id, actor=owner),
        registry.do(notes.list_notes, host=host.id, actor=owner),
    ]
    for each in forbidden:
        with pytest.raises(Forbidden):
            await each


async def test_a_host_has_at_most_32_acl_addresses(registry: Registry) -> None:
    host = await registry.host(await registry.site())
    for number in range(32):
        await registry.do(networks.add_acl, host.id, {"address": f"8.8.8.{number}"})
    with pytest.raises(Invalid):
        await registry.do(networks.add_acl, host.id, {"address": "8.8.8.32"})


# -- URLs --------------------------------------------------------------------------------------------------------------


async def test_a_url_is_unique_among_hosts_of_approved_sites(registry: Registry) -> None:
    await registry.category()
    first = await registry.host(await registry.site())
    await registry.carry(first)
    draft = await registry.site(name="Draft", approved=False)
    second = await registry.host(draft, name="second.example.org")
    await registry.carry(second, "https://mirror.example.org/linux")
    assert await registry.do(carried.duplicates_of, draft.id) == [
        ("second.example.org", "https://mirror.example.org/linux/", "mirror.example.org")
    ]
    third = await registry.host(await registry.site(name="Third"), name="third.example.org")
    await registry.do(carried.add_carried, third.id, {"category": "Example Linux"})
    with pytest.raises(Conflict) as caught:
        await registry.do(
            carried.add_url, third.id, {"category": "Example Linux", "url": "HTTPS://mirror.example.org:443/linux"}
        )
    assert fields_of(caught.value) == {"url"}


async def test_a_url_is_for_a_category_that_the_host_carries(registry: Registry) -> None:
    await registry.category()
    host = await registry.host(await registry.site())
    with pytest.raises(Invalid) as caught:
        await registry.do(carried.add_url, host.id, {"category": "Example Linux", "url": "https://a.example.org/"})
    assert fields_of(caught.value) == {"category"}


async def test_passwords_are_encrypted_shown_to_those_who_may_pull_and_in_no_event(any_registry: Registry) -> None:
    registry = any_registry
    await registry.category()
    upstream, puller = await registry.site(), await registry.site(name="Puller")
    stranger = await registry.site(name="Stranger")
    host = await registry.host(upstream)
    await registry.carry(host)
    body = {
        "category": "Example Linux",
        "url": "rsync://mirror.example.org/private",
        "audience": "mirrors",
        "user": "pull",
        "password": "hush hush",
    }
    made = await registry.do(carried.add_url, host.id, body)
    async with registry.change() as change:
        row = await queries.find(change.connection, UrlRow, id=made.row.id)
    assert row is not None and row.password is not None and b"hush" not in row.password
    await registry.do(sites.edit_site, upstream.id, None, {"pulled_by": [puller.id]})
    pulling = await registry.owner("pulling", puller)
    seen = await registry.do(carried.list_urls, host.id, actor=pulling)
    assert [each.password for each in seen] == [None, "hush hush"]
    with pytest.raises(Missing):
        await registry.do(carried.list_urls, host.id, actor=await registry.owner("stranger", stranger))
    await registry.do(sites.edit_site, upstream.id, None, {"pulled_by": "all"})
    assert await registry.do(carried.list_urls, host.id, actor=await registry.owner("anybody", stranger))
    await registry.do(sites.decide_site, puller.id, None, {"action": "suspend"})
    with pytest.raises(Missing):
        await registry.do(carried.list_urls, host.id, actor=pulling)
    changed = await registry.do(carried.edit_url, host.id, made.row.id, None, {"password": "new hush"})
    assert changed.password == "new hush"
    assert all("hush" not in f"{event.old} {event.new}" for event in await events(registry))


# -- Leaving -----------------------------------------------------------------------------------------------------------


async def test_who_leaves_is_off_at_once_and_gone_after_thirty_days(registry: Registry) -> None:
    site = await registry.site()
    host, stays = await registry.host(site), await registry.host(site, name="stays.example.org")
    left = await registry.do(hosts.leave_host, host.id, None)
    assert (left.enabled, left.leaving) == (False, NOW)
    await registry.do(hosts.leave_host, stays.id, None)
    back = await registry.do(hosts.edit_host, stays.id, None, {"enabled": True})
    assert back.leaving is None
    registry.now += sites.LEAVE_S - 1
    assert await registry.do(sites.sweep) == []
    registry.now += 1
    assert await registry.do(sites.sweep) == ["mirror.example.org"]
    await registry.do(sites.leave_site, site.id, None)
    registry.now += sites.LEAVE_S
    assert await registry.do(sites.sweep) == ["Example Site"]


async def test_numbers_are_never_given_twice(any_registry: Registry) -> None:
    registry = any_registry
    site = await registry.site()
    host = await registry.host(site)
    await registry.do(hosts.delete_host, host.id, None)
    assert (await registry.host(site)).id > host.id


# -- Accounts and tokens -----------------------------------------------------------------------------------------------


async def test_tokens_are_kept_as_hashes_and_act_as_their_account(any_registry: Registry) -> None:
    registry = any_registry
    site = await registry.site()
    await registry.owner("owner", site)
    row, secret = await registry.do(accounts.make_account_token, "owner", "read")
    assert secret.startswith("rdr_") and row.expires == NOW + 90 * 86_400
    async with registry.change() as change:
        kept = await queries.list_rows(change.connection, TokenRow)
    assert secret not in repr(kept) and all(secret not in str(getattr(kept[0], name)) for name in ("hash", "secret"))
    actor = await registry.do(accounts.find_actor, secret)
    assert actor is not None and actor.name == "owner" and actor.sites == {site.id}
    with pytest.raises(Forbidden):
        await registry.do(sites.edit_site, site.id, None, {"comment": "x"}, actor=actor)
    assert await registry.do(accounts.find_actor, secret[:-1]) is None
    assert await registry.do(accounts.find_actor, "rdr_") is None
    registry.now += 90 * 86_400
    assert await registry.do(accounts.find_actor, secret) is None


async def test_a_disabled_account_has_no_tokens_and_no_links(registry: Registry) -> None:
    await registry.account("owner")
    _, secret = await registry.do(accounts.make_account_token, "owner", "write")
    link = await registry.do(accounts.make_link, await account_of(registry, "owner"))
    await registry.do(accounts.save_account, {"login": "OWNER", "disabled": True})
    assert await registry.do(accounts.find_actor, secret) is None
    with pytest.raises(Missing):
        await registry.do(accounts.use_link, link, "a new password")


async def test_a_link_works_once_and_for_two_days(registry: Registry) -> None:
    account = await registry.do(accounts.save_account, {"login": "owner", "mail": "owner@example.org"})
    old = await registry.do(accounts.make_link, account)
    link = await registry.do(accounts.make_link, account)
    with pytest.raises(Missing):
        await registry.do(accounts.find_link, old)
    await registry.do(accounts.use_link, link, "a new password")
    with pytest.raises(Missing):
        await registry.do(accounts.use_link, link, "another password")
    late = await registry.do(accounts.make_link, account)
    registry.now += accounts.LINK_S
    with pytest.raises(Missing):
        await registry.do(accounts.find_link, late)
    async with registry.change() as change:
        assert all("password" not in str(event.new) for event in await queries.list_rows(change.connection, EventRow))


async def test_tokens_of_hosts_and_sites_check_in_for_them_alone(registry: Registry) -> None:
    site, other = await registry.site(), await registry.site(name="Other")
    host = await registry.host(site)
    row, secret = await registry.do(accounts.make_host_token, host.id, {"scope": "check-in"})
    assert row.expires is None
    _, second = await registry.do(accounts.make_site_token, site.id, {"scope": "check-in", "days": 1})
    actor = await registry.do(accounts.find_actor, secret)
    assert actor is not None and actor.only == ("host", host.id)
    with pytest.raises(Forbidden):
        await registry.do(hosts.edit_host, host.id, None, {"city": "x"}, actor=actor)
    async with registry.store.read() as connection:
        named, tokens = await accounts.find_check_in_tokens(connection, "example site")
        _, others = await accounts.find_check_in_tokens(connection, "Other")
    assert named is not None and named.id == site.id
    found = accounts.match_token(tokens, second, registry.now)
    assert found is not None and found.site == site.id
    found = accounts.match_token(tokens, secret, registry.now)
    assert found is not None and found.host == host.id
    assert accounts.match_token(others, second, registry.now) is None
    assert other.id != site.id
    await registry.do(accounts.revoke_token, row.id, host=host.id)
    assert await registry.do(accounts.find_actor, secret) is None
    registry.now += 86_400
    assert accounts.match_token(tokens, second, registry.now) is None


async def test_the_name_of_a_deleted_account_is_in_no_event(any_registry: Registry) -> None:
    registry = any_registry
    owner = await registry.account("miller")
    site = await registry.do(sites.create_site, SITE, actor=owner)
    await registry.do(sites.put_admin, site.id, {"account": (await registry.account("second")).name})
    assert owner.account is not None
    await registry.do(sites.remove_admin, site.id, owner.account)
    await registry.do(accounts.delete_account, owner.account)
    for event in await events(registry):
        assert "miller" not in f"{event.actor} {event.name} {event.old} {event.new}"


async def test_accounts_that_nothing_needs_end_after_a_year(registry: Registry) -> None:
    site = await registry.site()
    await registry.account("idle")
    await registry.owner("needed", site)
    await registry.account("boss", admin=True)
    registry.now += accounts.IDLE_S
    assert await registry.do(accounts.end_idle_accounts) == 1


async def test_events_tell_who_did_what_to_what(registry: Registry) -> None:
    site = await registry.site()
    owner = await registry.owner("owner", site)
    host = await registry.do(hosts.create_host, site.id, HOST, actor=owner)
    await registry.do(hosts.edit_host, host.id, None, {"city": "Berlin"}, actor=owner)
    found = await registry.do(notes.list_events, host=host.id, actor=owner)
    assert [(each.actor, each.what, each.old, each.new) for each in found[1:]] == [
        ("owner", "host.change", {"city": ""}, {"city": "Berlin"})
    ]
    everything = await registry.do(notes.list_events)
    assert {each.what for each in everything} >= {"site.add", "site.approve", "account.add", "admin.add", "host.add"}
    with pytest.raises(Forbidden):
        await registry.do(notes.list_events, actor=VISITOR)


async def test_notes_are_appended_for_distribution_admins(registry: Registry) -> None:
    host = await registry.host(await registry.site())
    await registry.do(notes.add_note, "slow on Sundays", host=host.id)
    assert [note.text for note in await registry.do(notes.list_notes, host=host.id)] == ["slow on Sundays"]
    with pytest.raises(Invalid):
        await registry.do(notes.add_note, "two\nlines", host=host.id)


BROKEN: list[tuple[Callable[..., Awaitable[Any]], tuple[Any, ...]]] = [
    (hosts.edit_host, (999, None, {})),
    (sites.edit_site, (999, None, {})),
    (networks.add_network, (999, {"network": "8.8.8.0/24"})),
    (catalogue.edit_category, (999, None, {})),
    (catalogue.edit_repository, (999, None, {})),
    (catalogue.edit_redirect, (999, None, {})),
    (catalogue.edit_release, (999, None, {})),
    (accounts.delete_account, (999,)),
]


@pytest.mark.parametrize(("work", "values"), BROKEN, ids=lambda each: getattr(each, "__name__", ""))
async def test_what_is_not_there_is_missing(
    registry: Registry, work: Callable[..., Awaitable[Any]], values: tuple[Any, ...]
) -> None:
    with pytest.raises(Missing):
        await registry.do(work, *values)


async def test_a_refused_change_leaves_nothing_behind(any_registry: Registry) -> None:
    registry = any_registry
    before = len(await events(registry))

    async def both(change: Change) -> None:
        await sites.create_site(change, SITE)
        await sites.create_site(change, SITE)

    with pytest.raises(RegistryError):
        await registry.do(both)
    assert len(await events(registry)) == before
    async with registry.change() as change:
        assert await queries.count(change.connection, SiteRow) == 0


async def test_the_catalogue_can_be_edited(registry: Registry) -> None:
    await registry.category()
    (row,) = await registry.do(catalogue.list_repositories)
    changed = await registry.do(catalogue.edit_repository, row.id, row.version, {"enabled": False})
    assert not changed.enabled
    redirect = await registry.do(catalogue.create_redirect, {"source": "example-rawhide", "target": "example-1"})
    with pytest.raises(Invalid):
        await registry.do(catalogue.edit_redirect, redirect.id, None, {"target": "example-rawhide"})
    continent = {"kind": "continent", "source": "tr", "target": "eu"}
    assert (await registry.do(catalogue.create_redirect, continent)).source == "TR"
    release = await registry.do(
        catalogue.create_release, {"product": "P", "version": "1", "not_before": "2030-01-01T00:00:00Z"}
    )
    assert release.not_before == 1_893_456_000
    assert (await registry.do(catalogue.edit_release, release.id, None, {"not_before": None})).not_before is None
    (category,) = await registry.do(catalogue.list_categories)
    host = await registry.host(await registry.site())
    await registry.carry(host)
    with pytest.raises(Conflict):
        await registry.do(catalogue.delete_category, category.id)


async def test_an_event_that_is_written_later_with_a_smaller_number_is_noticed(registry: Registry) -> None:
    async with registry.store.write() as connection:
        marks = []
        for number in (1002, 1001):
            values: dict[str, object] = {
                "id": number,
                "at": NOW,
                "actor": "x",
                "what": "x",
                "name": "x",
                "old": {},
                "new": {},
            }
            await connection.execute(insert(tables.event).values(values))
            marks.append(await queries.mark_of_events(connection))
    assert marks[0] != marks[1]
