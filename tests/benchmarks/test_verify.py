"""The judges find wrong answers: what passes them is worth timing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.drive import BadAnswersError
from benchmarks.make_tree import write_tree
from benchmarks.open_loop import read_requests
from benchmarks.processes import Server, run_redirector
from benchmarks.setting import METALINK, MIRRORLIST, Inputs, Setting
from benchmarks.traffic import tree_targets, write_traffic
from benchmarks.verify import Exchange, SnapshotJudge, TreeJudge, ask, verify
from redirector.model import Catalog
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file
from redirector.sources.mirrors_d.load import load_tree

CLIENT = b"8.8.8.8"
"""In the United States by every country table."""


@pytest.fixture(scope="session")
def catalog(inputs: Inputs) -> Catalog:
    return load_snapshot_file(str(inputs.snapshot))


@pytest.fixture(scope="session")
def judge(setting: Setting, catalog: Catalog) -> SnapshotJudge:
    return SnapshotJudge(catalog, setting.geoip)


@pytest.fixture(scope="session")
def right(catalog: Catalog, server: Server) -> dict[str, Exchange]:
    """A right answer of each kind, to a client in a country with several hosts."""
    (prefix, arch), *_ = catalog.repositories
    head = f"?repo={prefix}&arch={arch} HTTP/1.1\r\nHost: a.example.org\r\nX-Forwarded-For: ".encode()
    kinds = (MIRRORLIST, METALINK)
    requests = [b"GET /%b%b%b\r\n\r\n" % (kind.encode(), head, CLIENT) for kind in kinds]
    return dict(zip(kinds, ask(server.address, requests), strict=True))


def other_host(body: bytes) -> bytes:
    return body.replace(b".example.", b".elsewhere.", 1)


def host_twice(body: bytes) -> bytes:
    return body + body.splitlines(keepends=True)[-1]


def nobody(body: bytes) -> bytes:
    return body.splitlines(keepends=True)[0]


def no_comment(body: bytes) -> bytes:
    return b"".join(body.splitlines(keepends=True)[1:])


def other_size(body: bytes) -> bytes:
    return re.sub(rb"<size>\d+", b"<size>1", body)


def other_hash(body: bytes) -> bytes:
    return re.sub(rb'"sha256">..', b'"sha256">zz', body)


def other_file(body: bytes) -> bytes:
    return body.replace(b'name="repomd.xml"', b'name="index.html"')


@pytest.mark.parametrize(
    ("kind", "spoil", "found"),
    [
        (MIRRORLIST, other_host, "no host carries"),
        (MIRRORLIST, host_twice, "a host is named twice"),
        (MIRRORLIST, nobody, "no mirror at all"),
        (MIRRORLIST, no_comment, "the comment line is missing"),
        (METALINK, other_host, "no host carries"),
        (METALINK, other_size, "wrong size"),
        (METALINK, other_hash, "wrong hashes"),
        (METALINK, other_file, "the metalink has no repomd.xml"),
    ],
)
def test_wrong_answer_is_found(
    judge: SnapshotJudge, right: dict[str, Exchange], kind: str, spoil: Callable[[bytes], bytes], found: str
) -> None:
    judge(right[kind])
    with pytest.raises(BadAnswersError, match=found):
        judge(replace(right[kind], body=spoil(right[kind].body)))


def test_private_host_given_to_a_stranger_is_found(
    judge: SnapshotJudge, catalog: Catalog, right: dict[str, Exchange]
) -> None:
    (directory, *_) = catalog.repositories.values()
    carried = catalog.directories[directory]
    urls = catalog.host_sets[carried.host_set].urls
    private = next(host for host in urls if catalog.hosts[host].private and not catalog.hosts[host].asns)
    line = f"{urls[private][0]}/{carried.subpath_of(directory)}/\n".encode()
    with pytest.raises(BadAnswersError, match="is private"):
        judge(replace(right[MIRRORLIST], body=right[MIRRORLIST].body + line))


def test_host_of_the_clients_country_that_is_left_out_is_found(
    judge: SnapshotJudge, catalog: Catalog, right: dict[str, Exchange]
) -> None:
    (directory, *_) = catalog.repositories.values()
    host_set = catalog.host_sets[catalog.directories[directory].host_set]
    assert len(host_set.by_country["US"]) > 1
    names = [catalog.hosts[host].name.encode() for host in host_set.by_country["US"]]
    lines = right[MIRRORLIST].body.splitlines(keepends=True)
    kept = [line for line in lines if names[0] not in line]
    assert len(kept) == len(lines) - 1
    with pytest.raises(BadAnswersError, match="in the client's country US is missing"):
        judge(replace(right[MIRRORLIST], body=b"".join(kept)))


def test_status_other_than_200_is_found(judge: SnapshotJudge, server: Server) -> None:
    request = b"GET /mirrorlist?repo=absent&arch=x HTTP/1.1\r\nHost: a.example.org\r\nX-Forwarded-For: 8.8.8.8\r\n\r\n"
    with pytest.raises(BadAnswersError, match=r"/mirrorlist\?repo=absent&arch=x for 8.8.8.8: status 404"):
        verify(server.address, [request], judge)


def test_answers_from_a_tree_are_judged(setting: Setting, tmp_path: Path) -> None:
    write_tree(tmp_path / "tree", mirrors=30, seed=1)
    catalog = load_tree(str(tmp_path / "tree"), now=0)
    write_traffic(tmp_path / "traffic", tree_targets(catalog), [f"8.8.{third}.8" for third in range(40)])
    requests = read_requests(tmp_path / "traffic")
    judge = TreeJudge(catalog)
    options = ["--source", str(tmp_path / "tree"), "--geoip", str(setting.geoip), "--workers", "1"]
    with run_redirector(options, setting.cores.server) as server:
        verify(server.address, requests, judge)
        (exchange, *_) = ask(server.address, requests[:1])
    for body, found in (
        (other_host(exchange.body), "a URL of no mirror"),
        (host_twice(exchange.body), "a mirror is named twice"),
        (b"", "0 mirrors"),
    ):
        with pytest.raises(BadAnswersError, match=found):
            judge(replace(exchange, body=body))
