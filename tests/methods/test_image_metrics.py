import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.image_metrics import frechet_distance


def rows(seed: int, n: int = 200, d: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def test_it_is_the_closed_form_where_covariances_are_diagonal():
    """Two exact point sets with means 0 and 3 and standard deviations 1 and 2: 9 + (1 - 2)^2."""
    unit = np.array([-1.0, 1.0] * 50)[:, None] / np.sqrt(100 / 99)  # variance 1 with ddof 1
    assert frechet_distance(unit, 2 * unit + 3) == pytest.approx(9 + 1, rel=1e-9)


@given(st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_it_is_symmetric_not_negative_and_zero_for_equal_sets(seed):
    a, b = rows(seed), rows(seed + 1) * 1.5 + 0.2
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6)
    assert frechet_distance(a, b) > 0


def test_it_does_not_change_under_a_rotation_of_the_features():
    a, b = rows(0), rows(1) + 1
    turn, _ = np.linalg.qr(rows(2, 4))
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(frechet_distance(a, b), rel=1e-6)


def test_a_feature_that_never_changes_does_not_break_it():
    a, b = rows(0), rows(1)
    a[:, 0] = b[:, 0] = 0.0
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(a[:, 1:], b[:, 1:]), abs=1e-2)


def test_too_few_rows_are_refused_or_warned_of():
    with pytest.raises(ValueError, match="b: got 7 rows of 4 features, wanted at least 8"):
        frechet_distance(rows(0), rows(1, 7))
    with pytest.warns(UserWarning, match="b: got 7 rows"):
        assert frechet_distance(rows(0), rows(1, 7), strict=False) > 0


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="b: got 3 features, wanted 4"):
        frechet_distance(rows(0), rows(0, d=3))
    with pytest.raises(ValueError, match="a: holds NaN"):
        frechet_distance(rows(0) * np.nan, rows(0))
    with pytest.raises(ValueError, match=r"a: got shape \(4,\)"):
        frechet_distance(np.zeros(4), rows(0))
