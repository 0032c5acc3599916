"""The rules of what people type, as tables."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.registry import rules
from redirector.registry.rules import Reach


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://mirror.example.org/linux", "https://mirror.example.org/linux/"),
        ("HTTP://Mirror.Example.ORG:80//pub//linux/", "http://mirror.example.org/pub/linux/"),
        ("https://mirror.example.org:8443", "https://mirror.example.org:8443/"),
        ("rsync://mirror.example.org/module", "rsync://mirror.example.org/module/"),
        ("http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x/"),
        ("http://10.0.0.1/", "http://10.0.0.1/"),
        (" https://mirror.example.org/ ", "https://mirror.example.org/"),
    ],
)
def test_base_urls_have_one_spelling(typed: str, kept: str) -> None:
    assert rules.read_base_url(typed, allow_ftp=False) == kept
    assert rules.read_base_url(kept, allow_ftp=False) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "mirror.example.org",
        "ftp://mirror.example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "gopher://mirror.example.org/",
        "https://mirror.example.org/?a=b",
        "https://mirror.example.org/#top",
        "https://user:secret@mirror.example.org/",
        "rsync://user@mirror.example.org/module",
        "https://mirror.example.org:0/",
        "https://mirror.example.org:99999/",
        "https://mirror.example.org/../x",
        "https://mirror.example.org/%2e%2E/x",
        "https://mirror.example.org/a b",
        "https://mirror.example.org/$basearch",
        "https://mirror.example.org/\n",
        "https:///linux",
        "https://-bad.example.org/",
        "https://256.1.1.1/",
        "https://[::1/",
        "https://mirror.example.org/" + "a" * 300,
        "http://mirror.example.org/\u202egro",
    ],
)
def test_what_is_no_base_url_is_refused(typed: str) -> None:
    if typed.endswith("\n"):
        typed = typed[:-1] + "\n/"
    with pytest.raises(ValueError):
        rules.read_base_url(typed, allow_ftp=False)


def test_ftp_is_taken_where_it_is_allowed() -> None:
    assert rules.read_base_url("ftp://mirror.example.org/pub", allow_ftp=True) == "ftp://mirror.example.org/pub/"


@pytest.mark.parametrize(
    ("typed", "kept", "reach"),
    [
        ("8.8.8.0/24", "8.8.8.0/24", Reach.FREE),
        ("8.8.0.0/16", "8.8.0.0/16", Reach.FREE),
        ("8.8.0.0/15", "8.8.0.0/15", Reach.WIDE),
        ("128.0.0.0/1", "128.0.0.0/1", Reach.WIDE),
        ("8.8.8.8", "8.8.8.8/32", Reach.FREE),
        ("2A00:1450::/32", "2a00:1450::/32", Reach.FREE),
        ("2a00::/31", "2a00::/31", Reach.WIDE),
        ("2a00:1450::1", "2a00:1450::1/128", Reach.FREE),
        ("::ffff:8.8.8.0/120", "8.8.8.0/24", Reach.FREE),
        ("NAT.Example.org.", "nat.example.org", Reach.FREE),
        ("10.1.0.0/16", "10.1.0.0/16", Reach.SPECIAL),
        ("172.20.0.0/16", "172.20.0.0/16", Reach.SPECIAL),
        ("192.168.1.0/24", "192.168.1.0/24", Reach.SPECIAL),
        ("100.64.0.0/10", "100.64.0.0/10", Reach.SPECIAL),
        ("127.0.0.1", "127.0.0.1/32", Reach.SPECIAL),
        ("169.254.169.254", "169.254.169.254/32", Reach.SPECIAL),
        ("192.0.2.0/24", "192.0.2.0/24", Reach.SPECIAL),
        ("198.51.100.0/24", "198.51.100.0/24", Reach.SPECIAL),
        ("203.0.113.0/24", "203.0.113.0/24", Reach.SPECIAL),
        ("224.0.0.0/8", "224.0.0.0/8", Reach.SPECIAL),
        ("255.255.255.255", "255.255.255.255/32", Reach.SPECIAL),
        ("fd00::/8", "fd00::/8", Reach.SPECIAL),
        ("fe80::/10", "fe80::/10", Reach.SPECIAL),
        ("2001:db8::/32", "2001:db8::/32", Reach.SPECIAL),
        ("ff02::/16", "ff02::/16", Reach.SPECIAL),
        ("::1", "::1/128", Reach.SPECIAL),
        ("64:ff9b::/96", "64:ff9b::/96", Reach.SPECIAL),
    ],
)
def test_networks_have_one_spelling_and_a_reach(typed: str, kept: str, reach: Reach) -> None:
    assert rules.read_network(typed) == kept
    assert rules.reach_of(kept) is reach


@pytest.mark.parametrize(
    "typed",
    ["0.0.0.0/0", "::/0", "::ffff:0:0/96", "8.8.8.1/24", "8.8.8.8/33", "8.8.8", "300.1.1.1", "2a00::1/32", "localhost",
     "nat_gateway", "a..b", "8.8.8.8-9", "", "8.8.8.0/24,9.9.9.0/24", "8.8.8.0/255.255.255.0 "],
)  # fmt: skip
def test_what_is_no_network_is_refused(typed: str) -> None:
    if typed == "8.8.8.0/255.255.255.0 ":
        assert rules.read_network(typed) == "8.8.8.0/24"
        return
    with pytest.raises(ValueError):
        rules.read_network(typed)


@given(st.ip_addresses(), st.integers(0, 128))
def test_a_network_is_never_wider_than_it_says(address: IPv4Address | IPv6Address, length: int) -> None:
    network = ip_network((address, min(length, address.max_prefixlen)), strict=False)
    try:
        kept = ip_network(rules.read_network(str(network)))
    except ValueError:
        assert network.prefixlen == 0 or str(network) == "::ffff:0:0/96"
        return
    assert kept.num_addresses == network.num_addresses
    if rules.reach_of(str(kept)) is Reach.FREE:
        assert kept.prefixlen >= (16 if kept.version == 4 else 32)
        assert rules.is_global(kept)


@pytest.mark.parametrize("number", [1, 64495, 131072, 4_199_999_999, 3320])
def test_announced_as_numbers_are_taken(number: int) -> None:
    assert rules.read_asn(number) == number


@pytest.mark.parametrize(
    "number", [-1, 0, 23456, 64496, 64512, 65535, 65536, 131071, 4_200_000_000, 4_294_967_295, 2**32]
)
def test_reserved_as_numbers_are_refused(number: int) -> None:
    with pytest.raises(ValueError):
        rules.read_asn(number)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("8.8.8.8/32", "8.8.8.8"),
        ("8.8.8.0/24", "8.8.8.0/24"),
        ("2a00:1450::/48", "2a00:1450::/48"),
        ("2A00:1450:0::1", "2a00:1450::1"),
        ("Pull.Example.org", "pull.example.org"),
    ],
)
def test_acl_addresses_have_one_spelling(typed: str, kept: str) -> None:
    assert rules.read_acl_address(typed) == kept


@pytest.mark.parametrize(
    "typed", ["8.8.0.0/23", "2a00:1450::/47", "0.0.0.0/0", "8.8.8.1/24", "localhost", "", "a b.org"]
)
def test_wide_acl_addresses_are_refused(typed: str) -> None:
    with pytest.raises(ValueError):
        rules.read_acl_address(typed)


@pytest.mark.parametrize(
    ("read", "typed"),
    [
        (rules.read_text, "a\nb"),
        (rules.read_text, "a\x00b"),
        (rules.read_text, "a\x1b[31mb"),
        (rules.read_text, "a\u2028b"),
        (rules.read_text, "a\u202eb"),
        (rules.read_text, "a\ud800b"),
        (rules.read_text, "a" * 256),
        (rules.read_filled_text, " "),
        (rules.read_mail, "nobody"),
        (rules.read_mail, "a@b"),
        (rules.read_mail, "a b@example.org"),
        (rules.read_mail, "a@example.org, b@example.org"),
        (rules.read_mail, "<a@example.org>"),
        (rules.read_mail, "a@-example.org"),
        (rules.read_host_name, "mirror example"),
        (rules.read_host_name, "../mirror"),
        (rules.read_host_name, "master"),
        (rules.read_host_name, "mïrror.example.org"),
        (rules.read_country, "XX"),
        (rules.read_country, "UK"),
        (rules.read_country, "Germany"),
        (rules.read_frequency, "often"),
        (rules.read_frequency, "0h"),
        (rules.read_top, "/"),
        (rules.read_top, "pub/../etc"),
        (rules.read_pattern, "../x"),
        (rules.read_page_url, "javascript:alert(1)"),
        (rules.read_page_url, "https://"),
        (rules.read_page_url, "ftp://example.org/"),
        (rules.read_page_url, "https://user@example.org/"),
        (rules.read_login, "a b"),
    ],
)
def test_texts_that_break_a_rule_are_refused(read: Callable[[str], str], typed: str) -> None:
    with pytest.raises(ValueError):
        read(typed)


def test_text_is_as_long_as_255_characters_of_any_script() -> None:
    assert rules.read_text("日" * 255) == "日" * 255
    assert rules.read_text(" <b>Straße & Söhne</b> ") == "<b>Straße & Söhne</b>"


@given(st.text())
def test_a_text_is_one_line_or_refused(text: str) -> None:
    try:
        kept = rules.read_text(text)
    except ValueError:
        return
    assert len(kept) <= 255 and len(kept.splitlines()) <= 1 and "\0" not in kept


@given(st.text(max_size=80))
def test_a_base_url_is_read_or_refused_and_stays_what_it_is(text: str) -> None:
    try:
        kept = rules.read_base_url(text, allow_ftp=True)
    except ValueError:
        return
    assert kept.endswith("/") and rules.read_base_url(kept, allow_ftp=True) == kept


@pytest.mark.parametrize(
    ("host", "source", "sources", "loop"),
    [
        (1, None, {}, ()),
        (1, 2, {}, ()),
        (1, 1, {}, (1,)),
        (1, 2, {2: 1}, (1, 2)),
        (1, 2, {2: 3, 3: 1}, (1, 2, 3)),
        (1, 2, {2: 3, 3: 2}, ()),
        (4, 2, {2: 3, 3: 1}, ()),
    ],
)
def test_loops_are_found_with_their_hosts(
    host: int, source: int | None, sources: dict[int, int], loop: tuple[int, ...]
) -> None:
    assert tuple(rules.find_loop(host, source, sources)) == loop
