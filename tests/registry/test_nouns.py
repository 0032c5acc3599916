"""Bodies from outside: all problems at once, each at its field; nothing that is not asked for."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from redirector.registry import nouns
from redirector.registry.refusals import Invalid
from redirector.store.registry import rows
from tests.registry.rig import HOST, SITE

NOUNS = [
    each
    for _, each in inspect.getmembers(nouns, inspect.isclass)
    if issubclass(each, nouns.Noun) and each is not nouns.Noun
]


def fields_of(error: Invalid) -> set[str]:
    return {problem.field for problem in error.problems}


def test_all_problems_of_a_site_are_told_at_once() -> None:
    contacts = ["a@example.org", "b", "A@example.org"]
    body = {"name": "", "url": "x", "contacts": contacts, "private": "yes", "state": "approved"}
    with pytest.raises(Invalid) as caught:
        nouns.read_new(nouns.Site, body)
    assert fields_of(caught.value) == {"name", "url", "contacts.1", "private", "state"}


def test_required_fields_are_named() -> None:
    with pytest.raises(Invalid) as caught:
        nouns.read_new(nouns.Host, {})
    assert fields_of(caught.value) == {"name", "country", "bandwidth_mbit"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 5),
        ("country", "Germany"),
        ("latitude", 91),
        ("latitude", "52.5"),
        ("longitude", float("nan")),
        ("bandwidth_mbit", 0),
        ("bandwidth_mbit", 1_000_001),
        ("bandwidth_mbit", 1.5),
        ("bandwidth_mbit", True),
        ("bandwidth_mbit", "1000"),
        ("private", 1),
        ("own_asn", 64512),
        ("own_asn", "AS3320"),
        ("update_frequency", "often"),
        ("cloud_type", "moon"),
        ("cloud_regions", "eu-central-1"),
        ("tier", 3),
        ("tier", -1),
        ("maintenance", {"from": "2026-11-28T06:00:00Z"}),
        ("maintenance", {"from": "2026-11-28 06:00", "to": "2026-11-28T07:00:00Z"}),
        ("maintenance", {"from": "2026-11-28T06:00:00Z", "to": "2026-11-28T06:00:00Z"}),
        ("id", 7),
        ("site", 7),
        ("version", 7),
        ("state", ["Berlin"]),
        ("enabled", None),
    ],
)
def test_a_wrong_field_of_a_host_is_told_at_its_place(field: str, value: object) -> None:
    body = {**HOST, "latitude": 1.0, "longitude": 1.0, field: value}
    with pytest.raises(Invalid) as caught:
        nouns.read_new(nouns.Host, body)
    assert {each.partition(".")[0] for each in fields_of(caught.value)} == {field}
    assert all(len(problem.text.splitlines()) == 1 for problem in caught.value.problems)


def test_a_place_needs_both_coordinates() -> None:
    with pytest.raises(Invalid) as caught:
        nouns.read_new(nouns.Host, {**HOST, "latitude": 52.5})
    assert fields_of(caught.value) == {"longitude"}


@pytest.mark.parametrize("body", [None, [], "text", 5, [["name", "x"]]])
def test_what_is_no_object_is_refused(body: object) -> None:
    for noun in NOUNS:
        with pytest.raises(Invalid):
            nouns.read_new(noun, body)
        if body != []:
            with pytest.raises(Invalid):
                nouns.read_change(noun, {}, body)


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_no_column_can_be_set_that_is_no_field(noun: type[nouns.Noun]) -> None:
    kinds = [each for _, each in inspect.getmembers(rows, inspect.isclass) if dataclasses.is_dataclass(each)]
    columns = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    aliases = {field.alias or name for name, field in noun.model_fields.items()}
    for column in sorted(columns - aliases):
        with pytest.raises(Invalid) as caught:
            nouns.read_change(noun, {}, {column: 1})
        assert fields_of(caught.value) == {column}
        with pytest.raises(Invalid) as caught:
            nouns.read_new(noun, {column: 1})
        assert column in fields_of(caught.value)


def test_one_field_can_be_mended_though_another_is_broken() -> None:
    broken = {**HOST, "name": "two words", "latitude": None, "longitude": None, "cloud_regions": [], "cloud_type": None,
              "maintenance": None, "city": ""}  # fmt: skip
    assert nouns.read_change(nouns.Host, broken, {"city": "Berlin"}) == {"city": "Berlin"}
    with pytest.raises(Invalid):
        nouns.read_change(nouns.Host, broken, {"name": "still two words"})


def test_what_is_so_already_is_no_change() -> None:
    current = {**SITE, "private": False, "enabled": True, "pulled_by": [], "comment": ""}
    assert nouns.read_change(nouns.Site, current, {"name": "Example Site", "private": False}) == {}


def test_forms_and_commands_may_write_numbers_as_text() -> None:
    host = nouns.read_new(nouns.Host, {**HOST, "bandwidth_mbit": "2000", "private": "true", "tier": "1"}, lax=True)
    assert (host.bandwidth_mbit, host.private, host.tier) == (2000, True, 1)
    with pytest.raises(Invalid):
        nouns.read_new(nouns.Host, {**HOST, "bandwidth_mbit": "fast"}, lax=True)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"user": "u"}, {"user"}),
        ({"url": "rsync://a.example/m", "user": "u"}, {"user"}),
        ({"url": "rsync://a.example/m", "audience": "mirrors", "password": "p"}, {"user"}),
        ({"url": "rsync://a.example/m", "audience": "mirrors", "user": "u", "password": "p"}, set()),
        ({"audience": "everybody"}, {"audience"}),
    ],
)
def test_users_and_passwords_are_for_rsync_among_mirrors(body: dict[str, object], wrong: set[str]) -> None:
    body = {"category": "A", "url": "https://a.example/", **body}
    try:
        nouns.read_new(nouns.Url, body)
    except Invalid as error:
        assert fields_of(error) == wrong
    else:
        assert not wrong


def test_passwords_are_in_no_repr() -> None:
    url = nouns.read_new(
        nouns.Url,
        {"category": "A", "url": "rsync://a.example/m", "audience": "mirrors", "user": "u", "password": "hush"},
    )
    assert "hush" not in repr(url)


def test_a_category_is_joinable_by_all_or_by_admins() -> None:
    named = {"name": "A", "top": "pub/a"}
    assert nouns.read_new(nouns.Category, {**named, "joinable": "admins"}).joinable is False
    assert nouns.read_new(nouns.Category, {**named, "joinable": "all"}).joinable is True
    assert nouns.read_new(nouns.Category, {**named, "joinable": False}).joinable is False
