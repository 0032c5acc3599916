"""Hosts, and what belongs to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from redirector.registry import nouns
from redirector.registry.edit import accounts, asns, carried, catalogue, hosts, networks
from redirector.registry.edit.change import Change, find_host, find_site
from redirector.registry.permits import Act
from redirector.registry.public import state_of
from redirector.registry.refusals import Missing, RegistryError
from redirector.registry.views import show_time
from redirector.store.checks import find_checks
from redirector.store.registry.rows import HostRow, SiteRow
from redirector.web.effects import tell_state
from redirector.web.forms.fields import Failure, body_of, failure_of, form_fields, names_of
from redirector.web.forms.kinds import KINDS, Kind, show_cell
from redirector.web.forms.room import NEW_TOKEN, Told, number_of, version_of
from redirector.web.forms.saving import SavingRoom, subject_of_host
from redirector.web.login.visits import read_form

Work = Callable[[Change, int, Mapping[str, str]], Awaitable[Told | None]]

BASICS = ("name", "country", "state", "city", "bandwidth_mbit", "update_frequency", "private")
"""What a new host is asked for; the rest has sensible values."""

LOOKING = frozenset({"host", "urls", "asns"})
"""Forms for which it is looked up which AS the host's addresses are in."""

HOST_FIELDS = tuple(name for name in names_of(nouns.Host) if name != "maintenance")


@dataclass(frozen=True, slots=True)
class HostForms(SavingRoom):
    """Pages below `/hosts`, and new hosts of a site."""

    def add_to(self, application: web.Application) -> None:
        """The routes."""
        router = application.router
        router.add_get("/sites/{site}/hosts/new", self.new)
        router.add_post("/sites/{site}/hosts/new", self.create)
        router.add_get("/hosts/{host}", self.show)
        router.add_post("/hosts/{host}", self.edit)
        router.add_post("/hosts/{host}/maintenance", self.maintain)
        router.add_post("/hosts/{host}/leave", self.leave)
        router.add_post("/hosts/{host}/tokens", self.make_token)
        router.add_post("/hosts/{host}/tokens/{number}", self.revoke_token)
        router.add_post("/hosts/{host}/{plural}", self.add)
        router.add_get("/hosts/{host}/{plural}/{number}", self.show_child)
        router.add_post("/hosts/{host}/{plural}/{number}", self.edit_child)
        router.add_post("/hosts/{host}/{plural}/{number}/delete", self.delete_child)
        router.add_post("/hosts/{host}/{plural}/{number}/approval", self.decide_child)

    # -- New ones ------------------------------------------------------------------------------------------------------

    async def new(self, request: web.Request, failed: Failure | None = None) -> web.Response:
        """An empty form with what is needed."""
        visit = await self.person(request)
        number = number_of(request, "site")
        async with self.reading(visit) as change:
            site = await find_site(change, Act.EDIT, number)
        least = self.site.join.minimum_mbit
        asked = f" At least {least:,} Mbit/s are asked for, less where mirrors are few." if least else ""
        values = {
            "title": "A new host",
            "intro": f"One machine of {site.name}. After this you enter what it carries, and its URLs.{asked}",
            "join": self.site.join,
            "action": f"/sites/{number}/hosts/new",
            "fields": form_fields("host", "host", nouns.Host, {}, failed, only=BASICS),
            "failed": failed,
            "version": None,
            "button": "Go on",
            "back": (f"/sites/{number}", site.name),
        }
        return self.page(visit, "form.html", values, failed.status if failed else 200)

    async def create(self, request: web.Request) -> web.Response:
        """A host."""
        visit = await self.person(request)
        number = number_of(request, "site")
        typed = await read_form(request)
        try:
            async with self.writing(visit, await self.own_asns(visit, None, typed)) as change:
                row = await hosts.create_host(change, number, body_of(nouns.Host, typed, only=BASICS))
        except RegistryError as error:
            if error.status == 404:
                raise
            return await self.new(request, failure_of(error, typed))
        raise web.HTTPSeeOther(f"/hosts/{row.id}")

    # -- One host ------------------------------------------------------------------------------------------------------

    async def show(
        self, request: web.Request, failed: tuple[str, Failure] | None = None, told: Told | None = None
    ) -> web.StreamResponse:
        """All about a host: how it is listed, what to do, and every form; after a save at last what it does."""
        visit = await self.person(request)
        number = number_of(request, "host")
        async with self.reading(visit) as change:
            row, site = await find_host(change, Act.READ, number)
            prepared = await self.site.hinting.prepare(change, [row])
        seen = await self.site.hinting.look(prepared)
        async with self.reading(visit) as change:
            row, site = await find_host(change, Act.READ, number)
            values = await self._values(change, row, site, failed)
            (values["hints"],) = await self.site.hinting.hints(change, [row], seen)
        shown = values.pop("shown")
        subject, saved = subject_of_host(values["host"]), ""
        if "saved" in request.query:
            told_lists = "; ".join(self.lists(subject, shown.publication)) or "No list changes by it"
            saved = f"{told_lists}. {tell_state(shown.find(row.name))}"
        values |= {"told": told, "saved": saved, "mark": ""}
        before = self.moves(subject, shown.publication) if saved else None
        if before is not None and shown.publication is not None:
            moved = self.moved(subject, before, shown.publication)
            return await self.stream(request, visit, "host.html", values, "/sites", moved)
        return self.page(visit, "host.html", values, failed[1].status if failed else 200, here="/sites")

    async def _values(
        self, change: Change, row: HostRow, site: SiteRow, failed: tuple[str, Failure] | None
    ) -> dict[str, Any]:
        shown = await self.site.shelf.read(change.connection, change.now)
        holdings = shown.holdings
        assert holdings is not None
        public = shown.find(row.name)
        state, since = state_of(holdings, row, public, change.now)
        look = holdings.looks.get(row.id)
        own = _of(failed, "host")
        window = row.maintenance
        usual = {"from": show_time(window[0] if window else change.now), "to": show_time(window[1]) if window else ""}
        return {
            "host": row,
            "shown": shown,
            "checked": (await find_checks(change.connection, [row.id])).get(row.id),
            "site": site,
            "public": public is not None,
            "state": state,
            "since": since,
            "look": look,
            "steps": self._steps(holdings, row, site),
            "version": own.version if own and own.version else row.version,
            "fields": form_fields("host", "host", nouns.Host, await hosts.body_of(change, row), own, only=HOST_FIELDS),
            "maintenance": form_fields("window", "maintenance", nouns.Maintenance, usual, _of(failed, "maintenance")),
            "kinds": [await self._kind(change, kind, row.id, failed) for kind in KINDS.values()],
            "tokens": await accounts.list_tokens(change, host=row.id),
            "token_fields": form_fields("token", "token", nouns.Token, {"scope": "check-in"}, _of(failed, "token")),
            "downstream": [each.name for each in await hosts.downstream(change, row.id)],
            "failed": failed[1] if failed else None,
            "failed_form": failed[0] if failed else "",
        }

    def _steps(self, holdings: Any, row: HostRow, site: SiteRow) -> list[tuple[str, bool, bool]]:
        """What a host needs to be listed, whether it is done, and whether it is the next thing to be done."""
        parts = holdings.carried.get(row.id, ())
        urls = [url for part in parts for url in holdings.urls.get(part.id, ())]
        steps = [
            ("Enter what it carries", bool(parts)),
            (
                "Enter a public http or https URL",
                any(u.audience == "public" and u.url.startswith("http") for u in urls),
            ),
            ("Ask for the site's approval", site.state in ("waiting", "approved")),
            ("Be approved", site.state == "approved"),
            ("Have a good visit", row.id in holdings.looks and holdings.looks[row.id].state == "ok"),
        ]
        first = next((number for number, (_, done) in enumerate(steps) if not done), None)
        return [(text, done, number == first) for number, (text, done) in enumerate(steps)]

    async def _kind(self, change: Change, kind: Kind, host: int, failed: tuple[str, Failure] | None) -> dict[str, Any]:
        rows = await kind.listing(change, host)
        return {
            "kind": kind,
            "rows": [(row, [show_cell(row.get(name)) for name in kind.columns]) for row in rows],
            "fields": form_fields(
                kind.plural,
                kind.prefix,
                kind.noun,
                {},
                _of(failed, kind.plural),
                choices=await _choices(change, kind, host),
            ),
            "failed": _of(failed, kind.plural),
        }

    async def _do(self, request: web.Request, form: str, work: Work) -> web.StreamResponse:
        """Send a form of a host's page: show it again with what is wrong, or the page as it is then."""
        visit = await self.person(request)
        number = number_of(request, "host")
        typed = await read_form(request)
        own = await self.own_asns(visit, number, typed) if form in LOOKING else None
        before = await self.published()
        try:
            async with self.writing(visit, own) as change:
                told = await work(change, number, typed)
            self.remember(f"/hosts/{number}", before)
        except RegistryError as error:
            if error.status == 404:
                raise
            return await self.show(request, (form, failure_of(error, typed)))
        if told is not None:
            return await self.show(request, told=told)
        raise web.HTTPSeeOther(f"/hosts/{number}?saved=1#state")

    async def edit(self, request: web.Request) -> web.StreamResponse:
        """Change fields."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            body = body_of(nouns.Host, typed, only=HOST_FIELDS)
            await hosts.edit_host(change, number, version_of(typed), body)

        return await self._do(request, "host", work)

    async def maintain(self, request: web.Request) -> web.StreamResponse:
        """Begin a maintenance, or end it."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            window = None if "end" in typed else {"from": typed.get("from", ""), "to": typed.get("to", "")}
            await hosts.edit_host(change, number, version_of(typed), {"maintenance": window})

        return await self._do(request, "maintenance", work)

    async def leave(self, request: web.Request) -> web.StreamResponse:
        """Off at once, deleted after 30 days."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            await hosts.leave_host(change, number, version_of(typed))

        return await self._do(request, "leave", work)

    async def make_token(self, request: web.Request) -> web.StreamResponse:
        """A token, shown once."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> Told:
            _, secret = await accounts.make_host_token(change, number, body_of(nouns.Token, typed))
            return Told(NEW_TOKEN, secret)

        return await self._do(request, "token", work)

    async def revoke_token(self, request: web.Request) -> web.StreamResponse:
        """A token works no more."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            await accounts.revoke_token(change, number_of(request, "number"), host=number)

        return await self._do(request, "token", work)

    # -- What belongs to it --------------------------------------------------------------------------------------------

    async def add(self, request: web.Request) -> web.StreamResponse:
        """One more."""
        kind = _kind_of(request)

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            await kind.add(change, number, body_of(kind.noun, typed))

        return await self._do(request, kind.plural, work)

    async def show_child(self, request: web.Request, failed: Failure | None = None) -> web.Response:
        """One, to be changed."""
        visit, kind = await self.person(request), _kind_of(request)
        host, number = number_of(request, "host"), number_of(request, "number")
        async with self.reading(visit) as change:
            row, _ = await find_host(change, Act.READ, host)
            found = next((each for each in await kind.listing(change, host) if each["id"] == number), None)
            if found is None or kind.edit is None:
                raise Missing
        names = [name for name in names_of(kind.noun) if name not in kind.fixed]
        values = {
            "title": show_cell(found[next(iter(kind.columns))]),
            "intro": f"{kind.title} of {row.name}.",
            "action": f"/hosts/{host}/{kind.plural}/{number}",
            "fields": form_fields(kind.plural, kind.prefix, kind.noun, found, failed, only=names),
            "failed": failed,
            "version": failed.version if failed and failed.version else found["version"],
            "button": "Save",
            "back": (f"/hosts/{host}", row.name),
        }
        return self.page(visit, "form.html", values, failed.status if failed else 200)

    async def edit_child(self, request: web.Request) -> web.Response:
        """Change one."""
        visit, kind = await self.person(request), _kind_of(request)
        host, number = number_of(request, "host"), number_of(request, "number")
        if kind.edit is None:
            raise Missing
        typed = await read_form(request)
        body = body_of(kind.noun, typed, only=[name for name in names_of(kind.noun) if name not in kind.fixed])
        if not body.get("password", ""):
            body.pop("password", None)
        own = await self.own_asns(visit, host, typed) if kind.plural in LOOKING else None
        before = await self.published()
        try:
            async with self.writing(visit, own) as change:
                await kind.edit(change, host, number, version_of(typed), body)
            self.remember(f"/hosts/{host}", before)
        except RegistryError as error:
            if error.status == 404:
                raise
            return await self.show_child(request, failure_of(error, typed))
        raise web.HTTPSeeOther(f"/hosts/{host}?saved=1#state")

    async def delete_child(self, request: web.Request) -> web.StreamResponse:
        """One less."""
        kind = _kind_of(request)

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            await kind.delete(change, number, number_of(request, "number"), version_of(typed))

        return await self._do(request, kind.plural, work)

    async def decide_child(self, request: web.Request) -> web.StreamResponse:
        """Approve or refuse a network or AS number that waits."""
        decisions: Mapping[str, Any] = {"networks": networks.decide_network, "asns": asns.decide_asn}
        decide = decisions.get(request.match_info["plural"])
        if decide is None:
            raise Missing

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            body = {"action": typed.get("action", ""), "text": typed.get("text", "")}
            await decide(change, number, number_of(request, "number"), version_of(typed), body)

        return await self._do(request, request.match_info["plural"], work)


def _of(failed: tuple[str, Failure] | None, form: str) -> Failure | None:
    return failed[1] if failed and failed[0] == form else None


def _kind_of(request: web.Request) -> Kind:
    kind = KINDS.get(request.match_info["plural"])
    if kind is None:
        raise Missing
    return kind


async def _choices(change: Change, kind: Kind, host: int) -> dict[str, list[str]]:
    """Categories that can still be signed up for; those of the host, for its URLs."""
    if kind.plural not in ("categories", "urls"):
        return {}
    names = await carried.category_names(change)
    own = {names[row.category] for row in await carried.list_carried(change, host)}
    if kind.plural == "urls":
        return {"category": sorted(own)}
    rows = await catalogue.list_categories(change)
    return {"category": [row.name for row in rows if row.name not in own and (row.joinable or change.actor.admin)]}
