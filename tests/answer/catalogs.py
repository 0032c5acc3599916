"""Random catalogs, clients and wishes for property tests: small, and full of coincidences."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from hypothesis import strategies as st

from redirector.model import SCHEMES, Catalog, Dialect, Directory, HostSet, HostSetId, Place
from tests.rig import DETAIL, Mirror, catalog_of, mirror

COUNTRIES = ("DE", "FR", "CZ", "US", "JP")
NETBLOCKS = ("10.1.0.0/16", "10.1.64.0/18", "10.1.64.0/24", "10.2.0.0/15", "10.1.64.9/32", "2001:db8:1::/48")
CLIENTS = ("10.1.0.1", "10.1.64.9", "10.1.64.200", "10.2.0.1", "10.3.0.1", "10.4.0.1", "192.0.2.1", "2001:db8:1::7")
"""Inside each of the netblocks, AS numbers and countries above, and nowhere."""


@st.composite
def mirrors(draw: st.DrawFn, tree: bool = False, today: bool = False) -> Mirror:
    """A mirror whose name is still to be given, with any flags together.

    tree   http or https is among its URLs
    today  only flags that MirrorManager's own snapshots know
    """
    schemes = draw(st.lists(st.sampled_from(SCHEMES), min_size=1, max_size=4, unique=True))
    if tree and not {"http", "https"} & set(schemes):
        schemes.append("http")
    known = st.sampled_from((None, True, False))
    facts: dict[str, object] = {
        "netblocks": draw(st.lists(st.sampled_from(NETBLOCKS), max_size=2, unique=True)),
        "asns": tuple(draw(st.lists(st.sampled_from((64496, 64497)), max_size=1))),
        "private": draw(st.booleans()),
        "allowed": frozenset(draw(st.sampled_from(((), (), ("DE",), ("FR", "JP"))))),
        "bandwidth_mbit": draw(st.sampled_from((1, 10, 1000, 10_000))),
    }
    if not today:
        facts |= {
            "local": draw(st.sampled_from((False, False, True))),
            "monopoly": draw(st.sampled_from((False, False, False, True))),
            "up": draw(st.sampled_from((True, True, False))),
            "ipv4": draw(known),
            "ipv6": draw(known),
            "place": draw(st.sampled_from((None, Place(50.0, 8.0), Place(50.1, 8.1), Place(48.9, 2.3)))),
        }
    country = draw(st.sampled_from((None, *COUNTRIES)))
    return mirror("unnamed", country, *(f"{scheme}://unnamed/pub" for scheme in schemes), **facts)


@st.composite
def catalogs(
    draw: st.DrawFn, dialect: Dialect = Dialect.MIRRORMANAGER, max_size: int = 8, today: bool = False
) -> Catalog:
    """A catalog of up to *max_size* mirrors, called `h0`, `h1`, ... after their number.

    All of them carry `fedora-40`, host set 0, and some of them `part-40`, host set 1.
    """
    tree = dialect is Dialect.ALMALINUX
    unnamed = draw(st.lists(mirrors(tree, today), max_size=max_size))
    named = [
        Mirror(replace(each.host, name=f"h{n}"), tuple(url.replace("unnamed", f"h{n}") for url in each.base_urls()))
        for n, each in enumerate(unnamed)
    ]
    catalog = catalog_of(named, dialect)
    members = draw(st.sets(st.sampled_from(range(len(named))))) if named else set()
    hidden = draw(st.sets(st.sampled_from(range(len(named))), max_size=2)) if named and not tree else set()
    part = part_of(catalog.host_sets[0], members, members - hidden)
    name = "pub/linux/40/part/os"
    return replace(
        catalog,
        host_sets=(catalog.host_sets[0], part),
        directories={
            **catalog.directories,
            name: Directory(HostSetId(1), cut=len("pub/")),
            f"{name}/repodata": Directory(HostSetId(1), cut=len("pub/")),
        },
        repositories={**catalog.repositories, ("part-40", "x86_64"): name},
        details={**catalog.details, (f"{name}/repodata", "repomd.xml"): (DETAIL,)},
    )


def part_of(whole: HostSet, members: Collection[int], shown: Collection[int]) -> HostSet:
    """The part of a host set that *members* are, of whom strangers may have those that are *shown*."""
    by_country = {
        country: tuple(host for host in hosts if host in shown) for country, hosts in whole.by_country.items()
    }
    return HostSet(
        urls={host: urls for host, urls in whole.urls.items() if host in members},
        public=tuple(host for host in whole.public if host in shown),
        by_country={country: hosts for country, hosts in by_country.items() if hosts},
    )
