"""Answers are read and judged before anything is timed: a fast wrong answer is worth nothing.

The rules here are those that hold for any server of the same files, whatever its policy: URLs belong to hosts that
carry the directory, private hosts are given to their networks alone, nobody is left without a mirror in his own
country, sizes and hashes are those of the snapshot.
"""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPResponse
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import maxminddb

from benchmarks.drive import BadAnswersError
from redirector.model import Catalog, HostId, HostSet

_METALINK = "{http://www.metalinker.org/}"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of a traffic file, and what came back."""

    target: str
    client: IPv4Address | IPv6Address
    status: int
    body: bytes


def ask(address: str, requests: Sequence[bytes]) -> Generator[Exchange]:
    """Send *requests* one after the other, on as few connections as the server allows."""
    host, _, port = address.rpartition(":")
    connection: socket.socket | None = None
    try:
        for request in requests:
            if connection is None:
                connection = socket.create_connection((host.strip("[]"), int(port)), timeout=30)
            connection.sendall(request)
            with HTTPResponse(connection) as response:
                response.begin()
                body = response.read()
                closes = response.will_close
            if closes:
                connection.close()
                connection = None
            target = request.split(b" ", 2)[1].decode()
            client = re.search(rb"\r\nX-Forwarded-For: (\S+)", request)
            assert client, "every request of a traffic file names its client"
            yield Exchange(target, ip_address(client[1].decode()), response.status, body)
    finally:
        if connection is not None:
            connection.close()


def verify(address: str, requests: Sequence[bytes], judge: Callable[[Exchange], None]) -> float:
    """Ask *requests* and let *judge* raise on what is wrong; returns the mean size of a body in bytes."""
    sizes = []
    with closing(ask(address, requests)) as exchanges:
        for exchange in exchanges:
            try:
                _demand(exchange.status == 200, f"status {exchange.status}")
                judge(exchange)
            except BadAnswersError as error:
                raise BadAnswersError(f"{exchange.target} for {exchange.client}: {error}") from error
            sizes.append(len(exchange.body))
    return sum(sizes) / len(sizes)


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BadAnswersError(otherwise)


class SnapshotJudge:
    """Judges answers from a MirrorManager snapshot. *geoip* is the country database the server has, if any."""

    def __init__(self, catalog: Catalog, geoip: Path | None) -> None:
        self._catalog = catalog
        self._geoip = maxminddb.open_database(str(geoip)) if geoip else None

    def __call__(self, exchange: Exchange) -> None:
        split = urlsplit(exchange.target)
        wanted = {name: values[-1] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
        prefix, arch = wanted["repo"], wanted["arch"]
        name = self._catalog.repositories[self._catalog.redirects.get(prefix, prefix), arch]
        metalink = split.path.endswith("/metalink")
        if metalink and not name.endswith("/repodata"):
            name += "/repodata"
        directory = self._catalog.directories[name]
        host_set = self._catalog.host_sets[directory.host_set]
        subpath = directory.subpath_of(name)
        ending = (f"/{subpath}" if subpath else "") + ("/repomd.xml" if metalink else "/")
        urls = self._read_metalink(name, exchange.body) if metalink else _read_mirrorlist(exchange.body)
        owners = {url + ending: host for host, listed in host_set.urls.items() for url in listed}
        for url in urls:
            _demand(url in owners, f"no host carries {url}")
        hosts = Counter(owners[url] for url in urls)
        _demand(bool(hosts), "no mirror at all")
        _demand(metalink or max(hosts.values()) == 1, "a host is named twice")
        self._judge_private(exchange, hosts)
        self._judge_country(exchange, host_set, hosts)

    def _read_metalink(self, directory: str, body: bytes) -> list[str]:
        file = ElementTree.fromstring(body).find(f"{_METALINK}files/{_METALINK}file")
        if file is None or file.get("name") != "repomd.xml":
            raise BadAnswersError("the metalink has no repomd.xml")
        newest = self._catalog.details[directory, "repomd.xml"][0]
        _demand(file.findtext(f"{_METALINK}size") == str(newest.size_bytes), "wrong size")
        hashes = [element.text for element in file.findall(f"{_METALINK}verification/{_METALINK}hash")]
        _demand(hashes == [newest.md5, newest.sha1, newest.sha256, newest.sha512], "wrong hashes")
        return [element.text or "" for element in file.findall(f"{_METALINK}resources/{_METALINK}url")]

    def _judge_private(self, exchange: Exchange, hosts: Counter[HostId]) -> None:
        for host in (self._catalog.hosts[host_id] for host_id in hosts):
            # Whether the client is in the host's AS would need the whole AS table.
            near = bool(host.asns) or any(exchange.client in network for network in host.netblocks)
            _demand(near or not host.private, f"{host.name} is private")

    def _judge_country(self, exchange: Exchange, host_set: HostSet, hosts: Counter[HostId]) -> None:
        country = self._country_of(exchange.client)
        for host_id in host_set.by_country.get(country, ()):
            host = self._catalog.hosts[host_id]
            allowed = not host.allowed or country in host.allowed
            _demand(host_id in hosts or not allowed, f"{host.name} in the client's country {country} is missing")

    def _country_of(self, client: IPv4Address | IPv6Address) -> str:
        listed = [
            (network.prefixlen, country) for network, country in self._catalog.client_countries if client in network
        ]
        if listed:
            return max(listed)[1]
        record: Any = self._geoip.get(client) if self._geoip else None
        return str(record["country"]["iso_code"]) if record and "country" in record else ""


def _read_mirrorlist(body: bytes) -> list[str]:
    lines = body.decode().splitlines()
    _demand(bool(lines) and lines[0].startswith("# repo = "), "the comment line is missing")
    return [line for line in lines if not line.startswith("#")]


class TreeJudge:
    """Judges mirrorlists of a tree: as many different mirrors as a list holds, each at its own address."""

    def __init__(self, catalog: Catalog) -> None:
        assert catalog.releases is not None, "a MirrorManager snapshot has no releases"
        self._releases = catalog.releases
        self._length = catalog.list_length
        self._urls = catalog.host_sets[catalog.releases.standard_set].urls

    def __call__(self, exchange: Exchange) -> None:
        version, repository = exchange.target.split("/")[-2:]
        version = self._releases.duplicated.get(version, version)
        ending = f"/{version}/{self._releases.repositories[repository].path}"
        owners = {url + ending: host for host, listed in self._urls.items() for url in listed}
        hosts = [owners.get(line.rstrip("/")) for line in exchange.body.decode().splitlines()]
        _demand(None not in hosts, "a URL of no mirror")
        _demand(len(set(hosts)) == len(hosts), "a mirror is named twice")
        _demand(1 <= len(hosts) <= self._length, f"{len(hosts)} mirrors")
