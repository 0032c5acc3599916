"""Private stays private: on every path through the code, whatever a client sends."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.answer.answer import Answer
from redirector.answer.explain import explain
from redirector.errors import QueryError
from redirector.model import Catalog, Dialect, Host
from tests.answer.catalogs import CLIENTS, catalogs
from tests.answer.trees import tree_of
from tests.rig import ASNS, Rig, mirror, rig, rig_of

FORMS = (
    "/mirrorlist?{}",
    "/mirrorlist?{}&redirect",
    "/metalink?{}",
    "/mirrorlist?{}&format=metalink",
    "/mirrorlist?{}&format=json",
    "/mirrorlist?{}&format=apt",
    "/mirrorlist?{}&format=pacman",
    "/metalink?{}&format=meta4",
)
DIRECTORIES = (
    "repo=fedora-40&arch=x86_64",
    "repo=part-40&arch=x86_64",
    "path=pub/linux/40/x86_64/os/repodata/repomd.xml",
    "path=pub/linux/40/part/os/file.iso",
)
OF_TREES = (
    "/mirrorlist/9/baseos",
    "/mirrorlist/9/baseos?redirect=1&arch=x86_64",
    "/isolist/9/x86_64",
    "/metalink?repo=baseos-9&arch=x86_64",
    "/mirrorlist/9/baseos?arch=x86_64&format=json",
    "/9/BaseOS/x86_64/os/file.rpm",
    "/",
)
WISHES = (
    "",
    "country=de",
    "country=global",
    "country=zz",
    "netblock=0",
    "netblock=1",
    "protocol=rsync",
    "protocol=https,http",
    "exclude_host=h0,h1",
    "exclude_country=de,us",
    "limit=1",
    "ipv6=1",
    "require=rsync",
    "country=fr&netblock=0&limit=2",
)


def is_around(host: Host, address: str | None) -> bool:
    """Whether *address* is in a netblock or an AS of *host*."""
    if address is None:
        return False
    at = ip_address(address)
    asns = {
        max((network.prefixlen, asn) for network, asn in inside)[1]
        for inside in [[(ip_network(text), asn) for text, asn in ASNS.items() if at in ip_network(text)]]
        if inside
    }
    return any(at in network for network in host.netblocks) or bool(asns & set(host.asns))


def names_in(answer: Answer, catalog: Catalog) -> set[str]:
    """The hosts that an answer gives away, in body or headers."""
    text = answer.body.decode() + "".join(value for _, value in answer.headers)
    return {host.name for host in catalog.hosts if f"//{host.name}/" in text}


def assert_kept(catalog: Catalog, served: Rig, target: str, client: str | None, ip: str | None, trusted: bool) -> None:
    if ip is not None:
        target += ("&" if "?" in target else "?") + f"ip={ip}"
    told = names_in(served.get(target, client, trusted), catalog)
    seen_from = client if ip is None else ip if trusted else None
    for number, host in enumerate(catalog.hosts):
        stranger = not is_around(host, seen_from)
        if host.name in told and stranger:
            assert not host.private, f"{host.name} is private"
            sets = catalog.host_sets[1:] if "part" in target else catalog.host_sets[:1]
            assert any(number in carriers.public for carriers in sets) or host.local, f"{host.name} is not public here"


CLIENT = st.sampled_from((None, *CLIENTS))
ADDRESS = st.sampled_from((None, None, *CLIENTS))


@given(
    catalogs(),
    st.sampled_from([form.format(directory) for form in FORMS for directory in DIRECTORIES]),
    st.lists(st.sampled_from(WISHES), min_size=1, max_size=5),
    CLIENT,
    ADDRESS,
    st.booleans(),
    st.sampled_from((None, "mirrormanager")),
)
def test_a_private_host_is_never_given_outside_its_networks(
    catalog: Catalog,
    target: str,
    wishes: list[str],
    client: str | None,
    ip: str | None,
    trusted: bool,
    compatibility: str | None,
) -> None:
    served = rig_of(catalog, compatibility=compatibility)
    for wish in wishes:
        assert_kept(catalog, served, f"{target}&{wish}", client, ip, trusted)


@given(
    catalogs(Dialect.ALMALINUX),
    st.sampled_from(OF_TREES),
    st.lists(st.sampled_from(WISHES), min_size=1, max_size=5),
    CLIENT,
    ADDRESS,
    st.booleans(),
)
def test_a_private_mirror_of_a_tree_is_never_given_outside_its_networks(
    catalog: Catalog, target: str, wishes: list[str], client: str | None, ip: str | None, trusted: bool
) -> None:
    tree = tree_of(hosts=catalog.hosts, host_sets=catalog.host_sets[:1])
    served = rig_of(tree)
    for wish in wishes:
        asked = f"{target}{'&' if '?' in target else '?'}{wish}"
        assert_kept(tree, served, asked, client, ip, trusted)


PRIVATE = mirror("secret.example", "DE", netblocks=("10.1.64.0/18",), asns=(64497,), private=True)
PUBLIC = mirror("open.example", "DE")


def test_a_private_host_of_a_cloud_is_private_first() -> None:
    served = rig(replace(PRIVATE, host=replace(PRIVATE.host, local=True)), PUBLIC, dialect=Dialect.ALMALINUX)
    for form in FORMS:
        asked = form.format(DIRECTORIES[0])
        assert "secret.example" not in served.get(f"{asked}&ip=10.1.64.1", "10.1.0.1").body.decode()
        assert "secret.example" not in str(served.get(f"{asked}&ip=10.1.64.1", "10.1.0.1").headers)


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
@pytest.mark.parametrize(
    ("client", "ip", "trusted", "given_away"),
    [
        pytest.param("10.1.64.1", None, False, True, id="inside its netblock"),
        pytest.param("10.9.0.1", None, False, True, id="inside its AS"),
        pytest.param("10.1.0.1", None, False, False, id="outside"),
        pytest.param(None, None, False, False, id="unknown"),
        pytest.param("10.1.0.1", "10.1.64.1", False, False, id="a stranger who says he is inside"),
        pytest.param("10.1.64.1", "10.1.64.1", False, False, id="a client inside who says so: strangers could too"),
        pytest.param("127.0.0.1", "10.1.64.1", True, True, id="a trusted proxy who says that its client is inside"),
        pytest.param("10.1.64.1", "10.1.0.1", False, False, id="a client inside who says he is not"),
    ],
)
def test_who_is_given_a_private_host(
    compatibility: str | None, client: str | None, ip: str | None, trusted: bool, given_away: bool
) -> None:
    served = rig(PRIVATE, PUBLIC, compatibility=compatibility)
    for form in FORMS[:3]:
        target = form.format(DIRECTORIES[0]) + (f"&ip={ip}" if ip else "")
        answer = served.get(target, client, trusted)
        told = answer.body.decode() + "".join(value for _, value in answer.headers)
        assert ("secret.example" in told) == given_away
        assert given_away or answer.status == 302 or "open.example" in told


def test_an_ip_of_a_stranger_still_chooses_the_place() -> None:
    served = rig(PRIVATE, PUBLIC, mirror("fr.example", "FR"), minimum=1)
    assert served.hosts(f"/mirrorlist?{DIRECTORIES[0]}&ip=10.2.0.1", "10.1.0.1")[0] == "fr.example"


def test_explain_names_a_private_host_only_as_left_out() -> None:
    served = rig(PRIVATE, PUBLIC)
    for client, tier in (("10.1.0.1", ""), ("10.1.64.1", "netblock"), ("10.9.0.1", "asn")):
        told = explain(served.responder, f"/mirrorlist?{DIRECTORIES[0]}", client, 0.0)
        verdict = next(each for each in told.hosts if each.host == "secret.example")
        assert (verdict.tier, bool(verdict.urls)) == (tier, bool(tier))
    with pytest.raises(QueryError):
        explain(served.responder, f"/mirrorlist?{DIRECTORIES[0]}", "nobody", 0.0)


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_a_mapped_address_is_the_ipv4_one(compatibility: str | None) -> None:
    served = rig(PRIVATE, PUBLIC, compatibility=compatibility, window_s=3600)
    for address in ("10.1.64.1", "10.3.0.1"):
        target = f"/mirrorlist?{DIRECTORIES[0]}&ip="
        mapped, plain = (served.get(target + text, "127.0.0.1", True) for text in (f"::ffff:{address}", address))
        assert (mapped.body, mapped.country) == (plain.body, plain.country)
