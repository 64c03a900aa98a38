"""Anti-aliased drawing for the picture worlds: outlines in the unit square to shares of pixels covered.

Outlines are drawn by Pillow at four times the resolution and averaged down, so an edge that moves by a fraction
of a pixel changes the picture by that fraction. x runs to the right and y down, both from 0 to 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

SUPERSAMPLE = 4

Outline = NDArray[np.float64]  # (n, 2) corners in the unit square


def regular_polygon(sides: int, centre: tuple[float, float], radius: float, phase: float = 0.0) -> Outline:
    """Corners of a regular polygon; the first points up unless turned by `phase` radians. 48 sides: a circle."""
    angle = phase - np.pi / 2 + 2 * np.pi * np.arange(sides) / sides
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], 1)


def star(points: int, centre: tuple[float, float], radius: float, inner: float = 0.45) -> Outline:
    """Corners of a star whose inner corners lie at the share `inner` of the radius."""
    corners = regular_polygon(2 * points, centre, radius)
    corners[1::2] = np.asarray(centre) + inner * (corners[1::2] - np.asarray(centre))
    return corners


def mask(outline: Outline, size: int) -> Image.Image:
    """The filled outline at full (supersampled) resolution, one byte a pixel, 0 or 255."""
    side = size * SUPERSAMPLE
    picture = Image.new("L", (side, side))
    ImageDraw.Draw(picture).polygon([tuple(corner) for corner in outline * side], fill=255)
    return picture


def both(a: Image.Image, b: Image.Image) -> Image.Image:
    """Where both masks are filled."""
    return ImageChops.multiply(a, b)


def pattern(filled: NDArray[np.bool_]) -> Image.Image:
    """A mask from a boolean array `(side, side)` at full resolution."""
    return Image.fromarray(filled.astype(np.uint8) * 255)


def coverage(full: Image.Image) -> NDArray[np.float32]:
    """Share of every pixel that a mask covers, `(size, size)` in [0, 1]."""
    return np.asarray(full.reduce(SUPERSAMPLE), dtype=np.float32) / 255
