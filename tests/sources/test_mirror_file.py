from __future__ import annotations

from dataclasses import fields
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.locate.places import CityName
from redirector.model import Host, Severity
from redirector.plain_yaml import Value, parse_yaml
from redirector.sources.mirrors_d.mirror_file import TEXT_KEYS, Mirror, read_mirror
from redirector.sources.problems import Report
from tests.sources.tree import mirror_text

NAME = "a.example.org"
MODULES = ("kitten",)


def read(*lines: str, file: str = f"{NAME}.yml") -> tuple[Mirror | None, list[str]]:
    """The mirror of a file without oddity but *lines*, and the problems, without the file's name."""
    report = Report(file)
    parsed = parse_yaml(mirror_text(NAME, *lines).encode(), TEXT_KEYS)
    mirror = read_mirror(report, parsed.value, MODULES, parsed.contradictions)
    return mirror, [str(problem).removeprefix(f"{file}: ") for problem in report.problems]


def test_a_file_without_oddity_has_no_problem() -> None:
    mirror, problems = read()
    assert problems == []
    assert mirror is not None
    assert mirror.urls == (f"http://{NAME}/pub", f"https://{NAME}/pub")
    assert (mirror.country, mirror.private, mirror.monopoly, mirror.sponsor) == ("DE", False, False, "Example")


@pytest.mark.parametrize(
    ("line", "field", "value", "problem"),
    [
        ("geolocation: {country: UK}", "country", "GB", "geolocation.country: 'UK': taken as GB"),
        ("geolocation: {country: Germany}", "country", "DE", "geolocation.country: 'Germany': taken as DE"),
        ("geolocation: {country: Australia}", "country", "AU", "geolocation.country: 'Australia': taken as AU"),
        ("geolocation: {country: de}", "country", "DE", "geolocation.country: 'de': taken as DE"),
        (
            "geolocation: {country: NO}",
            "country",
            "NO",
            "geolocation.country: NO without quotation marks is false in YAML: taken as 'NO'",
        ),
        ("geolocation: {country: 'NO'}", "country", "NO", None),
        ("geolocation: {country: XX}", "country", None, "geolocation.country: 'XX' is no country: left out"),
        ("geolocation: {country: [DE]}", "country", None, "geolocation.country: ['DE'] is no country: left out"),
        ("geolocation: Berlin", "country", None, "geolocation: 'Berlin' is no mapping: left out"),
        ("geolocation: {country: DE, continent: EU}", "country", "DE", "geolocation.continent: unknown key: left out"),
        (
            "geolocation: {country: DE, asn: 64500}",
            "asns",
            (),
            "geolocation.asn: asn belongs at the top level of the file, not below geolocation: the mirror is given to "
            "nobody until this is right",
        ),
        ("geolocation: {country: CA, state_province: ON}", "city", CityName("", "ON", "CA"), None),
        ("sponsor: Yes", "sponsor", "Yes", None),
        ("update_frequency: off", "sponsor", "Example", None),
        ("bandwidth_mbit: 1000", "bandwidth_mbit", 1000, None),
        ("bandwidth: 100", "bandwidth_mbit", 100, "bandwidth: unknown key: taken as bandwidth_mbit"),
        (
            "bandwidth_mbit: much",
            "bandwidth_mbit",
            None,
            "bandwidth_mbit: 'much' is no number from 1 to 1e+07: left out",
        ),
        ("own_asn: AS64500", "own_asn", 64500, "own_asn: 'AS64500': taken as 64500"),
        ("lacking: ['*/isos', /live/]", "lacking", ("*/isos", "live"), None),
        ("lacking: ../x", "lacking", (), "lacking: '../x' is no path below the base: left out"),
        ("countries_allowed: [DE, UK]", "allowed", {"DE", "GB"}, "countries_allowed: 'UK': taken as GB"),
        (
            "countries_excluded: [NO]",
            "excluded",
            {"NO"},
            "countries_excluded: NO without quotation marks is false in YAML: taken as 'NO'",
        ),
        ("disabled: true", "withheld", "disabled in its file", None),
        ("disabled: false", "withheld", "", None),
        (
            "sponsor_url: http:/example.org",
            "sponsor_url",
            "http://example.org",
            "sponsor_url: 'http:/example.org': taken as http://example.org",
        ),
        (
            "geolocation: {country: DE, latitude: 1}",
            "place",
            None,
            "geolocation.latitude: longitude is missing: left out",
        ),
        (
            "geolocation: {country: DE, latitude: 91, longitude: 0}",
            "place",
            None,
            "geolocation.latitude: '91' is no number from -90 to 90: left out",
        ),
        (
            "geolocation: {country: DE, latitude: nan, longitude: 0}",
            "place",
            None,
            "geolocation.latitude: 'nan' is no number from -90 to 90: left out",
        ),
        ("asn: 64500", "asns", (64500,), None),
        ("asn: [64500, 64501, 64500]", "asns", (64500, 64501), None),
        ("asn: AS64500", "asns", (64500,), "asn: 'AS64500': taken as 64500"),
        ("asn: 0", "asns", (), "asn: '0' is no AS number: left out"),
        ("asn: 4294967296", "asns", (), "asn: '4294967296' is no AS number: left out"),
        ("asn: -1", "asns", (), "asn: '-1' is no AS number: left out"),
        ("asn: true", "asns", (), "asn: True is no text: left out"),
        ("subnets: 192.0.2.0/24", "subnets", (ip_network("192.0.2.0/24"),), None),
        ("subnets: [2001:0DB8:0000::/44]", "subnets", (ip_network("2001:db8::/44"),), None),
        ("subnets: [192.0.2.1]", "subnets", (ip_network("192.0.2.1"),), None),
        (
            "subnets: [192.0.2.1/24]",
            "subnets",
            (ip_network("192.0.2.0/24"),),
            "subnets: '192.0.2.1/24' has bits beyond its prefix: taken as 192.0.2.0/24",
        ),
        (
            "subnets: [192.0.2.1/2]",
            "subnets",
            (),
            "subnets: '192.0.2.1/2' has bits beyond its prefix, and 192.0.0.0/2 is nobody's network: left out",
        ),
        (
            "subnets: ['2001:db8::/3']",
            "subnets",
            (),
            "subnets: '2001:db8::/3' has bits beyond its prefix, and 2000::/3 is nobody's network: left out",
        ),
        ("subnets: [10.0.0.0/7]", "subnets", (ip_network("10.0.0.0/7"),), None),
        ("private:", "private", False, "private: empty: taken as false"),
        ("disabled: ~", "withheld", "", "disabled: empty: taken as false"),
        ("continent: EU", "withheld", "", "continent: unknown key: left out"),
        ("public: true", "withheld", "", "public: unknown key: left out"),
        ("status: active", "withheld", "", "status: unknown key: left out"),
        ("note: not private at all", "withheld", "", "note: unknown key: left out"),
        (
            "subnets: ['::ffff:192.0.2.0/120']",
            "subnets",
            (ip_network("192.0.2.0/24"),),
            "subnets: '::ffff:192.0.2.0/120' holds IPv4 addresses: taken as 192.0.2.0/24",
        ),
        (
            "subnets: https://example.org/nets.json",
            "subnets",
            (),
            "subnets: 'https://example.org/nets.json' would have to be fetched, which is never done: left out",
        ),
        ("subnets: [{a: b}]", "subnets", (), "subnets: {'a': 'b'} is no text: left out"),
        ("private: 'true'", "private", True, "private: 'true' is a text: taken as true"),
        ("private: maybe", "private", True, "private: 'maybe' is neither true nor false: taken as true"),
        ("monopoly: maybe", "monopoly", False, "monopoly: 'maybe' is neither true nor false: taken as false"),
        ("private: yes", "private", True, None),
        ("privat: true", "private", True, "privat: unknown key: taken as private"),
        ("colour: red", "private", False, "colour: unknown key: left out"),
        ("cloud_type: aws", "cloud", "aws", None),
        (
            "cloud_type: moon",
            "cloud",
            "moon",
            "cloud_type: 'moon' is none of aws, gcp, azure, oci: no ranges are known",
        ),
        ("cloud_type: aws\ncloud_regions: all", "cloud_regions", ("all",), None),
        (
            f"address_options: {{kitten: {{https: 'https://{NAME}/k/'}}}}",
            "modules",
            {"kitten": (f"https://{NAME}/k",)},
            "address_options: unknown key: taken as address_optional",
        ),
        (
            f"address_optional: {{puppy: {{https: 'https://{NAME}/k/'}}}}",
            "modules",
            {},
            "address_optional.puppy: no such module in config.yml: left out",
        ),
        (
            "sponsor_url: example.org",
            "sponsor_url",
            "https://example.org",
            "sponsor_url: 'example.org' has no scheme: taken as https://example.org",
        ),
        (
            "sponsor_url: javascript:alert(1)",
            "sponsor_url",
            "",
            "sponsor_url: 'javascript:alert(1)' is no web address: left out",
        ),
        ("sponsor_url:", "sponsor_url", "", "sponsor_url: missing"),
        ("sponsor: Universität Bern", "sponsor", "Universität Bern", None),
        ('sponsor: "a\\eb"', "sponsor", "", "sponsor: 'a\\x1bb' holds control characters: left out"),
        ('sponsor: "two\\n lines"', "sponsor", "two lines", None),
        ("email: someone@example.org", "sponsor", "Example", None),
        (
            f"address: {{http: 'https://{NAME}/pub/'}}",
            "urls",
            (f"https://{NAME}/pub",),
            f"address.http: 'https://{NAME}/pub' is https: taken as such",
        ),
        (
            f"address: {{http: 'http://{NAME}/pub', rsync: '{NAME}::pub'}}",
            "urls",
            (f"http://{NAME}/pub", f"rsync://{NAME}/pub"),
            f"address.rsync: '{NAME}::pub': taken as rsync://{NAME}/pub",
        ),
        (f"address: {{http: 'http://{NAME}:3142/pub'}}", "urls", (f"http://{NAME}:3142/pub",), None),
        ("address: {http: 'http://192.0.2.1:80/pub'}", "urls", ("http://192.0.2.1:80/pub",), None),
        (
            "address: {http: 'http://b.example.org/pub'}",
            "urls",
            ("http://b.example.org/pub",),
            f"address: host b.example.org is not the mirror's name {NAME}",
        ),
    ],
)
def test_an_oddity_is_repaired_or_left_out_and_reported(
    line: str, field: str, value: object, problem: str | None
) -> None:
    mirror, problems = read(line)
    assert mirror is not None
    assert getattr(mirror, field) == value
    assert problems == ([problem] if problem else [])


def test_a_misspelt_city_and_a_null_city_are_reported() -> None:
    mirror, problems = read("geolocation: {country: US, state_province: Texas, City: Dallas}")
    assert mirror is not None and mirror.city is not None and mirror.city.city == "Dallas"
    assert problems == ["geolocation.City: unknown key: taken as city"]
    mirror, problems = read("geolocation: {country: US, state_province: Texas, city: null}")
    assert mirror is not None and mirror.city is not None and mirror.city.state == "Texas"
    assert problems == ["geolocation.city: empty: placed by state or country"]


MISPLACED = {
    "below geolocation": "geolocation: {country: DE, private: true}",
    "monopoly": "geolocation: {country: DE, monopoly: true}",
    "an AS number": "geolocation: {country: DE, asn: 64500}",
    "networks": "address: {http: 'http://a.example.org/', subnets: [192.0.2.0/24]}",
    "a cloud": "address: {http: 'http://a.example.org/', cloud_type: aws}",
    "of a module": "address_optional: {kitten: {http: 'http://a.example.org/', private: true}}",
    "deep inside": "geolocation: {country: DE, x: [{y: {disabled: true}}]}",
    "countries": "geolocation: {country: DE, countries_allowed: [DE]}",
    "misspelt": "geolocation: {country: DE, Privat: true}",
    "what cannot be read": "geolocation: {country: DE, private: maybe}",
    "below a key that nobody knows": "access: {private: true}",
    "a word that is no key": "countries: [DE]",
    "countries that do not exist": "countries_allowed: [Europe]",
    "a country that does not exist": "countries_excluded: [RU, XX]",
    "a cloud that is a list": "cloud_type: [aws]",
    "regions that are none": "cloud_type: aws\ncloud_regions: {a: b}",
    "twice, and differently": "private: true\nprivate: false",
    "in two spellings": "private: false\nPrivate: true",
    "letters of another alphabet": "\u0440r\u0456v\u0430t\u0435: true",
    "wide letters": "\uff50\uff52\uff49\uff56\uff41\uff54\uff45: true",
    "letters with accents": "priv\u00e9: true",
    "a shorter word": "priv: true",
    "more words": "mirror_disabled: true",
    "a date": "disabled_until: 2030-01-01",
    "the opposite of private": "public: false",
    "the opposite of disabled": "enabled: 'no'",
    "as the value of a key that nobody knows": "access: Private",
    "in a list of words": "flags: [fast, private]",
    "another word": "internal: true",
    "in the value that does not count": "x: {private: true}\nx: 1",
    "deep in the value that does not count": "x: [{y: {private: true}}]\nx: {}",
    "in the text above": "note: Example\n  private:true",
    "a cloud's regions without the cloud": "cloud_regions: [us-east-1]",
    "a cloud under another name": "cloud_provider: aws",
    "countries under another name": "exclude_countries: [DE]",
    "countries under half a name": "allowed: [DE]",
    "no country at all": "countries_allowed: []",
}


@pytest.mark.parametrize("text", MISPLACED.values(), ids=MISPLACED.keys())
def test_a_restriction_that_has_no_effect_withholds_the_mirror(text: str) -> None:
    mirror, problems = read(text)
    assert mirror is not None and mirror.withheld
    assert any("given to nobody until this is right" in problem for problem in problems)


@pytest.mark.parametrize("text", ["private: false", "private: ~", "subnets: []", "disabled: 'no'", "asn: null"])
def test_a_misplaced_key_that_restricts_nothing_withholds_nobody(text: str) -> None:
    mirror, problems = read(f"geolocation: {{country: DE, {text}}}")
    assert mirror is not None and not mirror.withheld
    assert [problem.partition(" ")[2] for problem in problems] == [
        f"{text.partition(':')[0]} belongs at the top level of the file, not below geolocation: left out"
    ]


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        (["name:"], "name"),
        (["name: a b"], "name"),
        (["name: [a]"], "name"),
        (["address:"], "address"),
        (["address: {}"], "address"),
        (["address: http://a.example.org"], "address"),
        (["address: {http: 'http://a.example.org/?x'}"], "address"),
    ],
)
def test_without_a_name_or_an_address_there_is_no_mirror(lines: list[str], key: str) -> None:
    mirror, problems = read(*lines)
    assert mirror is None
    assert problems[-1].startswith(f"{key}: ") and problems[-1].endswith("mirror left out")


@pytest.mark.parametrize("document", [None, "text", True, ["a"]])
def test_a_document_that_is_no_mapping_is_left_out(document: Value) -> None:
    report = Report("m.yml")
    assert read_mirror(report, document, MODULES) is None
    assert [(problem.key, problem.severity) for problem in report.problems] == [("file", Severity.ERROR)]


def test_a_file_named_unlike_its_mirror_is_reported() -> None:
    assert read(file="A.Example.org.yaml")[1] == []
    assert read(file="b.yml")[1] == [f"name: '{NAME}' is not the file's name"]


@pytest.mark.parametrize("name", ["192.0.2.1", "192.0.2.1:8001", "'[2001:db8::1]:8001'"])
def test_bare_addresses_with_ports_are_legal_names(name: str) -> None:
    bare = name.strip("'")
    report = Report("one.yml")
    text = mirror_text(name, f"address: {{http: 'http://{bare}/'}}")
    mirror = read_mirror(report, parse_yaml(text.encode()).value, MODULES)
    assert mirror is not None and mirror.urls == (f"http://{bare}",)
    assert report.problems == []


def test_addresses_for_mail_are_not_served() -> None:
    assert "email" not in {field.name for field in fields(Host)}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from(["DE", "1", "http://a.example.org", "x::y", "all", ""])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["country", "city", "http", "kitten"]), inner)
    ),
    max_leaves=5,
)
KEYS = "name address address_optional geolocation private monopoly asn subnets cloud_type cloud_regions sponsor_url x"


@given(st.dictionaries(st.sampled_from(KEYS.split()), VALUES))
def test_any_values_are_a_mirror_or_an_error(document: dict[str, Value]) -> None:
    report = Report("m.yml")
    mirror = read_mirror(report, document, MODULES)
    assert mirror is not None or any(problem.severity is Severity.ERROR for problem in report.problems)
    assert all("\n" not in str(problem) for problem in report.problems)
