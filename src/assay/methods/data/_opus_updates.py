"""Products of what an optimiser would make of each row's gradient: with a direction, and with one another."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from assay.methods.data._opus_geometry import Map, OptimizerGeometry, Scaled, Turned
from assay.methods.data._opus_ghost import Embedding, Ghosts, Linear, Use, gram
from assay.methods.data._opus_sketch import CountSketch, OuterSketch, shares


def utilities(ghosts: Ghosts, geometry: OptimizerGeometry, direction: Mapping[str, Tensor]) -> Tensor:
    """<P g_z, d> of every row z, (B,), summed over the parameters."""
    return torch.stack([ghosts.dot(name, geometry.maps[name](direction[name])) for name in ghosts.uses]).sum(dim=0)


def exact_gram(ghosts: Ghosts, geometry: OptimizerGeometry) -> Tensor:
    """<P g_y, P g_z> of every pair of rows, (B, B)."""
    parts = []
    for name in ghosts.uses:
        through = geometry.maps[name]
        if isinstance(through, Scaled):
            parts.append(through.factor**2 * ghosts.gram(name))
        elif (turned := _turned(ghosts, name, through)) is not None:
            parts.append(gram(turned, turned))
        else:
            rows = through(ghosts.rows(name)).flatten(1)
            parts.append(rows @ rows.T)
    return torch.stack(parts).sum(dim=0)


class UpdateSketch:
    """Short stand-ins for the updates P g_z: `total` numbers for all parameters together, at least 64 for each."""

    def __init__(self, total: int, seed: int) -> None:
        self.total, self.seed = total, seed
        self._whole: dict[str, CountSketch] = {}
        self._outer: dict[str, OuterSketch] = {}

    def gram(self, ghosts: Ghosts, geometry: OptimizerGeometry) -> Tensor:
        """An unbiased estimate of `exact_gram`."""
        short = self(ghosts, geometry)
        return short @ short.T

    def __call__(self, ghosts: Ghosts, geometry: OptimizerGeometry) -> Tensor:
        """(B, m) sketches of the rows' updates."""
        places = shares({name: _numbers(uses[0]) for name, uses in ghosts.uses.items()}, self.total)
        parts = []
        for i, name in enumerate(ghosts.uses):
            through, m, seed = geometry.maps[name], places[name], self.seed + 1000 * i
            outer = _turned(ghosts, name, through)
            if outer is not None and OuterSketch.pays(outer.b.shape[-1], outer.a.shape[-1], m):
                if name not in self._outer:
                    self._outer[name] = OuterSketch(outer.b.shape[-1], outer.a.shape[-1], m, seed)
                parts.append(self._outer[name](outer.b, outer.a))
            else:
                if name not in self._whole:
                    self._whole[name] = CountSketch(_numbers(ghosts.uses[name][0]), m, seed)
                parts.append(self._whole[name](through(ghosts.rows(name)).flatten(1)))
        return torch.cat(parts, dim=1)


def _turned(ghosts: Ghosts, name: str, through: Map) -> Linear | None:
    """The update as an outer product, where the parameter is one matrix and the map leaves it one."""
    uses = ghosts.uses[name]
    if len(uses) != 1 or not isinstance(uses[0], Linear):
        return None
    a, b = uses[0].a, uses[0].b
    if isinstance(through, Scaled):
        return Linear(a, through.factor * b)
    if isinstance(through, Turned):
        return Linear(a, b @ through.matrix) if through.left else Linear(a @ through.matrix, b)
    return None


def _numbers(use: Use) -> int:
    """How many numbers the parameter has."""
    if isinstance(use, Linear):
        return use.b.shape[-1] * use.a.shape[-1]
    return use.size * use.b.shape[-1] if isinstance(use, Embedding) else use.gradient[0].numel()
