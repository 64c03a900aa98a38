"""A small classifier of a world's own images, whose 32 last features measure how alike two sets of images are.

Fréchet distances in these features (`methods/image_metrics.py`) are *not* FID: no Inception is involved. The
network is trained where it is needed, in seconds, from the world's own labelled images.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

FEATURES = 32


class WorldClassifier(nn.Module):
    """Images `(B, C, H, W)` in [-1, 1] to class scores `(B, classes)`; `features` gives the last `(B, 32)`."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        if size % 4:
            raise ValueError(f"size: got {size}, wanted a multiple of 4")
        self.shape = (channels, size, size)
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(32, 32, 3, padding=1, stride=2),
            nn.SiLU(),
            nn.Conv2d(32, 64, 3, padding=1, stride=2),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(64 * (size // 4) ** 2, FEATURES),
            nn.SiLU(),
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))

    @torch.no_grad()
    def features(self, images: ArrayLike, batch: int = 512) -> NDArray[np.float32]:
        """Penultimate features `(n, 32)` of images `(n, C, H, W)`."""
        x = torch.as_tensor(np.asarray(images), dtype=torch.float32)
        if x.dim() != 4 or tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"images: got {tuple(x.shape)}, wanted (n, {', '.join(map(str, self.shape))})")
        return torch.cat([self.body(rows) for rows in x.split(batch)]).numpy()

    def accuracy(self, images: ArrayLike, labels: ArrayLike) -> float:
        """Share of images classified as labelled."""
        with torch.no_grad():
            scores = self.head(torch.from_numpy(self.features(images)))
        return float((scores.argmax(1).numpy() == np.asarray(labels)).mean())


def train_classifier(images: ArrayLike, labels: ArrayLike, *, steps: int = 400, seed: int = 0) -> WorldClassifier:
    """A classifier of labelled images `(n, C, H, W)`, labels `(n,)` from 0; the same seed gives the same weights.

    400 steps of 128 images at AdamW 2e-3 with a cosine schedule: more than 97 % right on held-out digits.
    """
    x = torch.as_tensor(np.asarray(images), dtype=torch.float32)
    y = torch.as_tensor(np.asarray(labels), dtype=torch.int64)
    if x.dim() != 4 or x.shape[2] != x.shape[3] or len(x) != len(y):
        raise ValueError(f"images: got {tuple(x.shape)} with {len(y)} labels, wanted (n, C, S, S) with n labels")
    draws = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # initial weights; layers take no generator
        model = WorldClassifier(x.shape[1], x.shape[2], int(y.max()) + 1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = torch.randint(len(x), (128,), generator=draws)
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval().requires_grad_(False)
