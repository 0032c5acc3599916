"""Any value at any field of any noun is taken, or refused at that field; never more than that happens."""

from __future__ import annotations

import re
from typing import Any

import pytest

from redirector.web.access import API
from redirector.web.api.call import Route
from redirector.web.api.routes import ROUTES
from tests.registry.rig import HOST, SITE
from tests.web.conftest import Api, any_api, any_registry, api, registry

__all__ = ["any_api", "any_registry", "api", "registry"]

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 1.5, 1e308, "", " ", "x", "x" * 256, "a\nb", "\0", "\x1b[0m",
    "\ud800", "<script>alert(1)</script>", "=1+1", "../..", "https://user:secret@example.org/?q#f", "http://[::1", [],
    [None], [[]], ["\0"], ["x"] * 1000, {}, {"a": 1}, {"from": 5}, {"from": "9999-12-31T23:59:59Z", "to": "0001-01-01"},
)  # fmt: skip

FOREIGN = ("id", "version", "edited", "site", "host", "state", "state_since", "created", "origin", "waits", "refused",
           "found", "name_key", "unchecked_since", "leaving", "enabled_since", "hash", "account_id", "carried",
           "distribution_admin", "__class__", "model_config", "version_name")  # fmt: skip
"""Columns and views that no body has: to send them must set nothing."""

MADE: dict[str, Any] = {
    "/sites": SITE,
    "/sites/1/hosts": HOST,
    "/categories": {"name": "Example Linux", "top": "pub/linux", "product": "Example Linux"},
    "/hosts/1/categories": {"category": "Example Linux"},
    "/hosts/1/urls": {"category": "Example Linux", "url": "http://mirror.example.org/linux/"},
    "/hosts/1/networks": {"network": "8.8.8.0/24"},
    "/hosts/1/asns": {"asn": 3356},
    "/hosts/1/countries": {"country": "FR"},
    "/hosts/1/acl": {"address": "8.8.4.4"},
    "/repositories": {"prefix": "example-1", "arch": "x86_64", "directory": "pub/linux/1"},
    "/redirects": {"source": "old", "target": "example-1"},
    "/releases": {"product": "Example Linux", "version": "43", "arches": ["x86_64"]},
    "/sites/1/notes": {"text": "a note"},
    "/hosts/1/notes": {"text": "a note"},
    "/sites/1/tokens": {"scope": "read", "days": 3},
    "/hosts/1/tokens": {"scope": "check-in"},
    "/sites/1/admins": {"account": "nobody"},
    "/sites/1/approval": {"action": "ask", "text": "please"},
    "/hosts/1/networks/1/approval": {"action": "approve", "text": "well"},
    "/hosts/1/asns/1/approval": {"action": "approve", "text": "well"},
}
"""A body for whatever is made, parents first."""


def path_of(route: Route) -> str:
    """Its path, about number 1."""
    return re.sub(r"\{(site|host|number)\}", "1", route.path)


async def make(api: Api) -> str:
    """One of everything; the token of a distribution admin."""
    _, token = await api.person("chief", admin=True)
    for path, body in MADE.items():
        answer = await api.ask("POST", path, token, body)
        assert answer.status in (201, 200, 202) or path.endswith(("admins", "approval")), (path, await answer.text())
    return token


def test_everything_that_has_a_body_is_tried() -> None:
    tried = [path_of(route) for route in ROUTES if route.method == "POST" and route.body is not None]
    assert sorted(tried) == sorted(MADE)


async def test_what_was_answered_can_be_sent_back_and_nothing_changes(api: Api) -> None:
    token = await make(api)
    schemas = (await (await api.client.get(f"{API}/openapi.json")).json())["components"]["schemas"]
    bodies = {path_of(route): route.body for route in ROUTES if route.method == "PATCH" and route.body is not None}
    for path, noun in bodies.items():
        shown = await api.ask("GET", path, token)
        seen, etag = await shown.json(), shown.headers["ETag"]
        fields = schemas[noun.__name__]["properties"]
        for body in ({}, {name: value for name, value in seen.items() if name in fields}):
            if noun.__name__ == "Release":
                body.pop("version", None)
            answer = await api.ask("PATCH", path, token, body, If_Match=etag)
            assert (answer.status, await answer.json()) == (200, seen), path


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_any_value_is_taken_or_refused_at_its_field(any_api: Api, method: str) -> None:
    token = await make(any_api)
    fields = (await (await any_api.client.get(f"{API}/openapi.json")).json())["components"]["schemas"]
    for route in ROUTES:
        if route.method != method or route.body is None or (method == "POST" and route.shows and _patched(route.path)):
            continue
        path = path_of(route)
        rest = {} if method == "PATCH" else MADE[path]
        for field in fields[route.body.__name__]["properties"]:
            any_api.registry.now += 10
            for value in VALUES:
                answer = await any_api.ask(method, path, token, {**rest, field: value}, If_Match="*")
                told = await answer.json()
                assert answer.status in (200, 201, 202, 409, 422), (path, field, value, told)
                if answer.status == 422:
                    named = {each["field"].split(".")[0] for each in told["errors"]}
                    assert field in named or route.body.__name__ in ("Host", "Url"), (path, field, value, told)
        for name in FOREIGN:
            if name not in fields[route.body.__name__]["properties"]:
                answer = await any_api.ask(method, path, token, {**rest, name: 1}, If_Match="*")
                assert answer.status == 422, (path, name, await answer.text())


def _patched(path: str) -> bool:
    """What can be changed is tried there."""
    return any(route.method == "PATCH" and route.path.rpartition("/")[0] == path for route in ROUTES)
