"""What is in C reads lines as its twin in Python does, whatever stands in them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redirector.locate.asn_lines import NAMED, read_lines, read_lines_plainly

needs_c = pytest.mark.skipif(
    read_lines is read_lines_plainly and not os.environ.get("CI"), reason="there was no compiler"
)

WORDS = [
    b"192.0.2.0", b"1.2.3.4", b"255.255.255.255", b"192.0.2.00", b"256.0.0.1", b"1.2.3", b"2001:db8::", b"::", b":::",
    b"2001:db8:0:1:8000::", b"0000:0000:0000:0000:0000:ffff:255.255.255.255", b"::ffff:192.0.2.1", b"fe80::1%lo",
    b"1", b"0", b"24", b"024", b"32", b"33", b"128", b"129", b"64500", b"4294967294", b"4294967295", b"00000000001",
    b"18446744073709551617", b"+1", b"-1", b"6_4", b"\xb2", b"AS1", b"\0", b"# a comment", b"x" * 60,
]  # fmt: skip
SPACES = [b" ", b"\t", b" \x0b\x0c", b"\r", b"\n", b"\n\n", b"/", b"", b"\x1c", b"\x85", b"\xa0"]

lines = st.tuples(st.sampled_from(WORDS[:13]), st.sampled_from(WORDS[13:21]), st.sampled_from(WORDS[13:24]))
pieces = st.one_of(
    st.sampled_from([*WORDS, *SPACES]), st.binary(max_size=4), lines.map(lambda line: b"%b/%b %b\n" % line)
)


@needs_c
@given(st.lists(pieces, max_size=30).map(b"".join))
@example(b"")
@example(b"1.2.3.4/8 1")
@example(b"::/1 1\n" * 40)
@example(b"1.1.1.1/8 1\n" * 40)
@example(b"1.2.3.4\0junk/8 1\n::1\0/8 1")
@example(b"wrong\n" * (NAMED + 2))
def test_lines_are_read_as_they_are_in_python(text: bytes) -> None:
    assert read_lines(text) == read_lines_plainly(text)


@needs_c
@pytest.mark.parametrize("wrong", [None, "1.2.3.4/8 1", bytearray(b"1.2.3.4/8 1"), 7], ids=repr)
def test_what_are_no_bytes_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError):
        read_lines(wrong)  # type: ignore[arg-type]


def test_a_checkout_that_was_not_built_reads_them_too() -> None:
    code = (
        "import sys; sys.modules['redirector.locate._lines'] = None\n"
        "from redirector.locate import asn_lines\n"
        "assert asn_lines.read_lines is asn_lines.read_lines_plainly"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
