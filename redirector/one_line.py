"""Texts from elsewhere, made fit for a line of a log, a message or a terminal."""

from __future__ import annotations


def one_line(text: str) -> str:
    r"""*text* with everything escaped that is no character to look at: line ends, what commands a terminal, lone
    surrogates of file names. `"a\nb"` becomes `a\nb`, a backslash and an n in its middle."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
