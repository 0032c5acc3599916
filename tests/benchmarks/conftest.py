"""One tiny snapshot, its traffic, and a server of it, for all tests of the suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.processes import ROOT, Server, run_redirector, split_cores
from benchmarks.scale import SCALES
from benchmarks.setting import Inputs, Setting, make_inputs
from benchmarks.table import KINDS


@pytest.fixture(scope="session")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(
        folder=tmp_path_factory.mktemp("bench"),
        geoip=ROOT / "data" / "geoip" / "country.mmdb",
        cores=split_cores(),
        seconds=1,
        rounds=1,
        scale=SCALES["tiny"],
        clients=2_000,
        soak=200,
    )


@pytest.fixture(scope="session")
def inputs(setting: Setting) -> Inputs:
    return make_inputs(setting, "base", setting.scale, KINDS)


@pytest.fixture(scope="session")
def server(setting: Setting, inputs: Inputs) -> Iterator[Server]:
    with run_redirector(inputs.options(setting), setting.cores.server) as running:
        yield running
