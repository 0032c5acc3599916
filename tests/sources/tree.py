"""Small trees of mirror files, written and loaded in a line or two."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from redirector.model import Catalog, Host
from redirector.sources.health import heed_health
from redirector.sources.mirrors_d.load import load_tree

NOW = 1_790_000_000.0
DAY_S = 86_400

CONFIG = """\
versions: [8, 8.10, 9, 9.8]
duplicated_versions: {8: 8.10, 9: 9.8}
optional_module_versions: {kitten: [10]}
vault_versions: [8.3, 10.2-beta]
vault_mirror: http://vault.example.org/
arches:
  8: [x86_64]
  9: [x86_64, aarch64]
  10-kitten: [x86_64]
repos:
  - {name: baseos, path: BaseOS/$basearch/os/}
  - {name: baseos-source, path: BaseOS/Source/, vault: true}
  - {name: crb, path: CRB/$basearch/os, versions: [9.8, 8.3, 10.2-beta, 10-kitten]}
"""


def mirror_text(name: str, *lines: str) -> str:
    """A mirror file without oddity in Berlin; *lines* are added, or stand in place of lines with the same key."""
    usual = [
        f"name: {name}",
        f"address: {{http: 'http://{name}/pub/', https: 'https://{name}/pub/'}}",
        "update_frequency: 3h",
        "sponsor: Example",
        "sponsor_url: https://example.org",
        "geolocation: {country: DE, state_province: Berlin, city: Berlin}",
    ]
    replaced = {line.partition(":")[0] for line in lines}
    return "\n".join([line for line in usual if line.partition(":")[0] not in replaced] + list(lines)) + "\n"


def write_tree(folder: Path, files: Mapping[str, str | bytes], config: str = CONFIG) -> str:
    """A tree in *folder* with these files (paths relative to it; JSON and YAML alike) and `config.yml`."""
    for name, content in {"config.yml": config, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "mirrors.d").mkdir(exist_ok=True)
    return str(folder)


def mirror_files(*names: str) -> dict[str, str | bytes]:
    """Files of mirrors without oddity."""
    return {f"mirrors.d/{name}.yml": mirror_text(name) for name in names}


def load(folder: Path, files: Mapping[str, str | bytes], config: str = CONFIG, now: float = NOW) -> Catalog:
    return heed_health(load_tree(write_tree(folder, files, config), now), None, now)


def hosts_of(catalog: Catalog) -> dict[str, Host]:
    return {host.name: host for host in catalog.hosts}


def problems_of(catalog: Catalog) -> list[str]:
    """Each problem as `FILE: KEY: text`, without the folder in front."""
    return [str(problem).replace(f"{catalog.path}/", "") for problem in catalog.problems]


def health_text(mirrors: Mapping[str, object], checked: float = NOW) -> str:
    return json.dumps({"checked": checked, "mirrors": mirrors})


def repomd(*timestamps: int) -> bytes:
    """A repomd.xml with one `data` for each timestamp."""
    data = "".join(
        f'<data type="t{number}"><timestamp>{timestamp}</timestamp></data>'
        for number, timestamp in enumerate(timestamps)
    )
    return f'<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo">{data}</repomd>'.encode()
