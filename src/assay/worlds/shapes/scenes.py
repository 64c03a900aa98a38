"""Scenes of one to four coloured shapes on a background, rendered anti-aliased at 16x16 or 32x32.

An object has a shape (circle, square, triangle, star, hexagon), one of six hues, one of three sizes, a texture
(flat, stripes, dots) and a place; no two share a quadrant, so none hides another. The background is flat, a
gradient or a checker in a grey of its own. Every attribute is uniform and independent of the others. Images are
`(3, size, size)` float32 in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from assay.worlds import _draw

Shape = Literal["circle", "square", "triangle", "star", "hexagon"]
Texture = Literal["flat", "stripes", "dots"]
Ground = Literal["flat", "gradient", "checker"]
Image3 = NDArray[np.float32]

SHAPES: tuple[Shape, ...] = ("circle", "square", "triangle", "star", "hexagon")
TEXTURES: tuple[Texture, ...] = ("flat", "stripes", "dots")
GROUNDS: tuple[Ground, ...] = ("flat", "gradient", "checker")
HUES = {
    "red": (0.9, 0.15, 0.15),
    "yellow": (0.95, 0.85, 0.1),
    "green": (0.15, 0.7, 0.2),
    "cyan": (0.1, 0.8, 0.85),
    "blue": (0.15, 0.25, 0.9),
    "magenta": (0.85, 0.2, 0.8),
}
RADII = {"small": 0.10, "medium": 0.145, "large": 0.19}  # of the image side
JITTER = 0.05  # a large shape (0.19) still stays inside its quadrant (0.25 from centre to edge)


@dataclass(frozen=True)
class Thing:
    """One object; `x`, `y` is its centre in the unit square, y down."""

    shape: Shape
    hue: str
    size: str
    texture: Texture
    x: float
    y: float

    @property
    def quadrant(self) -> int:
        """0 to 3: upper left, upper right, lower left, lower right."""
        return int(self.x >= 0.5) + 2 * int(self.y >= 0.5)


@dataclass(frozen=True)
class Scene:
    """What is in a picture. `tone` is the grey of the background in [0, 1]."""

    things: tuple[Thing, ...]
    ground: Ground
    tone: float


@dataclass(frozen=True)
class SceneSample:
    """Scenes and their renders, float32 `(n, 3, size, size)` in [-1, 1]."""

    scenes: tuple[Scene, ...]
    images: Image3


@dataclass(frozen=True)
class SceneWorld:
    """`count` random scenes a seed."""

    count: int = 2048
    size: Literal[16, 32] = 32

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count: got {self.count}, wanted at least 1")
        if self.size not in (16, 32):
            raise ValueError(f"size: got {self.size}, wanted 16 or 32")

    def sample(self, seed: int) -> SceneSample:
        """The scenes of this seed and their pictures."""
        generator = np.random.default_rng(seed)
        scenes = tuple(random_scene(generator) for _ in range(self.count))
        return SceneSample(scenes, np.stack([render(scene, self.size) for scene in scenes]))

    def check(self, image: ArrayLike, scene: Scene) -> float:
        """Root mean square distance of an image `(3, size, size)` from the true render of a scene."""
        got = np.asarray(image, dtype=np.float32)
        true = render(scene, self.size)
        if got.shape != true.shape:
            raise ValueError(f"image: got {got.shape}, wanted {true.shape}")
        return float(np.sqrt(np.square(got - true).mean()))


def world(count: int = 2048, size: Literal[16, 32] = 32) -> SceneWorld:
    """The world for trials: `world="shapes/scenes"`."""
    return SceneWorld(count, size)


def random_scene(generator: np.random.Generator) -> Scene:
    """A scene with one to four things in quadrants of their own."""
    quadrants = generator.permutation(4)[: generator.integers(1, 5)]
    things = tuple(_random_thing(int(quadrant), generator) for quadrant in quadrants)
    ground = GROUNDS[generator.integers(len(GROUNDS))]
    return Scene(things, ground, float(generator.uniform(0.0, 1.0)))


def _random_thing(quadrant: int, generator: np.random.Generator) -> Thing:
    shift = generator.uniform(-JITTER, JITTER, 2)
    return Thing(
        shape=SHAPES[generator.integers(len(SHAPES))],
        hue=list(HUES)[generator.integers(len(HUES))],
        size=list(RADII)[generator.integers(len(RADII))],
        texture=TEXTURES[generator.integers(len(TEXTURES))],
        x=0.25 + 0.5 * (quadrant % 2) + float(shift[0]),
        y=0.25 + 0.5 * (quadrant // 2) + float(shift[1]),
    )


def render(scene: Scene, size: int = 32) -> Image3:
    """The picture of a scene, float32 `(3, size, size)` in [-1, 1]; the last thing is painted last."""
    picture = _background(scene.ground, size) * (0.6 * scene.tone + 0.2)  # greys leave room for hues
    picture = np.repeat(picture[None], 3, axis=0)
    for thing in scene.things:
        outline = _draw.mask(_outline(thing), size)
        _paint(picture, outline, HUES[thing.hue])
        if thing.texture != "flat":
            darker = tuple(0.45 * level for level in HUES[thing.hue])
            _paint(picture, _draw.both(outline, _texture(thing.texture, size)), darker)
    return (picture * 2 - 1).astype(np.float32)


def _paint(picture: NDArray[np.floating], mask: Image.Image, colour: tuple[float, ...]) -> None:
    """Lay a colour over `picture (3, size, size)` where the mask covers it."""
    share = _draw.coverage(mask)
    picture += share * (np.asarray(colour, dtype=np.float32)[:, None, None] - picture)


def _outline(thing: Thing) -> _draw.Outline:
    centre, radius = (thing.x, thing.y), RADII[thing.size]
    if thing.shape == "circle":
        return _draw.regular_polygon(48, centre, radius)
    if thing.shape == "square":
        return _draw.regular_polygon(4, centre, radius, phase=np.pi / 4)
    if thing.shape == "triangle":
        return _draw.regular_polygon(3, centre, radius)
    if thing.shape == "star":
        return _draw.star(5, centre, radius)
    return _draw.regular_polygon(6, centre, radius)


@cache
def _background(ground: Ground, size: int) -> NDArray[np.float32]:
    """Brightness `(size, size)` around 1."""
    row = np.linspace(0.75, 1.25, size, dtype=np.float32)
    if ground == "gradient":
        return np.repeat(row[:, None], size, axis=1)
    if ground == "checker":
        squares = (np.arange(size) * 4 // size)[:, None] + (np.arange(size) * 4 // size)
        return np.where(squares % 2 == 0, 0.8, 1.2).astype(np.float32)
    return np.ones((size, size), dtype=np.float32)


@cache
def _texture(texture: Texture, size: int) -> Image.Image:
    """Where the darker tone of a texture lies, over the whole picture."""
    side = size * _draw.SUPERSAMPLE
    step = side // 8
    y, x = np.mgrid[:side, :side]
    if texture == "stripes":
        return _draw.pattern((x + y) % step < step // 2)
    inside = np.hypot(x % step - step / 2, y % step - step / 2) < step * 0.3
    return _draw.pattern(inside)
