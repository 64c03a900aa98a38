"""`assay trials check`: what a sceptic would ask of a trial before believing any verdict of it.

The quick run is done twice, the second time in another order of arms, and once as A/A; everything else is read off
the trial, its world and those runs.
"""

from __future__ import annotations

import inspect
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from assay.engine import registry
from assay.engine.needs import missing
from assay.engine.options import check_importable, worker_count
from assay.engine.result import Result
from assay.engine.runner import RunOptions, run_trials
from assay.engine.session import median_seconds
from assay.engine.stats import LEVEL
from assay.engine.store import Store
from assay.engine.trial import MIN_SEEDS, Trial, UnitResult
from assay.engine.units import FIXTURE, cases_of, derived_seed
from assay.errors import UserError
from assay.places import default_store

QUICK_S, QUICK_TRAINED_S = 30.0, 60.0  # of a whole quick run, without and with trained parts
FULL_S, FULL_TRAINED_S = 300.0, 900.0  # likewise of a full one
WORKERS = 2
EDITION = 124  # papers that Holm's correction is taken over


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. What could not be looked at is `ok` and says in `detail` why not."""

    what: str
    ok: bool
    detail: str = ""


def check(name: str, trial: Trial, store: Store | None = None) -> list[Finding]:
    """Look at a trial and its quick runs. `store`: where times of its full runs are looked for; default: the user's."""
    findings = list(_on_paper(name, trial))
    if why := missing(trial.needs):
        return [*findings, Finding("what the trial needs is on this machine", False, why)]
    findings += _on_world(trial)
    if not all(f.ok for f in findings if f.what.startswith("arm ")):
        return findings  # a run would say the same, and less clearly
    first = _quick(trial)
    findings += _on_one_run(trial, first)
    findings.append(_repeats(trial, first, _quick(trial, shuffle=1)))
    findings.append(_against_itself(trial))
    findings.append(_takes(name, trial, first, store or Store(default_store())))
    return findings


def _quick(trial: Trial, **options: Any) -> Result:
    return run_trials([trial], RunOptions(quick=True, workers=WORKERS, **options))[0]


def _on_paper(name: str, trial: Trial) -> Iterator[Finding]:
    wanted = 3 + (trial.fixture is not None)
    for arm, function in trial.arms.items():
        names = list(inspect.signature(function).parameters)
        ok = len([n for n in names if n != "earlier"]) == wanted and ("earlier" in names) == (arm in trial.after)
        yield Finding(f"arm {arm} takes what the engine gives", ok, "" if ok else f"got ({', '.join(names)})")
    try:
        check_importable(name, trial, "process")
        complaint = ""
    except ValueError as error:
        complaint = str(error)
    yield Finding("arm functions can be imported by a worker", not complaint, complaint)
    module = inspect.getmodule(trial.arms[trial.method])
    yield Finding("the trial's module says what is tried", bool(module and module.__doc__))
    few = trial.bar is not None and 2.0**-trial.seeds > LEVEL / EDITION
    warning = f"a warning: {trial.seeds} seeds cannot survive Holm over {EDITION} papers, 13 can" if few else ""
    yield Finding(
        "the seeds are enough for a verdict of its own", trial.bar is None or trial.seeds >= MIN_SEEDS, warning
    )


def _on_world(trial: Trial) -> Iterator[Finding]:
    """The world's docstring, and its own examples of right and wrong answers."""
    factory = registry.get_world(trial.world)
    documented = factory.__doc__ or getattr(inspect.getmodule(factory), "__doc__", None)
    yield Finding(f"the world {trial.world} says what it is", bool(documented))
    what = "the world's check accepts right answers and rejects wrong ones"
    world: Any = factory(**trial.arguments(True))
    if not hasattr(world, "examples"):
        yield Finding(what, True, "not looked at: the world has no `examples(sample)`")
        return
    sample = world.sample(0 if trial.pairs == "case" else derived_seed(trial, 0))
    examples = world.examples(sample)
    wrong = [right for right, answer in examples if bool(world.check(*answer)) is not right]
    kinds = {right for right, _ in examples}
    detail = f"{len(wrong)} of {len(examples)} judged wrongly" if wrong else f"{len(examples)} answers"
    yield Finding(what, not wrong and kinds == {True, False}, detail)


def _on_one_run(trial: Trial, run: Result) -> Iterator[Finding]:
    failed = run.failed
    detail = f"{failed[0].arm}, seed {failed[0].seed}: {failed[0].status}" if failed else ""
    yield Finding("every arm of the quick run ends well, with measures that can be judged", not failed, detail)
    met: dict[int, set[str]] = {}
    for unit in run.arms:
        met.setdefault(unit.seed, set()).add(unit.world_digest)
    apart = [seed for seed, digests in met.items() if len(digests) > 1]
    yield Finding("all arms of a seed met the same world", not apart, f"seed {apart[0]}" if apart else "")
    limit = QUICK_TRAINED_S if _trained(trial) else QUICK_S
    yield Finding(f"the quick run takes at most {limit:g} s", run.seconds <= limit, f"{run.seconds:.1f} s")
    if trial.placebo is not None:
        method = {u.seed: (u.value, u.extra, u.curve) for u in run.arms if u.arm == trial.method}
        differs = any((u.value, u.extra, u.curve) != method.get(u.seed) for u in run.arms if u.arm == trial.placebo)
        yield Finding("the placebo measures something else than the method", differs)
        flags = run.verdict.flags if run.verdict else ()
        about = f"in {trial.placebo}, ", f"reported by {trial.placebo}"
        unequal = [f for f in flags if f.startswith("unequal budget") and any(words in f for words in about)]
        yield Finding("the placebo's budget is within 10 % of the method's", not unequal, "; ".join(unequal))


def _repeats(trial: Trial, first: Result, second: Result) -> Finding:
    what = "two runs give the same measures, bit by bit"
    if trial.metric.timed:
        return Finding(what, True, "not looked at: the metric is a time")
    again = {u.unit_key: u for u in second.arms}
    other = [u for u in first.arms if (u.value, u.extra) != (again[u.unit_key].value, again[u.unit_key].extra)]
    return Finding(what, not other, f"{other[0].arm}, seed {other[0].seed}" if other else "")


def _against_itself(trial: Trial) -> Finding:
    what = "the baseline does not beat itself (A/A)"
    seeds = max(MIN_SEEDS, trial.quick_seeds)
    if (cases := cases_of(trial, quick=True)) is not None and cases < seeds:
        return Finding(what, True, f"not looked at: the world has {cases} cases")
    try:
        found = _quick(trial, aa=True, seeds=seeds)
    except UserError as error:
        return Finding(what, True, f"not looked at: {error}")
    assert found.verdict is not None  # nothing interrupts it
    return Finding(what, found.verdict.outcome != "holds", f"{found.verdict.outcome} on {found.verdict.n} seeds")


def _takes(name: str, trial: Trial, quick: Result, store: Store) -> Finding:
    """Time of the whole trial, from full units that were measured before, else from quick ones of the same size."""
    limit = FULL_TRAINED_S if _trained(trial) else FULL_S
    what = f"the whole trial takes at most {limit / 60:g} min"
    times = median_seconds(store, name, quick=False)
    if not set(trial.arms) <= set(times) | set(trial.model_arms):
        if trial.quick_args:
            return Finding(what, True, f"not looked at: no full run of {name} is stored")
        times = _medians(quick.units)
    built = min(trial.seeds, trial.fixture.distinct or trial.seeds) if trial.fixture else 0
    work = sum(seconds * (built if arm == FIXTURE else trial.seeds) for arm, seconds in times.items())
    seconds = work / worker_count(trial, RunOptions(workers=WORKERS), trial.seeds)
    return Finding(what, seconds <= limit, f"{seconds:.0f} s for {trial.seeds} seeds")


def _medians(units: Sequence[UnitResult]) -> dict[str, float]:
    by_arm: dict[str, list[float]] = {}
    for unit in units:
        if unit.status == "ok":
            by_arm.setdefault(unit.arm, []).append(unit.seconds)
    return {arm: statistics.median(seconds) for arm, seconds in by_arm.items()}


def _trained(trial: Trial) -> bool:
    return bool(trial.prepare or trial.fixture)
