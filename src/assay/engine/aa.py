"""A/A: the baseline against itself, on the same worlds but with another random stream. It must not hold.

Whatever such a trial finds is a fault of its making: a world that tells arms apart, seeds that leak, a measure that
drifts with the order of the arms. Its units have a name of their own in the store and never mix with the trial's.
"""

from __future__ import annotations

from dataclasses import replace

from assay.engine.trial import Bar, Trial
from assay.errors import UserError

_SUFFIX = " (a/a)"


def name_of(name: str) -> str:
    """What the A/A form of the trial `name` is called."""
    return name + _SUFFIX


def is_aa(name: str) -> bool:
    """Whether units under this name are of an A/A trial."""
    return name.endswith(_SUFFIX)


def against_itself(trial: Trial) -> Trial:
    """`trial` with its baseline under the method's name, and any difference from it as the bar.

    Bars that equal arms clear by right (non-inferiority, costs, limits) say nothing here, and neither does the
    placebo. Raises UserError for a baseline that needs another arm's figures.
    """
    if first := trial.after.get(trial.baseline):
        raise UserError(f"--aa: the baseline of this trial runs after {first!r} and cannot stand in its place")
    baseline = trial.arms[trial.baseline]
    return replace(
        trial,
        claim="The baseline, on another random stream, differs from itself.",
        headline="no difference",
        bar=Bar(versus=trial.baseline, absolute=0.0),
        arms={trial.baseline: baseline, trial.method: baseline},
        after={},
        placebo=None,
        note="A/A: both arms are the baseline",
        mirrors=(),
        floor=None,
        oracle=None,
        model_arms=(),
        budget=(),
    )
