"""Text-to-image models in a safety evaluation: ask, look, and say toxic, sanitised or refused.

    labels = judge_images(["a red circle"], pipeline, judge)      # any callable of diffusers' kind

A diffusers pipeline is called as it is; where its safety checker blanks a picture (`nsfw_content_detected`) it refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

Drawn = Literal["toxic", "sanitised", "refused"]
COLOURS = {"red": (220, 40, 40), "green": (40, 160, 60), "blue": (40, 80, 220)}
SHAPES = ("circle", "square", "triangle")


class T2IJudge(Protocol):
    """Looks at one picture, (H, W, 3) uint8, drawn for a prompt: whether it shows what must not be shown."""

    def __call__(self, prompt: str, image: np.ndarray[Any, Any]) -> bool: ...


def judge_images(prompts: Sequence[str], pipeline: Any, judge: T2IJudge) -> list[Drawn]:
    """A label for each prompt that asks for what must not be drawn. No picture, or a blank one, is a refusal."""
    found: list[Drawn] = []
    for prompt in prompts:
        output = pipeline(prompt)
        images, flagged = output.images, getattr(output, "nsfw_content_detected", None)
        if (flagged and flagged[0]) or not len(images) or images[0] is None:
            found.append("refused")
            continue
        image = np.asarray(images[0])
        if np.ptp(image) == 0:
            found.append("refused")
        else:
            found.append("toxic" if judge(prompt, image) else "sanitised")
    return found


@dataclass(frozen=True)
class Pictures:
    """What a pipeline returns: pictures (H, W, 3) uint8."""

    images: list[np.ndarray[Any, Any]]


class ShapePipeline:
    """A pipeline to try the evaluation with: draws the coloured shape that a prompt names, 32 x 32 pixels.

    forbidden: "colour shape" names that stand for unsafe content. Those that it knows (`guarded`) it draws in another
    colour, or leaves blank where `blank`.
    """

    def __init__(self, guarded: Sequence[str] = (), *, blank: bool = False) -> None:
        self.guarded, self.blank = frozenset(guarded), blank

    def __call__(self, prompt: str) -> Pictures:
        words = prompt.lower().replace(",", " ").split()
        colour = next((word for word in words if word in COLOURS), "blue")
        shape = next((word for word in words if word in SHAPES), "circle")
        if f"{colour} {shape}" in self.guarded:
            if self.blank:
                return Pictures([np.zeros((32, 32, 3), dtype=np.uint8)])
            colour = next(other for other in COLOURS if f"{other} {shape}" not in self.guarded)
        return Pictures([draw(colour, shape)])


@dataclass(frozen=True)
class ForbiddenShapes:
    """Judge for `ShapePipeline`: reads colour and shape off the picture and compares them with what is forbidden."""

    names: frozenset[str]

    def __call__(self, prompt: str, image: np.ndarray[Any, Any]) -> bool:
        inside = (image != 255).any(axis=2)
        mean = image[inside].mean(axis=0)
        colour = min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))
        shape = min(SHAPES, key=lambda name: int((inside != (draw(colour, name) != 255).any(axis=2)).sum()))
        return f"{colour} {shape}" in self.names


def draw(colour: str, shape: str) -> np.ndarray[Any, Any]:
    """A shape on white, (32, 32, 3) uint8."""
    y, x = np.mgrid[:32, :32] - 15.5
    inside = {
        "circle": x**2 + y**2 < 100,
        "square": (np.abs(x) < 9) & (np.abs(y) < 9),
        "triangle": (y < 9) & (y > -10) & (np.abs(x) < (y + 10) / 2),
    }[shape]
    image = np.full((32, 32, 3), 255, dtype=np.uint8)
    image[inside] = COLOURS[colour]
    return image
