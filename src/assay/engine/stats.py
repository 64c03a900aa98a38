"""The three tests behind a verdict, for many sets of paired differences at once. NumPy and `statistics` only.

A row is one trial's differences `c_1 … c_n`, positive where the method clears its bar. Every function takes
rows of shape (T, n): `verdict()` passes one, a simulation of error rates passes thousands, and both run the
same lines. The rule wants three tests to agree, because each alone errs at the sample sizes used here:

- BCa bootstrap interval of the mean (Efron 1987), second-order accurate but too short below ~30 seeds;
- sign-flip permutation of the mean, exact wherever differences are symmetric;
- studentised (bootstrap-t) bounds, which answer for skewed differences.

Rows are sorted before resampling, so a result does not depend on the order of the seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LEVEL = 0.025  # of each one-sided test; the intervals cover 95 %
DRAWS = 9_999  # bootstrap draws; (DRAWS + 1) * LEVEL is whole, so the tails are order statistics
FLIPS = 99_999  # random sign flips where 2**n of them are too many
EXACT_UP_TO = 20  # seeds; up to here all 2**n flips are counted
TOLERANCE = 1e-12  # below this share of the largest value, two floats are the same number
_CHUNK = 8  # rows resampled together, so that the (rows, DRAWS) arrays stay in the processor's cache
_LOWER, _UPPER = round(LEVEL * (DRAWS + 1)) - 1, round((1 - LEVEL) * (DRAWS + 1)) - 1  # ranks of the tails
_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf(1 - LEVEL)


@dataclass(frozen=True)
class Tests:
    """What the three tests say of T rows; every field has shape (T,)."""

    estimate: Floats  # mean of the row
    low: Floats  # BCa interval, 95 %
    high: Floats
    boot_t_low: Floats  # studentised bounds, 97.5 % each way
    boot_t_high: Floats
    p_holds: Floats  # sign-flip, H0: symmetric about a centre <= 0
    p_fails: Floats  # the same of the negated row
    skew: Floats
    constant: Flags  # all differences equal


def clears(tests: Tests) -> Flags:
    """Rows that all three tests put above zero, shape (T,)."""
    return (tests.low > 0) & (tests.p_holds <= LEVEL) & (tests.boot_t_low > 0)


def misses(tests: Tests) -> Flags:
    """Rows that all three tests put below zero, shape (T,)."""
    return (tests.high < 0) & (tests.p_fails <= LEVEL) & (tests.boot_t_high < 0)


def decide(cleared: Flags, missed: Flags) -> NDArray[np.str_]:
    """The outcome of T trials: cleared (contrasts, T) of all contrasts, missed (bars, T) of the bars alone.

    The placebo can keep a trial from holding and cannot make it fail.
    """
    return np.where(cleared.all(axis=0), "holds", np.where(missed.any(axis=0), "fails", "inconclusive"))


def three_tests(differences: ArrayLike, seed: int, *, flips: int = FLIPS) -> Tests:
    """BCa, sign-flip and studentised bounds of every row.

    differences: (T, n) finite floats, n >= 2. seed: of the bootstrap weights and of the random flips, which
    all rows share. Raises ValueError for other shapes and for values that are not finite.
    """
    rows = _rows(differences)
    weights = bootstrap_weights(rows.shape[1], seed)
    parts = [_intervals(rows[i : i + _CHUNK], weights) for i in range(0, len(rows), _CHUNK)]
    low, high, boot_t_low, boot_t_high = (np.concatenate(bound) for bound in zip(*parts, strict=True))
    return Tests(
        rows.mean(axis=1),
        low,
        high,
        boot_t_low,
        boot_t_high,
        sign_flip(rows, seed, flips=flips),
        sign_flip(-rows, seed, flips=flips),
        skewness(rows),
        _constant(rows),
    )


def cleared(differences: ArrayLike, seed: int, *, flips: int = FLIPS) -> Flags:
    """`clears(three_tests(…))` of every row, shape (T,), where the bounds themselves are not wanted.

    A bound is above zero when enough draws are, so draws are counted and not sorted; and rows that the sign-flip
    test stops are not resampled. Simulations of power ask for nothing else, and take a tenth of the time.
    """
    rows = _rows(differences)
    left = np.flatnonzero(sign_flip(rows, seed, flips=flips) <= LEVEL)
    weights = bootstrap_weights(rows.shape[1], seed)
    found = np.zeros(len(rows), dtype=bool)
    for i in range(0, len(left), _CHUNK):
        chosen = left[i : i + _CHUNK]
        drawn = _resampled(rows[chosen], weights)
        found[chosen] = _boot_t_above_zero(rows[chosen], weights, *drawn) & _bca_above_zero(rows[chosen], *drawn)
    return found


@lru_cache(maxsize=4)
def bootstrap_weights(n: int, seed: int) -> Floats:
    """How often each of n seeds is drawn in each resample: (DRAWS, n), every row sums to n. Read-only."""
    generator = np.random.default_rng([seed, n])
    drawn = generator.integers(0, n, size=(DRAWS, n)) + n * np.arange(DRAWS)[:, None]
    weights = np.bincount(drawn.ravel(), minlength=DRAWS * n).reshape(DRAWS, n).astype(np.float64)
    weights.flags.writeable = False
    return weights


def _intervals(rows: Floats, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """BCa low and high, studentised low and high of sorted rows (T, n); [c, c] where all differences equal c."""
    mean, centred, draws, tie = _resampled(rows, weights)
    boot_t_low, boot_t_high = _studentised(centred, draws, weights, tie)
    low, high = bca(draws, np.zeros(len(rows)), centred / (rows.shape[1] - 1), tie)
    bounds = (
        mean + low,
        mean + high,
        np.clip(mean + boot_t_low, rows[:, 0], rows[:, -1]),
        np.clip(mean + boot_t_high, rows[:, 0], rows[:, -1]),
    )
    same = _constant(rows)
    low, high, boot_t_low, boot_t_high = (np.where(same, rows[:, 0], bound) for bound in bounds)
    return low, high, boot_t_low, boot_t_high


def _boot_t_above_zero(
    rows: Floats, weights: Floats, mean: Floats, centred: Floats, draws: Floats, tie: Floats
) -> Flags:
    """Whether the studentised low of sorted rows (T, n), kept within their differences, is above zero."""
    t, se = _t_draws(centred, draws, weights, tie)
    enough = (t * se[:, None] < mean[:, None]).sum(axis=1) > _UPPER
    above: Flags = (rows[:, 0] > 0) | (enough & (rows[:, -1] > 0) & ~_constant(rows))
    return above


def _bca_above_zero(rows: Floats, mean: Floats, centred: Floats, draws: Floats, tie: Floats) -> Flags:
    """Whether the BCa low of sorted rows (T, n) is above zero."""
    not_above = (draws <= -mean[:, None]).sum(axis=1)
    levels = _bca_levels(draws, np.zeros(len(rows)), centred / (rows.shape[1] - 1), tie)[:, 0]
    below = np.clip(levels * (DRAWS + 1) - 1, 0, DRAWS - 1).astype(np.intp)
    for i in np.flatnonzero(not_above == below + 1):  # zero lies between the two draws that are interpolated
        not_above[i] = below[i] + (_quantiles(draws[i], levels[i : i + 1])[0] <= -mean[i])
    above: Flags = np.where(_constant(rows), rows[:, 0] > 0, not_above <= below)
    return above


def _resampled(rows: Floats, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Of rows (T, n): mean (T,), centred rows, resampled means less the mean (T, DRAWS), and what counts as a tie."""
    mean = rows.mean(axis=1)
    centred = rows - mean[:, None]
    return mean, centred, centred @ weights.T / rows.shape[1], TOLERANCE * np.abs(rows).max(axis=1)


def bca(draws: Floats, estimate: Floats, influence: Floats, tie: Floats) -> tuple[Floats, Floats]:
    """Bias-corrected and accelerated 95 % interval of each row's estimate (Efron 1987, eq. 2.3 and 6.6).

    draws: (T, DRAWS) resampled estimates. influence: (T, n), mean of the jackknife estimates minus each of
    them. tie: (T,), draws closer to the estimate than this count half, so that lattices are not biased.
    """
    levels = _bca_levels(draws, estimate, influence, tie)
    bounds = np.array([_quantiles(row, at) for row, at in zip(draws, levels)])
    return bounds[:, 0], bounds[:, 1]


def _bca_levels(draws: Floats, estimate: Floats, influence: Floats, tie: Floats) -> Floats:
    """The levels at which the resampled estimates bound the interval: (T, 2). Arguments as in `bca`."""
    below = (draws < (estimate - tie)[:, None]).sum(axis=1)
    equal = (np.abs(draws - estimate[:, None]) <= tie[:, None]).sum(axis=1)
    share = np.clip((below + equal / 2) / DRAWS, 1 / (DRAWS + 1), DRAWS / (DRAWS + 1))
    power = (influence**2).sum(axis=1) ** 1.5
    cubes = (influence**3).sum(axis=1)
    acceleration = np.divide(cubes, 6 * power, out=np.zeros_like(cubes), where=power > 0)
    levels = np.empty((len(draws), 2))
    for i, a in enumerate(acceleration):
        z0 = _NORMAL.inv_cdf(share[i])
        levels[i] = [_NORMAL.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))) for z in (-_Z, _Z)]
    return levels


def _quantiles(values: Floats, levels: Floats) -> Floats:
    """Linear interpolation between order statistics, the k-th of B standing at level k / (B + 1)."""
    position = np.clip(levels * (len(values) + 1) - 1, 0, len(values) - 1)
    below = position.astype(np.intp)
    above = np.minimum(below + 1, len(values) - 1)
    ordered = np.partition(values, np.unique([below, above]))
    between: Floats = ordered[below] + (position - below) * (ordered[above] - ordered[below])
    return between


def _studentised(centred: Floats, draws: Floats, weights: Floats, tie: Floats) -> tuple[Floats, Floats]:
    """Bootstrap-t bounds relative to the mean: -t*(.975) se and -t*(.025) se; infinite where the draws are."""
    t, se = _t_draws(centred, draws, weights, tie)
    t.partition((_LOWER, _UPPER), axis=1)
    with np.errstate(invalid="ignore"):  # se = 0 times infinity: a constant row, replaced by the caller
        return -t[:, _UPPER] * se, -t[:, _LOWER] * se


def _t_draws(centred: Floats, draws: Floats, weights: Floats, tie: Floats) -> tuple[Floats, Floats]:
    """t* of every draw (T, DRAWS) and the standard error (T,).

    A draw that repeats one value has se* = 0 and counts as plus or minus infinity.
    """
    n = centred.shape[1]
    squares = centred**2
    variance = squares @ weights.T
    variance /= n
    variance -= draws**2
    flat = variance <= 1e-13 * squares.max(axis=1)[:, None]  # rounding leaves this much of a true zero
    variance[flat] = 1.0
    variance /= n - 1
    t = draws / np.sqrt(variance, out=variance)
    t[flat] = np.where(np.abs(draws) > tie[:, None], np.copysign(np.inf, draws), 0.0)[flat]
    return t, np.sqrt(squares.mean(axis=1) / (n - 1))


def sign_flip(differences: ArrayLike, seed: int, *, flips: int = FLIPS) -> Floats:
    """One-sided permutation p of the mean under flipped signs, shape (T,); small when a row is positive.

    Exact up to `EXACT_UP_TO` seeds, so p is a multiple of 2**-n; beyond, (1 + hits) / (1 + flips) with seeded
    flips. Sums within 1e-12 of the row's total size are ties, and ties count against the method.
    """
    rows = _rows(differences)
    enough = rows.sum(axis=1) - TOLERANCE * np.abs(rows).sum(axis=1)
    if rows.shape[1] <= EXACT_UP_TO:
        return _share_of_all_flips(rows, enough)
    generator = np.random.default_rng([seed, rows.shape[1], flips])
    hits = np.zeros(len(rows))
    for start in range(0, flips, 4096):
        signs = 2.0 * generator.integers(0, 2, size=(min(4096, flips - start), rows.shape[1])) - 1.0
        hits += (signs @ rows.T >= enough).sum(axis=0)
    p: Floats = (1 + hits) / (1 + flips)
    return p


def _share_of_all_flips(rows: Floats, enough: Floats) -> Floats:
    """The share of the 2**n signed sums of each row that reach `enough`.

    A signed sum is one half's plus the other half's: with one half sorted, each of the 2**(n/2) sums of the
    other finds its partners by bisection, so 20 seeds take a thousand look-ups and not a million sums.
    """
    half = rows.shape[1] // 2
    left = _signed_sums(rows[:, :half])
    right = np.sort(_signed_sums(rows[:, half:]), axis=1)
    short = np.array([np.searchsorted(r, e - s).sum() for s, r, e in zip(left, right, enough)])
    reached: Floats = 1.0 - short / 2.0 ** rows.shape[1]
    return reached


def _signed_sums(rows: Floats) -> Floats:
    """All 2**n sums of ±c_1 ± … ± c_n: (T, 2**n)."""
    sums = np.zeros((len(rows), 1))
    for column in rows.T:
        sums = np.concatenate([sums + column[:, None], sums - column[:, None]], axis=1)
    return sums


def skewness(rows: Floats) -> Floats:
    """Moment coefficient g1 of each row, 0 for a constant one: (T,)."""
    centred = rows - rows.mean(axis=1)[:, None]
    spread = (centred**2).mean(axis=1) ** 1.5
    third = (centred**3).mean(axis=1)
    g1: Floats = np.divide(third, spread, out=np.zeros_like(third), where=(spread > 0) & ~_constant(rows))
    return g1


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down adjusted p-values, in the order given: family-wise error under any dependence."""
    values = _probabilities(p)
    order = np.argsort(values, kind="stable")
    steps = np.minimum(1.0, np.arange(len(values), 0, -1) * values[order])
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Benjamini-Hochberg q-values, in the order given: expected share of false findings."""
    values = _probabilities(p)
    order = np.argsort(values, kind="stable")[::-1]
    steps = np.minimum(1.0, values[order] * len(values) / np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum.accumulate(steps)
    return adjusted


def _rows(differences: ArrayLike) -> Floats:
    rows = np.asarray(differences, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] < 2:
        raise ValueError(f"differences: got shape {rows.shape}, wanted (trials, seeds) with at least 2 seeds")
    if not np.isfinite(rows).all():
        raise ValueError("differences: got a value that is not finite, wanted finite numbers only")
    return np.sort(rows, axis=1)


def _constant(rows: Floats) -> Flags:
    """Rows whose differences are one number, up to rounding."""
    same: Flags = np.ptp(rows, axis=1) <= TOLERANCE * np.abs(rows).max(axis=1)
    return same


def _probabilities(p: ArrayLike) -> Floats:
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p: got {values!r}, wanted a list of probabilities")
    return values
