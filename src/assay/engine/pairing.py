"""Which measured units may be compared: one version of the code, one machine a pair, every needed arm done.

Nothing is dropped silently: what does not count is listed in `Pairs`, and the verdict says so.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from assay.engine.trial import TUNING_SEEDS, Bar, Trial, UnitResult

CRASHES = frozenset({"error", "timeout", "oom", "killed", "invalid"})
Row = Mapping[str, UnitResult]  # the arms of one seed, by name


@dataclass(frozen=True)
class Pairs:
    """The units of a trial, sorted out. Seeds are ascending."""

    rows: Mapping[int, Row]  # every seed that was asked for, with the units there are
    complete: tuple[int, ...]  # seeds that count
    incomplete: tuple[int, ...]  # a needed arm is missing, failed or was not paired
    no_headroom: tuple[int, ...]  # dropped for all arms, before any of them was scored
    crashed: tuple[int, ...]  # the method failed where the baseline did not
    split: tuple[int, ...]  # would be complete if units of two machines were joined
    stale: bool  # the units are of other code than today's

    def read(self, arm: str, bar: Bar | None = None) -> list[float]:
        """What `bar` looks at (None: the main value) of `arm`, on every complete seed."""
        return [_number(read(self.rows[seed][arm], bar)) for seed in self.complete]


def pair(
    trial: Trial,
    units: Iterable[UnitResult],
    *,
    fingerprint: str | None = None,
    planned: Collection[int] | None = None,
    quick: bool = False,
) -> Pairs:
    """Sort units of one trial into pairs; units under another `--model` are another trial's.

    fingerprint: of the code as it is now; units of other code count only where there are none of this, and
    then `stale` is set. planned: the seeds of the run, so that one without any unit counts as incomplete;
    default: those that have units. quick: take the quick units, and only those.
    Raises ValueError for a seed that is reserved for choosing constants.
    """
    chosen, stale = one_version(trial, [u for u in units if u.quick == quick], fingerprint)
    seeds = sorted({u.seed for u in chosen} if planned is None else set(planned))
    if reserved := [seed for seed in seeds if seed in TUNING_SEEDS]:
        raise ValueError(f"units: seed {reserved[0]} is reserved for choosing constants and is never judged")
    found = {seed: [u for u in chosen if u.seed == seed] for seed in seeds}
    rows = {seed: _one_machine(trial, found[seed]) for seed in seeds}
    blank = [seed for seed in seeds if any(u.status == "no_headroom" for u in rows[seed].values())]
    complete = [seed for seed in seeds if seed not in blank and _complete(trial, rows[seed])]
    incomplete = [seed for seed in seeds if seed not in blank and seed not in complete]
    return Pairs(
        rows=rows,
        complete=tuple(complete),
        incomplete=tuple(incomplete),
        no_headroom=tuple(blank),
        crashed=tuple(seed for seed in incomplete if _crashed(trial, rows[seed])),
        split=tuple(seed for seed in incomplete if _split(trial, found[seed])),
        stale=stale,
    )


def needed_arms(trial: Trial) -> tuple[str, ...]:
    """The arms that a seed needs to count: method, baseline, placebo and whatever a bar compares with."""
    arms = [trial.method, trial.baseline, trial.placebo, *(bar.versus for bar in trial.bars)]
    return tuple(dict.fromkeys(arm for arm in arms if arm is not None))


def read(unit: UnitResult, bar: Bar | None) -> float | None:
    """What `bar` looks at: a cost, a named extra measure, or (also for None) the main value.

    None where it was not measured or is no finite number. `seconds` is the engine's clock where the arm gave
    none itself.
    """
    value: float | None
    if bar is not None and bar.kind == "at_most_cost":
        value = getattr(unit.cost, bar.cost_key)
        if value is None and bar.cost_key == "seconds":
            value = unit.seconds
    else:
        value = unit.value if bar is None or bar.metric is None else unit.extra.get(bar.metric)
    return float(value) if value is not None and math.isfinite(value) else None


def one_version(trial: Trial, units: Sequence[UnitResult], fingerprint: str | None) -> tuple[list[UnitResult], bool]:
    """The units of one code and trial version, and whether they are stale: of the code as it is now, else of the one
    that ran last."""
    if not units:
        return [], False

    def version(unit: UnitResult) -> tuple[object, ...]:
        return unit.fingerprint, unit.trial_version

    current = [u for u in units if u.trial_version == trial.version and fingerprint in (None, u.fingerprint)]
    latest = max(current or units, key=lambda u: (u.started, u.attempt))
    return [u for u in units if version(u) == version(latest)], not current


def _one_machine(trial: Trial, units: list[UnitResult]) -> Row:
    """The seed's arms as one machine ran them: the one that finished most of those needed, else the last."""
    rows = [_last_attempts(u for u in units if u.machine_id == machine) for machine in _machines(units)]

    def rank(row: Row) -> tuple[bool, int, float]:
        done = sum(_measured(trial, row.get(arm)) for arm in needed_arms(trial))
        return _complete(trial, row), done, max(u.started for u in row.values())

    return max(rows, key=rank, default={})


def _machines(units: list[UnitResult]) -> list[str]:
    return sorted({u.machine_id for u in units})


def _last_attempts(units: Iterable[UnitResult]) -> Row:
    return {u.arm: u for u in sorted(units, key=lambda u: (u.attempt, u.started))}


def _complete(trial: Trial, row: Row) -> bool:
    """Every needed arm is measured, and all of them saw the same world, whatever their seed says."""
    arms = needed_arms(trial)
    return all(_measured(trial, row.get(arm)) for arm in arms) and len({row[a].world_digest for a in arms}) == 1


def _measured(trial: Trial, unit: UnitResult | None) -> bool:
    """Whether the unit is ok and holds a finite number for everything that is read from it."""
    if unit is None or unit.status != "ok":
        return False
    looked_at = [bar for bar in trial.bars if unit.arm in (trial.method, bar.versus)]
    return all(read(unit, bar) is not None for bar in (None, *looked_at))


def _crashed(trial: Trial, row: Row) -> bool:
    """Whether the method failed, or left out a measure, on a seed that the baseline could do."""
    method = row.get(trial.method)
    if method is None or not _measured(trial, row.get(trial.baseline)):
        return False
    return method.status in CRASHES or (method.status == "ok" and not _measured(trial, method))


def _split(trial: Trial, units: list[UnitResult]) -> bool:
    """Whether only units of different machines together have every needed arm."""
    everywhere = [u for u in units if _measured(trial, u)]
    return len(_machines(everywhere)) > 1 and set(needed_arms(trial)) <= {u.arm for u in everywhere}


def _number(value: float | None) -> float:
    if value is None:
        raise ValueError("read: a seed was counted as complete without its measure")
    return value
