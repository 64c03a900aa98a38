"""Same machine, same code, same numbers: bitwise, however the units are run."""

from __future__ import annotations

from pathlib import Path

import pytest
import sample_trials as s

from assay.engine.runner import RunOptions, run_trials
from assay.engine.trial import Trial


def measured(trial: Trial, options: RunOptions) -> dict[str, tuple[float | None, dict[str, float]]]:
    (result,) = run_trials([trial], options)
    assert [u.error for u in result.failed] == []
    return {u.unit_key: (u.value, dict(u.extra)) for u in result.arms}


WAYS = {
    "two workers": RunOptions(workers=2),
    "fresh processes": RunOptions(workers=2, fresh=True),
    "another order": RunOptions(workers=1, shuffle=5),
    "this process": RunOptions(isolation="inline"),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, tuple[float | None, dict[str, float]]]]:
    options = RunOptions(seeds=3, workers=1)
    return {t.name: measured(t, options) for t in (s.better_cards, s.matched_cards)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trial", [s.better_cards, s.matched_cards], ids=lambda t: t.name)
def test_values_do_not_depend_on_how_units_are_run(
    trial: Trial, way: str, expected: dict[str, dict[str, tuple[float | None, dict[str, float]]]]
) -> None:
    from dataclasses import replace

    assert measured(trial, replace(WAYS[way], seeds=3)) == expected[trial.name]


def test_a_run_taken_up_half_way_ends_with_the_same_values(
    tmp_path: Path, expected: dict[str, dict[str, tuple[float | None, dict[str, float]]]]
) -> None:
    store = tmp_path / "results.duckdb"
    run_trials([s.better_cards], RunOptions(seeds=[1], workers=1, store=store))
    assert measured(s.better_cards, RunOptions(seeds=3, workers=2, store=store)) == expected["better_cards"]


def test_a_torch_arm_gives_the_same_in_a_process_that_has_torch_and_in_one_that_has_not() -> None:
    pytest.importorskip("torch")
    apart = measured(s.torch_cards, RunOptions(seeds=1, workers=1, fresh=True))
    together = measured(s.torch_cards, RunOptions(seeds=1, workers=1))
    assert together == apart
    assert len({value for value, _ in together.values()}) == 1  # all arms of a seed draw the same numbers
