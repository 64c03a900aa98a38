"""Five kinds of planning case from a seed: satellites, stations, and demand set against what orbits allow.

Targets lie in clusters on land, as cities and disasters do; demand is added until the observation time asked for
is `load_factor` times the time in which the satellites can see anything that is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assay.methods.orbits.access import Site, target_windows, union
from assay.methods.orbits.frames import format_time, haversine, parse_time
from assay.methods.orbits.satellites import Satellite, walker
from assay.worlds.orbits.deep_space import deep_space
from assay.worlds.orbits.land import land_points, on_land

FAMILIES = ("satnet", "revisit", "regional", "stereo", "latency")
START = "2026-01-13T00:00:00Z"
GROUND_SPEED_KM_S = 7.0
STATIONS = (
    Site("svalbard", 78.23, 15.39),
    Site("inuvik", 68.32, -133.55),
    Site("punta_arenas", -52.94, -70.85),
    Site("hartebeesthoek", -25.89, 27.69),
    Site("alice_springs", -23.76, 133.88),
    Site("hawaii", 19.01, -155.66),
)
CLUSTERS, CLUSTER_KM = 5, 150.0
LEAST_TARGETS, MOST_TARGETS = 20, 200
REGIONS = 2
LINK_TARGETS = 12


def world(
    families: Sequence[str] = FAMILIES, load_factor: float = 1.6, satellites: int = 8, hours: float = 24.0
) -> Orbits:
    """Cases of several families over one seed's satellites."""
    return Orbits(tuple(families), load_factor, satellites, hours)


@dataclass(frozen=True)
class Orbits:
    """`sample(seed)` gives one case of every family, as plain JSON data."""

    families: tuple[str, ...] = FAMILIES
    load_factor: float = 1.6
    satellites: int = 8
    hours: float = 24.0

    def sample(self, seed: int) -> dict[str, dict[str, Any]]:
        """Family -> case."""
        return {f: generate(f, seed, self.load_factor, self.satellites, self.hours) for f in self.families}

    def check(self, case: dict[str, Any]) -> bool:
        """Whether a case reaches the load factor and is again the same from its seed."""
        return case == generate(case["family"], case["seed"], self.load_factor, self.satellites, self.hours)


def generate(
    family: str,
    seed: int,
    load_factor: float = 1.6,
    satellites: int = 8,
    hours: float | None = None,
    fleet: Sequence[Satellite] | None = None,
    targets: Sequence[dict[str, Any]] | None = None,
    start: str = START,
) -> dict[str, Any]:
    """One case as plain data, the same for the same arguments.

    hours: default 24, for satnet a week. fleet: satellites of the user's own (from TLEs) in place of the Walker
    pattern. targets: the user's own, as dicts with id, lat, lon and weight; demand is then theirs, not the
    load factor's. Raises ValueError for an argument out of range.
    """
    _check(family, seed, load_factor, satellites, hours)
    if targets is not None and family not in ("revisit", "stereo"):
        raise ValueError(f"targets: a {family} case has no list of targets; wanted revisit or stereo")
    hours = hours if hours is not None else (168.0 if family == "satnet" else 24.0)
    rng = np.random.default_rng([seed, FAMILIES.index(family)])
    moment = parse_time(start)
    case: dict[str, Any] = {"family": family, "seed": seed, "start": format_time(moment, 0), "horizon_h": hours}
    case["strict_storage"] = True
    if family == "satnet":
        return case | deep_space(rng, moment, hours, load_factor)
    fleet = list(fleet) if fleet is not None else _fleet(family, rng, satellites, start)
    case["satellites"] = [s.to_json() for s in fleet]
    case["stations"] = [asdict(s) for s in STATIONS]
    if targets is not None:
        case["targets"] = [{**dict(target), **_wish(family, rng)} for target in targets]
    elif family in ("revisit", "stereo"):
        case["targets"] = _targets(family, rng, fleet, case, load_factor)
    elif family == "regional":
        case["regions"] = _regions(rng, fleet, case, load_factor)
    else:
        case["links"] = _links(rng, case)
        centres = land_points(rng, CLUSTERS)
        case["targets"] = [_target(family, rng, i, centres) for i in range(LINK_TARGETS)]
    return case


def _fleet(family: str, rng: np.random.Generator, count: int, start: str) -> list[Satellite]:
    """A Walker pattern: sun-synchronous for cameras; for links a higher shell, ten in a plane, in sight of the next."""
    if family == "latency":
        pattern = walker(start, 51.6, 40, 4, 1, 650.0, float(rng.uniform(0, 360)))
    else:
        planes = 4 if count % 4 == 0 else 1
        pattern = walker(start, 97.6, count, planes, 1, float(rng.uniform(500, 600)), float(rng.uniform(0, 360)))
    return [Satellite(f"sat-{i + 1:02d}", elements=e) for i, e in enumerate(pattern)]


def _targets(
    family: str, rng: np.random.Generator, fleet: Sequence[Satellite], case: dict[str, Any], load_factor: float
) -> list[dict[str, Any]]:
    """Targets round the clusters, one after the other, until demand reaches the load factor."""
    centres = land_points(rng, CLUSTERS)
    seen = np.zeros((len(fleet), round(case["horizon_h"] * 3600) + 1), bool)
    wanted: list[dict[str, Any]] = []
    demand = 0.0
    while len(wanted) < MOST_TARGETS:
        batch = [_target(family, rng, len(wanted) + i, centres) for i in range(LEAST_TARGETS)]
        for target, available in zip(batch, _available_s(fleet, batch, case, seen)):
            wanted.append(target)
            demand += target["duration_s"] * _looks(target)
            if demand >= load_factor * available and len(wanted) >= LEAST_TARGETS:
                return wanted
    return wanted


def _target(
    family: str, rng: np.random.Generator, index: int, centres: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    """The next target: the clusters take turns."""
    lat, lon = _near(rng, *centres[index % len(centres)])
    place = {"id": f"t{index + 1:03d}", "lat": lat, "lon": lon, "weight": int(rng.integers(1, 4))}
    return place | _wish(family, rng)


def _wish(family: str, rng: np.random.Generator) -> dict[str, Any]:
    """What is asked of a target: its kind, the length of an observation, and for mapping how many."""
    mapping = rng.random() < 0.5
    kinds = {"stereo": "stereo", "latency": "mapping"}
    kind = kinds.get(family, "mapping" if mapping else "monitoring")
    quota = int(rng.integers(1, 4))
    return {"kind": kind, "duration_s": int(rng.integers(5, 21)), "quota": quota if kind == "mapping" else 1}


def _looks(target: dict[str, Any]) -> int:
    """Observations a target asks for in a day: a pair for stereo, two for small gaps, the quota for mapping."""
    return int(target["quota"]) if target["kind"] == "mapping" else 2


def _near(rng: np.random.Generator, lat: float, lon: float) -> tuple[float, float]:
    """A point on land within a cluster's radius, to a hundredth of a degree."""
    while True:
        north, east = rng.uniform(-CLUSTER_KM, CLUSTER_KM, 2) / 111.2
        point = round(lat + north, 2), round(lon + east / np.cos(np.deg2rad(lat)), 2)
        if haversine(lat, lon, *point) <= CLUSTER_KM and on_land(*point):
            return float(point[0]), float(point[1])


def _available_s(
    fleet: Sequence[Satellite], batch: Sequence[dict[str, Any]], case: dict[str, Any], seen: np.ndarray
) -> np.ndarray:
    """(len(batch),) satellite seconds in which any target so far can be seen; marks them in `seen`."""
    start, horizon = parse_time(case["start"]), case["horizon_h"] * 3600
    sites = [Site(t["id"], t["lat"], t["lon"]) for t in batch]
    total = np.zeros(len(batch))
    for row, satellite in zip(seen, fleet):
        so_far = int(row.sum())
        for k, windows in enumerate(target_windows(satellite, sites, start, horizon)):
            for begin, end in windows:
                so_far += int(np.count_nonzero(~row[begin:end]))
                row[begin:end] = True
            total[k] += so_far
    return total


def _regions(
    rng: np.random.Generator, fleet: Sequence[Satellite], case: dict[str, Any], load_factor: float
) -> list[dict[str, Any]]:
    """Quadrilaterals on land, grown together until one pass over their area asks for the load factor."""
    centres = land_points(rng, REGIONS)
    lean = rng.uniform(-0.25, 0.25, (REGIONS, 4, 2))
    start, horizon = parse_time(case["start"]), case["horizon_h"] * 3600
    swath = fleet[0].sensor.swath_km
    for side in np.arange(1.0, 8.01, 0.5):
        polygons = [_quadrilateral(*centre, side, lean[i]) for i, centre in enumerate(centres)]
        area = sum(_area_km2(polygon) for polygon in polygons)
        sites = [
            Site(f"{i}-{j}", *p) for i, polygon in enumerate(polygons) for j, p in enumerate([*polygon, centres[i]])
        ]
        spans = [union([w for row in target_windows(s, sites, start, horizon) for w in row]) for s in fleet]
        available = sum(b - a for windows in spans for a, b in windows)
        if area / (swath * GROUND_SPEED_KM_S) >= load_factor * available:
            break
    return [{"id": f"region-{i + 1}", "polygon": [list(c) for c in polygon]} for i, polygon in enumerate(polygons)]


def _quadrilateral(lat: float, lon: float, side: float, lean: np.ndarray) -> list[tuple[float, float]]:
    """Four corners round a centre, `side` degrees apart, each moved by a share of the side."""
    corners = np.array([(-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5)]) + lean
    stretch = np.array([side, side / np.cos(np.deg2rad(lat))])
    return [(round(float(y), 2), round(float(x), 2)) for y, x in np.array([lat, lon]) + corners * stretch]


def _area_km2(polygon: Sequence[tuple[float, float]]) -> float:
    corners = np.array(polygon)
    x = corners[:, 1] * np.cos(np.deg2rad(corners[:, 0].mean())) * 111.2
    y = corners[:, 0] * 111.2
    return float(abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2)


def _links(rng: np.random.Generator, case: dict[str, Any]) -> list[dict[str, Any]]:
    """Three pairs of mid-latitude stations, each connected for half an hour."""
    pairs = [("punta_arenas", "hartebeesthoek"), ("hartebeesthoek", "alice_springs"), ("alice_springs", "hawaii")]
    start, links = parse_time(case["start"]), []
    for i, (source, sink) in enumerate(pairs):
        begin = int(rng.integers(0, round(case["horizon_h"] * 60) - 30)) * 60
        span = {"start": format_time(start, begin), "end": format_time(start, begin + 1800)}
        links.append({"id": f"link-{i + 1}", "source": source, "sink": sink, **span})
    return links


def _check(family: str, seed: int, load_factor: float, satellites: int, hours: float | None) -> None:
    if family not in FAMILIES:
        raise ValueError(f"family: got {family!r}, wanted one of {', '.join(FAMILIES)}")
    if seed < 0:
        raise ValueError(f"seed: got {seed}, wanted 0 or more")
    if not 0 < load_factor <= 10:
        raise ValueError(f"load_factor: got {load_factor}, wanted more than 0 and at most 10")
    if not 4 <= satellites <= 24:
        raise ValueError(f"satellites: got {satellites}, wanted 4 to 24")
    if hours is not None and not 1 <= hours <= 336:
        raise ValueError(f"hours: got {hours}, wanted 1 to 336")
