"""What clients may wish for, what is said when it cannot be had, and what is refused when it must be."""

from __future__ import annotations

import pytest

from redirector.answer.ask.query import parse_query
from tests.answer.trees import tree_rig
from tests.rig import Rig, mirror, rig

MIRRORS = (
    mirror("a.de", "DE", "http://a.de/pub", "https://a.de/pub", "rsync://a.de/pub"),
    mirror("b.de", "DE", "http://cdn.example/b", ipv6=True),
    mirror("a.fr", "FR", "https://a.fr/pub", ipv6=False),
    mirror("a.us", "US", "https://a.us/pub", "ftp://a.us/pub", ipv4=True),
    mirror("a.jp", "JP", "http://a.jp/pub"),
)

MANAGER = "/mirrorlist?repo=fedora-40&arch=x86_64&"
TREE = "/mirrorlist/9/baseos?"


@pytest.fixture(scope="module")
def manager() -> Rig:
    return rig(*MIRRORS)


@pytest.fixture(scope="module")
def tree() -> Rig:
    return tree_rig(*MIRRORS)


CASES = [
    pytest.param("country=us", {"a.us"}, "", id="a country"),
    pytest.param("country=us,jp", {"a.us", "a.jp"}, "", id="two countries"),
    pytest.param("country=cz", {"a.de", "cdn.example", "a.fr"}, "country", id="no host there: its continent"),
    pytest.param(
        "country=br", {"a.de", "cdn.example", "a.fr", "a.us", "a.jp"}, "country", id="nor there: the usual tiers"
    ),
    pytest.param("country=us,global", {"a.de", "cdn.example", "a.fr", "a.us", "a.jp"}, "", id="global is everywhere"),
    pytest.param("country=us,zz", {"a.us"}, "country", id="a code that is no country is said"),
    pytest.param("cc=zz", {"a.de", "cdn.example", "a.fr", "a.us", "a.jp"}, "country", id="alone too"),
    pytest.param("exclude_country=zz,de", {"a.fr", "a.us", "a.jp"}, "exclude_country", id="and of those excluded"),
    pytest.param("exclude_host=example", {"a.de", "a.fr", "a.us", "a.jp"}, "", id="a domain"),
    pytest.param("exclude_host=.de,nobody", {"a.fr", "a.us", "a.jp"}, "exclude_host", id="a domain, and nobody"),
    pytest.param("protocol=rsync", {"a.de"}, "", id="a protocol"),
    pytest.param("protocol=ftp,rsync", {"a.de", "a.us"}, "", id="either protocol"),
    pytest.param("country=jp&protocol=https", {"a.jp"}, "protocol", id="the country counts before the protocol"),
    pytest.param("country=br&protocol=rsync", {"a.de"}, "country", id="a protocol where the country is not met"),
    pytest.param("exclude_host=a.de", {"cdn.example", "a.fr", "a.us", "a.jp"}, "", id="without a host"),
    pytest.param("exclude_host=CDN.example,a.us", {"a.de", "a.fr", "a.jp"}, "", id="by the host of its URL"),
    pytest.param("exclude_host=b.de", {"a.de", "a.fr", "a.us", "a.jp"}, "", id="by its name"),
    pytest.param(
        "exclude_host=nobody.example", {"a.de", "cdn.example", "a.fr", "a.us", "a.jp"}, "exclude_host", id="nobody"
    ),
    pytest.param(
        "exclude_host=a.de,b.de,a.fr,a.us,a.jp",
        {"a.de", "cdn.example", "a.fr", "a.us", "a.jp"},
        "exclude_host",
        id="without all of them",
    ),
    pytest.param("exclude_country=de,us", {"a.fr", "a.jp"}, "", id="without countries"),
    pytest.param("country=fr&exclude_host=a.fr", {"a.de", "cdn.example"}, "country", id="a country without its host"),
    pytest.param("ipv6=1", {"cdn.example"}, "", id="known to serve IPv6"),
    pytest.param("ipv4=1", {"a.us"}, "", id="known to serve IPv4"),
    pytest.param("ipv6=1&exclude_host=b.de", {"a.de", "a.fr", "a.us", "a.jp"}, "ipv6", id="nobody left serves IPv6"),
    pytest.param(
        "country=br&protocol=ftp&exclude_host=a.us",
        {"a.de", "cdn.example", "a.fr", "a.jp"},
        "country, protocol",
        id="two relaxed at once",
    ),
]


@pytest.mark.parametrize("dialect", ["manager", "tree"])
@pytest.mark.parametrize(("parameters", "hosts", "relaxed"), CASES)
def test_wish_is_met_or_relaxed(
    dialect: str, parameters: str, hosts: set[str], relaxed: str, request: pytest.FixtureRequest
) -> None:
    served: Rig = request.getfixturevalue(dialect)
    target = (MANAGER if dialect == "manager" else TREE) + parameters
    assert set(served.hosts(target, None)) == hosts
    assert dict(served.get(target, None).headers).get("X-Relaxed", "") == relaxed


@pytest.mark.parametrize("target", [MANAGER, TREE])
@pytest.mark.parametrize("limit", [1, 2, 4])
def test_limit_cuts_what_other_wishes_leave(target: str, limit: int, manager: Rig, tree: Rig) -> None:
    served = manager if target == MANAGER else tree
    whole = served.hosts(target + "exclude_country=fr", "10.1.0.1")
    assert served.hosts(f"{target}exclude_country=fr&limit={limit}", "10.1.0.1") == whole[:limit]
    assert len(whole) == 4


def test_limit_counts_hosts_and_not_urls(manager: Rig) -> None:
    urls = manager.urls(f"{MANAGER}protocol=https,http,rsync&limit=1&country=de&exclude_host=b.de")
    assert len(urls) == 3


def test_no_wish_makes_a_list_longer_than_the_tree_s_own() -> None:
    served = tree_rig(*(mirror(f"m{n}", "DE") for n in range(20)))
    assert len(served.hosts(f"{TREE}limit=15")) == 10


def test_urls_of_wished_protocols_come_best_first(manager: Rig) -> None:
    urls = manager.urls(f"{MANAGER}protocol=rsync,http,https&country=de&exclude_host=b.de")
    assert [url.partition(":")[0] for url in urls] == ["https", "http", "rsync"]
    urls = manager.urls(f"{MANAGER}protocol=http,rsync&country=de&exclude_host=b.de")
    assert [url.partition(":")[0] for url in urls] == ["http", "rsync"]


def test_by_default_https_comes_before_http_and_ftp_is_the_last_resort() -> None:
    served = rig(
        mirror("a", "DE", "rsync://a/pub", "ftp://a/pub", "http://a/pub", "https://a/pub"),
        mirror("b", "DE", "rsync://b/pub", "ftp://b/pub", "http://b/pub"),
        mirror("c", "DE", "rsync://c/pub", "ftp://c/pub"),
        mirror("d", "DE", "rsync://d/pub"),
    )
    assert {url.split("/pub")[0] for url in served.urls(MANAGER)} == {"https://a", "http://b", "ftp://c"}


def test_rsync_is_listed_only_where_nobody_has_anything_else() -> None:
    served = rig(mirror("d", "DE", "rsync://d/pub"))
    assert served.urls(MANAGER) == ["rsync://d/pub/linux/40/x86_64/os/"]


def test_a_redirect_to_a_protocol_that_browsers_lack_goes_to_http(manager: Rig) -> None:
    answer = manager.get(f"{MANAGER}redirect&protocol=rsync", None)
    assert (answer.status, dict(answer.headers)["Location"].partition(":")[0]) == (302, "https")
    assert dict(answer.headers)["X-Relaxed"] == "protocol"
    assert manager.get(f"{MANAGER}redirect&require=rsync", None).status == 404


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ("require=country&country=us", 200),
        ("require=country&country=br", 404),
        ("require=https", 200),
        ("require=https&country=jp", 404),
        ("require=ftp", 200),
        ("require=protocol&protocol=ftp&country=de", 404),
        ("require=ipv6", 200),
        ("require=ipv6&exclude_host=b.de", 404),
        ("require=ipv4,https&country=us", 200),
    ],
)
@pytest.mark.parametrize("target", [MANAGER, TREE])
def test_what_is_required_is_met_or_refused(target: str, parameters: str, status: int, manager: Rig, tree: Rig) -> None:
    answer = (manager if target == MANAGER else tree).get(target + parameters, None)
    assert answer.status == status
    if status == 404:
        assert answer.body.startswith(b"no mirror that carries this meets what is required: ")


def test_a_wish_that_leaves_only_the_client_s_own_network_is_relaxed() -> None:
    for served, target in (
        (rig(mirror("own", "DE", netblocks=("10.1.0.0/16",), private=True)), MANAGER),
        (tree_rig(mirror("own", "DE", netblocks=("10.1.0.0/16",), private=True)), TREE),
    ):
        for parameters, relaxed in (("netblock=0", "netblock"), ("country=us", "country")):
            assert served.hosts(target + parameters) == ["own"]
            assert dict(served.get(target + parameters).headers)["X-Relaxed"] == relaxed
            assert served.get(target + parameters, "10.2.0.1").headers == ()


def test_sixty_countries_are_sixty_countries(manager: Rig) -> None:
    sixty = ",".join(f"{a}{b}" for a in "abcdefgh" for b in "klmnopqr")[: 60 * 3 - 1]
    assert set(manager.hosts(f"{MANAGER}country={sixty},us", None)) == {"a.us", "a.fr"}
    assert manager.get(f"{MANAGER}country={sixty}", None).status == 200


def test_a_client_s_family_leaves_out_hosts_known_not_to_serve_it(manager: Rig, tree: Rig) -> None:
    for served, target in ((manager, MANAGER), (tree, TREE)):
        assert "a.fr" not in served.hosts(target, "2001:db8:1::1")
        assert "a.fr" in served.hosts(target, "10.1.0.1")
    lone = tree_rig(mirror("v4", "DE", ipv6=False))
    assert lone.hosts(TREE, "2001:db8:1::1") == ["v4"]
    assert lone.get(TREE, "2001:db8:1::1").headers == ()


def test_ip_of_another_family_counts_for_the_family(tree: Rig) -> None:
    assert "a.fr" not in tree.hosts(f"{TREE}ip=2001:db8:1::1", "10.1.0.1")


def test_isolists_heed_wishes(tree: Rig) -> None:
    answer = tree.get("/isolist/9/x86_64?country=us&ip=10.4.0.1")
    assert (answer.body, answer.content_type) == (b'["https://a.us/pub/9.8/isos/x86_64/"]', "application/json")
    assert answer.country == "JP"


@pytest.mark.parametrize(("typed", "meant"), [("uk", "GB"), ("UK", "GB"), ("el", "GR"), ("gb", "gb")])
def test_countries_are_read_as_in_files(typed: str, meant: str) -> None:
    served = rig(mirror("a.gb", "GB"), mirror("a.gr", "GR"), mirror("a.de", "DE"))
    wishes = parse_query(f"{MANAGER}country={typed}&exclude_country={typed}".encode()).wishes
    assert wishes.countries == (meant,)
    assert wishes.exclude_countries == {meant.upper()}
    assert served.hosts(f"{MANAGER}country={typed}") == [f"a.{meant.lower()}"]


@pytest.mark.parametrize("form", ["mirrorlist", "metalink", "meta4", "json", "apt", "pacman"])
@pytest.mark.parametrize("wish", ["country=de,zz", "exclude_country=zz", "exclude_host=nobody.example.net"])
def test_what_names_nothing_is_said_in_every_format(form: str, wish: str, manager: Rig) -> None:
    headers = dict(manager.get(f"{MANAGER}{wish}&format={form}").headers)
    assert headers["X-Relaxed"] == wish.partition("=")[0]
