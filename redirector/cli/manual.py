"""`redirector manual`: the manual page, and completion for shells, made from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from redirector import __version__
from redirector.cli.grammar import Command, Word, read_grammar
from redirector.cli.output import Exit, print_result

FORMS = ("man", "bash", "zsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which form."""
    parser.add_argument("form", metavar="FORM", nargs="?", default="man", choices=FORMS, help="man, bash or zsh")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    commands = read_grammar()
    match arguments.form:
        case "bash":
            text = render_completion(commands)
        case "zsh":
            text = f"#compdef redirector\nautoload -U +X bashcompinit && bashcompinit\n{render_completion(commands)}"
        case _:
            text = render_manual(commands)
    return print_result(text, Exit.DONE)


# -- The manual page ---------------------------------------------------------------------------------------------------


def render_manual(commands: Sequence[Command]) -> str:
    """A page of section 1, in the macros of man(7)."""
    lines = [
        f'.TH REDIRECTOR 1 "" "redirector {__version__}"',
        ".SH NAME",
        _plain("redirector - mirrorlists and metalinks for package managers, and the mirrors behind them"),
        ".SH SYNOPSIS",
        ".B redirector",
        _plain("COMMAND [OPTIONS]"),
        ".SH DESCRIPTION",
        _plain("Answers package managers with the mirrors that are best for each, and keeps those mirrors listed "
               "that are well. Results go to standard output, everything else to standard error."),
        ".SH COMMANDS",
    ]  # fmt: skip
    for command in commands:
        if command.path:
            lines += _section_of(command)
    lines += [".SH EXIT STATUS"]
    for code, text in ((0, "done"), (1, "failed, or refused: one line a reason"),
                       (2, "wrong usage, or a wrong configuration: one line says what would be right"),
                       (130, "interrupted")):  # fmt: skip
        lines += [".TP", f".B {code}", _plain(text)]
    return "\n".join(lines) + "\n"


def _section_of(command: Command) -> Iterator[str]:
    arguments = " ".join(word.value for word in command.words if not word.flags)
    yield f".SS {_quoted(' '.join(('redirector', *command.path, *filter(None, [arguments]))))}"
    if command.help:
        yield _plain(_sentence(command.help))
    for word in command.words:
        if "--help" in word.flags:
            continue
        yield ".TP"
        yield f".B {_escaped(_shown(word))}"
        yield _plain(word.help or "\\&")


def _shown(word: Word) -> str:
    return " ".join(filter(None, (", ".join(word.flags), word.value)))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _escaped(text: str) -> str:
    """*text* as it stands, whatever it holds: backslashes, and hyphens that are typed."""
    return " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")


def _plain(text: str) -> str:
    """A line of text, which never is a request."""
    line = text if text == "\\&" else _escaped(text)
    return f"\\&{line}" if line.startswith((".", "'")) else line


def _quoted(text: str) -> str:
    return '"' + _escaped(text).replace('"', '""') + '"'


# -- Completion --------------------------------------------------------------------------------------------------------


def render_completion(commands: Sequence[Command]) -> str:
    """A function for bash. It asks nobody: everything that may follow stands in it; else files are offered."""
    paths = " | ".join(f"'{_joined(each)}'" for each in commands if each.path)
    offers, values = [], []
    for command in commands:
        flags = sorted(flag for word in command.words for flag in word.flags if flag.startswith("--"))
        arguments = [choice for word in command.words if not word.flags for choice in word.choices]
        offers.append(f"        '{_joined(command)}') words='{' '.join((*command.below, *arguments, *flags))}' ;;")
        for word in command.words:
            takers = [flag for flag in word.flags if flag.startswith("--") and word.value]
            for flag in takers:
                values.append(f"        '{_joined(command)} {flag}') words='{' '.join(word.choices)}' ;;")
    return f"""\
_redirector() {{
    local path='' word words='' i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="$path ${{COMP_WORDS[i]}}"
        case "${{word# }}" in
        {paths}) path="${{word# }}" ;;
        esac
    done
    case "$path" in
{chr(10).join(offers)}
    esac
    word="$path ${{COMP_WORDS[COMP_CWORD-1]}}"
    case "${{word# }}" in
{chr(10).join(values)}
    esac
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _redirector redirector
"""


def _joined(command: Command) -> str:
    return " ".join(command.path)
