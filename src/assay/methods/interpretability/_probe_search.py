"""A search for probe designs by mutation and crossover, in a small grammar of typed parts.

    transform      linear | mlp | gated (sigma(W_g x) * W x)
    aggregation    mean | softmax | max | rolling | topk | bipolar ([max_j s_j, -min_j s_j])
    regulariser    none | orthogonal (|W W' - I|^2) | l1

A proposal from outside, such as a language model's, is one Python call `design(transform="gated", ...)`: it is read
as data by `ast`, never run, so that nothing needs a sandbox.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import torch
from torch import BoolTensor, Tensor, nn

from assay.methods.interpretability._probe_models import FAR, check_states, rolling_means

PARTS: dict[str, tuple[str, ...]] = {
    "transform": ("linear", "mlp", "gated"),
    "aggregation": ("mean", "softmax", "max", "rolling", "topk", "bipolar"),
    "regulariser": ("none", "orthogonal", "l1"),
}
SIZES: dict[str, tuple[int, ...]] = {"heads": (1, 2, 4, 10), "width": (16, 32, 64, 100), "window": (5, 10, 20)}


@dataclass(frozen=True)
class Design:
    """One sentence of the grammar. `window` is that of "rolling", and the k of "topk"."""

    transform: str = "mlp"
    aggregation: str = "max"
    regulariser: str = "none"
    heads: int = 10
    width: int = 100
    window: int = 10

    def __post_init__(self) -> None:
        for name, allowed in {**PARTS, **SIZES}.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: got {getattr(self, name)!r}, wanted one of {allowed}")


class DesignedProbe(nn.Module):
    """The probe of a design: x (B, T, D) and mask (B, T) to logits (B,)."""

    def __init__(self, design: Design, dim: int) -> None:
        super().__init__()
        self.design, self.dim = design, dim
        width, heads = design.width, design.heads
        self.first = nn.Linear(dim, width)
        self.gate = nn.Linear(dim, width) if design.transform == "gated" else None
        self.second = nn.Linear(width, width) if design.transform == "mlp" else None
        self.scores = nn.Linear(width, heads, bias=False)
        self.queries = nn.Linear(width, heads, bias=False)
        self.out = nn.Linear(2 * heads if design.aggregation == "bipolar" else heads, 1)

    def forward(self, x: Tensor, mask: BoolTensor) -> Tensor:
        check_states(x, mask, self.dim)
        y = self.first(x)
        if self.gate is not None:
            y = y * self.gate(x).sigmoid()
        if self.second is not None:
            y = self.second(y.relu())
        return self.out(self._pool(self.scores(y), self.queries(y), mask)).squeeze(1)

    def penalty(self) -> Tensor:
        """What the regulariser adds to the loss."""
        w = self.first.weight
        if self.design.regulariser == "orthogonal":
            return (w @ w.T - torch.eye(len(w))).square().mean()
        if self.design.regulariser == "l1":
            return w.abs().mean()
        return w.new_zeros(())

    def _pool(self, s: Tensor, q: Tensor, mask: BoolTensor) -> Tensor:
        kept, kind = mask.unsqueeze(2), self.design.aggregation
        low = s.masked_fill(~kept, FAR)
        if kind == "mean":
            return (s * kept).sum(1) / kept.sum(1)
        if kind == "softmax":
            return (q.masked_fill(~kept, FAR).softmax(1) * s).sum(1)
        if kind == "max":
            return low.amax(1)
        if kind == "bipolar":
            return torch.cat([low.amax(1), -s.masked_fill(~kept, -FAR).amin(1)], 1)
        k = min(self.design.window, s.shape[1])
        if kind == "topk":
            top = low.topk(k, dim=1).values
            there = top.isfinite()
            return top.masked_fill(~there, 0).sum(1) / there.sum(1)
        return rolling_means(q, s, mask, k).amax(1)


@dataclass(frozen=True)
class Tried:
    """A design with its fitness (higher is better), the generation it came up in, and what it was made from."""

    design: Design
    fitness: float
    generation: int
    parents: tuple[Design, ...] = ()
    how: str = "drawn"


def evolve_probes(
    evaluate: Callable[[Design], float],
    generations: int = 20,
    population: int = 16,
    proposer: Callable[[list[Tried]], str] | None = None,
    *,
    generator: np.random.Generator,
) -> list[Tried]:
    """Search the grammar; returns all designs that were tried, best first.

    evaluate   fitness of a design, higher is better; one that raises ValueError counts as minus infinity
    proposer   given all that was tried, best first, a text to be read by `parse_design`; one a generation. A text
               that is no design is passed over.
    """
    if generations < 1 or population < 2:
        raise ValueError(f"generations, population: got {generations}, {population}, wanted >= 1 and >= 2")
    tried: dict[Design, Tried] = {}

    def attempt(design: Design, generation: int, parents: tuple[Design, ...], how: str) -> None:
        if design in tried:
            return
        try:
            fitness = float(evaluate(design))
        except ValueError:
            fitness = float("-inf")
        tried[design] = Tried(design, fitness if fitness == fitness else float("-inf"), generation, parents, how)

    for _ in range(population):
        attempt(_drawn(generator), 0, (), "drawn")
    for generation in range(1, generations):
        ranked = _ranked(tried)
        if proposer is not None:
            with suppress(ValueError):  # what is no design is passed over
                attempt(parse_design(proposer(ranked)), generation, (), "proposed")
        parents = [one.design for one in ranked[: max(2, population // 4)]]
        for _ in range(population):
            a, b = (parents[i] for i in generator.integers(len(parents), size=2))
            if a != b and generator.random() < 0.5:
                attempt(_crossed(a, b, generator), generation, (a, b), "crossed")
            else:
                attempt(_mutated(a, generator), generation, (a,), "mutated")
    return _ranked(tried)


def parse_design(text: str) -> Design:
    """The design of a text `design(transform="gated", heads=4)`; ValueError for anything else."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"design: not one Python expression ({error.msg})") from error
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "design"):
        raise ValueError("design: wanted one call of design(...)")
    if call.args:
        raise ValueError("design: wanted named arguments only")
    known = {field.name for field in fields(Design)}
    given: dict[str, str | int] = {}
    for word in call.keywords:
        if word.arg not in known or not isinstance(word.value, ast.Constant):
            raise ValueError(f"design: got {word.arg}, wanted constants for some of {sorted(known)}")
        if not isinstance(word.value.value, str | int):
            raise ValueError(f"design: {word.arg} is {word.value.value!r}, wanted a text or a whole number")
        given[word.arg] = word.value.value
    return Design(**given)  # type: ignore[arg-type]


def _ranked(tried: dict[Design, Tried]) -> list[Tried]:
    return sorted(tried.values(), key=lambda one: (-one.fitness, str(one.design)))


def _drawn(generator: np.random.Generator) -> Design:
    return Design(**{name: allowed[generator.integers(len(allowed))] for name, allowed in {**PARTS, **SIZES}.items()})  # type: ignore[arg-type]


def _mutated(design: Design, generator: np.random.Generator) -> Design:
    choices = {**PARTS, **SIZES}
    name = list(choices)[generator.integers(len(choices))]
    others = [value for value in choices[name] if value != getattr(design, name)]
    return replace(design, **{name: others[generator.integers(len(others))]})  # type: ignore[arg-type]


def _crossed(a: Design, b: Design, generator: np.random.Generator) -> Design:
    one, other = asdict(a), asdict(b)
    return Design(**{name: (one if generator.random() < 0.5 else other)[name] for name in one})
