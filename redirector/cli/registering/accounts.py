"""`registry user` and `registry token`."""

from __future__ import annotations

import argparse

from redirector.cli.output import say
from redirector.cli.registering.common import Commands, add_command, card, desk_of, run_change, table
from redirector.registry.edit import accounts
from redirector.registry.edit.change import Change
from redirector.registry.rules import login_key
from redirector.registry.views import show_account, show_time
from redirector.store.registry import queries
from redirector.store.registry.rows import AccountRow

LINK_PATH = "/login/link"


def add_commands(commands: Commands) -> None:
    """`user`, `users` and `token`."""
    parser = add_command(commands, "user", "make or change a local account; prints a one-time link", _user, links=True)
    parser.add_argument("name", metavar="NAME", help="its login")
    parser.add_argument(
        "--mail", dest="mail_address", metavar="M", help="its mail address; whoever uses the link has proved it"
    )
    parser.add_argument(
        "--distribution-admin", action=argparse.BooleanOptionalAction, default=None, help="may do everything"
    )
    parser.add_argument("--disable", action="store_true", help="it can log in no more")
    parser.add_argument("--enable", action="store_true", help="it can again")
    parser.add_argument("--delete", action="store_true", help="remove it, and its name from every event")
    add_command(commands, "users", "list the accounts", _users)
    parser = add_command(commands, "token", "make a token that acts as an account; printed once", _token)
    parser.add_argument("name", metavar="NAME", help="the account's login")
    parser.add_argument("--scope", choices=("read", "write"), required=True, help="what programs that have it may do")
    parser.add_argument("--days", type=int, metavar="N", help="how long it works (default: 90)")


def _user(arguments: argparse.Namespace) -> int:
    url = desk_of(arguments).network.url or ""
    if not url and not (arguments.disable or arguments.delete):
        say("no --url is given: put the pages' address before the link")

    async def work(change: Change) -> object:
        if arguments.delete:
            row = await queries.find(change.connection, AccountRow, login_key=login_key(arguments.name))
            await accounts.delete_account(change, row.id if row else 0)
            return {"login": arguments.name, "deleted": True}
        body: dict[str, object] = {"login": arguments.name}
        if arguments.mail_address is not None:
            body["mail"] = arguments.mail_address or None
        if arguments.distribution_admin is not None:
            body["distribution_admin"] = arguments.distribution_admin
        if arguments.disable or arguments.enable:
            body["disabled"] = arguments.disable
        account = await accounts.save_account(change, body)
        view = show_account(account)
        if account.disabled:
            return view
        secret = await accounts.make_link(change, account)
        expires = show_time(change.now + accounts.LINK_S)
        return {**view, "link": f"{url}{LINK_PATH}/{secret}", "link_expires": expires}

    return run_change(arguments, work, lambda view: f"{view['link']}\n" if "link" in view else card(view))


def _users(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        return [show_account(row) for row in await queries.list_rows(change.connection, AccountRow)]

    columns = ("id", "login", "mail", "mail_verified", "distribution_admin", "disabled", "seen")
    return run_change(arguments, work, lambda rows: table(rows, columns), write=False)


def _token(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row, secret = await accounts.make_account_token(change, arguments.name, arguments.scope, arguments.days)
        return {"token": secret, "scope": row.scope, "expires": show_time(row.expires)}

    return run_change(arguments, work, lambda made: f"{made['token']}\n")
