"""Sites: made, changed, decided about, left; their admins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from redirector.registry import letters, nouns
from redirector.registry.edit.change import (
    Change,
    differences,
    find_fresh,
    find_site,
    left_behind,
    refuse_outdated,
    taken,
    write,
)
from redirector.registry.listing import SiteState
from redirector.registry.permits import Act
from redirector.registry.refusals import Conflict, FieldProblem, Invalid, Missing, Stale
from redirector.registry.rules import login_key, name_key
from redirector.registry.secrets import hash_token, make_token
from redirector.registry.views import View, show_site, site_body
from redirector.settings.mail import is_mail_address
from redirector.store import outbox
from redirector.store.outbox import Parcel
from redirector.store.registry import queries
from redirector.store.registry.rows import (
    AccountRow,
    AdminRow,
    ContactRow,
    HostRow,
    InvitationRow,
    PullerRow,
    SiteRow,
)

WAITING_LIMIT = 5
"""Sites of one account that are drafts or wait: nobody fills the queue of those who decide."""

LEAVE_S = 30 * 86_400
"""Between a site's or host's word that it leaves, and its rows' end."""

INVITATION_S = 14 * 86_400

_STEPS: dict[tuple[str, SiteState], SiteState] = {
    ("ask", SiteState.DRAFT): SiteState.WAITING,
    ("ask", SiteState.REFUSED): SiteState.WAITING,
    ("approve", SiteState.DRAFT): SiteState.APPROVED,
    ("approve", SiteState.WAITING): SiteState.APPROVED,
    ("approve", SiteState.REFUSED): SiteState.APPROVED,
    ("approve", SiteState.SUSPENDED): SiteState.APPROVED,
    ("refuse", SiteState.DRAFT): SiteState.REFUSED,
    ("refuse", SiteState.WAITING): SiteState.REFUSED,
    ("suspend", SiteState.APPROVED): SiteState.SUSPENDED,
}
"""What may follow what."""


async def create_site(change: Change, body: object) -> SiteRow:
    """A new site, a draft; whoever makes it is its admin."""
    change.require(Act.CREATE_SITE)
    await _refuse_long_queue(change)
    noun = nouns.read_new(nouns.Site, body, change.lax)
    await _check_name(change, noun.name)
    pullers = await _read_pullers(change, noun.pulled_by)
    row = await queries.add(
        change.connection,
        SiteRow,
        name=noun.name,
        name_key=name_key(noun.name),
        url=noun.url,
        private=noun.private,
        enabled=noun.enabled,
        enabled_since=change.now,
        state=SiteState.DRAFT.value,
        state_since=change.now,
        state_text="",
        pulled_by_all=noun.pulled_by == "all",
        comment=noun.comment,
        leaving=None,
        origin=None,
        created=change.now,
        creator=change.actor.account,
        edited=change.now,
    )
    await _set_contacts(change, row.id, noun.contacts)
    await _set_pullers(change, row.id, pullers)
    if change.actor.account is not None:
        await queries.add(change.connection, AdminRow, site=row.id, account=change.actor.account, since=change.now)
    await change.log("site.add", row.name, row.id, {}, await body_of(change, row), site=row.id)
    return row


async def _refuse_long_queue(change: Change) -> None:
    if change.actor.account is None or change.actor.admin:
        return
    states = frozenset({SiteState.DRAFT.value, SiteState.WAITING.value})
    waiting = await queries.count(change.connection, SiteRow, creator=change.actor.account, state=states)
    if waiting >= WAITING_LIMIT:
        raise Conflict(f"{waiting} of your sites wait already: at most {WAITING_LIMIT} may")


async def _check_name(change: Change, name: str, own: int | None = None) -> None:
    found = await queries.find(change.connection, SiteRow, name_key=name_key(name))
    if found is not None and found.id != own:
        taken("name", "another site has this name")


async def _read_pullers(change: Change, pulled_by: object, own: int | None = None) -> frozenset[int]:
    if not isinstance(pulled_by, list):
        return frozenset()
    wanted = frozenset(pulled_by) - {own}
    known = {row.id for row in await queries.list_rows(change.connection, SiteRow, id=wanted)}
    visible = (
        known
        if change.actor.admin
        else {row.id for row in await queries.list_rows(change.connection, SiteRow, id=wanted, state="approved")}
        | (known & change.actor.sites)
    )
    problems = [
        FieldProblem(f"pulled_by.{number}", "there is no such site")
        for number, site in enumerate(pulled_by)
        if site not in visible and site != own
    ]
    if problems:
        raise Invalid(problems=problems)
    return wanted


async def _set_contacts(change: Change, site: int, mails: Iterable[str]) -> None:
    """What was verified stays so."""
    verified = {row.mail: row.verified for row in await queries.list_rows(change.connection, ContactRow, site=site)}
    await queries.remove(change.connection, ContactRow, site=site)
    for mail in mails:
        await queries.add(change.connection, ContactRow, site=site, mail=mail, verified=verified.get(mail))


async def _set_pullers(change: Change, site: int, pullers: Iterable[int]) -> None:
    await queries.remove(change.connection, PullerRow, site=site)
    for puller in sorted(pullers):
        await queries.add(change.connection, PullerRow, site=site, puller=puller)


async def body_of(change: Change, row: SiteRow) -> View:
    """The site as its body has it."""
    contacts = await queries.list_rows(change.connection, ContactRow, site=row.id)
    pullers = await queries.list_rows(change.connection, PullerRow, site=row.id)
    return site_body(row, [each.mail for each in contacts], [each.puller for each in pullers])


async def view_of(change: Change, row: SiteRow) -> View:
    """The site as those see it who may read it."""
    contacts = await queries.list_rows(change.connection, ContactRow, site=row.id)
    pullers = await queries.list_rows(change.connection, PullerRow, site=row.id)
    return show_site(row, [each.mail for each in contacts], [each.puller for each in pullers])


async def edit_site(change: Change, number: int, version: int | None, patch: object) -> SiteRow:
    """Change fields of a site. Private ↔ public: its hosts are unchecked. Raises Stale, Invalid, Conflict."""
    row = await find_site(change, Act.EDIT, number)
    old = await body_of(change, row)
    refuse_outdated(row, version, await view_of(change, row))
    new = nouns.read_change(nouns.Site, old, patch, change.lax)
    if "name" in new:
        await _check_name(change, new["name"], row.id)
    pullers = await _read_pullers(change, new.get("pulled_by"), row.id)
    values: dict[str, Any] = {
        name: new[name] for name in ("name", "url", "private", "enabled", "comment") if name in new
    }
    if "name" in new:
        values["name_key"] = name_key(new["name"])
    if "enabled" in new:
        values |= {"enabled_since": change.now, "leaving": None}
    if "pulled_by" in new:
        values["pulled_by_all"] = new["pulled_by"] == "all"
        await _set_pullers(change, row.id, pullers)
    if "contacts" in new:
        await _set_contacts(change, row.id, new["contacts"])
    if not new:
        return row
    changed = await queries.change(change.connection, SiteRow, row.id, row.version, edited=change.now, **values)
    if changed is None:
        fresh = await find_fresh(change, SiteRow, row.id)
        raise Stale(version=fresh.version, current=await view_of(change, fresh))
    if "private" in new:
        await queries.set_columns(change.connection, HostRow, {"site": row.id}, unchecked_since=change.now)
    before, after = differences(old, await body_of(change, changed))
    await change.log("site.change", changed.name, row.id, before, after, site=row.id)
    return changed


async def decide_site(change: Change, number: int, version: int | None, body: object) -> SiteRow:
    """Ask for approval, or approve, refuse, suspend. Raises Conflict when the site's state allows no such step."""
    noun = nouns.read_new(nouns.Approval, body, change.lax)
    row = await find_site(change, Act.ASK if noun.action == "ask" else Act.DECIDE, number)
    refuse_outdated(row, version, await view_of(change, row))
    state = _STEPS.get((noun.action, SiteState(row.state)))
    if state is None:
        raise Conflict(f"the site is {row.state}: {noun.action} changes nothing")
    if noun.action == "ask" and not await queries.count(change.connection, ContactRow, site=row.id):
        raise Invalid(problems=(FieldProblem("contacts", "at least one is needed"),))
    changed = await queries.change(
        change.connection,
        SiteRow,
        row.id,
        row.version,
        state=state.value,
        state_since=change.now,
        state_text=noun.text,
        edited=change.now,
    )
    if changed is None:
        fresh = await find_fresh(change, SiteRow, row.id)
        raise Stale(version=fresh.version, current=await view_of(change, fresh))
    await change.log(
        f"site.{noun.action}",
        row.name,
        row.id,
        {"state": row.state},
        {"state": state.value, "text": noun.text},
        site=row.id,
    )
    return changed


async def leave_site(change: Change, number: int, version: int | None) -> SiteRow:
    """It is off at once, and deleted after 30 days unless it is switched on before."""
    row = await find_site(change, Act.DELETE, number)
    values = {"enabled": False, "enabled_since": change.now if row.enabled else row.enabled_since}
    changed = await write(
        change,
        SiteRow,
        row,
        version,
        lambda each: {"leaving": each.leaving},
        leaving=row.leaving or change.now,
        **values,
    )
    await change.log("site.leave", row.name, row.id, {"enabled": row.enabled}, {"enabled": False}, site=row.id)
    return changed


async def delete_site(change: Change, number: int, version: int | None) -> None:
    """It and all that belongs to it are gone, but for the events."""
    row = await find_site(change, Act.DELETE, number)
    refuse_outdated(row, version, await view_of(change, row))
    old = await body_of(change, row)
    hosts = await queries.list_rows(change.connection, HostRow, site=row.id) if row.leaving is None else []
    left = await left_behind(change, hosts)
    await queries.remove(change.connection, SiteRow, id=row.id)
    await change.log("site.delete", row.name, row.id, old, left, site=row.id)


async def sweep(change: Change) -> list[str]:
    """Delete what left 30 days ago; the names."""
    change.require(Act.ADMINISTER)
    gone = []
    for site in await queries.list_rows(change.connection, SiteRow):
        if site.leaving is not None and site.leaving + LEAVE_S <= change.now:
            await delete_site(change, site.id, None)
            gone.append(site.name)
    for host in await queries.list_rows(change.connection, HostRow):
        if host.leaving is not None and host.leaving + LEAVE_S <= change.now:
            await queries.remove(change.connection, HostRow, id=host.id)
            await change.log("host.delete", host.name, host.id, {}, {}, site=host.site, host=host.id)
            gone.append(host.name)
    return gone


# -- Admins ------------------------------------------------------------------------------------------------------------


async def list_admins(change: Change, number: int) -> tuple[list[AccountRow], list[InvitationRow]]:
    """Accounts that are admins of the site, and those that were asked."""
    row = await find_site(change, Act.READ, number)
    admins = {each.account for each in await queries.list_rows(change.connection, AdminRow, site=row.id)}
    accounts = await queries.list_rows(change.connection, AccountRow, id=admins)
    open_ones = await queries.list_rows(change.connection, InvitationRow, site=row.id)
    return accounts, [each for each in open_ones if each.expires > change.now]


async def invite_admin(change: Change, number: int, body: object) -> tuple[InvitationRow, str]:
    """Ask an account, by login or mail address, to be an admin; the invitation, and the secret that accepts it.

    An address that no account has is asked as well: whoever signs up by its mail may accept.
    """
    row = await find_site(change, Act.EDIT, number)
    noun = nouns.read_new(nouns.Admin, body, change.lax)
    account = await _find_account(change, noun.account)
    if account is not None and await queries.find(change.connection, AdminRow, site=row.id, account=account.id):
        taken("account", "is an admin already")
    if account is None and "@" not in noun.account:
        raise Invalid(problems=(FieldProblem("account", "there is no such account"),))
    return await _invite(change, row, account, None if account else noun.account)


async def _invite(
    change: Change, row: SiteRow, account: AccountRow | None, mail: str | None
) -> tuple[InvitationRow, str]:
    secret = make_token()
    invitation = await queries.add(
        change.connection,
        InvitationRow,
        site=row.id,
        account=account.id if account else None,
        mail=mail,
        hash=hash_token(secret),
        made=change.now,
        expires=change.now + INVITATION_S,
    )
    name = account.login if account else str(mail)
    await change.log("admin.invite", name, invitation.id, {}, {"account": name}, site=row.id)
    return invitation, secret


INVITATION_PATH = "/invitations"
"""Where invitations are accepted, below the address of the pages."""


async def address_of(change: Change, invitation: InvitationRow) -> str | None:
    """Where the invitation can be sent: to the address it is for, or the account's, once that was proved."""
    if invitation.account is None:
        return invitation.mail
    account = await queries.find(change.connection, AccountRow, id=invitation.account)
    return account.mail if account is not None and account.mail_verified is not None else None


async def mail_invitation(change: Change, site: SiteRow, mail: str | None, secret: str) -> bool:
    """Let the invitation be sent by mail; False where nobody takes mail, or there is no address."""
    if not change.house.mails or not change.house.pages or mail is None or not is_mail_address(mail):
        return False
    link = f"{change.house.pages}{INVITATION_PATH}/{secret}"
    letter = letters.invitation_letter(site.name, change.actor.name, link, INVITATION_S // 86_400)
    parcel = Parcel(f"invitation {hash_token(secret)}", "mail", "invitation", "", mail, letter.text, letter.subject)
    await outbox.put(change.connection, (parcel,), change.now)
    return True


async def invite_contacts(change: Change, number: int) -> list[tuple[str, str]]:
    """Ask every contact of a site that has no admin yet: (mail address, secret)."""
    row = await find_site(change, Act.DECIDE, number)
    if await queries.count(change.connection, AdminRow, site=row.id):
        return []
    asked = {each.mail for each in await queries.list_rows(change.connection, InvitationRow, site=row.id)}
    made = []
    for contact in await queries.list_rows(change.connection, ContactRow, site=row.id):
        if contact.mail not in asked:
            _, secret = await _invite(change, row, None, contact.mail)
            await mail_invitation(change, row, contact.mail, secret)
            made.append((contact.mail, secret))
    return made


async def find_invitation(change: Change, secret: str) -> InvitationRow | None:
    """The invitation that *secret* accepts; None when there is none, or it has ended."""
    found = await queries.find(change.connection, InvitationRow, hash=hash_token(secret))
    return found if found is not None and found.expires > change.now else None


async def accept_invitation(change: Change, secret: str) -> SiteRow:
    """Make the account an admin. Raises Missing when there is no such invitation for it, or no more."""
    invitation, account = await find_invitation(change, secret), change.actor.account
    if invitation is None or account is None:
        raise Missing
    if invitation.account is not None and invitation.account != account:
        raise Missing
    return await _accept(change, invitation, account)


async def accept_invitation_by_number(change: Change, number: int) -> SiteRow:
    """The same for one that names the account itself."""
    invitation = await queries.find(change.connection, InvitationRow, id=number)
    account = change.actor.account
    if invitation is None or account is None or invitation.account != account or invitation.expires <= change.now:
        raise Missing
    return await _accept(change, invitation, account)


async def _accept(change: Change, invitation: InvitationRow, account: int) -> SiteRow:
    site = await queries.find(change.connection, SiteRow, id=invitation.site)
    assert site is not None
    await queries.remove(change.connection, InvitationRow, id=invitation.id)
    await add_admin(change, site, account)
    return site


async def add_admin(change: Change, site: SiteRow, account: int) -> None:
    """Make *account* an admin of *site*, by whatever right the caller checked."""
    if await queries.find(change.connection, AdminRow, site=site.id, account=account) is None:
        row = await queries.find(change.connection, AccountRow, id=account)
        if row is None:
            raise Missing
        await queries.add(change.connection, AdminRow, site=site.id, account=account, since=change.now)
        await change.log("admin.add", row.login, account, {}, {"account": row.login}, site=site.id)


async def put_admin(change: Change, number: int, body: object) -> None:
    """Make an account an admin at once: for distribution admins, who need no invitation."""
    row = await find_site(change, Act.DECIDE, number)
    noun = nouns.read_new(nouns.Admin, body, change.lax)
    account = await _find_account(change, noun.account)
    if account is None:
        raise Invalid(problems=(FieldProblem("account", "there is no such account"),))
    await add_admin(change, row, account.id)


async def remove_admin(change: Change, number: int, account: int) -> None:
    """Take an account from the admins. Raises Conflict for the last."""
    row = await find_site(change, Act.EDIT, number)
    admins = {each.account for each in await queries.list_rows(change.connection, AdminRow, site=row.id)}
    if account not in admins:
        raise Missing
    if admins == {account}:
        raise Conflict("the last admin cannot go: name another first")
    found = await queries.find(change.connection, AccountRow, id=account)
    await queries.remove(change.connection, AdminRow, site=row.id, account=account)
    login = found.login if found else ""
    await change.log("admin.remove", login, account, {"account": login}, {}, site=row.id)


async def withdraw_invitation(change: Change, number: int, invitation: int) -> None:
    """Nobody can accept it any more."""
    row = await find_site(change, Act.EDIT, number)
    if not await queries.remove(change.connection, InvitationRow, id=invitation, site=row.id):
        raise Missing
    await change.log("admin.withdraw", "", invitation, {}, {}, site=row.id)


async def _find_account(change: Change, text: str) -> AccountRow | None:
    by_login = await queries.find(change.connection, AccountRow, login_key=login_key(text))
    if by_login is not None or "@" not in text:
        return by_login
    rows = await queries.list_rows(change.connection, AccountRow, mail=text)
    return next((row for row in rows if row.mail_verified is not None), None)


async def visible_sites(change: Change) -> list[SiteRow]:
    """Sites that the actor may read, by number."""
    if change.actor.admin:
        return await queries.list_rows(change.connection, SiteRow)
    sites = set(change.actor.sites)
    if change.actor.only is not None and change.actor.only[0] == "site":
        sites.add(change.actor.only[1])
    return await queries.list_rows(change.connection, SiteRow, id=sites)
