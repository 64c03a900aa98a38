"""Attitude: pointing quaternions, slew time, and where a rolled camera looks on the ground."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from assay.methods.orbits.frames import EARTH_RADIUS_KM, FLATTENING, Array
from assay.methods.orbits.satellites import Agility

STANDARD = Agility()  # 3 deg/s, 0.5 deg/s^2, 5 s to settle


def slew_time(q1: ArrayLike, q2: ArrayLike, agility: Agility = STANDARD) -> float:
    """Seconds to turn from attitude `q1` to `q2` (unit quaternions): accelerate, coast, brake, settle.

    theta = 2 acos|q1.q2|; below 1e-6 deg no turn is needed and the time is 0.
    """
    cosine = min(1.0, abs(float(np.dot(np.asarray(q1, float), np.asarray(q2, float)))))
    return turn_time(math.degrees(2 * math.acos(cosine)), agility)


def turn_time(theta: float, agility: Agility = STANDARD) -> float:
    """Seconds to turn by `theta` degrees and settle."""
    if theta < 1e-6:
        return 0.0
    v, a = agility.rate, agility.acceleration
    ramp = 0.5 * a * (v / a) ** 2  # degrees turned while reaching the top rate
    moving = math.sqrt(4 * theta / a) if 2 * ramp > theta else 2 * v / a + (theta - 2 * ramp) / v
    return moving + agility.settle_s


def pointing(position: ArrayLike, velocity: ArrayLike, look: ArrayLike) -> Array:
    """Quaternion (x, y, z, w) of a body whose z axis is the unit vector `look` and whose x axis leans along
    the velocity; all vectors (3,) in one inertial frame."""
    z = np.asarray(look, float) / np.linalg.norm(look)
    forward = np.asarray(velocity, float)
    x = forward - (forward @ z) * z
    if np.linalg.norm(x) < 1e-9 * np.linalg.norm(forward):
        x = np.asarray(position, float) - (np.asarray(position, float) @ z) * z
    x /= np.linalg.norm(x)
    return _quaternion(np.stack([x, np.cross(z, x), z], axis=1))


def roll_look(positions: ArrayLike, velocities: ArrayLike, roll: float) -> Array:
    """Unit look vectors (n, 3): nadir turned by `roll` degrees to the right of the flight direction."""
    r, v = np.atleast_2d(np.asarray(positions, float)), np.atleast_2d(np.asarray(velocities, float))
    down = -r / np.linalg.norm(r, axis=1, keepdims=True)
    right = np.cross(v, r)  # flight x up
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return math.cos(math.radians(roll)) * down + math.sin(math.radians(roll)) * right


def ground_points(positions: ArrayLike, looks: ArrayLike) -> Array:
    """Where rays from positions along unit looks, both (n, 3) Earth-fixed, first meet the ellipsoid; NaN if never."""
    squash = np.array([1.0, 1.0, 1 / (1 - FLATTENING)])
    p, d = np.asarray(positions, float) * squash, np.asarray(looks, float) * squash
    a, b = np.sum(d * d, axis=1), np.sum(p * d, axis=1)
    c = np.sum(p * p, axis=1) - EARTH_RADIUS_KM**2
    root = b * b - a * c
    with np.errstate(invalid="ignore"):
        t = np.where(root >= 0, (-b - np.sqrt(root)) / a, np.nan)
    return np.asarray(positions, float) + t[:, None] * np.asarray(looks, float)


def _quaternion(matrix: Array) -> Array:
    """Unit quaternion (x, y, z, w) of a rotation matrix (3, 3)."""
    m = matrix
    products = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], 0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], np.trace(m)],
        ]
    )
    _, vectors = np.linalg.eigh(products)  # reads the lower triangle
    q: Array = vectors[:, -1]
    return q * (1 if q[3] >= 0 else -1)
