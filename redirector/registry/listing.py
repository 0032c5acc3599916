"""Is a host listed, or why not: one reason, by one function."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class SiteState(Enum):
    """How far the distribution's word about a site is."""

    DRAFT = "draft"
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    SUSPENDED = "suspended"


class Reason(Enum):
    """Why a host, or what it carries of one category, is in no list. The value is what people and programs read."""

    SITE_DRAFT = "site-draft"
    SITE_WAITING = "site-waiting"
    SITE_REFUSED = "site-refused"
    SITE_SUSPENDED = "site-suspended"
    SITE_OFF = "site-off"
    HOST_OFF = "host-off"
    MAINTENANCE = "maintenance"
    NO_URL = "no-url"
    NO_NETWORK = "no-network"
    UNCHECKED = "unchecked"
    UNKNOWN = "unknown"
    UNREACHABLE = "unreachable"
    STALE = "stale"
    EMBARGO = "embargo"


_SITE_REASONS = {
    SiteState.DRAFT: Reason.SITE_DRAFT,
    SiteState.WAITING: Reason.SITE_WAITING,
    SiteState.REFUSED: Reason.SITE_REFUSED,
    SiteState.SUSPENDED: Reason.SITE_SUSPENDED,
}

_CHECKED = {reason.value: reason for reason in (Reason.UNCHECKED, Reason.UNKNOWN, Reason.UNREACHABLE, Reason.STALE)}


@dataclass(frozen=True, slots=True)
class Condition:
    """What one host's listing depends on, each with since when (epoch seconds, 0 where that is not known).

    private      its own, or its site's
    maintenance  (from, to); None when there is none
    lists        it has a public http or https URL (ftp, where that is allowed) in the category asked about, or in any
    networks     it has a network or AS number that counts
    checked      what the checker, or a private host's check-in, says: `ok`, or the reason's value
    embargoed    all that it carries is not public yet
    """

    site: SiteState
    site_since: int
    site_enabled: bool
    site_off_since: int
    enabled: bool
    off_since: int
    maintenance: tuple[int, int] | None
    private: bool
    lists: bool
    networks: bool
    checked: str
    checked_since: int
    embargoed: bool = False
    changed: int = 0


def listing_reason(condition: Condition, now: int) -> tuple[Reason, int] | None:
    """Why the host is in no list and since when; None when it is listed. The first that holds is the one reason."""
    if condition.site is not SiteState.APPROVED:
        return _SITE_REASONS[condition.site], condition.site_since
    if not condition.site_enabled:
        return Reason.SITE_OFF, condition.site_off_since
    if not condition.enabled:
        return Reason.HOST_OFF, condition.off_since
    if in_maintenance(condition.maintenance, now) and condition.maintenance:
        return Reason.MAINTENANCE, condition.maintenance[0]
    if not condition.lists:
        return Reason.NO_URL, condition.changed
    if condition.private and not condition.networks:
        return Reason.NO_NETWORK, condition.changed
    if condition.checked in _CHECKED:
        return _CHECKED[condition.checked], condition.checked_since
    if condition.embargoed:
        return Reason.EMBARGO, condition.checked_since
    return None


def in_maintenance(maintenance: tuple[int, int] | None, now: int) -> bool:
    """True from the first second of the window on, and no more at its last."""
    return maintenance is not None and maintenance[0] <= now < maintenance[1]
