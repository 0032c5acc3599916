"""With `compatibility: mirrormanager` the answers are today's server's, but for the luck of the draw."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.model import Catalog, HostId
from tests.answer.catalogs import CLIENTS, catalogs
from tests.answer.today import Listed, answer_today
from tests.rig import Rig, mirror, rig, rig_of

REPO = "repo=fedora-40&arch=x86_64"

PARAMETERS = {
    "country": ["de", "DE,fr", "cz", "cz,fr", "zz", "global", "Global,us", ",", "", "jp,jp,", "de=fr"],
    "protocol": ["https", "http", "rsync", "rsync,http", "ftp,https,ftp", "", "gopher", "HTTP", "http,"],
    "netblock": ["1", "0", "", "1=0"],
    "time": [""],
    "countme": ["1"],
    "infra": ["$infra"],
}


@st.composite
def queries(draw: st.DrawFn) -> str:
    """`repo=` and `arch=` in any company and order, some parameters more than once."""
    parts = [
        f"{name}={draw(st.sampled_from(PARAMETERS[name]))}"
        for name in draw(st.lists(st.sampled_from(list(PARAMETERS))))
    ]
    parts = draw(st.permutations([*parts, *REPO.split("&")]))
    return "&".join(parts)


def ordered(hosts: list[HostId], listed: Listed) -> bool:
    """Whether *hosts* are the listed ones, group by group."""
    rest = list(hosts)
    for group in listed.groups:
        head, rest = rest[: len(group)], rest[len(group) :]
        if sorted(head) != sorted(group):
            return False
    return not rest


def owners(catalog: Catalog, urls: list[str]) -> list[HostId]:
    names = {host.name: HostId(number) for number, host in enumerate(catalog.hosts)}
    return list(dict.fromkeys(names[url.split("/")[2]] for url in urls))


ASKED = st.lists(st.tuples(queries(), st.sampled_from(CLIENTS)), min_size=1, max_size=6)


@given(catalogs(today=True), ASKED, st.sampled_from((0, 1, 2, 5)))
def test_mirrorlist_is_today_s(catalog: Catalog, asked: list[tuple[str, str]], minimum: int) -> None:
    served = rig_of(catalog, compatibility="mirrormanager", minimum=minimum)
    for query, client in asked:
        answer = served.get(f"/mirrorlist?{query}", client)
        expected = answer_today(catalog, query, client, minimum, metalink=False)
        assert (answer.status, answer.content_type, answer.headers) == (200, "text/plain", ())
        text = answer.body.decode()
        assert text.startswith(f"{expected.comment}\n")
        urls = text.removeprefix(f"{expected.comment}\n").splitlines()
        assert text.endswith("\n")
        hosts = owners(catalog, urls)
        assert ordered(hosts, expected)
        assert urls == [url for host in hosts for url in expected.urls[host]]


@given(catalogs(today=True), ASKED)
def test_redirect_is_today_s(catalog: Catalog, asked: list[tuple[str, str]]) -> None:
    served = rig_of(catalog, compatibility="mirrormanager")
    for query, client in asked:
        answer = served.get(f"/mirrorlist?{query}&redirect", client)
        expected = answer_today(catalog, f"{query}&redirect", client, 5, metalink=False)
        assert (answer.body, answer.content_type) == (b"", "text/plain")
        http = [
            [url for host in group for url in expected.urls[host] if url[:4] == "http"] for group in expected.groups
        ]
        possible = next((urls for urls in http if urls), None)
        if possible is None:
            assert (answer.status, answer.headers) == (404, ())
        else:
            assert answer.status == 302
            assert [name for name, _ in answer.headers] == ["Location"]
            assert dict(answer.headers)["Location"] in possible


@given(catalogs(today=True), ASKED)
def test_metalink_is_today_s(catalog: Catalog, asked: list[tuple[str, str]]) -> None:
    served = rig_of(catalog, compatibility="mirrormanager")
    for query, client in asked:
        answer = served.get(f"/metalink?{query}", client)
        expected = answer_today(catalog, query, client, 5, metalink=True)
        assert (answer.status, answer.content_type, answer.headers) == (200, "application/metalink+xml", ())
        lines = re.findall(r"    <url .*</url>\n", answer.body.decode())
        urls = [re.sub(r"<[^>]*>", "", line).strip() for line in lines]
        hosts = owners(catalog, urls)
        assert ordered(hosts, expected)
        built = []
        for place, host in enumerate(hosts):
            mark = "" if host in catalog.host_sets[0].public else ' mm0:private="True"'
            facts = f'location="{catalog.hosts[host].country or ""}" preference="{100 - place}"{mark}'
            for url in expected.urls[host]:
                scheme = url.split(":")[0]
                built.append(f'    <url protocol="{scheme}" type="{scheme}" {facts}>{url}</url>\n')
        assert lines == built


@pytest.fixture(scope="module")
def today() -> Rig:
    return rig(
        mirror("a", "DE", "http://a/pub", "https://a/pub", "rsync://a/pub"),
        mirror("b", "US", "rsync://b/pub"),
        compatibility="mirrormanager",
    )


def lines(served: Rig, target: str) -> list[str]:
    return served.get(target).body.decode().splitlines()[1:]


END = "/linux/40/x86_64/os/"


@pytest.mark.parametrize(
    ("parameters", "urls"),
    [
        pytest.param("", [f"http://a/pub{END}"], id="first of http, https, ftp as listed; rsync alone is none"),
        pytest.param("&protocol=https", [f"https://a/pub{END}"], id="a protocol"),
        pytest.param("&protocol=https,http", [f"http://a/pub{END}", f"https://a/pub{END}"], id="two URLs for two"),
        pytest.param("&protocol=rsync", [f"rsync://a/pub{END}", f"rsync://b/pub{END}"], id="rsync"),
        pytest.param("&protocol=gopher", [], id="nobody has it: none"),
        pytest.param("&protocol=https=x", [f"https://a/pub{END}"], id="what follows a second equals sign is dropped"),
        pytest.param("&protocol=http&protocol=https", [f"https://a/pub{END}"], id="the later duplicate"),
        pytest.param("&%70rotocol=https", [f"http://a/pub{END}"], id="nothing is decoded"),
        pytest.param("&protocol=HTTPS", [], id="upper case is another protocol"),
    ],
)  # fmt: skip
def test_urls_of_a_protocol(parameters: str, urls: list[str], today: Rig) -> None:
    assert lines(today, f"/mirrorlist?{REPO}{parameters}") == urls


@pytest.mark.parametrize("kind", ["mirrorlist", "metalink"])
def test_a_protocol_that_nobody_has_leaves_an_empty_list_of_the_whole_world(kind: str) -> None:
    served = rig(*(mirror(f"m{n}", "DE") for n in range(9)), compatibility="mirrormanager")
    answer = served.get(f"/{kind}?{REPO}&protocol=gopher")
    assert answer.status == 200 and b"://m" not in answer.body
    if kind == "mirrorlist":
        assert answer.body.startswith(
            b"# repo = fedora-40 arch = x86_64 country = DE country = global protocol = gopher"
        )


@pytest.mark.parametrize(
    ("parameters", "status"),
    [("&protocol=rsync", 404), ("&protocol=gopher", 302), ("&protocol=", 302), ("&protocol=https", 302), ("", 302)],
)
def test_redirect_obeys_a_protocol_that_somebody_has(parameters: str, status: int, today: Rig) -> None:
    assert today.get(f"/mirrorlist?{REPO}&redirect{parameters}").status == status


@pytest.mark.parametrize(
    ("parameters", "country"),
    [("&ip=10.3.0.1", "US"), ("&ip=", "DE"), ("&ip=10.3.0.1=x", "US"), ("&ip=x&ip=10.4.0.1", "JP"), ("&ip", "DE")],
)
def test_ip_takes_the_place_of_the_client(parameters: str, country: str, today: Rig) -> None:
    assert today.get(f"/mirrorlist?{REPO}{parameters}").country == country


@pytest.mark.parametrize(
    "ip",
    ["x", "1.2.3", "01.2.3.4", "1.2.3.4:80", "[::1]", "fe80::1%25eth0", "%31.2.3.4", "1.2.3.4,5.6.7.8", "999.1.1.1"],
)
def test_an_ip_that_is_no_address_is_an_error(ip: str, today: Rig) -> None:
    assert today.get(f"/mirrorlist?{REPO}&ip={ip}").status == 500


@pytest.mark.parametrize(
    "target",
    ["/centos/8/metalink?{}", "/any/prefix/mirrorlist?{}", "/mirrorlist/mirrorlist?{}", "/xmirrorlist/metalink?{}"],
)
def test_any_path_that_ends_in_a_list_is_one(target: str, today: Rig) -> None:
    assert today.get(target.format(REPO)).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/mirrorlist/?{}",
        "/mirrorlistx?{}",
        "/Mirrorlist?{}",
        "/mirrorlist/9/baseos?{}",
        "/%6dirrorlist?{}",
        "/isolist/9/x86_64",
    ],
)
def test_any_other_path_is_not(target: str, today: Rig) -> None:
    assert today.get(target.format(REPO)).body == b"We don't serve their kind here!"


def test_wishes_that_only_we_know_are_ignored(today: Rig) -> None:
    plain = today.get(f"/mirrorlist?{REPO}").body
    for extra in ("limit=0", "exclude_host=a", "exclude_country=DE", "ipv6=1", "require=rsync", "format=json", "cc=us"):
        assert today.get(f"/mirrorlist?{REPO}&{extra}").body == plain


def test_nothing_is_said_of_wishes_that_nobody_could_meet(today: Rig) -> None:
    answer = today.get(f"/mirrorlist?{REPO}&country=zz&protocol=gopher")
    assert (answer.headers, answer.relaxed) == ((), ())


def test_xml_is_not_escaped() -> None:
    served = rig(mirror("a", "DE", "https://a/x&y"), compatibility="mirrormanager")
    assert b">https://a/x&y/linux/40" in served.get(f"/metalink?{REPO}").body
