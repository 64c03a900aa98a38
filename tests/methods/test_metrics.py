"""Shared measures against values from elsewhere."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.metrics import binary_report, wilson


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
