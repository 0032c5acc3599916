"""Expected shares and factors: within limits where others can take over, and where not."""

from __future__ import annotations

import numpy as np
import pytest

from redirector.locate.crowd import Crowd, gazetteer_crowd
from redirector.locate.vectors import vectors_of
from redirector.snapshot.balance import LEAST_FACTOR, HostColumns, balance, chances, pair_up, shares_of, work_out


def crowd_at(*places: tuple[str, float, float, float]) -> Crowd:
    """(country, latitude, longitude, weight), those of one country together."""
    countries = tuple(sorted({country for country, *_ in places}))
    number = np.array([countries.index(country) for country, *_ in places])
    weight = np.array([weight for *_, weight in places])
    within = weight / np.bincount(number, weight)[number]
    vectors = vectors_of(np.array([each[1] for each in places]), np.array([each[2] for each in places]))
    return Crowd(countries, number, vectors, weight / weight.sum(), within, np.array([""] * len(places)))


def hosts_at(crowd: Crowd, *places: tuple[str, float, float], mbit: tuple[float, ...] = ()) -> HostColumns:
    return HostColumns(
        open=np.ones(len(places), np.bool_),
        vectors=vectors_of(np.array([each[1] for each in places]), np.array([each[2] for each in places])),
        country=np.array([crowd.countries.index(each[0]) if each[0] in crowd.countries else -1 for each in places]),
        bandwidth=np.array(mbit or [1.0] * len(places)),
        barred={},
    )


CROWD = crowd_at(("DE", 52.5, 13.4, 6.0), ("DE", 48.1, 11.6, 3.0), ("NZ", -36.8, 174.8, 1.0))


def test_chances_of_a_place_add_up_and_shares_of_all() -> None:
    hosts = hosts_at(CROWD, ("DE", 52.5, 13.4), ("DE", 51.3, 12.4), ("DE", 48.1, 11.6), ("NZ", -36.8, 174.8))
    pairs = pair_up(CROWD, hosts)
    assert np.bincount(pairs.place, chances(pairs, np.ones(4))) == pytest.approx(np.ones(3))
    assert shares_of(pairs, CROWD, np.ones(4)).sum() == pytest.approx(1.0)


def test_a_host_over_its_limit_is_relieved_by_those_near_it() -> None:
    hosts = hosts_at(CROWD, ("DE", 52.5, 13.4), ("DE", 51.3, 12.4), ("DE", 52.4, 13.1), ("NZ", -36.8, 174.8))
    pairs = pair_up(CROWD, hosts)
    limits = np.array([0.2, 0.5, 0.5, 0.5])
    assert shares_of(pairs, CROWD, np.ones(4))[0] > 0.3
    factors = balance(pairs, CROWD, limits)
    shares = shares_of(pairs, CROWD, factors)
    assert shares[0] == pytest.approx(0.2, rel=0.02)
    assert (shares <= limits * 1.02).all() and (factors <= 1).all() and factors[0] < 1 == factors[1]


def test_the_only_host_of_a_far_country_keeps_what_it_must_carry() -> None:
    hosts = hosts_at(CROWD, ("DE", 52.5, 13.4), ("DE", 52.4, 13.1), ("NZ", -36.8, 174.8))
    pairs = pair_up(CROWD, hosts)
    factors = balance(pairs, CROWD, np.array([1.0, 1.0, 0.01]))
    assert factors[2] >= LEAST_FACTOR
    assert shares_of(pairs, CROWD, factors)[2] == pytest.approx(0.1)


def test_a_limit_is_a_multiple_of_the_share_of_the_bandwidth() -> None:
    hosts = hosts_at(CROWD, ("DE", 52.5, 13.4), ("DE", 52.5, 13.4), mbit=(3000.0, 1000.0))
    found = work_out(CROWD, hosts, 1.2)
    assert found.limits == pytest.approx([0.9, 0.3])
    assert found.shares == pytest.approx([0.75, 0.25])


def test_a_limit_that_nobody_can_keep_balances_as_well_as_one_that_all_can() -> None:
    hosts = hosts_at(CROWD, ("DE", 52.5, 13.4), ("DE", 52.4, 13.1), ("DE", 48.1, 11.6), ("NZ", -36.8, 174.8))
    assert work_out(CROWD, hosts, 0.01).shares == pytest.approx(work_out(CROWD, hosts, 1.0).shares)
    assert work_out(CROWD, hosts, 0.01).limits.sum() == pytest.approx(0.01)


def test_hosts_that_a_country_may_not_have_carry_none_of_it() -> None:
    hosts = hosts_at(CROWD, ("DE", 52.5, 13.4), ("DE", 52.4, 13.1), ("NZ", -36.8, 174.8))
    barred = HostColumns(hosts.open, hosts.vectors, hosts.country, hosts.bandwidth, {0: np.array([0, 1])})
    assert work_out(CROWD, barred, 9).shares == pytest.approx([0, 0, 1.0])
    assert set(work_out(CROWD, barred, 9).by_country) == {"DE", "NZ"}


def test_nobody_anywhere_is_no_error() -> None:
    hosts = hosts_at(CROWD, ("DE", np.nan, np.nan))
    assert work_out(CROWD, hosts, 5).factors.tolist() == [1.0]
    assert work_out(CROWD, hosts, 5).by_country == {}


def test_a_sample_stands_for_all_cities() -> None:
    weights = (("DE", 2.0), ("NZ", 1.0), ("US", 7.0))
    crowd = gazetteer_crowd(weights)
    assert crowd.weight.sum() == pytest.approx(1.0)
    share = {country: crowd.weight[crowd.rows_of(country)].sum() for country, _ in weights}
    assert share == pytest.approx({"DE": 0.2, "NZ": 0.1, "US": 0.7})
    assert crowd.share[crowd.rows_of("FR")].sum() == pytest.approx(1.0), "clients of others still come now and then"
    assert crowd.rows_of("ZZ") == slice(0, 0)
    assert len(crowd.weight) < 12_000
