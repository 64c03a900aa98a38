"""The reported companion of Steer2Adapt's trial: examples in the prompt."""

from __future__ import annotations

import pytest
import torch

from assay.methods.interpretability._replies import prompt_ids
from assay.methods.interpretability.steer2adapt import Basis, Item
from assay.models import tokenizer as tok
from assay.trials.interpretability.steer2adapt import CALIBRATION, TASKS, Shared
from assay.trials.interpretability.steer2adapt_few_shot import SHOTS, after, chosen, next_ones, trial

ITEMS = [Item(f"H V{i}", f"#{i}") for i in range(CALIBRATION)]
SHARED = Shared(Basis(torch.eye(5), ("a", "b", "c", "d", "e"), 1, (1,)), {TASKS[0]: ITEMS})


def test_half_of_the_examples_are_what_the_plain_model_has_right():
    shown = chosen(SHARED, TASKS[0], 3)
    assert len(set(shown)) == SHOTS
    assert sum(item in ITEMS[: CALIBRATION // 2] for item in shown) == SHOTS // 2
    assert chosen(SHARED, TASKS[0], 3) == shown != chosen(SHARED, TASKS[0], 4)


def test_the_placebo_keeps_prompts_and_replies_and_no_pair_of_them():
    shown = chosen(SHARED, TASKS[0], 3)
    mixed = next_ones(shown)
    assert [item.prompt for item in mixed] == [item.prompt for item in shown]
    assert sorted(item.gold for item in mixed) == sorted(item.gold for item in shown)
    assert not set(mixed) & set(shown)


def test_examples_are_turns_of_the_same_conversation():
    item = after([Item("H Vab", "#ba"), Item("H Wcd", "#dc")], Item("H Vef", "#fe"))
    text = tok.decode(prompt_ids(tok.build(), item.prompt))
    assert text == "<bos><user>H Vab<bot>#ba<eos><user>H Wcd<bot>#dc<eos><user>H Vef<bot>"
    assert item.gold == "#fe"


def test_it_is_reported_without_a_bar():
    assert trial.bar is None
    assert trial.method == "method"


@pytest.mark.slow
def test_a_quick_run_gives_every_arm_a_value():
    from assay.engine.runner import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert {unit.arm for unit in result.units} >= {"baseline", "placebo", "method", "plain"}
