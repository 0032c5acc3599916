"""Parts in C may stem from an older source than the Python around them: then they are refused by name, and not run."""

from __future__ import annotations

from types import ModuleType

from redirector.errors import StaleBuildError


def refuse_stale_build(module: ModuleType, interface: int) -> None:
    """Be sure that *module*, which is in C, has the interface that its caller was written for.

    raises  StaleBuildError
    """
    if getattr(module, "INTERFACE", None) != interface:
        raise StaleBuildError(str(module.__file__))
