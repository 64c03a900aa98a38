"""A top-k sparse autoencoder (2406.04093): the usual way to read activations, and what other ways are held against.

    sae = fit_sae(x, width=576, k=9)          # x (N, D)
    codes = sae.encode(x)                     # (N, width), k of each row not zero
    x_hat = codes @ sae.dictionary.T + sae.bias

Each row keeps its k largest pre-activations, those below zero not counted. Features that have not fired for a while
are trained on what the others leave over (the auxiliary loss of section A.2).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AUXILIARY = 1 / 32  # weight of the loss of the silent features
SILENT_AFTER = 20_000  # rows without firing


class TopKSAE(nn.Module):
    """Encoder (width, D), decoder with unit columns (D, width), a bias that is taken off and put back, and the scale
    of the data, by which inputs are divided inside."""

    scale: Tensor

    def __init__(self, dim: int, width: int, k: int) -> None:
        super().__init__()
        if dim < 1 or not 1 <= k <= width:
            raise ValueError(f"dim, width, k: got {dim}, {width}, {k}, wanted dim >= 1 and 1 <= k <= width")
        self.k = k
        directions = F.normalize(torch.randn(dim, width), dim=0)
        self.decoder = nn.Parameter(directions)
        self.encoder = nn.Parameter(directions.T.clone())
        self.threshold = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("scale", torch.ones(()))

    @property
    def dictionary(self) -> Tensor:
        """What one unit of each code adds to the state, (D, width)."""
        return F.normalize(self.decoder, dim=0)

    @property
    def stored(self) -> int:
        """Numbers that the autoencoder consists of."""
        return sum(p.numel() for p in self.parameters())

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, width) of states (N, D), none below zero, at most k of a row above."""
        return self._largest(self._before(x)) * self.scale

    def decode(self, codes: Tensor) -> Tensor:
        """States (N, D) of codes (N, width)."""
        return codes @ self.dictionary.T + self.bias

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of x."""
        return self.decode(self.encode(x))

    def _before(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != len(self.bias):
            raise ValueError(f"x: got shape {tuple(x.shape)}, wanted (N, {len(self.bias)})")
        return (x - self.bias) / self.scale @ self.encoder.T + self.threshold

    def _largest(self, before: Tensor, k: int | None = None) -> Tensor:
        values, places = before.topk(self.k if k is None else k, dim=1)
        return torch.zeros_like(before).scatter(1, places, values.clamp(min=0))


def fit_sae(
    x: Tensor,
    width: int,
    k: int,
    *,
    epochs: int = 5,
    lr: float = 2e-3,
    batch: int = 512,
    seed: int = 0,
) -> TopKSAE:
    """Train on states (N, D) by Adam, the rate falling to nothing over the last fifth of the steps."""
    if x.ndim != 2 or len(x) < 1 or not x.isfinite().all():
        raise ValueError(f"x: got shape {tuple(x.shape)}, wanted finite states (N, D)")
    x = x.float()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sae = TopKSAE(x.shape[1], width, k)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        sae.bias.copy_(x.mean(0))
        sae.scale.copy_((x - x.mean(0)).norm(dim=1).mean().clamp(min=1e-8))
    optimiser = torch.optim.Adam(sae.parameters(), lr=lr, betas=(0.9, 0.999))
    steps = epochs * -(-len(x) // batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, 5 * (1 - step / steps)))
    silent = torch.zeros(width)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(batch):
            _step(sae, x[rows], silent)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
    return sae.requires_grad_(False)


def _step(sae: TopKSAE, x: Tensor, silent: Tensor) -> None:
    """Gradients of one batch; `silent` (width,) counts the rows since each feature last fired."""
    before = sae._before(x)
    codes = sae._largest(before)
    target = (x - sae.bias) / sae.scale
    left = target - codes @ sae.dictionary.T
    loss = left.square().sum(1).mean()
    silent += len(x)
    silent[(codes > 0).any(0)] = 0
    dead = silent > SILENT_AFTER
    if dead.any():
        few = sae._largest(before.masked_fill(~dead, 0), min(2 * sae.k, int(dead.sum())))
        loss = loss + AUXILIARY * (left.detach() - few @ sae.dictionary.T).square().sum(1).mean()
    loss.backward()
