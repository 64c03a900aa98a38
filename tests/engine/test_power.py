"""Seeds needed and power: against statsmodels, and against what the rule then does."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.power import TTestPower

from assay.engine import power as module
from assay.engine.power import holds_share, power, seeds_needed
from assay.engine.trial import Bar, Bars
from benchmarks.stats import simulate
from tests.engine.judging import from_differences, trial, units


def pilot(effect, n=16):
    """Differences with exactly this mean and standard deviation 1."""
    c = simulate("normal", n, 1, stream=9)[0]
    return (c - c.mean()) / c.std(ddof=1) + effect


@pytest.mark.parametrize("effect", [0.3, 0.4, 0.5, 0.7, 0.9])
def test_the_formula_agrees_with_statsmodels(effect):
    theirs = TTestPower().solve_power(effect_size=effect, alpha=0.025, power=0.8, alternative="larger")
    assert seeds_needed([pilot(effect)], 1, simulate=False).value == pytest.approx(theirs, rel=0.15)


def test_the_range_is_that_of_what_a_pilot_leaves_unknown_of_the_spread():
    for degrees in (5, 11, 31):
        for level in (0.2, 0.8):
            exact = scipy_stats.chi2.ppf(level, degrees)
            assert module._chi_square_quantile(level, degrees) == pytest.approx(exact, rel=0.01)
    small, large = (seeds_needed([pilot(0.5, n)], 1, simulate=False) for n in (7, 32))
    assert small.low < large.low < large.value < large.high < small.high


def test_the_seeds_said_to_be_needed_give_the_power_that_was_asked_for():
    c = pilot(0.7)
    needed = seeds_needed([c], 1).value
    assert needed >= seeds_needed([c], 1, simulate=False).value
    fresh = holds_share(np.array([c - c.mean()]), np.array([0.7]), needed, 99, trials=800)
    assert fresh >= 0.75  # 0.80 less what 400 and 800 trials may be off


def test_the_weakest_contrast_decides_and_two_need_more_than_one():
    one = seeds_needed([pilot(0.6)], 1).value
    other = simulate("normal", 16, 1, stream=10)[0]
    other = (other - other.mean()) / other.std(ddof=1) + 0.6
    assert seeds_needed([pilot(0.6), np.full(16, 2.0)], 1).value == one
    assert seeds_needed([pilot(0.6), other], 1).value > one


def test_more_seeds_do_not_help_an_effect_that_is_not_there():
    assert seeds_needed([pilot(1.0), pilot(-0.1)], 1) is None
    assert seeds_needed([[0.0] * 8], 1) is None


def test_tiny_effects_are_capped():
    assert seeds_needed([pilot(0.001)], 1, simulate=False).value == module.MOST_SEEDS


def test_power_is_the_level_at_the_bar_and_grows_with_seeds_beyond_it():
    c = pilot(0.0)
    found = from_differences(c, pilot(0.0, 16)[::-1], size=1.0)
    at = power(trial(Bar(absolute=1.0)), found, [8, 16])
    assert [p.seeds for p in at] == [8, 16]
    assert all(p.at_bar <= 0.05 for p in at)
    assert 0.3 < at[0].at_expected < 0.8 < at[1].at_expected  # twice the bar is 1.0 standard deviation above it


def test_power_at_an_effect_of_the_users_own_is_that_of_the_trial_that_expects_it():
    found = from_differences(pilot(0.0), pilot(0.0), size=1.0)
    asked = power(trial(Bar(absolute=1.0)), found, [10], effect=1.5, trials=100)
    assert asked == power(trial(Bar(absolute=1.0), expected=1.5), found, [10], trials=100)
    assert asked[0].at_expected < power(trial(Bar(absolute=1.0)), found, [10], trials=100)[0].at_expected


@pytest.mark.parametrize(
    ("bar", "effect", "margin"),
    [
        (Bar(absolute=0.5), None, 0.5),
        (Bar(absolute=0.5), 0.75, 0.25),
        (Bar(relative=0.2), None, 0.8),
        (Bar(relative=0.2), 0.5, 1.2),
        (Bar(within=0.5), None, 0.5),
        (Bar(within=0.5), 0.1, 0.6),
        (Bar(at_most_cost=2.0), None, np.log(2.0)),
        (Bar(at_most_cost=2.0), 1.0, np.log(2.0)),
    ],
)
def test_the_effect_above_the_bar_is_in_units_of_the_difference(bar, effect, margin):
    from assay.engine.pairing import pair

    found = [replace(u, seconds=1.0) for u in units(method=[5.0] * 6, baseline=[4.0] * 6, placebo=[4.0] * 6)]
    assert module._margin(bar, pair(trial(bar), found), effect) == pytest.approx(margin)


def test_several_bars_are_harder_to_clear_than_one():
    found = from_differences(pilot(0.0), pilot(0.0, 16)[::-1], size=1.0)
    second = simulate("normal", 16, 1, stream=11)[0]
    found = [replace(u, extra={"recall": float(second[u.seed]) if u.arm == "method" else 0.0}) for u in found]
    both = Bars(Bar(absolute=1.0), Bar(within=1.0, metric="recall"))
    assert (
        power(trial(both), found, [10], trials=100)[0].at_expected
        < power(trial(Bar(absolute=1.0)), found, [10], trials=100)[0].at_expected
    )


def test_power_needs_a_pilot_and_a_bar_on_differences():
    with pytest.raises(ValueError, match="got 0 complete seeds, wanted at least 2"):
        power(trial(), [], [8])
    with pytest.raises(ValueError, match="no bar that is tested on differences"):
        power(trial(None), from_differences([1.0] * 6, [1.0] * 6), [8])
