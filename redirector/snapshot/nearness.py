"""Nearness as a weight: how much more a client would rather have one host than another, for where both are.

A host at *d* km weighs `home · bandwidth · (50 + d)^-4`: inside a city bandwidth decides, and twice as far is a
sixteenth as likely. Hosts that are much farther than the nearest one have no weight at all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from redirector.locate.places import EARTH_RADIUS_KM

Floats = NDArray[np.float64]

CITY_KM = 50.0
"""About the radius of a large city: how far apart two hosts are makes hardly a difference inside it."""

HOME = 4.0
"""How much more a host of the client's own country weighs: lines cross borders at few points."""

REACH = 1.65
REACH_KM = 200.0
"""A host farther than so many times the nearest, and so much more, has no weight. Without an end one client in ten
travels twice as far; with a nearer one nobody can relieve the only host of a large city."""


def weigh(km: Floats, home: NDArray[np.bool_] | NDArray[np.intp], bandwidth: Floats) -> Floats:
    """What hosts weigh at these distances, wherever the nearest is; nan for a host without a place.

    home  which of them are in the client's country, as a mask or as positions
    """
    weight: Floats = bandwidth / np.square(np.square(CITY_KM + km))  # `** 4` takes ten times as long
    weight[home] *= HOME
    return weight


def reach_of(nearest_km: float) -> float:
    """How far a host may be to be drawn among those that are near, in km."""
    return REACH * nearest_km + REACH_KM


def reach_cosines(nearest: Floats) -> Floats:
    """The same between unit vectors: the least cosine to a host that may be drawn, given that to the nearest one."""
    km = EARTH_RADIUS_KM * np.arccos(np.clip(nearest, -1.0, 1.0))
    return np.cos(np.minimum((REACH * km + REACH_KM) / EARTH_RADIUS_KM, np.pi))
