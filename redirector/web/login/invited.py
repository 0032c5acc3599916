"""Who is on the way to an invitation, and may make an account for it where nobody else may."""

from __future__ import annotations

from redirector.registry.edit.change import Change
from redirector.registry.edit.sites import INVITATION_PATH, find_invitation
from redirector.store.registry.rows import InvitationRow


async def find_invited(change: Change, target: str) -> InvitationRow | None:
    """The invitation whose page *target* is; None unless it is open, and for nobody who has an account."""
    path, _, secret = target.rpartition("/")
    found = await find_invitation(change, secret) if path == INVITATION_PATH else None
    return found if found is not None and found.account is None else None
