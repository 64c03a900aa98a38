"""Many trials of an arm against itself, through processes, store and verdict: next to none may hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sample_trials as s

from assay.engine import run
from assay.engine.store import Store
from assay.engine.trial import Bar
from assay.engine.verdicts import verdict as judge

SEEDS = 8


# Of 200 at most 11 may hold, of 40 at most 4: 2.5 % and 3.3 standard errors.
@pytest.mark.parametrize(("trials", "most"), [(40, 4), pytest.param(200, 11, marks=pytest.mark.slow)])
def test_an_arm_against_itself_holds_no_more_often_than_the_rule_allows(trials: int, most: int, tmp_path: Path) -> None:
    same = replace(
        s.better_cards, name="same", bar=Bar(within=0.0), arms=dict.fromkeys(s.better_cards.arms, s.noisy), seeds=SEEDS
    )
    store = tmp_path / "results.duckdb"
    seeds = [i if i < 1000 else i + 1000 for i in range(SEEDS * trials)]
    result = run(same, seeds=seeds, workers=2, store=store)
    assert len(result.failed) == 0
    units = Store(store).units()
    false = 0
    for k in range(trials):
        mine = set(seeds[k * SEEDS : (k + 1) * SEEDS])
        found = judge(same, [u for u in units if u.seed in mine], planned=mine, plan=False)
        false += found.outcome == "holds"
    print(f"{false} of {trials} trials of an arm against itself held")
    assert false <= most
