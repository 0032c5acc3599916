from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from redirector.files import read_bytes, write_atomically
from redirector.plain_yaml import Value, parse_yaml

ALIASES_OF_ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("---\n...\n", None),
        ("8.10", "8.10"),
        (
            "[0010, 1_000, 0x10, 1e3, 12:30, 2001-01-01, .5]",
            ["0010", "1_000", "0x10", "1e3", "12:30", "2001-01-01", ".5"],
        ),
        ("[yes, On, TRUE, no, OFF, False, NO]", [True, True, True, False, False, False, False]),
        ("['yes', \"NO\", !!str true, ! no]", ["yes", "NO", "true", "no"]),
        ("[~, null, Null, '', 'null', ]", [None, None, None, "", "null"]),
        ("NO: 1\n9: nine\n", {"NO": "1", "9": "nine"}),
        ("a: !!int 7", {"a": "7"}),
        ("a: &x [1]\nb: *x\n", {"a": ["1"], "b": ["1"]}),
        ("\ufeffa: b\r\nc: d\r\n", {"a": "b", "c": "d"}),
    ],
)
def test_yaml_is_texts_booleans_and_nulls(text: str, value: Value) -> None:
    assert parse_yaml(text.encode()).value == value


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        ("sponsor: Universität".encode("latin-1"), "not UTF-8 at byte 18"),
        (b"a: \x00", "not YAML: "),
        (b"a: [", "not YAML: "),
        (b"a: b: c", "not YAML: mapping values are not allowed in this context, line 1"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8"),
        (b"a: b\n---\nc: d\n", "a second document starts in line 2"),
        (b"a: *b", "alias *b without its anchor in line 1"),
        (b"&a [*a]", "alias *a without its anchor in line 1"),
        (b"[a]: b", "a key that is no text in line 1"),
        (b"a: &x [1]\n*x : d", "a key that is no text"),
        (b"!!python/object/apply:os.system [id]", "tag 'tag:yaml.org,2002:python/object/apply:os.system' in line 1"),
        (b"a: !!timestamp x", "tag 'tag:yaml.org,2002:timestamp' in line 1"),
        (ALIASES_OF_ALIASES.encode(), "more than 200,000 values"),
        (b"[" * 100_000, "nested more than 20 deep in line 1"),
        (b"- " * 100_000, "nested more than 20 deep in line 1"),
        (b"{a: " * 100_000, "nested more than 20 deep in line 1"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_one_line(raw: bytes, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_yaml(raw)
    assert str(refused.value).startswith(reason)
    assert "\n" not in str(refused.value)


def test_keys_that_stand_twice_are_named_and_the_later_one_counts() -> None:
    parsed = parse_yaml(b"a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert parsed.value == {"a": "3", "b": {"c": "2"}}
    assert parsed.repeated_keys == ("c", "a")


TREES = st.recursive(
    st.none() | st.booleans() | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcNO1", max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(TREES)
def test_what_yaml_writes_is_read_back(value: Value) -> None:
    assert parse_yaml(yaml.safe_dump(value, allow_unicode=True).encode()).value == value


@given(st.binary(max_size=60) | st.text("ab:-[]{}&*!|>'\"#%@`,? \n\t~", max_size=40).map(str.encode))
def test_any_bytes_are_a_value_or_a_value_error(raw: bytes) -> None:
    try:
        parse_yaml(raw)
    except ValueError as error:
        assert "\n" not in str(error)


def test_only_regular_files_of_moderate_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    os.mkfifo(tmp_path / "pipe")
    assert read_bytes(str(tmp_path / "file"), 5) == b"12345"
    for path, limit in ((tmp_path / "file", 4), (tmp_path / "pipe", 5), (Path("/dev/zero"), 5)):
        with pytest.raises((OSError, ValueError), match=r"larger than 4 bytes|not a regular file"):
            read_bytes(str(path), limit)
    for missing in (tmp_path, tmp_path / "none"):
        with pytest.raises((OSError, ValueError)):
            read_bytes(str(missing), 5)


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with path.open("rb") as opened:
        write_atomically(str(path), b"new")
        assert opened.read() == b"old"
    assert path.read_bytes() == b"new" and path.stat().st_mode & 0o777 == 0o640
    write_atomically(str(path), b"for all", mode=0o644)
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        write_atomically(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_named_as_it_was_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "nowhere/health.json"):
        with pytest.raises(OSError) as caught:
            write_atomically(str(path), b"x")
        assert (caught.value.filename, caught.value.filename2) == (str(path), None)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as caught:
        write_atomically(str(tmp_path / "health.json"), b"x")
    assert caught.value.filename == str(tmp_path / "health.json")
    assert sorted(os.listdir(tmp_path)) == ["folder"]
