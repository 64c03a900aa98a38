"""`assay trials check`: what a sceptic would ask of a trial before believing any verdict of it.

The quick run is done twice; everything else is read off the trial and those two runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from assay.engine.result import Result
from assay.engine.runner import run
from assay.engine.trial import Trial

QUICK_S, QUICK_TRAINED_S = 30.0, 60.0  # of a whole quick run, without and with trained parts


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    detail: str = ""


def check(name: str, trial: Trial) -> list[Finding]:
    """Run the trial's quick form twice and report on it."""
    first, second = run(name, quick=True), run(name, quick=True)
    return [*_on_paper(trial), *_on_runs(trial, first, second)]


def _on_paper(trial: Trial) -> Iterator[Finding]:
    wanted = 3 + (trial.fixture is not None)
    for arm, function in trial.arms.items():
        names = list(inspect.signature(function).parameters)
        ok = len([n for n in names if n != "earlier"]) == wanted
        yield Finding(f"arm {arm} takes what the engine gives", ok, "" if ok else f"got ({', '.join(names)})")
    module = inspect.getmodule(trial.arms[trial.method])
    yield Finding("the trial's module says what is tried", bool(module and module.__doc__))
    yield Finding(
        "the bar could survive Holm over the first edition",
        trial.bar is None or 2.0**-trial.seeds <= 0.025 / 124,
        f"{trial.seeds} seeds; 13 are needed" if trial.seeds < 13 else "",
    )


def _on_runs(trial: Trial, first: Result, second: Result) -> Iterator[Finding]:
    failed = first.failed
    detail = f"{failed[0].arm}, seed {failed[0].seed}: {failed[0].status}" if failed else ""
    yield Finding("every arm of the quick run ends well, paired", not failed, detail)
    if not trial.metric.timed:
        same = [u.value for u in first.arms] == [u.value for u in second.arms]
        yield Finding("two runs give the same values, bit by bit", same)
    limit = QUICK_TRAINED_S if trial.prepare or trial.fixture else QUICK_S
    yield Finding(f"the quick run takes at most {limit:g} s", first.seconds <= limit, f"{first.seconds:.1f} s")
    if trial.placebo is not None:
        method = {u.seed: u.value for u in first.arms if u.arm == trial.method}
        differs = any(u.value != method.get(u.seed) for u in first.arms if u.arm == trial.placebo)
        yield Finding("the placebo is not the method", differs)
    unequal = [flag for flag in (first.verdict.flags if first.verdict else ()) if flag.startswith("unequal budget")]
    yield Finding("all judged arms have the same budget", not unequal, "; ".join(unequal))
