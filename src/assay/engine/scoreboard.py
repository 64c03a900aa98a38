"""How every tried trial stands, from the store: verdicts, their Holm correction, and what a page shows of them.

A trial is read from its card, and imported only where that is out of date (see `cards`). A stored verdict is read
where it was computed from the same units by the same rule; else it is computed anew. A trial that was last run with
`--sequential` keeps to that rule and to the seeds at which it stops. Quick runs, runs in which an outside model took
the built-in one's place, and A/A runs never count.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from assay.engine import cards, registry
from assay.engine.aa import is_aa
from assay.engine.pairing import one_version
from assay.engine.session import data_sha, remembering
from assay.engine.store import Store, StoredVerdict
from assay.engine.trial import MIN_SEEDS, Contrast, Trial, UnitResult, Verdict
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
    """Every trial with full units in the store (or those named), corrected together by Holm and by
    Benjamini-Hochberg, and notes on what could not be judged. `plan` also simulates the seeds needed where an
    answer is open."""
    stored = store.verdicts()
    found, notes = [], list(store.notes)
    for name, units in by_trial(store.units(trials=names, latest=True)).items():
        try:
            entry = registry.find(name)
            card = cards.read(entry) or cards.keep(entry, registry.load(entry))
        except (UserError, ImportError) as error:
            notes.append(f"{name}: {error}")
            continue
        trial, now = card.trial, card.fingerprint
        arms = [unit for unit in units if unit.arm in trial.arms]
        kept, judged = _verdict(trial, one_version(trial, arms, now)[0], now, stored.get(name), plan)
        found.append(Judged(name, entry.title, trial, tuple(kept), judged))
    return _with_holm(found), [*notes, *(note for note in store.notes if note not in notes)]


def by_trial(units: Iterable[UnitResult]) -> dict[str, list[UnitResult]]:
    """Full units by trial, in the order of their names; previews, outside models and A/A runs left out."""
    found: dict[str, list[UnitResult]] = {}
    for unit in units:
        if not unit.quick and "outside" not in unit.models and not is_aa(unit.trial):
            found.setdefault(unit.trial, []).append(unit)
    return dict(sorted(found.items()))


def _with_holm(board: Sequence[Judged]) -> list[Judged]:
    from assay.engine.verdicts import with_holm

    if not board:
        return []
    return [replace(j, verdict=verdict) for j, verdict in zip(board, with_holm([j.verdict for j in board]))]


def _verdict(
    trial: Trial, units: Sequence[UnitResult], now: str, known: StoredVerdict | None, plan: bool
) -> tuple[Sequence[UnitResult], Verdict]:
    """The verdict on units of one code, and those of them that it rests on. `now`: the code's fingerprint today."""
    from assay.engine import sequential
    from assay.engine.verdicts import RULE, verdict

    rule = RULE
    if known and known.rule == sequential.RULE:
        rule, units = known.rule, _looked_at(trial, units, now, known)
    # Mirrors and the seeds needed are not stored, so a reader who wants them has the rule run again.
    same = known and (known.fingerprint, known.data_sha, known.rule) == (now, data_sha(units, known.flags), rule)
    if known and same and not plan:
        return units, read_verdict(known)
    if rule == RULE:
        judged = verdict(trial, units, fingerprint=now, plan=plan)
    else:
        judged = sequential.sequential_verdict(trial, units, fingerprint=now)
        if known and same:  # only the run itself knew how many seeds it would have gone to at most
            judged = replace(judged, reason=known.reason, flags=known.flags)
    return units, remembering(judged, known, now)


def _looked_at(trial: Trial, units: Sequence[UnitResult], now: str, known: StoredVerdict) -> Sequence[UnitResult]:
    """The units of the seeds that a sequential run looked at; where some were run again since, up to the new stop."""
    from assay.engine.sequential import settled

    last = max(u.seed for u in units) + 1
    for seeds in range(known.n, last + 1):
        seen = [u for u in units if u.seed < seeds]
        if data_sha(seen, known.flags) == known.data_sha:
            return seen
    for seeds in range(MIN_SEEDS, last):
        seen = [u for u in units if u.seed < seeds]
        if settled(trial, seen, planned=range(seeds), fingerprint=now):
            return seen
    return units


def read_verdict(stored: StoredVerdict) -> Verdict:
    """A stored verdict as it was computed, without its mirrors."""
    contrasts = tuple(Contrast(**{**c, "per_seed": tuple(c["per_seed"])}) for c in stored.contrasts)
    outcome, flags = stored.outcome, stored.flags
    return Verdict(outcome, stored.reason, contrasts, stored.p, n=stored.n, flags=flags, rule=stored.rule)  # type: ignore[arg-type]
