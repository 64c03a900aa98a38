"""From measured units to *holds*, *fails* or *inconclusive*: the rule, and its reasons in plain words.

A trial holds when every bar contrast and the placebo contrast clear zero in all three tests of `stats.py`. It
fails when a bar contrast lies below zero in all three, or a limit is broken on a single seed; the placebo and
crashes can keep it from holding but never make it fail. Nothing is judged on fewer than six complete seeds,
with more than a fifth of the seeds incomplete, or where too many worlds had no headroom.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from assay.engine.contrasts import Comparison, compare, resampling_seed
from assay.engine.flags import SKEWED, flags
from assay.engine.mirrors import mirrored
from assay.engine.pairing import Pairs, pair
from assay.engine.power import MOST_SEEDS, seeds_needed
from assay.engine.stats import LEVEL, benjamini_hochberg, decide, holm
from assay.engine.trial import MIN_SEEDS, Contrast, Outcome, Range, Trial, UnitResult, Verdict

RULE = "three-tests/1"
MOST_WITHOUT_HEADROOM = 3  # one seed in so many may be dropped
MOST_INCOMPLETE = 5  # likewise, of the seeds that had headroom
FORBIDDING_CRASHES = 2  # of the method, where the baseline could do the seed: dropping them would flatter it


def verdict(
    trial: Trial,
    units: Iterable[UnitResult],
    *,
    fingerprint: str | None = None,
    planned: Collection[int] | None = None,
    quick: bool = False,
    nondeterministic: float | None = None,
    cases: int | None = None,
    plan: bool = True,
) -> Verdict:
    """Judge `trial` by the units measured so far; the same units give the same verdict.

    fingerprint       of the code as it is now: units of other code are never mixed in (`stale`)
    planned           seeds of the run; those without units are incomplete. Default: the seeds that have units
    quick             judge the quick units instead, flagged as a preview
    nondeterministic  largest difference that repeated units showed, if any differed
    cases             how many cases the world has, where `Trial.pairs` is "case"
    plan              whether to simulate the seeds needed where the answer is open (about a second)

    Raises ValueError for units of seeds that are reserved for tuning.
    """
    pairs = pair(trial, units, fingerprint=fingerprint, planned=planned, quick=quick)
    comparison = compare(trial, pairs)
    judged = judge(trial, pairs, comparison, quick=quick, nondeterministic=nondeterministic)
    if judged.outcome != "inconclusive" or not _readable(pairs, comparison):
        return judged
    tested = comparison.tested
    needed = seeds_needed([c.per_seed for c in tested], resampling_seed(trial), simulate=plan)
    return replace(judged, seeds_needed=needed, reason=f"{judged.reason}; {_in_words(needed, tested, cases)}")


def judge(
    trial: Trial,
    pairs: Pairs,
    comparison: Comparison,
    *,
    rule: str = RULE,
    quick: bool = False,
    nondeterministic: float | None = None,
) -> Verdict:
    """The verdict on contrasts that have been tested, by whichever rule tested them."""
    outcome, reason = _outcome(trial, pairs, comparison)
    read = outcome != "reported" and _readable(pairs, comparison)
    return Verdict(
        outcome=outcome,
        reason=reason,
        contrasts=tuple(f.contrast for f in comparison.found),
        p=max(f.contrast.p_holds for f in comparison.found) if read else 1.0,
        n=len(pairs.complete),
        incomplete=len(pairs.incomplete),
        flags=flags(trial, pairs, comparison.tested, quick=quick, nondeterministic=nondeterministic),
        rule=rule,
        mirrors=tuple(mirrored(trial, mirror, pairs) for mirror in trial.mirrors),
    )


def _readable(pairs: Pairs, comparison: Comparison) -> bool:
    """Whether p means what it says: seeds that can be judged, and none left out because the method crashed."""
    return _blocked_by(pairs, comparison) is None and len(pairs.crashed) < FORBIDDING_CRASHES


def _blocked_by(pairs: Pairs, comparison: Comparison) -> str | None:
    """Why the seeds cannot carry a verdict, if they cannot."""
    asked, dropped, incomplete = len(pairs.rows), len(pairs.no_headroom), len(pairs.incomplete)
    left = asked - dropped
    if asked == 0:
        return "no seed was run"
    if dropped * MOST_WITHOUT_HEADROOM > asked or (dropped and left < MIN_SEEDS):
        return f"no headroom: {dropped} of {asked} seeds cannot show a difference"
    if incomplete * MOST_INCOMPLETE > left:
        return f"{incomplete} of {left} seeds incomplete"
    if len(pairs.complete) < MIN_SEEDS:
        return f"needs >= {MIN_SEEDS} seeds, has {len(pairs.complete)}"
    return comparison.problem


def _outcome(trial: Trial, pairs: Pairs, comparison: Comparison) -> tuple[Outcome, str]:
    if trial.bar is None:
        return "reported", "reported, not judged: the trial has no bar"
    for f in comparison.found:
        if f.bar.kind == "limit" and f.missed:
            broken = sum(c < 0 for c in f.contrast.per_seed)
            return "fails", f"limit broken on {broken} of {f.contrast.n} seeds: {f.contrast.name}"
    if (why := _blocked_by(pairs, comparison)) is not None:
        return "inconclusive", why
    cleared, missed = np.array([[f.cleared, f.missed] for f in comparison.found]).T[..., None]
    outcome = decide(cleared, missed)[0]
    if outcome == "fails":
        below = next(f.contrast for f in comparison.found if f.missed)
        return "fails", f"misses the bar: {_in_figures(below)}"
    if outcome == "inconclusive":
        return "inconclusive", _what_is_open(trial, comparison)
    if (failed := len(pairs.crashed)) >= FORBIDDING_CRASHES:
        return "inconclusive", f"clears the bar, but the method failed on {failed} seeds that the baseline could do"
    beaten = " and beats the placebo" if trial.placebo else ""
    return "holds", f"clears the bar{beaten} on {len(pairs.complete)} seeds"


def _what_is_open(trial: Trial, comparison: Comparison) -> str:
    """How the first contrast that is not cleared leaves a trial without an answer."""
    at = next(i for i, f in enumerate(comparison.found) if not f.cleared)
    c = comparison.found[at].contrast
    if at == len(trial.bars):
        return f"clears the bar but not the placebo: {_in_figures(c)}"
    if c.low > 0 or c.high < 0:
        skewed = " (skewed differences)" if abs(c.skew) > SKEWED else ""
        return f"tests disagree{skewed}: {_in_figures(c)}"
    return f"the interval spans the bar: {_in_figures(c)}"


def _in_figures(c: Contrast) -> str:
    """A contrast with its distance from the bar: positive is cleared."""
    return f"{c.name}, {c.estimate:+.3g} [{c.low:+.3g}, {c.high:+.3g}] from it"


def _in_words(needed: Range | None, tested: Sequence[Contrast], cases: int | None) -> str:
    if needed is None:
        below = min(tested, key=lambda c: c.estimate)
        return f"more seeds will not help: the effect seen is below the bar ({below.name})"
    if cases is not None and needed.value > cases:
        return f"≈ {needed.value} seeds would be needed, but no more cases exist ({cases})"
    if needed.value >= MOST_SEEDS:
        return f"more than {MOST_SEEDS} seeds would be needed"
    return f"≈ {needed.value} seeds ({needed.low}–{needed.high}) would be needed"


def with_holm(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The same verdicts with `p_holm` and `q` over those that were judged; reported and unrun ones keep None."""
    judged = [i for i, v in enumerate(verdicts) if v.outcome in ("holds", "fails", "inconclusive")]
    p = [verdicts[i].p for i in judged]
    familywise, discoveries = (dict(zip(judged, f(p).tolist())) for f in (holm, benjamini_hochberg))
    return tuple(replace(v, p_holm=familywise.get(i), q=discoveries.get(i)) for i, v in enumerate(verdicts))


def badge(judged: Verdict, trials: int) -> str:
    """The outcome on a page of `trials` judged trials: does it hold on its own, or also after Holm?"""
    if judged.outcome != "holds":
        return judged.outcome
    if judged.p_holm is not None and judged.p_holm <= LEVEL:
        return f"holds (also after Holm over {trials})"
    return "holds (single)"
