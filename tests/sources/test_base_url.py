from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.plain_yaml import Value
from redirector.sources.base_url import authority_of, host_of, parse_base_url, read_base_urls
from redirector.sources.problems import Report


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://a.example.org", "http://a.example.org"),
        ("http://a.example.org/", "http://a.example.org"),
        ("HTTPS://A.example.org//pub///x//", "https://A.example.org/pub/x"),
        ("http://pkgs.example.org:3142/pub/", "http://pkgs.example.org:3142/pub"),
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("http://[2001:db8::1]:8080/pub", "http://[2001:db8::1]:8080/pub"),
        ("ftp://a.example.org/pub", "ftp://a.example.org/pub"),
        ("a.example.org/pub", "https://a.example.org/pub"),
        ("a.example.org::pub/", "rsync://a.example.org/pub"),
        ("rsync://a.example.org::pub", "rsync://a.example.org/pub"),
        ("rsync://a.example.org::pub/", "rsync://a.example.org/pub"),
        ("rsync://user@a.example.org:/pub", "rsync://user@a.example.org/pub"),
        ("user@a.example.org::pub", "rsync://user@a.example.org/pub"),
        ("http:/a.example.org/pub", "http://a.example.org/pub"),
        ("http:///a.example.org/pub", "http://a.example.org/pub"),
        ("http//a.example.org/pub", "http://a.example.org/pub"),
        ("http:a.example.org/pub", "http://a.example.org/pub"),
        ("http;//a.example.org/pub", "http://a.example.org/pub"),
        ("http: //a.example.org/pub", "http://a.example.org/pub"),
        ("HTTPS://https://a.example.org/pub", "https://a.example.org/pub"),
        ("https://https//a.example.org/pub", "https://a.example.org/pub"),
        ("https:https:a.example.org/pub", "https://a.example.org/pub"),
        ("http:\\\\a.example.org\\pub", "http://a.example.org/pub"),
        ("//a.example.org/pub", "https://a.example.org/pub"),
        ("://a.example.org/pub", "https://a.example.org/pub"),
        ("rsync:/a.example.org::pub", "rsync://a.example.org/pub"),
        ("http://mirror1/pub", "http://mirror1/pub"),
        ("http://ftp:8080/pub", "http://ftp:8080/pub"),
    ],
)
def test_base_urls_come_out_in_one_form(text: str, url: str) -> None:
    assert parse_base_url(text, "https") == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/pub",
        "gopher://a.example.org",
        "http:///pub",
        "http://a.example.org/pub?x=1",
        "http://a.example.org/#x",
        "http://a.example.org/$basearch",
        "http://a.example.org/a b",
        "http://a.example.org/\n",
        "http://a.example.org/ä",
        "http://a.example.org:0/",
        "http://a.example.org:65536/",
        "http://a.example.org:x/",
        "http://[2001:db8::g]/",
        "http://[1.2.3.4]/",
        "http://user@a.example.org/",
        "http://user:secret@a.example.org/",
        "javascript:alert(1)",
        "None",
        "TBD",
        "https://None/pub",
        "https://https/pub",
        "http:8080/pub",
        "http://https://a.example.org/pub",
        "http://gopher://a.example.org/pub",
        "htp://a.example.org/pub",
        "http://a.example.org/http://a.example.org/pub",
        "http://a..example.org/pub",
        "http://192.0.2/pub",
        "http:///pub",
        "http://a.example.org/" + "a" * 3000,
    ],
)
def test_what_is_no_base_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_base_url(text, "http")


@given(st.text(max_size=30) | st.from_regex(r"(rsync|https?)://[a-z:@.\[\]/-]{1,20}", fullmatch=True))
def test_any_text_is_refused_or_gets_a_form_that_stays(text: str) -> None:
    try:
        url = parse_base_url(text, "http")
    except ValueError:
        return
    assert parse_base_url(url, "http") == url
    assert url.isascii() and url.isprintable() and " " not in url and not url.endswith("/")


def test_the_url_decides_what_scheme_it_is() -> None:
    report = Report("m.yml")
    found = read_base_urls(
        report,
        "address",
        {"http": "https://a.example.org/x/", "rsync": "a.example.org::x", "ftp": "https://b.example.org", "xyz": None},
    )
    assert found.urls == ("rsync://a.example.org/x", "https://a.example.org/x")
    assert [str(problem) for problem in report.problems] == [
        "m.yml: address.rsync: 'a.example.org::x': taken as rsync://a.example.org/x",
        "m.yml: address.xyz: empty: left out",
        "m.yml: address.http: 'https://a.example.org/x' is https: taken as such",
        "m.yml: address.ftp: 'https://b.example.org' is https, of which there is one already: left out",
    ]


def test_a_url_filed_right_wins_over_one_filed_wrong() -> None:
    report = Report("m.yml")
    assert read_base_urls(
        report, "address", {"http": "https://b.example.org", "https": "https://a.example.org"}
    ).urls == ("https://a.example.org",)
    assert [problem.key for problem in report.problems] == ["address.http"]


def test_good_urls_come_before_repaired_ones() -> None:
    address: dict[str, Value] = {"https": "https://https://a.example.org/x", "http": "http://a.example.org/x"}
    found = read_base_urls(Report("m.yml"), "address", address)
    assert found.urls == ("http://a.example.org/x", "https://a.example.org/x")
    assert found.guessed == {"https://a.example.org/x"}


def test_a_good_url_filed_wrong_wins_over_a_repaired_one() -> None:
    address: dict[str, Value] = {"https": "https//b.example.org/x", "http": "https://a.example.org/x"}
    assert read_base_urls(Report("m.yml"), "address", address).urls == ("https://a.example.org/x",)


def test_names_in_urls() -> None:
    assert host_of("https://A.example.org:80/x") == "a.example.org"
    assert host_of("https://[2001:DB8::1]:80/x") == "2001:db8::1"
    assert authority_of("https://A.example.org:80/x") == "A.example.org:80"
