"""What of the registry is told to whom: once, even if whoever tells is killed at any moment."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.registry import contacts, letters
from redirector.registry.announcing import DAY_S, PUBLIC, STAGED, Post, announce, announce_releases
from redirector.registry.edit import accounts, asns, catalogue, hosts, networks, sites
from redirector.registry.edit.change import House
from redirector.registry.refusals import Missing
from redirector.registry.secrets import KeyFileError
from redirector.registry.signing import NAMESPACE, read_sign_key
from redirector.settings.mail import Hook
from redirector.store import outbox
from redirector.store.outbox import Parcel
from redirector.store.registry import queries
from redirector.store.registry.rows import AccountRow, ContactRow, SiteRow
from tests.patience import PATIENCE_S
from tests.registry.conftest import any_registry, registry
from tests.registry.rig import CIPHER, Registry

__all__ = ["any_registry", "registry"]

POST = Post(mails=True, name="Example Mirrors", pages="https://mirrors.example.org", cipher=CIPHER)


async def told(registry: Registry, post: Post = POST) -> list[Parcel]:
    """What is put into the outbox now, and taken out of it at once."""
    while True:
        async with registry.store.write() as connection:
            more = await announce(connection, post, registry.now)
        if not more:
            break
    async with registry.store.write() as connection:
        await announce_releases(connection, post, registry.now)
    return await taken(registry)


async def taken(registry: Registry) -> list[Parcel]:
    async with registry.store.write() as connection:
        claimed = await outbox.claim(connection, registry.now, 1000)
        for each in claimed:
            await outbox.end(connection, each.id, registry.now, sent=True)
    return [each.parcel for each in claimed]


async def verified_site(registry: Registry, *, approved: bool = True, **fields: object) -> SiteRow:
    """A site whose contact said that it is right."""
    row = await registry.site(approved=approved, **fields)
    async with registry.store.write() as connection:
        await queries.set_columns(connection, ContactRow, {"site": row.id}, verified=registry.now)
    return row


async def person(registry: Registry, login: str, mail: str, *, admin: bool = False) -> None:
    await registry.account(login, admin=admin)
    async with registry.store.write() as connection:
        await queries.set_columns(connection, AccountRow, {"login": login}, mail=mail, mail_verified=registry.now)


@pytest.mark.parametrize(
    ("action", "subject", "advice"),
    [
        ("approve", "Example Site: approved", "listed after the first visit"),
        ("refuse", "Example Site: not approved", "ask for approval again"),
        ("suspend", "Example Site: suspended", "answer this mail"),
    ],
)
async def test_decisions_are_mailed_with_their_text(registry: Registry, action: str, subject: str, advice: str) -> None:
    site = await verified_site(registry, approved=action == "suspend")
    await told(registry)
    await registry.do(sites.decide_site, site.id, None, {"action": action, "text": "because of this"})
    (mail,) = await told(registry)
    assert (mail.target, mail.subject) == ("ops@example.org", f"[Example Mirrors] {subject}")
    assert "because of this" in mail.body and advice in " ".join(mail.body.split())
    assert await told(registry) == []


async def test_a_request_is_mailed_to_those_who_decide(registry: Registry) -> None:
    await person(registry, "chief", "chief@example.org", admin=True)
    site = await verified_site(registry, approved=False)
    await told(registry)
    host = await registry.host(site)
    await registry.do(networks.add_acl, host.id, {"address": "8.8.8.8"})
    await registry.do(sites.decide_site, site.id, None, {"action": "ask", "text": "A new machine, on 10 Gbit/s"})
    (mail,) = await told(registry)
    assert mail.target == "chief@example.org" and f"https://mirrors.example.org/sites/{site.id}" in mail.body
    assert "\n  A new machine, on 10 Gbit/s\n" in mail.body
    assert f"\n  {host.name}: {host.country}, {host.bandwidth_mbit:,} Mbit/s, pulls with 8.8.8.8\n" in mail.body


async def test_only_proved_addresses_get_mail(registry: Registry) -> None:
    site = await registry.site(approved=False)
    await person(registry, "anna", "anna@example.org")
    await registry.do(sites.put_admin, site.id, {"account": "anna"})
    (first, second) = sorted(await told(registry), key=lambda mail: mail.kind)
    assert (first.kind, first.target) == ("admin.add", "anna@example.org")
    assert (second.kind, second.target) == ("contact", "ops@example.org")
    await registry.do(sites.decide_site, site.id, None, {"action": "approve"})
    assert [mail.target for mail in await told(registry)] == ["anna@example.org"]


async def test_contacts_are_asked_once_and_say_that_they_are_right(registry: Registry) -> None:
    site = await registry.site()
    (mail,) = [each for each in await told(registry) if each.kind == "contact"]
    path = contacts.path_of(CIPHER, site.id, "ops@example.org")
    assert f"https://mirrors.example.org{path}\n" in mail.body
    await registry.do(sites.edit_site, site.id, None, {"contacts": ["ops@example.org", "new@example.org"]})
    assert [each.target for each in await told(registry)] == ["new@example.org"]
    secret = path.rpartition("/")[2]
    row, _ = await registry.do(contacts.verify_contact, site.id, secret)
    assert row.mail == "ops@example.org"
    for number, wrong in ((site.id, "x" * 64), (site.id, "ü"), (site.id + 1, secret)):
        with pytest.raises(Missing):
            await registry.do(contacts.verify_contact, number, wrong)
    await registry.do(sites.decide_site, site.id, None, {"action": "suspend"})
    assert [each.target for each in await told(registry)] == ["ops@example.org"]


async def test_an_admin_s_own_address_is_proved(registry: Registry) -> None:
    site = await registry.site()
    await told(registry)
    await person(registry, "anna", "anna@example.org")
    await registry.do(sites.put_admin, site.id, {"account": "anna"})
    await registry.do(sites.edit_site, site.id, None, {"contacts": ["anna@example.org"]})
    assert {each.kind for each in await told(registry)} == {"admin.add"}
    async with registry.store.read() as connection:
        (row,) = await queries.list_rows(connection, ContactRow)
    assert row.verified is not None


async def test_networks_and_as_numbers_that_waited(registry: Registry) -> None:
    site = await verified_site(registry)
    host = await registry.host(site)
    owner = await registry.owner("anna", site)
    wide = await registry.do(networks.add_network, host.id, {"network": "8.0.0.0/8"}, actor=owner)
    other = await registry.do(asns.add_asn, host.id, {"asn": 3320}, actor=owner)
    await told(registry)
    await registry.do(networks.decide_network, host.id, wide.id, None, {"action": "approve"})
    await registry.do(asns.decide_asn, host.id, other.id, None, {"action": "refuse"})
    first, second = await told(registry)
    assert "mirror.example.org: 8.0.0.0/8 is approved" in first.subject
    assert "mirror.example.org: AS 3320 is refused" in second.subject


async def test_who_pulls_from_a_host_that_leaves_is_told_once_a_day(registry: Registry) -> None:
    above = await verified_site(registry)
    host = await registry.host(above, tier=1)
    below = await verified_site(registry, name="Below", contacts=["below@example.org"])
    await registry.host(below, name="second.example.org", tier=2, pulls_from="mirror.example.org")
    await told(registry)

    async def leave() -> list[str]:
        await registry.do(hosts.leave_host, host.id, None)
        return [each.target for each in await told(registry) if each.kind == "leaving"]

    await registry.do(hosts.leave_host, host.id, None)
    (mail,) = await told(registry)
    assert mail.target == "below@example.org" and mail.host == "mirror.example.org"
    assert "second.example.org" in mail.body and "will be deleted on" in " ".join(mail.body.split())
    await registry.do(hosts.edit_host, host.id, None, {"enabled": True})
    assert await leave() == []
    await registry.do(hosts.edit_host, host.id, None, {"enabled": True})
    registry.now += DAY_S
    assert await leave() == ["below@example.org"]
    await registry.do(hosts.edit_host, host.id, None, {"enabled": True})
    registry.now += DAY_S
    await registry.do(sites.leave_site, above.id, None)
    assert [each.target for each in await told(registry)] == ["below@example.org"]


async def test_who_pulls_from_what_is_deleted_outright_is_told(registry: Registry) -> None:
    above = await verified_site(registry)
    first, second = [await registry.host(above, name=f"{name}.example.org") for name in ("first", "second")]
    below = await verified_site(registry, name="Below", contacts=["below@example.org"])
    await registry.host(below, name="third.example.org", pulls_from="first.example.org")
    await registry.host(below, name="fourth.example.org", pulls_from="second.example.org")
    await registry.host(above, name="own.example.org", pulls_from="second.example.org")
    await told(registry)
    await registry.do(hosts.delete_host, first.id, None)
    (mail,) = await told(registry)
    assert (mail.target, mail.host) == ("below@example.org", "first.example.org")
    assert "has been deleted" in mail.body and "third.example.org" in mail.body
    await registry.do(sites.delete_site, above.id, None)
    (mail,) = await told(registry)
    assert (mail.target, mail.host) == ("below@example.org", second.name) and "fourth.example.org" in mail.body


async def test_hooks_get_the_events_that_they_want(registry: Registry) -> None:
    post = Post(
        hooks=(Hook(("site.approve",), url="https://bus.example.org/"), Hook(("*",), command=("publish", "it"))),
        pages="https://mirrors.example.org",
    )
    site = await registry.site()
    await registry.host(site)
    parcels = await told(registry, post)
    by_channel = {(each.channel, each.kind): json.loads(each.body) for each in parcels}
    assert set(by_channel) == {
        ("webhook", "site.approve"),
        ("command", "site.approve"),
        ("command", "site.add"),
        ("command", "host.add"),
    }
    message = by_channel["command", "host.add"]
    assert message["host"] == "mirror.example.org" and message["site"] == "Example Site"
    assert message["logs_url"] == "https://mirrors.example.org/mirrors/mirror.example.org"
    assert {"kind", "host", "site", "since", "reason", "at", "logs_url"} <= set(message)
    assert by_channel["webhook", "site.approve"]["reason"] == "approved"


async def test_invitations_are_mailed_where_mail_is_taken(registry: Registry) -> None:
    site = await registry.site()
    await told(registry)
    registry.house = House(cipher=CIPHER, pages="https://mirrors.example.org", mails=True)
    async with registry.change() as change:
        invitation, secret = await sites.invite_admin(change, site.id, {"account": "new@example.org"})
        assert await sites.mail_invitation(change, site, await sites.address_of(change, invitation), secret)
        assert not await sites.mail_invitation(change, site, None, secret)
    (mail,) = [each for each in await taken(registry) if each.channel == "mail"]
    assert mail.target == "new@example.org" and f"https://mirrors.example.org/invitations/{secret}\n" in mail.body


async def test_what_a_killed_teller_put_in_is_put_in_once(any_registry: Registry) -> None:
    registry = any_registry
    site = await verified_site(registry, approved=False)
    await told(registry)
    await registry.do(sites.decide_site, site.id, None, {"action": "approve"})

    class Killed(Exception):
        pass

    for _ in range(3):
        with pytest.raises(Killed):
            async with registry.store.write() as connection:
                await announce(connection, POST, registry.now)
                raise Killed
    assert len(await told(registry)) == 1
    async with registry.store.write() as connection:
        await queries.set_fact(connection, "told_event", "0")
    assert await told(registry) == []


async def test_a_gap_is_waited_for_because_it_may_be_filled(registry: Registry) -> None:
    site = await verified_site(registry, approved=False)
    await told(registry)
    for action in ("ask", "approve"):
        await registry.do(sites.decide_site, site.id, None, {"action": action})
    async with registry.store.write() as connection:
        (event,) = await queries.list_events(connection, what="site.ask")
        await queries.remove(connection, type(event), id=event.id)
    assert await told(registry) == []
    registry.now += 60
    assert [each.kind for each in await told(registry)] == ["site.approve"]


# -- Releases ----------------------------------------------------------------------------------------------------------


async def test_a_release_is_told_when_it_is_staged_and_when_it_is_public(registry: Registry) -> None:
    site = await verified_site(registry)
    await registry.host(site, new_releases=True)
    other = await verified_site(registry, name="Other", contacts=["other@example.org"])
    await registry.host(other, name="other.example.org")
    draft = await verified_site(registry, name="Draft", contacts=["draft@example.org"], approved=False)
    await registry.host(draft, name="draft.example.org", new_releases=True)
    await told(registry)
    not_before = "2026-09-22T00:00:00Z"
    await registry.do(catalogue.create_release, {"product": "Example Linux", "version": "2", "not_before": not_before})
    (staged,) = await told(registry)
    assert (staged.kind, staged.target) == (STAGED, "ops@example.org")
    assert "2026-09-22 00:00 UTC" in staged.subject and "mirror.example.org" in staged.body
    assert await told(registry) == []
    registry.now += 10 * DAY_S
    (public,) = await told(registry)
    assert (public.kind, public.target) == (PUBLIC, "ops@example.org")
    registry.now += 200 * DAY_S
    assert await told(registry) == []


async def test_one_release_mail_of_a_kind_a_day(registry: Registry) -> None:
    site = await verified_site(registry)
    await registry.host(site, new_releases=True)
    await told(registry)
    for version in ("2", "3", "4"):
        await registry.do(catalogue.create_release, {"product": "Example Linux", "version": version})
    counts = []
    for _ in range(5):
        counts.append(len(await told(registry)))
        registry.now += DAY_S
    assert counts == [1, 1, 1, 0, 0]


async def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_sign_key(str(path))
    path.write_text("no key")
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="ssh-keygen"):
        read_sign_key(str(path))
    with pytest.raises(KeyFileError, match="cannot be read"):
        read_sign_key(str(tmp_path / "none"))


@pytest.mark.parametrize("kind", [["ed25519"], ["rsa", "-b", "2048"]], ids=lambda kind: kind[0])
async def test_ssh_keygen_accepts_a_release_notice(registry: Registry, tmp_path: Path, kind: list[str]) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-f", str(path)], check=True)
    signer = read_sign_key(str(path))
    site = await verified_site(registry)
    await registry.host(site, new_releases=True)
    await registry.do(catalogue.create_release, {"product": "Example Linux", "version": "2"})
    post = Post(mails=True, pages="https://mirrors.example.org", cipher=CIPHER, signer=signer)
    (mail,) = [each for each in await told(registry, post) if each.kind == PUBLIC]
    text, mark, rest = mail.body.partition("-----BEGIN SSH SIGNATURE-----")
    assert "https://mirrors.example.org/join" in text
    (tmp_path / "signature").write_text(mark + rest)
    (tmp_path / "allowed").write_text(f"mirrors@example.org {signer.public}\n")

    def verify(message: str) -> int:
        command = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "mirrors@example.org", "-n", NAMESPACE]
        done = subprocess.run(
            [*command, "-s", "signature"], input=message.encode(), cwd=tmp_path, capture_output=True, timeout=PATIENCE_S
        )
        return done.returncode

    assert verify(text) == 0
    assert verify(text + " ") != 0
    if kind[0] == "ed25519":
        assert signer.sign(text.encode()) == mark + rest


# -- Words -------------------------------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=60).filter(str.isprintable))
def test_letters_are_short_lines_whatever_the_names(name: str) -> None:
    for letter in (
        letters.decision_letter("refuse", "site", 1, "short", "https://mirrors.example.org"),
        letters.leaving_letter("mirror.example.org", ["second.example.org"], 1_800_000_000),
        letters.release_letter("Example Linux", "2", ["a.example.org"], 1_800_000_000, True, "https://example.org"),
        letters.contact_letter(name, "https://example.org/contacts/1/2"),
    ):
        assert letter.text.endswith("\n") and letter.text.count("\r") == 0
        plain = [line for line in letter.text.split("\n") if not line.startswith(" ") and name not in line]
        assert max(map(len, plain)) <= 80


async def test_accounts_are_only_told_at_proved_addresses(registry: Registry) -> None:
    site = await registry.site()
    await registry.do(accounts.save_account, {"login": "anna", "mail": "anna@example.org"})
    await registry.do(sites.put_admin, site.id, {"account": "anna"})
    assert {each.kind for each in await told(registry)} == {"contact"}
