"""The OpenAPI 3.1 document, made from the routes and the models that read their bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic.json_schema import models_json_schema

from redirector import __version__
from redirector.registry import nouns
from redirector.registry.listing import SiteState
from redirector.registry.nouns import Noun
from redirector.web.api.call import MAX_NUMBER, MAX_PAGE, PAGE, Route

_PARAMETER = re.compile(r"\{(\w+)\}")
_REFERENCES = "#/components/schemas/{model}"

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "text"],
                "properties": {"field": {"type": "string"}, "text": {"type": "string"}},
            },
        },
    },
}


def document(routes: Iterable[Route], server: str) -> dict[str, Any]:
    """The document; *server*: what the paths stand below."""
    routes = list(routes)
    models = sorted({route.body for route in routes if route.body is not None}, key=lambda model: model.__name__)
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCES)
    schemas = {**definitions.get("$defs", {}), "Problem": _PROBLEM}
    for model in models:
        changed = dict(schemas[model.__name__])
        changed.pop("required", None)
        changed.pop("examples", None)
        schemas[f"{model.__name__}Change"] = changed
    for model in sorted({route.shows for route in routes if route.shows is not None}, key=lambda each: each.__name__):
        schemas[f"{model.__name__}Shown"] = _shown(schemas[model.__name__], model)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "redirector's registry",
            "version": __version__,
            "description": "Sites, hosts and what makes a list. Times are RFC 3339 in UTC.",
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_TIME = {"type": ["string", "null"], "format": "date-time"}

_BASE = {"id": {"type": "integer"}, "version": {"type": "integer"}, "edited": _TIME}

_WAITING = {"state": {"enum": ["approved", "waiting", "refused"]}}

_BESIDE: dict[type[Noun], dict[str, Any]] = {
    nouns.Site: {
        "state": {"enum": [each.value for each in SiteState]},
        "state_since": _TIME,
        "state_text": {"type": "string"},
        "leaving": _TIME,
        "created": _TIME,
    },
    nouns.Host: {"site": {"type": "integer"}, "leaving": _TIME},
    nouns.Network: _WAITING,
    nouns.AsnOf: {**_WAITING, "own": {"type": "boolean"}},
    nouns.Repository: {"category": {"type": ["string", "null"]}},
    nouns.Release: {"revision": {"type": "integer"}},
}
"""What is known beside the fields of a body."""


def _shown(schema: dict[str, Any], model: type[Noun]) -> dict[str, Any]:
    """The object as it is answered; what imports left may break rules, so that types alone are promised."""
    own = dict(schema["properties"])
    if model is nouns.Host:
        own["country"] = {"type": ["string", "null"]}
        own["bandwidth_mbit"] = {"type": ["integer", "null"]}
    needed = [name for name in own if name not in ("password",)]
    beside = {**_BASE, **_BESIDE.get(model, {})}
    if model is nouns.Release:  # its version is the product's; that of the row is its revision
        beside.pop("version")
    return {"type": "object", "properties": {**own, **beside}, "required": [*needed, *beside]}


_AFTER = {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER, "default": 0}

_AFTER_NAME = {"type": "string", "default": ""}


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{re.sub(r'[^a-zA-Z]+', '_', route.path)}".rstrip("_"),
        "summary": route.text,
        "tags": [route.tag],
        "responses": _responses(route),
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if name != "name" else "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    for name in route.query:
        kind = {"type": "string", "format": "date"} if name in ("since", "until") else {"type": "string"}
        parameters.append({"name": name, "in": "query", "schema": kind})
    if route.paged:
        number = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE}
        parameters.append({"name": "limit", "in": "query", "schema": number})
        parameters.append({"name": "after", "in": "query", "schema": _AFTER_NAME if route.by_name else _AFTER})
    if route.change:
        parameters.append({"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"}})
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _reference(route.body, route.change)}}},
        }
    elif route.schema is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": route.schema[0]}}}
    operation["security"] = [{}, {"token": []}] if route.public else [{"token": []}]
    return operation


def _reference(model: type[Noun], change: bool) -> str:
    return _REFERENCES.format(model=model.__name__ + ("Change" if change else ""))


def _responses(route: Route) -> dict[str, Any]:
    refused = {
        "description": "refused, with what would be right",
        "content": {"application/problem+json": {"schema": {"$ref": _REFERENCES.format(model="Problem")}}},
    }
    if route.status == 204:
        return {"204": {"description": "gone"}, "default": refused}
    one: dict[str, Any] = {}
    if route.shows is not None:
        one = {"$ref": _REFERENCES.format(model=f"{route.shows.__name__}Shown")}
    elif route.schema is not None:
        one = dict(route.schema[1])
    answer: dict[str, Any] = {"description": route.text, "content": {"application/json": {"schema": one}}}
    if route.paged:
        page = {
            "type": "object",
            "required": ["items", "next"],
            "properties": {"items": {"type": "array", "items": one}, "next": {"type": ["integer", "string", "null"]}},
        }
        answer["content"]["application/json"]["schema"] = page
    waiting = {"202": answer} if route.shows in (nouns.Network, nouns.AsnOf) and route.writes else {}
    return {str(route.status): answer, **waiting, "default": refused}
