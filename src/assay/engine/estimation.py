"""What an estimation plot shows, as numbers: the paired seeds, and the differences that a verdict rests on.

The interval and the density are those of the mean difference in units of the metric, from the bootstrap draws that
the verdict's own tests use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.engine.stats import TOLERANCE, bca, bootstrap_weights
from assay.engine.trial import Bar, Trial

SEED = 0  # of the bootstrap draws: one weight matrix serves every trial of so many seeds
_BINS = 40

Values = Mapping[str, Mapping[int, float]]  # arm -> seed -> value of the trial's metric


@dataclass(frozen=True)
class Difference:
    """Method minus another arm, seed by seed, and where the bar stands on the same axis (None: no bar)."""

    versus: str
    per_seed: NDArray[np.float64]
    bar: float | None


@dataclass(frozen=True)
class Estimate:
    """A difference with its mean, the 95 % BCa interval, and the density of the resampled mean: (value, height up
    to 1) from low to high, empty where all seeds agree."""

    difference: Difference
    mean: float
    low: float
    high: float
    density: tuple[tuple[float, float], ...]


def judged_arms(trial: Trial) -> list[str]:
    """Baseline, further arms that a bar names, placebo, method: the order in which they are drawn."""
    named = [trial.baseline, *(bar.versus for bar in trial.bars), trial.placebo, trial.method]
    return list(dict.fromkeys(arm for arm in named if arm is not None))


def complete_seeds(values: Values, arms: Sequence[str]) -> list[int]:
    """Seeds on which all these arms have a value."""
    sets = [set(values.get(arm, {})) for arm in arms]
    return sorted(set.intersection(*sets)) if sets else []


def is_worse(trial: Trial, values: Values, seed: int) -> bool:
    """Whether the method did worse than the baseline on the seed."""
    return _sign(trial) * (values[trial.method][seed] - values[trial.baseline][seed]) < 0


def differences(trial: Trial, values: Values, seeds: Sequence[int]) -> list[Difference]:
    """Method minus each arm it is judged against, in units of the metric."""
    method = column(values, trial.method, seeds)
    found = []
    for bar in trial.bars:
        if bar.versus is not None and bar.metric is None and bar.kind != "at_most_cost":
            other = column(values, bar.versus, seeds)
            found.append(Difference(bar.versus, method - other, _bar_position(trial, bar, other)))
    for arm in (trial.baseline, trial.placebo):
        if arm is not None and arm not in [d.versus for d in found]:
            bar_at = 0.0 if arm == trial.placebo and trial.bar is not None else None
            found.append(Difference(arm, method - column(values, arm, seeds), bar_at))
    return found


def estimates(trial: Trial, values: Values, seeds: Sequence[int]) -> list[Estimate]:
    """Every difference with its interval and density; two seeds at least."""
    return [_estimate(difference) for difference in differences(trial, values, seeds)]


def column(values: Values, arm: str, seeds: Sequence[int]) -> NDArray[np.float64]:
    """An arm's values on the seeds."""
    return np.array([values[arm][seed] for seed in seeds], dtype=np.float64)


def _estimate(difference: Difference) -> Estimate:
    c = np.sort(difference.per_seed)  # as the tests do: the order of seeds changes no interval
    mean, tie = c.mean(), TOLERANCE * np.abs(c).max()
    if np.ptp(c) <= tie:
        return Estimate(difference, float(mean), float(mean), float(mean), ())
    centred = c - mean
    draws = bootstrap_weights(len(c), SEED) @ centred / len(c)
    low, high = bca(draws[None], np.zeros(1), centred[None] / (len(c) - 1), np.array([tie]))
    return Estimate(difference, float(mean), float(mean + low[0]), float(mean + high[0]), _density(draws + mean))


def _density(draws: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    height, edges = np.histogram(draws, bins=_BINS)
    window = np.hanning(9) / np.hanning(9).sum()
    smooth = np.convolve(height, window, mode="same")
    middle = (edges[1:] + edges[:-1]) / 2
    return tuple(zip(middle.tolist(), (smooth / smooth.max()).tolist()))


def _bar_position(trial: Trial, bar: Bar, other: NDArray[np.float64]) -> float | None:
    if bar.relative is not None:
        return _sign(trial) * bar.relative * float(np.abs(other).mean())
    if bar.absolute is not None:
        return _sign(trial) * bar.absolute
    return -_sign(trial) * bar.within if bar.within is not None else None


def _sign(trial: Trial) -> float:
    return 1.0 if trial.metric.better == "higher" else -1.0
