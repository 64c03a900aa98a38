"""Stopping as soon as the answer is known, with the error rate kept at every look.

A sign e-process: given the sizes |c_i - theta|, the signs of differences symmetric about theta are fair coins,
so betting on them with stakes that depend only on sizes gives a martingale,

    E_n(theta) = mean over lambda of prod_{i<=n} (1 + tanh(lambda x_i))
    x_i = (c_i - theta) / rms(c_1 - theta, …, c_i - theta)

and it ever reaches 40 with probability at most 1/40 = 2.5 % (Ville 1939), however often one looks. Six seeds
are the fewest that can reach it, because 40 > 2**5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from assay.engine.contrasts import Compared, all_differences, compare, placebo_bar
from assay.engine.pairing import Pairs, pair
from assay.engine.stats import LEVEL, TOLERANCE, Flags, Floats
from assay.engine.trial import MIN_SEEDS, Trial, UnitResult, Verdict
from assay.engine.verdicts import judge

RULE = "sign-e-process/1"
_STAKES = np.array([0.5, 1.0, 2.0, 4.0])  # lambda: small ones for small steady effects, large for clear ones
_THRESHOLD = -np.log(LEVEL)  # log 40
_GRID = 201
_REACH = 6.0  # standard errors from the mean to the ends of the first grid


def log_e(differences: ArrayLike) -> Floats:
    """log E_i(0) after each seed i of every row: (T, n) -> (T, n), in the order the seeds were run."""
    c = np.asarray(differences, dtype=np.float64)
    if c.ndim != 2 or not np.isfinite(c).all():
        raise ValueError(f"differences: got shape {c.shape}, wanted (trials, seeds) of finite numbers")
    rms = np.sqrt(np.cumsum(c**2, axis=1) / np.arange(1, c.shape[1] + 1))
    x = np.divide(c, rms, out=np.zeros_like(c), where=rms > 0)
    y = x[..., None] * _STAKES
    # log(1 + tanh y) = y - log cosh y, and log cosh without overflow
    log_cosh = np.abs(y) + np.log1p(np.exp(-2 * np.abs(y))) - np.log(2)
    bets: Floats = np.logaddexp.reduce(np.cumsum(y - log_cosh, axis=1), axis=-1) - np.log(len(_STAKES))
    return bets


def crossed(differences: ArrayLike) -> Flags:
    """Whether the e-process has reached 40 by each seed: (T, n) -> (T, n)."""
    reached: Flags = np.maximum.accumulate(log_e(differences), axis=1) >= _THRESHOLD
    return reached


def confidence_sequence(differences: ArrayLike) -> tuple[float, float]:
    """95 % interval of the centre of (n,) differences that is valid at every look so far.

    It spans the thetas that neither the differences nor their mirror image have ruled out at any look. Raises
    ValueError below six seeds, which can rule out nothing.
    """
    c = np.asarray(differences, dtype=np.float64)
    if c.ndim != 1 or len(c) < MIN_SEEDS:
        raise ValueError(f"differences: got shape {c.shape}, wanted (seeds,) with at least {MIN_SEEDS} seeds")
    middle = float(c.mean())
    step = _REACH * float(c.std(ddof=1)) / np.sqrt(len(c))
    if step <= TOLERANCE * np.abs(c).max():
        return middle, middle
    return _edge(c, middle, -step), _edge(c, middle, step)


def _edge(c: Floats, middle: float, step: float) -> float:
    """The end of the confidence sequence on one side of the mean: a grid, then bisection."""
    while not _ruled_out(c, middle + np.array([step]))[0]:
        step *= 2
    thetas = middle + np.linspace(0.0, step, _GRID // 2 + 1)
    kept = np.flatnonzero(~_ruled_out(c, thetas))
    if not len(kept):  # even the mean: earlier looks had settled elsewhere
        return middle
    inside, outside = thetas[kept[-1]], thetas[kept[-1] + 1]
    for _ in range(50):
        half = (inside + outside) / 2
        inside, outside = (inside, half) if _ruled_out(c, np.array([half]))[0] else (half, outside)
    return float(inside)


def _ruled_out(c: Floats, thetas: Floats) -> Flags:
    shifted = c[None, :] - thetas[:, None]
    out: Flags = crossed(shifted)[:, -1] | crossed(-shifted)[:, -1]
    return out


def sequential_verdict(
    trial: Trial,
    units: Iterable[UnitResult],
    *,
    max_seeds: int = 64,
    fingerprint: str | None = None,
    planned: Collection[int] | None = None,
    quick: bool = False,
    nondeterministic: float | None = None,
) -> Verdict:
    """One look of `--sequential`, once all arms of the seeds so far are done: stop unless `inconclusive`.

    Holds when the e-process of every bar contrast and of the placebo's has reached 40 at some look, fails when
    that of a negated bar contrast has; either only while the three tests say the same of the same seeds,
    because skewed differences are no fair coins. Limits, crashes, incomplete seeds and headroom count as in
    `verdict`, and the arguments mean the same. From six seeds on, `low` and `high` are confidence sequences
    and p is 1 over the largest e-value.
    """
    pairs = pair(trial, units, fingerprint=fingerprint, planned=planned, quick=quick)
    comparison = compare(trial, pairs)
    if len(pairs.complete) >= MIN_SEEDS:
        comparison = replace(comparison, found=tuple(_anytime(f) for f in comparison.found))
    judged = judge(trial, pairs, comparison, rule=RULE, quick=quick, nondeterministic=nondeterministic)
    looks = f"{len(pairs.rows)} of at most {max_seeds} seeds"
    judged = replace(judged, flags=(f"sequential: {looks}", *judged.flags))
    if judged.outcome != "inconclusive":
        return judged
    return replace(judged, reason=f"open after {looks}: {judged.reason}")


def settled(
    trial: Trial, units: Iterable[UnitResult], *, planned: Collection[int], fingerprint: str | None = None
) -> bool:
    """Whether one look gives an answer: `sequential_verdict` is asked only where an e-process has crossed."""
    found = list(units)
    if not _worth_asking(trial, pair(trial, found, fingerprint=fingerprint, planned=planned)):
        return False
    return sequential_verdict(trial, found, planned=planned, fingerprint=fingerprint).outcome != "inconclusive"


def _worth_asking(trial: Trial, pairs: Pairs) -> bool:
    """False where the answer is open for sure: no bar is a limit and the e-processes have not crossed."""
    if any(bar.kind == "limit" for bar in trial.bars):
        return True
    control = placebo_bar(trial)
    rows, _ = all_differences(trial, [*trial.bars, *([control] if control else [])], pairs)
    if not rows:
        return False
    c = np.stack([found for _, found in rows])
    below = crossed(-c[: len(trial.bars)])[:, -1]
    return bool(crossed(c)[:, -1].all() or below.any())


def _anytime(f: Compared) -> Compared:
    """The contrast by the e-process, which must agree with the three tests that it has passed already."""
    if f.bar.kind == "limit":
        return f
    p_holds, p_fails = _anytime_p(f.contrast.per_seed)
    low, high = confidence_sequence(f.contrast.per_seed)
    return Compared(
        f.bar,
        replace(f.contrast, low=low, high=high, p_holds=p_holds, p_fails=p_fails),
        cleared=f.cleared and p_holds <= LEVEL,
        missed=f.missed and p_fails <= LEVEL,
    )


def _anytime_p(per_seed: Sequence[float]) -> tuple[float, float]:
    """1 / max E of the differences and of their mirror image: p-values that hold at every look."""
    largest = log_e([per_seed, [-c for c in per_seed]]).max(axis=1)
    p_holds, p_fails = np.exp(-np.maximum(largest, 0.0)).tolist()
    return p_holds, p_fails
