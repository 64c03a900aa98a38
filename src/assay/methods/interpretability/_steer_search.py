"""Bayesian optimisation of a few weights, by BoTorch or Optuna: a Gaussian process with a Matern-5/2 kernel and a
length scale for every weight, and the expected improvement in logarithms (steer2adapt)."""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Backend = Literal["botorch", "optuna"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tried:
    """A mix, its score and the margins of the items under it."""

    alpha: tuple[float, ...]
    score: float
    after: tuple[float, ...]


Score = Callable[[Floats], Tried]


def maximise(
    score: Score,
    weights: int,
    *,
    bounds: tuple[float, float],
    n_init: int,
    n_iter: int,
    patience: int,
    backend: Backend,
    seed: int,
) -> list[Tried]:
    """Every mix tried, in order. It starts with no mix, every concept alone by 1 and -1, and Sobol points up to
    `n_init`; then `n_iter` further ones, ended early when the best has not changed for `patience`."""
    low, high = bounds
    if weights < 1:
        raise ValueError(f"weights: got {weights}, wanted at least 1")
    if not (math.isfinite(low) and math.isfinite(high) and low < 0 < high):
        raise ValueError(f"bounds: got {bounds}, wanted low < 0 < high")
    if n_init < 1 or n_iter < 0 or patience < 1:
        raise ValueError(f"n_init, n_iter, patience: got {n_init}, {n_iter}, {patience}, wanted >= 1, >= 0, >= 1")
    if backend not in _NEXT:
        raise ValueError(f"backend: got {backend!r}, wanted 'botorch' or 'optuna'")
    if importlib.util.find_spec(backend) is None:
        other = "optuna" if backend == "botorch" else "botorch"
        hint = f"; or backend={other!r}" if importlib.util.find_spec(other) else ""
        raise ModuleNotFoundError(
            f"backend {backend!r} is not installed: pip install 'assay-papers[interpretability]'{hint}", name=backend
        )
    tried = [score(alpha) for alpha in starts(weights, bounds, n_init, seed)]
    best, since = max(one.score for one in tried), 0
    for _ in range(n_iter):
        tried.append(score(np.clip(_NEXT[backend](tried, bounds, seed), low, high)))
        since = 0 if tried[-1].score > best else since + 1
        best = max(best, tried[-1].score)
        if since == patience:
            break
    return tried


def starts(weights: int, bounds: tuple[float, float], n_init: int, seed: int) -> list[Floats]:
    """No mix, every concept alone both ways, then Sobol points."""
    from scipy.stats import qmc

    low, high = bounds
    alone = np.eye(weights)
    found = [np.zeros(weights), *np.clip(alone, low, high), *np.clip(-alone, low, high)]
    more = n_init - len(found)
    if more > 0:
        with warnings.catch_warnings():  # Sobol points are balanced for powers of two only; these need not be
            warnings.simplefilter("ignore", UserWarning)
            found += list(low + (high - low) * qmc.Sobol(weights, rng=seed).random(more))
    return found


def _next_botorch(tried: list[Tried], bounds: tuple[float, float], seed: int) -> Floats:
    import torch
    from botorch.acquisition import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Normalize, Standardize
    from botorch.optim import optimize_acqf
    from gpytorch.kernels import MaternKernel, ScaleKernel
    from gpytorch.mlls import ExactMarginalLogLikelihood

    x = torch.tensor([one.alpha for one in tried], dtype=torch.float64)
    y = torch.tensor([[one.score] for one in tried], dtype=torch.float64)
    box = torch.tensor(bounds, dtype=torch.float64).unsqueeze(1).expand(2, x.shape[1])
    kernel = ScaleKernel(MaternKernel(nu=2.5, ard_num_dims=x.shape[1]))
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that did not converge still gives the next point to try
        torch.manual_seed(seed + len(tried))
        process = SingleTaskGP(
            x,
            y,
            covar_module=kernel,
            input_transform=Normalize(x.shape[1], bounds=box),
            outcome_transform=Standardize(1),
        )
        fit_gpytorch_mll(ExactMarginalLogLikelihood(process.likelihood, process))
        gain = LogExpectedImprovement(process, best_f=y.max())
        point, _ = optimize_acqf(gain, box, q=1, num_restarts=4, raw_samples=64)
    return np.asarray(point[0].numpy(), dtype=np.float64)


def _next_optuna(tried: list[Tried], bounds: tuple[float, float], seed: int) -> Floats:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    low, high = bounds
    names = [f"a{i}" for i in range(len(tried[0].alpha))]
    box = {name: optuna.distributions.FloatDistribution(low, high) for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.GPSampler(seed=seed + len(tried), n_startup_trials=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(
        [
            optuna.trial.create_trial(params=dict(zip(names, one.alpha)), distributions=box, value=one.score)
            for one in tried
        ]
    )
    asked = study.ask(box)
    return np.array([asked.params[name] for name in names])


_NEXT = {"botorch": _next_botorch, "optuna": _next_optuna}
