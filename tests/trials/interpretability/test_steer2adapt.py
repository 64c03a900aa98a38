"""The trial of Steer2Adapt."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from assay.engine.trial import NoHeadroom
from assay.methods.interpretability.steer2adapt import Basis
from assay.models import load
from assay.trials.interpretability import steer2adapt
from assay.trials.interpretability.steer2adapt import TASKS, along_axes, begin, items_of, measures, mix_told, trial
from assay.worlds.text import styles

BASIS = Basis(torch.eye(5), ("a", "b", "c", "d", "e"), 1, (1,))


def test_the_baseline_tries_as_many_mixes_as_the_search_may():
    tried = []

    def score(alpha):
        tried.append(alpha)
        return -abs(alpha[3] + 0.75) - 10 * np.abs(np.delete(alpha, 3)).sum()

    recipe = along_axes(score, BASIS)
    assert len(tried) == 43
    assert recipe.alpha == (0.0, 0.0, 0.0, -0.75, 0.0)  # the middle between two points of the grid
    assert mix_told(recipe) == "-0.75 d"


def test_the_baseline_leaves_a_model_alone_that_nothing_helps():
    recipe = along_axes(lambda alpha: -np.abs(alpha).sum(), BASIS)
    assert not any(recipe.alpha)
    assert mix_told(recipe) == "nothing"


def test_each_task_gets_its_own_items():
    world = styles.world(each=3, wanted=TASKS).sample(0)
    for task in TASKS:
        items = items_of(world, task)
        assert len(items) == 3
        for item in items:
            name, word = item.prompt.split()[1][:-4], item.prompt[-4:]
            assert item.gold == "#" + styles.manner(word, name, task)


def test_the_measures_are_means_over_the_tasks():
    told = measures({"kt": steer2adapt.Change(0.5, 0.7, 0.1), "id": steer2adapt.Change(0.25, 0.25, 0.0)})
    assert told.value == pytest.approx(0.1)
    assert told.extra["flips"] == pytest.approx(0.05)
    assert told.extra["accuracy"] == pytest.approx(0.475)


def test_a_model_without_anything_right_leaves_no_headroom(monkeypatch):
    class Nano:
        def load(self, name):
            return load("nano")

    monkeypatch.setattr(steer2adapt, "POOL", 30)
    with pytest.raises(NoHeadroom, match="task kt: the plain model has 0% of 30 items right"):
        begin((), Nano(), 0)


@pytest.mark.slow
def test_a_quick_run_gives_every_arm_a_value():
    from assay.engine.runner import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert "method" in result.table()
