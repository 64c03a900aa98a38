"""Steer2Adapt: Dynamically Composing Steering Vectors Elicits Efficient Adaptation of LLMs (2602.07276).

A small basis of concept vectors is taken from a model once. For a new task, Bayesian optimisation looks for the mix
of them that, added to the residual stream, makes a handful of examples come out right; what the plain model had
right counts more when it is lost than what is won.

Where the paper leaves things open (§ numbers are not public; ours, each named): margins are those of greedy decoding
(an item is right exactly when its margin is above 0); the three tiers end at margins 0.2 and 1.0 and cost 1, 2, 3;
a mix is capped at half the norm of the state it is added to; lambda is 0.01.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import BoolTensor, Tensor

from assay.methods.activations import Intervention, find_layers, intervene
from assay.methods.interpretability._replies import prompt_states
from assay.methods.interpretability._steer_margins import Item, margins
from assay.methods.interpretability._steer_search import Backend, Tried, maximise

Positions = Literal["all", "generated"]
Floats = NDArray[np.float64]
ALIKE = 0.9  # |cosine| of two concepts above which the basis warns


@dataclass(frozen=True)
class Basis:
    """Concept vectors (M, D), each as long as the model's mean state at the layer they were taken from."""

    vectors: Tensor
    names: tuple[str, ...]
    layer: int
    layers: tuple[int, ...]  # where a mix is added

    @property
    def gram(self) -> Tensor:
        """Cosines (M, M) of the concepts."""
        unit = F.normalize(self.vectors, dim=1)
        return unit @ unit.T

    def alike(self) -> list[tuple[str, str, float]]:
        """Pairs of concepts whose |cosine| is above 0.9, with the cosine."""
        gram, names = self.gram, self.names
        return [
            (names[i], names[j], float(gram[i, j]))
            for i in range(len(names))
            for j in range(i + 1, len(names))
            if abs(gram[i, j]) > ALIKE
        ]

    def compose(self, alpha: Sequence[float] | Floats) -> Tensor:
        """The mix (D,) of the concepts with the weights `alpha` (M,)."""
        weights = torch.as_tensor(np.asarray(alpha), dtype=self.vectors.dtype)
        if weights.shape != (len(self.names),):
            raise ValueError(f"alpha: got shape {tuple(weights.shape)}, wanted ({len(self.names)},)")
        return weights @ self.vectors


@dataclass(frozen=True)
class Objective:
    """The stability-aware score of a mix. Costs of losing an item by how sure the plain model was of it."""

    marginal: float = 1.0
    middling: float = 2.0
    confident: float = 3.0
    t1: float = 0.2
    t2: float = 1.0
    nudge: float = 0.1
    penalty: float = 0.01

    def __post_init__(self) -> None:
        if self.t1 > self.t2:
            raise ValueError(f"t1, t2: got {self.t1}, {self.t2}, wanted t1 <= t2")

    def __call__(self, before: Floats, after: Floats, alpha: Floats) -> float:
        """From the margins (N,) of the plain and of the steered model, and the mix (M,)."""
        lost = (before > 0) & (after <= 0)
        cost = np.where(before > self.t2, self.confident, np.where(before > self.t1, self.middling, self.marginal))
        won = ((before <= 0) & (after > 0)).sum()
        nudge = self.nudge * np.tanh(after - before).mean()
        return float(won - (lost * cost).sum() + nudge - self.penalty * (alpha**2).sum())


STABLE = Objective()


@dataclass(frozen=True)
class Recipe:
    """A mix found for a task. `trace` tells every mix that was tried, its score and the margins under it."""

    alpha: tuple[float, ...]
    names: tuple[str, ...]
    score: float
    layers: tuple[int, ...]
    positions: Positions = "all"
    norm_cap: float = 0.5
    before: tuple[float, ...] = ()
    trace: tuple[Tried, ...] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Back from `as_dict`."""
        kept = {**data, "trace": tuple(Tried(**_tuples(one)) for one in data["trace"])}
        return cls(**_tuples(kept))


def concept_vector(
    model: Any,
    tokenizer: Any,
    positive: Sequence[str],
    negative: Sequence[str],
    layer: int,
    *,
    method: Literal["mean_diff", "pca"] = "mean_diff",
    positions: Literal["last", "mean"] = "last",
) -> Tensor:
    """The direction (D,) from the negative to the positive prompts at a layer, as long as the mean state there.

    "mean_diff" is the difference of the means; "pca" the first component of the paired differences, its sign that of
    their mean. Prompts are paired by place. Raises ValueError for unequal counts.
    """
    if not positive or len(positive) != len(negative):
        raise ValueError(f"positive, negative: got {len(positive)} and {len(negative)} prompts, wanted equal, >= 1")
    if method not in ("mean_diff", "pca"):
        raise ValueError(f"method: got {method!r}, wanted 'mean_diff' or 'pca'")
    states = prompt_states(model, tokenizer, [*positive, *negative], [layer], positions)[layer]
    apart = states[: len(positive)] - states[len(positive) :]
    direction = apart.mean(dim=0)
    if method == "pca":
        first = torch.linalg.svd(apart - direction, full_matrices=False).Vh[0] if len(apart) > 2 else direction
        direction = first * torch.sign(first @ direction)
    if not direction.norm() > 0:
        raise ValueError(f"positive, negative: the states at layer {layer} are the same for both")
    return F.normalize(direction, dim=0) * states.norm(dim=1).mean()


def build_basis(
    model: Any,
    tokenizer: Any,
    concepts: Mapping[str, tuple[Sequence[str], Sequence[str]]],
    *,
    layers: Sequence[int] | None = None,
    method: Literal["mean_diff", "pca"] = "mean_diff",
    orthogonalise: bool = False,
) -> Basis:
    """Concept vectors from pairs of (positive, negative) prompts, taken at the middle one of `layers`.

    `layers` (default: the middle third) is where a mix will be added. `orthogonalise` makes every vector orthogonal
    to those before it and keeps its length; off by default, as concepts overlap.
    """
    if not concepts:
        raise ValueError("concepts: got none, wanted at least one")
    count = len(find_layers(model))
    places = tuple(layers) if layers is not None else middle_third(count)
    if not places or not all(0 <= place < count for place in places):
        raise ValueError(f"layers: got {list(places)}, wanted some of 0 to {count - 1}")
    layer = places[len(places) // 2]
    vectors = [concept_vector(model, tokenizer, *pair, layer, method=method) for pair in concepts.values()]
    stacked = torch.stack(vectors)
    if orthogonalise:
        lengths = stacked.norm(dim=1, keepdim=True)
        stacked = torch.linalg.qr(stacked.T).Q.T
        stacked = stacked * torch.sign((stacked * torch.stack(vectors)).sum(dim=1, keepdim=True)) * lengths
    return Basis(stacked, tuple(concepts), layer, places)


def middle_third(count: int) -> tuple[int, ...]:
    """The layers of the middle third of `count`, at least one."""
    return tuple(range(count // 3, max(count // 3 + 1, (2 * count) // 3)))


def steered(
    model: Any,
    mix: Tensor,
    layers: Sequence[int],
    *,
    positions: Positions = "all",
    norm_cap: float = 0.5,
) -> AbstractContextManager[None]:
    """Within the block the mix (D,) is added to the residual stream after each of `layers`.

    "generated": only where tokens are generated, from the last token of the prompt on. The mix is shortened to
    `norm_cap` times the norm of the state it is added to. The model is what it was afterwards.
    """
    if not norm_cap > 0:
        raise ValueError(f"norm_cap: got {norm_cap}, wanted above 0")
    if positions not in ("all", "generated"):
        raise ValueError(f"positions: got {positions!r}, wanted 'all' or 'generated'")
    length = mix.norm().clamp(min=1e-12)

    def add(h: Tensor, mask: BoolTensor) -> Tensor:
        share = (norm_cap * h.norm(dim=-1, keepdim=True) / length.to(h)).clamp(max=1.0)
        change = share * mix.to(h)
        if positions == "generated" and h.shape[1] > 1:
            change[:, :-1] = 0
        return h + change

    return intervene(model, [Intervention(layer, add) for layer in layers])


class SteeredModel:
    """A model that generates under a recipe: `SteeredModel(model, basis, recipe).generate(**inputs)`."""

    def __init__(self, model: Any, basis: Basis, recipe: Recipe) -> None:
        if recipe.names != basis.names:
            raise ValueError(f"recipe: for the concepts {list(recipe.names)}, the basis has {list(basis.names)}")
        self.model, self.recipe, self.mix = model, recipe, basis.compose(recipe.alpha)

    def generate(self, **inputs: Any) -> Any:
        """`model.generate` with the mix added."""
        with self.applied():
            return self.model.generate(**inputs)

    def applied(self) -> AbstractContextManager[None]:
        """The block within which the model is steered."""
        recipe = self.recipe
        return steered(self.model, self.mix, recipe.layers, positions=recipe.positions, norm_cap=recipe.norm_cap)


def search(
    model: Any,
    tokenizer: Any,
    basis: Basis,
    items: Sequence[Item],
    *,
    objective: Objective = STABLE,
    bounds: tuple[float, float] = (-2.0, 2.0),
    n_init: int = 8,
    n_iter: int = 32,
    patience: int = 12,
    backend: Backend = "botorch",
    positions: Positions = "all",
    norm_cap: float = 0.5,
    seed: int = 0,
) -> Recipe:
    """The best mix that Bayesian optimisation finds for the calibration items. Never worse on them than no mix.

    Raises ValueError where the plain model has all or none of the items right: there is nothing to win, or to lose.
    """
    before = margins(model, tokenizer, items)
    right = int((before > 0).sum())
    if right in (0, len(items)):
        told = "all" if right else "none"
        raise ValueError(
            f"items: the plain model has {told} of the {len(items)} right, so that the objective has no signal; "
            "wanted about half"
        )

    def score(alpha: Floats) -> Tried:
        with steered(model, basis.compose(alpha), basis.layers, positions=positions, norm_cap=norm_cap):
            after = margins(model, tokenizer, items)
        return Tried(tuple(alpha.tolist()), objective(before, after, alpha), tuple(after.tolist()))

    tried = maximise(
        score,
        len(basis.names),
        bounds=bounds,
        n_init=n_init,
        n_iter=n_iter,
        patience=patience,
        backend=backend,
        seed=seed,
    )
    best = max(tried, key=lambda one: one.score)
    return Recipe(
        best.alpha, basis.names, best.score, basis.layers, positions, norm_cap, tuple(before.tolist()), tuple(tried)
    )


def save(path: Path, basis: Basis, recipe: Recipe) -> None:
    """Write a recipe with the vectors it mixes as JSON, so that one file steers a model."""
    import json

    vectors = {"vectors": basis.vectors.tolist(), "layer": basis.layer}
    path.write_text(json.dumps({"schema": SCHEMA, **vectors, **recipe.as_dict()}), "utf-8")


SCHEMA = "assay.steering/1"


def load(path: Path) -> tuple[Basis, Recipe]:
    """What `save` wrote. Raises ValueError for another file."""
    import json

    try:
        data = json.loads(path.read_text("utf-8"))
        if data.pop("schema") != SCHEMA:
            raise KeyError
        vectors, layer = torch.tensor(data.pop("vectors")), data.pop("layer")
        recipe = Recipe.from_dict(data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a steering recipe of the form {SCHEMA}") from error
    return Basis(vectors, recipe.names, layer, recipe.layers), recipe


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
