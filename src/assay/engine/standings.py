"""How every tried trial stands, as `scoreboard` says it, without importing a trial whose card still tells what it is.

A verdict in the store is read while it was computed from the same units, code and rule; else the units are judged
anew. Trials without a good card, and sequential ones with units beyond their stop, are imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assay.engine import cards, registry
from assay.engine.pairing import one_version
from assay.engine.scoreboard import Judged, by_trial, read_verdict, scoreboard
from assay.engine.session import data_sha, remembering
from assay.engine.store import Store, StoredVerdict
from assay.engine.trial import UnitResult
from assay.engine.verdicts import RULE, verdict, with_holm


def standings(store: Store, *, names: Sequence[str] | None = None) -> tuple[list[Judged], list[str]]:
    """Every trial with full units in the store (or those named), by name, corrected together, and notes on what
    could not be judged."""
    known = store.verdicts()
    entries = {entry.name: entry for entry in registry.list_trials()}
    board: list[Judged] = []
    rest: list[str] = []
    for name, units in by_trial(store.units(trials=names, latest=True)).items():
        card = cards.read(entries[name]) if name in entries else None
        found = _by_card(entries[name], card, units, known.get(name)) if card else None
        if found:
            board.append(found)
        else:
            rest.append(name)
    anew, notes = scoreboard(store, names=rest) if rest else ([], list(store.notes))
    for judged in anew:
        if judged.name in entries:
            cards.keep(entries[judged.name], judged.trial)
    board = sorted([*board, *anew], key=lambda j: j.name)
    corrected = with_holm([j.verdict for j in board])
    return [replace(j, verdict=found) for j, found in zip(board, corrected)], notes


def _by_card(
    entry: registry.Entry, card: cards.Card, units: Sequence[UnitResult], known: StoredVerdict | None
) -> Judged | None:
    trial, now = card.trial, card.fingerprint
    kept = tuple(one_version(trial, [u for u in units if u.arm in trial.arms], now)[0])
    if known and (known.fingerprint, known.data_sha) == (now, data_sha(kept, known.flags)):
        return Judged(entry.name, entry.title, trial, kept, read_verdict(known))
    if known and known.rule != RULE:
        return None
    judged = remembering(verdict(trial, kept, fingerprint=now, plan=False), known, now)
    return Judged(entry.name, entry.title, trial, kept, judged)
