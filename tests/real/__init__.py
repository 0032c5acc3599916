"""Where the real data and the grammars lie; README.md says whose they are."""

from __future__ import annotations

import tarfile
from pathlib import Path

_HERE = Path(__file__).parent
_TABLES = _HERE.parents[1] / "data" / "geoip"

COUNTRIES = _TABLES / "country.mmdb"
ASNS = _TABLES / "asn.mmdb"
"""Real tables of the whole internet: those of the sample."""

ASN_SAMPLE = _HERE / "asn-sample.txt.xz"
"""Some blocks of the table of AS numbers, as text."""

GEOIP = _HERE / "geoip"
"""MaxMind's test databases, and damaged ones."""

CONTINENTS = _HERE / "country_continent.csv"

METALINK3 = _HERE / "grammar" / "metalink3-mm0.rng"
METALINK4 = _HERE / "grammar" / "metalink4.rng"

_TREE = _HERE / "almalinux.tar.xz"


def unpack_tree(folder: Path) -> Path:
    """Unpack the tree of 530 mirrors into *folder*; where its `config.yml` lies then. 0.1 s."""
    with tarfile.open(_TREE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "almalinux"
