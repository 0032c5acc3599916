"""The suite on a tiny snapshot: it drives a real server, its answers are right, and what it writes can be read.

Nothing here is about speed. Pieces that need wrk or nginx are left out where these are not installed, but not in CI.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from shutil import which

import pytest

from benchmarks.drive import BadAnswersError, closed_loop
from benchmarks.micro import measure_functions
from benchmarks.open_loop import measure
from benchmarks.processes import Server, family, find_nginx, run_nginx, workers
from benchmarks.report import Report, describe_machine
from benchmarks.setting import CLOSE, METALINK, MIRRORLIST, Inputs, Setting, judge, ratio, take_turns
from benchmarks.table import TARGETS, Row, undisturbed

IN_CI = bool(os.environ.get("CI"))

needs_wrk = pytest.mark.skipif(not IN_CI and which("wrk") is None, reason="wrk is not installed")
needs_nginx = pytest.mark.skipif(not IN_CI and find_nginx() is None, reason="nginx is not installed")


def test_server_answers_all_kinds_of_traffic_rightly(setting: Setting, inputs: Inputs, server: Server) -> None:
    sizes = judge(setting, inputs, server)
    assert 300 < sizes[MIRRORLIST] < sizes[METALINK]
    assert sizes[CLOSE] == sizes[MIRRORLIST]


def test_open_loop_offers_the_rate_it_is_told(inputs: Inputs, server: Server) -> None:
    found = measure(server.address, inputs.traffic[METALINK], rate=300, seconds=1, connections=8)
    assert (found.unanswered, found.bad) == (0, 0)
    assert 200 < found.answered < 400
    assert 0 < found.p50_ms <= found.p90_ms <= found.p99_ms <= found.max_ms


@needs_wrk
@pytest.mark.parametrize("kind", [MIRRORLIST, CLOSE])
def test_closed_loop_counts_answers(setting: Setting, inputs: Inputs, server: Server, kind: str) -> None:
    found = closed_loop(server.address, inputs.traffic[kind], seconds=1, cores=setting.cores.load, connections=4)
    assert found.requests > 10
    assert found.size_bytes > 300


@needs_wrk
def test_closed_loop_refuses_to_time_errors(setting: Setting, server: Server, tmp_path: Path) -> None:
    traffic = tmp_path / "traffic"
    traffic.write_bytes(b"GET /mirrorlist?repo=absent&arch=x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
    with pytest.raises(BadAnswersError, match="bad_status"):
        closed_loop(server.address, traffic, seconds=1, cores=setting.cores.load, connections=2)


@needs_wrk
@needs_nginx
def test_nginx_hands_out_files_of_the_size_it_is_told(setting: Setting, inputs: Inputs, server: Server) -> None:
    with run_nginx(setting.folder / "nginx", {MIRRORLIST: 5_000, METALINK: 20_000}, setting.cores.server) as nginx:
        traffic = inputs.traffic[MIRRORLIST]
        taken = take_turns(setting, {"nginx": (nginx, traffic), "redirector": (server, traffic)})
    assert 5_000 < taken["nginx"][0].throughput.size_bytes < 5_500
    assert ratio(taken["redirector"], taken["nginx"]) > 0


def test_processes_of_a_server_are_found_and_weighed(server: Server) -> None:
    names = [process.name for process in family(server.pid)]
    assert names == ["redirector", "rd-nursery", "rd-worker-0"]
    (worker,) = workers(server.pid)
    assert 0 < worker.private_bytes <= worker.peak_bytes


def test_every_hot_function_is_timed(setting: Setting, inputs: Inputs) -> None:
    functions = measure_functions(setting, inputs)
    assert all(microseconds > 0 for microseconds in functions.microseconds.values())
    assert 0 < functions.hit_rate <= 1
    report = Report(describe_machine(), functions=functions).render()
    assert "| mirrorlist, request to answer |" in report


@pytest.mark.parametrize(
    ("name", "measured", "verdict"),
    [
        (MIRRORLIST, 0.8, "aim"),
        (MIRRORLIST, 0.6, "at least"),
        (MIRRORLIST, 0.5, "short"),
        ("latency", 0.9, "aim"),
        ("latency", 1.5, "at least"),
        ("latency", 2.5, "short"),
    ],
)
def test_report_holds_measured_values_beside_targets(tmp_path: Path, name: str, measured: float, verdict: str) -> None:
    report = Report(describe_machine())
    report.table[name] = Row(measured, {})
    report.save(tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == asdict(report)
    (line,) = [line for line in (tmp_path / "report.md").read_text().splitlines() if TARGETS[name].what in line]
    assert line.endswith(f"**{measured:g} {TARGETS[name].unit}** | {verdict} |  |  |  |  |")


def test_a_disturbed_row_is_measured_once_more_and_marked(tmp_path: Path) -> None:
    found = [
        Row(0.5, {"strangers": 0.3, "rate": 1000.0, "against": 2000.0, "cpu_us": 7.5, "against_cpu_us": 5}),
        Row(0.6, {"strangers": 0.1}),
    ]
    row = undisturbed(iter(found).__next__)
    assert row.measured == 0.6 and row.detail["repeated"] is True
    quiet = undisturbed(iter([Row(0.7, {"strangers": 0.01, "rate": 12345.6, "against": 20000.0})]).__next__)
    report = Report(describe_machine())
    report.table = {MIRRORLIST: row, METALINK: quiet}
    lines = report.render().splitlines()
    assert any(line.endswith("| by 10%, repeated |") for line in lines)
    assert any(line.endswith("| 12,346, 20,000 |  |") for line in lines)
    assert any("| reaches |" in line for line in lines)
