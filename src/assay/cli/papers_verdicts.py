"""Verdicts for the reading half, read from the results store: what `assay.papers.verdicts.VerdictSource` asks for."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from assay.cli.provenance import machine_words, version_words
from assay.cli.stores import open_store
from assay.papers.catalogue.record import Paper
from assay.papers.verdicts import Interval, VerdictChange, VerdictView

if TYPE_CHECKING:
    from assay.engine.scoreboard import Judged

WORST_FIRST = ("fails", "inconclusive", "holds")


class StoreVerdicts:
    """The store of a command's `--store`, read at the first question and once. No store: no verdicts."""

    def __init__(self, arguments: argparse.Namespace, papers: Iterable[Paper]) -> None:
        self._store = open_store(arguments, must_exist=False)
        self._trials = {claim.id: claim.trials for paper in papers for claim in paper.claims}

    def latest(self, claim_id: str) -> VerdictView | None:
        """The verdict of the trials that the claim names: the least favourable where there are several."""
        tried = [self._views[name] for name in self._trials.get(claim_id, ()) if name in self._views]
        judged = [view for view in tried if view.outcome in WORST_FIRST]
        return min(judged, key=lambda view: WORST_FIRST.index(view.outcome), default=None)

    def of_paper(self, paper_id: str) -> Sequence[VerdictView]:
        """The last verdict of every tried trial of a paper, by name."""
        return [view for view in self._views.values() if view.paper == paper_id]

    def changes(self) -> Sequence[VerdictChange]:
        """Every change of a stored outcome, oldest first. Verdicts of trials that are gone are left out."""
        rows = {(row["trial"], row["fingerprint"], row["data_sha"], row["computed"]): row
                for row in self._store.rows("verdicts")}  # fmt: skip
        last: dict[str, str] = {}
        found = []
        for row in sorted(rows.values(), key=lambda row: (row["computed"], row["trial"])):
            name, outcome = row["trial"], row["outcome"]
            if name in self._views and last.get(name) != outcome:
                moment = _moment(row["computed"])
                change = VerdictChange(name, self._views[name].paper, outcome, last.get(name), row["reason"], moment)
                found.append(change)
            last[name] = outcome
        return found

    def outcomes(self) -> dict[str, list[str]]:
        """Paper id -> outcomes of its trials that have a verdict."""
        found: dict[str, list[str]] = {}
        for view in self._views.values():
            if view.outcome in WORST_FIRST:
                found.setdefault(view.paper, []).append(view.outcome)
        return found

    @cached_property
    def board(self) -> list[Judged]:
        """Every trial with full units in the store."""
        from assay.engine.scoreboard import scoreboard

        return scoreboard(self._store)[0]

    @cached_property
    def _views(self) -> dict[str, VerdictView]:
        if not self.board:
            return {}
        machines = {row["machine_id"]: machine_words(row) for row in self._store.rows("machines")}
        versions = {row["env_id"]: version_words(row) for row in self._store.rows("envs")}
        return {judged.name: _view(judged, machines, versions) for judged in self.board}


def _view(judged: Judged, machines: Mapping[str, str], versions: Mapping[str, str]) -> VerdictView:
    trial, verdict = judged.trial, judged.verdict
    last = max(judged.units, key=lambda unit: (unit.started, unit.unit_key))
    return VerdictView(
        trial=judged.name,
        paper=trial.paper,
        outcome=verdict.outcome,
        claim=trial.claim,
        headline=trial.headline,
        reason=verdict.reason,
        metric=trial.metric.name,
        better=trial.metric.better,
        intervals=tuple(Interval(c.name, c.estimate, c.low, c.high, c.p_holds) for c in verdict.contrasts),
        seeds=verdict.n,
        machine=machines.get(last.machine_id, "an unknown machine"),
        versions=versions.get(last.env_id, "unknown versions"),
        measured=datetime.fromtimestamp(last.started, UTC),
        command=f"assay run {judged.name}",
        flags=(*verdict.flags, *trial.tags),
        pictures=_pictures(judged),
    )


def _pictures(judged: Judged) -> tuple[str, ...]:
    """The two halves of the estimation plot; none where fewer than two seeds are whole."""
    from assay.engine.estimation import complete_seeds, estimates, is_worse, judged_arms
    from assay.engine.svg import effects, pairs

    trial, values = judged.trial, judged.values()
    arms = judged_arms(trial)
    seeds = complete_seeds(values, arms)
    if len(seeds) < 2:
        return ()
    left = pairs(values, arms, seeds, lambda seed: is_worse(trial, values, seed), trial.metric.name)
    return left, effects(estimates(trial, values, seeds), trial.method)


def _moment(computed: float | datetime) -> datetime:
    if isinstance(computed, datetime):
        return computed.astimezone(UTC)
    return datetime.fromtimestamp(computed, UTC)
