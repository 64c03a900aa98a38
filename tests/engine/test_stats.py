"""The three tests, against hand-worked cases and against SciPy, arch and statsmodels."""

from itertools import product

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests

from assay.engine import stats
from assay.engine.stats import (
    benjamini_hochberg,
    bootstrap_weights,
    cleared,
    clears,
    holm,
    misses,
    sign_flip,
    three_tests,
)
from benchmarks.stats import FAMILIES, simulate
from tests.engine.judging import mutated


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def data_sets(count):
    """Normal, exponential, heavy-tailed and rounded samples of 8 to 30 values."""
    rng = np.random.default_rng(5)
    draws = [
        rng.standard_normal,
        rng.exponential,
        lambda size: rng.standard_t(3, size),
        lambda size: rng.integers(-3, 5, size),
    ]
    return [np.asarray(draws[i % 4](size=8 + i % 23), dtype=float) for i in range(count)]


# --- BCa -------------------------------------------------------------------------------------------------------------


def test_bca_agrees_with_scipy_on_fifty_data_sets_within_monte_carlo_error():
    errors = []
    for i, x in enumerate(data_sets(50)):
        ours, theirs = [], []
        for repeat in range(6):
            tests = three_tests([x], repeat, flips=9)
            rng = np.random.default_rng([i, repeat])
            ours.append([tests.low[0], tests.high[0]])
            theirs.append(scipy_stats.bootstrap((x,), np.mean, n_resamples=9999, rng=rng).confidence_interval)
        noise = np.sqrt((np.var(ours, axis=0, ddof=1) + np.var(theirs, axis=0, ddof=1)) / 6)
        noise = np.maximum(noise, 0.01 * x.std())  # on a lattice all six runs may agree
        errors += list((np.mean(ours, axis=0) - np.mean(theirs, axis=0)) / noise)
    assert np.mean(np.abs(errors) > 3) <= 0.02
    assert np.sqrt(np.mean(np.square(errors))) < 1.25


def test_bca_agrees_with_arch():
    from arch.bootstrap import IIDBootstrap

    for i, x in enumerate(data_sets(2)):
        theirs = IIDBootstrap(x, seed=np.random.default_rng(i)).conf_int(np.mean, 9999, method="bca").ravel()
        ours = three_tests([x], i)
        assert [ours.low[0], ours.high[0]] == pytest.approx(theirs, abs=0.06 * np.std(x))


def test_equal_differences_give_a_point_interval_that_holds_only_above_zero():
    tests = three_tests([[0.3] * 8, [0.0] * 8, [-0.3] * 8, [0.1 + 0.2] * 4 + [0.3] * 4], 1)
    assert tests.low.tolist() == tests.high.tolist() == tests.boot_t_low.tolist() == [0.3, 0.0, -0.3, 0.3]
    assert tests.constant.all()
    assert clears(tests).tolist() == [True, False, False, True]
    assert misses(tests).tolist() == [False, False, True, False]


def test_weights_are_multinomial_seeded_and_shared():
    weights = bootstrap_weights(7, 3)
    assert weights.shape == (stats.DRAWS, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean() == 1.0
    assert weights.var() == pytest.approx(1 - 1 / 7, rel=0.02)
    assert bootstrap_weights(7, 3) is weights
    assert (bootstrap_weights(7, 4) != weights).any()
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 9


# --- studentised bounds ------------------------------------------------------------------------------------------


def test_studentised_bounds_agree_with_a_plain_loop_over_the_same_draws():
    c = np.array([0.3, -0.1, 0.8, 0.4, 1.9, 0.2, -0.4, 0.6, 0.5])
    weights = bootstrap_weights(len(c), 11)
    t = []
    for w in weights:
        draw = np.repeat(np.sort(c), w.astype(int))
        se = draw.std(ddof=1) / 3
        t.append(np.inf * np.sign(draw.mean() - c.mean()) if se == 0 else (draw.mean() - c.mean()) / se)
    se = c.std(ddof=1) / 3
    upper, lower = np.sort(t)[9749], np.sort(t)[249]
    tests = three_tests([c], 11)
    assert tests.boot_t_low[0] == pytest.approx(np.clip(c.mean() - upper * se, c.min(), c.max()), abs=1e-12)
    assert tests.boot_t_high[0] == pytest.approx(np.clip(c.mean() - lower * se, c.min(), c.max()), abs=1e-12)


def test_a_method_that_wins_every_seed_by_one_of_two_margins_holds():
    tests = three_tests([[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25]], 1)
    assert tests.boot_t_low[0] == 0.25  # unclamped: minus infinity, because most draws repeat one value
    assert clears(tests)[0]


# --- sign-flip ---------------------------------------------------------------------------------------------------


def test_sign_flip_counts_ties_against_the_method():
    assert sign_flip([[1, 2, 3]], 0)[0] == 1 / 8  # only the sums as they are reach 6
    assert sign_flip([[1, 1, -1]], 0)[0] == 4 / 8  # 3, and 1 three times
    assert sign_flip([[0, 0, 0]], 0)[0] == 1.0
    assert sign_flip([[0.1, 0.2, -0.3, 0.4]], 0)[0] == 5 / 16  # negating nothing, .1, .2, .3 or .1 and .2


@pytest.mark.parametrize("n", [2, 5, 8, 10])
def test_sign_flip_equals_scipys_permutation_test_exactly(n, rng):
    for c in (rng.normal(0.4, 1, n), rng.integers(-4, 6, n).astype(float)):
        found = scipy_stats.permutation_test(
            (c,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf
        )
        assert sign_flip([c], 0)[0] == found.pvalue


def test_sign_flip_by_halves_equals_all_flips_one_by_one(rng):
    for n in (11, 12):
        c = rng.normal(0.3, 1, n).round(1)
        sums = np.array(list(product([1, -1], repeat=n))) @ c
        assert sign_flip([c], 0)[0] == np.mean(sums >= c.sum() - 1e-9)


def test_random_flips_agree_with_exact_ones_beyond_twenty_seeds(monkeypatch, rng):
    c = rng.normal(0.35, 1, 24)
    drawn = sign_flip([c], 7)[0]
    monkeypatch.setattr(stats, "EXACT_UP_TO", 24)
    exact = sign_flip([c], 7)[0]
    assert abs(drawn - exact) < 4 * np.sqrt(exact * (1 - exact) / stats.FLIPS) + 1e-5
    assert drawn != exact


def test_the_smallest_p_beyond_twenty_seeds_is_not_zero():
    assert sign_flip([np.full(30, 2.0)], 1)[0] == pytest.approx(1e-5)


# --- many rows, and many trials ----------------------------------------------------------------------------------


def test_a_row_is_judged_alike_alone_and_among_others_and_in_any_order(rng):
    rows = rng.normal(0.5, 1, (20, 12))
    together = three_tests(rows, 9)
    for i in (0, 7, 19):
        alone = three_tests([rng.permutation(rows[i])], 9)
        for name in ("estimate", "low", "high", "boot_t_low", "boot_t_high", "p_holds", "p_fails", "skew"):
            assert getattr(alone, name)[0] == pytest.approx(getattr(together, name)[i], rel=1e-12, abs=1e-12)


def many_rows(n):
    """Rows of every family, on the bar and above it, some of them on a lattice where draws fall on zero itself."""
    rows = np.concatenate([simulate(family, n, 20, effect, stream=n) for family in FAMILIES for effect in (0.0, 0.5)])
    rows[::10] = rows[::10].round()
    return np.sort(rows, axis=1)


@pytest.mark.parametrize("n", [2, 6, 12, 24])
def test_counting_draws_says_the_same_as_the_bounds_themselves(n):
    rows, weights = many_rows(n), bootstrap_weights(n, 5)
    tests = three_tests(rows, 5, flips=999)
    drawn = stats._resampled(rows, weights)
    assert (stats._boot_t_above_zero(rows, weights, *drawn) == (tests.boot_t_low > 0)).all()
    assert (stats._bca_above_zero(rows, *drawn) == (tests.low > 0)).all()
    assert (cleared(rows, 5, flips=999) == clears(tests)).all()


def test_a_negated_row_swaps_the_sides_of_the_tests(rng):
    rows = rng.normal(0.5, 1, (10, 9))
    plain, mirror = three_tests(rows, 2), three_tests(-rows, 2)
    assert (plain.p_holds == mirror.p_fails).all()
    assert plain.skew == pytest.approx(-mirror.skew)
    assert (clears(plain) & misses(plain)).sum() == 0


def test_skewness_is_that_of_scipy(rng):
    x = rng.exponential(size=(4, 15))
    assert three_tests(x, 0).skew == pytest.approx(scipy_stats.skew(x, axis=1))


def test_holm_takes_the_running_maximum():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_holm_and_benjamini_hochberg_equal_statsmodels(rng):
    for n in (1, 2, 7, 124):
        p = rng.random(n) ** 3
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)
        assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1], abs=1e-12)
    assert len(holm([])) == 0


@pytest.mark.parametrize("rows", [[1.0, 2.0], [[1.0]], np.zeros((0, 4)), [[1.0, np.nan]], [[1.0, np.inf]]])
def test_differences_that_are_no_finite_table_are_refused(rows):
    with pytest.raises(ValueError, match="differences"):
        three_tests(rows, 0)


@pytest.mark.parametrize("p", [[0.5, 1.5], [[0.5]], [np.nan]])
def test_p_values_that_are_no_probabilities_are_refused(p):
    with pytest.raises(ValueError, match="p: got"):
        holm(p)


# --- mutants -----------------------------------------------------------------------------------------------------


def test_a_sign_flip_that_leaves_out_ties_is_caught():
    with mutated(sign_flip, "sum(axis=1) - TOLERANCE", "sum(axis=1) + TOLERANCE"), pytest.raises(AssertionError):
        test_sign_flip_counts_ties_against_the_method()


def test_holm_without_the_running_maximum_is_caught():
    with mutated(holm, "np.maximum.accumulate(steps)", "steps"), pytest.raises(AssertionError):
        test_holm_takes_the_running_maximum()


@pytest.mark.parametrize(
    ("function", "old", "new"),
    [
        ("_boot_t_above_zero", "> _UPPER", ">= _UPPER - 25"),
        ("_boot_t_above_zero", "(rows[:, 0] > 0) | ", ""),
        ("_bca_above_zero", "not_above <= below)", "not_above <= below + 40)"),
        ("_bca_above_zero", "rows[:, 0] > 0", "False"),
    ],
)
def test_counting_that_is_off_is_caught(function, old, new):
    with mutated(getattr(stats, function), old, new), pytest.raises(AssertionError):
        for n in (6, 12):
            test_counting_draws_says_the_same_as_the_bounds_themselves(n)
