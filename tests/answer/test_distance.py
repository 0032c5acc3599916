"""AlmaLinux's rule: the client's network, then by distance, over trees of a few mirrors."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.answer.answer import Tier
from redirector.answer.ask.wishes import NO_WISHES, Wishes
from redirector.answer.choose.rank import rank
from redirector.locate.geoip import Location, load_geoip
from redirector.locate.places import distance_km, place_of_country
from redirector.model import Host, HostId, HostSetId, Place
from tests.answer.trees import RELEASES, tree_of
from tests.real import GEOIP
from tests.rig import Mirror, Rig, mirror, rig_of, snapshot_of

NET, ASN, COUNTRY, GLOBAL = Tier.NETBLOCK, Tier.ASN, Tier.COUNTRY, Tier.GLOBAL

LONDON, MANCHESTER, EDINBURGH = Place(51.5, -0.1), Place(53.48, -2.24), Place(55.95, -3.19)
PARIS, BRUSSELS, FRANKFURT = Place(48.85, 2.35), Place(50.85, 4.35), Place(50.11, 8.68)
BERLIN, NEW_YORK, TOKYO = Place(52.52, 13.4), Place(40.7, -74.0), Place(35.7, 139.7)

GEO = {
    "10.1.0.0/16": Location("GB", LONDON.latitude, LONDON.longitude),
    "10.2.0.0/16": Location("GB"),
    "10.3.0.0/16": Location(None, LONDON.latitude, LONDON.longitude),
    "10.4.0.0/16": Location("AQ"),
}
IN_LONDON, IN_BRITAIN, NEAR_LONDON, IN_ANTARCTICA, NOWHERE = "10.1.0.1", "10.2.0.1", "10.3.0.1", "10.4.0.1", "192.0.2.1"
ASNS = {"10.1.64.0/18": 64496}

TREE = "/mirrorlist/9/baseos"


def at(name: str, country: str | None, place: Place | None, **facts: object) -> Mirror:
    return mirror(name, country, place=place, **facts)


WORLD = (
    at("london", "GB", LONDON),
    at("manchester", "GB", MANCHESTER),
    at("edinburgh", "GB", EDINBURGH),
    at("paris", "FR", PARIS),
    at("brussels", "BE", BRUSSELS),
    at("frankfurt", "DE", FRANKFURT),
    at("berlin", "DE", BERLIN),
    at("new-york", "US", NEW_YORK),
    at("tokyo", "JP", TOKYO),
)


def served_by(*mirrors: Mirror, **fields: object) -> Rig:
    return rig_of(tree_of(*mirrors, **fields), geo=GEO, asns=ASNS)


Told = list[tuple[Tier, set[str] | list[str]]]


def groups_of(served: Rig, client: str | None, wishes: Wishes = NO_WISHES) -> Told:
    """The groups of a list: sets where chance decides, lists where distance does; and where the list is cut."""
    snapshot = served.responder.snapshot
    address = ip_address(client).packed if client else None
    audience = snapshot.audiences.audience(snapshot.audiences.find(address))
    family = None if address is None else 4 if len(address) == 4 else 6
    ranking = rank(snapshot, snapshot.host_sets[0], audience, wishes, family)
    told: Told = []
    room = ranking.length if ranking.length is not None else 99
    for group in ranking.groups:
        names = [snapshot.hosts[host].name for host in group.hosts]
        if room > 0:
            told.append((group.tier, set(names) if group.weights else names[:room]))
        room -= len(names)
    listed = [host for group in ranking.groups for host in group.hosts]
    origin = [] if ranking.origin is None else [ranking.origin]
    assert sorted([*listed, *ranking.dropped, *origin]) == sorted(snapshot.host_sets[0].urls), "each host once"
    return told


def test_groups_a_to_d() -> None:
    assert groups_of(served_by(*WORLD), IN_LONDON) == [
        (COUNTRY, {"london", "manchester"}),
        (COUNTRY, ["edinburgh"]),
        (GLOBAL, {"paris", "brussels"}),
        (GLOBAL, ["frankfurt", "berlin", "new-york", "tokyo"]),
    ]


def test_what_is_near_is_a_key_of_the_tree() -> None:
    assert groups_of(served_by(*WORLD, near_km=650.0), IN_LONDON)[:2] == [
        (COUNTRY, {"london", "manchester", "edinburgh"}),
        (GLOBAL, {"paris", "brussels", "frankfurt"}),
    ]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 9, 12])
def test_a_list_has_the_length_that_the_tree_says(length: int) -> None:
    served = served_by(*WORLD, list_length=length)
    assert len(served.hosts(TREE, IN_LONDON)) == min(length, len(WORLD))
    whole = served_by(*WORLD).hosts(TREE, IN_LONDON)
    assert served.hosts(TREE, IN_LONDON) == whole[:length]


def test_the_usual_length_is_ten() -> None:
    served = served_by(*(at(f"m{n}", "GB", LONDON) for n in range(30)))
    lists = [served.hosts(TREE, f"10.1.0.{n}") for n in range(1, 60)]
    assert {len(each) for each in lists} == {10}
    assert {host for each in lists for host in each} == {f"m{n}" for n in range(30)}


def test_mirrors_of_one_place_are_drawn_among_each_other() -> None:
    served = served_by(*WORLD[2:3], at("edinburgh2", "GB", EDINBURGH), at("glasgow", "GB", Place(55.86, -4.25)))
    assert groups_of(served, IN_LONDON) == [(COUNTRY, {"edinburgh", "edinburgh2"}), (COUNTRY, ["glasgow"])]


def test_without_a_place_the_whole_country_comes_first_then_by_the_distance_of_its_largest_city() -> None:
    assert place_of_country("GB") is not None
    assert groups_of(served_by(*WORLD), IN_BRITAIN) == [
        (COUNTRY, {"london", "manchester", "edinburgh"}),
        (GLOBAL, ["brussels", "paris", "frankfurt", "berlin", "new-york", "tokyo"]),
    ]


def test_without_a_country_distance_alone_counts() -> None:
    assert groups_of(served_by(*WORLD), NEAR_LONDON) == [
        (GLOBAL, {"london", "manchester", "paris", "brussels"}),
        (GLOBAL, ["edinburgh", "frankfurt", "berlin", "new-york", "tokyo"]),
    ]


@pytest.mark.parametrize("client", [NOWHERE, None, IN_ANTARCTICA], ids=["nowhere", "unknown", "a country without city"])
def test_where_nothing_is_known_the_public_mirrors_are_drawn(client: str | None) -> None:
    everybody = {each.host.name for each in WORLD}
    assert groups_of(served_by(*WORLD), client) == [(GLOBAL, everybody)]


def test_a_mirror_that_cannot_be_placed_comes_after_those_that_can() -> None:
    served = served_by(*WORLD[6:8], at("lost", None, None))
    assert groups_of(served, IN_LONDON) == [(GLOBAL, ["berlin", "new-york"]), (GLOBAL, {"lost"})]
    assert groups_of(served, NOWHERE) == [(GLOBAL, {"berlin", "new-york", "lost"})]


AROUND = {"netblocks": ("10.1.64.0/18",)}
SAME_AS = {"asns": (64496,)}
INSIDE = "10.1.64.1"


def test_mirrors_on_the_client_s_network_come_first_and_are_filled_up_by_distance() -> None:
    served = served_by(
        *WORLD,
        at("own", "JP", TOKYO, private=True, **AROUND),
        at("own-as", "US", NEW_YORK, private=True, **SAME_AS),
        at("cloud", "US", NEW_YORK, local=True, **AROUND),
        at("public-as", "US", NEW_YORK, **SAME_AS),
    )
    told = groups_of(served, INSIDE)
    assert told[0] == (NET, {"own", "own-as", "cloud", "public-as"})
    assert told[1:3] == [(COUNTRY, {"london", "manchester"}), (COUNTRY, ["edinburgh"])]
    assert len(served.hosts(TREE, INSIDE)) == 10
    assert groups_of(served, IN_LONDON)[0] == (COUNTRY, {"london", "manchester"})
    assert "public-as" in {name for _, names in groups_of(served, IN_LONDON) for name in names}


def test_an_as_alone_is_its_own_tier() -> None:
    served = served_by(*WORLD, at("own-as", "US", NEW_YORK, **SAME_AS))
    assert groups_of(served, INSIDE)[0] == (ASN, {"own-as"})
    assert served.get(TREE, INSIDE).tier is ASN


def test_all_mirrors_on_the_client_s_network_are_listed_even_if_there_are_more_than_ten() -> None:
    served = served_by(*WORLD, *(at(f"own{n}", "GB", LONDON, **AROUND) for n in range(12)))
    assert set(served.hosts(TREE, INSIDE)) == {f"own{n}" for n in range(12)}
    assert len(served.hosts(f"{TREE}?limit=3", INSIDE)) == 3


def test_private_and_cloud_mirrors_are_for_their_networks_alone() -> None:
    served = served_by(
        at("secret", "GB", LONDON, private=True),
        at("own", "GB", LONDON, private=True, **AROUND),
        at("cloud", "GB", LONDON, local=True, **AROUND),
        at("open", "JP", TOKYO),
    )
    assert groups_of(served, IN_LONDON) == [(GLOBAL, ["open"])]
    assert groups_of(served, None) == [(GLOBAL, {"open"})]
    assert groups_of(served, INSIDE) == [(NET, {"own", "cloud"}), (GLOBAL, ["open"])]
    assert groups_of(served, INSIDE, Wishes(networks=False)) == [(GLOBAL, ["open"])]
    assert groups_of(served, INSIDE, Wishes(private=False)) == [(NET, {"cloud"}), (GLOBAL, ["open"])]


MONOPOLY = at("monopoly", "GB", LONDON, private=True, monopoly=True, **AROUND)
NO_HTTPS = Mirror(MONOPOLY.host, ("http://monopoly/pub",))


def test_a_monopoly_is_answered_alone() -> None:
    served = served_by(*WORLD, MONOPOLY, at("own", "GB", LONDON, private=True, **AROUND))
    assert groups_of(served, INSIDE) == [(NET, {"monopoly"})]
    assert "monopoly" not in {name for _, names in groups_of(served, IN_LONDON) for name in names}


@pytest.mark.parametrize(
    ("parameters", "relaxed"),
    [
        ("protocol=https", "protocol"),
        ("country=fr", "country"),
        ("country=global", ""),
        ("country=gb&protocol=http", ""),
        ("exclude_host=monopoly", "exclude_host"),
        ("exclude_country=gb", "exclude_country"),
        ("ipv6=1", "ipv6"),
        ("limit=5", ""),
        ("protocol=ftp&country=us", "country, protocol"),
    ],
)
def test_no_wish_sends_the_clients_of_a_monopoly_to_the_internet(parameters: str, relaxed: str) -> None:
    answer = served_by(*WORLD, NO_HTTPS).get(f"{TREE}?{parameters}", INSIDE)
    assert answer.body == b"http://monopoly/pub/9.8/BaseOS/$basearch/os/\n"
    assert dict(answer.headers).get("X-Relaxed", "") == relaxed


def test_a_monopoly_that_does_not_meet_what_is_required_is_refused() -> None:
    assert served_by(*WORLD, NO_HTTPS).get(f"{TREE}?require=https", INSIDE).status == 404


def test_a_monopoly_that_is_down_leaves_its_clients_to_others() -> None:
    served = served_by(*WORLD, replace(MONOPOLY, host=replace(MONOPOLY.host, up=False)))
    assert groups_of(served, INSIDE)[0] == (COUNTRY, {"london", "manchester"})


def test_a_mirror_that_is_down_is_given_only_where_nothing_else_remains() -> None:
    down = at("down", "GB", LONDON, up=False)
    assert groups_of(served_by(down, *WORLD[6:8]), IN_LONDON) == [(GLOBAL, ["berlin", "new-york"])]
    assert groups_of(served_by(down), IN_LONDON) == [(COUNTRY, {"down"})]
    origin = at("origin", None, None, origin=True)
    assert served_by(down, origin).hosts(TREE, IN_LONDON) == ["origin"]


def test_primary_url_comes_last_in_every_list() -> None:
    served = served_by(*WORLD, *(at(f"m{n}", "GB", LONDON) for n in range(12)), at("origin", None, None, origin=True))
    for client in (IN_LONDON, IN_BRITAIN, NEAR_LONDON, NOWHERE, None):
        for target in (TREE, "/mirrorlist?repo=baseos-9&arch=x86_64", f"{TREE}?country=fr"):
            hosts = served.hosts(target, client)
            assert hosts[-1] == "origin"
            assert hosts.count("origin") == 1
        assert len(served.hosts(TREE, client)) == 11
    assert b'preference="90">https://origin/' in served.get("/metalink?repo=baseos-9&arch=x86_64").body


def test_primary_url_heeds_limit_and_exclusion_and_protocol() -> None:
    served = served_by(*WORLD, at("origin", None, None, origin=True))
    assert "origin" not in served.hosts(f"{TREE}?limit=3")
    assert len(served.hosts(f"{TREE}?limit=3")) == 3
    assert "origin" not in served.hosts(f"{TREE}?exclude_host=origin")
    lone = served_by(at("origin", None, None, origin=True))
    assert lone.hosts(f"{TREE}?exclude_host=origin&limit=1&country=de") == ["origin"]
    answer = lone.get(TREE)
    assert (answer.tier, answer.first) == (GLOBAL, 0)
    http = served_by(*WORLD, Mirror(Host("origin", origin=True), ("http://origin/pub",)))
    assert "origin" not in http.hosts(f"{TREE}?protocol=https")


def test_a_country_wish_narrows_before_distance_counts() -> None:
    served = served_by(*WORLD)
    assert groups_of(served, IN_LONDON, Wishes(countries=("de",))) == [(GLOBAL, ["frankfurt", "berlin"])]
    assert groups_of(served, IN_LONDON, Wishes(countries=("jp", "gb")))[0] == (COUNTRY, {"london", "manchester"})


def test_a_country_without_mirrors_is_answered_by_its_continent_then_by_all() -> None:
    served = served_by(*WORLD)
    assert served.get(f"{TREE}?country=ca").relaxed == ("country",)
    assert served.hosts(f"{TREE}?country=ca", IN_LONDON) == ["new-york"]
    assert len(served.hosts(f"{TREE}?country=zz", IN_LONDON)) == 9


def test_a_wish_holds_on_the_client_s_network_too() -> None:
    served = served_by(*WORLD, at("own", "JP", TOKYO, **AROUND))
    assert "own" not in served.hosts(f"{TREE}?country=gb", INSIDE)
    assert served.hosts(f"{TREE}?country=jp", INSIDE) == ["own", "tokyo"]


def test_a_more_specific_subnet_has_its_own_answer() -> None:
    """Where the present service keeps one order for a /24."""
    served = served_by(*WORLD, at("own", "GB", LONDON, private=True, netblocks=("10.1.64.16/28",)))
    assert served.hosts(TREE, "10.1.64.17")[0] == "own"
    assert "own" not in served.hosts(TREE, "10.1.64.1")


@pytest.mark.parametrize(
    ("target", "ending"),
    [
        ("/mirrorlist/9/baseos", "9.8/BaseOS/$basearch/os/"),
        ("/mirrorlist/9/baseos?arch=aarch64", "9.8/BaseOS/aarch64/os/"),
        ("/mirrorlist?repo=baseos-9&arch=aarch64", "9.8/BaseOS/aarch64/os/"),
        ("/mirrorlist?repo=baseos-9&arch=", "9.8/BaseOS/$basearch/os/"),
        ("/mirrorlist/10-kitten/baseos", "10-kitten/BaseOS/$basearch/os/"),
        ("/mirrorlist?repo=baseos-10-kitten&arch=x86_64_v2", "10-kitten/BaseOS/x86_64_v2/os/"),
        ("/mirrorlist?repo=baseos-source-9&arch=x86_64", "9.8/BaseOS/Source/"),
        ("/mirrorlist?path=9/BaseOS/x86_64/os", "9.8/BaseOS/x86_64/os/"),
        ("/mirrorlist?path=9.8/BaseOS/x86_64/os/repodata/repomd.xml", "9.8/BaseOS/x86_64/os/repodata/repomd.xml"),
    ],
)
def test_names_of_one_directory(target: str, ending: str) -> None:
    assert served_by(*WORLD[:1]).urls(target) == [f"https://london/pub/{ending}"]


def test_a_module_has_its_own_hosts_and_bases() -> None:
    tree = tree_of(*WORLD[:2])
    kitten = replace(tree.host_sets[0], urls={tree.host_sets[0].public[1]: ("https://manchester/kitten",)})
    kitten = replace(kitten, public=kitten.public[1:], by_country={"GB": kitten.public[1:]})
    releases = replace(RELEASES, module_sets={"kitten": HostSetId(1)})
    served = rig_of(replace(tree, host_sets=(tree.host_sets[0], kitten), releases=releases), geo=GEO)
    assert served.urls("/mirrorlist/10-kitten/baseos") == ["https://manchester/kitten/10-kitten/BaseOS/$basearch/os/"]
    assert len(served.urls("/mirrorlist/10/baseos")) == 2


VAULTED = [
    ("/mirrorlist/8.5/baseos", "8.5/BaseOS/$basearch/os/"),
    ("/mirrorlist/9.0/powertools?arch=x86_64", "9.0/PowerTools/x86_64/os/"),
    ("/mirrorlist/9/old?arch=x86_64", "9.8/old/x86_64/"),
    ("/mirrorlist?repo=baseos-10.2-beta&arch=x86_64", "10.2-beta/BaseOS/x86_64/os/"),
]


@pytest.mark.parametrize(("target", "ending"), VAULTED)
def test_the_vault_is_one_url(target: str, ending: str) -> None:
    served = served_by(*WORLD, MONOPOLY)
    for client in (IN_LONDON, INSIDE, None):
        assert served.urls(target, client) == [f"https://vault.example/almalinux/{ending}"]
    redirect = served.get(target + ("&" if "?" in target else "?") + "redirect")
    assert (redirect.status, redirect.headers) == (302, (("Location", f"https://vault.example/almalinux/{ending}"),))


def test_the_vault_has_metalinks_and_isos() -> None:
    served = served_by(*WORLD)
    body = served.get("/metalink?repo=baseos-9.0&arch=x86_64").body.decode()
    assert body.count("<url ") == 1
    assert ">https://vault.example/almalinux/9.0/BaseOS/x86_64/os/repodata/repomd.xml</url>" in body
    assert served.get("/isolist/9.0/x86_64").body == b'["https://vault.example/almalinux/9.0/isos/x86_64/"]'


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("/mirrorlist/7/baseos", "unknown version '7'; known: 8, 8.10, 9, 9.8, 10, 10.2, 10-kitten, 8.5"),
        ("/mirrorlist/99.345/baseos", "unknown version '99.345'; known: 8, 8.10, 9, 9.8, 10, 10.2, 10-kitten, 8.5"),
        ("/mirrorlist/10-kiten/baseos", "unknown version '10-kiten'; nearest: 10-kitten"),
        ("/mirrorlist/9/baseso", "unknown repository 'baseso'; nearest: baseos"),
        ("/mirrorlist/9/powertools", "version 9.8 has no repository powertools: it is in 8, 8.10"),
        ("/mirrorlist/9/baseos?arch=x86-64", "unknown architecture 'x86-64'; nearest: x86_64"),
        ("/mirrorlist?repo=baseos-7&arch=x86_64", "unknown version '7'; known: 8, 8.10, "),
        ("/mirrorlist?repo=base-9&arch=x86_64", "unknown repo 'base-9'; nearest: baseos-9, "),
        ("/mirrorlist?repo=baseos&arch=x86_64", "unknown repo 'baseos'; nearest: "),
        ("/isolist/9/i386", "unknown architecture 'i386'; known: x86_64, aarch64"),
        ("/isolist/7/x86_64", "unknown version '7'; known: "),
        ("/metalink?repo=baseos-8&arch=x86_64",
         "8.10/BaseOS/x86_64/os/repodata/repomd.xml not found or has not metalink: "
         "the primary tree has none that can be read"),
    ],
)  # fmt: skip
def test_what_is_unknown_is_said_with_the_nearest_names(target: str, line: str) -> None:
    answer = served_by(*WORLD).get(target)
    assert answer.status == 404
    assert answer.body.decode().startswith(line)
    assert answer.body.endswith(b"\n")


PLACES = st.builds(
    Place, st.sampled_from((51.5, 53.0, 48.85, 40.7, -33.9, 89.0)), st.sampled_from((-0.1, 2.35, 13.4, -74.0, 179.9))
)


@given(
    st.lists(st.tuples(st.sampled_from(("GB", "FR", "US", None)), st.one_of(st.none(), PLACES)), max_size=16),
    PLACES,
    st.sampled_from(("GB", "FR", None)),
    st.sampled_from((100.0, 500.0, 3000.0)),
    st.sampled_from((1, 3, 10)),
)
def test_distance_rule_is_the_naive_one(
    facts: list[tuple[str | None, Place | None]], place: Place, country: str | None, near_km: float, length: int
) -> None:
    mirrors = [at(f"m{n}", code, where) for n, (code, where) in enumerate(facts)]
    geo = {"10.1.0.0/16": Location(country, place.latitude, place.longitude)}
    if not any(where for _, where in facts):
        return
    snapshot = snapshot_of(tree_of(*mirrors, near_km=near_km, list_length=length), geo=geo)
    audience = snapshot.audiences.audience(snapshot.audiences.find(b"\x0a\x01\x00\x01"))
    ranking = rank(snapshot, snapshot.host_sets[0], audience)
    keys = [naive_key(facts[host], place, country, near_km) for group in ranking.groups for host in group.hosts]
    assert keys == sorted(keys)
    assert len(keys) >= min(length, len(facts))
    best = sorted(naive_key(fact, place, country, near_km) for fact in facts)
    assert keys[:length] == best[:length]


def naive_key(
    fact: tuple[str | None, Place | None], place: Place, country: str | None, near_km: float
) -> tuple[int, float]:
    """The letter of the group, A to D and unplaced, and the kilometres where they decide."""
    code, where = fact
    if where is None:
        return 4, 0.0
    km = distance_km(where, place)
    home = country is not None and code == country
    return (0 if home else 2, 0.0) if km <= near_km else (1 if home else 3, round(km))


CITY = [
    ("81.2.69.142", "GB", 51.5142, -0.0931),
    ("2001:480:10::1", "US", 32.7203, -117.1552),
    ("2a02:d280::1", "CZ", 49.75, 15.0),
    ("216.160.83.56", "US", 47.2513, -122.3149),
]


@pytest.mark.parametrize(("client", "country", "latitude", "longitude"), CITY)
def test_distances_from_the_city_database(client: str, country: str, latitude: float, longitude: float) -> None:
    database = load_geoip(str(GEOIP / "GeoIP2-City-Test.mmdb"))
    where = database.find(ip_address(client).packed)
    assert (where.country, where.latitude, where.longitude) == (country, latitude, longitude)
    geo = {f"{client}/{32 if '.' in client else 128}": where}
    snapshot = snapshot_of(tree_of(*WORLD), geo=geo)
    audience = snapshot.audiences.audience(snapshot.audiences.find(ip_address(client).packed))
    km = rank(snapshot, snapshot.host_sets[0], audience).km
    for number, each in enumerate(WORLD):
        assert each.host.place is not None
        naive = distance_km(Place(latitude, longitude), each.host.place)
        assert km[HostId(number)] == pytest.approx(naive, abs=0.01)
