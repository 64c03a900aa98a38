"""`--verify K`: finished units once more, each in a fresh process; the same seed must give the same figures."""

from __future__ import annotations

from assay.engine.interrupt import Stop
from assay.engine.options import RunOptions, limits_of, modules_of
from assay.engine.pool import Pool
from assay.engine.schedule import Schedule
from assay.engine.trial import Measures, UnitResult


def largest_difference(schedule: Schedule, options: RunOptions, stop: Stop) -> float | None:
    """The largest difference of a value or extra measure between `options.verify` units, spread over the run, and
    their repeats; infinite where a repeat failed or measured other things. None for a metric that is a time.
    """
    trial = schedule.plan.trial
    if trial.metric.timed:
        return None
    done = [u for u in schedule.all_units if u.kind == "arm" and u.key in schedule.results]
    done = [u for u in done if schedule.results[u.key].status == "ok"]
    chosen = done[:: max(1, len(done) // options.verify)][: options.verify]
    network = options.network or options.model is not None
    worst = 0.0
    with Pool(1, modules=modules_of(trial), threads=trial.threads, network=network, fresh=True) as pool:
        for unit in chosen:
            pool.submit(schedule.job(unit), limits_of(unit, trial, options, options.quick))
            while not (again := pool.wait()):
                if stop.asked:
                    return None
            worst = max(worst, _difference(schedule.results[unit.key], again[0].outcome.measures))
    return worst


def _difference(first: UnitResult, again: Measures | None) -> float:
    if again is None or first.value is None or first.extra.keys() != again.extra.keys():
        return float("inf")
    return max(abs(again.value - first.value), *(abs(again.extra[k] - v) for k, v in first.extra.items()), 0.0)
