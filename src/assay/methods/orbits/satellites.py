"""Satellites as data (elements or TLE, sensor, agility, power, storage, links) and their SGP4 propagation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sgp4.api import SGP4_ERRORS, WGS72, Satrec

from assay.methods.orbits.frames import Array, format_time, julian_date, parse_time, teme_to_ecef

MU_KM3_S2 = 398600.8  # WGS72, as SGP4 uses it
_WGS72_RADIUS_KM = 6378.135
_SGP4_EPOCH = datetime(1949, 12, 31, tzinfo=UTC)
STALE_DAYS = 30


@dataclass(frozen=True)
class Elements:
    """Mean elements at an epoch (ISO text with Z): km above the equator's radius, degrees, 1/earth radii."""

    epoch: str
    altitude_km: float
    inclination: float
    raan: float
    argument_of_perigee: float = 0.0
    mean_anomaly: float = 0.0
    eccentricity: float = 0.001
    bstar: float = 1e-5


@dataclass(frozen=True)
class Sensor:
    """Camera: off-nadir limit [deg], slant-range limit [km], swath [km], Sun elevation wanted (None: radar)."""

    max_off_nadir: float = 30.0
    max_range_km: float = 1500.0
    swath_km: float = 20.0
    min_sun_elevation: float | None = 10.0
    min_observation_s: float = 5.0
    max_observation_s: float = 20.0


@dataclass(frozen=True)
class Agility:
    """Attitude: top rate [deg/s], acceleration [deg/s^2] and settling time [s]."""

    rate: float = 3.0
    acceleration: float = 0.5
    settle_s: float = 5.0


@dataclass(frozen=True)
class Power:
    """Battery [Wh], share at the start, and what drains and charges it [W]."""

    capacity_wh: float = 600.0
    start_share: float = 0.8
    idle_w: float = 120.0
    observation_w: float = 250.0
    downlink_w: float = 150.0
    charge_w: float = 480.0


@dataclass(frozen=True)
class Storage:
    """Memory [MB], what is in it at the start, and the rates [MB/s] at which it fills and empties."""

    capacity_mb: float = 2000.0
    start_mb: float = 0.0
    observation_mb_s: float = 40.0
    downlink_mb_s: float = 15.0


@dataclass(frozen=True)
class Satellite:
    """One satellite: either `elements` or `tle` (two lines), and what it carries."""

    id: str
    elements: Elements | None = None
    tle: tuple[str, str] | None = None
    sensor: Sensor = field(default_factory=Sensor)
    agility: Agility = field(default_factory=Agility)
    power: Power = field(default_factory=Power)
    storage: Storage = field(default_factory=Storage)
    terminals: int = 4

    def __post_init__(self) -> None:
        if (self.elements is None) == (self.tle is None):
            raise ValueError(f"satellite {self.id}: wanted either elements or tle")
        if self.tle is not None:
            check_tle(self.id, self.tle)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Satellite:
        """A satellite from plain data; raises ValueError for a key that no satellite has."""
        parts = {"elements": Elements, "sensor": Sensor, "agility": Agility, "power": Power, "storage": Storage}
        words = dict(data)
        try:
            for name, kind in parts.items():
                if words.get(name) is not None:
                    words[name] = kind(**words[name])
            if words.get("tle") is not None:
                words["tle"] = tuple(words["tle"])
            return cls(**words)
        except TypeError as error:
            raise ValueError(f"satellite {data.get('id', '?')}: {error}") from None

    def to_json(self) -> dict[str, Any]:
        """Plain data; the orbit that is not set is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def check_tle(name: str, lines: Sequence[str]) -> None:
    """Raise ValueError unless both lines have the right length, number and checksum."""
    for number, line in enumerate(lines, start=1):
        if len(line) != 69 or not line.startswith(f"{number} "):
            raise ValueError(f"satellite {name}: TLE line {number} wants 69 characters beginning with '{number} '")
        total = sum(int(c) if c.isdigit() else c == "-" for c in line[:68]) % 10
        if str(total) != line[68]:
            raise ValueError(f"satellite {name}: TLE line {number} has checksum {line[68]}, its digits give {total}")


def read_tles(path: Path) -> list[Satellite]:
    """Satellites of a file of two-line or three-line sets; a name line, where there is one, becomes the id."""
    lines = [line.rstrip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    found, name = [], ""
    for i, line in enumerate(lines):
        if line.startswith("1 ") and i + 1 < len(lines) and lines[i + 1].startswith("2 "):
            identity = (name.removeprefix("0 ").strip() or line[2:7].strip()).replace(" ", "_")
            found.append(Satellite(identity, tle=(line, lines[i + 1])))
            name = ""
        elif not line.startswith("2 "):
            name = line
    if not found:
        raise ValueError(f"{path}: no two-line element set found")
    return found


def walker(
    epoch: str, inclination: float, total: int, planes: int, phasing: int, altitude_km: float, raan: float = 0.0
) -> list[Elements]:
    """The Walker delta pattern i:T/P/F as elements, plane by plane."""
    if total % planes:
        raise ValueError(f"planes: got {planes}, wanted a divisor of the {total} satellites")
    each = total // planes
    return [
        Elements(
            epoch=epoch,
            altitude_km=altitude_km,
            inclination=inclination,
            raan=(raan + 360 * p / planes) % 360,
            mean_anomaly=(360 * s / each + 360 * phasing * p / total) % 360,
        )
        for p in range(planes)
        for s in range(each)
    ]


@lru_cache(maxsize=512)
def satrec(satellite: Satellite) -> Satrec:
    """The SGP4 record (WGS72) of a satellite."""
    if satellite.tle is not None:
        return Satrec.twoline2rv(*satellite.tle, WGS72)
    e = satellite.elements
    assert e is not None
    motion = math.sqrt(MU_KM3_S2 / (_WGS72_RADIUS_KM + e.altitude_km) ** 3) * 60  # rad/min
    days = (parse_time(e.epoch) - _SGP4_EPOCH) / timedelta(days=1)
    angles = (e.argument_of_perigee, e.inclination, e.mean_anomaly)
    perigee, inclination, anomaly = (math.radians(a) for a in angles)
    record = Satrec()
    record.sgp4init(
        WGS72,
        "i",
        0,
        days,
        e.bstar,
        0.0,
        0.0,
        e.eccentricity,
        perigee,
        inclination,
        anomaly,
        motion,
        math.radians(e.raan),
    )
    return record


def propagate(satellite: Satellite, start: datetime, seconds: ArrayLike) -> tuple[Array, Array]:
    """TEME position [km] and velocity [km/s], each (n, 3), at seconds (n,) after `start`.

    Raises ValueError that names the satellite and SGP4's error code; warns once where the epoch is more than
    30 days away from `start`.
    """
    record = satrec(satellite)
    t = np.atleast_1d(np.asarray(seconds, float))
    jd = julian_date(start)
    _warn_if_stale(satellite, start)
    day = math.floor(jd)
    codes, r, v = record.sgp4_array(np.full(t.shape, float(day)), (jd - day) + t / 86400)
    if np.any(codes):
        code = int(codes[np.flatnonzero(codes)[0]])
        raise ValueError(f"satellite {satellite.id}: SGP4 error {code}: {SGP4_ERRORS[code]}")
    return r, v


def positions_ecef(satellite: Satellite, start: datetime, seconds: ArrayLike) -> Array:
    """Earth-fixed positions (n, 3) in km."""
    t = np.atleast_1d(np.asarray(seconds, float))
    return teme_to_ecef(propagate(satellite, start, t)[0], julian_date(start) + t / 86400)


@lru_cache(maxsize=512)
def _warn_if_stale(satellite: Satellite, start: datetime) -> None:
    record = satrec(satellite)
    days = abs(record.jdsatepoch + record.jdsatepochF - julian_date(start))
    if days > STALE_DAYS:
        warnings.warn(
            f"satellite {satellite.id}: epoch is {days:.0f} days from {format_time(start, 0)}; "
            "SGP4 drifts by kilometres a day",
            stacklevel=3,
        )
