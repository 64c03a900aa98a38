"""Time scales and frames: UTC timestamps, sidereal time, TEME to Earth-fixed, WGS84, the Sun, the sphere.

UT1 is taken as UTC and polar motion is left out; both together move a site by less than 50 m.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

EARTH_RADIUS_KM = 6378.137  # WGS84 equator
MEAN_RADIUS_KM = 6371.0088
FLATTENING = 1 / 298.257223563
LIGHT_KM_PER_S = 299_792.458
J2000 = 2451545.0
_UNIX_EPOCH_JD = 2440587.5


def parse_time(text: str) -> datetime:
    """ISO 8601 with an offset, as UTC. Raises ValueError for text without one."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError(f"timestamp: got {text!r}, wanted ISO 8601 such as 2026-01-13T00:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"timestamp {text!r}: timestamps need Z or an offset")
    return moment.astimezone(UTC)


def format_time(start: datetime, seconds: float) -> str:
    """The moment `seconds` after `start`, to the millisecond where there is a fraction, ending in Z."""
    moment = start + timedelta(milliseconds=round(seconds * 1000))
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def seconds_after(start: datetime, text: str) -> float:
    """Seconds from `start` to a timestamp."""
    return (parse_time(text) - start).total_seconds()


def julian_date(start: datetime) -> float:
    """Julian date (UTC) of a moment."""
    return start.timestamp() / 86400 + _UNIX_EPOCH_JD


def gmst(jd: ArrayLike) -> Array:
    """Greenwich mean sidereal time in radians, IAU 1982, of Julian dates (UT1)."""
    t = (np.asarray(jd, float) - J2000) / 36525
    seconds = 67310.54841 + (876600 * 3600 + 8640184.812866) * t + 0.093104 * t**2 - 6.2e-6 * t**3
    return np.asarray(np.deg2rad(seconds / 240) % (2 * np.pi))


def teme_to_ecef(vectors: ArrayLike, jd: ArrayLike) -> Array:
    """Rotate TEME vectors (..., 3) into the Earth-fixed frame at Julian dates (...)."""
    v, theta = np.asarray(vectors, float), gmst(jd)
    c, s = np.cos(theta), np.sin(theta)
    return np.stack([c * v[..., 0] + s * v[..., 1], -s * v[..., 0] + c * v[..., 1], v[..., 2]], axis=-1)


def ecef_to_teme(vectors: ArrayLike, jd: ArrayLike) -> Array:
    """The inverse of `teme_to_ecef`."""
    v, theta = np.asarray(vectors, float), gmst(jd)
    c, s = np.cos(theta), np.sin(theta)
    return np.stack([c * v[..., 0] - s * v[..., 1], s * v[..., 0] + c * v[..., 1], v[..., 2]], axis=-1)


def geodetic_to_ecef(lat: ArrayLike, lon: ArrayLike, alt_km: ArrayLike = 0.0) -> Array:
    """WGS84 latitude, longitude [deg] and height [km] to (..., 3) km. Raises ValueError for |lat| > 90."""
    lat, lon, alt = np.broadcast_arrays(*(np.asarray(x, float) for x in (lat, lon, alt_km)))
    if np.any(np.abs(lat) > 90):
        raise ValueError(f"latitude: got {lat[np.abs(lat) > 90].flat[0]}, wanted -90 to 90")
    e2 = FLATTENING * (2 - FLATTENING)
    phi, lam = np.deg2rad(lat), np.deg2rad(lon)
    n = EARTH_RADIUS_KM / np.sqrt(1 - e2 * np.sin(phi) ** 2)
    across = (n + alt) * np.cos(phi)
    return np.stack([across * np.cos(lam), across * np.sin(lam), (n * (1 - e2) + alt) * np.sin(phi)], axis=-1)


def ecef_to_geodetic(positions: ArrayLike) -> tuple[Array, Array, Array]:
    """(..., 3) km to latitude, longitude [deg] and height [km]; Bowring's iteration, good to under 1 mm."""
    x, y, z = np.moveaxis(np.asarray(positions, float), -1, 0)
    e2, across = FLATTENING * (2 - FLATTENING), np.hypot(x, y)
    phi = np.arctan2(z, across * (1 - e2))
    for _ in range(5):
        n = EARTH_RADIUS_KM / np.sqrt(1 - e2 * np.sin(phi) ** 2)
        phi = np.arctan2(z + e2 * n * np.sin(phi), across)
    n = EARTH_RADIUS_KM / np.sqrt(1 - e2 * np.sin(phi) ** 2)
    height = across * np.cos(phi) + z * np.sin(phi) - n * (1 - e2 * np.sin(phi) ** 2)
    return np.rad2deg(phi), np.rad2deg(np.arctan2(y, x)), height


def up_vector(lat: ArrayLike, lon: ArrayLike) -> Array:
    """The ellipsoid's outward normal (..., 3) at latitude and longitude [deg], Earth-fixed."""
    phi, lam = np.deg2rad(np.asarray(lat, float)), np.deg2rad(np.asarray(lon, float))
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi) + 0 * lam], axis=-1)


def azimuth_elevation(lat: float, lon: float, alt_km: float, positions: ArrayLike) -> tuple[Array, Array]:
    """Azimuth (from north, clockwise, 0 to 360) and elevation [deg] of Earth-fixed positions (..., 3)."""
    phi, lam = math.radians(lat), math.radians(lon)
    d = np.asarray(positions, float) - geodetic_to_ecef(lat, lon, alt_km)
    east = -math.sin(lam) * d[..., 0] + math.cos(lam) * d[..., 1]
    up = d @ up_vector(lat, lon)
    toward_axis = math.cos(lam) * d[..., 0] + math.sin(lam) * d[..., 1]
    north = -math.sin(phi) * toward_axis + math.cos(phi) * d[..., 2]
    return np.rad2deg(np.arctan2(east, north)) % 360, np.rad2deg(np.arctan2(up, np.hypot(east, north)))


def sun_direction(jd: ArrayLike) -> Array:
    """Unit vector to the Sun (..., 3) in the equator of date; the almanac's low-precision formula, 0.01 deg."""
    n = np.asarray(jd, float) - J2000
    g = np.deg2rad(357.528 + 0.9856003 * n)
    lam = np.deg2rad(280.460 + 0.9856474 * n + 1.915 * np.sin(g) + 0.020 * np.sin(2 * g))
    eps = np.deg2rad(23.439 - 4e-7 * n)
    return np.stack([np.cos(lam), np.cos(eps) * np.sin(lam), np.sin(eps) * np.sin(lam)], axis=-1)


def in_shadow(positions: ArrayLike, sun: ArrayLike) -> NDArray[np.bool_]:
    """Whether positions (..., 3) lie in the Earth's cylindrical shadow for unit vectors to the Sun (..., 3)."""
    r, s = np.asarray(positions, float), np.asarray(sun, float)
    along = np.sum(r * s, axis=-1)
    aside = np.linalg.norm(r - along[..., None] * s, axis=-1)
    return (along < 0) & (aside < EARTH_RADIUS_KM)


def haversine(lat1: ArrayLike, lon1: ArrayLike, lat2: ArrayLike, lon2: ArrayLike) -> Array:
    """Great-circle distance in km on the mean sphere, degrees in."""
    p1, l1, p2, l2 = (np.deg2rad(np.asarray(x, float)) for x in (lat1, lon1, lat2, lon2))
    h = np.sin((p2 - p1) / 2) ** 2 + np.cos(p1) * np.cos(p2) * np.sin((l2 - l1) / 2) ** 2
    return np.asarray(2 * MEAN_RADIUS_KM * np.arcsin(np.sqrt(np.clip(h, 0, 1))))


def distance_to_path(lat: ArrayLike, lon: ArrayLike, path: ArrayLike) -> Array:
    """Great-circle distance [km] of points (n,) to the nearest point of a polyline (m, 2) of lat, lon [deg].

    The foot of each segment is found in a plane that touches the Earth at the point: exact enough (under
    10 m) for distances of a swath's size.
    """
    lat, lon, path = (np.asarray(x, float) for x in (lat, lon, path))
    if len(path) == 1:
        return haversine(lat, lon, path[0, 0], path[0, 1])
    scale = np.cos(np.deg2rad(lat))[:, None]
    dy = path[None, :, 0] - lat[:, None]
    dx = ((path[None, :, 1] - lon[:, None] + 180) % 360 - 180) * scale
    ax, ay, bx, by = dx[:, :-1], dy[:, :-1], dx[:, 1:], dy[:, 1:]
    length2 = (bx - ax) ** 2 + (by - ay) ** 2
    t = np.clip(-(ax * (bx - ax) + ay * (by - ay)) / np.where(length2 > 0, length2, 1), 0, 1)
    foot_lat = lat[:, None] + ay + t * (by - ay)
    foot_lon = lon[:, None] + (ax + t * (bx - ax)) / scale
    return np.asarray(haversine(lat[:, None], lon[:, None], foot_lat, foot_lon).min(axis=1))
