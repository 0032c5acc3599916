"""How many CPUs this process may keep busy."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path


def usable_cpus(root: str = "/") -> int:
    """CPUs that this process may use: its affinity, or its control group's quota rounded up if that is less.

    root  where `proc` and `sys` are found
    cost  a few small files; a level without a quota, or a system without control groups, limits nothing
    """
    limits = [len(os.sched_getaffinity(0))]
    for folder in _cpu_groups(Path(root)):
        quota, period = _cpu_quota(folder)
        if quota > 0 and period > 0:
            limits.append(math.ceil(quota / period))
    return min(limits)


def _cpu_groups(root: Path) -> Iterator[Path]:
    """Folders whose quota binds this process: its own group and those above it, in both versions of cgroups."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "" or "cpu" in controllers.split(","):
            mount = root / "sys/fs/cgroup" / controllers
            own = mount / group.lstrip("/")
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(mount))


def _cpu_quota(folder: Path) -> tuple[int, int]:
    """(quota, period) in microseconds; (0, 0) when *folder* sets none."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((folder / name).read_text().strip() for name in names).split()
            return int(quota), int(period)
        except (OSError, ValueError):
            continue
    return 0, 0
