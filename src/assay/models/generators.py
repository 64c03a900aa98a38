"""Small generators for trials: networks that learn a velocity field in seconds on one core."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

FREQUENCIES = 32


class MLPVelocity(nn.Module):
    """A residual LayerNorm-SiLU network from `x (B, *shape)` and `t (B,)` to a velocity `(B, *shape)`.

    Time enters as sines and cosines, a class as an embedding added to it; `num_classes` classes have one label
    more, `num_classes`, that stands for none. Both are added inside every block.
    """

    def __init__(
        self, shape: tuple[int, ...], *, width: int = 256, blocks: int = 3, num_classes: int | None = None
    ) -> None:
        super().__init__()
        dim = math.prod(shape)
        self.shape = tuple(shape)
        self.enter = nn.Linear(dim, width)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(num_classes + 1, width) if num_classes is not None else None
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim))

    def forward(self, x: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"x: got {tuple(x.shape)}, wanted (B, {', '.join(map(str, self.shape))})")
        if (cond is None) != (self.label is None):
            wanted = "no labels" if self.label is None else "labels (B,)"
            raise ValueError(f"cond: got {'none' if cond is None else 'labels'}, wanted {wanted}")
        context = self.time(_waves(t))
        if self.label is not None:
            context = context + self.label(cond)
        hidden = self.enter(x.flatten(1))
        for block in self.blocks:
            hidden = block(hidden, context)
        velocity: Tensor = self.leave(hidden).reshape(x.shape)
        return velocity


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.context = nn.Linear(width, width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, hidden: Tensor, context: Tensor) -> Tensor:
        inner = self.inner(self.norm(hidden)) + self.context(context)
        moved: Tensor = hidden + self.outer(nn.functional.silu(inner))
        return moved


def _waves(t: Tensor) -> Tensor:
    """Sines and cosines of `t (B,)` at 32 frequencies from 1 to 100 radians: `(B, 64)`."""
    rates = torch.logspace(0, 2, FREQUENCIES, device=t.device, dtype=t.dtype)
    angles = t[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)
