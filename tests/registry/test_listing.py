"""One reason why a host is not listed, in a fixed order."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from redirector.registry.listing import Condition, Reason, SiteState, listing_reason

NOW = 1000
GOOD = Condition(
    site=SiteState.APPROVED,
    site_since=1,
    site_enabled=True,
    site_off_since=2,
    enabled=True,
    off_since=3,
    maintenance=None,
    private=False,
    lists=True,
    networks=False,
    checked="ok",
    checked_since=5,
    changed=6,
)


def test_a_good_host_is_listed() -> None:
    assert listing_reason(GOOD, NOW) is None
    assert listing_reason(replace(GOOD, private=True, networks=True), NOW) is None


FAULTS: dict[Reason, tuple[dict[str, object], int]] = {
    Reason.SITE_DRAFT: ({"site": SiteState.DRAFT}, 1),
    Reason.SITE_WAITING: ({"site": SiteState.WAITING}, 1),
    Reason.SITE_REFUSED: ({"site": SiteState.REFUSED}, 1),
    Reason.SITE_SUSPENDED: ({"site": SiteState.SUSPENDED}, 1),
    Reason.SITE_OFF: ({"site_enabled": False}, 2),
    Reason.HOST_OFF: ({"enabled": False}, 3),
    Reason.MAINTENANCE: ({"maintenance": (900, 1100)}, 900),
    Reason.NO_URL: ({"lists": False}, 6),
    Reason.NO_NETWORK: ({"private": True}, 6),
    Reason.UNCHECKED: ({"checked": "unchecked"}, 5),
    Reason.UNKNOWN: ({"checked": "unknown"}, 5),
    Reason.UNREACHABLE: ({"checked": "unreachable"}, 5),
    Reason.STALE: ({"checked": "stale"}, 5),
    Reason.EMBARGO: ({"embargoed": True}, 5),
}


@pytest.mark.parametrize("reason", Reason)
def test_each_fault_has_its_reason_and_since_when(reason: Reason) -> None:
    fault, since = FAULTS[reason]
    assert listing_reason(replace(GOOD, **fault), NOW) == (reason, since)  # type: ignore[arg-type]


def test_of_several_faults_the_first_in_order_is_told() -> None:
    order = list(Reason)
    for first, second in pairwise(order[3:]):
        both = {**FAULTS[second][0], **FAULTS[first][0]}
        if "checked" in FAULTS[first][0] and "checked" in FAULTS[second][0]:
            continue
        found = listing_reason(replace(GOOD, **both), NOW)  # type: ignore[arg-type]
        assert found is not None and found[0] is first


@pytest.mark.parametrize(("now", "away"), [(899, False), (900, True), (1099, True), (1100, False)])
def test_maintenance_ends_by_itself(now: int, away: bool) -> None:
    assert (listing_reason(replace(GOOD, maintenance=(900, 1100)), now) is not None) is away


def test_names_of_reasons_are_what_people_read() -> None:
    assert {each.value for each in Reason} == {
        "site-draft", "site-waiting", "site-refused", "site-suspended", "site-off", "host-off", "maintenance", "no-url",
        "no-network", "unchecked", "unknown", "unreachable", "stale", "embargo",
    }  # fmt: skip
