"""Same machine, same code, same numbers: bitwise, however the units are run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sample_trials as s

from assay.engine.runner import RunOptions, run_trials
from assay.engine.trial import Fixture, Trial

Values = dict[str, tuple[float | None, dict[str, float]]]
TRIALS = {t.name: t for t in (s.better_cards, s.matched_cards, replace(s.table_cards, fixture=Fixture(s.build_offset)))}
WAYS = {
    "two workers": RunOptions(workers=2),
    "fresh processes": RunOptions(workers=2, fresh=True),
    "another order": RunOptions(workers=1, shuffle=5),
    "this process": RunOptions(isolation="inline"),
    "Ray": RunOptions(on="ray"),
}


def measured(trial: Trial, options: RunOptions) -> Values:
    (result,) = run_trials([trial], options)
    assert [u.error for u in result.failed] == []
    return {u.unit_key: (u.value, dict(u.extra)) for u in result.arms}


@pytest.fixture(scope="module")
def expected() -> dict[str, Values]:
    return {name: measured(trial, RunOptions(seeds=3, workers=1)) for name, trial in TRIALS.items()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trial", TRIALS)
def test_values_do_not_depend_on_how_units_are_run(
    trial: str, way: str, expected: dict[str, Values], request: pytest.FixtureRequest
) -> None:
    if way == "Ray":
        request.getfixturevalue("ray_session")
    assert len(expected[trial]) == 9
    assert measured(TRIALS[trial], replace(WAYS[way], seeds=3)) == expected[trial]


@pytest.mark.parametrize("trial", TRIALS)
def test_a_run_taken_up_half_way_ends_with_the_same_values(
    trial: str, tmp_path: Path, expected: dict[str, Values]
) -> None:
    store = tmp_path / "results.duckdb"
    run_trials([TRIALS[trial]], RunOptions(seeds=[1], workers=1, store=store))
    (resumed,) = run_trials([TRIALS[trial]], RunOptions(seeds=3, workers=2, store=store))
    assert (resumed.reused, {u.unit_key: (u.value, dict(u.extra)) for u in resumed.arms}) == (3, expected[trial])


def test_a_torch_arm_gives_the_same_in_a_process_that_has_torch_and_in_one_that_has_not() -> None:
    pytest.importorskip("torch")
    apart = measured(s.torch_cards, RunOptions(seeds=1, workers=1, fresh=True))
    together = measured(s.torch_cards, RunOptions(seeds=1, workers=1))
    assert together == apart
    assert len({value for value, _ in together.values()}) == 1  # all arms of a seed draw the same numbers
