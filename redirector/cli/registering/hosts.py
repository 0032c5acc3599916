"""`registry host`, and what belongs to hosts: categories, URLs, networks, AS numbers, countries, ACL addresses."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from redirector.cli.output import Exit, say
from redirector.cli.registering.common import Commands, add_command, card, run_change, table
from redirector.cli.registering.fields import add_fields, body_of
from redirector.cli.registering.sites import add_token_flags, find_site, show_tokens
from redirector.registry import nouns
from redirector.registry.edit import accounts, asns, carried, hosts, networks, notes
from redirector.registry.edit.change import Change
from redirector.registry.public import OK, public_list, state_of
from redirector.registry.publish.holdings import read_holdings
from redirector.registry.publish.selection import select
from redirector.registry.refusals import Missing
from redirector.registry.rules import name_key
from redirector.registry.views import (
    show_acl,
    show_asn,
    show_carried,
    show_country,
    show_network,
    show_note,
    show_time,
    show_token,
)
from redirector.store.registry import queries
from redirector.store.registry.rows import HostRow

COLUMNS = ("id", "name", "site", "country", "bandwidth_mbit", "enabled", "private", "tier", "pulls_from")

Action = Callable[[argparse.Namespace], int]
R = TypeVar("R")


def add_commands(commands: Commands) -> None:
    """`host …` and a command for each kind of what belongs to hosts."""
    parser = commands.add_parser("host", help="hosts: machines that carry content", allow_abbrev=False)
    verbs = parser.add_subparsers(metavar="VERB", required=True, title="verbs")
    add_command(verbs, "list", "list the hosts", _list).add_argument(
        "--site", metavar="NAME", help="those of this site alone"
    )
    _named(add_command(verbs, "show", "show a host, and what belongs to it", _show))
    adding = _named(add_command(verbs, "add", "make a host", _add))
    adding.add_argument("--site", metavar="NAME", required=True, help="whose it is")
    add_fields(adding, nouns.Host, {"name"})
    add_fields(_named(add_command(verbs, "set", "change fields of a host", _set)), nouns.Host)
    _named(add_command(verbs, "off", "switch a host off", _switch(False)))
    _named(add_command(verbs, "on", "switch a host on", _switch(True)))
    approving = _named(add_command(verbs, "approve", "approve what waits: networks, AS numbers", _decide("approve")))
    approving.add_argument("what", metavar="NETWORK|ASN", nargs="*", help="these alone; default: all that waits")
    refusing = _named(add_command(verbs, "refuse", "refuse what waits", _decide("refuse")))
    refusing.add_argument("what", metavar="NETWORK|ASN", nargs="*", help="these alone; default: all that waits")
    _named(add_command(verbs, "leave", "off at once, deleted after 30 days", _leave))
    _named(add_command(verbs, "delete", "delete a host", _delete))
    _named(add_command(verbs, "note", "write a note on a host down", _note)).add_argument(
        "text", metavar="TEXT", help="for distribution admins alone"
    )
    add_token_flags(_named(add_command(verbs, "token", "list, make or revoke tokens of a host", _token)))
    _add_children(commands)


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar="NAME", help="the host's name or number")
    return parser


async def find_host(change: Change, name: str) -> HostRow:
    """The host of that name or number. Raises Missing."""
    row = await queries.find(change.connection, HostRow, name_key=name_key(name))
    if row is None and name.isascii() and name.isdigit():
        row = await queries.find(change.connection, HostRow, id=int(name))
    if row is None:
        raise Missing(f"there is no host {name!r:.100}")
    return row


def _list(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        site = (await find_site(change, arguments.site)).id if arguments.site else None
        rows = await queries.list_rows(change.connection, HostRow, **({} if site is None else {"site": site}))
        reasons = await _reasons(change)
        return [{**await hosts.view_of(change, row), **reasons[row.id]} for row in rows]

    return run_change(arguments, work, lambda rows: table(rows, (*COLUMNS, "listed")), write=False)


async def _reasons(change: Change) -> dict[int, dict[str, Any]]:
    """For each host whether it is listed, else why not and since when."""
    holdings = await read_holdings(change.connection, change.now)
    listed = public_list(holdings, select(holdings, change.now), change.now)
    public = {mirror.host: mirror for mirror in listed.mirrors}
    found: dict[int, dict[str, Any]] = {}
    for number, row in holdings.hosts.items():
        state, since = state_of(holdings, row, public.get(row.name), change.now)
        found[number] = {"listed": state, "since": show_time(since or None) if state != OK else None}
    return found


def _show(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_host(change, arguments.name)
        names = await carried.category_names(change)
        return {
            **await hosts.view_of(change, row),
            **(await _reasons(change))[row.id],
            "categories": [
                show_carried(each, names[each.category]) for each in await carried.list_carried(change, row.id)
            ],
            "urls": [each.view() for each in await carried.list_urls(change, row.id)],
            "networks": [show_network(each) for each in await networks.list_networks(change, row.id)],
            "asns": [show_asn(each) for each in await asns.list_asns(change, row.id)],
            "countries": [show_country(each) for each in await networks.list_countries(change, row.id)],
            "acl": [show_acl(each) for each in await networks.list_acl(change, row.id)],
            "downstream": [each.name for each in await hosts.downstream(change, row.id)],
            "notes": [show_note(each) for each in await notes.list_notes(change, host=row.id)],
        }

    return run_change(arguments, work, card, write=False)


def _add(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        site = await find_site(change, arguments.site)
        row = await hosts.create_host(change, site.id, body_of(arguments, nouns.Host, name=arguments.name))
        return await hosts.view_of(change, row)

    return run_change(arguments, work, card)


def _on_host(step: Callable[[Change, HostRow, argparse.Namespace], Awaitable[HostRow]]) -> Action:
    def action(arguments: argparse.Namespace) -> int:
        async def work(change: Change) -> object:
            row = await find_host(change, arguments.name)
            return await hosts.view_of(change, await step(change, row, arguments))

        return run_change(arguments, work, card)

    return action


_set = _on_host(lambda change, row, arguments: hosts.edit_host(change, row.id, None, body_of(arguments, nouns.Host)))
_leave = _on_host(lambda change, row, _: hosts.leave_host(change, row.id, None))


def _switch(on: bool) -> Action:
    return _on_host(lambda change, row, _: hosts.edit_host(change, row.id, None, {"enabled": on}))


def _decide(action: str) -> Action:
    def decide(arguments: argparse.Namespace) -> int:
        async def work(change: Change) -> object:
            row = await find_host(change, arguments.name)
            wanted = {each.upper().removeprefix("AS") if each[:2].upper() == "AS" else each for each in arguments.what}
            decided: list[str] = []
            for network in await networks.list_networks(change, row.id):
                if network.network in wanted or (not wanted and network.waits):
                    await networks.decide_network(change, row.id, network.id, None, {"action": action})
                    decided.append(network.network)
            for asn in await asns.list_asns(change, row.id):
                if str(asn.asn) in wanted or (not wanted and asn.waits):
                    await asns.decide_asn(change, row.id, asn.id, None, {"action": action})
                    decided.append(str(asn.asn))
            if missing := sorted(wanted - set(decided)):
                raise Missing(f"the host has no {', '.join(missing)}")
            return {"host": row.name, "decided": decided}

        return run_change(arguments, work, card)

    return decide


def _delete(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_host(change, arguments.name)
        await hosts.delete_host(change, row.id, None)
        return {"deleted": row.name}

    return run_change(arguments, work, card)


def _note(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_host(change, arguments.name)
        return show_note(await notes.add_note(change, arguments.text, host=row.id))

    return run_change(arguments, work, card)


def _token(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_host(change, arguments.name)
        if arguments.revoke is not None:
            await accounts.revoke_token(change, arguments.revoke, host=row.id)
        if arguments.scope:
            body = {"scope": arguments.scope, "days": arguments.days}
            made, secret = await accounts.make_host_token(change, row.id, body)
            return {"token": secret, **show_token(made)}
        return [show_token(each) for each in await accounts.list_tokens(change, host=row.id)]

    return run_change(arguments, work, show_tokens)


# -- What belongs to a host --------------------------------------------------------------------------------------------


def _add_children(commands: Commands) -> None:
    verbs = _child(commands, "carried", "categories of hosts", _list_carried)
    adding = _of_host(add_command(verbs, "add", "sign a host up for a category", _add_carried))
    adding.add_argument("category", metavar="CATEGORY", help="its name")
    add_fields(adding, nouns.Carried, {"category"})
    changing = _of_host(add_command(verbs, "set", "change what it leaves out, or whether it is trusted", _set_carried))
    changing.add_argument("category", metavar="CATEGORY", help="its name")
    add_fields(changing, nouns.Carried, {"category"})
    _of_host(add_command(verbs, "remove", "it carries the category no more", _remove_carried)).add_argument(
        "category", metavar="CATEGORY", help="its name"
    )
    verbs = _child(commands, "url", "base URLs of hosts", _list_urls)
    adding = _of_host(add_command(verbs, "add", "add a base URL for a category", _add_url))
    adding.add_argument("category", metavar="CATEGORY", help="its name")
    adding.add_argument("base_url", metavar="URL", help="where the category's top directory is")
    add_fields(adding, nouns.Url, {"category", "url"})
    adding.add_argument("--password-file", metavar="FILE", help="of an rsync URL for mirrors: its first line")
    changing = _of_host(add_command(verbs, "set", "change a base URL", _set_url))
    changing.add_argument("base_url", metavar="URL", help="as it is, or its number")
    changing.add_argument("--to", metavar="URL", dest="field_url", default=argparse.SUPPRESS, help="as it shall be")
    add_fields(changing, nouns.Url, {"category", "url"})
    changing.add_argument("--password-file", metavar="FILE", help="of an rsync URL for mirrors: its first line")
    _of_host(add_command(verbs, "remove", "remove a base URL", _remove_url)).add_argument(
        "base_url", metavar="URL", help="as it is, or its number"
    )
    for name, text, metavar, meaning, kind in (
        ("network", "networks of hosts", "NETWORK", "a CIDR, or the DNS name of a NAT gateway", _NETWORKS),
        ("asn", "AS numbers of hosts", "ASN", "a number, such as 64496", _ASNS),
        ("country", "countries whose clients may have a host", "CC", "two letters of ISO 3166", _COUNTRIES),
        ("acl", "addresses that hosts pull with", "ADDRESS", "an address, a network or a DNS name", _ACL),
    ):
        verbs = _child(commands, name, text, kind.listing)
        adding = _of_host(add_command(verbs, "add", "add one", kind.add))
        adding.add_argument("value", metavar=metavar, help=meaning)
        if name == "network":
            adding.add_argument("--label", metavar="TEXT", default="", help="a label")
        _of_host(add_command(verbs, "remove", "remove one", kind.remove)).add_argument(
            "value", metavar=metavar, help=meaning
        )


def _child(commands: Commands, name: str, text: str, listing: Action) -> Commands:
    parser = commands.add_parser(name, help=text, allow_abbrev=False)
    verbs = parser.add_subparsers(metavar="VERB", required=True, title="verbs")
    _of_host(add_command(verbs, "list", f"list {text}", listing))
    return verbs


def _of_host(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar="HOST", help="the host's name or number")
    return parser


def _list_carried(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_host(change, arguments.name)
        names = await carried.category_names(change)
        return [show_carried(each, names[each.category]) for each in await carried.list_carried(change, row.id)]

    return run_change(
        arguments, work, lambda rows: table(rows, ("id", "category", "always_current", "exclusions")), write=False
    )


def _add_carried(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_host(change, arguments.name)
        made = await carried.add_carried(change, row.id, body_of(arguments, nouns.Carried, category=arguments.category))
        return show_carried(made, arguments.category)

    return run_change(arguments, work, card)


async def _find_carried(change: Change, host: HostRow, category: str) -> int:
    names = await carried.category_names(change)
    for each in await carried.list_carried(change, host.id):
        if name_key(names[each.category]) == name_key(category):
            return each.id
    raise Missing(f"{host.name} does not carry {category!r:.100}")


def _set_carried(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_host(change, arguments.name)
        number = await _find_carried(change, row, arguments.category)
        changed = await carried.edit_carried(change, row.id, number, None, body_of(arguments, nouns.Carried))
        return show_carried(changed, arguments.category)

    return run_change(arguments, work, card)


def _remove_carried(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_host(change, arguments.name)
        await carried.delete_carried(change, row.id, await _find_carried(change, row, arguments.category))
        return {"removed": arguments.category}

    return run_change(arguments, work, card)


def _list_urls(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_host(change, arguments.name)
        return [each.view() for each in await carried.list_urls(change, row.id)]

    return run_change(
        arguments, work, lambda rows: table(rows, ("id", "category", "url", "audience", "user")), write=False
    )


def _password(arguments: argparse.Namespace) -> dict[str, str]:
    """The password that a file holds: none stands on a command line, where everybody reads it."""
    if not arguments.password_file:
        return {}
    with open(arguments.password_file, encoding="utf-8") as file:
        return {"password": file.readline(1024).rstrip("\n")}


def _with_password(arguments: argparse.Namespace, run: Callable[[dict[str, str]], int]) -> int:
    try:
        password = _password(arguments)
    except (OSError, UnicodeDecodeError) as error:
        say(f"{arguments.password_file}: {error}")
        return Exit.FAILED
    return run(password)


def _add_url(arguments: argparse.Namespace) -> int:
    def run(password: dict[str, str]) -> int:
        async def work(change: Change) -> object:
            row = await find_host(change, arguments.name)
            named = {"category": arguments.category, "url": arguments.base_url, **password}
            return _hidden((await carried.add_url(change, row.id, body_of(arguments, nouns.Url, **named))).view())

        return run_change(arguments, work, card)

    return _with_password(arguments, run)


def _hidden(view: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in view.items() if name != "password"}


async def _find_url(change: Change, host: HostRow, text: str) -> int:
    for each in await carried.list_urls(change, host.id):
        if text == str(each.row.id) or text.rstrip("/") == each.row.url.rstrip("/"):
            return each.row.id
    raise Missing(f"{host.name} has no URL {text!r:.100}")


def _set_url(arguments: argparse.Namespace) -> int:
    def run(password: dict[str, str]) -> int:
        async def work(change: Change) -> object:
            row = await find_host(change, arguments.name)
            number = await _find_url(change, row, arguments.base_url)
            patch = body_of(arguments, nouns.Url, **password)
            return _hidden((await carried.edit_url(change, row.id, number, None, patch)).view())

        return run_change(arguments, work, card)

    return _with_password(arguments, run)


def _remove_url(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        row = await find_host(change, arguments.name)
        await carried.delete_url(change, row.id, await _find_url(change, row, arguments.base_url))
        return {"removed": arguments.base_url}

    return run_change(arguments, work, card)


class _Kind:
    """List, add and remove of one kind of what belongs to a host."""

    def __init__(
        self,
        rows: Callable[[Change, int], Awaitable[Sequence[Any]]],
        make: Callable[[Change, int, argparse.Namespace], Awaitable[Any]],
        remove: Callable[[Change, int, int], Awaitable[None]],
        view: Callable[[Any], dict[str, Any]],
        field: str,
        columns: Sequence[str],
    ) -> None:
        self._rows, self._make, self._remove = rows, make, remove
        self._view, self._field, self._columns = view, field, ("id", *columns)

    def listing(self, arguments: argparse.Namespace) -> int:
        async def work(change: Change) -> object:
            row = await find_host(change, arguments.name)
            return [self._view(each) for each in await self._rows(change, row.id)]

        return run_change(arguments, work, lambda rows: table(rows, self._columns), write=False)

    def add(self, arguments: argparse.Namespace) -> int:
        async def work(change: Change) -> object:
            row = await find_host(change, arguments.name)
            return self._view(await self._make(change, row.id, arguments))

        return run_change(arguments, work, card)

    def remove(self, arguments: argparse.Namespace) -> int:
        async def work(change: Change) -> object:
            row = await find_host(change, arguments.name)
            for each in await self._rows(change, row.id):
                view = self._view(each)
                if name_key(str(view[self._field])) == name_key(arguments.value):
                    await self._remove(change, row.id, each.id)
                    return {"removed": view[self._field]}
            raise Missing(f"{row.name} has no {arguments.value!r:.100}")

        return run_change(arguments, work, card)


_NETWORKS = _Kind(
    networks.list_networks,
    lambda change, host, arguments: networks.add_network(
        change, host, {"network": arguments.value, "name": arguments.label}
    ),
    networks.delete_network,
    show_network,
    "network",
    ("network", "name", "state"),
)
_ASNS = _Kind(
    asns.list_asns,
    lambda change, host, arguments: asns.add_asn(change, host, {"asn": arguments.value.upper().removeprefix("AS")}),
    asns.delete_asn,
    show_asn,
    "asn",
    ("asn", "own", "state"),
)
_COUNTRIES = _Kind(
    networks.list_countries,
    lambda change, host, arguments: networks.add_country(change, host, {"country": arguments.value}),
    networks.delete_country,
    show_country,
    "country",
    ("country",),
)
_ACL = _Kind(
    networks.list_acl,
    lambda change, host, arguments: networks.add_acl(change, host, {"address": arguments.value}),
    networks.delete_acl,
    show_acl,
    "address",
    ("address",),
)
