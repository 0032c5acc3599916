"""Log in and out, sign up, one-time links, and the account's own page."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.registry import rules
from redirector.registry.edit import accounts
from redirector.registry.edit.change import Change
from redirector.registry.permits import OPERATOR, VISITOR, Actor
from redirector.registry.refusals import FieldProblem, Forbidden, Invalid, Missing, RegistryError
from redirector.store import login as kept
from redirector.store import outbox
from redirector.store.outbox import Parcel
from redirector.store.registry import queries
from redirector.store.registry.rows import AccountRow, AdminRow, LinkRow
from redirector.web.access import Site, TooOften, address_of
from redirector.web.frame import html
from redirector.web.limits import network_of
from redirector.web.login import letters
from redirector.web.login.attempts import Attempts
from redirector.web.login.invited import find_invited
from redirector.web.login.marks import safe_target
from redirector.web.login.passwords import matches, refuse_password
from redirector.web.login.visits import Visit, close_session, open_session, read_form, visit_of

LINK_PATH = "/login/link"
HOME = "/sites"

PASSWORD, VERIFY = "password", "mail"
"""What one-time links are for."""


@dataclass(frozen=True, slots=True)
class LoginPages:
    """The pages of this room.

    sign_up   `open`, `oidc` or `invited`
    provider  name of the provider that people can log in by; "": none
    """

    site: Site
    sign_up: str = "open"
    provider: str = ""
    attempts: Attempts = field(default_factory=Attempts)

    def add_to(self, application: web.Application) -> None:
        """The routes."""
        router = application.router
        router.add_get("/login", self.show_login)
        router.add_post("/login", self.log_in)
        router.add_post("/logout", self.log_out)
        router.add_get("/signup", self.show_sign_up)
        router.add_post("/signup", self.do_sign_up)
        router.add_get("/login/reset", self.show_reset)
        router.add_post("/login/reset", self.reset)
        router.add_get(LINK_PATH + "/{secret}", self.show_link)
        router.add_post(LINK_PATH + "/{secret}", self.use_link)
        router.add_get("/account", self.show_account)
        router.add_post("/account/password", self.change_password)
        router.add_post("/account/mail", self.change_mail)
        router.add_post("/account/sessions", self.end_sessions)
        router.add_post("/account/tokens/{number}", self.revoke_token)
        router.add_post("/account/delete", self.delete_account)

    # -- Logging in and out --------------------------------------------------------------------------------------------

    async def _page(
        self, request: web.Request, template: str, values: Mapping[str, Any] | None = None, status: int = 200
    ) -> web.Response:
        visit = await visit_of(request)
        may_sign_up = await self._may_sign_up(str((values or {}).get("target", "")))
        shared = {"csrf": visit.csrf, "may_sign_up": may_sign_up, "provider": self.provider}
        usual = {"problems": {}, "typed": {}, "text": "", "target": "", "secret": ""}
        response = html(visit.frame(), template, {**usual, **(values or {}), **shared}, status)
        response.headers["Cache-Control"] = "no-store"
        return response

    async def show_login(self, request: web.Request) -> web.Response:
        """The form."""
        visit = await visit_of(request)
        target = safe_target(request.query.get("next", ""), "")
        if visit.account is not None:
            raise web.HTTPSeeOther(target or HOME)
        return await self._page(request, "login.html", {"target": target})

    async def refuse(self, request: web.Request, text: str, target: str) -> web.Response:
        """The form again, for whom a provider did not let in; *target*: where he was going."""
        return await self._page(
            request, "login.html", {"text": f"{text[:1].upper()}{text[1:]}.", "target": target}, 403
        )

    async def log_in(self, request: web.Request) -> web.Response:
        """By login, or verified mail address, and password. Whatever is wrong, the answer is the same."""
        form = await read_form(request)
        name, password = form.get("login", "").strip()[:300], form.get("password", "")
        target = safe_target(form.get("next", ""), HOME)
        async with self.site.store.read() as connection:
            account = await _find_account(connection, name)
        device = self._device(request, account)
        wait_s = self.attempts.log_in(name, network_of(address_of(request)), device, self.site.now())
        if wait_s:
            values = {"text": f"Too many attempts: wait {wait_s:.0f} s, or get a link by mail.", "target": target}
            response = await self._page(request, "login.html", {**values, "typed": {"login": name}}, 429)
            response.headers["Retry-After"] = str(int(wait_s) + 1)
            return response
        right = await matches(password, account.password if account is not None else None)
        if not right or account is None or account.disabled:
            text = "Login or password is wrong."
            return await self._page(
                request, "login.html", {"text": text, "target": target, "typed": {"login": name}}, 403
            )
        async with self.site.store.write() as connection:
            await open_session(request, connection, account)
        raise web.HTTPSeeOther(target)

    def _device(self, request: web.Request, account: AccountRow | None) -> str:
        from redirector.web.login.visits import marks_of

        marks = marks_of(self.site)
        cookie = request.cookies.get(marks.cookie("device"), "")[:300]
        return cookie if account is not None and marks.knows_device(cookie, account.id) else ""

    async def log_out(self, request: web.Request) -> web.Response:
        """The session is gone, here and in the store."""
        await read_form(request)
        async with self.site.store.write() as connection:
            await close_session(request, connection)
        raise web.HTTPSeeOther("/mirrors")

    # -- Signing up ----------------------------------------------------------------------------------------------------

    async def _may_sign_up(self, target: str) -> bool:
        """Whether a visitor may, who is going to *target*."""
        if self.sign_up != "invited":
            return self.sign_up == "open"
        async with self.site.store.read() as connection:
            return await find_invited(self._change(connection), target) is not None

    async def show_sign_up(self, request: web.Request) -> web.Response:
        """The form, where people may sign up."""
        target = safe_target(request.query.get("next", ""), "")
        return await self._page(request, "signup.html", {"target": target})

    async def do_sign_up(self, request: web.Request) -> web.Response:
        """A mail goes to the address, whoever has an account; what it says is nobody else's business."""
        form = await read_form(request)
        target = safe_target(form.get("next", ""), "")
        if not await self._may_sign_up(target):
            raise Forbidden("nobody can sign up here by himself")
        typed = {"login": form.get("login", "").strip(), "mail": form.get("mail", "").strip()}
        problems = _problems({"login": rules.read_login, "mail": rules.read_mail}, typed)
        if not problems and not await self._is_theirs(target, typed["mail"]):
            problems["mail"] = "the invitation went to another address: sign up with that"
        if problems:
            values = {"problems": problems, "typed": typed, "target": target}
            return await self._page(request, "signup.html", values, 422)
        if self._may_mail(request, typed["mail"]):
            async with self.site.store.write() as connection:
                letter = await self._sign_up(connection, typed["login"], rules.read_mail(typed["mail"]), target)
                await self._send(connection, letter)
        return await self._told(request, f"A mail is on its way to {typed['mail']}. The link in it works for two days.")

    async def _is_theirs(self, target: str, mail: str) -> bool:
        """Where people are invited, whether the invitation at *target* went to *mail*; True elsewhere."""
        if self.sign_up != "invited":
            return True
        async with self.site.store.read() as connection:
            invitation = await find_invited(self._change(connection), target)
        return invitation is not None and rules.name_key(invitation.mail or "") == rules.name_key(mail)

    async def _sign_up(self, connection: AsyncConnection, name: str, mail: str, target: str) -> Parcel:
        change = self._change(connection)
        known = next(
            (row for row in await queries.list_rows(connection, AccountRow, mail=mail) if row.mail_verified), None
        )
        if known is not None:
            return letters.known_letter(mail, known.login, await self._link(change, known, PASSWORD, target))
        there = await queries.find(connection, AccountRow, login_key=rules.login_key(name))
        if there is not None:
            if not await _is_abandoned(connection, there, change.now):
                return letters.taken_letter(mail, name, change.now, f"{self.site.url}/signup")
            await accounts.delete_account(self._change(connection, OPERATOR), there.id)
        account = await accounts.save_account(self._change(connection, OPERATOR), {"login": name, "mail": mail})
        return letters.sign_up_letter(mail, account.login, await self._link(change, account, PASSWORD, target))

    def _change(self, connection: AsyncConnection, actor: Actor = VISITOR) -> Change:
        return Change(connection, actor, int(self.site.now()), self.site.house, lax=True)

    async def _link(self, change: Change, account: AccountRow, purpose: str, target: str = "") -> str:
        """A link that works once; it leads on to *target*."""
        path = f"{LINK_PATH}/{await accounts.make_link(change, account, purpose)}"
        return f"{self.site.url}{path}{f'?next={quote(target)}' if target else ''}"

    async def _send(self, connection: AsyncConnection, letter: Parcel) -> None:
        await outbox.put(connection, (letter,), int(self.site.now()))

    def _may_mail(self, request: web.Request, address: str) -> bool:
        """Whether a mail goes out. Raises TooOften for a network that asks for very many."""
        wait_s, allowed = self.attempts.send_mail(address, network_of(address_of(request)), self.site.now())
        if wait_s:
            raise TooOften(f"too many mails were asked for; ask again in {wait_s:.0f} s", wait_s)
        return allowed

    async def _told(self, request: web.Request, text: str) -> web.Response:
        return await self._page(request, "told.html", {"text": text})

    # -- Links by mail -------------------------------------------------------------------------------------------------

    async def show_reset(self, request: web.Request) -> web.Response:
        """The form for a new password."""
        return await self._page(request, "reset.html")

    async def reset(self, request: web.Request) -> web.Response:
        """A mail goes to the account's address, if there is such an account; the answer is the same."""
        form = await read_form(request)
        name = form.get("login", "").strip()[:300]
        if name and self._may_mail(request, name):
            async with self.site.store.write() as connection:
                account = await _find_account(connection, name)
                if account is not None and account.mail and not account.disabled and not account.issuer:
                    link = await self._link(self._change(connection), account, PASSWORD)
                    await self._send(connection, letters.reset_letter(account.mail, account.login, link))
        return await self._told(request, "If there is such an account, a mail is on its way to its address.")

    async def show_link(self, request: web.Request) -> web.Response:
        """What the link is for; looking at it uses nothing up (mail programs look at links)."""
        secret = request.match_info["secret"]
        async with self.site.store.read() as connection:
            try:
                link, account = await accounts.find_link(self._change(connection), secret)
            except Missing:
                return await self._page(
                    request, "told.html", {"text": "This link works no more. Ask for another."}, 404
                )
        values = {"secret": secret, "typed": {"login": account.login, "mail": link.mail}, "purpose": link.purpose}
        values["target"] = safe_target(request.query.get("next", ""), "")
        return await self._page(request, "link.html", values)

    async def use_link(self, request: web.Request) -> web.Response:
        """A password is set, or a mail address verified; once."""
        form = await read_form(request)
        secret = request.match_info["secret"]
        async with self.site.store.read() as connection:
            link, account = await accounts.find_link(self._change(connection), secret)
        if link.purpose == VERIFY:
            async with self.site.store.write() as connection:
                await _verify_mail(self._change(connection), secret)
            return await self._told(request, f"{link.mail} is verified.")
        password, target = form.get("password", ""), safe_target(form.get("next", ""), "")
        try:
            refuse_password(password, account.login, (account.mail or "").partition("@")[0])
        except Invalid as error:
            values = {"secret": secret, "typed": {"login": account.login}, "purpose": link.purpose, "target": target}
            return await self._page(request, "link.html", {**values, "problems": by_field(error.problems)}, 422)
        async with self.site.store.write() as connection:
            change = self._change(connection)
            account = await accounts.use_link(change, secret, password)
            await kept.end_sessions(connection, account.id)
            await open_session(request, connection, account)
        raise web.HTTPSeeOther(target or HOME)

    # -- The account's own page ----------------------------------------------------------------------------------------

    async def _own(self, request: web.Request) -> tuple[Visit, AccountRow]:
        visit = await visit_of(request)
        if visit.account is None:
            raise web.HTTPSeeOther(f"/login?next={request.path if request.method == 'GET' else '/account'}")
        return visit, visit.account

    async def show_account(
        self,
        request: web.Request,
        problems: Mapping[str, str] | None = None,
        text: str = "",
        status: int = 200,
        typed: Mapping[str, str] | None = None,
    ) -> web.Response:
        """Password, mail address, sessions; what is wrong with a form that was sent, and what was typed there."""
        visit, account = await self._own(request)
        async with self.site.store.read() as connection:
            sessions = await kept.list_sessions(connection, account.id)
            sites = await queries.count(connection, AdminRow, account=account.id)
            tokens = await accounts.own_tokens(self._change(connection, visit.actor))
        values = {
            "own": account,
            "sessions": sessions,
            "tokens": tokens,
            "here_session": visit.session.id if visit.session else 0,
            "sites": sites,
            "problems": problems or {},
            "typed": typed or {},
            "text": text,
        }
        return await self._page(request, "account.html", values, status)

    async def change_password(self, request: web.Request) -> web.Response:
        """The old one is asked for; every other session ends."""
        visit, account = await self._own(request)
        form = await read_form(request)
        wait_s = self.attempts.log_in(account.login, network_of(address_of(request)), "", self.site.now())
        if wait_s:
            raise TooOften(f"too many attempts; ask again in {wait_s:.0f} s", wait_s)
        if account.password is not None and not await matches(form.get("old", ""), account.password):
            return await self.show_account(request, {"old": "is not your password"}, status=422)
        try:
            refuse_password(form.get("password", ""), account.login, (account.mail or "").partition("@")[0])
        except Invalid as error:
            return await self.show_account(request, by_field(error.problems), status=422)
        from redirector.registry.secrets import hash_password

        hashed = await asyncio.to_thread(hash_password, form["password"])
        async with self.site.store.write() as connection:
            change = self._change(connection, visit.actor)
            await queries.set_columns(
                connection, AccountRow, {"id": account.id}, password=hashed, version=account.version + 1
            )
            await change.log("account.password", account.login, account.id)
            await kept.end_sessions(connection, account.id)
            await open_session(request, connection, account)
            if account.mail:
                await self._send(
                    connection, letters.changed_letter(account.mail, account.login, "The password", change.now)
                )
        return await self.show_account(request, text="The password is changed; every other session has ended.")

    async def change_mail(self, request: web.Request) -> web.Response:
        """The new address must be verified; the old one is told."""
        visit, account = await self._own(request)
        form = await read_form(request)
        typed = {"mail": form.get("mail", "").strip()}
        problems = _problems({"mail": rules.read_mail}, typed)
        if account.password is not None and not await matches(form.get("old", ""), account.password):
            problems["mail-old"] = "is not your password"
        if problems:
            return await self.show_account(request, problems, status=422, typed=typed)
        mail = rules.read_mail(typed["mail"])
        if self._may_mail(request, mail):
            async with self.site.store.write() as connection:
                change = self._change(connection, visit.actor)
                others = await queries.list_rows(connection, AccountRow, mail=mail)
                if not any(row.mail_verified and row.id != account.id for row in others):
                    await accounts.change_mail(change, account, mail)
                    fresh = await queries.find(connection, AccountRow, id=account.id)
                    assert fresh is not None
                    link = await self._link(change, fresh, VERIFY)
                    await self._send(connection, letters.verify_letter(mail, account.login, link))
                    if account.mail and account.mail != mail and account.mail_verified:
                        letter = letters.changed_letter(account.mail, account.login, "The mail address", change.now)
                        await self._send(connection, letter)
        return await self._told(request, f"A mail is on its way to {mail}; its link verifies the address.")

    async def end_sessions(self, request: web.Request) -> web.Response:
        """One session, or all others."""
        visit, account = await self._own(request)
        form = await read_form(request)
        number = form.get("session", "")
        own = visit.session.id if visit.session else 0
        async with self.site.store.write() as connection:
            if number.isdecimal() and len(number) < 19:
                await kept.end_sessions(connection, account.id, int(number))
            else:
                await kept.end_sessions(connection, account.id, besides=own)
        raise web.HTTPSeeOther("/account")

    async def revoke_token(self, request: web.Request) -> web.Response:
        """A token that acts as this account works no more; they are made by command."""
        visit, _ = await self._own(request)
        await read_form(request)
        number = request.match_info["number"]
        async with self.site.store.write() as connection:
            known = number.isascii() and number.isdecimal() and len(number) < 19
            await accounts.revoke_own_token(self._change(connection, visit.actor), int(number) if known else 0)
        raise web.HTTPSeeOther("/account")

    async def delete_account(self, request: web.Request) -> web.Response:
        """It is gone, and its name in events."""
        visit, account = await self._own(request)
        form = await read_form(request)
        if form.get("sure") != account.login:
            typed = {"sure": form.get("sure", "")}
            return await self.show_account(request, {"sure": "type your login, to be sure"}, status=422, typed=typed)
        try:
            async with self.site.store.write() as connection:
                await accounts.delete_account(self._change(connection, visit.actor), account.id)
        except RegistryError as error:
            return await self.show_account(request, {"sure": str(error)}, status=error.status)
        async with self.site.store.write() as connection:
            await close_session(request, connection)
        return await self._told(request, "The account is deleted.")


def by_field(problems: Any) -> dict[str, str]:
    """Field -> what is wrong with it."""
    found: dict[str, str] = {}
    for each in problems:
        found.setdefault(each.field, each.text)
    return found


def _problems(checks: Mapping[str, Any], typed: Mapping[str, str]) -> dict[str, str]:
    found: list[FieldProblem] = []
    for name, check in checks.items():
        try:
            check(typed[name])
        except ValueError as error:
            found.append(FieldProblem(name, str(error)))
    return by_field(found)


async def _find_account(connection: AsyncConnection, name: str) -> AccountRow | None:
    """By login, or verified mail address."""
    found = await queries.find(connection, AccountRow, login_key=rules.login_key(name))
    if found is None and "@" in name:
        rows = await queries.list_rows(connection, AccountRow, mail=name)
        found = next((row for row in rows if row.mail_verified), None)
    return found


async def _is_abandoned(connection: AsyncConnection, account: AccountRow, now: int) -> bool:
    """Nobody ever came back for it, and no link for it works any more."""
    used = account.password or account.issuer or account.mail_verified or account.seen or account.distribution_admin
    if used or await queries.count(connection, AdminRow, account=account.id):
        return False
    links = await queries.list_rows(connection, LinkRow, account=account.id)
    return all(link.expires <= now for link in links)


async def _verify_mail(change: Change, secret: str) -> None:
    link, account = await accounts.find_link(change, secret)
    if link.mail is None or link.mail != account.mail:
        raise Missing
    await queries.set_columns(change.connection, LinkRow, {"id": link.id}, used=change.now)
    await queries.set_columns(change.connection, AccountRow, {"id": account.id}, mail_verified=change.now)
