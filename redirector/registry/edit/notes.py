"""Notes and events: both are appended only."""

from __future__ import annotations

from redirector.registry import nouns
from redirector.registry.edit.change import Change, find_host, find_site
from redirector.registry.permits import Act
from redirector.registry.refusals import Forbidden
from redirector.store.registry import queries
from redirector.store.registry.rows import EventRow, NoteRow


async def add_note(change: Change, text: str, *, site: int | None = None, host: int | None = None) -> NoteRow:
    """Write a note on a site or host down."""
    change.require(Act.ADMINISTER)
    noun = nouns.read_new(nouns.Note, {"text": text}, change.lax)
    await _find(change, site, host)
    return await queries.add(
        change.connection, NoteRow, site=site, host=host, at=change.now, writer=change.actor.name, text=noun.text
    )


async def list_notes(change: Change, *, site: int | None = None, host: int | None = None) -> list[NoteRow]:
    """Notes on a site, or on a host, oldest first."""
    change.require(Act.ADMINISTER)
    await _find(change, site, host)
    return await queries.list_rows(change.connection, NoteRow, **({"host": host} if host else {"site": site}))


async def _find(change: Change, site: int | None, host: int | None) -> None:
    if host is not None:
        await find_host(change, Act.ADMINISTER, host)
    else:
        await find_site(change, Act.ADMINISTER, site or 0)


async def list_events(
    change: Change,
    *,
    site: int | None = None,
    host: int | None = None,
    what: str | None = None,
    before: int | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[EventRow]:
    """Events that the actor may see: a site's or host's, one's own sites', or all."""
    actor = change.actor
    if host is not None:
        _, owner = await find_host(change, Act.READ, host)
        sites: frozenset[int] | None = frozenset({owner.id})
    elif site is not None:
        sites = frozenset({(await find_site(change, Act.READ, site)).id})
    elif actor.admin:
        sites = None
    elif actor.known:
        sites = actor.sites | (frozenset({actor.only[1]}) if actor.only and actor.only[0] == "site" else frozenset())
    else:
        raise Forbidden("log in first")
    return await queries.list_events(
        change.connection, sites=sites, host=host, what=what, before=before, after=after, limit=limit
    )
