"""Flow matching: paths, time samplers, the loss, ODE solvers and an average of weights.

Neutral ground (no paper in it). Time runs from data (t = 0) to noise (t = 1), so the linear path is
`x_t = (1 - t) x_0 + t eps` with velocity `eps - x_0`; a paper written the other way round is translated in its
own module. Images are `(B, C, H, W)` in [-1, 1], times `(B,)`, and a velocity model is any callable
`velocity(x, t, cond)` that returns a tensor like `x`. Random draws take a `torch.Generator`.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn


class Velocity(Protocol):
    """`x (B, *)`, `t (B,)` in [0, 1] and an opaque condition to a velocity `(B, *)`."""

    def __call__(self, x: Tensor, t: Tensor, cond: Any = None) -> Tensor: ...


@dataclass(frozen=True)
class Path:
    """The curve from data to noise, `x_t = alpha_t x_0 + sigma_t eps`, and its inverse.

    linear    alpha = 1 - t,           sigma = t
    cosine    alpha = cos(pi t / 2),   sigma = sin(pi t / 2)

    `alpha sigma' - sigma alpha'` is 1 on the linear path and pi/2 on the cosine one, never 0, so `x_0` and
    `eps` follow from `(x_t, v)` at every t.
    """

    kind: Literal["linear", "cosine"] = "linear"

    def __post_init__(self) -> None:
        if self.kind not in ("linear", "cosine"):
            raise ValueError(f"path: got {self.kind!r}, wanted 'linear' or 'cosine'")

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`(alpha, sigma, alpha', sigma')`, each of the shape of `t`."""
        if self.kind == "linear":
            return 1 - t, t, -torch.ones_like(t), torch.ones_like(t)
        angle = t * (math.pi / 2)
        return angle.cos(), angle.sin(), -(math.pi / 2) * angle.sin(), (math.pi / 2) * angle.cos()

    def sample(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """`x_t (B, *)`."""
        alpha, sigma, _, _ = self._checked(t, x0=x0, noise=noise)
        return alpha * x0 + sigma * noise

    def velocity(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """`dx_t/dt` for one pair of data and noise: the target that flow matching regresses on."""
        _, _, d_alpha, d_sigma = self._checked(t, x0=x0, noise=noise)
        return d_alpha * x0 + d_sigma * noise

    def x0_from_velocity(self, x_t: Tensor, velocity: Tensor, t: Tensor) -> Tensor:
        """The data that `(x_t, v)` points back to; on the linear path `x_t - t v`."""
        alpha, sigma, d_alpha, d_sigma = self._checked(t, x_t=x_t, velocity=velocity)
        return (d_sigma * x_t - sigma * velocity) / (alpha * d_sigma - sigma * d_alpha)

    def noise_from_velocity(self, x_t: Tensor, velocity: Tensor, t: Tensor) -> Tensor:
        """The noise that `(x_t, v)` points on to; on the linear path `x_t + (1 - t) v`."""
        alpha, sigma, d_alpha, d_sigma = self._checked(t, x_t=x_t, velocity=velocity)
        return (alpha * velocity - d_alpha * x_t) / (alpha * d_sigma - sigma * d_alpha)

    def _checked(self, t: Tensor, **pair: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Coefficients shaped to multiply the two tensors of `pair`, after both have been looked at."""
        (_, like), (name, other) = pair.items()
        for key, value in pair.items():
            check_floats(key, value)
        if other.shape != like.shape:
            raise ValueError(f"{name}: got {tuple(other.shape)}, wanted {tuple(like.shape)}")
        check_times("t", t, like.shape[0])
        alpha, sigma, d_alpha, d_sigma = self.coefficients(t)
        return expand(alpha, like), expand(sigma, like), expand(d_alpha, like), expand(d_sigma, like)


def sample_times(
    n: int,
    kind: Literal["uniform", "logit_normal", "lognormal"] = "uniform",
    *,
    mean: float = 0.0,
    std: float = 1.0,
    shift: float = 1.0,
    generator: torch.Generator,
) -> Tensor:
    """`n` training times in [0, 1], float32 `(n,)` on the generator's device.

    logit_normal  `t = sigmoid(std n + mean)`  (SD3)
    lognormal     `s = exp(std n + mean)`, `t = s / (1 + s)`  (EDM's noise levels on the linear path)

    The two are one distribution (`s/(1+s)` of a log-normal is the sigmoid of a normal); both names are kept
    because recipes quote their constants under either. `shift` moves times towards the noise, `shift_times`.
    """
    if n < 1:
        raise ValueError(f"n: got {n}, wanted at least 1")
    if std <= 0:
        raise ValueError(f"std: got {std}, wanted > 0")
    if kind == "uniform":
        t = torch.rand(n, generator=generator, device=generator.device)
    elif kind in ("logit_normal", "lognormal"):
        normal = torch.randn(n, generator=generator, device=generator.device)
        t = torch.sigmoid(std * normal + mean)
    else:
        raise ValueError(f"kind: got {kind!r}, wanted 'uniform', 'logit_normal' or 'lognormal'")
    return shift_times(t, shift)


def shift_times(t: Tensor, shift: float) -> Tensor:
    """`shift t / (1 + (shift - 1) t)`: more time near the noise for shift > 1, the ends stay (SD3, eq. 23)."""
    if shift <= 0:
        raise ValueError(f"shift: got {shift}, wanted > 0")
    return shift * t / (1 + (shift - 1) * t)


def flow_matching_loss(
    velocity: Velocity,
    x0: Tensor,
    cond: Any = None,
    *,
    times: Tensor,
    generator: torch.Generator,
    path: Path | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Mean squared error of the model against the conditional velocity of `x0 (B, *)` at `times (B,)`.

    `weights (B,)` scale the rows before the mean over the batch.
    """
    path = path or Path()
    noise = torch.randn(x0.shape, generator=generator, device=x0.device, dtype=x0.dtype)
    x_t = path.sample(x0, noise, times)
    error = (velocity(x_t, times, cond) - path.velocity(x0, noise, times)).square().flatten(1).mean(1)
    if weights is None:
        return error.mean()
    check_floats("weights", weights, (len(x0),))
    return (weights * error).mean()


def drop_labels(labels: Tensor, rate: float, null: int, *, generator: torch.Generator) -> Tensor:
    """Labels `(B,)` with a share `rate` replaced by the null class, for classifier-free guidance."""
    if not 0 <= rate <= 1:
        raise ValueError(f"rate: got {rate}, wanted a share in [0, 1]")
    dropped = torch.rand(labels.shape, generator=generator, device=labels.device) < rate
    return labels.masked_fill(dropped, null)


class Guidance(NamedTuple):
    """Classifier-free guidance, `v_null + scale (v - v_null)`, at times inside `interval`."""

    scale: float
    null: Any
    interval: tuple[float, float] = (0.0, 1.0)


class Solution(NamedTuple):
    """Where the ODE ended, `(B, *)`, and how often the velocity was asked on the way."""

    x0: Tensor
    evaluations: int


@torch.no_grad()
def solve(
    velocity: Velocity,
    x1: Tensor,
    sigmas: Sequence[float],
    *,
    method: Literal["euler", "heun", "midpoint"] = "euler",
    cond: Any = None,
    guidance: Guidance | None = None,
    callback: Callable[[int, Tensor], None] | None = None,
) -> Solution:
    """Integrate `dx/dt = v` from noise `x1 (B, *)` along `sigmas`, strictly decreasing and ending at 0.

    Euler is of first order and asks once a step; Heun and midpoint are of second order and ask twice. Where
    guidance is on, each of these asks counts twice. `callback(step, x)` sees the state after every step.
    """
    check_floats("x1", x1)
    _check_sigmas(sigmas)
    if method not in ("euler", "heun", "midpoint"):
        raise ValueError(f"method: got {method!r}, wanted 'euler', 'heun' or 'midpoint'")
    evaluations = 0

    def ask(x: Tensor, time: float) -> Tensor:
        nonlocal evaluations
        evaluations += 1
        t = torch.full((len(x),), time, device=x.device, dtype=x.dtype)
        v = velocity(x, t, cond)
        if guidance is None or not guidance.interval[0] <= time <= guidance.interval[1]:
            return v
        evaluations += 1
        unguided = velocity(x, t, guidance.null)
        return unguided + guidance.scale * (v - unguided)

    x = x1
    for step, (t, s) in enumerate(itertools.pairwise(sigmas)):
        v = ask(x, t)
        if method == "midpoint":
            v = ask(x + (s - t) / 2 * v, (t + s) / 2)
        elif method == "heun":
            v = (v + ask(x + (s - t) * v, s)) / 2
        x = x + (s - t) * v
        if callback is not None:
            callback(step, x)
    return Solution(x, evaluations)


class EMA:
    """An exponential moving average of a model's parameters; buffers are copied as they are.

    `ema.model` is the averaged copy, in evaluation mode and without gradients.
    """

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay: got {decay}, wanted a share in [0, 1)")
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average a step towards the model."""
        for average, current in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(current, 1 - self.decay)
        for kept, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)


def expand(per_row: Tensor, like: Tensor) -> Tensor:
    """`(B,)` as `(B, 1, ..., 1)` with as many axes as `like`, in its dtype."""
    return per_row.to(like.dtype).reshape(-1, *[1] * (like.dim() - 1))


def check_floats(name: str, x: Tensor, shape: Sequence[int] | None = None) -> None:
    """Raise unless `x` is a non-empty, finite float tensor (of this shape, if one is given)."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"{name}: got {got}, wanted a float tensor (images in [-1, 1])")
    if shape is not None and tuple(x.shape) != tuple(shape):
        raise ValueError(f"{name}: got {tuple(x.shape)}, wanted {tuple(shape)}")
    if x.dim() == 0 or x.numel() == 0:
        raise ValueError(f"{name}: got shape {tuple(x.shape)}, wanted a batch with at least one row")
    if not torch.isfinite(x).all():
        raise ValueError(f"{name}: holds NaN or infinity, wanted finite values")


def check_times(name: str, t: Tensor, batch: int, low: float = 0.0, high: float = 1.0) -> None:
    """Raise unless `t` is `(batch,)` with every time in [low, high]."""
    check_floats(name, t, (batch,))
    if t.min() < low or t.max() > high:
        raise ValueError(f"{name}: got times in [{t.min():g}, {t.max():g}], wanted [{low:g}, {high:g}]")


def _check_sigmas(sigmas: Sequence[float]) -> None:
    if len(sigmas) < 2 or sigmas[-1] != 0 or not 0 < sigmas[0] <= 1:
        raise ValueError(f"sigmas: got {list(sigmas)}, wanted at least two, the first in (0, 1] and the last 0")
    if any(s >= t for t, s in itertools.pairwise(sigmas)):
        raise ValueError("sigmas: wanted strictly decreasing times")
