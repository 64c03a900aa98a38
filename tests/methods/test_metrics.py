"""Shared measures against values from elsewhere."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.metrics import (
    auc_at_k,
    avg_at_k,
    binary_report,
    bootstrap_ci,
    calibration_report,
    cvar,
    holm,
    pass_at_k,
    pass_hat_k,
    tail_weights,
    vote,
    wilson,
)


def test_counts_and_shares_of_a_hand_worked_table() -> None:
    report = binary_report([1] * 4 + [0] * 6, [1, 1, 1, 0] + [1, 1, 0, 0, 0, 0])
    assert (report.true_positives, report.false_negatives, report.false_positives, report.true_negatives) == (
        3,
        1,
        2,
        4,
    )
    assert report.precision == pytest.approx(3 / 5)
    assert report.recall == pytest.approx(3 / 4)
    assert report.f1 == pytest.approx(2 * 0.6 * 0.75 / 1.35)
    assert report.accuracy == pytest.approx(0.7)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_scikit_learn_agrees(pairs: list[tuple[bool, bool]]) -> None:
    from sklearn.metrics import f1_score

    y, yhat = zip(*pairs, strict=True)
    expected = f1_score(y, yhat, zero_division=0)
    f1 = binary_report(y, yhat).f1
    assert (math.isnan(f1) and expected == 0) or f1 == pytest.approx(expected)


def test_wilson_interval_equals_that_of_statsmodels() -> None:
    from statsmodels.stats.proportion import proportion_confint

    for successes, n in ((0, 10), (3, 10), (10, 10), (173, 200)):
        assert wilson(successes, n) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-9)


def test_nothing_flagged_has_no_precision_and_a_full_interval() -> None:
    report = binary_report([1, 0], [0, 0])
    assert math.isnan(report.precision)
    assert report.precision_interval == (0.0, 1.0)
    assert report.f1 == 0.0


@pytest.mark.parametrize(
    ("y", "yhat", "word"),
    [([1], [1, 0], "yhat"), ([], [], "y: got no values"), ([2], [1], "y: got 2"), ([1], [0.5], "yhat")],
)
def test_wrong_input_is_named(y: list[int], yhat: list[int], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        binary_report(y, yhat)


def test_pass_at_k_is_the_share_of_subsets_that_hold_a_right_sample() -> None:
    for n, c, k in ((6, 2, 3), (5, 0, 2), (5, 5, 1), (7, 3, 6)):
        subsets = list(itertools.combinations([True] * c + [False] * (n - c), k))
        assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))
        assert pass_hat_k(n, c, k) == pytest.approx(sum(map(all, subsets)) / len(subsets))


def test_avg_at_k_takes_the_first_samples_of_each_problem() -> None:
    assert avg_at_k([[1, 0, 1], [0, 0, 1]], 2) == 0.25


def test_the_area_under_a_straight_pass_curve_is_its_middle() -> None:
    assert auc_at_k([0.2, 0.4, 0.6]) == pytest.approx(0.4)
    assert auc_at_k([0.0, 1.0, 1.0]) == pytest.approx(0.75)


def test_a_vote_counts_weights_and_drops_those_who_abstain() -> None:
    won = vote(["a", "b", None, "b"], weights=[3, 1, 9, 1])
    assert (won.answer, won.counts, won.share, won.tie) == ("a", {"a": 3, "b": 2}, 0.6, False)


def test_a_tied_vote_is_settled_as_told() -> None:
    assert vote(["b", "a"]).answer == "b"
    assert vote(["b", "a"], ties="lexical").answer == "a"
    drawn = {vote(["b", "a"], ties="random", generator=np.random.default_rng(i)).answer for i in range(20)}
    assert drawn == {"a", "b"}
    assert vote(["b", "a"]).tie


def test_a_vote_of_nobody_has_no_answer() -> None:
    assert vote([None, None]).answer is None


def test_calibration_by_hand() -> None:
    report = calibration_report([0.9, 0.9, 0.6, 0.2], [1, 0, 1, 0])
    assert report.ece == pytest.approx((2 * 0.4 + 0.4 + 0.2) / 4)
    assert report.mce == pytest.approx(0.4)
    assert report.brier == pytest.approx((0.01 + 0.81 + 0.16 + 0.04) / 4)
    assert report.auroc == pytest.approx((0.5 + 1 + 0 + 1) / 4)
    assert report.confidence_when_wrong == pytest.approx(0.55)
    assert [b.n for b in report.bins] == [1, 1, 2]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=1, max_size=60))
def test_murphys_parts_add_up_to_the_brier_score(pairs: list[tuple[float, bool]]) -> None:
    report = calibration_report(*zip(*pairs), bins=20)
    assert report.reliability - report.resolution + report.uncertainty == pytest.approx(report.brier)


def test_bins_of_equal_mass_hold_equal_numbers() -> None:
    report = calibration_report(np.linspace(0.5, 0.6, 40), [1] * 40, bins=4, kind="mass")
    assert [b.n for b in report.bins] == [10, 10, 10, 10]
    assert math.isnan(report.auroc)


def test_scikit_learn_agrees_on_the_brier_score_and_the_auroc() -> None:
    from sklearn.metrics import brier_score_loss, roc_auc_score

    generator = np.random.default_rng(0)
    confidence = generator.random(200)
    right = generator.random(200) < confidence
    report = calibration_report(confidence, right)
    assert report.brier == pytest.approx(brier_score_loss(right, confidence))
    assert report.auroc == pytest.approx(roc_auc_score(right, confidence))


def test_the_bootstrap_interval_of_a_mean_is_near_the_exact_one() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    low, high = bootstrap_ci(values, resamples=2000)
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    assert bootstrap_ci(values, resamples=2000) == (low, high)


def test_rows_stay_whole_in_the_bootstrap() -> None:
    table = np.repeat(np.arange(30.0)[:, None], 2, axis=1)
    assert bootstrap_ci(table, lambda rows: float(np.abs(rows[:, 0] - rows[:, 1]).max()), resamples=99) == (0.0, 0.0)


def test_equal_values_have_a_point_for_an_interval() -> None:
    assert bootstrap_ci([0.3, 0.3, 0.3]) == (0.3, 0.3)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    hit = 0
    for _ in range(100):
        low, high = bootstrap_ci(generator.exponential(1.0, 40), resamples=200, level=0.9)
        hit += low <= 1.0 <= high
    assert 0.82 <= hit / 100 <= 0.96


@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=30),
    st.sampled_from([0.5, 0.75, 0.9, 0.95]),
)
def test_both_forms_of_cvar_agree(losses: list[float], alpha: float) -> None:
    forms = [c + sum(max(x - c, 0) for x in losses) / ((1 - alpha) * len(losses)) for c in losses]
    assert cvar(losses, alpha) == pytest.approx(min(forms), abs=1e-9)
    assert tail_weights(losses, alpha).sum() == pytest.approx(1)


def test_the_tail_counts_its_border_by_the_fraction_that_is_in_it() -> None:
    assert tail_weights([3.0, 1.0, 9.0, 5.0], alpha=0.6) == pytest.approx([0, 0, 1 / 1.6, 0.6 / 1.6])


def test_holm_is_the_rule_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    p_values = [0.04, 0.001, 0.2, 0.03, 0.03]
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm([]) == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pass_at_k(4, 5, 1), "c: got 5 right of n = 4"),
        (lambda: pass_hat_k(4, 1, 5), "k: got 5"),
        (lambda: avg_at_k([[1, 0], [1]], 2), "k: got 2, wanted 1 to 1"),
        (lambda: avg_at_k([], 1), "scores: got no problems"),
        (lambda: auc_at_k([0.5]), "pass_curve: got 1 values"),
        (lambda: vote(["a"], ties="none"), "ties: got 'none'"),
        (lambda: vote(["a"], ties="random"), "generator: got None"),
        (lambda: vote(["a"], weights=[1, 2]), "weights: got 2, wanted 1"),
        (lambda: vote(["a"], weights=[-1]), "weights: got -1"),
        (lambda: calibration_report([0.5], [1, 0]), "confidence, correct: got shapes"),
        (lambda: calibration_report([1.5], [1]), "confidence: got a value outside"),
        (lambda: calibration_report([0.5], [2]), "correct: got a value other"),
        (lambda: calibration_report([0.5], [1], bins=0), "bins: got 0"),
        (lambda: calibration_report([0.5], [1], kind="log"), "kind: got 'log'"),
        (lambda: bootstrap_ci([1.0]), "values: got shape"),
        (lambda: bootstrap_ci([1.0, 2.0], lambda rows: math.nan if rows[0] == 1 else 1.0), "statistic: is not finite"),
        (lambda: cvar([1.0], 1.0), "alpha: got 1.0"),
        (lambda: cvar([]), "losses: got 0 values"),
    ],
)
def test_wrong_input_of_a_measure_is_named(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
