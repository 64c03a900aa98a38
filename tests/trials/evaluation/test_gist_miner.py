"""The trial of the miner: its arms on one split, and a quick run that every arm survives."""

from __future__ import annotations

import pytest

from assay.engine.trial import Bar, Models
from assay.trials.evaluation.gist_miner import commonest_role, grep, linters, measured, miner, shuffled_signs, trial
from assay.worlds.gist_comments import NONE, ROLES, GistComments

SPLIT = GistComments().sample(0)
NO_MODELS: Models = None  # type: ignore[assignment]


def test_the_bar_is_the_specified_one() -> None:
    assert trial.bar == Bar(versus="baseline", absolute=0.20)
    assert (trial.pairs, trial.seeds) == ("case", GistComments.cases)


def test_perfect_verdicts_measure_one_and_name_nothing_wrong() -> None:
    right = measured(SPLIT, {label.place: label.role for label in SPLIT.test})
    assert (right.value, right.extra["gist_f1"], right.notes["wrong"]) == (1.0, 1.0, "")


def test_the_search_for_words_has_one_role_only() -> None:
    role = commonest_role(SPLIT)
    found = grep(SPLIT, NO_MODELS, 0)
    assert all(found.extra[f"f1_{other}"] == 0.0 for other in ROLES if other != role)
    assert found.extra["f1_none"] > 0.5
    assert role in found.notes["tuned"]


def test_linters_flag_tags_whoever_is_named() -> None:
    flagged = linters(SPLIT, NO_MODELS, 0)
    assert flagged.extra["false_positives"] > flagged.extra["true_positives"]


def test_the_placebo_differs_from_the_method_in_its_signs_only() -> None:
    method, placebo = miner(SPLIT, NO_MODELS, 0), shuffled_signs(SPLIT, NO_MODELS, 0)
    assert placebo.value < method.value
    assert placebo.extra.keys() <= method.extra.keys()
    assert shuffled_signs(SPLIT, NO_MODELS, 0) == placebo
    assert NONE in {label.role for label in SPLIT.test}


@pytest.mark.slow
def test_a_quick_run_gives_every_arm_a_value() -> None:
    from assay.engine.runner import run

    result = run(trial, seeds=trial.quick_seeds, quick=True, isolation="inline")
    assert not result.failed
    assert "method" in result.table()
