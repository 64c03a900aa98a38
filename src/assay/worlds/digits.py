"""Real handwritten digits, 8x8: the 1,797 images that scikit-learn carries (UCI, CC BY 4.0).

Grey levels 0 to 16 are scaled to [-1, 1]. The split is fixed, 1,400 to train and 397 to test, and the same for
every seed; what a seed decides are the draws of whoever uses the world.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

TRAIN = 1400
LEVELS = 16


@dataclass(frozen=True)
class Digits:
    """Images `(n, 1, 8, 8)` float32 in [-1, 1] and labels `(n,)` 0 to 9, split into train and test."""

    train: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test: NDArray[np.float32]
    test_labels: NDArray[np.int64]


@dataclass(frozen=True)
class DigitsWorld:
    """The same real digits for every seed."""

    def sample(self, seed: int) -> Digits:
        """The split; `seed` makes no difference to it."""
        return _load()

    def check(self, images: ArrayLike) -> bool:
        """Whether these are images of this world: shape `(n, 1, 8, 8)`, finite, within [-1, 1]."""
        values = np.asarray(images)
        return values.ndim == 4 and values.shape[1:] == (1, 8, 8) and bool((np.abs(values) <= 1).all())


def world() -> DigitsWorld:
    """The world for trials: `world="digits"`."""
    return DigitsWorld()


@cache
def _load() -> Digits:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    # the file is ordered by writer: a fixed shuffle gives both parts the same hands
    order = np.random.default_rng(0).permutation(len(images))
    scaled = (images[order].reshape(-1, 1, 8, 8) * (2 / LEVELS) - 1).astype(np.float32)
    labels = labels[order].astype(np.int64)
    return Digits(scaled[:TRAIN], labels[:TRAIN], scaled[TRAIN:], labels[TRAIN:])
