"""Keys of a mirror file that keep a mirror from clients: one that is misplaced or unreadable withholds the mirror.

Whoever writes such a key means that some clients shall not have the mirror; while it is not known which, nobody has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from redirector.plain_yaml import Value
from redirector.sources.fields import read_country, read_text, read_texts
from redirector.sources.mirrors_d.cloud import CLOUDS
from redirector.sources.problems import Report, nearest_key, show

RESTRICTING = (
    "private",
    "monopoly",
    "subnets",
    "asn",
    "cloud_type",
    "disabled",
    "countries_allowed",
    "countries_excluded",
)

_OTHER_WORDS = {
    "countries": "countries_allowed or countries_excluded",
    "allowed_countries": "countries_allowed",
    "excluded_countries": "countries_excluded",
}

_SAYS_NOTHING = ("", "false", "no", "off", "null", "none")

_UNKNOWN_CLOUD = ""
"""What a mirror's cloud is called that cannot be read: it serves the clients of no cloud, and no others."""


class Restrictions:
    """The restrictions of one mirror file, as they are read.

    reason  why the mirror is given to nobody; "": it is not withheld
    """

    def __init__(self, report: Report) -> None:
        self.reason = ""
        self._report = report

    def withhold(self, reason: str) -> None:
        """Give the mirror to nobody; the first reason stays."""
        self.reason = self.reason or reason

    def find_misplaced(self, document: Mapping[str, Value], record: Mapping[str, Value]) -> None:
        """Withhold the mirror for each restriction in *document* that has no effect where it stands.

        record  what is taken of the file's top level
        """
        for key, value in document.items():
            meant = _meant(key)
            if meant is None or _says_nothing(value):
                continue
            if meant not in record:
                self._complain(key, f"{meant} is the key's name")
            elif key not in record and value != record[meant]:
                self._complain(key, f"{meant} says something else")
        for path, key, value in _below(dict(document), ""):
            meant = _meant(key)
            if meant is None:
                continue
            place = f"{meant} belongs at the top level of the file, not below {path}"
            if _says_nothing(value):
                self._report.warning(f"{path}.{key}", f"{place}: left out")
            else:
                self._complain(f"{path}.{key}", place)

    def find_contradictions(self, keys: Collection[str]) -> None:
        """Withhold the mirror if one of *keys*, which stand in the file twice and differ, restricts it."""
        for key in sorted(keys):
            if _meant(key) is not None:
                self._complain(key, "stands there twice and says two things")

    def read_countries(self, key: str, value: Value) -> frozenset[str]:
        """Countries, one or a list; one that cannot be read withholds the mirror."""
        items = value if isinstance(value, list) else [] if value in (None, "") else [value]
        countries = [read_country(self._report, key, item) for item in items]
        if None in countries:
            self._complain(key, f"{show(value)} names what is no country")
        return frozenset(country for country in countries if country is not None)

    def read_cloud(self, value: Value, regions: Value) -> str | None:
        """The cloud that the mirror serves; None for one that serves everybody."""
        cloud = read_text(self._report, "cloud_type", value)
        if cloud is None:
            if value not in (None, ""):
                self._complain("cloud_type", f"{show(value)} is no text")
                return _UNKNOWN_CLOUD
            return None
        if cloud not in CLOUDS:
            self._report.error("cloud_type", f"{show(cloud)} is none of {', '.join(CLOUDS)}: no ranges are known")
        if not _says_nothing(regions) and not read_texts(Report(self._report.path), "cloud_regions", regions):
            self._complain("cloud_regions", f"{show(regions)} names no region")
        return cloud

    def _complain(self, key: str, text: str) -> None:
        self._report.error(key, f"{text}: the mirror is given to nobody until this is right")
        self.withhold(f"{key}: {text}")


def without_restrictions(record: Mapping[str, Value]) -> dict[str, Value]:
    """*record*, which is not the top level, without keys that have been complained of."""
    return {key: value for key, value in record.items() if _meant(key) is None}


def _meant(key: str) -> str | None:
    """The restricting key that *key* stands for; None for other keys."""
    plain = "_".join(key.casefold().replace("-", " ").replace("_", " ").split())
    if plain in RESTRICTING:
        return plain
    return _OTHER_WORDS.get(plain) or nearest_key(plain, RESTRICTING)


def _says_nothing(value: Value) -> bool:
    """Whether *value* restricts nothing, whatever the key."""
    return not value or (isinstance(value, str) and value.strip().casefold() in _SAYS_NOTHING)


def _below(value: Value, path: str) -> Iterator[tuple[str, str, Value]]:
    """Every key below the top level: where it stands, itself, and its value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if path:
                yield path, key, inner
            yield from _below(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _below(inner, path)
