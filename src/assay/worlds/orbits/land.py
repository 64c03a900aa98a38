"""Where there is land: six coarse outlines, good to a few degrees, enough to put targets ashore."""

from __future__ import annotations

import numpy as np

# (lat, lon) corners, drawn by eye along the coasts and kept inland of them
OUTLINES: dict[str, tuple[tuple[int, int], ...]] = {
    "africa": (
        (35, -5), (36, 9), (32, 13), (31, 30), (27, 33), (15, 38), (11, 43), (10, 49), (2, 44), (-5, 38), (-15, 39),
        (-24, 34), (-33, 27), (-34, 20), (-29, 18), (-17, 13), (-6, 13), (3, 10), (6, 4), (6, -6), (10, -14),
        (16, -16), (22, -16), (28, -12),
    ),
    "south america": (
        (11, -73), (9, -64), (4, -53), (-2, -46), (-6, -36), (-13, -39), (-22, -43), (-28, -50), (-34, -55),
        (-39, -60), (-46, -68), (-52, -70), (-45, -73), (-33, -71), (-18, -70), (-6, -80), (1, -79), (7, -77),
    ),
    "north america": (
        (60, -140), (68, -130), (66, -95), (58, -94), (53, -80), (60, -72), (52, -58), (46, -65), (41, -74),
        (35, -78), (31, -82), (30, -90), (28, -98), (20, -98), (17, -96), (21, -104), (31, -113), (36, -120),
        (48, -123), (57, -131),
    ),
    "europe": ((37, -5), (43, -1), (48, -2), (52, 8), (54, 20), (59, 30), (65, 40), (60, 60), (48, 55), (46, 35),
               (43, 25), (46, 13), (44, 6), (40, 0)),
    "asia": (
        (60, 62), (68, 75), (70, 110), (66, 140), (58, 130), (45, 133), (40, 122), (31, 120), (23, 112), (20, 105),
        (12, 107), (14, 100), (22, 93), (20, 86), (10, 78), (20, 73), (25, 66), (27, 56), (35, 50), (42, 55),
    ),
    "australia": ((-15, 129), (-15, 136), (-19, 141), (-16, 143), (-24, 150), (-32, 151), (-37, 147), (-35, 138),
                  (-32, 128), (-33, 118), (-25, 115), (-19, 122)),
}  # fmt: skip


def on_land(lat: float, lon: float) -> bool:
    """Whether a point lies in one of the outlines (even-odd rule)."""
    return any(_within(lat, lon, np.asarray(corners, float)) for corners in OUTLINES.values())


def land_points(
    rng: np.random.Generator, count: int, south: float = -50.0, north: float = 45.0
) -> list[tuple[float, float]]:
    """Points (lat, lon) on land, uniform on the sphere between two latitudes."""
    points: list[tuple[float, float]] = []
    low, high = np.sin(np.deg2rad([south, north]))
    while len(points) < count:
        lat, lon = float(np.rad2deg(np.arcsin(rng.uniform(low, high)))), float(rng.uniform(-180, 180))
        if on_land(lat, lon):
            points.append((lat, lon))
    return points


def _within(lat: float, lon: float, corners: np.ndarray) -> bool:
    (y1, x1), (y2, x2) = corners.T, np.roll(corners, -1, axis=0).T
    crosses = (y1 > lat) != (y2 > lat)
    with np.errstate(divide="ignore", invalid="ignore"):
        beside = lon < x1 + (lat - y1) * (x2 - x1) / (y2 - y1)
    return bool(np.count_nonzero(crosses & beside) % 2)
