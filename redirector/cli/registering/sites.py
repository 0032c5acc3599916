"""`registry site`: sites, their admins, tokens and notes."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from typing import Any

from redirector.cli.registering.common import Commands, add_command, card, desk_of, run_change, table
from redirector.cli.registering.fields import add_fields, body_of
from redirector.registry import nouns
from redirector.registry.edit import accounts, carried, notes, sites
from redirector.registry.edit.change import Change
from redirector.registry.refusals import Missing
from redirector.registry.rules import name_key
from redirector.registry.views import show_account, show_invitation, show_note, show_token
from redirector.store.registry import queries
from redirector.store.registry.rows import HostRow, SiteRow

COLUMNS = ("id", "name", "state", "enabled", "private", "url", "contacts")


def add_commands(commands: Commands) -> None:
    """`site …` and `invite`."""
    parser = commands.add_parser("site", help="sites: who runs hosts", allow_abbrev=False)
    verbs = parser.add_subparsers(metavar="VERB", required=True, title="verbs")
    listing = add_command(verbs, "list", "list the sites", _list)
    listing.add_argument(
        "--state",
        dest="of_state",
        choices=("draft", "waiting", "approved", "refused", "suspended"),
        help="those that stand so alone",
    )
    _named(add_command(verbs, "show", "show a site, its hosts, admins and notes", _show))
    add_fields(_named(add_command(verbs, "add", "make a site: a draft", _add)), nouns.Site, {"name"})
    add_fields(_named(add_command(verbs, "set", "change fields of a site", _set)), nouns.Site)
    _named(add_command(verbs, "off", "switch a site off", _switch(False)))
    _named(add_command(verbs, "on", "switch a site on", _switch(True)))
    for action, text in (
        ("ask", "ask for approval"),
        ("approve", "approve a site"),
        ("refuse", "refuse a site"),
        ("suspend", "suspend a site"),
    ):
        _named(add_command(verbs, action, text, _decide(action))).add_argument("--text", default="", help="is mailed")
    _named(add_command(verbs, "leave", "off at once, deleted after 30 days", _leave))
    _named(add_command(verbs, "delete", "delete a site and its hosts", _delete))
    _named(add_command(verbs, "note", "write a note on a site down", _note)).add_argument(
        "text", metavar="TEXT", help="for distribution admins alone"
    )
    admin = _named(add_command(verbs, "admin", "list, add or remove admins", _admin, links=True))
    admin.add_argument("--add", metavar="LOGIN", help="an account that becomes an admin")
    admin.add_argument("--remove", metavar="LOGIN", help="an account that is no admin any more; the last one stays")
    admin.add_argument("--invite", metavar="MAIL", help="prints the link that accepts")
    token = _named(add_command(verbs, "token", "list, make or revoke tokens of a site", _token))
    add_token_flags(token)
    invite = add_command(
        commands, "invite", "ask the contacts of sites without admins to be admins", _invite, links=True
    )
    invite.add_argument("name", metavar="SITE", nargs="?", help="this site alone")
    invite.add_argument(
        "--from-mail", action="store_true", required=True, help="the addresses that an import's source had"
    )


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar="NAME", help="the site's name or number")
    return parser


def add_token_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of tokens of a site or host."""
    parser.add_argument("--scope", choices=("check-in", "read", "write"), help="make one; it is printed once")
    parser.add_argument("--days", type=int, metavar="N", help="how long it works")
    parser.add_argument("--revoke", type=int, metavar="ID", help="it works no more")


async def find_site(change: Change, name: str) -> SiteRow:
    """The site of that name or number. Raises Missing."""
    row = await queries.find(change.connection, SiteRow, name_key=name_key(name))
    if row is None and name.isascii() and name.isdigit():
        row = await queries.find(change.connection, SiteRow, id=int(name))
    if row is None:
        raise Missing(f"there is no site {name!r:.100}")
    return row


def _list(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        rows = await queries.list_rows(
            change.connection, SiteRow, **({"state": arguments.of_state} if arguments.of_state else {})
        )
        return [await sites.view_of(change, row) for row in rows]

    return run_change(arguments, work, lambda rows: table(rows, COLUMNS), write=False)


def _show(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_site(change, arguments.name)
        admins, invitations = await sites.list_admins(change, row.id)
        hosts = await queries.list_rows(change.connection, HostRow, site=row.id)
        duplicates = await carried.duplicates_of(change, row.id)
        return {
            **await sites.view_of(change, row),
            "admins": [each.login for each in admins],
            "invitations": [show_invitation(each) for each in invitations],
            "hosts": [each.name for each in hosts],
            "duplicates": [f"{url} of {host} is also {other}'s" for host, url, other in duplicates],
            "notes": [show_note(each) for each in await notes.list_notes(change, site=row.id)],
        }

    return run_change(arguments, work, card, write=False)


def _add(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await sites.create_site(change, body_of(arguments, nouns.Site, name=arguments.name))
        return await sites.view_of(change, row)

    return run_change(arguments, work, card)


def _set(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_site(change, arguments.name)
        return await sites.view_of(change, await sites.edit_site(change, row.id, None, body_of(arguments, nouns.Site)))

    return run_change(arguments, work, card)


Action = Callable[[argparse.Namespace], int]


def _on_site(step: Callable[[Change, SiteRow, argparse.Namespace], Awaitable[SiteRow]]) -> Action:
    def action(arguments: argparse.Namespace) -> int:
        async def work(change: Change) -> object:
            row = await find_site(change, arguments.name)
            return await sites.view_of(change, await step(change, row, arguments))

        return run_change(arguments, work, card)

    return action


def _switch(on: bool) -> Action:
    return _on_site(lambda change, row, _: sites.edit_site(change, row.id, None, {"enabled": on}))


def _decide(action: str) -> Action:
    return _on_site(
        lambda change, row, arguments: sites.decide_site(
            change, row.id, None, {"action": action, "text": arguments.text}
        )
    )


_leave = _on_site(lambda change, row, _: sites.leave_site(change, row.id, None))


def _delete(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_site(change, arguments.name)
        await sites.delete_site(change, row.id, None)
        return {"deleted": row.name}

    return run_change(arguments, work, card)


def _note(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_site(change, arguments.name)
        return show_note(await notes.add_note(change, arguments.text, site=row.id))

    return run_change(arguments, work, card)


def _admin(arguments: argparse.Namespace) -> int:
    url = desk_of(arguments).network.url or ""

    async def work(change: Change) -> object:
        row = await find_site(change, arguments.name)
        result: dict[str, Any] = {}
        if arguments.add:
            await sites.put_admin(change, row.id, {"account": arguments.add})
        if arguments.invite:
            invited, secret = await sites.invite_admin(change, row.id, {"account": arguments.invite})
            await sites.mail_invitation(change, row, await sites.address_of(change, invited), secret)
            result["invitation"] = f"{url}{sites.INVITATION_PATH}/{secret}"
        admins, _ = await sites.list_admins(change, row.id)
        if arguments.remove:
            account = next((each for each in admins if each.login == arguments.remove), None)
            await sites.remove_admin(change, row.id, account.id if account else 0)
            admins = [each for each in admins if each is not account]
        return {**result, "admins": [show_account(each) for each in admins]}

    def show(result: dict[str, Any]) -> str:
        link = f"{result['invitation']}\n" if "invitation" in result else ""
        return link + table(result["admins"], ("id", "login", "mail"))

    return run_change(arguments, work, show)


def _token(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_site(change, arguments.name)
        if arguments.revoke is not None:
            await accounts.revoke_token(change, arguments.revoke, site=row.id)
        if arguments.scope:
            body = {"scope": arguments.scope, "days": arguments.days}
            made, secret = await accounts.make_site_token(change, row.id, body)
            return {"token": secret, **show_token(made)}
        return [show_token(each) for each in await accounts.list_tokens(change, site=row.id)]

    return run_change(arguments, work, show_tokens)


def show_tokens(result: Any) -> str:
    """A new token alone, or the list of those there are."""
    if isinstance(result, dict):
        return f"{result['token']}\n"
    return table(result, ("id", "scope", "made", "expires", "used"))


def _invite(arguments: argparse.Namespace) -> int:
    url = desk_of(arguments).network.url or ""

    async def work(change: Change) -> object:
        named = [await find_site(change, arguments.name)] if arguments.name else None
        rows = named or await queries.list_rows(change.connection, SiteRow)
        made = []
        for row in rows:
            for mail, secret in await sites.invite_contacts(change, row.id):
                made.append({"site": row.name, "mail": mail, "link": f"{url}{sites.INVITATION_PATH}/{secret}"})
        return made

    return run_change(arguments, work, lambda rows: table(rows, ("site", "mail", "link")))
