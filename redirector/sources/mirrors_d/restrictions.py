"""Keys of a mirror file that keep a mirror from clients: one that is misplaced or unreadable withholds the mirror.

Whoever writes such a key means that some clients shall not have the mirror; while it is not known which, nobody has it.
"""

from __future__ import annotations

import re
import unicodedata
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

_FLAGS = ("private", "disabled")

_COUNTRIES = "countries_allowed or countries_excluded"
_OTHER_WORDS = {
    "allowed_countries": "countries_allowed",
    "excluded_countries": "countries_excluded",
    "countries": _COUNTRIES,
    "allowed": _COUNTRIES,
    "excluded": _COUNTRIES,
    "only": _COUNTRIES,
    "blocked": _COUNTRIES,
    "cloud": "cloud_type",
    "priv": "private",
    "hidden": "private",
    "internal": "private",
    "restricted": "private",
    "off": "disabled",
    "inactive": "disabled",
}
"""What people call a restriction, in a whole key or in a word of it, by a name that is near to none."""

_OPPOSITES = {"public": "private", "visible": "private", "enabled": "disabled", "active": "disabled"}
"""Keys that restrict when they are false."""

_WORDS_OF_VALUES = frozenset({"private", "hidden", "internal", "restricted", "disabled", "inactive"})
"""What an unknown key says of a mirror that is not for everybody: `access: private`."""

_OTHER_KEYS = frozenset({"address", "address_optional", "geolocation", "cloud_regions", "own_asn"})
"""Keys that have a word or most letters of a restriction, and are none."""

_IN_A_TEXT = re.compile(r"(?:^|\s)(private|disabled)\s*[:=]\s*(?:true|yes|on)\b", re.IGNORECASE)
"""A line without a blank behind its colon goes on with the text of the line above."""

_LINE = re.compile(
    rb"^.*\b(?:" + "|".join(RESTRICTING).encode() + rb")\b['\"]?[ \t]*:.*$", re.IGNORECASE | re.MULTILINE
)

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
            self._find_in_texts(key, value)
            meant = _meant(key)
            if key not in record:
                self._find_words(key, value)
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

    def _find_words(self, key: str, value: Value) -> None:
        """Withhold the mirror if *key*, which nobody knows, says in a word that it is not for everybody."""
        meant = _OPPOSITES.get(_plain(key))
        if meant is not None and value is not None and value is not True and str(value).strip().casefold() != "true":
            self._complain(key, f"{meant} is the key's name")
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and text.strip().casefold() in _WORDS_OF_VALUES:
                self._complain(key, f"{show(text)} is said by a key of its own: private or disabled")

    def _find_in_texts(self, key: str, value: Value) -> None:
        """Withhold the mirror if a restriction became a part of a text in *value*."""
        for text in _texts_in(value):
            if found := _IN_A_TEXT.search(text):
                self._complain(key, f"{show(found[0].strip())} stands in its text")

    def find_contradictions(self, keys: Collection[str]) -> None:
        """Withhold the mirror if one of *keys*, which stand in the file twice and differ, restricts it."""
        for key in sorted(keys):
            if _meant(key) is not None:
                self._complain(key, "stands there twice and says two things")

    def read_countries(self, key: str, value: Value) -> frozenset[str]:
        """Countries, one or a list; one that cannot be read withholds the mirror."""
        items = value if isinstance(value, list) else [] if value in (None, "") else [value]
        countries = [read_country(self._report, key, item) for item in items]
        if value == [] and key == "countries_allowed":
            self._complain(key, "names no country")
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
            if not _says_nothing(regions):
                self._complain("cloud_regions", "cloud_type is missing")
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


def names_more(broken: bytes, earlier: bytes) -> bool:
    """Whether a mirror file that cannot be read has a line with a restriction that it had not *earlier*."""
    before = [line.strip() for line in _LINE.findall(earlier)]
    return any(not any(line.startswith(found.strip()) for line in before) for found in _LINE.findall(broken))


def _meant(key: str) -> str | None:
    """The restricting key that *key* stands for; None for other keys."""
    plain = _plain(key)
    if plain in RESTRICTING:
        return plain
    if plain in _OTHER_KEYS:
        return None
    candidates = (
        nearest_key(plain, RESTRICTING),
        _look_alike(plain),
        *(_OTHER_WORDS.get(word) or nearest_key(word, _FLAGS) for word in (plain, *plain.split("_"))),
    )
    return next(filter(None, candidates), None)


def _plain(key: str) -> str:
    """*key* in small letters without accents, its words joined by underscores."""
    letters = (each for each in unicodedata.normalize("NFKD", key) if not unicodedata.combining(each))
    return "_".join("".join(letters).casefold().replace("-", " ").replace("_", " ").split())


def _look_alike(plain: str) -> str | None:
    """The restricting key that *plain* is, but for letters of other alphabets that look like its own."""
    if plain.isascii() or not any(letter.isascii() for letter in plain):
        return None
    pattern = re.compile("".join("." if not letter.isascii() else re.escape(letter) for letter in plain))
    return next((key for key in RESTRICTING if pattern.fullmatch(key)), None)


def _texts_in(value: Value) -> Iterator[str]:
    """Every text in *value*."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(inner)


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
