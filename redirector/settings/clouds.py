"""Where the address ranges of clouds lie, for mirrors that serve the clients of one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from redirector.settings.option import Block, Option, option_field

NAMES = ("aws", "gcp", "azure", "oci")


def read_cloud_ranges(block: Block) -> tuple[tuple[str, str], ...]:
    """The mapping `cloud_ranges`: (cloud, file) each. Raises ConfigError."""
    if not isinstance(block.value, dict):
        raise block.wrong("a mapping is needed: the name of a cloud, and the file of its ranges")
    found = {}
    for cloud, path in block.value.items():
        if cloud not in NAMES:
            raise block.wrong(f"{str(cloud)[:40]!r} is none of {', '.join(NAMES)}")
        if not isinstance(path, str) or not path or "\0" in path:
            raise block.wrong("a path is needed", str(cloud))
        found[cloud] = os.path.join(block.folder, path)
    return tuple(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Clouds:
    """The key `cloud_ranges`, at the top of the file."""

    SECTION: ClassVar[str] = ""

    cloud_ranges: tuple[tuple[str, str], ...] = option_field(
        (),
        Option(
            "",
            "MAPPING",
            lambda given: given.text,
            "`{aws: FILE, gcp: FILE, azure: FILE, oci: FILE}`: the lists of addresses that clouds publish, for "
            "snapshots of hosts that serve the clients of one",
            shown="none: such hosts are given to the networks that are entered for them",
            read=read_cloud_ranges,
        ),
    )
