"""The mails of the registry: who is told what, in words that say what to do. Pure.

Bodies are plain ASCII where the facts are, and of short lines: no relay re-codes them, and a signature stays true.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

WIDTH = 72


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail before it has an address. *text*: what a signature is of, where one follows."""

    subject: str
    text: str


def _letter(subject: str, *paragraphs: str) -> Letter:
    return Letter(subject, "\n\n".join(map(_wrap, filter(None, paragraphs))) + "\n")


def _wrap(text: str) -> str:
    """Paragraphs are filled; lines that begin with a blank stay as they are: links, lists."""
    if any(line.startswith(" ") for line in text.split("\n")):
        return text
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def moment(at: int) -> str:
    """A time for people."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _at(pages: str, path: str) -> str:
    """Where to go; without an address of the pages nobody can be sent there."""
    return f"  {pages}{path}" if pages else ""


def _quoted(text: str) -> str:
    return f"  {text}" if text else ""


def to_site(letter: Letter, site: str, number: int, pages: str) -> Letter:
    """The letter with a foot that says why its reader gets it, and where everything about the site is."""
    where = f", whose page is\n\n  {pages}/sites/{number}" if pages else "."
    why = f"You get this as an admin or a contact of the mirror site {site}"
    return Letter(letter.subject, f"{letter.text}\n-- \n{_wrap(why)}{where}\n")


def decision_letter(action: str, site: str, number: int, text: str, pages: str) -> Letter:
    """What the distribution decided about a site: `approve`, `refuse`, `suspend`."""
    said = _quoted(text)
    why = "The distribution says:" if text else ""
    page = _at(pages, f"/sites/{number}")
    if action == "approve":
        return _letter(
            f"{site}: approved",
            f"The site {site} is approved as a mirror.",
            why,
            said,
            "What happens now: its public hosts are visited within the hour, and each is listed after the first visit"
            " that finds it current. A private host is listed for its own networks once it has reported what it has.",
            "What a host still lacks for that, and what to do about it, stands beside it on the site's page:",
            page,
        )
    if action == "refuse":
        return _letter(
            f"{site}: not approved",
            f"The site {site} was not approved as a mirror. None of its hosts is in any list.",
            why,
            said,
            "What to do: change on the site's page what is named above, and ask for approval again there. To talk about"
            " it, answer this mail.",
            page,
        )
    return _letter(
        f"{site}: suspended",
        f"The site {site} is suspended: from the next publication on none of its hosts is in any list, until the"
        " distribution approves it again.",
        why,
        said,
        "What to do: mend what is named above, and answer this mail when it is done. Nobody but the distribution can"
        " lift a suspension.",
        page,
    )


def request_letter(site: str, pages: str, number: int, text: str = "", facts: Sequence[str] = ()) -> Letter:
    """For distribution admins: a site asks for approval. *facts*: a line a host, as it was typed."""
    return _letter(
        f"{site} asks for approval",
        f"The site {site} asks to be approved as a mirror.",
        "It says:" if text else "",
        _quoted(text),
        "Its hosts, as they were entered:" if facts else "It has entered no host yet.",
        "\n".join(f"  {fact}" for fact in facts),
        "What was found out about them, and the buttons to approve or refuse, are on its page. What you write there is"
        " mailed to the site.",
        _at(pages, f"/sites/{number}"),
        "On the machine of the registry this approves it, too:",
        f"  redirector registry site approve {shlex.quote(site)}",
    )


def waiting_letter(what: str, name: str, host: str, approved: bool, text: str = "") -> Letter:
    """What became of a network or an AS number that waited for the distribution."""
    said = _quoted(text)
    why = "The distribution says:" if text else ""
    if approved:
        return _letter(
            f"{host}: {name} is approved",
            f"The {what} {name} of {host} is approved. Clients in it are sent to {host} from the next publication on;"
            " nothing has to be done for that.",
            why,
            said,
        )
    return _letter(
        f"{host}: {name} is refused",
        f"The {what} {name} of {host} was refused: clients in it are not sent to {host} on its account. The host stays"
        " listed for everybody else as before.",
        why,
        said,
        f"What to do: remove it on the page of {host}, or answer this mail and say why it is yours.",
    )


def invitation_letter(site: str, inviter: str, link: str, days: int) -> Letter:
    """Somebody is asked to be an admin."""
    return _letter(
        f"Invitation to be an admin of {site}",
        f"{inviter} asks you to be an admin of the mirror site {site}: to change what is written about it in the"
        " registry of mirrors, and to be told when something is wrong with it.",
        f"To accept, open this address within {days} days and log in, or make an account there:",
        f"  {link}",
        "If you do not want to, do nothing: the invitation ends by itself.",
    )


def admins_letter(site: str, login: str, added: bool, actor: str) -> Letter:
    """The admins of a site changed."""
    what = "is now an admin of" if added else "is no longer an admin of"
    return _letter(
        f"{site}: {login} {what.removesuffix(' of')}",
        f"{login} {what} the mirror site {site}. This was done by {actor}.",
        "If that is right, nothing has to be done. If not, change the admins on the site's page, or answer this mail.",
    )


def contact_letter(site: str, link: str) -> Letter:
    """Somebody wrote this address down for a site."""
    return _letter(
        f"Is this address for the mirror site {site}?",
        f"Somebody entered this address as a contact of the mirror site {site} in the registry of mirrors.",
        "If that is right, open this address and press the button there. From then on notices are sent here: when a"
        " mirror of the site is in trouble, and when the distribution decides about it.",
        f"  {link}",
        "If you know nothing of it, do nothing: nothing more will be sent.",
    )


def leaving_letter(leaving: str, hosts: Sequence[str], gone: int | None, pages: str = "") -> Letter:
    """For those who pull from a host that leaves. *gone*: when it is deleted; None: it is already."""
    if gone is None:
        what = f"The mirror {leaving} has been deleted from the registry."
    else:
        what = (
            f"The mirror {leaving} has been switched off by its admins and will be deleted on {moment(gone)}. Nobody"
            " promises that it serves until then."
        )
    return _letter(
        f"{leaving} is leaving: pull from another mirror",
        f"{what} According to what is written in the registry, these hosts of yours pull their content from it:",
        "\n".join(f"  {host}" for host in hosts),
        "If nothing is done, they stop getting updates, and are taken out of the lists some hours later.",
        "What to do: choose another source (a public mirror of a lower tier, or the master), change it in the script"
        ' that synchronizes, and enter it on the host\'s page under "Pulls from".',
        _at(pages, "/mirrors?tier=1"),
    )


def release_letter(
    product: str, version: str, hosts: Sequence[str], not_before: int | None, signed: bool, pages: str
) -> Letter:
    """A release is staged, or public. *signed*: a signature follows."""
    name = f"{product} {version}"
    listed = "\n".join(f"  {host}" for host in hosts)
    proof = (
        "This text, up to the line before BEGIN SSH SIGNATURE, is signed. The public key, and the command that"
        " verifies it, are here:"
        if signed
        else ""
    )
    where = _at(pages, "/join") if signed else ""
    if not_before is not None:
        return _letter(
            f"{name}: staged, public on {moment(not_before)}",
            f"{name} is being staged for mirrors. It becomes public on {moment(not_before)}; until then please keep it"
            " readable for mirrors alone (mode 0750), as it comes from the master.",
            "These hosts of yours pick up new releases:",
            listed,
            "What to do: synchronize them before that moment, from a master or a mirror that lets their addresses in."
            " They may check in what they have: nothing of it is listed before.",
            proof,
            where,
        )
    return _letter(
        f"{name} is public",
        f"{name} is public from now on. Mirrors that have it are listed for it by themselves, after their next visit.",
        "These hosts of yours pick up new releases:",
        listed,
        "What to do: let them synchronize now. If one of them staged it before, see that its directories are readable"
        " by everybody (mode 0755): a synchronization does that, too.",
        proof,
        where,
    )


def question_letter(
    product: str, version: str, hosts: Sequence[tuple[str, int]], trusted: Sequence[str], pages: str
) -> Letter:
    """For those who carry a product and do not pick up its new releases by themselves.

    hosts    names and numbers
    trusted  those of them that nobody looks at, and for which the new release was entered as left out
    """
    name = f"{product} {version}"
    listed = "\n".join(f"  {host}" + (f"  {pages}/hosts/{number}" if pages else "") for host, number in hosts)
    left = (
        f"{', '.join(trusted)}: lists believe it without a visit, so the directories of {name} were entered there under"
        ' "What is left out". Remove them from there when it has them.'
        if trusted
        else ""
    )
    return _letter(
        f"{name} is new: will your mirror carry it?",
        f"{name} is new on the masters, and public. These hosts of yours carry {product}, but are not marked to take"
        " new releases by themselves:",
        listed,
        "If they are to carry it: synchronize it. A host is listed for it after the next visit that finds it there.",
        left,
        "If they are not: nothing has to be done. They stay listed for everything else that they have.",
        'If they are to carry every new one: tick "Takes new releases" on the host\'s page. Then you are told when'
        " one is staged, before it is public, and are asked no more.",
    )
