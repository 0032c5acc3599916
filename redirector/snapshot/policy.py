"""How to choose and how to speak: where our sources differ from each other and from today's servers, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from redirector.model import Choice


@dataclass(frozen=True, slots=True)
class Policy:
    """How to choose and how to speak. The defaults are ours; `COMPATIBLE` is `mirrorlist-server` 3.1's.

    choice              the rule of choosing
    decode              percent escapes of the target are decoded, and extra parameters (`format=`, ...) are known
    https_first         the URL of a host is its https one, if there is one; else the first listed
    allowed_everywhere  `allowed` countries hold for the client's country and continent too
    near_first          of the continent, neighbours and hosts within `NEAR_CONTINENT_KM` come before the others
    relax               malformed values are errors, wishes that nobody can meet are relaxed and said
    escape              XML is escaped
    failure_documents   an error of `/metalink` is a metalink document with the text in a comment
    list_repositories   an unknown repository is answered with the list of all
    incomplete_status   neither `path` nor `repo` and `arch`
    dangling_status     a repository whose directory is not in the snapshot
    unreadable_status   the client's address cannot be read
    """

    choice: Choice = Choice.TIERS
    decode: bool = True
    https_first: bool = True
    allowed_everywhere: bool = True
    near_first: bool = True
    relax: bool = True
    escape: bool = True
    failure_documents: bool = False
    list_repositories: bool = False
    incomplete_status: int = 400
    dangling_status: int = 404
    unreadable_status: int = 400

    @property
    def by_distance(self) -> bool:
        """Where hosts and clients are decides, not their countries alone."""
        return self.choice is not Choice.TIERS


COMPATIBLE = Policy(
    decode=False,
    https_first=False,
    allowed_everywhere=False,
    near_first=False,
    relax=False,
    escape=False,
    failure_documents=True,
    list_repositories=True,
    incomplete_status=200,
    dangling_status=500,
    unreadable_status=500,
)


def policy_of(choice: Choice, compatibility: str | None) -> Policy:
    """The policy for a rule of choosing; *compatibility* is the option's value, checked before."""
    if compatibility == "mirrormanager":
        return COMPATIBLE
    return Policy(choice)
