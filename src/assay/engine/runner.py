"""Running trials: from a name to units, workers, a store and a verdict.

from assay.engine import run
result = run("hadw", workers=2)
print(result.table(), result.verdict.outcome)
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from assay.engine import aa, interrupt, registry
from assay.engine.backend import backend, open_pool
from assay.engine.isolation import isolated, torch_set_up
from assay.engine.looks import Looks, unpaired
from assay.engine.machine import measuring
from assay.engine.needs import missing
from assay.engine.options import (
    MAX_SEEDS,
    RunOptions,
    check_importable,
    limits_of,
    prepare_assets,
    worker_count,
)
from assay.engine.progress import Progress, Silent, Together
from assay.engine.repeats import largest_difference
from assay.engine.result import Result
from assay.engine.schedule import Schedule
from assay.engine.session import Session, last_attempts, median_seconds, open_session
from assay.engine.store import Store
from assay.engine.trial import Trial, UnitResult, Verdict
from assay.engine.units import Plan, cases_of, plan
from assay.engine.worker import perform
from assay.places import cache_root

__all__ = ["RunOptions", "dry_run", "run", "run_trials"]

_PLAIN = RunOptions()
GRACE_S = 10.0  # running units may finish after the first Ctrl-C


def run(
    trial: Trial | str,
    *,
    seeds: int | Sequence[int] | None = None,
    workers: int | None = None,
    store: str | Path | None = None,
    quick: bool = False,
    arms: Sequence[str] | None = None,
    sequential: bool = False,
    max_seeds: int | None = None,
    isolation: Literal["process", "inline"] = "process",
    progress: Progress | None = None,
) -> Result:
    """Run one trial and judge it.

    trial: a Trial or a name as in `assay run`. store: path of the results file; None keeps nothing.
    sequential: look after every seed and stop as soon as the answer is known, at `max_seeds` (64) at the latest.
    isolation: "inline" runs the units in this process, without limits (notebooks, debugging).
    Raises UserError for unknown names, seeds or arms, ValueError for arms that no worker can import.
    """
    options = RunOptions(
        seeds=seeds,
        workers=workers,
        store=Path(store) if store is not None else None,
        quick=quick,
        arms=arms,
        sequential=sequential,
        max_seeds=max_seeds,
        isolation=isolation,
    )
    return run_trials([trial], options, progress)[0]


def run_trials(
    trials: Sequence[Trial | str], options: RunOptions = _PLAIN, progress: Progress | None = None
) -> list[Result]:
    """Run trials one after the other in one session of the store; stops early when interrupted."""
    named = [_named(t, options) for t in trials]
    results: list[Result] = []
    inline = options.isolation == "inline"
    session_of_run = open_session(options.store, options.command, _recorded(options))
    with backend(options.on), session_of_run as session, interrupt.watch(raising=inline) as stop:
        told = Together(progress or Silent(), session.status)
        for note in session.notes:
            told.note(note)
        for name, trial in named:
            results.append(_run_one(name, trial, options, session, told, stop))
            if stop.asked:
                break
        session.complete = not stop.asked
    return results


def dry_run(trial: Trial | str, options: RunOptions) -> tuple[Plan, int, float | None]:
    """The plan, how many of its arm units are stored already, and the seconds the rest should take (None: unknown).

    A sequential run is planned to its last seed, unless what is stored answers it already.
    """
    name, found = _named(trial, options)
    planned = _plan(name, found, options)
    store = Store(options.store) if options.store else None
    reused, _ = _stored(planned, options, store)
    looks = _looks(planned, options)
    schedule = Schedule(planned, _fixtures(), reused=reused, looks=looks)
    if looks and looks.over:
        planned = replace(planned, seeds=looks.seeds)
        schedule = Schedule(planned, _fixtures(), reused=reused)
    medians = median_seconds(store, name, options.quick)
    times = [medians.get(u.arm) for u in schedule.waiting.values() if u.kind == "arm"]
    known = [t for t in times if t is not None]
    eta = sum(known) / worker_count(found, options, len(times)) if len(known) == len(times) else None
    return planned, schedule.reused, eta


def _run_one(
    name: str, trial: Trial, options: RunOptions, session: Session, progress: Progress, stop: interrupt.Stop
) -> Result:
    start = time.monotonic()
    if why := missing(trial.needs):
        return Result(name, trial, verdict=Verdict("not run", why), quick=options.quick)
    planned = _plan(name, trial, options)
    check_importable(name, trial, options.isolation)
    reused, attempts = _stored(planned, options, session.store)
    looks = _looks(planned, options)
    schedule = Schedule(planned, _fixtures(), reused=reused, attempts=attempts, stamp=session.stamp, looks=looks)
    progress.begin(planned, schedule.reused)
    _note(schedule.closed, session, progress, stop)
    if options.isolation == "inline":
        _run_inline(schedule, session, progress, stop)
    else:
        _run_pooled(schedule, options, session, progress, stop)
    cancelled = schedule.cancel()
    if looks and looks.over:  # units of later seeds that were under way are kept, and are no part of this verdict
        progress.note(f"stopped after {len(looks.seeds)} of at most {len(planned.seeds)} seeds")
        planned = replace(planned, seeds=looks.seeds)
    differs = largest_difference(schedule, options, stop) if options.verify and not stop.asked else None
    units = [schedule.results[u.key] for u in planned.units if u.key in schedule.results] + cancelled
    result = Result(
        name=name,
        trial=trial,
        units=tuple(unpaired(units)),
        quick=options.quick,
        planned=planned.seeds,
        reused=schedule.reused,
        ran=len(schedule.ran),
        interrupted=stop.asked and not session.failure,
        failure=session.failure,
        seconds=time.monotonic() - start,
        differs=differs,
    )
    result = replace(result, verdict=None if stop.asked else _judge(result, planned, options))
    if not options.aa:
        result = session.conclude(result, planned)
    progress.end(result)
    return result


# --- the two ways of running -------------------------------------------------------------------------------------


def _run_inline(schedule: Schedule, session: Session, progress: Progress, stop: interrupt.Stop) -> None:
    while not stop.asked and (unit := schedule.next()):
        progress.started(unit)
        began = time.time()
        with isolated(), torch_set_up(schedule.plan.threads):
            outcome = perform(schedule.job(unit))
        if stop.asked:
            return  # the unit was broken off: it is run again next time
        _note(schedule.finish(unit, outcome, started=began), session, progress, stop)


def _run_pooled(
    schedule: Schedule, options: RunOptions, session: Session, progress: Progress, stop: interrupt.Stop
) -> None:
    if not schedule.waiting:
        return
    trial, quick = schedule.plan.trial, options.quick
    units = {u.key: u for u in schedule.all_units}
    pool = open_pool(trial, options, len(schedule.waiting), progress.note)
    waits = _Waiting(trial.exclusive, progress, stop)
    with pool, measuring(alone=trial.exclusive, waiting=waits) as free:
        while free and (schedule.waiting or pool.busy):
            while pool.free and not stop.asked and (unit := schedule.next()):
                pool.submit(schedule.job(unit), limits_of(unit, trial, options, quick))
                progress.started(unit)
            if stop.asked and not pool.busy:
                return
            done = pool.wait()
            if stop.asked and (stop.twice or stop.seconds > GRACE_S):
                done += pool.kill_running()
            for one in done:
                unit = units[one.outcome.key]
                found = schedule.finish(unit, one.outcome, started=one.started, peak_mb=one.peak_mb)
                session.keep_log(unit.key, one.log)
                _note(found, session, progress, stop)


class _Waiting:
    """Says once that the machine is not free, and whether to go on waiting for it."""

    def __init__(self, alone: bool, progress: Progress, stop: interrupt.Stop) -> None:
        self._alone, self._progress, self._stop = alone, progress, stop
        self._told = False

    def __call__(self) -> bool:
        if not self._told:
            others = "other runs" if self._alone else "a trial that must run alone"
            self._progress.note(f"waiting for {others} on this machine to finish")
            self._told = True
        return not self._stop.asked


def _note(results: Sequence[UnitResult], session: Session, progress: Progress, stop: interrupt.Stop) -> None:
    """Acknowledge results: first on disk, then on the screen. What an interruption cancelled is not recorded."""
    for result in results:
        cut_off = result.status == "cancelled" and result.error == "interrupted"
        if cut_off or session.record(result):
            progress.finished(result)
        elif not stop.asked:
            progress.note(session.failure)
            stop.ask()


# --- what is decided before the first unit -----------------------------------------------------------------------


def _named(trial: Trial | str, options: RunOptions) -> tuple[str, Trial]:
    if isinstance(trial, str):
        name, trial = registry.get_trial(trial)
    else:
        arm = trial.arms[trial.method]
        parts = (getattr(arm, "__module__", "") or "unknown").split(".")
        name = "/".join([*parts[-2:-1], trial.name or parts[-1]])
    return (aa.name_of(name), aa.against_itself(trial)) if options.aa else (name, trial)


def _plan(name: str, trial: Trial, options: RunOptions) -> Plan:
    seeds = options.seeds
    if options.sequential and trial.bar is not None:
        most, cases = options.max_seeds or MAX_SEEDS, cases_of(trial, options.quick)
        seeds = most if cases is None else min(most, cases)
    return plan(
        name,
        trial,
        seeds=seeds,
        arms=options.arms,
        quick=options.quick,
        model=options.model,
        assets=prepare_assets(trial, options),
        shuffle=options.shuffle,
        apart=(trial.method,) if options.aa else (),
    )


def _looks(planned: Plan, options: RunOptions) -> Looks | None:
    """The looks of a sequential run; None where the number of seeds is fixed, as it is for a reported trial."""
    return Looks(planned) if options.sequential and planned.trial.bar is not None else None


def _stored(planned: Plan, options: RunOptions, store: Store | None) -> tuple[dict[str, UnitResult], dict[str, int]]:
    """Units that need not run again, and the number of the next attempt of those that do."""
    last = last_attempts(store, [u.key for u in planned.units])
    final = {"ok", "no_headroom"} if options.retry_failed else {"ok", "no_headroom", *_FINAL_FAILURES}
    reused = {} if options.force else {k: u for k, u in last.items() if u.status in final}
    return reused, {k: u.attempt + 1 for k, u in last.items() if k not in reused}


# A failure is a result and stays one until `--retry-failed`; what was cut off from outside is taken up again.
_FINAL_FAILURES = frozenset({"error", "timeout", "oom", "invalid", "unpaired"})


def _fixtures() -> Path:
    return cache_root() / "fixtures"


# --- what is made of the results -----------------------------------------------------------------------------------


def _judge(result: Result, planned: Plan, options: RunOptions) -> Verdict:
    """The verdict on the units of this run; quick runs get a preview that is never stored."""
    from assay.engine.sequential import sequential_verdict
    from assay.engine.verdicts import verdict

    if options.sequential and result.trial.bar is not None:
        return sequential_verdict(
            result.trial,
            result.arms,
            max_seeds=options.max_seeds or MAX_SEEDS,
            fingerprint=planned.fingerprint,
            planned=planned.seeds,
            nondeterministic=result.differs or None,
        )
    return verdict(
        result.trial,
        result.arms,
        fingerprint=planned.fingerprint,
        planned=planned.seeds,
        quick=result.quick,
        nondeterministic=result.differs or None,
        cases=planned.cases,
    )


def _recorded(options: RunOptions) -> Mapping[str, object]:
    """The options as they are stored with the run: what was chosen, without paths."""
    chosen = {k: v for k, v in vars(options).items() if v not in (None, False, 0) and k not in ("store", "command")}
    return {k: list(v) if isinstance(v, (tuple, range)) else v for k, v in chosen.items()}
