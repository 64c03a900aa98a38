"""Models that other distributions bring through the entry-point group `assay.models`.

An entry point `name = package.module:factory` makes `models.load("name")` call `factory()`, which returns a model and
its tokenizer (anything the trials of that distribution know how to ask; `None` where there is no tokenizer).
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from assay.errors import UserError


def find(name: str) -> EntryPoint | None:
    """The entry point of a model by `name` or `distribution/name`; UserError where several offer the name."""
    points = [point for point in entry_points(group="assay.models") if name in (point.name, _full_name(point))]
    if len(points) > 1:
        raise UserError(f"model {name!r} means {len(points)} models: {', '.join(sorted(map(_full_name, points)))}")
    return points[0] if points else None


def load(point: EntryPoint) -> tuple[Any, Any]:
    """The model and its tokenizer, fresh from the factory."""
    made = point.load()()
    if not isinstance(made, tuple) or len(made) != 2:
        raise TypeError(
            f"model {_full_name(point)}: {point.value} returned {type(made).__name__}, wanted (model, tokenizer)"
        )
    return made


def digest(point: EntryPoint) -> str:
    """What stands for the weights in a unit's record: the distribution that brings them, and its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _full_name(point: EntryPoint) -> str:
    return f"{point.dist.name}/{point.name}" if point.dist else point.name
