"""A million rows on one thread: the estimators whose form is closed, in processor time."""

import time

import pytest
import torch

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.hadw import HADW
from assay.methods.post_training.matchtir import DualLevel
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.methods.post_training.prl import FutureKL
from assay.methods.post_training.uniqueness import Uniqueness

ROWS, ROLLOUTS = 1_000_000, 8
ESTIMATORS = {
    "GRPO": GroupNormalised(),
    "by agent": GroupNormalised(("group", "agent")),
    "by trajectory": GroupNormalised(unit="trajectory"),
    "HA-DW": Pipeline(GroupNormalised(), HADW()),
    "Uniqueness": Pipeline(GroupNormalised(), Uniqueness()),
    "FutureKL": Pipeline(GroupNormalised(), FutureKL()),
    "DualLevel": DualLevel(),
}


@pytest.fixture(scope="module")
def million():
    generator = torch.Generator().manual_seed(0)

    def ids(most):
        return torch.randint(0, most, (ROWS,), generator=generator)

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield RolloutBatch(
        rewards=torch.rand(ROWS, generator=generator),
        group=torch.arange(ROWS) // ROLLOUTS,
        mask=torch.ones(ROWS, 1, dtype=torch.bool),
        logprobs=-torch.rand(ROWS, 1, generator=generator),
        ref_logprobs=-torch.rand(ROWS, 1, generator=generator),
        turn=torch.zeros(ROWS, 1, dtype=torch.long),
        turn_rewards=torch.rand(ROWS, 1, generator=generator),
        agent=ids(2),
        trajectory=torch.arange(ROWS) // 2,
        cluster=ids(4),
    )
    torch.set_num_threads(before)


def seconds(call) -> float:
    """The best of three, after one to warm up."""
    call()
    times = []
    for _ in range(3):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_million_rows_take_less_than_a_second(million, name):
    took = seconds(lambda: ESTIMATORS[name](million))
    print(f"{name}: {took:.3f} s")
    assert took < 1


@pytest.mark.slow
def test_group_normalisation_costs_at_most_twice_what_trls_own_does(million):
    trl = pytest.importorskip("trl.trainer.grpo_trainer")
    rewards = million.rewards.unsqueeze(1)

    def theirs():
        table = rewards.nansum(dim=1).view(-1, ROLLOUTS)
        mean = torch.nanmean(table, dim=1).repeat_interleave(ROLLOUTS, dim=0)
        std = trl.nanstd(table, dim=1).repeat_interleave(ROLLOUTS, dim=0)
        return (table.view(-1) - mean) / (std + 1e-4)

    ratio = seconds(lambda: ESTIMATORS["GRPO"](million)) / seconds(theirs)
    print(f"{ratio:.2f} times TRL's")
    assert ratio < 2
