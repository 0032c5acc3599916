from __future__ import annotations

import sys
import unicodedata
from collections.abc import Collection, Iterator
from math import inf, pi
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.locate import places
from redirector.locate.places import (
    EARTH_RADIUS_KM,
    CityName,
    countries,
    country_distance_km,
    distance_km,
    find_cities,
    find_country,
    find_misplaced,
    fold,
    neighbours,
    place_of_country,
)
from redirector.model import Place

BERLIN, LONDON, SYDNEY = Place(52.524, 13.411), Place(51.509, -0.126), Place(-33.868, 151.207)
PLACES = st.builds(Place, st.floats(-90, 90), st.floats(-180, 180))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("DE", "DE"),
        ("de", "DE"),
        (" De ", "DE"),
        ("DEU", "DE"),
        ("Germany", "DE"),
        ("germany", "DE"),
        ("Australia", "AU"),
        ("UK", "GB"),
        ("uk", "GB"),
        ("Great Britain", "GB"),
        ("USA", "US"),
        ("United States", "US"),
        ("Czech Republic", "CZ"),
        ("Czechia", "CZ"),
        ("Türkiye", "TR"),
        ("Turkey", "TR"),
        ("South Korea", "KR"),
        ("Côte d'Ivoire", "CI"),
        ("The Netherlands", "NL"),
        ("NO", "NO"),
        ("XK", "XK"),
        ("XX", None),
        ("EU", None),
        ("AN", None),
        ("Berlin", None),
        ("", None),
    ],
)
def test_a_country_is_known_by_its_codes_its_name_and_common_aliases(text: str, code: str | None) -> None:
    assert find_country(text) == code


@given(st.text(max_size=20))
def test_any_text_is_a_country_that_exists_or_none(text: str) -> None:
    assert find_country(text) in {None, *countries()}


def test_every_country_is_found_by_its_own_names() -> None:
    for code, country in countries().items():
        assert find_country(code) == find_country(country.name) == code
        assert len(country.continent) == 2


def test_neighbours_share_a_border_both_ways() -> None:
    assert neighbours("DE") >= {"FR", "PL", "CZ", "AT", "CH", "DK", "NL", "BE", "LU"}
    assert neighbours("SA") >= {"AE", "JO", "YE"}
    assert neighbours("NZ") == neighbours("XX") == frozenset()


def test_distances_between_cities() -> None:
    assert distance_km(BERLIN, LONDON) == pytest.approx(932, abs=2)
    assert distance_km(LONDON, SYDNEY) == pytest.approx(16_994, abs=5)


@given(PLACES, PLACES)
def test_a_distance_is_the_same_both_ways_and_at_most_half_way_round(a: Place, b: Place) -> None:
    assert distance_km(a, b) == pytest.approx(distance_km(b, a))
    assert 0 <= distance_km(a, b) <= pi * EARTH_RADIUS_KM + 1e-6
    assert distance_km(a, a) == 0


def test_opposite_places_are_half_way_round() -> None:
    assert distance_km(Place(10, 20), Place(-10, -160)) == pytest.approx(pi * EARTH_RADIUS_KM)


def test_a_country_lies_where_its_largest_city_does() -> None:
    germany, france = place_of_country("DE"), place_of_country("FR")
    assert germany is not None and distance_km(germany, BERLIN) < 10
    assert france is not None
    assert country_distance_km("DE", "FR") == distance_km(germany, france)
    assert country_distance_km("DE", "DE") == 0
    assert place_of_country("XX") is None
    assert country_distance_km("DE", "XX") is None


CITIES: dict[CityName, Place | None] = {
    CityName("Berlin", "", "DE"): BERLIN,
    CityName("BERLIN", "Berlin", "DE"): BERLIN,
    CityName("London", "England", "GB"): LONDON,
    CityName("London", "Ontario", "CA"): Place(42.98, -81.23),
    CityName("München", "Bavaria", "DE"): Place(48.137, 11.575),
    CityName("Munich", "", "DE"): Place(48.137, 11.575),
    CityName("Sao Paulo", "", "BR"): Place(-23.548, -46.636),
    CityName("São Paulo", "", "BR"): Place(-23.548, -46.636),
    CityName("Saint Etienne", "", "FR"): Place(45.434, 4.390),
    CityName("New York", "NY", "US"): Place(40.714, -74.006),
    CityName("Portland", "", "US"): Place(45.523, -122.676),
    CityName("Portland", "Maine", "US"): Place(43.657, -70.259),
    CityName("portland", "me", "US"): Place(43.657, -70.259),
    CityName("", "Maine", "US"): Place(43.657, -70.259),
    CityName("", "Lisbon", "PT"): Place(38.725, -9.150),
    CityName("Berlin", "", "FR"): None,
    CityName("Berlin", "Maine", "US"): None,
    CityName("", "", "DE"): None,
    CityName("Nowhere", "", "DE"): None,
}


def test_a_city_is_found_in_its_country_and_state() -> None:
    found = find_cities(frozenset(CITIES))
    for name, expected in CITIES.items():
        place = found.get(name)
        assert (place is None) == (expected is None), name
        assert place is None or expected is None or distance_km(place, expected) < 3, name


def test_cities_that_were_asked_for_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_MOST_REMEMBERED", 3)
    known = {name: place for name, place in CITIES.items() if place is not None}
    reads: list[object] = []

    def read(kind: Any, wanted: Collection[str] = ()) -> Iterator[Any]:
        reads.append(kind)
        return real(kind, wanted)

    real = places._read_cities
    monkeypatch.setattr(places, "_read_cities", read)
    monkeypatch.setattr(places, "_remembered", {})
    name, other, *more = known
    assert find_cities(frozenset({name, CityName("Nowhere", "", "DE")})).keys() == {name}
    assert find_cities(frozenset({name, CityName("Nowhere", "", "DE")})).keys() == {name} and len(reads) == 1
    assert find_cities(frozenset({name, other})).keys() == {name, other} and len(reads) == 2
    assert find_cities(frozenset(more)).keys() == {*more} and len(reads) == 3
    assert find_cities(frozenset({name})).keys() == {name} and len(reads) == 4, "they were too many"


def test_a_place_far_from_every_city_of_its_country_contradicts_it() -> None:
    near, far, unknown = ("DE", BERLIN), ("DE", SYDNEY), ("AQ", SYDNEY)
    assert find_misplaced(frozenset({near, far, unknown}), 500) == {far}
    assert find_misplaced(frozenset({far}), inf) == frozenset()


@given(st.text(max_size=20))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_no_character_folds_to_something_else_the_second_time() -> None:
    marks = (chr(code) for code in range(sys.maxunicode + 1))
    once = {fold(mark) for mark in marks if unicodedata.category(mark) not in ("Cs", "Co", "Cn")}
    assert {mark for mark in once if fold(mark) != mark} == set()
    assert fold("︙") == ""


def test_names_that_differ_in_case_accents_and_separators_fold_alike() -> None:
    assert fold("Saint-Étienne") == fold("SAINT  ETIENNE") == fold("saint.etienne") == "saint etienne"
