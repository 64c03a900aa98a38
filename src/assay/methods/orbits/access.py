"""When one thing sees another: access windows of targets and stations, sunlight, links between satellites.

Windows are found on a 30 s grid and their ends refined by bisection to under 1 s, then drawn in to whole
seconds, so a window given here is access throughout. A window that falls between two grid points is missed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.methods.orbits.frames import (
    EARTH_RADIUS_KM,
    Array,
    geodetic_to_ecef,
    in_shadow,
    julian_date,
    sun_direction,
    teme_to_ecef,
    up_vector,
)
from assay.methods.orbits.satellites import Satellite, positions_ecef, propagate

GRID_S = 30.0
Mask = NDArray[np.bool_]
Window = tuple[int, int]  # whole seconds after the horizon's start, start < end


@dataclass(frozen=True)
class Site:
    """A place on the ground; `mask` is the least elevation [deg] at which a station works."""

    id: str
    lat: float
    lon: float
    alt_km: float = 0.0
    mask: float = 10.0

    def __post_init__(self) -> None:
        if not -90 <= self.lat <= 90:
            raise ValueError(f"{self.id}: latitude: got {self.lat}, wanted -90 to 90")
        if not -360 <= self.lon <= 360:
            raise ValueError(f"{self.id}: longitude: got {self.lon}, wanted -180 to 180")


def target_windows(
    satellite: Satellite, sites: Sequence[Site], start: datetime, horizon_s: float
) -> list[list[Window]]:
    """For each site, when the satellite's camera can see it: off-nadir, slant range, above the horizon, sunlit."""
    return _windows(lambda t, which: sees_target(satellite, sites, start, t, which), len(sites), horizon_s)


def station_windows(
    satellite: Satellite, sites: Sequence[Site], start: datetime, horizon_s: float
) -> list[list[Window]]:
    """For each station, when the satellite stands above its elevation mask."""
    return _windows(lambda t, which: sees_station(satellite, sites, start, t, which), len(sites), horizon_s)


def sunlit_windows(satellite: Satellite, start: datetime, horizon_s: float) -> list[Window]:
    """When the satellite is outside the Earth's shadow."""
    return _windows(lambda t, which: in_sunlight(satellite, start, t), 1, horizon_s)[0]


def sees_target(
    satellite: Satellite, sites: Sequence[Site], start: datetime, seconds: ArrayLike, which: NDArray[np.intp] | None
) -> Mask:
    """(len(sites), n) for seconds (n,); with `which` (n,) each moment is paired with one site instead: (n,)."""
    t = np.atleast_1d(np.asarray(seconds, float))
    r = positions_ecef(satellite, start, t)
    place, up = _places(sites)
    radius, along, height = np.linalg.norm(r, axis=1), _dots(place, r, which), _dots(up, r, which)
    ground = np.linalg.norm(place, axis=1)
    level = np.sum(up * place, axis=1)
    if which is None:
        ground, level = ground[:, None], level[:, None]
    else:
        ground, level = ground[which], level[which]
    distance = np.sqrt(radius**2 + ground**2 - 2 * along)
    seen = radius**2 - along >= np.cos(np.deg2rad(satellite.sensor.max_off_nadir)) * radius * distance
    seen &= distance <= satellite.sensor.max_range_km
    seen &= height > level
    if satellite.sensor.min_sun_elevation is not None:
        jd = julian_date(start) + t / 86400
        sun = teme_to_ecef(sun_direction(jd), jd)
        seen &= _dots(up, sun, which) >= np.sin(np.deg2rad(satellite.sensor.min_sun_elevation))
    return np.asarray(seen)


def sees_station(
    satellite: Satellite, sites: Sequence[Site], start: datetime, seconds: ArrayLike, which: NDArray[np.intp] | None
) -> Mask:
    """Like `sees_target`, for stations: elevation at or above the mask."""
    r = positions_ecef(satellite, start, seconds)
    place, up = _places(sites)
    limit = np.sin(np.deg2rad([site.mask for site in sites]))
    if which is None:
        to_satellite = r[None] - place[:, None]
        up, limit = up[:, None], limit[:, None]
    else:
        to_satellite = r - place[which]
        up, limit = up[which], limit[which]
    sine = np.sum(to_satellite * up, axis=-1) / np.linalg.norm(to_satellite, axis=-1)
    return np.asarray(sine >= limit)


def in_sunlight(satellite: Satellite, start: datetime, seconds: ArrayLike) -> Mask:
    """(n,) whether the satellite is outside the Earth's shadow."""
    t = np.atleast_1d(np.asarray(seconds, float))
    return ~in_shadow(propagate(satellite, start, t)[0], sun_direction(julian_date(start) + t / 86400))


def line_of_sight(first: ArrayLike, second: ArrayLike, clearance_km: float = 80.0) -> Mask:
    """Whether straight lines between positions (..., 3) pass the Earth at `clearance_km` or more."""
    a, b = np.asarray(first, float), np.asarray(second, float)
    d = b - a
    t = np.clip(-np.sum(a * d, axis=-1) / np.maximum(np.sum(d * d, axis=-1), 1e-12), 0, 1)
    return np.asarray(np.linalg.norm(a + t[..., None] * d, axis=-1) >= EARTH_RADIUS_KM + clearance_km)


def union(windows: Sequence[Window]) -> list[Window]:
    """Windows merged where they touch or overlap, in order."""
    merged: list[Window] = []
    for begin, end in sorted(windows):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _places(sites: Sequence[Site]) -> tuple[Array, Array]:
    lat, lon, alt = np.array([(s.lat, s.lon, s.alt_km) for s in sites], float).reshape(-1, 3).T
    return geodetic_to_ecef(lat, lon, alt), up_vector(lat, lon)


def _dots(vectors: Array, moments: Array, which: NDArray[np.intp] | None) -> Array:
    """Dot products of (k, 3) with (n, 3): all of them (k, n), or with `which` (n,) the paired ones (n,)."""
    if which is None:
        return np.asarray(vectors @ moments.T)
    return np.asarray(np.sum(vectors[which] * moments, axis=1))


def _windows(
    condition: Callable[[Array, NDArray[np.intp] | None], Mask], rows: int, horizon_s: float
) -> list[list[Window]]:
    """True runs of `condition` for each row; all edges are bisected together."""
    grid = np.append(np.arange(0, horizon_s, GRID_S), float(horizon_s))
    seen = np.atleast_2d(condition(grid, None)) if rows else np.zeros((0, len(grid)), bool)
    row, edge = np.nonzero(seen[:, 1:] != seen[:, :-1])
    low, high, rising = grid[edge], grid[edge + 1], seen[row, edge + 1]
    for _ in range(5 if len(row) else 0):  # 30 s / 2**5 < 1 s
        middle = (low + high) / 2
        same_as_high = condition(middle, row) == rising
        low, high = np.where(same_as_high, low, middle), np.where(same_as_high, middle, high)
    found: list[list[Window]] = []
    for k in range(rows):
        of_row = row == k
        begins = [*([0.0] if seen[k, 0] else []), *high[of_row & rising]]
        ends = [*low[of_row & ~rising], *([float(horizon_s)] if seen[k, -1] else [])]
        whole = [(int(np.ceil(b)), int(np.floor(e))) for b, e in zip(begins, ends)]
        found.append([(b, e) for b, e in whole if e > b])
    return found
