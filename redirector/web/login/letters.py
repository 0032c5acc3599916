"""Mails about accounts, as parcels of the outbox. Pure."""

from __future__ import annotations

from hashlib import blake2b

from redirector.store.outbox import Parcel

_FOOT = "\n\nIf you did not ask for this, do nothing: without the link nothing happens.\n"


def _letter(kind: str, mail: str, unique: str, subject: str, text: str) -> Parcel:
    name = blake2b(f"{kind}\0{mail}\0{unique}".encode(), digest_size=16).hexdigest()
    return Parcel(name, "mail", kind, "", mail, text, subject)


def sign_up_letter(mail: str, login: str, link: str) -> Parcel:
    """A new account waits for its password."""
    text = (
        f"Somebody, probably you, signed up as {login}. This link lets you choose a password; it works once, for two "
    )
    return _letter("sign-up", mail, link, "Your account for mirrors", f"{text}days:\n\n{link}{_FOOT}")


def taken_letter(mail: str, login: str, now: int, link: str) -> Parcel:
    """The login is somebody else's."""
    text = f"You signed up as {login}, but another account has that login. Choose another one:\n\n{link}{_FOOT}"
    return _letter("sign-up", mail, f"{login}{now}", "Your account for mirrors", text)


def known_letter(mail: str, login: str, link: str) -> Parcel:
    """Whoever signed up has an account already."""
    text = f"You signed up, but have an account already: {login}. Its password can be changed here, once, within two "
    return _letter("sign-up", mail, link, "Your account for mirrors", f"{text}days:\n\n{link}{_FOOT}")


def reset_letter(mail: str, login: str, link: str) -> Parcel:
    """A password shall be chosen anew."""
    text = f"This link lets you choose a new password for {login}; it works once, for two days:\n\n{link}{_FOOT}"
    return _letter("reset", mail, link, "A new password", text)


def verify_letter(mail: str, login: str, link: str) -> Parcel:
    """A mail address shall be verified."""
    text = (
        f"Open this link to confirm that {mail} is an address of {login}; it works once, for two days:\n\n{link}{_FOOT}"
    )
    return _letter("verify", mail, link, "Your mail address", text)


def changed_letter(mail: str, login: str, what: str, now: int) -> Parcel:
    """Something that matters was changed: the person is told at the address that was there."""
    text = f"{what} of your account {login} was changed. If it was not you: log in, choose a new password and "
    more = "end all sessions at once, or ask for a new password where you cannot, and answer this mail.\n"
    return _letter("changed", mail, f"{what}{now}", f"{what} was changed", f"{text}{more}")
