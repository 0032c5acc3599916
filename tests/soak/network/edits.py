"""What admins do meanwhile, by the API: off and on, maintenance, suspensions, URLs that go and come, bandwidths."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession, CookieJar

from demo.loop import CATEGORY
from tests.soak.network import truth
from tests.soak.network.machines import Machine
from tests.soak.network.truth import PRIVATE, Ledger

REQUEST_S = 30
CONTACT = "ops@operators.example.org"
PATIENCE_S = 600
"""For one edit, whoever is killed meanwhile: the database, then both web servers."""


class RefusedError(Exception):
    """The API says no; *status* and what it says."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status, self.text = status, text


@dataclass(slots=True)
class Api:
    """A client that asks another registry server when one does not answer, and does not give up soon."""

    session: ClientSession
    pages: tuple[str, str]
    token: str = ""
    retried: int = 0
    _turn: int = 0

    async def ask(
        self, method: str, path: str, body: Any = None, *, version: str = "", token: str = "", base: str = "/api/v1"
    ) -> tuple[Any, Mapping[str, str]]:
        """The answer and its headers. Raises RefusedError for 4xx; goes on until somebody gives one of 2xx or 4xx."""
        headers = {"Authorization": f"Bearer {token or self.token}"} | ({"If-Match": version} if version else {})
        until = time.monotonic() + PATIENCE_S
        while True:
            self._turn += 1
            url = f"{self.pages[self._turn % 2]}{base}{path}"
            try:
                async with self.session.request(method, url, json=body, headers=headers) as answer:
                    if answer.status < 500 and answer.status != 429:
                        return await _read(answer)
                    why = f"{answer.status} {await answer.text()}"
            except (ClientError, TimeoutError, OSError) as error:
                why = repr(error)
            self.retried += 1
            assert time.monotonic() < until, f"{method} {path}: {why}"
            await asyncio.sleep(0.5)

    async def items(self, path: str) -> list[Any]:
        """All of a collection."""
        found: list[Any] = []
        after = ""
        while True:
            told, _ = await self.ask("GET", f"{path}{'&' if '?' in path else '?'}limit=200{after}")
            found += told["items"]
            if not told.get("next"):
                return found
            after = f"&after={told['next']}"

    async def change(self, path: str, body: Mapping[str, Any]) -> None:
        """PATCH, after a look at what is there."""
        while True:
            _, headers = await self.ask("GET", path)
            try:
                await self.ask("PATCH", path, dict(body), version=headers["ETag"])
                return
            except RefusedError as refused:
                if refused.status != 412:
                    raise

    async def prove(self, link: str) -> None:
        """Open a one-time link, and choose a password: whoever does has proved the account's mail address."""
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser:
            async with browser.get(link) as page:
                text = await page.text()
            action, csrf = (
                re.search(r'action="(/login/link/[^"]+)"', text),
                re.search(r'name="csrf" value="(\w*)"', text),
            )
            assert action is not None and csrf is not None, text
            form = {"csrf": csrf[1], "password": "a sentence that is easy to keep"}
            url = f"{self.pages[0]}{action[1]}"
            async with browser.post(url, data=form, headers={"Origin": self.pages[0]}) as answer:
                assert answer.status == 200, await answer.text()


async def _read(answer: ClientResponse) -> tuple[Any, Mapping[str, str]]:
    text = await answer.text()
    if answer.status >= 400:
        raise RefusedError(answer.status, text)
    return json.loads(text) if text else None, answer.headers


@dataclass(slots=True)
class Signed:
    """A mirror in the registry, and what was last accepted of it."""

    machine: Machine
    host: truth.Host
    id: int
    site: int
    token: str = ""
    accepted: dict[str, Any] = field(default_factory=dict)
    busy: bool = False


@dataclass(slots=True)
class Admins:
    """All who edit. *faulty*: called with a mirror that is being changed, before it is."""

    api: Api
    ledger: Ledger
    chance: random.Random
    mirrors: list[Signed] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    asked: list[str] = field(default_factory=list)
    _sites: dict[int, str] = field(default_factory=dict)

    async def sign_up(self, machine: Machine, url: str, site: int | None) -> Signed:
        """Site (unless it shares one), host, category, URL; networks and a token where it is private."""
        api = self.api
        if site is None:
            name = f"Operators {len(self.mirrors):03}"
            body = {
                "name": name,
                "url": f"https://operators-{len(self.mirrors):03}.example.org/",
                "contacts": [CONTACT],
            }
            made, _ = await api.ask("POST", "/sites", body)
            site = int(made["id"])
            await api.ask("POST", f"/sites/{site}/approval", {"action": "approve"})
        fields = {"name": machine.name, "country": machine.country, "bandwidth_mbit": machine.bandwidth_mbit}
        made, _ = await api.ask("POST", f"/sites/{site}/hosts", {**fields, "private": machine.private})
        host = truth.Host(machine.name, machine.address, (machine.client,) if machine.private else (), machine.without)
        signed = Signed(machine, host, int(made["id"]), site, accepted={**fields, "enabled": True})
        await api.ask("POST", f"/hosts/{signed.id}/categories", {"category": CATEGORY})
        await api.ask("POST", f"/hosts/{signed.id}/urls", {"category": CATEGORY, "url": url})
        if machine.private:
            host.withheld[PRIVATE] = 0.0
            await api.ask("POST", f"/hosts/{signed.id}/networks", {"network": machine.network})
            told, _ = await api.ask("POST", f"/hosts/{signed.id}/tokens", {"scope": "check-in"})
            signed.token = told["token"]
        self.mirrors.append(signed)
        return signed

    async def check_in(self, signed: Signed, directories: list[str]) -> bool:
        """A private mirror says what it has; False when it was told to come later, or not at all."""
        body = {
            "host": signed.machine.name,
            "finished": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "categories": {CATEGORY: {"directories": directories}},
        }
        try:
            await self.api.ask("POST", "/check-in", body, token=signed.token)
        except RefusedError:
            return False
        return True

    async def edit_for_ever(self, every_s: float, hold_s: float, most: int, pause: asyncio.Lock) -> None:
        """One edit after another; each that takes something away is taken back after about *hold_s*."""
        async with asyncio.TaskGroup() as group:
            for number in itertools.count(1):
                await asyncio.sleep(every_s)
                free = [each for each in self.mirrors if not each.busy and not each.machine.private]
                if number % 10 == 0:
                    async with pause:
                        await self._ask_for_approval(number)
                elif len(self.mirrors) - len(free) < most and free:
                    signed = self.chance.choice(free)
                    signed.busy = True
                    group.create_task(self._edit(signed, hold_s, pause))

    async def _edit(self, signed: Signed, hold_s: float, pause: asyncio.Lock) -> None:
        kinds: Mapping[str, Callable[[Signed], Awaitable[Callable[[], Awaitable[None]]]]] = {
            "host-off": self._switch_off,
            "maintenance": self._maintain,
            "site-suspended": self._suspend,
            "no-url": self._take_url,
            PRIVATE: self._make_private,
            "bandwidth": self._set_bandwidth,
        }
        kind = self.chance.choice(tuple(kinds))
        others = [each for each in self.mirrors if each.site == signed.site] if kind == "site-suspended" else [signed]
        if any(each.busy for each in others if each is not signed):
            kind, others = "host-off", [signed]
        try:
            for each in others:
                each.busy = True
                if kind != "bandwidth":
                    each.host.due = None
            async with pause:
                back = await kinds[kind](signed)
                if kind != "bandwidth":
                    for each in others:
                        each.host.withheld[kind] = time.monotonic()
            self.done[kind] += 1
            await asyncio.sleep(self.chance.uniform(0.5, 1.5) * hold_s)
            async with pause:
                for each in others:
                    each.host.withheld.pop(kind, None)
                await back()
        finally:
            for each in others:
                each.busy = False

    async def _switch_off(self, signed: Signed) -> Callable[[], Awaitable[None]]:
        return await self._set(signed, {"enabled": False}, {"enabled": True})

    async def _maintain(self, signed: Signed) -> Callable[[], Awaitable[None]]:
        now = datetime.now(UTC)
        window = {
            "from": (now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "to": (now + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return await self._set(signed, {"maintenance": window}, {"maintenance": None})

    async def _make_private(self, signed: Signed) -> Callable[[], Awaitable[None]]:
        return await self._set(signed, {"private": True}, {"private": False})

    async def _set_bandwidth(self, signed: Signed) -> Callable[[], Awaitable[None]]:
        now = signed.accepted["bandwidth_mbit"]
        return await self._set(signed, {"bandwidth_mbit": now + 1}, {"bandwidth_mbit": now + 2})

    async def _set(
        self, signed: Signed, body: Mapping[str, Any], back: Mapping[str, Any]
    ) -> Callable[[], Awaitable[None]]:
        await self._accept(signed, body)
        return lambda: self._accept(signed, back)

    async def _accept(self, signed: Signed, body: Mapping[str, Any]) -> None:
        await self.api.change(f"/hosts/{signed.id}", body)
        signed.accepted.update(body)

    async def _suspend(self, signed: Signed) -> Callable[[], Awaitable[None]]:
        await self._decide(signed.site, "suspend")
        return lambda: self._decide(signed.site, "approve")

    async def _decide(self, site: int, action: str) -> None:
        state = {"suspend": "suspended", "approve": "approved"}[action]
        try:
            await self.api.ask("POST", f"/sites/{site}/approval", {"action": action, "text": "a rehearsal"})
        except RefusedError:
            told, _ = await self.api.ask("GET", f"/sites/{site}")
            if told["state"] != state:  # else a server that died had done it, and could not say so
                raise

    async def _take_url(self, signed: Signed) -> Callable[[], Awaitable[None]]:
        path = f"/hosts/{signed.id}/urls"
        (url,) = await self.api.items(path)
        try:
            _, headers = await self.api.ask("GET", f"{path}/{url['id']}")
            await self.api.ask("DELETE", f"{path}/{url['id']}", version=headers["ETag"])
        except RefusedError as refused:
            if refused.status != 404:
                raise

        async def put_back() -> None:
            try:
                await self.api.ask("POST", path, {"category": CATEGORY, "url": url["url"]})
            except RefusedError:
                if len(await self.api.items(path)) != 1:
                    raise

        return put_back

    async def _ask_for_approval(self, number: int) -> None:
        """A new site asks; the distribution's admins get a mail, the hook an event. It is refused, so that few wait."""
        name = f"Newcomer {number:05}"
        body = {"name": name, "url": "https://newcomer.example.org/", "contacts": ["ops@newcomer.example.org"]}
        try:
            made, _ = await self.api.ask("POST", "/sites", body)
            site = int(made["id"])
        except RefusedError:
            site = next(int(each["id"]) for each in await self.api.items("/sites") if each["name"] == name)
        try:
            await self.api.ask("POST", f"/sites/{site}/approval", {"action": "ask", "text": "we have a machine"})
        except RefusedError:
            told, _ = await self.api.ask("GET", f"/sites/{site}")
            if told["state"] != "waiting":
                raise
        self.asked.append(name)
        self.done["asked for approval"] += 1

    async def compare(self) -> None:
        """What was accepted is there."""
        for signed in self.mirrors:
            told, _ = await self.api.ask("GET", f"/hosts/{signed.id}")
            truth.judge_edits(self.ledger, signed.machine.name, signed.accepted, told)
