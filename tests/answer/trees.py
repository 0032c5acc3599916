"""A rig over an AlmaLinux tree in a few lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from redirector.model import Catalog, Dialect, Directory, FileDetail, HostSetId, Releases, TreeRepository
from redirector.tree.releases import list_spots
from tests.rig import DETAIL, OLDER, Mirror, Rig, catalog_of, rig_of

RELEASES = Releases(
    versions=("8", "8.10", "9", "9.8", "10", "10.2"),
    duplicated={"8": "8.10", "9": "9.8", "10": "10.2"},
    vault=("8.5", "9.0", "10.2-beta"),
    modules={"kitten": ("10",)},
    arches={"8": ("x86_64", "aarch64"), "9": ("x86_64", "aarch64"), "10": ("x86_64",), "10-kitten": ("x86_64_v2",)},
    repositories={
        each.name: each
        for each in (
            TreeRepository("baseos", "BaseOS/$basearch/os"),
            TreeRepository("baseos-source", "BaseOS/Source"),
            TreeRepository("powertools", "PowerTools/$basearch/os", versions=frozenset({"8.10", "8"})),
            TreeRepository("old", "old/$basearch", vault=True),
        )
    },
    vault_url="https://vault.example/almalinux",
    standard_set=HostSetId(0),
    module_sets={"kitten": HostSetId(0)},
)

DETAILS: Mapping[tuple[str, str], tuple[FileDetail, ...]] = {
    ("9.8/BaseOS/x86_64/os/repodata", "repomd.xml"): (DETAIL, OLDER),
    ("9/BaseOS/x86_64/os/repodata", "repomd.xml"): (DETAIL, OLDER),
    ("9.0/BaseOS/x86_64/os/repodata", "repomd.xml"): (OLDER,),
}


def tree_of(*mirrors: Mirror, **fields: object) -> Catalog:
    """The catalog of a tree: `RELEASES`, and metalinks for `DETAILS`."""
    directories = {
        spot.name + tail: Directory(HostSetId(0), subpath=spot.full_name + tail)
        for spot in list_spots(RELEASES)
        if spot.on_mirrors
        for tail in ("", "/repodata")
    }
    catalog = catalog_of(
        mirrors,
        Dialect.ALMALINUX,
        releases=RELEASES,
        directories=directories,
        details=DETAILS,
        repositories={},
        disabled=frozenset(),
        redirects={},
    )
    return replace(catalog, **fields)  # type: ignore[arg-type]


def tree_rig(*mirrors: Mirror, fields: Mapping[str, object] | None = None, **options: object) -> Rig:
    """A rig over `tree_of`; *fields* of the catalog, *options* as in `snapshot_of`."""
    return rig_of(tree_of(*mirrors, **(fields or {})), **options)
