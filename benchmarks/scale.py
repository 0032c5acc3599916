"""How large made-up inputs are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """The knobs of a made-up MirrorManager snapshot.

    host_sets   different sets of hosts that the directories share
    hosts       all of them, private ones too
    private     share of hosts that are private
    urls        base URLs, at least one a host
    netblocks   of hosts; nearly all private hosts have some
    as_lines    lines of the table `PREFIX ASN`
    """

    directories: int
    repositories: int
    host_sets: int
    hosts: int
    private: float
    urls: int
    netblocks: int
    as_lines: int


SCALES = {
    "fedora": Scale(
        directories=50_000,
        repositories=1_100,
        host_sets=138,
        hosts=700,
        private=0.43,
        urls=3_200,
        netblocks=2_000,
        as_lines=1_000_000,
    ),
    "small": Scale(
        directories=1_000,
        repositories=100,
        host_sets=20,
        hosts=100,
        private=0.3,
        urls=400,
        netblocks=200,
        as_lines=20_000,
    ),
    "tiny": Scale(
        directories=60,
        repositories=12,
        host_sets=5,
        hosts=25,
        private=0.2,
        urls=80,
        netblocks=30,
        as_lines=2_000,
    ),
}
