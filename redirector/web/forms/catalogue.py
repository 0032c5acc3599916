"""What the distribution keeps itself, by the same form each: releases, categories, repositories, redirects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from redirector.registry.edit import catalogue
from redirector.registry.edit.change import Change
from redirector.registry.refusals import Missing, RegistryError
from redirector.registry.views import View
from redirector.store.registry.rows import ReleaseRow
from redirector.web.forms.fields import Failure, body_of, failure_of, form_fields
from redirector.web.forms.kinds import show_cell
from redirector.web.forms.room import Room, need_desk, number_of, version_of
from redirector.web.login.visits import read_form

SHOWN = 500
"""Rows on one page: a large distribution has more repositories than people read."""


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of thing.

    prefix   of its fields' words
    columns  that its table has, with their headings
    version  which member of a view says how often it was changed
    """

    plural: str
    title: str
    one: str
    text: str
    prefix: str
    columns: Mapping[str, str]
    version: str = "version"

    @property
    def kind(self) -> catalogue.Kind:
        """What can be done with it."""
        return catalogue.KINDS[self.plural]

    async def list(self, change: Change) -> list[View]:
        """All, as they are shown."""
        return [_with_embargo(self.kind.view(row), row, change.now) for row in await self.kind.list(change)]


def _with_embargo(view: View, row: object, now: int) -> View:
    """*view*, and of a release whether it is still under embargo."""
    if not isinstance(row, ReleaseRow):
        return view
    return {**view, "embargo": row.not_before is not None and row.not_before > now}


SECTIONS: Mapping[str, Section] = {
    section.plural: section
    for section in (
        Section(
            "releases", "Releases", "release",
            "What is under embargo is listed nowhere until its time has come; mirrors that take new releases are told.",
            "release",
            {"product": "Product", "version": "Version", "arches": "Architectures", "not_before": "Not before",
             "embargo": "Embargo"},
            "revision",
        ),
        Section(
            "categories", "Categories", "category", "What hosts sign up for. Scans of the masters make them, too.",
            "category",
            {"name": "Name", "top": "Top directory", "product": "Product", "joinable": "Joinable by all",
             "for_people": "For people"},
        ),
        Section(
            "repositories", "Repositories", "repository",
            "A prefix and an architecture, as clients ask, name a directory. Scans of the masters make them, too.",
            "repository",
            {"prefix": "Prefix", "arch": "Architecture", "directory": "Directory", "enabled": "Switched on"},
        ),
        Section(
            "redirects", "Redirects", "redirect", "One name that stands for another, one hop far.",
            "redirect", {"source": "From", "target": "To", "kind": "Kind"},
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Catalogue(Room):
    """Pages below `/desk/` for each kind."""

    def add_to(self, application: web.Application) -> None:
        """The routes."""
        router = application.router
        names = "|".join(SECTIONS)
        router.add_get(f"/desk/{{plural:{names}}}", self.show)
        router.add_post(f"/desk/{{plural:{names}}}", self.add)
        router.add_get(f"/desk/{{plural:{names}}}/{{number}}", self.show_one)
        router.add_post(f"/desk/{{plural:{names}}}/{{number}}", self.edit)
        router.add_post(f"/desk/{{plural:{names}}}/{{number}}/delete", self.delete)

    async def show(self, request: web.Request, failed: Failure | None = None) -> web.Response:
        """All of a kind, and a form for one more."""
        visit = await self.person(request)
        section = SECTIONS[request.match_info["plural"]]
        async with self.reading(visit) as change:
            need_desk(change)
            rows = list(await section.list(change))
        values = {
            "section": section,
            "rows": [(row, [show_cell(row.get(name)) for name in section.columns]) for row in rows[:SHOWN]],
            "more": max(0, len(rows) - SHOWN),
            "fields": form_fields("new", section.prefix, section.kind.noun, {}, failed),
            "failed": failed,
        }
        return self.page(visit, "catalogue.html", values, failed.status if failed else 200, here="/desk")

    async def add(self, request: web.Request) -> web.Response:
        """One more."""
        visit = await self.person(request)
        section = SECTIONS[request.match_info["plural"]]
        typed = await read_form(request)
        try:
            async with self.writing(visit) as change:
                need_desk(change)
                await section.kind.create(change, body_of(section.kind.noun, typed))
        except RegistryError as error:
            return await self.show(request, failure_of(error, typed))
        raise web.HTTPSeeOther(f"/desk/{section.plural}")

    async def show_one(self, request: web.Request, failed: Failure | None = None) -> web.Response:
        """One, to be changed."""
        visit = await self.person(request)
        section, number = SECTIONS[request.match_info["plural"]], number_of(request, "number")
        async with self.reading(visit) as change:
            need_desk(change)
            found = next((row for row in await section.list(change) if row["id"] == number), None)
        if found is None:
            raise Missing
        values: dict[str, Any] = {
            "title": show_cell(found[next(iter(section.columns))]),
            "intro": section.text,
            "action": f"/desk/{section.plural}/{number}",
            "fields": form_fields("one", section.prefix, section.kind.noun, found, failed),
            "failed": failed,
            "version": failed.version if failed and failed.version else found[section.version],
            "button": "Save",
            "back": (f"/desk/{section.plural}", section.title),
        }
        return self.page(visit, "form.html", values, failed.status if failed else 200, here="/desk")

    async def edit(self, request: web.Request) -> web.Response:
        """Change one."""
        visit = await self.person(request)
        section, number = SECTIONS[request.match_info["plural"]], number_of(request, "number")
        typed = await read_form(request)
        try:
            async with self.writing(visit) as change:
                need_desk(change)
                await section.kind.edit(change, number, version_of(typed), body_of(section.kind.noun, typed))
        except RegistryError as error:
            if error.status == 404:
                raise
            return await self.show_one(request, failure_of(error, typed))
        raise web.HTTPSeeOther(f"/desk/{section.plural}")

    async def delete(self, request: web.Request) -> web.Response:
        """One less; refused for what is in use."""
        visit = await self.person(request)
        section, number = SECTIONS[request.match_info["plural"]], number_of(request, "number")
        typed = await read_form(request)
        try:
            async with self.writing(visit) as change:
                need_desk(change)
                await section.kind.delete(change, number, version_of(typed))
        except RegistryError as error:
            if error.status == 404:
                raise
            return await self.show(request, failure_of(error, typed))
        raise web.HTTPSeeOther(f"/desk/{section.plural}")
