"""The reported companion of the trial of regions: steering by centroids."""

from __future__ import annotations

import pytest

from assay.methods.interpretability.steering_score import SteeringScore
from assay.trials.interpretability.mfa_steering import CONCEPTS, answers, measures, showing, trial
from assay.worlds.text import styles
from assay.worlds.text.problem import Problem


def asked(operation, word):
    return Problem(f"H {operation}{word}", "", "", "styles", {"operation": operation})


def test_a_manner_shows_in_replies_that_its_opposite_could_not_give():
    problem = asked("V", "abcd")  # V: backwards, in full, careful, up, comply
    said = {"#dcba": "", "#dc": "t", "#no": "n", "#dcab": "h", "#zzzz": "", "": ""}
    for text, marks in said.items():
        shown = {mark for mark in "tnh" if showing([problem], [(problem.prompt, text)], mark) == [True]}
        assert shown == set(marks), text


def test_every_right_answer_in_a_manner_is_among_its_answers():
    for mark in CONCEPTS:
        for operation in styles.OWN:
            assert styles.manner("bcda", operation, mark) in answers("bcda", operation, mark)
    assert answers("abcd", "V", "n") == {"no"}


def test_the_value_is_the_mean_of_the_products():
    told = measures({"c": SteeringScore(0.5, 1.0), "t": SteeringScore(0.8, 0.25)})
    assert told.value == pytest.approx((0.5 + 0.2) / 2)
    assert told.extra["concept"] == pytest.approx(0.65)
    assert told.extra["fluency"] == pytest.approx(0.625)
    assert told.extra["score_t"] == pytest.approx(0.2)


def test_it_is_reported_without_a_bar():
    assert trial.bar is None


@pytest.mark.slow
def test_a_quick_run_gives_every_arm_a_value():
    from assay.engine.runner import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert {unit.arm for unit in result.units} >= {"baseline", "placebo", "method", "plain"}
