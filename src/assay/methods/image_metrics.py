"""Measures of images and of sets of images. Neutral ground: numbers in, a number out."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike


def frechet_distance(a: ArrayLike, b: ArrayLike, *, eps: float = 1e-6, strict: bool = True) -> float:
    """Fréchet distance of two sets of features `(n, d)` and `(m, d)`, each taken as a Gaussian; >= 0, 0 at best.

        FD = |mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))

    It is the FID only when the features are Inception's; on other features call it FD and name them. The
    estimate is biased upwards for small sets: compare sets of equal size. With fewer than `2 d` rows the
    covariance is mostly noise: `strict` raises ValueError, otherwise a warning is given. `eps` is added to
    the diagonals when the product of the covariances is singular.
    """
    from scipy.linalg import sqrtm  # scipy.linalg alone costs 0.2 s at import

    x, y = _features("a", a), _features("b", b)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"b: got {y.shape[1]} features, wanted {x.shape[1]} as in a")
    for name, rows in (("a", x), ("b", y)):
        if len(rows) < 2 * rows.shape[1]:
            message = f"{name}: got {len(rows)} rows of {rows.shape[1]} features, wanted at least {2 * rows.shape[1]}"
            if strict:
                raise ValueError(message)
            warnings.warn(message, stacklevel=2)
    cov_x, cov_y = np.atleast_2d(np.cov(x.T)), np.atleast_2d(np.cov(y.T))
    if np.linalg.matrix_rank(cov_x @ cov_y) < len(cov_x):
        cov_x, cov_y = cov_x + eps * np.eye(len(cov_x)), cov_y + eps * np.eye(len(cov_y))
    root = sqrtm(cov_x @ cov_y)
    distance = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(cov_x + cov_y - 2 * np.real(root))
    return max(float(distance), 0.0)  # rounding can leave -1e-12 for equal sets


def _features(name: str, values: ArrayLike) -> np.ndarray:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or rows.size == 0:
        raise ValueError(f"{name}: got shape {rows.shape}, wanted (samples, features)")
    if not np.isfinite(rows).all():
        raise ValueError(f"{name}: holds NaN or infinity, wanted finite features")
    return rows
