"""The command line: a verb per task, whose module is imported when it runs."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from redirector import __version__
from redirector.cli.options import add_options
from redirector.cli.output import Exit, print_result, say
from redirector.cli.verbs import VERBS, Verb
from redirector.errors import ConfigError, StaleBuildError
from redirector.near_names import find_nearest
from redirector.settings.serving import Config

_UNKNOWN = "unrecognized arguments: "

_FLAG = re.compile(r"(?<!\S)--?[^ =]+")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in *argv* (without the program's name; None: the process's own) and return its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["help"]:
        argv = [*argv[1:], "--help"]
    try:
        verb = find_verb(argv)
        if verb is None:
            make_parser().parse_args(argv)  # help, version, or what is wrong
        assert verb is not None
        module = verb.load()
        parser = make_verb_parser(verb)
        module.add_arguments(parser)
        rest = [*argv]
        rest.remove(verb.name)
        return module.run(parser.parse_args(rest))
    except SystemExit as end:  # argparse has said all there is to say
        return print_result("", int(end.code or Exit.DONE))
    except ConfigError as error:
        say(str(error))
        return Exit.WRONG_USAGE
    except StaleBuildError as error:
        say(str(error))
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def find_verb(argv: Sequence[str]) -> Verb | None:
    """The command in *argv*, options and their values before it skipped; None when there is none."""
    words = iter(argv)
    for word in words:
        if not word.startswith("-"):
            return next((verb for verb in VERBS if verb.name == word), None)
        if word in ("-h", "--help", "--version"):
            return None
        if "=" not in word:
            next(words, None)
    return None


class _Parser(argparse.ArgumentParser):
    """A parser that says which option was meant."""

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Nothing unknown is passed up: the command that was given it knows which of its own options was meant."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(_UNKNOWN + " ".join(unknown))
        return known, unknown

    def error(self, message: str) -> NoReturn:
        if message.startswith(_UNKNOWN):
            flags = tuple(flag for action in self._actions for flag in action.option_strings if flag.startswith("--"))
            near = [name for wrong in _FLAG.findall(message) for name in find_nearest(wrong, flags, 1)]
            message += f"; did you mean {' and '.join(near)}?" if near else ""
        if self.usage is None:  # all options of some commands fill a screen, below which nobody sees what was wrong
            formatter = self._get_formatter()
            formatter.add_usage(None, self._get_positional_actions(), (), prefix="")
            self.usage = f"{formatter.format_help().strip()} [OPTIONS]".replace("%", "%%")
        super().error(message)


def make_parser() -> argparse.ArgumentParser:
    """The parser of the program's own options, whose help names the commands first."""
    width = max(len(verb.name) for verb in VERBS)
    commands = "\n".join(f"  {verb.name:{width}}  {verb.help}" for verb in VERBS)
    parser = _Parser(
        "redirector",
        usage="%(prog)s COMMAND [OPTIONS]",
        description=f"Mirrorlists and metalinks for package managers.\n\ncommands:\n{commands}\n\n"
        "`redirector COMMAND --help` says more about one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"redirector {__version__}")
    parser.add_argument("command", metavar="COMMAND", choices=[verb.name for verb in VERBS], help=argparse.SUPPRESS)
    add_options(parser, Config)
    return parser


def make_verb_parser(verb: Verb) -> argparse.ArgumentParser:
    """The parser of one command, without its arguments yet."""
    return _Parser(
        f"redirector {verb.name}",
        usage=f"%(prog)s {verb.usage}[OPTIONS]",
        description=verb.help,
        allow_abbrev=False,
    )
