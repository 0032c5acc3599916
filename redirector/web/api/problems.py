"""Refusals as problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from redirector.registry.refusals import FieldProblem, Forbidden, RegistryError, Stale

CONTENT_TYPE = "application/problem+json"


def problem(
    status: int, text: str, errors: Sequence[FieldProblem] = (), more: Mapping[str, object] | None = None
) -> bytes:
    """The document: `type`, `title`, `status`, `detail`, and `errors`, each with its field."""
    document: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": text,
    }
    if errors:
        document["errors"] = [{"field": each.field, "text": each.text} for each in errors]
    return json.dumps({**document, **(more or {})}, ensure_ascii=False).encode()


def status_of(error: RegistryError, known: bool) -> int:
    """What HTTP calls the refusal; *known*: whoever asks is somebody."""
    return 401 if isinstance(error, Forbidden) and not known else error.status


def problem_of(error: RegistryError, known: bool) -> tuple[int, bytes]:
    """(status, document) of a refusal."""
    errors: Sequence[FieldProblem] = getattr(error, "problems", ())
    more = {"current": error.current, "version": error.version} if isinstance(error, Stale) else None
    status = status_of(error, known)
    return status, problem(status, error.text, errors, more)
