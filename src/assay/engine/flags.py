"""What a reader of a verdict must know besides the outcome: one short line each, never silent."""

from __future__ import annotations

from collections.abc import Sequence

from assay.engine.contrasts import sign
from assay.engine.pairing import Pairs
from assay.engine.stats import TOLERANCE
from assay.engine.trial import Bar, Contrast, Trial

SKEWED = 1.0  # |g1| of a contrast's differences
BUDGET = 0.10  # share of the method's budget by which another arm's may differ
CLOSE = 0.02  # share of the oracle's or the floor's value
_COSTS = ("model_calls", "flops", "env_steps")


def flags(
    trial: Trial,
    pairs: Pairs,
    contrasts: Sequence[Contrast],
    *,
    quick: bool = False,
    nondeterministic: float | None = None,
) -> tuple[str, ...]:
    """All flags of a trial; where there is more to say than the flag's name, it follows after a colon.

    contrasts: those tested on differences (no limits). nondeterministic: the largest difference that a
    repeated unit showed, if any was repeated and differed.
    """
    found = []
    if quick:
        found.append("quick")
    if pairs.stale:
        found.append("stale")
    if pairs.split:
        found.append(f"other machine: {_seeds(len(pairs.split))} measured on more than one")
    if pairs.crashed:
        found.append(f"method failed: on {_seeds(len(pairs.crashed))} where the baseline did not")
    if nondeterministic is not None:
        found.append(f"nondeterministic: repeated units differ by up to {nondeterministic:.3g}")
    if any(abs(c.skew) > SKEWED for c in contrasts):
        found.append("skewed")
    if any(_constant(c) for c in contrasts):
        found.append("constant")
    if pairs.complete:
        found += _unequal_budgets(trial, pairs) + _no_room(trial, pairs)
    return tuple(found)


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"


def _constant(contrast: Contrast) -> bool:
    c = contrast.per_seed
    return max(c) - min(c) <= TOLERANCE * max(map(abs, c))


def _unequal_budgets(trial: Trial, pairs: Pairs) -> list[str]:
    """Arms that were given another budget than the method; seconds are shown in the table and not judged."""
    found = []
    for arm in dict.fromkeys((trial.baseline, trial.placebo)):
        if arm is None or arm == trial.method:
            continue
        for key in ("tokens", *_COSTS, *trial.budget):
            theirs, ours = _mean_spent(pairs, arm, key), _mean_spent(pairs, trial.method, key)
            if theirs is None and ours is None and key not in trial.budget:
                continue  # nobody counts it
            if theirs is None or ours is None:
                found.append(f"unequal budget: {key} not reported by {arm if theirs is None else trial.method}")
            elif abs(theirs - ours) > BUDGET * abs(ours):
                found.append(f"unequal budget: {key} {theirs:.4g} in {arm}, {ours:.4g} in {trial.method}")
    return list(dict.fromkeys(found))


def _mean_spent(pairs: Pairs, arm: str, key: str) -> float | None:
    """Mean of a cost, or of an extra measure named in `Trial.budget`, over the complete seeds."""
    units = [pairs.rows[seed][arm] for seed in pairs.complete]
    if key == "tokens":
        spent: list[float | None] = [u.cost.tokens_in + u.cost.tokens_out for u in units]
    else:
        spent = [getattr(u.cost, key) if key in _COSTS else u.extra.get(key) for u in units]
    counted = [s for s in spent if s is not None]
    return sum(counted) / len(counted) if len(counted) == len(units) else None


def _no_room(trial: Trial, pairs: Pairs) -> list[str]:
    """The world cannot show a difference: another arm stands at the oracle, or the method on the floor."""
    up = sign(trial, Bar(absolute=0.0))
    found = []
    if (best := _mean_value(trial.oracle, pairs)) is not None:
        for arm in dict.fromkeys((trial.baseline, trial.placebo)):
            value = _mean_value(arm, pairs)
            if value is not None and up * (best - value) <= CLOSE * abs(best):
                found.append(f"ceiling: {arm} within 2 % of {trial.oracle}")
    worst, value = _mean_value(trial.floor, pairs), _mean_value(trial.method, pairs)
    if worst is not None and value is not None and up * (value - worst) <= CLOSE * abs(worst):
        found.append(f"floor: {trial.method} within 2 % of {trial.floor}")
    return found


def _mean_value(arm: str | None, pairs: Pairs) -> float | None:
    """Mean of the main value over the complete seeds on which the arm is ok; None where there is none."""
    units = [pairs.rows[seed].get(arm or "") for seed in pairs.complete]
    values = [u.value for u in units if u is not None and u.status == "ok" and u.value is not None]
    return sum(values) / len(values) if values else None
