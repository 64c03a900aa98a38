"""What observations are worth: revisit gaps, quotas, stereo pairs, covered polygons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from assay.methods.evaluation._astro_case import Action, Case, Region, Target
from assay.methods.evaluation._astro_flight import Flight, merged
from assay.methods.orbits.frames import Array, distance_to_path

GRID_DEG = 0.1
STEREO_SPAN_S = 2 * 3600
STEREO_ELEVATION = 30.0
STEREO_AZIMUTH = (15.0, 60.0)
Look = tuple[float, float, float]  # second, azimuth, elevation


def revisit_gaps(observations: Iterable[Action], horizon_s: float) -> list[float]:
    """Gaps [s] between merged observation intervals and both ends of the horizon; none seen: the whole horizon.

    Intervals outside the horizon are not clipped, and a gap of zero is no gap (so the authors' verifier).
    """
    spans = merged(observations)
    if not spans:
        return [horizon_s]
    edges = [0.0, *(edge for span in spans for edge in span), horizon_s]
    gaps = [b - a for a, b in zip(edges[::2], edges[1::2])]
    return [gap for gap in gaps if gap > 0]


def monitoring_value(gaps: Sequence[float], horizon_s: float) -> float:
    """1 - longest gap / horizon, at least 0."""
    return 1 - min(max(gaps, default=0.0) / horizon_s, 1.0)


def mapping_value(observations: Sequence[Action], target: Target) -> float:
    """Observations made per observation asked for, at most 1; overlapping ones count each."""
    return min(len(observations) / target.quota, 1.0)


def is_stereo(first: Look, second: Look) -> bool:
    """Whether two looks at a target make a stereo pair: near in time, high enough, 15 to 60 deg apart in azimuth."""
    apart = abs(first[1] - second[1]) % 360
    apart = min(apart, 360 - apart)
    return (
        abs(first[0] - second[0]) <= STEREO_SPAN_S
        and min(first[2], second[2]) > STEREO_ELEVATION
        and STEREO_AZIMUTH[0] <= apart <= STEREO_AZIMUTH[1]
    )


def look(flight: Flight, action: Action) -> Look:
    """When and from where an observation sees its target, taken at its middle."""
    middle = (action.start + action.end) / 2
    return (middle, *flight.view_from(action.to, action.by, middle))


def stereo_value(looks: Sequence[Look]) -> float:
    """1 if any two looks make a pair."""
    return float(any(is_stereo(a, b) for a, b in combinations(looks, 2)))


def grid_points(region: Region) -> Array:
    """Points (n, 2) of the 0.1 deg grid inside a polygon of (lat, lon) corners."""
    corners = np.asarray(region.polygon, float)
    low = np.ceil(corners.min(axis=0) / GRID_DEG - 1e-9)
    high = np.floor(corners.max(axis=0) / GRID_DEG + 1e-9)
    lat, lon = np.meshgrid(*(np.arange(a, b + 1) * GRID_DEG for a, b in zip(low, high)), indexing="ij")
    points = np.stack([lat.ravel(), lon.ravel()], axis=1)
    return points[_inside(points, corners)]


def strip_cover(flight: Flight, action: Action, points: Array) -> np.ndarray:
    """Which points (n, 2) lie within half a swath of the strip."""
    path = flight.strip_path(action.by, action.start, action.end, action.roll or 0.0)
    covered = np.zeros(len(points), bool)
    if np.isnan(path).any() or not len(points):
        return covered
    half = flight.satellites[action.by].sensor.swath_km / 2
    margin = half / 100  # degrees of latitude, generous
    near = (points[:, 0] >= path[:, 0].min() - margin) & (points[:, 0] <= path[:, 0].max() + margin)
    if near.any():
        covered[near] = distance_to_path(points[near, 0], points[near, 1], path) <= half
    return covered


def observation_metrics(case: Case, plan: Sequence[Action]) -> dict[str, float]:
    """Gap metrics [h] of the monitoring targets and the fulfilled share of the mapping targets."""
    seen: dict[str, list[Action]] = {t.id: [] for t in case.targets}
    for action in plan:
        if action.kind == "observation":
            seen[action.to].append(action)
    watched = [revisit_gaps(seen[t.id], case.horizon_s) for t in case.targets if t.kind == "monitoring"]
    mapped = [mapping_value(seen[t.id], t) for t in case.targets if t.kind == "mapping"]
    metrics = {"observations": float(sum(map(len, seen.values())))}
    if watched:
        longest = [max(gaps, default=0.0) / 3600 for gaps in watched]
        metrics["mean_max_gap_h"] = float(np.mean(longest))
        metrics["max_gap_h"] = max(longest)
        metrics["mean_gap_h"] = float(np.mean([np.mean(gaps) if gaps else 0.0 for gaps in watched])) / 3600
        metrics["monitoring"] = 1 - min(float(np.mean(longest)) / (case.horizon_s / 3600), 1.0)
    if mapped:
        metrics["mapping"] = float(np.mean(mapped))
    return metrics


def revisit_score(case: Case, metrics: dict[str, float]) -> float:
    """Every target weighs the same: the two shares, each by its number of targets."""
    counts = {kind: sum(t.kind == kind for t in case.targets) for kind in ("monitoring", "mapping")}
    total = sum(counts.values())
    return sum(counts[kind] * metrics.get(kind, 0.0) for kind in counts) / total if total else 0.0


def stereo_metrics(case: Case, plan: Sequence[Action], flight: Flight) -> dict[str, float]:
    """Share of the stereo targets that have a pair, plain and by weight."""
    looks: dict[str, list[Look]] = {t.id: [] for t in case.targets if t.kind == "stereo"}
    for action in plan:
        if action.kind == "observation" and action.to in looks:
            looks[action.to].append(look(flight, action))
    got = {name: stereo_value(seen) for name, seen in looks.items()}
    weight = {t.id: t.weight for t in case.targets if t.kind == "stereo"}
    total = sum(weight.values())
    return {
        "stereo_targets": sum(got.values()),
        "coverage": float(np.mean(list(got.values()))) if got else 0.0,
        "weighted_coverage": sum(weight[k] * got[k] for k in got) / total if total else 0.0,
    }


def regional_metrics(case: Case, plan: Sequence[Action], flight: Flight) -> dict[str, float]:
    """Share of grid points under some strip, over all regions and for each."""
    strips = [a for a in plan if a.kind == "strip"]
    metrics, covered, total = {}, 0, 0
    for region in case.regions:
        points = grid_points(region)
        under = np.zeros(len(points), bool)
        for strip in strips:
            under |= strip_cover(flight, strip, points)
        metrics[f"coverage_{region.id}"] = float(under.mean()) if len(points) else 0.0
        covered, total = covered + int(under.sum()), total + len(points)
    return {"coverage": covered / total if total else 0.0, **metrics, "strips": float(len(strips))}


def _inside(points: Array, corners: Array) -> np.ndarray:
    """Even-odd rule; points on an edge may fall either way."""
    y, x = points[:, 0], points[:, 1]
    inside = np.zeros(len(points), bool)
    for (y1, x1), (y2, x2) in zip(corners, np.roll(corners, -1, axis=0)):
        if y1 == y2:
            continue
        crosses = (y1 > y) != (y2 > y)
        inside ^= crosses & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside
