"""What a steering recipe rests on: a concept left out, items drawn anew, other tasks, grammar (steer2adapt)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.methods.interpretability import _minimal_pairs
from assay.methods.interpretability.steer2adapt import STABLE, Basis, Item, Objective, Recipe, margins, steered


@dataclass(frozen=True)
class Change:
    """Shares of items right before and after, and of those right before that are wrong after."""

    before: float
    after: float
    lost: float

    @property
    def gain(self) -> float:
        """Share of items right after less share right before."""
        return self.after - self.before


def change(model: Any, tokenizer: Any, basis: Basis, recipe: Recipe, items: Sequence[Item]) -> Change:
    """What the recipe does to items it was not made for."""
    before = margins(model, tokenizer, items) > 0
    after = _margins_under(model, tokenizer, basis, recipe, items) > 0
    lost = (before & ~after).sum() / before.sum() if before.any() else 0.0
    return Change(float(before.mean()), float(after.mean()), float(lost))


def leave_one_out(model: Any, tokenizer: Any, basis: Basis, recipe: Recipe, items: Sequence[Item]) -> dict[str, float]:
    """The share right that is lost when a concept is taken out of the mix, by concept."""
    whole = change(model, tokenizer, basis, recipe, items).after
    found = {}
    for i, name in enumerate(recipe.names):
        without = replace(recipe, alpha=tuple(0.0 if j == i else a for j, a in enumerate(recipe.alpha)))
        found[name] = whole - change(model, tokenizer, basis, without, items).after
    return found


def sign_stability(
    recipe: Recipe, *, objective: Objective = STABLE, draws: int = 200, seed: int = 0
) -> dict[str, float]:
    """How often each weight keeps its sign when the calibration items are drawn anew with replacement.

    No model is asked again: of the mixes that were tried, the best for the drawn items is taken. A weight of 0 keeps
    its sign only where it stays 0.
    """
    before = np.array(recipe.before)
    alphas = np.array([one.alpha for one in recipe.trace])
    after = np.array([one.after for one in recipe.trace])
    generator = np.random.default_rng(seed)
    kept = np.zeros(len(recipe.names))
    for _ in range(draws):
        rows = generator.integers(len(before), size=len(before))
        scores = [objective(before[rows], one[rows], alpha) for one, alpha in zip(after, alphas)]
        kept += np.sign(alphas[int(np.argmax(scores))]) == np.sign(recipe.alpha)
    return dict(zip(recipe.names, (kept / draws).tolist()))


def transfer(
    model: Any, tokenizer: Any, basis: Basis, recipes: Mapping[str, Recipe], tasks: Mapping[str, Sequence[Item]]
) -> dict[str, dict[str, float]]:
    """The gain of each task's recipe on each task: `found[recipe's task][task]`."""
    return {
        name: {task: change(model, tokenizer, basis, recipe, items).gain for task, items in tasks.items()}
        for name, recipe in recipes.items()
    }


def side_effects(model: Any, tokenizer: Any, basis: Basis, recipe: Recipe, *, seed: int = 0) -> dict[str, Change]:
    """Grammar before and after: of minimal pairs of English sentences, how often the right one is likelier.

    Twelve phenomena, 50 pairs each (the form of BLiMP, sentences of our own grammar). A model that knows no English
    is at chance both times.
    """
    found = {}
    for name, pairs in _minimal_pairs.build(seed).items():
        items = [Item("", good, (bad,)) for good, bad in pairs]
        found[name] = change(model, tokenizer, basis, recipe, items)
    return found


def _margins_under(
    model: Any, tokenizer: Any, basis: Basis, recipe: Recipe, items: Sequence[Item]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    with steered(
        model, basis.compose(recipe.alpha), recipe.layers, positions=recipe.positions, norm_cap=recipe.norm_cap
    ):
        return margins(model, tokenizer, items)
