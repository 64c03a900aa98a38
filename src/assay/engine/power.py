"""How many seeds a trial needs, found by running the rule itself on resampled differences.

A normal-theory formula gives the first guess; the rule of three tests asks for a little more than a t-test,
so the guess is checked by simulation and raised until four trials in five would hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from assay.engine.contrasts import differences, placebo_bar, resampling_seed
from assay.engine.pairing import Pairs, pair
from assay.engine.stats import Floats, cleared
from assay.engine.trial import MIN_SEEDS, Bar, Range, Trial, UnitResult

WANTED = 0.80  # power
MOST_SEEDS = 512
SIMULATED = 400  # trials a figure of power is taken from: standard error 0.02
_FLIPS = 9_999  # for p near 0.025 these are as good as the verdict's own
_NORMAL = NormalDist()
_Z_LEVEL, _Z_WANTED = _NORMAL.inv_cdf(0.975), _NORMAL.inv_cdf(WANTED)


@dataclass(frozen=True)
class PowerPoint:
    """The share of trials with `seeds` seeds that would hold, at two true effects."""

    seeds: int
    at_bar: float  # the effect equals the bar: the edge of the null, at most 2.5 % by construction
    at_expected: float


def seeds_needed(differences: ArrayLike, seed: int, *, simulate: bool = True) -> Range | None:
    """Seeds at which a trial whose contrasts look like these would hold four times in five.

    differences: (contrasts, n), one row a contrast that must clear zero. The range comes from what n seeds
    leave unknown of the spread (20 and 80 % quantiles). None where the mean of a row is <= 0: more seeds will
    not help. `simulate=False` gives the formula alone. Capped at 512.
    """
    rows = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    n, mean, spread = rows.shape[1], rows.mean(axis=1), rows.std(axis=1, ddof=1)
    if (mean <= 0).any():
        return None
    ratio = float((spread / mean).max())
    optimistic = math.sqrt((n - 1) / _chi_square_quantile(0.80, n - 1))
    pessimistic = math.sqrt((n - 1) / _chi_square_quantile(0.20, n - 1))
    low, value, high = (_formula(ratio * factor) for factor in (optimistic, 1.0, pessimistic))
    if simulate:
        residuals = rows - mean[:, None]
        while value < MOST_SEEDS and holds_share(residuals, mean, value, seed) < WANTED:
            value = min(MOST_SEEDS, math.ceil(1.15 * value))
    return Range(value, min(low, value), max(high, value))


def _formula(ratio: float) -> int:
    """Seeds of a one-sided t-test at 2.5 % with 80 % power; ratio: standard deviation over effect."""
    n = ((_Z_LEVEL + _Z_WANTED) * ratio) ** 2 + _Z_LEVEL**2 / 2
    return max(MIN_SEEDS, math.ceil(min(n, MOST_SEEDS)))


def _chi_square_quantile(level: float, degrees: int) -> float:
    """Wilson and Hilferty's approximation; exact enough for a range of seeds."""
    step = 2 / (9 * degrees)
    return float(degrees * max(1 - step + _NORMAL.inv_cdf(level) * math.sqrt(step), 0.01) ** 3)


def holds_share(residuals: Floats, effects: Floats, seeds: int, seed: int, *, trials: int = SIMULATED) -> float:
    """Share of simulated trials that hold, each of `seeds` joint draws of the contrasts' residuals.

    residuals: (contrasts, n), each row centred at 0. effects: (contrasts,), the true mean of each contrast.
    """
    drawn = np.random.default_rng([seed, seeds]).integers(0, residuals.shape[1], size=(trials, seeds))
    spread = residuals.std(axis=1)
    ease = np.divide(effects, spread, out=np.full(len(spread), np.inf), where=spread > 0)
    for i in np.argsort(ease):  # a trial that one contrast stops needs no other
        if len(drawn):
            drawn = drawn[cleared(residuals[i][drawn] + effects[i], seed, flips=_FLIPS)]
    return len(drawn) / trials


def power(
    trial: Trial,
    units: Iterable[UnitResult],
    seeds: Sequence[int],
    *,
    effect: float | None = None,
    fingerprint: str | None = None,
    quick: bool = False,
    trials: int = SIMULATED,
) -> tuple[PowerPoint, ...]:
    """The power curve of `trial` over numbers of seeds, with the spread seen in the units measured so far.

    effect: the true effect in units of the first bar (a share for a relative one, a cost ratio for a cost);
    default `Trial.expected`, else twice the bar's distance from no effect. Every other bar is cleared by its
    own distance, and the placebo is put where it changes nothing. A contrast of which no distance is known is
    put one standard deviation above its bar. fingerprint, quick: as for `verdict`. trials: simulated per point.
    Raises ValueError with fewer than two complete seeds, or without a bar that differences can answer.
    """
    pairs = pair(trial, units, fingerprint=fingerprint, quick=quick)
    bars = [bar for bar in trial.bars if bar.kind != "limit"]
    if not bars:
        raise ValueError("power: the trial has no bar that is tested on differences")
    if len(pairs.complete) < 2:
        raise ValueError(f"power: got {len(pairs.complete)} complete seeds, wanted at least 2: run the trial first")
    effects = [trial.expected if effect is None else effect, *(None for _ in bars[1:])]
    margins = [_margin(bar, pairs, e) for bar, e in zip(bars, effects)]
    tested = list(bars)
    if (control := placebo_bar(trial)) is not None:
        first = bars[0]
        tested.append(control)
        margins.append(margins[0] + _distance(first, pairs) if first.metric is None and first.versus else 0.0)
    rows = np.stack([differences(trial, bar, pairs) for bar in tested])
    spread = rows.std(axis=1, ddof=1)
    residuals = rows - rows.mean(axis=1)[:, None]
    expected = np.where(np.array(margins) > 0, margins, spread)
    expected[0] = margins[0] if effects[0] is not None else expected[0]
    at_bar = np.where(np.arange(len(rows)) < len(bars), 0.0, expected)

    def share(effects: Floats, n: int) -> float:
        return holds_share(residuals, effects, n, resampling_seed(trial), trials=trials)

    return tuple(PowerPoint(n, share(at_bar, n), share(expected, n)) for n in seeds)


def _margin(bar: Bar, pairs: Pairs, effect: float | None) -> float:
    """How far the mean difference stands above the bar at this true effect; None: twice the bar's distance."""
    if effect is None:
        return abs(_distance(bar, pairs))
    if bar.kind == "at_most_cost":
        return math.log(bar.size / effect)
    if bar.kind == "relative":
        return (effect - bar.size) * _scale(bar, pairs)
    return effect + bar.size if bar.kind == "within" else effect - bar.size


def _distance(bar: Bar, pairs: Pairs) -> float:
    """The gain at which the bar is just met, in units of the difference; 0 against a constant, where none is known."""
    if bar.kind == "relative":
        return bar.size * _scale(bar, pairs)
    if bar.kind == "at_most_cost":
        return -math.log(bar.size)
    if bar.kind == "within":
        return -bar.size
    return 0.0 if bar.versus is None else bar.size


def _scale(bar: Bar, pairs: Pairs) -> float:
    """The mean size of what a relative bar is a share of."""
    return float(np.abs(pairs.read(str(bar.versus), bar)).mean())
