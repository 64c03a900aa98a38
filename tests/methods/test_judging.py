import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.concurrency import run_sync
from assay.methods.judging import Audit, JudgeError, audit, both_orders


def by_length(bonus=0.0):
    """Scores a reply by its length, with a bonus for whoever stands first."""

    async def judge(query, a, b):
        return len(a) + bonus, float(len(b))

    return judge


def ask(judge, *texts):
    return run_sync(judge, *texts)


@given(st.text(max_size=8), st.text(max_size=8), st.floats(-20, 20))
def test_a_bonus_for_the_first_place_cancels_over_both_orders(a, b, bonus):
    first, second = ask(both_orders(by_length(bonus)), "q", a, b)
    assert first - second == pytest.approx(2 * (len(a) - len(b)), abs=1e-9)


def test_orders_that_disagree_can_be_made_a_tie():
    assert ask(both_orders(by_length(5.0), "tie"), "q", "aaa", "b") == (9.0, 9.0)
    assert ask(both_orders(by_length(1.0), "tie"), "q", "aaa", "b") == (7.0, 3.0)


def test_an_audit_counts_bias_consistency_and_agreement():
    pairs = [("q", "aaa", "b"), ("q", "a", "bbbb"), ("q", "a", "aaaaaaaa")]
    fair = run_sync(audit, by_length(), pairs, [1, -1, 1])
    assert fair == Audit(n=3, consistent=1.0, first_bias=0.0, agreement=2 / 3)
    biased = run_sync(audit, by_length(2.5), pairs)
    assert biased.consistent == 2 / 3
    assert biased.first_bias == pytest.approx(2 / 6)
    assert biased.agreement is None


def test_scores_that_are_no_numbers_are_refused():
    async def broken(query, a, b):
        return math.nan, 1.0

    with pytest.raises(JudgeError, match="finite"):
        ask(both_orders(broken), "q", "a", "b")
    with pytest.raises(JudgeError, match="finite"):
        run_sync(audit, broken, [("q", "a", "b")])


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="inconsistent: got 'mean'"):
        both_orders(by_length(), "mean")
    with pytest.raises(ValueError, match="pairs: got none"):
        run_sync(audit, by_length(), [])
    with pytest.raises(ValueError, match="wanted: got 2"):
        run_sync(audit, by_length(), [("q", "a", "b")], [1, 1])
