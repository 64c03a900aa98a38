"""Which unit comes next, and what a finished one means for those that wait for it."""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from assay.engine.looks import Looks
from assay.engine.trial import Cost, Measures, Status, UnitResult
from assay.engine.units import FIXTURE, HEADROOM, Plan, Unit
from assay.engine.worker import Job, Outcome


@dataclass(frozen=True)
class Stamp:
    """Which run, machine and environment a result comes from."""

    run_id: str = ""
    machine_id: str = ""
    env_id: str = ""


class Schedule:
    """The units of a plan, in order; `reused` results stand for units that are not run again."""

    def __init__(
        self,
        plan: Plan,
        fixtures: Path,
        *,
        reused: Mapping[str, UnitResult] | None = None,
        attempts: Mapping[str, int] | None = None,
        stamp: Stamp = Stamp(),
        looks: Looks | None = None,
    ) -> None:
        self.plan, self.stamp = plan, stamp
        self._fixtures = fixtures
        self._attempts = dict(attempts or {})
        self.all_units = plan.units
        self.results: dict[str, UnitResult] = {}
        self.ran: list[str] = []  # keys of units that were run here
        known = reused or {}
        self.results = {u.key: known[u.key] for u in self.all_units if u.kind == "arm" and u.key in known}
        self.reused = len(self.results)  # arm units that came from earlier runs
        needed = {k for u in self.all_units if u.kind == "arm" and u.key not in self.results for k in u.waits_for}
        needed |= {k for u in self.all_units if u.key in needed for k in u.waits_for}
        for unit in self.all_units:
            if unit.kind != "arm" and unit.key in known and self._usable(unit, known[unit.key]):
                self.results[unit.key] = known[unit.key]
        self.waiting = {
            u.key: u for u in self.all_units if u.key not in self.results and (u.kind == "arm" or u.key in needed)
        }
        self._place = {u.key: i for i, u in enumerate(self.all_units)}
        self._dependents: dict[str, list[str]] = {}
        for unit in self.waiting.values():
            for key in unit.waits_for:
                self._dependents.setdefault(key, []).append(unit.key)
        self._ready = [self._place[u.key] for u in self.waiting.values() if self._free(u)]
        self._digests: dict[int, dict[str, str]] = {}
        for unit in self.all_units:
            if unit.key in self.results:
                self._note_digests(self.results[unit.key])
        self.closed = self._closed_by_earlier_failures()
        self._looks = looks
        self._look()

    def next(self) -> Unit | None:
        """The first unit, in the order of the plan, that waits for nothing any more; None while there is none."""
        while self._ready:
            unit = self.all_units[heapq.heappop(self._ready)]
            if unit.key in self.waiting:
                del self.waiting[unit.key]
                self.ran.append(unit.key)
                return unit
        return None

    def _free(self, unit: Unit) -> bool:
        return all(key in self.results for key in unit.waits_for)

    def job(self, unit: Unit) -> Job:
        """What a worker is told to do for the unit."""
        trial = self.plan.trial
        first = trial.after.get(unit.arm) if unit.kind == "arm" else None
        fixture = next((k for k in unit.waits_for if self.results[k].arm == FIXTURE), None)
        path = self._fixture_path(unit.key if unit.kind == "fixture" else fixture) if trial.fixture else ""
        functions = {FIXTURE: trial.fixture.build if trial.fixture else None, HEADROOM: trial.headroom, **trial.arms}
        function = functions[unit.arm]
        assert function is not None  # a plan holds a fixture or headroom unit only where the trial has one
        return Job(
            key=unit.key,
            kind=unit.kind,
            function=function,
            metric=trial.metric,
            world=trial.world,
            world_args=dict(trial.arguments(self.plan.quick)),
            number=unit.number,
            sample_seed=unit.sample_seed,
            has_fixture=fixture is not None,
            fixture_path=str(path),
            fixture_digest=self.results[fixture].world_digest if fixture else "",
            earlier=self._measures(self.plan.key("arm", first, unit.seed)) if first else None,
            model=self.plan.model,
        )

    def finish(self, unit: Unit, outcome: Outcome, *, started: float = 0.0, peak_mb: float = 0.0) -> list[UnitResult]:
        """Take note of an outcome; hands out the unit's result and those of units that can no longer run."""
        result = self._result(unit, outcome, started or time.time(), max(peak_mb, outcome.rss_mb))
        if result.status == "ok" and unit.kind == "arm" and (why := self._note_digests(result)):
            result = self._result(unit, outcome, started, peak_mb, status="unpaired", error=why)
        self.results[unit.key] = result
        found = [result, *self._release(unit, result)]
        self._look()
        return found

    def cancel(self) -> list[UnitResult]:
        """Give up what still waits (an interrupted run): nothing is recorded, a later run takes it up."""
        left = [
            self._result(u, Outcome(u.key, "cancelled", error="interrupted"), 0.0, 0.0) for u in self.waiting.values()
        ]
        self.waiting.clear()
        return left

    def _look(self) -> None:
        """Hand out nothing more once the looks of a sequential run have given the answer."""
        if self._looks is not None and self._looks.stopped(self.results):
            self.waiting.clear()

    def _release(self, unit: Unit, result: UnitResult) -> list[UnitResult]:
        """Let those that waited for the unit run, or close them where it failed; hands out what was closed."""
        dependents = [self.waiting[k] for k in self._dependents.get(unit.key, ()) if k in self.waiting]
        if result.status == "ok":
            for dependent in dependents:
                if self._free(dependent):
                    heapq.heappush(self._ready, self._place[dependent.key])
            return []
        dry = result.status == "no_headroom"
        why = result.error if dry else f"{unit.arm} of this seed: {result.status}"
        closed: list[UnitResult] = []
        for dependent in dependents:
            if self.waiting.pop(dependent.key, None) is None:
                continue  # closed a moment ago, by way of another one
            outcome = Outcome(dependent.key, "no_headroom" if dry else "cancelled", error=why)
            self.results[dependent.key] = self._result(dependent, outcome, time.time(), 0.0)
            closed += [self.results[dependent.key], *self._release(dependent, self.results[dependent.key])]
        return closed

    def _note_digests(self, result: UnitResult) -> str:
        """Why the result cannot be paired with the other arms of its seed; '' where it can."""
        if result.status != "ok" or result.arm in (FIXTURE, HEADROOM):
            return ""
        seen = self._digests.setdefault(result.seed, {})
        for name, found in {"the world's sample": result.world_digest, **result.models}.items():
            if seen.setdefault(name, found) != found:
                return f"{name} differs from that of another arm of seed {result.seed}: same seed, other data"
        return ""

    def _measures(self, key: str) -> Measures:
        result = self.results[key]
        assert result.value is not None  # `next` hands a unit out when what it waits for is ok
        return Measures(result.value, result.cost, dict(result.extra), dict(result.notes), tuple(result.curve))

    def _closed_by_earlier_failures(self) -> list[UnitResult]:
        """Close what waits for a unit that failed in an earlier run and is not retried; hands out what was not
        closed, and stored, already."""
        failed = [(u, r) for u in self.all_units if (r := self.results.get(u.key)) and r.status != "ok"]
        closed = [found for unit, result in failed for found in self._release(unit, result)]
        for found in closed:
            if found.attempt:
                self.results[found.unit_key] = replace(found, attempt=found.attempt - 1)
        return [found for found in closed if not found.attempt]

    def _usable(self, unit: Unit, known: UnitResult) -> bool:
        """Whether a stored result stands for the unit: that of a fixture only while its value is in the cache."""
        return unit.kind != "fixture" or known.status != "ok" or self._fixture_path(unit.key).exists()

    def _fixture_path(self, key: str | None) -> Path:
        return self._fixtures / f"{key}.pkl"

    def _result(
        self,
        unit: Unit,
        outcome: Outcome,
        started: float,
        peak_mb: float,
        status: Status | None = None,
        error: str | None = None,
    ) -> UnitResult:
        measures = outcome.measures
        trial = self.plan.trial
        return UnitResult(
            unit_key=unit.key,
            trial=self.plan.name,
            arm=unit.arm,
            seed=unit.seed,
            quick=self.plan.quick,
            status=status or outcome.status,
            value=measures.value if measures else None,
            cost=measures.cost if measures else Cost(),
            extra=dict(measures.extra) if measures else {},
            notes=dict(measures.notes) if measures else {},
            curve=tuple(measures.curve) if measures else (),
            attempt=self._attempts.get(unit.key, 0),
            run_id=self.stamp.run_id,
            paper=trial.paper,
            trial_version=trial.version,
            fingerprint=self.plan.fingerprint,
            world=trial.world,
            world_digest=outcome.digest,
            models=dict(outcome.models),
            threads=self.plan.threads,
            seconds=outcome.seconds,
            peak_rss_mb=peak_mb,
            error=outcome.error if error is None else error,
            machine_id=self.stamp.machine_id,
            env_id=self.stamp.env_id,
            started=started,
        )
