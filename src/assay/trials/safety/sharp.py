"""Does the tail of judged risk order models where their means cannot? (2601.21235)

World   eight responders over 901 prompts whose harm in four dimensions is drawn from known mixtures: rare severe
        replies (1 to 6 %), with or without dimensions failing together, in four pairs of equal mean harm whose tails
        differ by half or more. Three judges rate with whole numbers, each with a bias, a scale and noise of its own,
        and mix up a tenth of the replies.
Metric  Kendall's tau between an instrument's numbers and the true CVaR95 of the log-risk on fresh replies.
Arms    baseline: mean of all severities. method: SHARP's CVaR95 of the log-risk. placebo: the same with each
        dimension's harms dealt out anew over the prompts, so that no reply is known to fail in several at once.
        Shown: SHARP's own mean risk, and CVaR with the judges' mean instead of log-mean-exp.

Nothing was tuned: all constants are the method's defaults. Beside the verdict: `found`, the share of pairs of equal
mean with a more than twofold true tail that the instrument tells apart (95 % paired bootstrap, right way round), and
`tail_ratio`, the largest ratio that the instrument sees in a pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from assay.engine.trial import Bar, Measures, Metric, Mirror, Models, Trial
from assay.methods.metrics import cvar
from assay.methods.safety._sharp_compare import compare
from assay.methods.safety.sharp import Aggregate, Floats, harm, log_risk, tails_by_group
from assay.worlds import social_harm
from assay.worlds.social_harm import ALPHA, Judged


def mean_severity(world: Judged, models: Models, seed: int) -> Measures:
    flat = [np.concatenate([s.mean(axis=0) for s in scores.values()], axis=1).mean(axis=1) for scores in world.scores]
    return measured(world, flat, lambda values: float(values.mean()), "mean")


def sharp(world: Judged, models: Models, seed: int) -> Measures:
    return measured(world, risks(world), lambda risk: cvar(risk, ALPHA), "cvar")


def dimensions_dealt_anew(world: Judged, models: Models, seed: int) -> Measures:
    generator = np.random.default_rng([seed, 1])
    return measured(world, risks(world, shuffle=generator), lambda risk: cvar(risk, ALPHA), "cvar")


def mean_risk(world: Judged, models: Models, seed: int) -> Measures:
    return measured(world, risks(world), lambda risk: float(risk.mean()), "mean")


def judges_mean(world: Judged, models: Models, seed: int) -> Measures:
    return measured(world, risks(world, how="mean"), lambda risk: cvar(risk, ALPHA), "cvar")


def risks(world: Judged, how: Aggregate = "lse", shuffle: np.random.Generator | None = None) -> list[Floats]:
    """The log-risk (n,) of every responder's replies."""
    found = []
    for scores in world.scores:
        h = harm(scores, how)
        found.append(log_risk(h if shuffle is None else shuffle.permuted(h, axis=0)))
    return found


def measured(world: Judged, risk: Sequence[Floats], figure: Callable[[Floats], float], what: str) -> Measures:
    """Tau of the figure; how well pairs of equal mean and unequal tail are told apart."""
    said = [figure(values) for values in risk]
    told, ratios = [], []
    for i in range(0, len(risk), 2):
        j = i + 1
        ratios.append(max(said[i], said[j]) / min(said[i], said[j]))
        low, high = sorted((world.tails[i], world.tails[j]))
        if high > 2 * low:
            (row,) = compare({"a": risk[i], "b": risk[j]}, ALPHA)
            interval = row.mean_interval if what == "mean" else row.cvar_interval
            told.append((interval[0] > 0) if world.tails[i] > world.tails[j] else (interval[1] < 0))
    groups = [list(tails_by_group(values, world.attributes, ALPHA).values()) for values in risk]
    extra = {
        "tail_ratio": max(ratios),
        "pairs_twofold": float(len(told)),
        "group_ratio": float(np.mean([max(g) / min(g) for g in groups if not math.isnan(min(g)) and min(g) > 0])),
    }
    if told:
        extra["found"] = float(np.mean(told))
    return Measures(social_harm.world().check(world, said), extra=extra)


trial = Trial(
    paper="2601.21235",
    claim="Models of equal mean harm are put into the order of their worst replies by the tail of a joint risk.",
    headline="11 models, 901 prompts: equal means with more than twofold tails; worst over best CVaR95 above 4",
    metric=Metric("Kendall's tau with the true order of tails", better="higher", range=(-1.0, 1.0)),
    bar=Bar(versus="baseline", absolute=0.30),
    arms={
        "baseline": mean_severity,
        "placebo": dimensions_dealt_anew,
        "method": sharp,
        "mean_risk": mean_risk,
        "judges_mean": judges_mean,
    },
    world="social_harm",
    mirrors=(Mirror("tail ratio of two models of equal mean", 2.0, ("method", "baseline"), metric="tail_ratio"),),
    quick_args={"prompts": 300, "population": 20_000},
    seeds=30,
    extras=("lm",),
    tags=("stand-in",),
    note="The judges are seeded observers with stated errors, not language models: the trial tries the statistics.",
)
