"""How nano and micro are trained, in figures. What is done with them stands in `train.py`.

Why these: a model of this size does not learn to look up a key within the tokens it gets here unless a recall
phase comes first; but recall that goes on after it is learned (400 steps of 128 rows) set the weights so
firmly that nano had learned nothing else 1,600 steps later. A short phase and a weight decay of 0.1 mend that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Counted in steps. `early` and `late` are the shares of the worlds in the mixture, before and after
    `early_steps`; the rates are those of Muon for the matrices inside the blocks and AdamW for the rest."""

    size: str
    steps: int  # of the mixture, after the recall phase
    early: Mapping[str, float]
    late: Mapping[str, float]
    recall_steps: int
    decay_steps: int  # the last ones, linear to 5 % of the rate
    adamw_rate: float
    recall_decay: float = 0.1  # weight decay of the recall phase
    muon_rate: float = 0.02
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.1
    warmup_steps: int = 50
    gentle_steps: int = 200  # the mixture's first, at a third of the rate, so that recall is not unlearned
    short_steps: int = 600  # the mixture's first, with lengths from the lower half of each range
    early_steps: int = 1000
    rows: int = 64
    clip: float = 1.0


# Lookup is learned last when it is rare, chain soonest whatever its share.
_EARLY = {"chain": 0.15, "lookup": 0.35, "countdown3": 0.224, "countdown4": 0.056, "lists": 0.22}
_LATE = {"chain": 0.13, "lookup": 0.17, "countdown3": 0.32, "countdown4": 0.08, "lists": 0.30}

RECIPES = {
    "nano": Recipe("nano", 1800, _EARLY, _LATE, recall_steps=160, decay_steps=600, adamw_rate=3e-3),
    "micro": Recipe(
        "micro", 5000, _EARLY, _LATE, recall_steps=300, decay_steps=1500, adamw_rate=1.5e-3, recall_decay=0.01
    ),
}


def rate(recipe: Recipe, step: int) -> float:
    """Factor on both learning rates at a step counted from the start of the recall phase."""
    if step < recipe.recall_steps:
        return min(1.0, (step + 1) / recipe.warmup_steps)
    mixed = step - recipe.recall_steps
    if mixed < recipe.gentle_steps:
        return 1 / 3
    return min(1.0, 0.05 + 0.95 * (recipe.steps - mixed) / recipe.decay_steps)


def total_steps(recipe: Recipe) -> int:
    """Steps of both phases."""
    return recipe.recall_steps + recipe.steps
