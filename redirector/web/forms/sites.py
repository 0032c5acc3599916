"""Sites: made, edited, asked approval for, left; their admins and tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from redirector.registry import nouns
from redirector.registry.edit import accounts, carried, notes, sites
from redirector.registry.edit.change import Change, find_site
from redirector.registry.permits import Act
from redirector.registry.public import state_of
from redirector.registry.refusals import RegistryError
from redirector.store.registry import queries
from redirector.store.registry.rows import ContactRow, HostRow, InvitationRow, SiteRow
from redirector.web.forms.fields import Failure, body_of, failure_of, form_fields
from redirector.web.forms.review import read_review
from redirector.web.forms.room import NEW_TOKEN, Told, number_of, version_of
from redirector.web.forms.saving import SavingRoom, subject_of_site
from redirector.web.login.visits import read_form

TOLD = 6
"""Changes of lists that stand in one line after a save; all are on the page of its effect."""

UNDECIDED = ("draft", "waiting", "refused")


@dataclass(frozen=True, slots=True)
class SiteForms(SavingRoom):
    """Pages below `/sites`, and invitations."""

    def add_to(self, application: web.Application) -> None:
        """The routes."""
        router = application.router
        router.add_get("/sites", self.list)
        router.add_get("/sites/new", self.new)
        router.add_post("/sites/new", self.create)
        router.add_get("/sites/{site}", self.show)
        router.add_post("/sites/{site}", self.edit)
        router.add_post("/sites/{site}/approval", self.decide)
        router.add_post("/sites/{site}/admins", self.invite)
        router.add_post("/sites/{site}/admins/{number}", self.remove_admin)
        router.add_post("/sites/{site}/invitations/{number}", self.withdraw)
        router.add_post("/sites/{site}/tokens", self.make_token)
        router.add_post("/sites/{site}/tokens/{number}", self.revoke_token)
        router.add_post("/sites/{site}/notes", self.add_note)
        router.add_post("/sites/{site}/leave", self.leave)
        router.add_get(sites.INVITATION_PATH + "/{secret}", self.show_invitation)
        router.add_post(sites.INVITATION_PATH + "/{secret}", self.accept)

    async def list(self, request: web.Request) -> web.Response:
        """Those of this person, or all for distribution admins."""
        visit = await self.person(request)
        async with self.reading(visit) as change:
            rows = await sites.visible_sites(change)
            found = {row.id: row for row in rows}
            hosts: dict[int, list[HostRow]] = {}
            for host in await queries.list_rows(change.connection, HostRow, site=set(found)):
                hosts.setdefault(host.site, []).append(host)
            invitations = await queries.list_rows(change.connection, InvitationRow, account=visit.actor.account)
            names = {
                row.id: row.name
                for row in await queries.list_rows(change.connection, SiteRow, id={each.site for each in invitations})
            }
        waiting = [(each.id, names[each.site]) for each in invitations if each.expires > change.now]
        return self.page(visit, "sites.html", {"sites": rows, "hosts": hosts, "invitations": waiting}, here="/sites")

    async def new(self, request: web.Request, failed: Failure | None = None) -> web.Response:
        """An empty form."""
        visit = await self.person(request)
        usual = {"contacts": [visit.account.mail] if visit.account and visit.account.mail else []}
        names = [name for name in nouns.Site.model_fields if name not in ("enabled", "pulled_by", "comment")]
        values = {
            "title": "A new site",
            "intro": "Who runs the mirrors. After this you enter the first host.",
            "join": self.site.join,
            "action": "/sites/new",
            "fields": form_fields("site", "site", nouns.Site, usual, failed, only=names),
            "failed": failed,
            "version": None,
            "button": "Go on",
            "back": ("/sites", "Your sites"),
        }
        return self.page(visit, "form.html", values, failed.status if failed else 200)

    async def create(self, request: web.Request) -> web.Response:
        """A draft, whose admin the person is."""
        visit = await self.person(request)
        typed = await read_form(request)
        names = [name for name in nouns.Site.model_fields if name not in ("enabled", "pulled_by", "comment")]
        try:
            async with self.writing(visit) as change:
                row = await sites.create_site(change, body_of(nouns.Site, typed, only=names))
        except RegistryError as error:
            return await self.new(request, failure_of(error, typed))
        raise web.HTTPSeeOther(f"/sites/{row.id}/hosts/new")

    async def show(
        self, request: web.Request, failed: tuple[str, Failure] | None = None, told: Told | None = None
    ) -> web.StreamResponse:
        """All about a site; after a save at last what it does."""
        visit = await self.person(request)
        number = number_of(request, "site")
        async with self.reading(visit) as change:
            row = await find_site(change, Act.READ, number)
            hosts = await queries.list_rows(change.connection, HostRow, site=row.id)
            prepared = await self.site.hinting.prepare(change, hosts) if change.actor.admin else []
        seen = await self.site.hinting.look(prepared)
        async with self.reading(visit) as change:
            row = await find_site(change, Act.READ, number)
            values = await self._values(change, row, failed)
            hints = await self.site.hinting.hints(change, hosts, seen) if change.actor.admin else []
            decides = change.actor.admin and row.state in UNDECIDED
            values["review"] = await read_review(change, row, hints) if decides else None
        status = failed[1].status if failed else 200
        subject, after, saved = subject_of_site(row, hosts), values.pop("publication"), ""
        if "saved" in request.query:
            saved = f"{join_some(self.lists(subject, after)) or 'No list changes by it'}."
        values |= {"told": told, "saved": saved, "mark": ""}
        before = self.moves(subject, after) if saved else None
        if before is not None:
            return await self.stream(request, visit, "site.html", values, "/sites", self.moved(subject, before, after))
        return self.page(visit, "site.html", values, status, here="/sites")

    async def _values(self, change: Change, row: SiteRow, failed: tuple[str, Failure] | None) -> dict[str, Any]:
        body = await sites.body_of(change, row)
        shown = await self.site.shelf.read(change.connection, change.now)
        holdings = shown.holdings
        assert holdings is not None
        hosts = [each for each in holdings.hosts.values() if each.site == row.id]
        admins, invitations = await sites.list_admins(change, row.id)
        contacts = await queries.list_rows(change.connection, ContactRow, site=row.id)
        own = failed[1] if failed and failed[0] == "site" else None
        chief = change.actor.admin
        return {
            "site": row,
            "publication": shown.publication,
            "unproved": [each.mail for each in contacts if each.verified is None],
            "version": own.version if own and own.version else row.version,
            "fields": form_fields("site", "site", nouns.Site, body, own),
            "failed": failed[1] if failed else None,
            "failed_form": failed[0] if failed else "",
            "hosts": [(host, *state_of(holdings, host, shown.find(host.name), change.now)) for host in hosts],
            "admins": admins,
            "invitations": invitations,
            "admin_fields": form_fields("admin", "admin", nouns.Admin, {}, _of(failed, "admin")),
            "tokens": await accounts.list_tokens(change, site=row.id),
            "token_fields": form_fields("token", "token", nouns.Token, {"scope": "check-in"}, _of(failed, "token")),
            "notes": await notes.list_notes(change, site=row.id) if chief else [],
            "duplicates": await carried.duplicates_of(change, row.id) if chief else [],
        }

    async def _do(self, request: web.Request, form: str, work: Any, back: str = "") -> web.StreamResponse:
        """Send a form of a site's page: show it again with what is wrong, or the page as it is then."""
        visit = await self.person(request)
        number = number_of(request, "site")
        typed = await read_form(request)
        before = await self.published()
        try:
            async with self.writing(visit) as change:
                told = await work(change, number, typed)
            self.remember(f"/sites/{number}", before)
        except RegistryError as error:
            if error.status == 404:
                raise
            return await self.show(request, (form, failure_of(error, typed)))
        if told is not None:
            return await self.show(request, told=told)
        raise web.HTTPSeeOther(back or f"/sites/{number}?saved=1")

    async def edit(self, request: web.Request) -> web.StreamResponse:
        """Change fields."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            await sites.edit_site(change, number, version_of(typed), body_of(nouns.Site, typed))

        return await self._do(request, "site", work)

    async def decide(self, request: web.Request) -> web.StreamResponse:
        """Ask for approval, or decide; the contacts are told."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            body = {"action": typed.get("action", ""), "text": typed.get("text", "")}
            await sites.decide_site(change, number, version_of(typed), body)

        return await self._do(request, "approval", work)

    async def invite(self, request: web.Request) -> web.StreamResponse:
        """Ask somebody to be an admin: by mail, or by a link to hand on where nobody takes our mail."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> Told | None:
            invitation, secret = await sites.invite_admin(change, number, body_of(nouns.Admin, typed))
            row = await find_site(change, Act.READ, number)
            if await sites.mail_invitation(change, row, await sites.address_of(change, invitation), secret):
                return None
            text = "No mail goes out: hand this link on, which is shown this once, and works for two weeks"
            return Told(text, f"{self.site.url}{sites.INVITATION_PATH}/{secret}")

        return await self._do(request, "admin", work)

    async def remove_admin(self, request: web.Request) -> web.StreamResponse:
        """One admin less; the last cannot go."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            await sites.remove_admin(change, number, number_of(request, "number"))

        return await self._do(request, "admin", work, "/sites")

    async def withdraw(self, request: web.Request) -> web.StreamResponse:
        """An invitation is none any more."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            await sites.withdraw_invitation(change, number, number_of(request, "number"))

        return await self._do(request, "admin", work)

    async def make_token(self, request: web.Request) -> web.StreamResponse:
        """A token, shown once."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> Told:
            _, secret = await accounts.make_site_token(change, number, body_of(nouns.Token, typed))
            return Told(NEW_TOKEN, secret)

        return await self._do(request, "token", work)

    async def revoke_token(self, request: web.Request) -> web.StreamResponse:
        """A token works no more."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            await accounts.revoke_token(change, number_of(request, "number"), site=number)

        return await self._do(request, "token", work)

    async def add_note(self, request: web.Request) -> web.StreamResponse:
        """A note of the distribution."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            noun = nouns.read_new(nouns.Note, {"text": typed.get("text", "")}, True)
            await notes.add_note(change, noun.text, site=number)

        return await self._do(request, "note", work)

    async def leave(self, request: web.Request) -> web.StreamResponse:
        """Off at once, deleted after 30 days."""

        async def work(change: Change, number: int, typed: Mapping[str, str]) -> None:
            await sites.leave_site(change, number, version_of(typed))

        return await self._do(request, "leave", work)

    # -- Invitations ---------------------------------------------------------------------------------------------------

    async def show_invitation(self, request: web.Request) -> web.Response:
        """The question, once somebody is logged in."""
        visit = await self.person(request)
        return self.page(visit, "invitation.html", {"secret": request.match_info["secret"]})

    async def accept(self, request: web.Request) -> web.Response:
        """The person is an admin then."""
        visit = await self.person(request)
        await read_form(request)
        secret = request.match_info["secret"]
        async with self.writing(visit) as change:
            if secret.isdecimal() and len(secret) < 19:
                row = await sites.accept_invitation_by_number(change, int(secret))
            else:
                row = await sites.accept_invitation(change, secret)
        raise web.HTTPSeeOther(f"/sites/{row.id}")


def join_some(texts: Sequence[str]) -> str:
    """The first of *texts*, and how many more there are: a site may have dozens of hosts."""
    more = len(texts) - TOLD
    return "; ".join((*texts[:TOLD], *((f"and {more:,} more",) if more > 0 else ())))


def _of(failed: tuple[str, Failure] | None, form: str) -> Failure | None:
    return failed[1] if failed and failed[0] == form else None
