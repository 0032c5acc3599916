"""The comment line of a mirrorlist: MirrorManager's words, each followed by a space, in both policies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redirector.answer.answer import Tier
from tests.answer.catalogs import part_of
from tests.rig import ASNS, NOW, Rig, catalog_of, mirror, rig, rig_of

REPO = "repo=fedora-40&arch=x86_64"
START = "# repo = fedora-40 arch = x86_64 "

POLICIES = pytest.mark.parametrize("compatibility", [None, "mirrormanager"])


def world(compatibility: str | None, *, minimum: int = 5) -> Rig:
    return rig(
        mirror("net.example", "DE", netblocks=("10.1.2.0/24", "10.1.2.128/25"), private=True),
        mirror("wide.example", "DE", netblocks=("10.1.0.0/17",)),
        mirror("as.example", "FR", asns=(64496,)),
        mirror("a.example", "DE"),
        mirror("b.example", "FR"),
        mirror("c.example", "US"),
        mirror("d.example", "JP"),
        compatibility=compatibility,
        minimum=minimum,
    )


def comment(served: Rig, target: str, client: str | None = "10.1.200.1", **more: object) -> str:
    body = served.get(target, client, **more).body.decode()  # type: ignore[arg-type]
    return body[: body.index("\nhttp")] if "\nhttp" in body else body.rstrip("\n")


CASES = [
    pytest.param("", "10.1.200.1", "country = DE country = FR country = global ", id="country and continent"),
    pytest.param("", "10.7.0.1", "country = DE country = FR country = global ", id="country without hosts"),
    pytest.param("", "10.4.0.1", "country = JP country = global ", id="continent without other hosts"),
    pytest.param("", "192.0.2.1", "country = global ", id="nowhere"),
    pytest.param("", None, "country = global ", id="unknown client"),
    pytest.param(
        "", "10.1.2.200", "Using preferred netblock country = DE country = FR ", id="several netblocks are said once"
    ),
    pytest.param(
        "",
        "10.1.64.1",
        "Using preferred netblock Using ASN 64496 country = DE country = FR country = global ",
        id="netblock, then AS",
    ),
    pytest.param("&netblock=0", "10.1.64.1", "country = DE country = FR country = global ", id="netblock off"),
    pytest.param(
        "&netblock=1",
        "10.1.64.1",
        "Using preferred netblock Using ASN 64496 country = DE country = FR country = global ",
    ),
    pytest.param("&country=us", "10.1.64.1", "country = us ", id="as typed"),
    pytest.param("&country=us,jp", "10.1.64.1", "country = jp country = us ", id="sorted"),
    pytest.param("&country=us,us", "10.1.64.1", "country = us ", id="without duplicates"),
    pytest.param("&country=Global", "10.1.64.1", "country = global ", id="global is said in lower case"),
    pytest.param("&country=global,us", "10.1.64.1", "country = global country = us ", id="global and a country"),
    pytest.param("&country=cz", "10.4.0.1", "country = DE country = FR ", id="the continent of an empty country"),
    pytest.param("&country=zz", "10.1.64.1", "country = DE country = FR country = global ", id="unknown country"),
    pytest.param(
        "&country=", "10.1.64.1", "Using preferred netblock Using ASN 64496 country = DE country = FR country = global "
    ),
    pytest.param("&protocol=https", "192.0.2.1", "country = global protocol = https", id="no space after a protocol"),
    pytest.param("&protocol=https,http", "192.0.2.1", "country = global protocol = https,http", id="raw protocols"),
    pytest.param("&protocol=rsync", "192.0.2.1", "country = global protocol = rsync", id="a protocol nobody has"),
    pytest.param(
        "&time", "192.0.2.1", f"country = global \n# database creation time: {NOW - 3600}", id="creation time"
    ),
    pytest.param(
        "&protocol=http&time",
        "192.0.2.1",
        f"country = global protocol = http\n# database creation time: {NOW - 3600}",
        id="creation time after a protocol",
    ),
]


@POLICIES
@pytest.mark.parametrize(("parameters", "client", "words"), CASES)
def test_comment_line(compatibility: str | None, parameters: str, client: str | None, words: str) -> None:
    assert comment(world(compatibility), f"/mirrorlist?{REPO}{parameters}", client) == START + words


@POLICIES
def test_path_is_said_trimmed_and_collapsed(compatibility: str | None) -> None:
    said = comment(world(compatibility), "/mirrorlist?path=//pub///linux/40/x86_64/os//", "192.0.2.1")
    assert said == "# path = pub/linux/40/x86_64/os country = global "


@POLICIES
def test_repository_is_said_after_the_redirect_and_arch_after_the_source_rule(compatibility: str | None) -> None:
    catalog = catalog_of(
        [mirror("a.example")],
        repositories={("fedora-source-40", "source"): "pub/linux/40/x86_64/os"},
        redirects={"rawhide-source": "fedora-source-40"},
    )
    served = rig_of(catalog, compatibility=compatibility)
    said = comment(served, "/mirrorlist?repo=rawhide-source&arch=x86_64", None)
    assert said == "# repo = fedora-source-40 arch = source country = global "


@POLICIES
def test_global_is_said_only_below_the_minimum(compatibility: str | None) -> None:
    four = comment(world(compatibility, minimum=4), f"/mirrorlist?{REPO}", "10.1.200.1")
    assert four == f"{START}country = DE country = FR "


def test_an_as_without_the_content_is_said_today_only() -> None:
    elsewhere = mirror("as.example", "FR", asns=(64497,))
    here = mirror("a.example", "DE")
    catalog = catalog_of([here, elsewhere])
    catalog = replace(catalog, host_sets=(part_of(catalog.host_sets[0], [0], [0]),))
    assert ASNS["10.9.0.0/16"] == 64497
    ours, today = rig_of(catalog), rig_of(catalog, compatibility="mirrormanager")
    assert comment(ours, f"/mirrorlist?{REPO}", "10.9.0.1") == f"{START}country = global "
    assert comment(today, f"/mirrorlist?{REPO}", "10.9.0.1") == f"{START}Using ASN 64497 country = global "
    assert ours.get(f"/mirrorlist?{REPO}", "10.9.0.1").tier is Tier.GLOBAL


def test_what_was_percent_encoded_is_said_decoded_by_default() -> None:
    served = world(None)
    assert comment(served, "/mirrorlist?repo=fedora%2d40&arch=%7886_64", None) == f"{START}country = global "
    said = comment(served, "/mirrorlist?path=pub/linux/40/x86_64/os/a%20b", None)
    assert said == "# path = pub/linux/40/x86_64/os/a b country = global "


def test_what_was_percent_encoded_stays_so_today() -> None:
    served = world("mirrormanager")
    assert served.get("/mirrorlist?repo=fedora%2d40&arch=x86_64").status == 404
    said = comment(served, "/mirrorlist?path=pub/linux/40/x86_64/os/a%20b", None)
    assert said == "# path = pub/linux/40/x86_64/os/a%20b country = global "


def test_today_repeats_a_continent_for_each_country_without_hosts() -> None:
    mirrors = [mirror("a.example", "DE")]
    for compatibility, words in ((None, "country = DE "), ("mirrormanager", "country = DE country = DE ")):
        served = rig(*mirrors, compatibility=compatibility)
        assert comment(served, f"/mirrorlist?{REPO}&country=cz,fr", None) == START + words


def test_today_a_country_in_two_spellings_is_said_twice() -> None:
    served = rig(mirror("a.example", "DE"), compatibility="mirrormanager")
    assert comment(served, f"/mirrorlist?{REPO}&country=de,DE", None) == f"{START}country = DE country = de "
