"""How often the rule is wrong, and how often it finds what is there, by simulation.

The thousands of trials go through the functions that `verdict()` calls, all rows at once; the first test shows
that `verdict()` says the same of the same numbers. benchmarks/stats.py runs the full size.
"""

import numpy as np
import pytest

from assay.engine import stats
from assay.engine.contrasts import resampling_seed
from assay.engine.stats import clears, decide, misses, three_tests
from assay.engine.trial import Bar
from assay.engine.verdicts import verdict
from benchmarks.stats import FAMILIES, SYMMETRIC, false_rates, placebo_rates, power, simulate
from tests.engine.judging import mutated, trial, units

TRIALS = 1000
ALLOWANCE = 3.3 * np.sqrt(0.025 * 0.975 / TRIALS)  # Monte-Carlo error at 2.5 %


@pytest.mark.parametrize("family", FAMILIES)
def test_verdict_says_of_units_what_the_vector_path_says_of_their_differences(family):
    setting = trial(Bar(absolute=0.5))
    seed = resampling_seed(setting)
    bar = simulate(family, 8, 12, effect=0.8, stream=7)
    placebo = simulate(family, 8, 12, effect=1.2, stream=8)
    at_bar, at_placebo = three_tests(bar, seed), three_tests(placebo, seed)
    expected = decide(
        np.stack([clears(at_bar), clears(at_placebo)]),
        np.stack([misses(at_bar), np.zeros(len(bar), dtype=bool)]),
    )
    base = np.random.default_rng(1).normal(3.0, 1.0, bar.shape)
    method = base + 0.5 + bar
    outcomes = []
    for i in range(len(bar)):
        found = units(method=method[i], baseline=base[i], placebo=method[i] - placebo[i])
        result = verdict(setting, found, plan=False)
        outcomes.append(result.outcome)
        for contrast, tests in zip(result.contrasts, (at_bar, at_placebo)):
            for name in ("estimate", "low", "high", "boot_t_low", "boot_t_high", "p_holds", "p_fails"):
                assert getattr(contrast, name) == pytest.approx(getattr(tests, name)[i], abs=1e-9)
    assert outcomes == expected.tolist()


@pytest.mark.parametrize("seeds", [8, 12, 16])
@pytest.mark.parametrize("family", SYMMETRIC)
def test_an_effect_on_the_bar_holds_or_fails_no_more_than_the_level_allows(family, seeds):
    wrong_holds, wrong_fails = false_rates(family, seeds, TRIALS)
    assert wrong_holds <= 0.025 + ALLOWANCE
    assert wrong_fails <= 0.025 + ALLOWANCE


@pytest.mark.parametrize("seeds", [8, 12, 16])
def test_a_long_tail_on_the_bad_side_holds_wrongly_at_most_at_twice_the_level(seeds):
    wrong_holds, wrong_fails = false_rates("long bad tail", seeds, TRIALS)
    assert wrong_holds <= 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / TRIALS)
    assert wrong_fails <= 0.025 + ALLOWANCE


@pytest.mark.parametrize("family", ["normal", "five values"])
def test_a_placebo_that_equals_the_method_lets_few_trials_hold_and_makes_none_fail(family):
    holds, fails = placebo_rates(family, 12, TRIALS)
    assert holds <= 0.025 + ALLOWANCE
    assert fails == 0.0


def test_an_interval_alone_would_hold_wrongly_far_too_often():
    # The control: the same harness sees the fault that the other two tests are there to mend.
    tests = three_tests(simulate("long bad tail", 8, TRIALS), 5)
    assert np.mean(tests.low > 0) > 0.08


@pytest.mark.parametrize("family", ["normal", "t3", "accuracies"])
def test_an_effect_well_above_the_bar_is_found_with_sixteen_seeds(family):
    assert power(family, 16, TRIALS, 1.0) >= 0.80
    assert power(family, 16, TRIALS, 1.5) >= 0.95


def test_the_harness_sees_a_rule_that_skips_a_test():
    with mutated(stats.clears, " & (tests.p_holds <= LEVEL) & (tests.boot_t_low > 0)", ""):
        assert false_rates("normal", 8, TRIALS)[0] > 0.025 + ALLOWANCE
