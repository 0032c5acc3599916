"""Loading what a server with the same options would serve: what it keeps in its state directory is heeded too."""

from __future__ import annotations

from redirector.server.supervisor.state import load_kept
from redirector.settings.serving import Config
from redirector.snapshot.check import NAMED
from redirector.snapshot.load import KnownTables, load_snapshot
from redirector.snapshot.snapshot import Snapshot
from redirector.sources.inputs import EarlierFiles
from redirector.sources.switched_off import load_switched_off


def load_as_served(config: Config, now: float, known: KnownTables | None = None, named: int = NAMED) -> Snapshot:
    """The snapshot that a server would load at its start.

    named   see `check_catalog`
    raises  SnapshotError and ConfigError as `load_snapshot`
    """
    kept = load_kept(config)
    try:
        off = load_switched_off(config.state, now)
    except (OSError, ValueError):
        off = ()  # the server says so, and starts
    earlier = EarlierFiles(kept=None if kept is None else kept.files)
    return load_snapshot(config, now, earlier, known, named=named, off=off)
