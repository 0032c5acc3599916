"""A browser without script: it keeps cookies, follows forms, and reads pages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientResponse
from sqlalchemy import select

from redirector.store.tables.outbox import outbox
from tests.web.conftest import Api
from tests.web.html import check_html


@dataclass(slots=True)
class Browser:
    """One person's browser; *address*: where it is, for limits."""

    api: Api
    cookies: dict[str, str] = field(default_factory=dict)
    text: str = ""
    path: str = ""
    status: int = 0
    sends_origin: bool = True
    answer: ClientResponse | None = None

    async def get(self, path: str) -> str:
        """Open a page."""
        return await self._go("GET", path, None)

    async def post(self, path: str, csrf: str | None = None, **values: str | list[str]) -> str:
        """Send a form to *path*, with the token of the page that is open unless another is given."""
        token = self.csrf if csrf is None else csrf
        return await self._go("POST", path, {"csrf": token, **values})

    async def send(self, form: str, /, **values: str | list[str]) -> str:
        """Send the form of the open page that goes to *form*, as it is filled there, but for *values*."""
        return await self._go("POST", form, {**self.fields(form), **values})

    @property
    def csrf(self) -> str:
        """The token of the first form of the page."""
        found = re.search(r'name="csrf" value="([0-9a-f]*)"', self.text)
        return found[1] if found else ""

    def fields(self, action: str) -> dict[str, str | list[str]]:
        """What the form holds."""
        form = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', self.text, re.DOTALL)
        assert form is not None, f"no form for {action} in {self.text}"
        found: dict[str, str | list[str]] = {}
        for tag in re.findall(r"<input[^>]*>", form[1]):
            told = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
            if "name" not in told or (told.get("type") == "checkbox" and " checked" not in tag):
                continue
            found[told["name"]] = unescape(told.get("value", ""))
        for name, inside in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>(.*?)</textarea>', form[1], re.DOTALL):
            found[name] = unescape(inside.removeprefix("\n"))
        for name, inside in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form[1], re.DOTALL):
            chosen = re.search(r'<option value="([^"]*)" selected', inside) or re.search(r'value="([^"]*)"', inside)
            found[name] = unescape(chosen[1]) if chosen else ""
        return found

    async def _go(self, method: str, path: str, form: dict[str, Any] | None) -> str:
        answer: ClientResponse | None = None
        for _ in range(5):
            headers = {"Accept": "text/html", "Cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items())}
            if method == "POST" and self.sends_origin:
                headers["Origin"] = str(self.api.client.make_url("")).rstrip("/")
            pairs = None
            if form is not None:
                pairs = [(n, each) for n, v in form.items() for each in (v if isinstance(v, list) else [v])]
            answer = await self.api.client.request(
                method, path, data=pairs, headers=headers, allow_redirects=False, skip_auto_headers=["Cookie"]
            )
            self.text, self.path, self.status, self.answer = await answer.text(), path, answer.status, answer
            for name, morsel in answer.cookies.items():
                if morsel.value:
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
            self.api.client.session.cookie_jar.clear()
            if answer.status not in (302, 303):
                break
            parts = urlsplit(answer.headers["Location"])
            method, path, form = "GET", parts.path + (f"?{parts.query}" if parts.query else ""), None
        assert answer is not None
        if "text/html" in answer.headers.get("Content-Type", ""):
            check_html(self.text)
        return self.text


async def letters(api: Api) -> list[tuple[str, str, str]]:
    """(to, subject, text) of all mails, oldest first."""
    async with api.registry.store.read() as connection:
        rows = await connection.execute(select(outbox).order_by(outbox.c.id))
        return [(row.target, row.subject, row.body) for row in rows if row.channel == "mail"]


async def link_of(api: Api, mail: str) -> str:
    """The path of the newest link that was mailed to *mail*."""
    text = [body for target, _, body in await letters(api) if target == mail][-1]
    found = re.search(r"(/(?:login/link|invitations)/\S+)", text)
    assert found is not None, text
    return found[1]


PASSWORD = "a sentence to keep in mind"


async def signed_up(api: Api, login: str) -> Browser:
    """A browser in which *login* has just signed up."""
    browser = Browser(api)
    mail = f"{login}@example.org"
    await browser.get("/signup")
    await browser.send("/signup", login=login, mail=mail)
    await browser.get(await link_of(api, mail))
    await browser.send(browser.path, password=PASSWORD)
    assert browser.path == "/sites", browser.text
    return browser
