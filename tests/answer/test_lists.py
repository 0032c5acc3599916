"""A list is what ranking says: the hosts of each group in some order, group by group, each with its own URLs."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from redirector.answer.answer import Answer, Form, Tier
from redirector.answer.ask.query import parse_query
from redirector.answer.ask.resolve import resolve
from redirector.answer.choose.rank import Ranking, rank
from redirector.answer.choose.sheets import visible
from redirector.model import Catalog, Dialect, HostId, HostSet
from tests.answer.catalogs import CLIENTS, catalogs
from tests.answer.forms import refuse_forged
from tests.answer.trees import tree_of
from tests.rig import Rig, rig_of

NAMES = st.sampled_from(("fedora-40", "part-40"))

WISHES = st.lists(
    st.sampled_from(
        (
            "country=de",
            "country=cz,fr",
            "country=zz",
            "country=global",
            "country=" + ",".join(f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh")[: 60 * 3 - 1],
            "protocol=https",
            "protocol=rsync,ftp",
            "protocol=http",
            "netblock=0",
            "exclude_host=h0",
            "exclude_host=h1,h2,nobody",
            "exclude_country=de",
            "exclude_country=de,fr,us,cz,jp",
            "limit=1",
            "limit=3",
            "ipv4=1",
            "ipv6=1",
        )
    ),
    max_size=4,
    unique_by=lambda wish: wish.split("=")[0],
)


def ranking_of(served: Rig, target: str, client: str, form: Form) -> tuple[Ranking, dict[HostId, tuple[str, ...]], str]:
    """What ranking alone says of a request, the base URLs, and what follows them."""
    snapshot = served.responder.snapshot
    query = parse_query(target.encode(), snapshot.policy.decode)
    listing = resolve(snapshot, query)
    address = ip_address(client).packed
    audience = snapshot.audiences.audience(snapshot.audiences.find(address))
    family = (4 if len(address) == 4 else 6) if snapshot.families_known else None
    carriers = snapshot.host_sets[listing.host_set]
    ranking = rank(snapshot, carriers, audience, query.wishes, family)
    return *visible(snapshot, carriers, ranking, query.wishes, form), listing.ending


def hosts_in(answer: Answer, catalog: Catalog) -> list[HostId]:
    names = {host.name: HostId(n) for n, host in enumerate(catalog.hosts)}
    return list(dict.fromkeys(names[name] for name in re.findall(r"://(h[0-9]+)/", answer.body.decode())))


def assert_is_ranking(catalog: Catalog, answer: Answer, ranking: Ranking, hosts: list[HostId]) -> None:
    """Group by group, up to the length, and the origin last."""
    eligible = sum(len(group.hosts) for group in ranking.groups)
    length = eligible if ranking.length is None else min(ranking.length, eligible)
    if ranking.origin is not None:
        assert hosts[-1] == ranking.origin
        hosts = hosts[:-1]
    assert len(hosts) == len(set(hosts)) == length
    rest = list(hosts)
    for group in ranking.groups:
        head, rest = rest[: len(group.hosts)], rest[len(group.hosts) :]
        if len(head) == len(group.hosts):
            assert sorted(head) == sorted(group.hosts)
        assert set(head) <= set(group.hosts)
        if group.weights is None:
            assert head == list(group.hosts[: len(head)])
    first_tier = ranking.groups[0].tier if ranking.groups else Tier.NONE
    assert answer.tier is (Tier.GLOBAL if ranking.origin is not None and not hosts else first_tier)
    assert answer.first == next(iter(hosts), ranking.origin)
    assert {HostId(n) for n, host in enumerate(catalog.hosts) if host.origin} >= {ranking.origin} - {None}


@given(
    catalogs(), NAMES, WISHES, st.lists(st.sampled_from(CLIENTS), min_size=1, max_size=4), st.sampled_from((0, 2, 5))
)
def test_a_mirrorlist_is_the_ranking(
    catalog: Catalog, name: str, wishes: list[str], clients: list[str], minimum: int
) -> None:
    target = "&".join((f"/mirrorlist?repo={name}&arch=x86_64", *wishes))
    for compatibility in (None, "mirrormanager"):
        served = rig_of(catalog, compatibility=compatibility, minimum=minimum)
        for client in clients:
            answer = served.get(target, client)
            ranking, shown, ending = ranking_of(served, target, client, Form.MIRRORLIST)
            refuse_forged(answer)
            assert answer.status == 200
            hosts = hosts_in(answer, catalog)
            assert_is_ranking(catalog, answer, ranking, hosts)
            comment, *urls = answer.body.decode().splitlines()
            assert urls == [url + ending for host in hosts for url in shown[host]]
            assert comment.startswith(f"# repo = {name} arch = x86_64 {ranking.comment}")
            if compatibility is None:
                assert answer.relaxed == ranking.relaxed


@given(catalogs(), NAMES, WISHES, st.sampled_from(CLIENTS))
def test_a_metalink_is_the_ranking(catalog: Catalog, name: str, wishes: list[str], client: str) -> None:
    target = "&".join((f"/metalink?repo={name}&arch=x86_64", *wishes))
    for compatibility in (None, "mirrormanager"):
        served = rig_of(catalog, compatibility=compatibility)
        answer = served.get(target, client)
        ranking, shown, ending = ranking_of(served, target, client, Form.METALINK)
        hosts = hosts_in(answer, catalog)
        assert_is_ranking(catalog, answer, ranking, hosts)
        found = re.findall(r'preference="([0-9]+)"[^>]*>([^<]*)</url>', answer.body.decode())
        expected = [(str(100 - n), url + ending) for n, host in enumerate(hosts) for url in shown[host]]
        assert found == expected


@given(catalogs(), NAMES, WISHES, st.sampled_from(CLIENTS))
def test_a_redirect_goes_to_the_first_of_the_list(catalog: Catalog, name: str, wishes: list[str], client: str) -> None:
    target = "&".join((f"/mirrorlist?repo={name}&arch=x86_64&redirect", *wishes))
    served = rig_of(catalog)
    answer = served.get(target, client)
    refuse_forged(answer)
    ranking, shown, ending = ranking_of(served, target, client, Form.REDIRECT)
    if not ranking.groups:
        assert answer.status == 404
    else:
        assert answer.first in ranking.groups[0].hosts
        assert dict(answer.headers)["Location"] == shown[answer.first][0] + ending


@given(catalogs(Dialect.ALMALINUX, max_size=14), WISHES, st.sampled_from(CLIENTS), st.sampled_from((1, 3, 10)))
def test_a_list_by_distance_is_the_ranking(catalog: Catalog, wishes: list[str], client: str, length: int) -> None:
    tree = tree_of(hosts=catalog.hosts, host_sets=catalog.host_sets[:1], list_length=length)
    target = f"/mirrorlist/9/baseos?{'&'.join(wishes)}"
    served = rig_of(tree)
    answer = served.get(target, client)
    refuse_forged(answer)
    ranking, shown, ending = ranking_of(served, target, client, Form.MIRRORLIST)
    hosts = hosts_in(answer, tree)
    assert_is_ranking(tree, answer, ranking, hosts)
    assert answer.body.decode().splitlines() == [url + ending for host in hosts for url in shown[host]]


@given(catalogs(), st.sampled_from(CLIENTS))
def test_a_client_gets_one_order_in_every_form(catalog: Catalog, client: str) -> None:
    """With a window, and as far as every host can be shown."""
    shown = replace(catalog, host_sets=tuple(with_https(each) for each in catalog.host_sets))
    served = rig_of(shown)
    query = "repo=fedora-40&arch=x86_64"
    hosts = hosts_in(served.get(f"/mirrorlist?{query}", client), shown)
    assert hosts_in(served.get(f"/metalink?{query}", client), shown) == hosts
    part = hosts_in(served.get("/mirrorlist?repo=part-40&arch=x86_64", client), shown)
    assert not part or not hosts or hosts[0] not in part or part[0] == hosts[0]


def with_https(carriers: HostSet) -> HostSet:
    return replace(carriers, urls={host: (f"https://h{host}/pub",) for host in carriers.urls})


@given(catalogs(), NAMES, WISHES, st.sampled_from((None, *CLIENTS)), st.booleans())
def test_a_list_is_never_empty_where_a_host_may_be_given(
    catalog: Catalog, name: str, wishes: list[str], client: str | None, is_tree: bool
) -> None:
    if is_tree:
        served = rig_of(tree_of(hosts=catalog.hosts, host_sets=catalog.host_sets[:1]))
        plain, asked = "/mirrorlist/9/baseos", f"/mirrorlist/9/baseos?{'&'.join(wishes)}"
    else:
        served = rig_of(catalog)
        plain = f"/mirrorlist?repo={name}&arch=x86_64"
        asked = "&".join((plain, *wishes))
    has_urls = b"://" in served.get(plain, client).body
    assert (b"://" in served.get(asked, client).body) == has_urls


@given(catalogs(), WISHES, st.sampled_from(CLIENTS))
def test_what_is_required_and_not_met_is_an_error(catalog: Catalog, wishes: list[str], client: str) -> None:
    served = rig_of(catalog)
    target = "&".join(("/mirrorlist?repo=fedora-40&arch=x86_64", *wishes))
    relaxed = set(served.get(target, client).relaxed)
    if {"ipv4=1", "ipv6=1"} <= set(wishes):  # both together wish for nothing
        return
    for demand in ("country", "protocol", "ipv4", "ipv6"):
        answer = served.get(f"{target}&require={demand}", client)
        if f"{demand}=1" in wishes or demand in ("country", "protocol"):
            assert answer.status == (404 if demand in relaxed else 200)
            refuse_forged(answer)
