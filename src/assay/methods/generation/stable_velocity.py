"""Stable Velocity: A Variance Perspective on Flow Matching (arXiv 2602.05435).

The single-sample target `u = eps - x_0` is noisy near the prior and almost exact near the data. So (1) StableVM
averages the target over many references where its variance is high; (2) VA-REPA aligns features only where
there is something left of them to align; (3) StableVS takes few large closed-form steps where the velocity is
almost conditional. Training costs one softmax over the reference bank a step; sampling costs nothing.

Details that matter:

- The paper and its code align features where t < tau, near the *data*. A summary that says "in the high-variance
  region" has it the wrong way round.
- With `noise_factor=0` the StableVS step on the linear path *is* an Euler step: what is gained is only the
  allocation of the steps. `low_split` must then lie where the user's own data have little variance
  (`assay use stable_velocity variance`); a split that is too high loses.
- Released defaults for sampling are split 0.7, 5 low steps, noise 0.1. Ours are 0.85, 9 and 0, the setting of
  the paper's 30 -> 20 steps.
- `StableVMLoss` draws t from [1e-4, 1 - 1e-4] rather than [0, 1]: at the ends the target is not defined.
- `MemoryBank` and the averaged target take any feature shape; references beyond memory are streamed in chunks.

Time runs from data (t = 0) to noise (t = 1) as in the paper.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from assay.methods.flow import (
    Path,
    Solution,
    Velocity,
    check_floats,
    check_times,
    drop_labels,
    sample_times,
)

EDGE = 1e-4  # the averaged target divides by sigma_t: times stay this far from both ends
ROWS = 256  # rows of x_t held at a time while a variance is estimated

PathKind = Literal["linear", "cosine"]
Schedule = Literal["sigmoid", "hard", "hard_high", "cosine", "snr"]


def stable_target(
    x_t: Tensor,
    refs: Tensor,
    t: Tensor,
    *,
    path: PathKind = "linear",
    prediction: Literal["v", "x"] = "v",
    chunk: int = 1024,
) -> Tensor:
    """The velocity at `x_t (N, *)`, averaged over the references `refs (M, *)` by their posterior weights.

        w_ij = softmax_j( -|x_i - alpha_i r_j|^2 / (2 sigma_i^2) )
        v_i  = sum_j w_ij [ (sigma'/sigma) x_i + (alpha' - alpha sigma'/sigma) r_j ]

    For references that are the whole data set this is its exact marginal velocity. `prediction="x"` returns
    `sum_j w_ij r_j`. The softmax is streamed over `chunk` references in float32, so memory is O(N chunk).

    Returns `(N, *)` in the dtype of `x_t`. Raises ValueError for `t (N,)` outside [1e-4, 1 - 1e-4] and for
    references of another shape.
    """
    check_floats("x_t", x_t)
    check_floats("refs", refs)
    check_times("t", t, len(x_t), EDGE, 1 - EDGE)
    if refs.shape[1:] != x_t.shape[1:]:
        raise ValueError(f"refs: got rows of {tuple(refs.shape[1:])}, wanted {tuple(x_t.shape[1:])} as in x_t")
    if prediction not in ("v", "x"):
        raise ValueError(f"prediction: got {prediction!r}, wanted 'v' or 'x'")
    if chunk < 1:
        raise ValueError(f"chunk: got {chunk}, wanted at least 1")
    alpha, sigma, d_alpha, d_sigma = (c[:, None] for c in Path(path).coefficients(t.float()))
    x = x_t.flatten(1).float()
    mean = _posterior_mean(x, refs.flatten(1), alpha, sigma, chunk)
    if prediction == "v":
        slope = d_sigma / sigma
        mean = slope * x + (d_alpha - alpha * slope) * mean
    return mean.reshape(x_t.shape).to(x_t.dtype)


def _posterior_mean(x: Tensor, refs: Tensor, alpha: Tensor, sigma: Tensor, chunk: int) -> Tensor:
    """`sum_j w_ij r_j (N, D)` by a softmax that never holds more than `chunk` columns (online rescaling)."""
    top = torch.full_like(alpha, -math.inf)
    total = torch.zeros_like(alpha)
    mean = torch.zeros_like(x)
    for start in range(0, len(refs), chunk):
        r = refs[start : start + chunk].float()
        # -|x - alpha r|^2 / 2 sigma^2 without |x|^2, which is the same for every j and drops out of the softmax
        logits = (alpha * (x @ r.T) - alpha.square() * r.square().sum(1) / 2) / sigma.square()
        higher = torch.maximum(top, logits.amax(1, keepdim=True))
        weights, shrink = (logits - higher).exp(), (top - higher).exp()
        total = total * shrink + weights.sum(1, keepdim=True)
        mean = mean * shrink + weights @ r
        top = higher
    return mean / total


@dataclass(frozen=True)
class VarianceEstimate:
    """Variance of the single-sample target at time `t`, summed over dimensions: `total = conditional + marginal`.

    conditional   E |u(x_t|x_0) - u(x_t)|^2, the noise that training has to average away
    marginal      variance of u(x_t) itself, what there is to learn
    ratio         conditional / total
    """

    t: float
    total: float
    conditional: float
    marginal: float
    ratio: float


def target_variance(
    x0_refs: Tensor, t: float, n: int = 4096, *, path: PathKind = "linear", generator: torch.Generator
) -> VarianceEstimate:
    """Monte Carlo estimate from `n` noised draws of the references `(M, *)`, which stand for the whole data set."""
    check_floats("x0_refs", x0_refs)
    if n < 2:
        raise ValueError(f"n: got {n}, wanted at least 2")
    conditional, square = 0.0, 0.0
    mean = torch.zeros(x0_refs[0].numel(), dtype=torch.float64, device=x0_refs.device)
    for start in range(0, n, ROWS):
        rows = min(ROWS, n - start)
        x0 = x0_refs[torch.randint(len(x0_refs), (rows,), generator=generator, device=generator.device)].float()
        noise = torch.randn(x0.shape, generator=generator, device=generator.device)
        times = torch.full((rows,), float(t), device=x0.device)
        u = stable_target(Path(path).sample(x0, noise, times), x0_refs, times, path=path).flatten(1).double()
        conditional += float((Path(path).velocity(x0, noise, times).flatten(1) - u).square().sum()) / n
        square += float(u.square().sum()) / n
        mean += u.sum(0) / n
    marginal = max(square - float(mean.square().sum()), 0.0)
    total = conditional + marginal
    return VarianceEstimate(float(t), total, conditional, marginal, conditional / total if total else 0.0)


def variance_curve(
    refs: Tensor, ts: Sequence[float], n: int = 4096, *, path: PathKind = "linear", generator: torch.Generator
) -> list[VarianceEstimate]:
    """`target_variance` at each of `ts`, strictly increasing: the table behind `regime_split`."""
    if not ts or any(b <= a for a, b in itertools.pairwise(ts)):
        raise ValueError(f"ts: got {list(ts)}, wanted strictly increasing times")
    return [target_variance(refs, t, n, path=path, generator=generator) for t in ts]


def regime_split(curve: Sequence[VarianceEstimate], xi: float = 0.05) -> float:
    """The smallest t of the curve at which the conditional variance exceeds `xi` of its maximum."""
    if not 0 < xi < 1:
        raise ValueError(f"xi: got {xi}, wanted a share in (0, 1)")
    highest = max((point.conditional for point in curve), default=0.0)
    if highest <= 1e-9 * max((point.total for point in curve), default=0.0):  # rounding, not variance
        raise ValueError("curve: holds no conditional variance at all; give more than one distinct reference")
    return next(point.t for point in curve if point.conditional > xi * highest)


class MemoryBank:
    """The last `capacity_per_class` examples of every class, first in, first out.

    The label `num_classes` stands for all classes together (the null label of classifier-free guidance).
    """

    def __init__(
        self,
        num_classes: int,
        capacity_per_class: int = 256,
        *,
        feature_shape: Sequence[int],
        dtype: torch.dtype = torch.float16,
        device: torch.device | str = "cpu",
    ) -> None:
        if num_classes < 1 or capacity_per_class < 1:
            raise ValueError(f"bank: got {num_classes} classes of {capacity_per_class}, wanted at least 1 of each")
        self.num_classes, self.capacity = num_classes, capacity_per_class
        self._store = torch.zeros(num_classes, capacity_per_class, *feature_shape, dtype=dtype, device=device)
        self._added = [0] * num_classes  # ever; the next entry goes to this position modulo the capacity

    @property
    def ready(self) -> bool:
        """Whether every class holds at least one entry."""
        return all(self._added)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Store examples `x (B, *feature_shape)` of the classes `y (B,)`, the oldest of a full class give way."""
        check_floats("x", x, (len(y), *self._store.shape[2:]))
        if y.min() < 0 or y.max() >= self.num_classes:
            raise ValueError(f"y: got labels {y.min()} to {y.max()}, wanted 0 to {self.num_classes - 1}")
        for label in y.unique().tolist():
            rows = x[y == label]
            first = self._added[label] + max(0, len(rows) - self.capacity)
            self._added[label] += len(rows)
            slots = torch.arange(first, self._added[label], device=self._store.device) % self.capacity
            self._store[label, slots] = rows[-self.capacity :].to(self._store)

    def entries(self, label: int) -> Tensor:
        """All that is held of one class, `(M, *feature_shape)`; of every class for `num_classes`."""
        if label == self.num_classes:
            return torch.cat([self.entries(c) for c in range(self.num_classes)])
        if not 0 <= label < self.num_classes:
            raise ValueError(f"label: got {label}, wanted 0 to {self.num_classes} (all classes)")
        held = min(self._added[label], self.capacity)
        if held == 0:
            raise ValueError(f"bank: class {label} holds 0 entries")
        return self._store[label, :held]

    def sample(self, y: Tensor, generator: torch.Generator) -> Tensor:
        """One example a label, drawn uniformly from its class: `(B, *feature_shape)` for `y (B,)`."""
        drawn = torch.empty(len(y), *self._store.shape[2:], dtype=self._store.dtype, device=self._store.device)
        for label in y.unique().tolist():
            held, rows = self.entries(label), y == label
            drawn[rows] = held[torch.randint(len(held), (int(rows.sum()),), generator=generator, device=held.device)]
        return drawn


class StableVMLoss:
    """Flow matching from a memory bank, with the target averaged over the bank where `t >= split`.

    Labels are uniform and dropped to the null label at the rate `label_dropout`; `x_0` comes from the bank of
    its label, and so do the references. `weighting="lognormal"` draws `s = exp(1.2 n - 1.2)`, `t = s/(1 + s)`.

        loss = StableVMLoss(bank)(model, batch_size=256, generator=generator)    # a scalar with gradient
    """

    def __init__(
        self,
        bank: MemoryBank,
        split: float = 0.5,
        label_dropout: float = 0.1,
        path: PathKind = "linear",
        weighting: Literal["uniform", "lognormal"] = "uniform",
    ) -> None:
        if not 0 <= split <= 1:
            raise ValueError(f"split: got {split}, wanted a time in [0, 1]")
        if weighting not in ("uniform", "lognormal"):
            raise ValueError(f"weighting: got {weighting!r}, wanted 'uniform' or 'lognormal'")
        self.bank, self.split, self.label_dropout = bank, split, label_dropout
        self.path, self.weighting = Path(path), weighting

    def __call__(self, velocity: Velocity, batch_size: int, *, generator: torch.Generator) -> Tensor:
        x_t, t, labels, target = self.batch(batch_size, generator=generator)
        return (velocity(x_t, t, labels) - target).square().mean()

    def batch(self, batch_size: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`x_t (B, *)`, `t (B,)`, labels `(B,)` and the target `(B, *)` of one step."""
        classes = self.bank.num_classes
        labels = torch.randint(classes, (batch_size,), generator=generator, device=generator.device)
        labels = drop_labels(labels, self.label_dropout, classes, generator=generator)
        x0 = self.bank.sample(labels, generator).float()
        noise = torch.randn(x0.shape, generator=generator, device=generator.device)
        mean, std = (-1.2, 1.2) if self.weighting == "lognormal" else (0.0, 1.0)
        t = sample_times(batch_size, self.weighting, mean=mean, std=std, generator=generator)
        t = EDGE + (1 - 2 * EDGE) * t
        x_t, target = self.path.sample(x0, noise, t), self.path.velocity(x0, noise, t)
        noisy = t >= self.split
        for label in labels[noisy].unique().tolist():
            rows = noisy & (labels == label)
            target[rows] = stable_target(x_t[rows], self.bank.entries(label), t[rows], path=self.path.kind)
        return x_t, t, labels, target


def alignment_weight(
    t: Tensor,
    schedule: Schedule = "sigmoid",
    tau: float | None = None,
    k: float = 20.0,
    *,
    path: PathKind = "linear",
) -> Tensor:
    """How much a row at time `t (B,)` counts in feature alignment: about 1 near the data, 0 near the noise.

        sigmoid  s(k (tau - t))      hard  1[t < tau]      hard_high  1[t >= tau], the paper's ablation
        cosine   (1 + cos(pi t / tau)) / 2 below tau, else 0      snr  SNR(t) / (SNR(t) + SNR(tau))

    `tau` is 0.7, for cosine 0.85, unless given.
    """
    check_times("t", t, len(t))
    tau = (0.85 if schedule == "cosine" else 0.7) if tau is None else tau
    if not 0 < tau < 1:
        raise ValueError(f"tau: got {tau}, wanted a time in (0, 1)")
    if schedule == "sigmoid":
        return torch.sigmoid(k * (tau - t))
    if schedule == "hard":
        return (t < tau).to(t.dtype)
    if schedule == "hard_high":
        return (t >= tau).to(t.dtype)
    if schedule == "cosine":
        return torch.where(t < tau, (1 + torch.cos(math.pi * t / tau)) / 2, torch.zeros_like(t))
    if schedule == "snr":
        alpha, sigma, _, _ = Path(path).coefficients(t)
        alpha_tau, sigma_tau, _, _ = Path(path).coefficients(t.new_tensor(tau))
        # over a common denominator, so that both ends of [0, 1] are defined
        signal, noise = (alpha * sigma_tau).square(), (sigma * alpha_tau).square()
        return signal / (signal + noise)
    raise ValueError(f"schedule: got {schedule!r}, wanted 'sigmoid', 'hard', 'hard_high', 'cosine' or 'snr'")


def va_repa_loss(
    hidden: Tensor,
    target: Tensor,
    t: Tensor,
    schedule: Schedule = "sigmoid",
    tau: float | None = None,
    k: float = 20.0,
    *,
    path: PathKind = "linear",
) -> Tensor:
    """Variance-aware REPA: `sum_b w_b (-mean_p cos(hidden, target)) / sum_b w_b` with `w = alignment_weight(t)`.

    `hidden (B, P, D)` are projected features of the model (`AlignmentHead`), `target (B, P, D)` those of a
    frozen encoder. The paper adds it with coefficient 0.5. A batch without weight gives exactly 0, with a graph.
    """
    check_floats("hidden", hidden)
    check_floats("target", target, hidden.shape)
    if hidden.dim() != 3:
        raise ValueError(f"hidden: got {tuple(hidden.shape)}, wanted (batch, patches, features)")
    weights = alignment_weight(t, schedule, tau, k, path=path)
    check_floats("t", t, (len(hidden),))
    if weights.sum() < 1e-8:
        return hidden.sum() * 0
    distance = -nn.functional.cosine_similarity(hidden, target, dim=-1).mean(1)
    return (weights * distance).sum() / weights.sum()


class AlignmentHead(nn.Sequential):
    """Features `(B, P, dim)` of the model to those of the encoder `(B, P, target_dim)`: three layers with SiLU."""

    def __init__(self, dim: int, target_dim: int, width: int = 2048) -> None:
        super().__init__(
            nn.Linear(dim, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, target_dim)
        )


def stable_step(
    x: Tensor,
    v: Tensor,
    t: float,
    s: float,
    noise_factor: float = 0.0,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """From time `t` to `s < t` in closed form, as if the velocity were conditional on `x_0 = x - t v`.

        beta = f s,  rho = sqrt((s^2 - beta^2) / t^2),  c = (1 - s) - (1 - t) rho
        x_s = rho x + c (x - t v) + beta z

    With `noise_factor` f = 0 this is the Euler step of length t - s; f = 1 forgets the noise in `x` altogether.
    """
    if not 0 <= s < t <= 1:
        raise ValueError(f"s: got a step from t={t:g} to s={s:g}, wanted 0 <= s < t <= 1")
    if not 0 <= noise_factor <= 1:
        raise ValueError(f"noise_factor: got {noise_factor}, wanted a share in [0, 1]")
    if v.shape != x.shape:
        raise ValueError(f"v: got {tuple(v.shape)}, wanted {tuple(x.shape)} as x")
    beta = noise_factor * s
    rho = math.sqrt(max(0.0, s * s - beta * beta)) / t
    c = (1 - s) - (1 - t) * rho
    x_s = (rho + c) * x - c * t * v
    if beta > 0:
        x_s = x_s + beta * torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return x_s


def kept_steps(sigmas: Sequence[float], split: float = 0.85, low_steps: int = 9) -> list[int]:
    """Indices into `sigmas` (strictly decreasing, the last 0) of the steps that StableVS keeps.

    All at or above `split`; of those below, `low_steps` evenly spread ones, beginning with the first. Raises
    ValueError unless `low_steps` is at least 1 and at most the number of low sigmas, the closing 0 left out.
    """
    if len(sigmas) < 2 or sigmas[-1] != 0 or any(b >= a for a, b in itertools.pairwise(sigmas)):
        raise ValueError("sigmas: wanted at least two, strictly decreasing, the last 0")
    if not 0 < split < 1:
        raise ValueError(f"split: got {split}, wanted a time in (0, 1)")
    high = sum(sigma >= split for sigma in sigmas)
    low = len(sigmas) - high - 1
    if not 1 <= low_steps <= low:
        raise ValueError(f"low_steps: got {low_steps}, wanted 1 to {low}, the number of steps below split {split:g}")
    spread = [round(i * (low - 1) / max(low_steps - 1, 1)) for i in range(low_steps)]
    return [*range(high), *(high + i for i in spread)]


def stable_schedule(sigmas: Sequence[float], split: float = 0.85, low_steps: int = 9) -> list[float]:
    """The shortened schedule: `sigmas` at `kept_steps`, then 0."""
    return [float(sigmas[i]) for i in kept_steps(sigmas, split, low_steps)] + [0.0]


@torch.no_grad()
def stable_solve(
    velocity: Velocity,
    x1: Tensor,
    sigmas: Sequence[float],
    *,
    split: float = 0.85,
    low_steps: int = 9,
    noise_factor: float = 0.0,
    cond: Any = None,
    generator: torch.Generator | None = None,
) -> Solution:
    """Sample with StableVS: Euler steps down to `split`, then `low_steps` closed-form ones.

    `sigmas` is the unshortened schedule. Returns the samples `(B, *)` and the number of evaluations.
    """
    check_floats("x1", x1)
    steps = stable_schedule(sigmas, split, low_steps)
    x = x1
    for t, s in itertools.pairwise(steps):
        v = velocity(x, torch.full((len(x),), t, device=x.device, dtype=x.dtype), cond)
        x = stable_step(x, v, t, s, noise_factor if t < split else 0.0, generator=generator)
    return Solution(x, len(steps) - 1)


@dataclass(frozen=True)
class Recipe:
    """The paper's full size: SiT-XL/2 on the latents of ImageNet-256, StableVM with VA-REPA."""

    layers: int = 28
    heads: int = 16
    head_dim: int = 72
    patch: int = 2
    latent_shape: tuple[int, int, int] = (4, 32, 32)
    num_classes: int = 1000
    batch_size: int = 256
    bank_per_class: int = 256  # 2 GB of float16 latents
    split: float = 0.5
    label_dropout: float = 0.1
    tau: float = 0.7
    k: float = 20.0
    alignment_coefficient: float = 0.5
    guidance_scale: float = 1.8
    guidance_interval: tuple[float, float] = (0.0, 0.7)
