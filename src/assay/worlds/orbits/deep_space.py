"""Deep-space weeks: three complexes, twelve antennas, missions that drift slowly over the sky, and their requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from assay.methods.orbits.access import Window
from assay.methods.orbits.frames import format_time, gmst, julian_date

# complex -> latitude, longitude and its antennas (one of 70 m, three of 34 m)
COMPLEXES: dict[str, tuple[float, float, tuple[str, ...]]] = {
    "goldstone": (35.43, -116.89, ("DSS-14", "DSS-24", "DSS-25", "DSS-26")),
    "canberra": (-35.40, 148.98, ("DSS-43", "DSS-34", "DSS-35", "DSS-36")),
    "madrid": (40.43, -4.25, ("DSS-63", "DSS-53", "DSS-54", "DSS-55")),
}
WEEK_H = 168
MASK_DEG = 10.0
SETUP_S, TEARDOWN_S = 3600, 900
HOURS = (2.0, 10.0)  # a mean of 6 h and 1.25 h around it: 80 requests fill a complex-week less its maintenance
ARRAY_SHARE = 0.10
STEP_S = 60


def deep_space(
    rng: np.random.Generator, start: datetime, horizon_h: float, load_factor: float, missions: int = 20
) -> dict[str, Any]:
    """Antennas and requests as plain data; requests are added until their antenna hours reach the load factor."""
    horizon_s = round(horizon_h * 3600)
    antennas = _antennas(rng, start, horizon_s)
    capacity = sum(_available(a, horizon_s) for a in antennas)
    sky = [(rng.uniform(0, 360), rng.uniform(-25, 25), rng.normal(0, 0.5)) for _ in range(missions)]
    views = [{name: _view_periods(start, horizon_s, place[:2], *ra) for name, place in COMPLEXES.items()} for ra in sky]
    requests: list[dict[str, Any]] = []
    demand = 0.0
    while demand < load_factor * capacity:
        mission = int(rng.integers(missions))
        request, antenna_s = _request(rng, start, horizon_s, mission, views[mission])
        if request is not None:
            demand += antenna_s
            requests.append({"id": f"r{len(requests) + 1:03d}", **request})
    plain = [{k: v for k, v in a.items() if k != "down"} for a in antennas]
    return {"antennas": plain, "requests": requests}


def _antennas(rng: np.random.Generator, start: datetime, horizon_s: int) -> list[dict[str, Any]]:
    """Every antenna with maintenance: 4 slots of 4 to 8 h a week, in proportion on a shorter horizon."""
    antennas = []
    for name, (_, _, dishes) in COMPLEXES.items():
        for dish in dishes:
            slots = rng.poisson(4 * horizon_s / 3600 / WEEK_H) if horizon_s < WEEK_H * 3600 else 4
            down: list[Window] = []
            for _ in range(int(slots)):
                length = int(rng.integers(4, 9)) * 3600
                begin = int(rng.integers(0, max(1, (horizon_s - length) // 3600))) * 3600
                if all(b <= begin or begin + length <= a for a, b in down):
                    down.append((begin, min(begin + length, horizon_s)))
            maintenance = [[format_time(start, a), format_time(start, b)] for a, b in sorted(down)]
            antennas.append({"id": dish, "complex": name, "maintenance": maintenance, "down": down})
    return antennas


def _available(antenna: dict[str, Any], horizon_s: int) -> float:
    return horizon_s - sum(b - a for a, b in antenna["down"])


def _view_periods(
    start: datetime, horizon_s: int, place: tuple[float, float], ra: float, dec: float, drift: float
) -> list[Window]:
    """When a mission at right ascension and declination [deg], drifting in declination [deg/day], is up."""
    t = np.arange(0, horizon_s + 1, STEP_S)
    phi, delta = np.deg2rad(place[0]), np.deg2rad(dec + drift * t / 86400)
    hour_angle = gmst(julian_date(start) + t / 86400) + np.deg2rad(place[1] - ra)
    up = np.sin(phi) * np.sin(delta) + np.cos(phi) * np.cos(delta) * np.cos(hour_angle) >= np.sin(np.deg2rad(MASK_DEG))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], up, [False]]).astype(int)))
    return [(int(t[a]), int(t[b - 1])) for a, b in zip(edges[::2], edges[1::2]) if b - 1 > a]


def _request(
    rng: np.random.Generator, start: datetime, horizon_s: int, mission: int, views: dict[str, list[Window]]
) -> tuple[dict[str, Any] | None, float]:
    """One request, or None where no view period inside its window would do; and the antenna seconds it takes."""
    duration = round(rng.uniform(*HOURS) * 4) * 900
    least = max(3600, duration // 2 // 900 * 900)
    whole = duration + SETUP_S + TEARDOWN_S
    length = min(horizon_s, int(rng.uniform(1.5, 3.0) * whole) // 900 * 900)
    begin = int(rng.uniform(0, horizon_s - length)) // 900 * 900
    end = begin + length
    complexes = [str(c) for c in rng.permutation(list(COMPLEXES))[: int(rng.integers(1, 3))]]
    resources, size = {}, 1
    array = rng.random() < ARRAY_SHARE
    for name in complexes:
        dishes = [str(d) for d in rng.permutation(COMPLEXES[name][2])[: int(rng.integers(1, 4))]]
        if array and len(dishes) > 1:
            dishes, size = ["_".join(sorted(dishes[:2]))], 2
        fits = [
            [format_time(start, a), format_time(start, b)]
            for a, b in views[name]
            if min(b, end - TEARDOWN_S) - max(a, begin + SETUP_S) >= duration
        ]
        resources |= {dish: fits for dish in dishes if fits}
    if not resources:
        return None, 0.0
    request = {
        "mission": f"M{mission + 1:02d}",
        "duration_s": duration,
        "duration_min_s": least,
        "setup_s": SETUP_S,
        "teardown_s": TEARDOWN_S,
        "start": format_time(start, begin),
        "end": format_time(start, end),
        "views": resources,
    }
    return request, float(size * whole)
