"""Flags of a noun's fields: what a form shows as inputs, a command takes as options."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any, get_args, get_origin

from redirector.registry.nouns import Noun

HELP = {
    "name": "its name",
    "url": "the organisation's page, or a base URL",
    "contacts": "a mail address; may be repeated",
    "private": "given to clients on its networks alone",
    "enabled": "switched on",
    "pulled_by": "who sees its URLs for mirrors: all, or the number of a site; may be repeated",
    "comment": "for those that pull from it",
    "country": "ISO 3166, such as DE",
    "state": "state or province",
    "bandwidth_mbit": "Mbit/s",
    "monopoly": "clients on its networks get it alone",
    "own_asn": "the AS that its addresses are in",
    "serves_own_asn": "whether clients of that AS prefer it",
    "update_frequency": "such as 3h",
    "cloud_type": "aws, gcp, azure or oci",
    "cloud_regions": "a region of the cloud; may be repeated",
    "new_releases": "picks up new releases by itself",
    "tier": "0, 1 or 2",
    "pulls_from": "a host's name, or master",
    "exclusions": "a pattern of paths that it leaves out; may be repeated",
    "always_current": "trusted without a visit",
    "joinable": "by everybody, not by distribution admins alone",
    "for_people": "shown on pages",
    "top": "its top directory, such as pub/linux",
    "not_before": "RFC 3339: its content is public then",
    "arches": "an architecture; may be repeated",
    "audience": "public or mirrors",
    "user": "of an rsync URL for mirrors",
}


def add_fields(parser: argparse.ArgumentParser, noun: type[Noun], without: Collection[str] = ()) -> None:
    """A flag for each field of *noun*; a field that is not given is not touched."""
    group = parser.add_argument_group("fields", argument_default=argparse.SUPPRESS)
    for name, field in noun.model_fields.items():
        if name in without or name == "password":
            continue
        if name == "maintenance":
            group.add_argument("--maintenance-from", dest="field_maintenance_from", metavar="TIME", help="RFC 3339")
            group.add_argument("--maintenance-to", dest="field_maintenance_to", metavar="TIME", help="RFC 3339")
            group.add_argument("--no-maintenance", dest="field_no_maintenance", action="store_true", help="ends it")
            continue
        flag = f"--{name.replace('_', '-')}"
        text = HELP.get(name, name.replace("_", " "))
        if _holds(field.annotation, bool):
            action = argparse.BooleanOptionalAction
            group.add_argument(flag, dest=f"field_{name}", action=action, help=text)
        elif _holds(field.annotation, list):
            group.add_argument(flag, dest=f"field_{name}", metavar="VALUE", action="append", help=text)
        else:
            group.add_argument(flag, dest=f"field_{name}", metavar="VALUE", help=f"{text} (empty: none)")


def _holds(annotation: Any, kind: type) -> bool:
    """Whether *annotation* is *kind*, or has it among its alternatives."""
    if annotation is kind or get_origin(annotation) is kind:
        return True
    return get_origin(annotation) is not kind and any(
        _holds(each, kind) for each in get_args(annotation) if get_origin(annotation) is not list
    )


def body_of(arguments: argparse.Namespace, noun: type[Noun], **named: object) -> dict[str, Any]:
    """The body that the flags describe; an empty text is none where the field may have none."""
    body: dict[str, Any] = dict(named)
    for name, field in noun.model_fields.items():
        value = getattr(arguments, f"field_{name}", None)
        if value is None:
            continue
        if value == "" and type(None) in get_args(field.annotation):
            value = None
        if isinstance(value, list):
            value = [each for each in value if each != ""]
            if name == "pulled_by" and value == ["all"]:
                value = "all"
        body[name] = value
    start, end = (getattr(arguments, f"field_maintenance_{name}", None) for name in ("from", "to"))
    if start or end:
        body["maintenance"] = {name: value for name, value in (("from", start), ("to", end)) if value}
    if getattr(arguments, "field_no_maintenance", False):
        body["maintenance"] = None
    return body
