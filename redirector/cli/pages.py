"""`redirector pages`: the public pages as files."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace

from redirector.cli.options import LOADING, add_options, flags_of, read_config, table_of
from redirector.cli.output import Exit, as_json, print_result, say
from redirector.cli.registering.common import sign_key_of
from redirector.counted import counted
from redirector.errors import SnapshotError, StoreError
from redirector.registry.public_source import public_list_of
from redirector.settings.file import load_job
from redirector.settings.joining import Joining
from redirector.settings.network import Network, database_url
from redirector.settings.registry import Registry, RegistryAtTop
from redirector.settings.serving import Config
from redirector.snapshot.load import load_snapshot
from redirector.store.opening import open_store
from redirector.store.registry import queries
from redirector.store.registry.rows import HostRow
from redirector.web.pages.files import render_files, write_files
from redirector.web.pages.render import name_geodata
from redirector.web.pages.shown import Past, Shown, places_of, read_kept, read_pasts, read_shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, the source, and the store."""
    parser.add_argument("folder", metavar="DIR", help="where the pages go")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    add_options(parser, Config, LOADING)
    add_options(parser, Network)


def run(arguments: argparse.Namespace) -> int:
    """Write the pages: of the registry where the database has one, else of the source."""
    flags = flags_of(arguments)
    network, joining = load_job(Network, flags), load_job(Joining, flags)
    named = network.database is not None
    config = str(flags["config"]) if "config" in flags else None
    url = database_url(network, config)
    there = not url.startswith("sqlite:///") or os.path.exists(url.removeprefix("sqlite:///"))
    try:
        shown, pasts = asyncio.run(_read(url if named or there else None, lambda: _of_source(arguments)))
        registry = load_job(Registry, flags, elsewhere=RegistryAtTop)
        key = sign_key_of(registry)
        name_geodata(table_of(flags, "geoip"))
        files = dict(render_files(shown, pasts, joining.join, network.url or "", sign_key=key))
        changed = write_files(arguments.folder, files)
    except (StoreError, SnapshotError) as error:
        say(str(error))
        return Exit.FAILED
    except OSError as error:
        say(f"{arguments.folder}: {error.strerror}")
        return Exit.FAILED
    told = {"folder": arguments.folder, "pages": len(files), "changed": changed, "mirrors": len(shown.listed.mirrors)}
    if arguments.json:
        return print_result(as_json(told), Exit.DONE)
    return print_result(f"{arguments.folder}: {counted(len(files), 'files')}, {changed:,} of them changed\n", Exit.DONE)


def _of_source(arguments: argparse.Namespace) -> Shown:
    """The mirrors of the tree or snapshot that is served."""
    now = time.time()
    snapshot = load_snapshot(read_config(arguments), now)
    listed = public_list_of(snapshot)
    return Shown(now=int(now), listed=listed, places=places_of(listed.mirrors))


async def _read(database: str | None, of_source: Callable[[], Shown]) -> tuple[Shown, dict[str, Past]]:
    if database is None:
        return of_source(), {}
    async with await open_store(database) as store:
        now = int(time.time())
        async with store.read() as connection:
            if await queries.count(connection, HostRow):
                shown = await read_shown(connection, now)
            else:
                shown = of_source()
                shown = replace(shown, **(await read_kept(connection, now)).of(shown.listed.mirrors))
            return shown, await read_pasts(connection, shown)
