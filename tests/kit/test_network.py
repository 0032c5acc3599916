"""What a mirror learns from its registry: what it leaves out, and where a private one pulls from. And its passwords."""

from __future__ import annotations

import json

import pytest

from redirector.errors import FormatError
from redirector.kit.choosing import choose_source
from redirector.kit.exclusions import read_exclusions, read_patterns, render_patterns
from redirector.kit.names import regex_of
from redirector.kit.write import render_secrets

TIERS = (
    "-\tnone.example.org\tDE\t40000\t-\trsync://none.example.org/linux/\n"
    "0\tzero.example.org\tDE\t90000\tmaster\trsync://zero.example.org/linux/\n"
    "1\tone.example.org\tDE\t20000\tmaster\trsync://one.example.org/linux/\n"
    "1\tfar.example.org\tUS\t90000\tmaster\trsync://far.example.org/linux/\n"
    "2\ttwo.example.org\tDE\t1000\tone.example.org\trsync://two.example.org/linux/\n"
    "2\tweb.example.org\tDE\t30000\tone.example.org\t-\n"
    "2\told.example.org\tDE\t30000\tone.example.org\trsync://old.example.org/linux/\n"
)


def mirror(name: str, country: str = "DE", mbit: int = 1000, state: str = "ok", **urls: str) -> dict[str, object]:
    listed = [
        {"url": url, "protocol": url.partition(":")[0], "category": category.replace("_", " ")}
        for category, url in urls.items()
    ]
    return {"host": f"{name}.example.org", "country": country, "bandwidth_mbit": mbit, "state": state, "urls": listed}


PUBLIC = json.dumps(
    {
        "items": [
            mirror("none", Linux="rsync://none.example.org/linux"),
            mirror("zero", Linux="rsync://zero.example.org/linux"),
            mirror(
                "one", mbit=20000, Linux="rsync://one.example.org/pub/linux", Alt="rsync://one.example.org/pub/alt/"
            ),
            mirror("far", "US", 90000, Linux="rsync://far.example.org/linux/", Alt="rsync://far.example.org/alt/"),
            mirror("two", Linux="rsync://two.example.org/linux/"),
            mirror("web", Linux="https://web.example.org/linux/"),
            mirror("old", mbit=30000, state="stale", Linux="rsync://old.example.org/linux/"),
        ]
    }
)


@pytest.mark.parametrize(
    ("categories", "country", "url"),
    [
        ({"Linux": ""}, "DE", "rsync://two.example.org/linux/"),
        ({"Linux": ""}, "US", "rsync://far.example.org/linux/"),
        ({"Linux": ""}, "", "rsync://two.example.org/linux/"),
        ({"Linux": "linux", "Alt": "alt"}, "DE", "rsync://one.example.org/pub/"),
        ({"Linux": "linux", "Alt": "alt"}, "US", "rsync://far.example.org/"),
        ({"Other": ""}, "DE", None),
        ({}, "DE", None),
    ],
)
def test_a_private_mirror_pulls_from_a_public_one(categories: dict[str, str], country: str, url: str | None) -> None:
    assert choose_source(TIERS, PUBLIC, categories, country) == url


@pytest.mark.parametrize("public", ["", "[]", "{}", '{"items": [1]}', '{"items": [{"host": "one.example.org"}]}'])
def test_what_is_no_list_of_mirrors_is_said(public: str) -> None:
    with pytest.raises(FormatError):
        choose_source(TIERS, public, {"Linux": ""}, "DE")


def test_what_is_registered_to_be_left_out_is_said_to_rsync() -> None:
    text = "Linux\t*/debug/*\nLinux\t8\nALT\tx?/y*\nOther\tz\nLinux\t[ab]\nLinux\t*\nnonsense\n"
    found = read_exclusions(text, {"linux": "linux", "Alt": ""})
    assert found.patterns == ("/linux/**/debug/**/", "/linux/8/", "/x?/y**/")
    assert found.unused == ("Other\tz", "Linux\t[ab]", "Linux\t*", "nonsense")
    assert read_patterns(render_patterns(found.patterns, "https://mirrors.example.org")) == found.patterns


@pytest.mark.parametrize(
    ("pattern", "folder", "out"),
    [
        ("*/debug/*", "9/x/debug/tree", True),
        ("*/debug/*", "9/x/debug", False),
        ("*/debug", "9/x/debug", True),
        ("*/debug", "9/x/debug/below", True),
        ("*/debug", "debug", False),
        ("8", "8/BaseOS", True),
        ("8", "8.10", False),
        ("8*", "8.10/x", True),
    ],
)
def test_the_same_folders_are_left_out_as_in_the_registry(pattern: str, folder: str, out: bool) -> None:
    import re

    [said] = read_exclusions(f"Linux\t{pattern}\n", {"Linux": ""}).patterns
    assert bool(re.search(regex_of(said), folder + "/")) is out


def test_passwords_stay_with_their_users() -> None:
    made = iter(["first", "second", "third"])
    text = render_secrets(["alice", "bob"], "", lambda: next(made))
    assert text.splitlines()[1:] == ["alice:first", "bob:second"]
    text = render_secrets(["bob", "eve"], text, lambda: next(made))
    assert text.splitlines()[1:] == ["bob:second", "eve:third"]
