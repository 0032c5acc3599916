"""The key `masters`: what it may say, and all that is wrong with it at once."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.errors import ConfigErrors
from redirector.plain_yaml import Value, parse_yaml
from redirector.settings.masters import Master, Reading, read_masters
from redirector.settings.option import Block
from redirector.settings.repository_rules import Rule

FULL = """
- category: Example Linux
  top: /pub/linux/
  path: srv/linux
  exclude: ['*/images/*', '*.drpm']
  repositories:
    - match: '(?P<version>[0-9.]+)/(?P<name>[^/]+)/(?P<arch>[^/]+)/os'
      prefix: '{name}-{version}'
      product: Example Linux
    - {match: 'source/(?P<version>[0-9]+)/os', prefix: 'source-{version}', arch: source}
- {category: B, top: b, list: 'https://master.example.org/fullfiletimelist-b', files: 'http://other.example.org/b'}
- {category: C, top: c, list: /srv/list, files: tree, start: linux/core/, exclude: x}
- {category: D, top: d, rsync: 'rsync://master.example.org/linux'}
- {category: E, top: e, http: 'https://master.example.org/e', repositories: [{match: '(?P<arch>x|y)/os', prefix: e}]}
"""


def read(text: str) -> tuple[Master, ...]:
    return read_masters(Block("r.yml", "masters", parse_yaml(text.encode()).value, "/etc"))


def test_every_way_to_name_a_master() -> None:
    a, b, c, d, e = read(FULL)
    assert (a.category, a.top, a.reading, a.where) == ("Example Linux", "pub/linux", Reading.PATH, "/etc/srv/linux")
    assert a.exclude == ("*/images/*", "*.drpm")
    assert (b.reading, b.files) == (Reading.LIST, "http://other.example.org/b/")
    assert (c.where, c.files, c.start, c.exclude) == ("/srv/list", "/etc/tree", "linux/core", ("x",))
    assert (d.reading, d.where) == (Reading.RSYNC, "rsync://master.example.org/linux/")
    assert (e.reading, e.where, e.rules[0].list_paths()) == (
        Reading.HTTP,
        "https://master.example.org/e/",
        ["x/os", "y/os"],
    )


def test_the_first_rule_that_matches_names_a_repository() -> None:
    first, second = read(FULL)[0].rules
    named = first.name(b"43/Everything/x86_64/os")
    assert named and (named.prefix, named.arch, named.product) == ("Everything-43", "x86_64", "Example Linux")
    assert named.groups == {"version": "43", "name": "Everything", "arch": "x86_64"}
    assert first.name(b"43/Everything/x86_64/os/more") is None and first.name(b"a/43/b/c/os") is None
    source = second.name(b"source/43/os")
    assert source and (source.prefix, source.arch, source.product) == ("source-43", "source", "")
    assert first.name(b"43/\xff/x86_64/os") is None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "masters: a list of masters"),
        ("[]", "a list of masters"),
        ("x", "a list of masters"),
        ("[x]", "masters.1: 'x': a master is needed"),
        ("[{category: A, top: t}]", "exactly one of path, list, rsync and http"),
        ("[{category: A, top: t, path: a, list: b}]", "exactly one of path, list, rsync and http"),
        ("[{top: t, path: a}]", "masters.1.category: the category's name"),
        ("[{category: A, path: a}]", "masters.1.top"),
        ("[{category: A, top: /, path: a}]", "masters.1.top"),
        ("[{category: A, top: a/../b, path: a}]", "masters.1.top"),
        ("[{category: A, top: t, paht: a}]", "masters.1.paht: 'a': unknown key; the nearest known one is path"),
        ("[{category: A, top: t, path: [a]}]", "masters.1.path"),
        ("[{category: A, top: t, rsync: 'http://x/y'}]", "such as rsync://"),
        ("[{category: A, top: t, rsync: 'rsync://user:pass@x/y'}]", "without user and password"),
        ("[{category: A, top: t, rsync: 'rsync://x/a/../y'}]", "without .."),
        ("[{category: A, top: t, rsync: '--rsh=sh'}]", "such as rsync://"),
        ("[{category: A, top: t, http: 'ftp://x/y', repositories: [{match: '(?P<arch>x)', prefix: e}]}]", "https://"),
        ("[{category: A, top: t, list: 'http://x:99999/y'}]", "no URL"),
        ("[{category: A, top: t, http: 'http://x/y'}]", "http reads only the repositories that stand here"),
        (
            "[{category: A, top: t, http: 'http://x/', repositories: [{match: '(?P<arch>.+)', prefix: e}]}]",
            "http cannot list a master",
        ),
        ("[{category: A, top: t, path: a, files: b}]", "goes with `list` alone"),
        ("[{category: A, top: t, path: a, start: b}]", "goes with `list` alone"),
        ("[{category: A, top: t, path: a, exclude: [[b]]}]", "masters.1.exclude.1"),
        ("[{category: A, top: t, path: a, repositories: {}}]", "a list of rules"),
        ("[{category: A, top: t, path: a, repositories: [{match: '(', prefix: p}]}]", "no regular expression"),
        ("[{category: A, top: t, path: a, repositories: [{match: 'a', prefix: p}]}]", "masters.1.repositories.1.arch"),
        (
            "[{category: A, top: t, path: a, repositories: [{match: '(?P<arch>a)', prefix: '{nam}'}]}]",
            "nam: no such group in match (there are: arch)",
        ),
        ("[{category: A, top: t, path: a, repositories: [{match: '(?P<arch>a)'}]}]", "repositories.1.prefix"),
        ("[{category: A, top: t, path: a, repositories: [{mach: 'a', prefix: p}]}]", "nearest known one is match"),
        (
            "[{category: A, top: t, path: a}, {category: A, top: u, path: b}]",
            "masters.2.category: 'A': stands there twice",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(text: str, wrong: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(text)
    assert wrong in str(caught.value)
    assert all(line.startswith("r.yml: masters") for line in str(caught.value).splitlines())
    assert "pass@" not in str(caught.value)


def test_all_is_said_at_once() -> None:
    with pytest.raises(ConfigErrors) as caught:
        read("[{category: '', top: t, path: a, x: y}, {category: B, top: .., rsync: z}]")
    assert len(caught.value.errors) == 4


VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["category", "top", "path", "list", "http", "repositories", "match", "prefix"]), inner
        )
    ),
    max_leaves=10,
)


@given(VALUES)
def test_any_value_is_read_or_refused(value: Value) -> None:
    try:
        assert read_masters(Block("r.yml", "masters", value))
    except ConfigErrors as errors:
        assert errors.errors and str(errors)


@pytest.mark.parametrize(
    ("match", "paths"),
    [
        ("a/b", ["a/b"]),
        (r"9\.8/os", ["9.8/os"]),
        ("9.8/os", ["9.8/os"]),
        ("(?P<v>42|43)/(?:a|b)/os", ["42/a/os", "42/b/os", "43/a/os", "43/b/os"]),
        ("a|b", ["a", "b"]),
        ("x(86)?_[6-7]4", ["x86_64", "x86_74", "x_64", "x_74"]),
        ("^[ab]$", ["a", "b"]),
        ("(x)", ["x"]),
        ("a+", None),
        ("a*", None),
        ("[^a]", None),
        (r"\d", None),
        ("a{2}", None),
        ("(?i)a", None),
        ("(?=a)a", None),
        ("[a-z][a-z][a-z][a-z]", None),
    ],
)
def test_an_expression_of_alternatives_names_paths(match: str, paths: list[str] | None) -> None:

    assert Rule(re.compile(match), "p").list_paths() == paths
