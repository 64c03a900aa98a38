"""Gaussian mixtures with exact answers: density, score and the velocity field of flow matching.

Data drawn from a mixture of Gaussians with diagonal covariances stay a mixture along the linear path
`x_t = (1 - t) x_0 + t eps` (t = 0 data, t = 1 noise), so what a network is meant to learn is known in closed
form. `ring8` and `grid25` are pictures in the plane; `hundred16` has 100 random components in 16 dimensions,
new for every seed. A sample holds the mixture and a fixed data set drawn from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GaussianMixture:
    """Component weights `(K,)`, means `(K, d)` and diagonal variances `(K, d)`."""

    weights: Floats
    means: Floats
    variances: Floats

    def __post_init__(self) -> None:
        if self.weights.shape != self.means.shape[:1] or self.means.shape != self.variances.shape:
            raise ValueError(
                f"mixture: got weights {self.weights.shape}, means {self.means.shape}, variances "
                f"{self.variances.shape}, wanted (K,), (K, d), (K, d)"
            )
        if (self.weights <= 0).any() or not np.isclose(self.weights.sum(), 1):
            raise ValueError("weights: wanted positive shares that sum to 1")
        if (self.variances <= 0).any():
            raise ValueError("variances: wanted positive values")

    def draw(self, n: int, generator: np.random.Generator) -> Floats:
        """`n` points, `(n, d)`."""
        component = generator.choice(len(self.weights), size=n, p=self.weights)
        noise = generator.standard_normal((n, self.means.shape[1]))
        return self.means[component] + np.sqrt(self.variances[component]) * noise

    def log_density(self, x: ArrayLike, t: ArrayLike = 0.0) -> Floats:
        """Log density of `x_t` at `x (n, d)` and times `t` (a number or `(n,)`): `(n,)`."""
        points, t = self._points(x, t)
        logs = self._log_joint(points, t)
        top = logs.max(1)
        return top + np.log(np.exp(logs - top[:, None]).sum(1))

    def density(self, x: ArrayLike, t: ArrayLike = 0.0) -> Floats:
        """Density of `x_t`, `(n,)`."""
        return np.exp(self.log_density(x, t))

    def score(self, x: ArrayLike, t: ArrayLike = 0.0) -> Floats:
        """Gradient of the log density of `x_t` with respect to x, `(n, d)`."""
        points, t = self._points(x, t)
        r, spread = self._posterior(points, t), self._spread(t)
        residual = (1 - t)[:, None, None] * self.means - points[:, None]
        return np.einsum("nk,nkd->nd", r, residual / spread)

    def velocity(self, x: ArrayLike, t: ArrayLike) -> Floats:
        """`E[eps - x_0 | x_t = x]`, `(n, d)`: the minimiser of the flow-matching loss."""
        points, t = self._points(x, t)
        mean, _ = self._data_given(points, t)
        return np.einsum("nk,nkd->nd", self._posterior(points, t), self._to_velocity(points, t, mean))

    def target_variance(self, t: float, n: int, generator: np.random.Generator) -> float:
        """`E |(eps - x_0) - velocity(x_t, t)|^2`: exact given `x_t`, averaged over `n` draws of `x_t`.

        On the linear path `eps - x_0 = (x_t - x_0) / t`, so this is the variance of `x_0` given `x_t`, over t^2.
        """
        if not 0 < t <= 1:
            raise ValueError(f"t: got {t}, wanted a time in (0, 1]")
        data = self.draw(n, generator)
        points = (1 - t) * data + t * generator.standard_normal(data.shape)
        points, times = self._points(points, t)
        r = self._posterior(points, times)
        mean, variance = self._data_given(points, times)
        overall = np.einsum("nk,nkd->nd", r, mean)
        around = np.einsum("nk,nkd->n", r, variance + (mean - overall[:, None]) ** 2)
        return float(around.mean() / t**2)

    def _points(self, x: ArrayLike, t: ArrayLike) -> tuple[Floats, Floats]:
        points = np.asarray(x, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != self.means.shape[1]:
            raise ValueError(f"x: got {points.shape}, wanted (n, {self.means.shape[1]})")
        if not np.isfinite(points).all():
            raise ValueError("x: holds NaN or infinity, wanted finite values")
        times = np.broadcast_to(np.asarray(t, dtype=np.float64), len(points))
        if times.min() < 0 or times.max() > 1:
            raise ValueError(f"t: got times in [{times.min():g}, {times.max():g}], wanted [0, 1]")
        return points, times

    def _spread(self, t: Floats) -> Floats:
        """Variance of `x_t` within each component, `(n, K, d)`."""
        return ((1 - t) ** 2)[:, None, None] * self.variances + (t**2)[:, None, None]

    def _log_joint(self, x: Floats, t: Floats) -> Floats:
        spread = self._spread(t)
        residual = x[:, None] - (1 - t)[:, None, None] * self.means
        return np.log(self.weights) - 0.5 * (residual**2 / spread + np.log(2 * np.pi * spread)).sum(-1)

    def _posterior(self, x: Floats, t: Floats) -> Floats:
        """Share of each component in `x_t = x`, `(n, K)`."""
        logs = self._log_joint(x, t)
        shares = np.exp(logs - logs.max(1, keepdims=True))
        return shares / shares.sum(1, keepdims=True)

    def _data_given(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of `x_0` given `x_t = x` and the component, `(n, K, d)` each."""
        alpha = (1 - t)[:, None, None]
        spread = self._spread(t)
        gain = alpha * self.variances / spread
        mean = self.means + gain * (x[:, None] - alpha * self.means)
        return mean, self.variances * (t**2)[:, None, None] / spread

    def _to_velocity(self, x: Floats, t: Floats, mean_x0: Floats) -> Floats:
        """`E[eps] - E[x_0]` per component; the noise mean needs no division by t, so t = 0 is defined."""
        alpha = (1 - t)[:, None, None]
        noise = t[:, None, None] * (x[:, None] - alpha * self.means) / self._spread(t)
        return noise - mean_x0


@dataclass(frozen=True)
class MixtureSample:
    """A mixture and a data set drawn from it, float32 `(n, d)`."""

    mixture: GaussianMixture
    data: NDArray[np.float32]


@dataclass(frozen=True)
class MixtureWorld:
    """`points` data points from one of the presets; only `hundred16` differs from seed to seed in its mixture."""

    preset: Literal["ring8", "grid25", "hundred16"] = "hundred16"
    points: int = 2048

    def __post_init__(self) -> None:
        if self.preset not in _PRESETS:
            raise ValueError(f"preset: got {self.preset!r}, wanted one of {sorted(_PRESETS)}")
        if self.points < 1:
            raise ValueError(f"points: got {self.points}, wanted at least 1")

    def sample(self, seed: int) -> MixtureSample:
        """The mixture and its data set for this seed."""
        generator = np.random.default_rng(seed)
        mixture = _PRESETS[self.preset](generator)
        return MixtureSample(mixture, mixture.draw(self.points, generator).astype(np.float32))

    def check(self, sample: MixtureSample, x: ArrayLike, t: ArrayLike, velocity: ArrayLike) -> float:
        """Mean squared error of a velocity field against the exact one, summed over dimensions."""
        error = np.asarray(velocity, dtype=np.float64) - sample.mixture.velocity(x, t)
        return float(np.square(error).sum(1).mean())


def ring8(generator: np.random.Generator) -> GaussianMixture:
    """Eight equal spots on the unit circle."""
    angle = 2 * np.pi * np.arange(8) / 8
    return _equal(np.stack([np.cos(angle), np.sin(angle)], 1), 0.05**2)


def grid25(generator: np.random.Generator) -> GaussianMixture:
    """Twenty-five equal spots on a 5 x 5 grid over [-1, 1]^2."""
    side = np.linspace(-1, 1, 5)
    return _equal(np.stack(np.meshgrid(side, side), -1).reshape(-1, 2), 0.05**2)


def hundred16(generator: np.random.Generator) -> GaussianMixture:
    """100 components in 16 dimensions: means U(-1, 1), variances U(0.01, 0.1), weights in proportion to U(0.1, 1)."""
    weights = generator.uniform(0.1, 1, 100)
    means = generator.uniform(-1, 1, (100, 16))
    return GaussianMixture(weights / weights.sum(), means, generator.uniform(0.01, 0.1, (100, 16)))


def _equal(means: Floats, variance: float) -> GaussianMixture:
    return GaussianMixture(np.full(len(means), 1 / len(means)), means, np.full_like(means, variance))


_PRESETS = {"ring8": ring8, "grid25": grid25, "hundred16": hundred16}


def world(preset: Literal["ring8", "grid25", "hundred16"] = "hundred16", points: int = 2048) -> MixtureWorld:
    """The world for trials: `world="mixtures"` with `world_args={"preset": ...}`."""
    return MixtureWorld(preset, points)
