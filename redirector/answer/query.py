"""From the bytes of a request target to a `Query`: routing, percent-decoding, parameters, wishes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from redirector.answer.answer import Kind
from redirector.answer.wishes import NO_WISHES, SCHEMES, Wishes
from redirector.errors import QueryError

MAX_TARGET_BYTES = 8190
"""aiohttp's limit for a request line; nginx and Apache stop at 8 kB too."""

FORMATS = ("mirrorlist", "metalink", "meta4", "json", "apt", "pacman")
"""What `format=` may say."""

_DEMANDS = ("country", "protocol", "ipv4", "ipv6")
_COUNTRY = re.compile(r"[A-Za-z]{2}\Z|global\Z", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,6}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SLASHES = re.compile(r"/+")


@dataclass(frozen=True, slots=True)
class Query:
    """What a target asks for.

    kind        MIRRORLIST, METALINK, ISOLIST, PAGE, or OTHER: a file, to be redirected
    repo, arch  of `/mirrorlist?repo=&arch=`; None: the parameter is absent
    path        of `path=`, or of a file's own path: outer slashes trimmed, runs collapsed
    version     of `/mirrorlist/<version>/<repository>` and `/isolist/<version>/<arch>`
    repository  likewise
    address     `ip=` as given; None: absent or empty
    form        one of `FORMATS`, or None: by the path
    redirect    answer 302 to the best URL
    time        add the snapshot's creation time
    """

    kind: Kind
    repo: str | None = None
    arch: str | None = None
    path: str | None = None
    version: str | None = None
    repository: str | None = None
    address: str | None = None
    form: str | None = None
    redirect: bool = False
    time: bool = False
    protocol: str | None = None
    wishes: Wishes = NO_WISHES


def kind_of(target: bytes) -> Kind:
    """What a target asks for, judged by its path alone; never fails, so that errors too can be labelled."""
    path = target.partition(b"?")[0].rstrip(b"/")
    if not path:
        return Kind.PAGE
    if path.endswith(b"/mirrorlist") or path.startswith(b"/mirrorlist/"):
        return Kind.MIRRORLIST
    if path.endswith(b"/metalink"):
        return Kind.METALINK
    return Kind.ISOLIST if path.startswith(b"/isolist/") else Kind.OTHER


def parse_query(target: bytes, decode: bool = True) -> Query:
    """Parse a request target (origin form).

    decode   False: today's server, which decodes nothing and knows `/mirrorlist` and `/metalink` alone
    raises   QueryError 400, 404 or 414; nothing else, whatever the bytes
    cost     5 µs
    """
    if len(target) > MAX_TARGET_BYTES:
        raise QueryError(414, f"the request target is longer than {MAX_TARGET_BYTES} bytes")
    raw_path, _, raw_parameters = target.partition(b"?")
    if not decode:
        return _parse_compatibly(raw_path, raw_parameters)
    path = _decoded(raw_path, "path")
    parameters = _parameters(raw_parameters)
    trimmed = path.rstrip("/")
    if not trimmed:
        return Query(Kind.PAGE)
    kind = kind_of(trimmed.encode())
    if trimmed.endswith(("/mirrorlist", "/metalink")):
        return _listed(kind, parameters)
    segments = trimmed[1:].split("/")
    if kind in (Kind.MIRRORLIST, Kind.ISOLIST) and len(segments) == 3:
        _, version, last = segments
        if kind is Kind.ISOLIST:
            return Query(kind, version=version, arch=last)
        return _listed(kind, parameters, version=version, repository=last)
    if kind in (Kind.MIRRORLIST, Kind.ISOLIST):
        shape = "/mirrorlist/<version>/<repository>" if kind is Kind.MIRRORLIST else "/isolist/<version>/<arch>"
        raise QueryError(404, f"no such page: this path has the form {shape}")
    return Query(kind, path=_file_path(path), address=parameters.get("ip") or None, wishes=_wishes(parameters))


def _listed(
    kind: Kind, parameters: Mapping[str, str], version: str | None = None, repository: str | None = None
) -> Query:
    """A query for a list in any form."""
    form = parameters.get("format")
    if form is not None and form not in FORMATS:
        raise QueryError(400, f"format={form[:40]}: unknown; there are {', '.join(FORMATS)}")
    path = parameters.get("path")
    return Query(
        kind,
        repo=parameters.get("repo"),
        arch=parameters.get("arch"),
        path=None if path is None else _collapsed(path),
        version=version,
        repository=repository,
        address=parameters.get("ip") or None,
        form=form,
        redirect="redirect" in parameters,
        time="time" in parameters,
        protocol=parameters.get("protocol"),
        wishes=_wishes(parameters),
    )


def _parse_compatibly(raw_path: bytes, raw_parameters: bytes) -> Query:
    path = raw_path.decode("utf-8", "replace")
    if not path.endswith(("/mirrorlist", "/metalink")):
        raise QueryError(404, "We don't serve their kind here!")
    parameters: dict[str, str] = {}
    for part in raw_parameters.decode("utf-8", "replace").split("&"):
        elements = part.split("=")
        parameters[elements[0]] = elements[1] if len(elements) > 1 else ""
    path_parameter = parameters.get("path")
    countries, protocols = parameters.get("country", ""), parameters.get("protocol")
    return Query(
        Kind.METALINK if path.endswith("/metalink") else Kind.MIRRORLIST,
        repo=parameters.get("repo"),
        arch=parameters.get("arch"),
        path=None if path_parameter is None else _collapsed(path_parameter),
        address=parameters.get("ip") or None,
        redirect="redirect" in parameters,
        time="time" in parameters,
        protocol=protocols,
        wishes=Wishes(
            countries=tuple(sorted(set(countries.split(",")))) if countries else (),
            protocols=() if protocols is None else tuple(sorted(set(protocols.split(",")))),
            networks=parameters.get("netblock", "1") == "1",
        ),
    )


def _decoded(raw: bytes, what: str) -> str:
    try:
        text = unquote_to_bytes(raw).decode() if b"%" in raw else raw.decode()
    except UnicodeDecodeError:
        raise QueryError(400, f"the {what} is not UTF-8") from None
    if b"%" in raw and re.search(rb"%(?![0-9A-Fa-f]{2})", raw):
        raise QueryError(400, f"the {what} has a percent sign that no two hexadecimal digits follow")
    if _CONTROL.search(text):
        raise QueryError(400, f"the {what} has a control character")
    return text


def _parameters(raw: bytes) -> dict[str, str]:
    """Names to values, decoded; the last of equal names wins."""
    parameters: dict[str, str] = {}
    for part in raw.split(b"&"):
        name, _, value = part.partition(b"=")
        if name:
            parameters[_decoded(name, "query")] = _decoded(value, "query")
    return parameters


def _collapsed(path: str) -> str:
    return _SLASHES.sub("/", path).strip("/")


def _file_path(path: str) -> str:
    collapsed = _collapsed(path)
    if not path.startswith("/") or any(segment in (".", "..") for segment in collapsed.split("/")) or "\\" in path:
        raise QueryError(400, "the path may not hold '.', '..' or a backslash")
    return collapsed


def _wishes(parameters: Mapping[str, str]) -> Wishes:
    """The wishes among *parameters*; malformed values are refused."""
    if not _WISHES.keys() & parameters.keys():
        return NO_WISHES
    protocols = _listed_values(parameters, "protocol", lambda value: value.lower() in SCHEMES, ", ".join(SCHEMES))
    demands = _listed_values(
        parameters, "require", lambda value: value.lower() in (*_DEMANDS, *SCHEMES), ", ".join((*_DEMANDS, *SCHEMES))
    )
    schemes = {demand.lower() for demand in demands} & set(SCHEMES)
    countries = _listed_values(parameters, "country", _COUNTRY.match, "two letters, or global")
    countries = countries or _listed_values(parameters, "cc", _COUNTRY.match, "two letters, or global")
    family = _family(parameters, {demand.lower() for demand in demands})
    return Wishes(
        countries=countries,
        protocols=tuple(sorted(schemes or {protocol.lower() for protocol in protocols})),
        networks=parameters.get("netblock", "1") == "1",
        exclude_hosts=frozenset(host.lower() for host in _split(parameters.get("exclude_host", ""))),
        exclude_countries=frozenset(
            country.upper()
            for country in _listed_values(
                parameters, "exclude_country", re.compile(r"[A-Za-z]{2}\Z").match, "two letters"
            )
        ),
        limit=_limit(parameters),
        family=family,
        demands=frozenset("protocol" if demand.lower() in SCHEMES else demand.lower() for demand in demands),
    )


_WISHES = dict.fromkeys(
    ("country", "cc", "protocol", "netblock", "exclude_host", "exclude_country", "limit", "ipv4", "ipv6", "require")
)


def _split(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def _listed_values(
    parameters: Mapping[str, str], name: str, is_valid: Callable[[str], object], allowed: str
) -> tuple[str, ...]:
    values = tuple(sorted(set(_split(parameters.get(name, "")))))
    for value in values:
        if not is_valid(value):
            raise QueryError(400, f"{name}={value[:40]}: each value must be one of: {allowed}")
    return values


def _limit(parameters: Mapping[str, str]) -> int | None:
    text = parameters.get("limit")
    if text is None or text == "":
        return None
    if not _NUMBER.match(text) or int(text) == 0:
        raise QueryError(400, f"limit={text[:40]}: must be a whole number from 1 to 999999")
    return int(text)


def _family(parameters: Mapping[str, str], demands: set[str]) -> int | None:
    wished = {4: "ipv4", 6: "ipv6"}
    families = {
        family for family, name in wished.items() if parameters.get(name, "0") not in ("0", "") or name in demands
    }
    for name in wished.values():
        if parameters.get(name, "0") not in ("0", "1", ""):
            raise QueryError(400, f"{name}={parameters[name][:40]}: must be 0 or 1")
    return families.pop() if len(families) == 1 else None
