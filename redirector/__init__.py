"""Mirrorlists and metalinks for package managers, answered from memory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redirector.answer.answer import Answer, Request
    from redirector.answer.explain import explain
    from redirector.answer.serve import Responder
    from redirector.locate.proxies import Client
    from redirector.settings.file import load_config
    from redirector.settings.serving import Config
    from redirector.snapshot.load import load_snapshot

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Client",
    "Config",
    "Request",
    "Responder",
    "__version__",
    "explain",
    "load_config",
    "load_snapshot",
]

_HOMES = {
    "Answer": "redirector.answer.answer",
    "Client": "redirector.locate.proxies",
    "Config": "redirector.settings.serving",
    "Request": "redirector.answer.answer",
    "Responder": "redirector.answer.serve",
    "explain": "redirector.answer.explain",
    "load_config": "redirector.settings.file",
    "load_snapshot": "redirector.snapshot.load",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for: the supervisor asks for none, and stays at 16 MB instead of 44."""
    if name not in _HOMES:
        raise AttributeError(f"module 'redirector' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
