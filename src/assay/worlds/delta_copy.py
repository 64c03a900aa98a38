"""Text that repeats itself at fixed distances: what attention heads at a fixed lag are good for.

A token is, with probability `copied`, the one that stood a lag earlier, the lag being one of a few that the seed
draws; else it follows the last token by a bigram chain of four successors each. Both are learned by a small
transformer: the chain from the last token, the copies from heads that look a lag back whatever stands there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SUCCESSORS = 4


@dataclass(frozen=True)
class CopyText:
    """A language: its lags, and for each token its successors `(V, 4)` and their probabilities `(V, 4)`."""

    lags: tuple[int, ...]
    copied: float
    length: int
    successors: NDArray[np.int64]
    odds: NDArray[np.float64]
    seed: int

    @property
    def vocabulary(self) -> int:
        return len(self.successors)

    def rows(self, count: int, part: int = 0) -> Tensor:
        """`(count, length)` tokens; other parts are other text in the same language."""
        rng = np.random.default_rng([self.seed, 1, part])
        rows = np.empty((count, self.length), dtype=np.int64)
        rows[:, 0] = rng.integers(self.vocabulary, size=count)
        reach = self.odds.cumsum(1)
        for t in range(1, self.length):
            last = rows[:, t - 1]
            step = (rng.random(count)[:, None] < reach[last]).argmax(1)
            rows[:, t] = self.successors[last, step]
            lag = rng.choice(self.lags, size=count)
            copies = (rng.random(count) < self.copied) & (lag <= t)
            rows[copies, t] = rows[copies, t - lag[copies]]
        return torch.from_numpy(rows)

    def random(self, count: int, part: int = 0) -> Tensor:
        """`(count, length)` tokens without any structure."""
        generator = torch.Generator().manual_seed(self.seed + part)
        return torch.randint(self.vocabulary, (count, self.length), generator=generator)


@dataclass(frozen=True)
class DeltaCopy:
    """The world: languages of `count` lags in 2 to `longest` tokens, in rows of `length`."""

    count: int = 3
    longest: int = 40
    length: int = 96
    vocabulary: int = 64
    copied: float = 0.6

    def __post_init__(self) -> None:
        if not 1 <= self.count <= self.longest - 1:
            raise ValueError(f"count: got {self.count}, wanted 1 to {self.longest - 1} different lags")
        if not self.longest < self.length:
            raise ValueError(f"length: got {self.length}, wanted more than the longest lag, {self.longest}")
        if self.vocabulary < SUCCESSORS:
            raise ValueError(f"vocabulary: got {self.vocabulary}, wanted at least {SUCCESSORS} tokens")
        if not 0 <= self.copied <= 1:
            raise ValueError(f"copied: got {self.copied}, wanted a share in [0, 1]")

    def sample(self, seed: int) -> CopyText:
        rng = np.random.default_rng([seed, 0])
        lags = rng.choice(np.arange(2, self.longest + 1), size=self.count, replace=False)
        successors = np.stack([rng.choice(self.vocabulary, SUCCESSORS, replace=False) for _ in range(self.vocabulary)])
        odds = rng.dirichlet(np.ones(SUCCESSORS), size=self.vocabulary)
        odds[:, -1] = 1 - odds[:, :-1].sum(1)
        return CopyText(tuple(sorted(int(lag) for lag in lags)), self.copied, self.length, successors, odds, seed)

    def check(self, text: CopyText, rows: Tensor) -> float:
        """Share of the tokens that stand a lag earlier, too, over the positions where every lag fits."""
        first = max(text.lags)
        repeats = torch.stack([rows[:, first:] == rows[:, first - lag : rows.shape[1] - lag] for lag in text.lags])
        return repeats.any(0).float().mean().item()


def world(count: int = 3, longest: int = 40, length: int = 96, vocabulary: int = 64, copied: float = 0.6) -> DeltaCopy:
    """The world for trials: `world="delta_copy"`."""
    return DeltaCopy(count, longest, length, vocabulary, copied)
