"""What `docs/crawling.md` shows is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from redirector.cli.main import find_verb, make_verb_parser
from redirector.health.hysteresis import State
from redirector.health.report import HostHealth, render_metrics
from redirector.health.spread import Push, render_spread
from redirector.settings.crawl import Crawl
from redirector.settings.file import load_config, load_job
from redirector.settings.mail import Telling
from redirector.settings.option import option_table

PAGE = (Path(__file__).parents[2] / "docs/crawling.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [
    line.partition("#")[0].split()[1:]
    for kind, text in BLOCKS
    if kind == "sh"
    for line in text.splitlines()
    if line.startswith("redirector ")
]


@pytest.mark.parametrize("job", [Crawl, Telling])
def test_the_page_holds_the_table_of_options(job: type) -> None:
    assert option_table(job) in PAGE, "replace the page's table by this one"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_commands_are_understood(words: list[str]) -> None:
    verb = find_verb(words)
    assert verb is not None
    parser = make_verb_parser(verb)
    verb.load().add_arguments(parser)
    assert vars(parser.parse_args(words[1:]))


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "yaml"])
def test_the_files_are_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "crawl.yml"
    path.write_text(text if "source:" in text else f"source: tree\n{text}")
    flags = {"config": str(path)}
    assert load_config(flags).source == str(tmp_path / "tree")
    assert load_job(Crawl, flags) != Crawl() or load_job(Telling, flags) != Telling()


def test_the_metrics_are_told() -> None:
    told = render_metrics(
        {"m": HostHealth(State.OK, 0, "", 0, lag_s=1)}, 1, {("http", "ok"): 1}, 1, 1, {("stale", "sent"): 1}
    )
    told += render_spread({"r": 1}, [Push("", 1, (1,), 1)])
    for name, labels in re.findall(r"`(redirector_\w+)(?:\{([\w,]+)\})?`", PAGE):
        (line,) = [line for line in told.decode().splitlines() if re.match(rf"{name}[ {{]", line)][:1]
        assert set(re.findall(r'(\w+)="', line)) == set(filter(None, labels.split(","))), name
