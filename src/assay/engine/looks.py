"""The looks of a sequential run: one after every seed, and in the order of the seeds, whichever was done first.

What a look sees is all arms of the seeds so far and nothing else, so one worker or ten, a fresh run or one taken up
half-way stop at the same seed with the same verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from assay.engine.trial import UnitResult
from assay.engine.units import FIXTURE, Plan


class Looks:
    """Follows the units of `plan` as they finish. `seeds` are those looked at so far, one after the other."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._keys: dict[int, list[str]] = {seed: [] for seed in plan.seeds}
        for unit in plan.units:
            if unit.kind == "arm":
                self._keys[unit.seed].append(unit.key)
        self._looked = 0
        self.over = False  # whether the last look gave the answer

    @property
    def seeds(self) -> tuple[int, ...]:
        return self._plan.seeds[: self._looked]

    def stopped(self, results: Mapping[str, UnitResult]) -> bool:
        """Take every look that `results` (by key) allow; True once one of them has given the answer."""
        from assay.engine.sequential import settled

        plan = self._plan
        while not self.over and self._looked < len(plan.seeds):
            keys = self._keys[plan.seeds[self._looked]]
            if not all(key in results for key in keys):
                return False
            self._looked += 1
            units = unpaired([results[key] for seed in self.seeds for key in self._keys[seed]])
            self.over = settled(plan.trial, units, planned=self.seeds, fingerprint=plan.fingerprint)
        return self.over


def unpaired(units: Sequence[UnitResult]) -> list[UnitResult]:
    """A seed whose arms met different data counts for none of them: all its good units become `unpaired`."""
    broken = {u.seed: u.error for u in units if u.status == "unpaired"}
    return [
        replace(u, status="unpaired", error=broken[u.seed])
        if u.seed in broken and u.status == "ok" and u.arm != FIXTURE
        else u
        for u in units
    ]
