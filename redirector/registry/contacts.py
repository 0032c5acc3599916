"""Contacts say that their address is right: by a link that is made of the key file alone, and kept nowhere."""

from __future__ import annotations

import hmac
from hashlib import sha256

from redirector.registry.edit.change import Change
from redirector.registry.refusals import Missing
from redirector.registry.secrets import Cipher
from redirector.store.registry import queries
from redirector.store.registry.rows import ContactRow, SiteRow

PATH = "/contacts"


def path_of(cipher: Cipher, site: int, mail: str) -> str:
    """Where the contact *mail* of *site* says so."""
    return f"{PATH}/{site}/{_secret(cipher, site, mail)}"


def _secret(cipher: Cipher, site: int, mail: str) -> str:
    return hmac.new(cipher.key, f"contact\0{site}\0{mail}".encode(), sha256).hexdigest()


async def find_contact(change: Change, number: int, secret: str) -> tuple[ContactRow, SiteRow]:
    """Whose link it is. Raises Missing: for no link, and for an address that the site names no more."""
    site = await queries.find(change.connection, SiteRow, id=number)
    cipher = change.house.cipher
    if site is not None and cipher is not None:
        for row in await queries.list_rows(change.connection, ContactRow, site=number):
            if hmac.compare_digest(_secret(cipher, number, row.mail).encode(), secret.encode()):
                return row, site
    raise Missing


async def verify_contact(change: Change, number: int, secret: str) -> tuple[ContactRow, SiteRow]:
    """The address is right: notices go there from now on."""
    row, site = await find_contact(change, number, secret)
    if row.verified is None:
        await queries.set_columns(change.connection, ContactRow, {"id": row.id}, verified=change.now)
        await change.log("contact.verify", site.name, row.id, {}, {}, site=site.id)
    return row, site
