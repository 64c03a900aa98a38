"""The sequential rule: a fair game, few wrong stops, a confidence sequence that covers at every look."""

from itertools import product

import numpy as np
import pytest

from assay.engine import sequential
from assay.engine.sequential import confidence_sequence, crossed, log_e, sequential_verdict
from assay.engine.trial import Bar, Bars
from benchmarks.stats import SYMMETRIC, covered, naive_stops, simulate, stops
from tests.engine.judging import changed, from_differences, mutated, trial, units

STREAMS = 1000
WINS = [1.0, 1.25, 0.75, 1.5, 1.0, 0.5, 1.25, 1.0]


def test_the_e_value_of_two_seeds_by_hand():
    # x_1 = 1, x_2 = -1 / sqrt((4 + 1) / 2): bets (1 + tanh(lambda x_1)) (1 + tanh(lambda x_2)), averaged
    x = [1.0, -1.0 / np.sqrt(2.5)]
    by_hand = np.mean([(1 + np.tanh(k * x[0])) * (1 + np.tanh(k * x[1])) for k in (0.5, 1, 2, 4)])
    assert log_e([[2.0, -1.0]])[0] == pytest.approx([np.log(1 + np.mean(np.tanh([0.5, 1, 2, 4]))), np.log(by_hand)])


def test_the_game_is_fair_whatever_the_sizes_of_the_differences():
    sizes = np.array([0.3, 5.0, 1.0, 0.01, 2.0, 40.0, 1.0, 0.0])
    every_sign = np.array(list(product([1.0, -1.0], repeat=8))) * sizes
    assert np.exp(log_e(every_sign)).mean(axis=0) == pytest.approx(1.0)


def test_six_equal_wins_are_the_fewest_that_settle_anything():
    assert crossed(np.ones((1, 8)))[0].tolist() == [False] * 5 + [True] * 3


def test_large_differences_do_not_overflow():
    assert np.isfinite(log_e([[1e150, -1e-150, 1e-150] * 20])).all()


@pytest.mark.parametrize("family", SYMMETRIC)
def test_looking_after_every_seed_rarely_stops_wrongly(family):
    wrong = np.mean(stops(simulate(family, 64, STREAMS)) > 0)
    assert wrong <= 0.025 + 3.3 * np.sqrt(0.025 * 0.975 / STREAMS)


def test_naive_looks_at_p_stop_wrongly_far_too_often():
    assert naive_stops(simulate("normal", 64, 200)) > 0.08


def test_clear_effects_stop_early():
    for effect, seeds in ((1.5, 9), (1.0, 14), (0.75, 24)):
        at = stops(simulate("normal", 64, 200, effect, stream=2))
        assert np.median(np.where(at == 0, 65, at)) <= seeds


@pytest.mark.parametrize("family", SYMMETRIC)
def test_the_confidence_sequence_covers_the_centre_at_every_look(family):
    assert covered(simulate(family, 64, STREAMS, stream=5)) >= 0.95 - 0.015


def test_the_confidence_sequence_ends_where_a_centre_is_ruled_out():
    for c in simulate("normal", 20, 12, effect=0.4, stream=6):
        low, high = confidence_sequence(c)
        assert low < c.mean() < high
        for inside, outside in ((low + 1e-6, low - 1e-6), (high - 1e-6, high + 1e-6)):
            ruled_out = [bool((crossed([c - theta]) | crossed([theta - c]))[0, -1]) for theta in (inside, outside)]
            assert ruled_out == [False, True]


def test_the_confidence_sequence_of_equal_differences_is_a_point():
    assert confidence_sequence([0.5] * 6) == (0.5, 0.5)


@pytest.mark.parametrize("c", [[1.0] * 5, [[1.0] * 6]])
def test_fewer_than_six_seeds_have_no_confidence_sequence(c):
    with pytest.raises(ValueError, match="at least 6 seeds"):
        confidence_sequence(c)


# --- looks at a trial ------------------------------------------------------------------------------------------------


def looks(setting, found, until):
    return [
        sequential_verdict(setting, [u for u in found if u.seed < n], planned=range(n)).outcome
        for n in range(1, until + 1)
    ]


def test_a_trial_stops_at_the_seed_that_settles_it():
    setting = trial(Bar(absolute=0.25))
    assert looks(setting, from_differences(WINS, WINS), 7) == ["inconclusive"] * 6 + ["holds"]
    below = from_differences([-w for w in WINS], WINS)
    assert looks(setting, below, 7)[-1] == "fails"


def test_the_placebo_keeps_a_trial_going():
    found = from_differences(WINS, [0.5, -0.5] * 4)
    result = sequential_verdict(trial(), found)
    assert result.outcome == "inconclusive"
    assert result.reason.startswith("open after 8 of at most 64 seeds: clears the bar but not the placebo")


def test_a_settled_trial_shows_confidence_sequences_and_e_values():
    result = sequential_verdict(trial(), from_differences(WINS, WINS))
    contrast = result.contrasts[0]
    assert (contrast.low, contrast.high) == confidence_sequence(WINS)
    assert contrast.p_holds == pytest.approx(np.exp(-log_e([WINS]).max()))
    assert result.p == contrast.p_holds <= 1 / 40
    assert result.rule == sequential.RULE


def test_crashes_limits_and_reported_trials_count_as_in_the_plain_rule():
    found = from_differences(WINS + WINS, WINS + WINS)
    crashed = changed(found, "method", [2, 5], status="error", value=None)
    assert sequential_verdict(trial(), crashed).outcome == "inconclusive"
    limit = trial(Bars(Bar(absolute=0.0), Bar(versus=None, limit=0.6)))
    assert sequential_verdict(limit, found).outcome == "fails"
    assert sequential_verdict(trial(None), found).outcome == "reported"
    assert sequential_verdict(trial(), units(method=[1.0], baseline=[0.0], placebo=[0.0])).outcome == "inconclusive"


def test_stakes_that_depend_on_the_signs_are_caught():
    signed = "np.cumsum(c * np.abs(c), axis=1).clip(1e-9)"
    with mutated(log_e, "np.cumsum(c**2, axis=1)", signed), pytest.raises(AssertionError):
        test_the_game_is_fair_whatever_the_sizes_of_the_differences()


def test_stakes_that_look_ahead_are_caught():
    ahead = "(c**2).sum(axis=1, keepdims=True)"
    with mutated(log_e, "np.cumsum(c**2, axis=1)", ahead), pytest.raises(AssertionError):
        test_the_e_value_of_two_seeds_by_hand()
