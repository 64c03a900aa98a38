import pytest
import torch

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.uniqueness import Uniqueness
from assay.trials.post_training.uniqueness_training import OthersWay, first_number, trial, turned
from assay.worlds.text import sums
from assay.worlds.text.problem import parse


def test_a_turned_round_sum_is_as_right_as_it_was_and_begins_with_the_other_number():
    problem = sums.sample(3, digits=(1, 2))
    trace = turned(problem.trace)
    assert parse(trace) == problem.answer
    assert problem.prompt == "S" + "+".join([first_number(problem.trace), first_number(trace)])
    assert turned(trace) == problem.trace


def test_the_placebo_deals_the_ways_anew_within_each_group():
    clusters = torch.tensor([0, 0, 0, 0, 0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4])
    group = torch.arange(16) % 2  # rows of a group need not be adjacent
    batch = RolloutBatch(torch.rand(16), group, torch.ones(16, 1).bool(), cluster=clusters)
    own, dealt = Uniqueness()(batch, torch.ones(16)), OthersWay(0)(batch, torch.ones(16))
    for number in (0, 1):
        assert sorted(own[group == number].tolist()) == sorted(dealt[group == number].tolist())
    assert not torch.equal(own, dealt)


@pytest.mark.slow
def test_the_quick_run_trains_all_arms():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert all(unit.extra["accuracy_at_the_start"] > 0.2 for unit in result.arms)
