"""Every YAML file of `deploy/` reads well."""

from __future__ import annotations

from tests.deploy.rig import DEPLOY, run


def test_yamllint_is_silent() -> None:
    assert run("yamllint", "--strict", "-c", DEPLOY / ".yamllint", DEPLOY).stdout == ""
