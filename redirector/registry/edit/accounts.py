"""Accounts, their one-time links, tokens, and the actors that follow from them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.registry import nouns
from redirector.registry.edit.change import Change, find_host, find_site, taken
from redirector.registry.permits import Act, Actor, Scope
from redirector.registry.refusals import Conflict, Missing
from redirector.registry.rules import login_key, name_key
from redirector.registry.secrets import NOBODYS, TOKEN_PREFIX, hash_password, hash_token, is_password, make_token
from redirector.registry.views import show_account
from redirector.store.registry import queries
from redirector.store.registry.rows import (
    AccountRow,
    AdminRow,
    EventRow,
    HostRow,
    LinkRow,
    SiteRow,
    TokenRow,
)

LINK_S = 2 * 86_400
"""How long a one-time link works: over a night and a day."""

TOKEN_DAYS = 90
"""Of tokens to read or write, unless other days are asked for. Those to check in have no end by default."""

IDLE_S = 365 * 86_400
"""An account that nothing needs ends after a year."""


async def save_account(change: Change, body: object) -> AccountRow:
    """Make a local account, or change the one of that login."""
    change.require(Act.ADMINISTER)
    noun = nouns.read_new(nouns.Account, body, change.lax)
    row = await queries.find(change.connection, AccountRow, login_key=login_key(noun.login))
    if row is None:
        return await _add_account(change, noun)
    values: dict[str, object] = {name: getattr(noun, name) for name in noun.model_fields_set - {"login"}}
    if values.get("mail") not in (None, row.mail):
        values["mail_verified"] = None
    if all(getattr(row, name) == value for name, value in values.items()):
        return row
    await queries.set_columns(change.connection, AccountRow, {"id": row.id}, version=row.version + 1, **values)
    changed = await queries.find(change.connection, AccountRow, id=row.id)
    assert changed is not None
    if changed.disabled:
        await queries.remove(change.connection, LinkRow, account=row.id)
    await change.log("account.change", row.login, row.id, show_account(row), show_account(changed))
    return changed


async def _add_account(change: Change, noun: nouns.Account) -> AccountRow:
    row = await queries.add(
        change.connection,
        AccountRow,
        login=noun.login,
        login_key=login_key(noun.login),
        mail=noun.mail,
        mail_verified=None,
        password=None,
        issuer=None,
        subject=None,
        distribution_admin=noun.distribution_admin,
        disabled=noun.disabled,
        created=change.now,
        seen=None,
    )
    await change.log("account.add", row.login, row.id, {}, show_account(row))
    return row


async def make_link(change: Change, account: AccountRow, purpose: str = "password") -> str:
    """The secret of a new one-time link; older ones of that purpose work no more."""
    secret = make_token().removeprefix(TOKEN_PREFIX)
    await queries.remove(change.connection, LinkRow, account=account.id, purpose=purpose)
    await queries.add(
        change.connection,
        LinkRow,
        account=account.id,
        hash=hash_token(secret),
        purpose=purpose,
        mail=account.mail,
        expires=change.now + LINK_S,
        used=None,
    )
    return secret


async def find_link(change: Change, secret: str) -> tuple[LinkRow, AccountRow]:
    """The link that still works, and whose it is. Raises Missing."""
    link = await queries.find(change.connection, LinkRow, hash=hash_token(secret))
    if link is None or link.used is not None or link.expires <= change.now:
        raise Missing
    account = await queries.find(change.connection, AccountRow, id=link.account)
    if account is None or account.disabled:
        raise Missing
    return link, account


async def use_link(change: Change, secret: str, password: str) -> AccountRow:
    """Set the password that the link is for; whoever got it by mail has proved that the address is his."""
    link, account = await find_link(change, secret)
    values: dict[str, object] = {"password": hash_password(password), "version": account.version + 1}
    if link.mail is not None and link.mail == account.mail:
        values["mail_verified"] = account.mail_verified or change.now
    await queries.set_columns(change.connection, LinkRow, {"id": link.id}, used=change.now)
    await queries.set_columns(change.connection, AccountRow, {"id": account.id}, **values)
    await change.log("account.password", account.login, account.id)
    return account


async def delete_account(change: Change, number: int) -> None:
    """The account is gone, and its name in every event replaced. Raises Conflict for the last admin of a site."""
    if change.actor.account != number:
        change.require(Act.ADMINISTER)
    row = await queries.find(change.connection, AccountRow, id=number)
    if row is None:
        raise Missing
    for admin in await queries.list_rows(change.connection, AdminRow, account=number):
        if await queries.count(change.connection, AdminRow, site=admin.site) == 1:
            raise Conflict("it is the last admin of a site: name another first")
    await queries.remove(change.connection, AccountRow, id=number)
    nobody = f"deleted account {number}"
    await queries.set_columns(change.connection, EventRow, {"account": number}, actor=nobody, account=None)
    named = {"what": _ABOUT_ACCOUNTS, "subject": number}
    await queries.set_columns(change.connection, EventRow, named, name=nobody, old={}, new={})
    await change.log("account.remove", nobody, number)


_ABOUT_ACCOUNTS = frozenset(
    {"account.add", "account.change", "account.password", "account.remove", "admin.add", "admin.remove"}
)


async def end_idle_accounts(change: Change) -> int:
    """Delete accounts that nobody used for a year and that nothing needs; how many."""
    change.require(Act.ADMINISTER)
    needed = {row.account for row in await queries.list_rows(change.connection, AdminRow)}
    needed |= {row.account for row in await queries.list_rows(change.connection, TokenRow) if row.account is not None}
    ended = 0
    for row in await queries.list_rows(change.connection, AccountRow, distribution_admin=False):
        if row.id not in needed and max(row.created, row.seen or 0) + IDLE_S <= change.now:
            await delete_account(change, row.id)
            ended += 1
    return ended


async def actor_of(change: Change, account: AccountRow, scope: Scope | None = None) -> Actor:
    """Who acts when *account* does."""
    sites = frozenset(row.site for row in await queries.list_rows(change.connection, AdminRow, account=account.id))
    return Actor(account.id, account.login, admin=account.distribution_admin, sites=sites, scope=scope)


# -- Tokens ------------------------------------------------------------------------------------------------------------


async def make_account_token(change: Change, login: str, scope: str, days: int | None = None) -> tuple[TokenRow, str]:
    """A token that acts as the account *login*; the row, and the token, which is shown once."""
    change.require(Act.ADMINISTER)
    noun = nouns.read_new(nouns.Token, {"scope": scope, "days": days}, change.lax)
    account = await queries.find(change.connection, AccountRow, login_key=login_key(login))
    if account is None or account.disabled:
        raise Missing("there is no such account, or it is disabled")
    if noun.scope == "check-in":
        raise Conflict("tokens to check in are of a host or a site")
    return await _make(change, noun, account=account.id, name=account.login)


async def make_site_token(change: Change, number: int, body: object) -> tuple[TokenRow, str]:
    """A token for a site and its hosts."""
    site = await find_site(change, Act.EDIT, number)
    return await _make(change, nouns.read_new(nouns.Token, body, change.lax), site=site.id, name=site.name)


async def make_host_token(change: Change, number: int, body: object) -> tuple[TokenRow, str]:
    """A token for one host."""
    host, _ = await find_host(change, Act.EDIT, number)
    noun = nouns.read_new(nouns.Token, body, change.lax)
    return await _make(change, noun, host=host.id, event_site=host.site, name=host.name)


async def _make(
    change: Change,
    noun: nouns.Token,
    *,
    name: str,
    account: int | None = None,
    site: int | None = None,
    host: int | None = None,
    event_site: int | None = None,
) -> tuple[TokenRow, str]:
    days = noun.days or (None if noun.scope == "check-in" else TOKEN_DAYS)
    secret = make_token()
    row = await queries.add(
        change.connection,
        TokenRow,
        hash=hash_token(secret),
        kind="rdr",
        secret=None,
        scope=noun.scope,
        account=account,
        site=site,
        host=host,
        made=change.now,
        expires=None if days is None else change.now + days * 86_400,
        used=None,
    )
    new = {"scope": noun.scope, "days": days}
    await change.log("token.add", name, row.id, {}, new, site=site or event_site, host=host)
    return row, secret


async def list_tokens(change: Change, *, site: int | None = None, host: int | None = None) -> list[TokenRow]:
    """Tokens of a site, or of a host."""
    if host is not None:
        await find_host(change, Act.READ, host)
        return await queries.list_rows(change.connection, TokenRow, host=host)
    await find_site(change, Act.READ, site or 0)
    return await queries.list_rows(change.connection, TokenRow, site=site)


async def revoke_token(change: Change, number: int, *, site: int | None = None, host: int | None = None) -> None:
    """A token of a site or host works no more."""
    if host is not None:
        owner, _ = await find_host(change, Act.EDIT, host)
        which, name, event_site = {"host": host}, owner.name, owner.site
    else:
        named = await find_site(change, Act.EDIT, site or 0)
        which, name, event_site = {"site": named.id}, named.name, named.id
    if not await queries.remove(change.connection, TokenRow, id=number, **which):
        raise Missing
    await change.log("token.remove", name, number, {}, {}, site=event_site, host=host)


async def own_tokens(change: Change) -> list[TokenRow]:
    """Tokens that act as the account itself; those of visitors are none."""
    if change.actor.account is None:
        return []
    return await queries.list_rows(change.connection, TokenRow, account=change.actor.account)


async def revoke_own_token(change: Change, number: int) -> None:
    """A token that acts as the account itself works no more. Raises Missing."""
    account = change.actor.account
    if account is None or not await queries.remove(change.connection, TokenRow, id=number, account=account):
        raise Missing
    await change.log("token.remove", change.actor.name, number, {}, {})


async def find_actor(change: Change, secret: str) -> Actor | None:
    """Who acts with this token; None when it is none, or no more. Its use is noted once a minute at most."""
    if not secret.startswith(TOKEN_PREFIX):
        return None
    token = await queries.find(change.connection, TokenRow, hash=hash_token(secret), kind="rdr")
    if token is None or (token.expires is not None and token.expires <= change.now):
        return None
    scope = Scope(token.scope)
    if token.account is not None:
        account = await queries.find(change.connection, AccountRow, id=token.account)
        return None if account is None or account.disabled else await actor_of(change, account, scope)
    if token.host is not None:
        host = await queries.find(change.connection, HostRow, id=token.host)
        assert host is not None
        return Actor(None, f"token of {host.name}", scope=scope, only=("host", host.id))
    site = await queries.find(change.connection, SiteRow, id=token.site)
    assert site is not None
    return Actor(None, f"token of {site.name}", scope=scope, only=("site", site.id))


async def note_use(change: Change, secret: str) -> None:
    """Remember when the token was last used."""
    await queries.set_columns(change.connection, TokenRow, {"hash": hash_token(secret)}, used=change.now)


async def note_token_use(connection: AsyncConnection, number: int, now: int) -> None:
    """Remember when the token of that number was last used."""
    await queries.set_columns(connection, TokenRow, {"id": number}, used=now)


SECRET_LIMIT = 1024
"""Characters; nobody's password is longer, and comparing costs time."""


async def find_check_in_tokens(connection: AsyncConnection, site_name: str) -> tuple[SiteRow | None, list[TokenRow]]:
    """The site of that name, and the tokens that check in for it or for one of its hosts."""
    if not site_name.isprintable():
        return None, []
    site = await queries.find(connection, SiteRow, name_key=name_key(site_name))
    if site is None:
        return None, []
    tokens = await queries.list_rows(connection, TokenRow, site=site.id, scope="check-in")
    hosts = {row.id for row in await queries.list_rows(connection, HostRow, site=site.id)}
    return site, [*tokens, *await queries.list_rows(connection, TokenRow, host=hosts, scope="check-in")]


def match_token(tokens: Iterable[TokenRow], secret: str, now: int) -> TokenRow | None:
    """Which of the *tokens* the *secret* is. cost: a hash; passwords that an import kept are for `match_password`."""
    digest = hash_token(_cut(secret))
    return next((each for each in _valid(tokens, now) if each.kind == "rdr" and each.hash == digest), None)


def match_password(tokens: Iterable[TokenRow], secret: str, now: int) -> TokenRow | None:
    """Which of the *tokens*, passwords that an import kept, the *secret* is.

    cost: 20 ms a password, and as much where there is none: nobody learns whether there is such a site
    """
    secret = _cut(secret)
    passwords = [(each, each.secret) for each in _valid(tokens, now) if each.kind == "argon2" and each.secret]
    for token, hashed in passwords:
        if is_password(secret, hashed):
            return token
    if not passwords:
        is_password(secret, NOBODYS)
    return None


def _cut(secret: str) -> str:
    return secret if secret.isprintable() and len(secret) <= SECRET_LIMIT else ""


def _valid(tokens: Iterable[TokenRow], now: int) -> list[TokenRow]:
    return [token for token in tokens if token.expires is None or token.expires > now]


async def change_mail(change: Change, account: AccountRow, mail: str) -> None:
    """Another address, unverified."""
    other = [row for row in await queries.list_rows(change.connection, AccountRow, mail=mail) if row.mail_verified]
    if other and other[0].id != account.id:
        taken("mail", "cannot be used")
    await queries.set_columns(
        change.connection, AccountRow, {"id": account.id}, mail=mail, mail_verified=None, version=account.version + 1
    )
