"""One tiny snapshot, its traffic, and a server of it, for all tests of the suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.processes import ROOT, Server, run_redirector, split_cores
from benchmarks.scale import SCALES
from benchmarks.session import Inputs, Session, make_inputs
from benchmarks.table import KINDS


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return Session(
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
def inputs(session: Session) -> Inputs:
    return make_inputs(session, "base", session.scale, KINDS)


@pytest.fixture(scope="session")
def server(session: Session, inputs: Inputs) -> Iterator[Server]:
    with run_redirector(inputs.options(session), session.cores.server) as running:
        yield running
