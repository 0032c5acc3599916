"""Traffic files hold what they promise."""

from __future__ import annotations

import re
from collections import Counter
from ipaddress import ip_address, ip_network
from pathlib import Path
from random import Random

from benchmarks.open_loop import read_requests
from benchmarks.setting import MIRRORLIST, Inputs
from benchmarks.traffic import Crowd, write_traffic


def test_every_client_is_another_one(inputs: Inputs) -> None:
    text = inputs.traffic[MIRRORLIST].read_bytes()
    clients = re.findall(rb"X-Forwarded-For: (\S+)", text)
    assert len(clients) == len(set(clients)) == 2_000
    assert len(read_requests(inputs.traffic[MIRRORLIST])) == 2_000


def test_clients_are_mixed_as_promised() -> None:
    netblock = ip_network("100.64.0.0/10")
    announced = {4: ["198.18.0.0/15"], 6: ["2001:db8::/32"]}
    clients = [ip_address(text) for text in Crowd([netblock], announced).draw(Random(3), 20_000)]
    assert 0.18 < sum(client.version == 6 for client in clients) / 20_000 < 0.22
    assert 0.045 < sum(client in netblock for client in clients) / 20_000 < 0.055
    known = [ip_network(text) for texts in announced.values() for text in texts]
    assert 0.70 < sum(any(client in network for network in known) for client in clients) / 20_000 < 0.76
    assert not any(client.is_loopback for client in clients)


def test_popular_targets_are_asked_for_more_often(tmp_path: Path) -> None:
    write_traffic(tmp_path / "traffic", ["/a", "/b", "/c", "/d"], ["192.0.2.1"] * 4_000)
    asked = Counter(request.split()[1].decode() for request in read_requests(tmp_path / "traffic"))
    assert asked["/a"] > asked["/b"] > asked["/c"] > asked["/d"] > 100


def test_closing_traffic_asks_for_the_end_of_each_connection(tmp_path: Path) -> None:
    write_traffic(tmp_path / "traffic", ["/a"], ["192.0.2.1"] * 3, close=True)
    assert all(b"\r\nConnection: close\r\n" in request for request in read_requests(tmp_path / "traffic"))
