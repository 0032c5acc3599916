"""What is in C takes a directory's record apart as protobuf does, or leaves it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redirector.sources.mirrormanager import carried
from redirector.sources.mirrormanager.carried import split, split_plainly, split_quickly

needs_c = pytest.mark.skipif(
    split_quickly is carried._leave and not os.environ.get("CI"), reason="there was no compiler"
)

PUBLIC = b"\x10\x01\x10\x80\x02\x12\x02\x05\x06"
ENTRY = b"\x22\x06\x0a\x02DE\x10\x01"
PLAIN = b"\x0a\x07pub/a/b" + PUBLIC + b"\x1a\x03a/b" + ENTRY + b"\x32\x04\x08\x01\x10\x02"

texts = st.builds(
    lambda key, text: bytes([key, len(text)]) + text, st.sampled_from([10, 26, 34]), st.binary(max_size=9)
)
fields = st.one_of(
    texts,
    st.sampled_from(
        [PUBLIC, ENTRY, b"\x09" + bytes(8), b"\x0d" + bytes(4), b"\x08\x01", b"\x18\x01", b"\x8a\x00\x01a"]
    ),
    st.sampled_from([b"\x0b\x0c", b"\x07", b"\x02\x00", b"\x00", b"\x10" + b"\x80" * 11, b"\x0a\xff\xff\xff\xff\x0f"]),
    st.sampled_from([b"\x10\x01", b"\x10\x80\x02", b"\x10" + b"\xff" * 9 + b"\x01", b"\x10" + b"\xff" * 9 + b"\x02"]),
    st.binary(max_size=3),
)


@needs_c
@given(st.lists(fields, max_size=8).map(b"".join))
@example(PLAIN)
@example(PLAIN + PLAIN)
@example(b"\x0a\x00")
@example(b"")
def test_a_record_is_taken_apart_as_by_protobuf_or_left_to_it(record: bytes) -> None:
    found = split_quickly(record)
    assert found is None or found == split_plainly(record)


@needs_c
def test_a_plain_record_is_not_left_to_protobuf() -> None:
    assert split_quickly(PLAIN) == (b"pub/a/b", b"a/b", PLAIN[9:18] + PLAIN[23:])


def test_what_is_left_is_taken_by_protobuf() -> None:
    odd = b"\x18\x01" + PLAIN
    assert split_quickly(odd) is None
    assert split(odd) == split_plainly(odd)


@needs_c
@pytest.mark.parametrize("wrong", [None, "text", bytearray(PLAIN)], ids=repr)
def test_what_are_no_bytes_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError):
        split_quickly(wrong)  # type: ignore[arg-type]


def test_a_checkout_that_was_not_built_takes_them_apart_too() -> None:
    code = (
        "import sys; sys.modules['redirector.sources.mirrormanager._carried'] = None\n"
        "from redirector.sources.mirrormanager.carried import split\n"
        "assert split(b'\\x0a\\x01a\\x10\\x01') == (b'a', b'', b'\\x10\\x01')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
