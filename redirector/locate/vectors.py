"""Places as unit vectors, between which angles are cheap to work out for many at once."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from redirector.model import Place


def vector_of(place: Place) -> NDArray[np.float64]:
    """The unit vector of a place: the cosine of the angle between two places is the product of theirs."""
    latitude, longitude = math.radians(place.latitude), math.radians(place.longitude)
    across = math.cos(latitude)
    return np.array([across * math.cos(longitude), across * math.sin(longitude), math.sin(latitude)])


def vectors_of(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors of places, in degrees north and east, one row each."""
    north, east = np.radians(latitude), np.radians(longitude)
    across = np.cos(north)
    return np.stack([across * np.cos(east), across * np.sin(east), np.sin(north)], axis=1)
