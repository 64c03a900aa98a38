import numpy as np
import pytest

from assay.trials.post_training.arenarl import (
    Judge,
    knock_out_twice,
    measure,
    prepare,
    spoiled,
    tournaments,
    trial,
    utility,
)
from assay.worlds.city import best_plan, way, world

CITY = world(requests=12).sample(2)
TABLE = prepare(CITY, None, 2)


def test_the_best_plan_has_no_defect_and_spoiling_costs():
    import random

    request = CITY.requests[0]
    best = best_plan(CITY, request)
    shortest = way(CITY, request, [stop.place for stop in best])
    assert utility(CITY, request, best, shortest) == pytest.approx(0, abs=1e-9)
    rng = random.Random(0)
    assert spoiled(CITY, request, best, 0, rng) == best
    spoilt = [utility(CITY, request, spoiled(CITY, request, best, 4, rng), shortest) for _ in range(50)]
    assert np.mean(spoilt) < -1.5


def test_without_noise_a_round_robin_finds_the_order(monkeypatch):
    monkeypatch.setattr("assay.trials.post_training.arenarl.NOISE", 0.0)
    monkeypatch.setattr(Judge.__init__, "__defaults__", (0.0,))
    distinct = np.array([[0.0, -1, -2, -3, -4, -5, -6, -7]] * 3)
    assert measure(distinct, 0, tournaments.round_robin).value == pytest.approx(1)


def test_baseline_placebo_and_method_cost_the_same_comparisons():
    spent = {arm: trial.arms[arm](CITY, None, 2, TABLE).cost.model_calls for arm in ("baseline", "placebo", "method")}
    assert set(spent.values()) == {12 * 14}
    assert trial.arms["pointwise"](CITY, None, 2, TABLE).cost.model_calls == 12 * 14
    assert knock_out_twice is not tournaments.single_elimination


def test_one_comparison_is_right_three_times_in_four():
    table = prepare(world(requests=60).sample(1000), None, 1000)
    right = measure(table, 1000, tournaments.round_robin).extra["right_comparisons"]
    assert right == pytest.approx(0.75, abs=0.04)


def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, arms=["baseline", "placebo", "method"], isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
