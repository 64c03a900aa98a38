"""How every tried trial stands, from the store: verdicts, their Holm correction, and what a page shows of them.

A stored verdict is read where it was computed from the same units by the same rule; else it is computed anew.
Quick runs, and runs in which an outside model took the built-in one's place, never count.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from assay.engine import registry
from assay.engine.session import data_sha
from assay.engine.store import Store, StoredVerdict
from assay.engine.trial import Contrast, Trial, UnitResult, Verdict
from assay.engine.units import trial_fingerprint
from assay.errors import UserError


@dataclass(frozen=True)
class Judged:
    """One trial with its full units of arms (last attempts) and the verdict on them."""

    name: str
    title: str
    trial: Trial
    units: tuple[UnitResult, ...]
    verdict: Verdict

    def values(self) -> dict[str, dict[int, float]]:
        """Arm -> seed -> value, of finished units."""
        found: dict[str, dict[int, float]] = {arm: {} for arm in self.trial.arms}
        for unit in self.units:
            if unit.status == "ok" and unit.value is not None:
                found[unit.arm][unit.seed] = unit.value
        return found

    def seconds(self) -> dict[str, float]:
        """Mean seconds of a finished unit, by arm."""
        times: dict[str, list[float]] = {}
        for unit in self.units:
            if unit.status == "ok":
                times.setdefault(unit.arm, []).append(unit.seconds)
        return {arm: statistics.fmean(found) for arm, found in times.items()}


def scoreboard(
    store: Store, *, names: Sequence[str] | None = None, plan: bool = False
) -> tuple[list[Judged], list[str]]:
    """Every trial with full units in the store (or those named), Holm-corrected together, and notes on what could
    not be judged. `plan` also simulates the seeds needed where an answer is open."""
    stored = store.verdicts()
    found, notes = [], list(store.notes)
    for name, units in by_trial(store.units(trials=names, latest=True)).items():
        try:
            entry = registry.find(name)
            trial = registry.load(entry)
        except (UserError, ImportError) as error:
            notes.append(f"{name}: {error}")
            continue
        kept = tuple(unit for unit in units if unit.arm in trial.arms)
        found.append(Judged(name, entry.title, trial, kept, _verdict(trial, kept, stored.get(name), plan)))
    return _with_holm(found), [*notes, *(note for note in store.notes if note not in notes)]


def by_trial(units: Iterable[UnitResult]) -> dict[str, list[UnitResult]]:
    """Full units by trial, in the order of their names; previews and outside models left out."""
    found: dict[str, list[UnitResult]] = {}
    for unit in units:
        if not unit.quick and "outside" not in unit.models:
            found.setdefault(unit.trial, []).append(unit)
    return dict(sorted(found.items()))


def _with_holm(board: Sequence[Judged]) -> list[Judged]:
    from assay.engine.verdicts import with_holm

    if not board:
        return []
    return [replace(j, verdict=verdict) for j, verdict in zip(board, with_holm([j.verdict for j in board]))]


def _verdict(trial: Trial, units: Sequence[UnitResult], known: StoredVerdict | None, plan: bool) -> Verdict:
    from assay.engine.verdicts import RULE, verdict

    now = trial_fingerprint(trial)
    # Mirrors and the seeds needed are not stored, so a reader who wants them has the rule run again.
    if known and not plan and (known.fingerprint, known.data_sha, known.rule) == (now, data_sha(units), RULE):
        return read_verdict(known)
    return verdict(trial, units, fingerprint=now, plan=plan)


def read_verdict(stored: StoredVerdict) -> Verdict:
    """A stored verdict as it was computed, without its mirrors."""
    contrasts = tuple(Contrast(**{**c, "per_seed": tuple(c["per_seed"])}) for c in stored.contrasts)
    outcome, flags = stored.outcome, stored.flags
    return Verdict(outcome, stored.reason, contrasts, stored.p, n=stored.n, flags=flags, rule=stored.rule)  # type: ignore[arg-type]
