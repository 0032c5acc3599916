"""Imports point one way, and only the edge knows the network, the clock, chance and the log."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import redirector

PACKAGE = Path(redirector.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}

ORDER = (
    "model errors built near_names one_line counted files rows plain_yaml settings tree locate sources snapshot answer"
    " server store master health registry stats kit web cli __main__"
).split()
"""A room may import its own modules and those of the rooms before it."""

EDGE = {
    "registry.publish.names",
    "server",
    "store.locks",
    "store.opening",
    "master.lists",
    "master.programs",
    "master.rsync",
    "master.scanning",
    "master.walk",
    "master.web",
    "health.exchange",
    "health.http",
    "health.names",
    "health.pace",
    "health.probing",
    "health.rsync",
    "health.send",
    "health.telling",
    "health.round",
    "health.service",
    "stats.add",
    "web.access",
    "kit.asking",
    "kit.checking",
    "kit.ftp",
    "kit.looking.ports",
    "kit.reporting",
    "kit.telling",
    "web.application",
    "web.frame",
    "web.people",
    "web.login.passwords",
    "web.login.oidc",
    "web.login.routes",
    "web.login.visits",
    "web.checks",
    "web.effects",
    "web.forms.catalogue",
    "web.forms.desk",
    "web.forms.looking",
    "web.forms.saving",
    "web.forms.hosts",
    "web.forms.room",
    "web.forms.sites",
    "web.pages.routes",
    "web.checkins",
    "web.contacts",
    "web.mailing",
    "web.metrics",
    "web.questions",
    "web.exports",
    "web.pages.shown",
    "web.serving",
    "web.whereabouts",
    "web.api.looking",
    "cli",
}
"""Rooms, and in rooms that are pure otherwise single modules."""

EDGE_ONLY = {"aiohttp", "asyncio", "logging", "random", "signal", "socket", "threading", "time", "uvloop"}
RUN = {"redirector.__main__", "redirector.server.nursery.__main__", "redirector.store.migrations.env"}
"""They do their work when they are imported."""

PURE = {"socket", *(f"socket.{name}" for name in ("AF_INET", "AF_INET6", "inet_ntop", "inet_pton"))}
"""Parts of those libraries that are functions of their arguments."""


def room_of(module: str) -> str:
    """Second part of a dotted name: a folder or a file of the package, "" for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def is_edge(module: str) -> bool:
    return not EDGE.isdisjoint({room_of(module), module.partition(".")[2]})


@cache
def nodes_of(path: Path) -> tuple[ast.Import | ast.ImportFrom | ast.Attribute, ...]:
    """The imports of *path*, and what it takes of names by a dot."""
    return tuple(
        node
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Attribute))
    )


def imports_of(path: Path) -> Iterator[str]:
    """Everything imported anywhere in *path*, as dotted names (`from a import b` gives `a.b`)."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def attributes_of(path: Path) -> Iterator[str]:
    """Every `name.attribute` in *path*: what is used of a module that was imported whole."""
    for node in nodes_of(path):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def test_imports_point_one_way() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, path in sorted(MODULES.items())
        if (room := room_of(module))
        for other in sorted({room_of(name) for name in imports_of(path) if name.startswith("redirector.")})
        if other not in (room, "__version__") and ORDER.index(other) >= ORDER.index(room)
    ]
    assert wrong == []


def test_only_the_edge_knows_network_clock_chance_and_log() -> None:
    known = {}
    for module in sorted(module for module in MODULES if not is_edge(module)):
        imported = {name for name in imports_of(MODULES[module]) if name.split(".")[0] in EDGE_ONLY}
        used = {name for name in attributes_of(MODULES[module]) if name.split(".")[0] in imported}
        if not imported | used <= PURE:
            known[module] = imported | used
    assert known == {}


def test_every_public_name_exists() -> None:
    for module in sorted(MODULES.keys() - RUN):
        imported = importlib.import_module(module)
        assert [name for name in getattr(imported, "__all__", ()) if not hasattr(imported, name)] == [], module


def test_the_public_face_is_documented() -> None:
    readme = (PACKAGE.parent / "README.md").read_text()
    assert all(name in readme for name in redirector.__all__ if not name.startswith("_"))
