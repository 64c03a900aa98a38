"""SHARP's comparisons: models by mean and by tail on the same prompts, how far judges agree, what one of them sways."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from assay.methods.agreement import cohen_kappa, krippendorff_alpha
from assay.methods.metrics import Z95, Interval, cvar, holm
from assay.methods.safety.sharp import RESAMPLES, Aggregate, Floats, RiskProfile, check_tail, harm

DRAWN_AT_ONCE = 2_000_000  # resampled values held in memory
LARGE = 20_000  # prompts from which the normal interval replaces the bootstrap: they agree, and it is linear in n
ITEMS_FOR_AGREEMENT = 20_000


@dataclass(frozen=True)
class Comparison:
    """Model `a` less model `b` on the same prompts: differences of mean risk and of CVaR, 95 % intervals, and p-values
    adjusted (Holm) for all pairs of the table. `flip`: the mean puts one first and the tail the other, both surely."""

    a: str
    b: str
    mean: float
    mean_interval: Interval
    mean_p: float
    cvar: float
    cvar_interval: Interval
    cvar_p: float

    @property
    def flip(self) -> bool:
        return _sure(self.mean_interval) * _sure(self.cvar_interval) < 0


def compare(
    risks: Mapping[str, Floats],
    alpha: float = 0.95,
    resamples: int = RESAMPLES,
    generator: np.random.Generator | None = None,
) -> list[Comparison]:
    """Every pair of models by a paired bootstrap over prompts: risks are (n,) each, over the same prompts in one order.

    From 20,000 prompts on, intervals and p-values are the normal ones of the mean's and the CVaR's influence.
    """
    sizes = {len(risk) for risk in risks.values()}
    if len(sizes) != 1:
        raise ValueError(f"risks: got {sorted(sizes)} prompts, wanted the same prompts for every model")
    (n,) = sizes
    check_tail(n, alpha)
    found = _by_influence(risks, alpha) if n >= LARGE else _by_bootstrap(risks, alpha, resamples, generator)
    pairs = list(combinations(risks, 2))
    adjusted = {what: holm([found[pair][what][1] for pair in pairs]) for what in ("mean", "cvar")}
    return [
        Comparison(
            *pair,
            float(risks[pair[0]].mean() - risks[pair[1]].mean()),
            found[pair]["mean"][0],
            adjusted["mean"][i],
            cvar(risks[pair[0]], alpha) - cvar(risks[pair[1]], alpha),
            found[pair]["cvar"][0],
            adjusted["cvar"][i],
        )
        for i, pair in enumerate(pairs)
    ]


_Found = dict[tuple[str, str], dict[str, tuple[Interval, float]]]


def _by_bootstrap(
    risks: Mapping[str, Floats], alpha: float, resamples: int, generator: np.random.Generator | None
) -> _Found:
    draw = generator if generator is not None else np.random.default_rng(0)
    n = len(next(iter(risks.values())))
    tail = (1 - alpha) * n
    weights = np.clip(tail - np.arange(n), 0, 1)[::-1] / tail  # of ascending losses
    means: dict[str, list[Floats]] = {name: [] for name in risks}
    tails: dict[str, list[Floats]] = {name: [] for name in risks}
    left, step = resamples, max(1, DRAWN_AT_ONCE // n)
    while left > 0:
        rows = draw.integers(n, size=(min(step, left), n))
        for name, risk in risks.items():
            resampled = risk[rows]
            means[name].append(resampled.mean(axis=1))
            tails[name].append(np.sort(resampled, axis=1) @ weights)
        left -= len(rows)
    drawn = {"mean": _joined(means), "cvar": _joined(tails)}
    return {(a, b): {what: _from_draws(of[a] - of[b]) for what, of in drawn.items()} for a, b in combinations(risks, 2)}


def _joined(chunks: Mapping[str, list[Floats]]) -> dict[str, Floats]:
    return {name: np.concatenate(parts) for name, parts in chunks.items()}


def _from_draws(differences: Floats) -> tuple[Interval, float]:
    low, high = np.quantile(differences, [0.025, 0.975])
    fewer = min((differences <= 0).sum(), (differences >= 0).sum())
    return (float(low), float(high)), min(1.0, 2 * (int(fewer) + 1) / (len(differences) + 1))


def _by_influence(risks: Mapping[str, Floats], alpha: float) -> _Found:
    influence = {
        "mean": {name: risk - risk.mean() for name, risk in risks.items()},
        "cvar": {name: _cvar_influence(risk, alpha) for name, risk in risks.items()},
    }
    centre = {
        "mean": {name: float(risk.mean()) for name, risk in risks.items()},
        "cvar": {name: cvar(risk, alpha) for name, risk in risks.items()},
    }
    return {
        (a, b): {w: _normal(centre[w][a] - centre[w][b], influence[w][a] - influence[w][b]) for w in ("mean", "cvar")}
        for a, b in combinations(risks, 2)
    }


def _cvar_influence(risk: Floats, alpha: float) -> Floats:
    border = float(np.quantile(risk, alpha, method="inverted_cdf"))
    beyond: Floats = np.maximum(risk - border, 0) / (1 - alpha)
    return beyond - beyond.mean()


def _normal(difference: float, influence: Floats) -> tuple[Interval, float]:
    error = float(influence.std(ddof=1)) / math.sqrt(len(influence))
    p = math.erfc(abs(difference) / error / math.sqrt(2)) if error else float(difference == 0)
    return (difference - Z95 * error, difference + Z95 * error), p


@dataclass(frozen=True)
class JudgeAgreement:
    """How far judges rate alike in one dimension: Krippendorff's alpha (interval scale) over replies and
    sub-questions, and quadratically weighted kappa of each pair of judges; NaN where chance alone agrees."""

    alpha: float
    kappa: Mapping[tuple[str, str], float]


def judge_agreement(scores: NDArray[np.float64], judges: Sequence[str]) -> JudgeAgreement:
    """Agreement over severities (judges, n, sub-questions); at most 20,000 ratings, evenly spread, are looked at."""
    rated = scores.reshape(len(judges), -1)
    rated = rated[:, :: max(1, rated.shape[1] // ITEMS_FOR_AGREEMENT)]
    items = [[None if math.isnan(x) else x for x in item] for item in rated.T.tolist()]
    alpha = krippendorff_alpha(items, "interval").value if len(judges) > 1 else math.nan
    kappa = {}
    for (i, one), (j, other) in combinations(enumerate(judges), 2):
        both = ~np.isnan(rated[i]) & ~np.isnan(rated[j])
        first, second = (np.rint(rated[place][both]).astype(int).tolist() for place in (i, j))
        kappa[one, other] = cohen_kappa(first, second, "quadratic").value if first else math.nan
    return JudgeAgreement(alpha, kappa)


def ranks_without(
    scores: Mapping[str, Mapping[str, Floats]],
    judges: Sequence[str],
    alpha: float = 0.95,
    judge_aggregate: Aggregate = "lse",
) -> dict[str, list[str]]:
    """Models from least to most CVaR when each judge in turn is left out, by the judge's name.

    scores: model -> dimension -> (judges, n, sub-questions), without gaps. Raises ValueError for a single judge.
    """
    if len(judges) < 2:
        raise ValueError(f"judges: got {len(judges)}, wanted at least 2 to leave one out")
    found = {}
    for j, judge in enumerate(judges):
        tails = {
            model: RiskProfile(harm({d: np.delete(x, j, axis=0) for d, x in own.items()}, judge_aggregate)).cvar(alpha)
            for model, own in scores.items()
        }
        found[judge] = sorted(tails, key=lambda model: tails[model])
    return found


def _sure(interval: Interval) -> int:
    """The sign of a difference whose interval leaves 0 out, else 0."""
    return (interval[0] > 0) - (interval[1] < 0)
