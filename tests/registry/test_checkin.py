"""Reading check-ins: both forms, and everything that somebody could send instead."""

from __future__ import annotations

import base64
import bz2
import json
import xmlrpc.client
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.registry.checkin import (
    AGAIN_S,
    DIRECTORIES,
    PATH_BYTES,
    UNPACKED_BYTES,
    WRONG_FILE,
    Counted,
    TooLarge,
    Unreadable,
    Wrong,
    good_text,
    is_confirmed,
    is_lost,
    parse_call,
    parse_new,
    parse_old,
    render_answer,
    render_fault,
    wrong_text,
)
from tests.registry.check_ins import PICKLE, VECTOR, config, pack, pack_bytes


def test_what_report_mirror_writes_is_read() -> None:
    told = parse_old(VECTOR)
    assert (told.site, told.password, told.host, told.active) == (
        "Example Site",
        "correct horse",
        "mirror.example.org",
        None,
    )
    assert set(told.parts) == {"fedora linux"} and told.parts["fedora linux"].enabled
    assert told.parts["fedora linux"].directories == {"", "releases", "releases/42"}
    assert "correct horse" not in repr(told)


def test_a_pickle_is_refused_unread_and_told_to_update() -> None:
    with pytest.raises(Unreadable, match="update your copy of report_mirror"):
        parse_old(PICKLE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64!",
        "QlpoOTFB",
        base64.urlsafe_b64encode(b"plain text").decode(),
        pack_bytes(b"no JSON"),
        pack_bytes(b""),
        pack_bytes(b'{"version": 0')[:-8],
        base64.urlsafe_b64encode(bz2.compress(b"{}") + b"rest").decode(),
        base64.urlsafe_b64encode(bz2.compress(b"") * 100).decode(),
        pack_bytes(b"[" * 100_000),
        pack_bytes(b'{"site": {"name": "\\ud800"}}'),
    ],
    ids=["empty", "base64", "cut", "bzip2", "json", "nothing", "cut JSON", "rest", "streams", "deep", "surrogate"],
)
def test_what_is_no_check_in_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        parse_old(text)


def test_lines_and_the_other_alphabet_of_base64_are_read() -> None:
    plain = base64.encodebytes(base64.urlsafe_b64decode(VECTOR)).decode()
    assert parse_old(plain) == parse_old(VECTOR)


def test_a_bomb_is_unpacked_no_further_than_the_bound() -> None:
    stream = bz2.compress(bytes(17 << 20), 9)
    assert len(stream) < 100
    for packed in (stream, bz2.compress(bytes(1 << 20), 1) * 17):
        with pytest.raises(TooLarge, match="16 MiB"):
            parse_old(base64.urlsafe_b64encode(packed).decode())


def test_bounds_hold_exactly() -> None:
    raw = json.dumps(config("")).encode()
    assert parse_old(pack_bytes(raw + b" " * (UNPACKED_BYTES - len(raw)))).site == "Example Site"
    with pytest.raises(TooLarge):
        parse_old(pack_bytes(raw + b" " * (UNPACKED_BYTES - len(raw) + 1)))
    assert parse_old(pack(config("a" * PATH_BYTES))).site == "Example Site"
    with pytest.raises(TooLarge, match="path"):
        parse_old(pack(config("ä" * 512 + "a")))


def test_directories_are_counted_over_all_categories() -> None:
    half: dict[str, object] = {f"{number:x}": {} for number in range(DIRECTORIES // 2)}
    other = {"enabled": "1", "dirtree": half}
    told = parse_old(pack(config(x={"enabled": "0", "dirtree": half}, y=other)))
    assert sum(len(part.directories) for part in told.parts.values()) == DIRECTORIES
    with pytest.raises(TooLarge, match="200,000"):
        parse_old(pack(config(x=other, y=other, z={"dirtree": {"": {}}})))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": 1}, "version is not 0"),
        ({"version": True}, "version is not 0"),
        ({"global": None}, "missing section global"),
        ({"global": {"enabled": "0"}}, r"\[global\] not enabled"),
        ({"site": "x"}, "missing section site"),
        ({"site": {"name": "x"}}, "missing required option password"),
        ({"site": {"name": 7, "password": "x"}}, "missing required option name"),
        ({"host": {}}, "missing required option name"),
        ({"successful": {"enabled": "1"}}, "missing required option dirtree"),
        ({"successful": "x"}, "missing required option dirtree"),
    ],
)
def test_what_says_something_wrong_gets_mirrormanagers_text(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(Wrong, match=text) as caught:
        parse_old(pack(config("", **changes)))
    answer = wrong_text(caught.value.text)
    assert answer.endswith(f"{WRONG_FILE}\nerror checking in") and "successful" not in answer.lower()


@pytest.mark.parametrize("told", [[], "x", 5, None, {}])
def test_any_json_is_answered(told: object) -> None:
    with pytest.raises(Wrong):
        parse_old(pack(told))


@pytest.mark.parametrize(
    ("value", "active"),
    [("true", True), ("1", True), ("t", True), ("y", True), ("yes", True), ("no", False), ("", False), ([], False)],
)
def test_user_active(value: object, active: bool) -> None:
    told = parse_old(pack(config("", host={"name": "mirror.example.org", "user_active": value})))
    assert told.active is active


def test_a_category_counts_only_when_it_says_1() -> None:
    for value, enabled in (("1", True), (1, True), ("0", False), ("yes", False), (None, False), (True, False)):
        told = parse_old(pack(config("", x={"enabled": value, "dirtree": {}})))
        assert told.parts["x"].enabled is enabled
    assert not parse_old(pack(config("", x={"dirtree": {}}))).parts["x"].enabled


# -- XML-RPC -----------------------------------------------------------------------------------------------------------


def test_calls_of_pythons_client_are_read_and_answers_are_what_it_reads() -> None:
    body = xmlrpc.client.dumps(("a & <b>\n",), "checkin").encode()
    assert parse_call(body) == ("checkin", ("a & <b>\n",))
    assert parse_call(b"<methodCall><methodName>checkin</methodName><params><param><value>QQ==</value></param></params>"
                      b"</methodCall>") == ("checkin", ("QQ==",))  # fmt: skip
    values, _ = xmlrpc.client.loads(render_answer("a & <b>\nc").decode())
    assert values == ("a & <b>\nc",)
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(render_fault(1, "<update>").decode())
    assert (caught.value.faultCode, caught.value.faultString) == (1, "<update>")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"<methodCall>",
        b"<a><b/></a>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><methodCall><methodName>&b;</methodName></methodCall>',
        b'<!DOCTYPE methodCall SYSTEM "file:///etc/passwd"><methodCall/>',
        b"<methodCall><methodName>&x;</methodName></methodCall>",
        b"<methodCall><params><param><value><int>1</int></value></param></params></methodCall>",
        b"<methodCall><params>" + b"<param/>" * 1000 + b"</params></methodCall>",
        b"<methodCall>" * 10_000,
        b'<?xml version="1.0" encoding="utf-7"?><methodCall/>',
        b"<methodCall><methodName>\xff</methodName></methodCall>",
    ],
)
def test_everything_else_is_no_call(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse_call(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (parse_call, parse_new, lambda raw: parse_old(pack_bytes(raw))):
        try:
            read(body)
        except (TooLarge, Unreadable, Wrong):
            pass


def test_the_answer_says_what_came_of_each_category() -> None:
    text = good_text((Counted("Fedora Linux", 1, 2, 3), Counted("EPEL")))
    assert text == (
        "Category Fedora Linux directories updated: 1  added: 2  deleted 3\n"
        "Category EPEL directories updated: 0  added: 0  deleted 0\n"
        "checked in successful"
    )


# -- The new form ------------------------------------------------------------------------------------------------------


def test_the_new_form_is_read() -> None:
    digest = "AB" * 32
    told = parse_new(
        json.dumps(
            {
                "host": "mirror.example.org",
                "finished": "2026-11-28T06:00:00Z",
                "categories": {
                    "Example Linux": {
                        "directories": ["", "/1/x86_64/os/", "1"],
                        "repomd": {"1/x86_64/os/repodata/repomd.xml": digest, "1/src": digest, "repodata": digest},
                    }
                },
                "traffic": {"2026-11-27": 1 << 40},
            }
        ).encode()
    )
    part = told.parts["Example Linux"]
    assert part.directories == {"", "1", "1/x86_64/os"}
    assert part.repomd == dict.fromkeys(("1/x86_64/os/repodata", "1/src/repodata", "repodata"), digest.lower())
    assert told.finished == 1_795_845_600 and told.traffic == {"2026-11-27": 1 << 40} and told.active is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], ""),
        ({"host": 5}, "host"),
        ({"hots": "x"}, "hots"),
        ({"finished": "yesterday"}, "finished"),
        ({"finished": "2026-11-28T06:00:00"}, "finished"),
        ({"finished": "0001-01-01T00:00:00Z"}, "finished"),
        ({"finished": 1e300}, "finished"),
        ({"categories": []}, "categories"),
        ({"categories": {"a": []}}, "categories.a"),
        ({"categories": {"a": {"directories": "x"}}}, "categories.a.directories"),
        ({"categories": {"a": {"directories": [1]}}}, "categories.a.directories"),
        ({"categories": {"a": {"repomd": {"x": "12"}}}}, "categories.a.repomd"),
        ({"traffic": {"28.11.2026": 1}}, "traffic"),
        ({"traffic": {"2026-02-30": 1}}, "traffic"),
        ({"traffic": {"2026-11-28": -1}}, "traffic.2026-11-28"),
        ({"traffic": {"2026-11-28": True}}, "traffic.2026-11-28"),
        ({"traffic": {"2026-11-28": 1 << 63}}, "traffic.2026-11-28"),
        ({"traffic": {f"{year}-01-01": 1 for year in range(1000, 2000)}}, "traffic"),
    ],
)
def test_wrong_fields_are_named(body: object, field: str) -> None:
    with pytest.raises(Wrong) as caught:
        parse_new(json.dumps(body).encode())
    assert caught.value.field == field


def test_bounds_of_the_new_form() -> None:
    with pytest.raises(TooLarge):
        parse_new(json.dumps({"categories": {"a": {"directories": ["x" * 1025]}}}).encode())
    with pytest.raises(TooLarge):
        parse_new(json.dumps({"categories": {"a": {"directories": [str(n) for n in range(200_001)]}}}).encode())


# -- Trees that lost much ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [("", "", False), ("", "ab", False), ("ab", "a", False), ("abc", "a", True), ("a", "", True), ("ab", "cd", True)],
)
def test_a_tree_has_lost_much(old: str, new: str, lost: bool) -> None:
    assert is_lost(frozenset(old), frozenset(new)) is lost


def test_it_is_believed_when_it_comes_again_an_hour_later() -> None:
    assert is_confirmed(frozenset("a"), frozenset("a"), AGAIN_S)
    assert not is_confirmed(frozenset("a"), frozenset("a"), AGAIN_S - 1)
    assert not is_confirmed(frozenset("a"), frozenset("abcd"), AGAIN_S)
