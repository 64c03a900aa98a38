import pytest
import torch

from assay.models.tokenizer import encode
from assay.trials.post_training.p1_vl import (
    BATCH,
    CASES,
    PROMPT,
    REPLY,
    ROLLOUTS,
    STAGES,
    STEPS,
    hardest_third,
    sums_like,
    trial,
)
from assay.worlds.text import sums


def test_the_arms_train_on_5120_rollouts_and_stages_end_in_whole_updates():
    assert STEPS * BATCH == 5120
    assert trial.world_args["each"] == CASES
    assert all(BATCH % stage.rollouts == 0 for stage in STAGES)
    assert STAGES[0].rollouts == ROLLOUTS


def test_windows_grow_and_no_worked_reply_is_cut():
    assert [stage.window for stage in STAGES] == sorted({stage.window for stage in STAGES})
    problems = sums.world(each=500, digits=(1, 2)).sample(0)
    assert max(len(encode(p.trace)) + 1 for p in problems) == REPLY
    assert max(len(encode(p.prompt)) + 3 for p in problems) == PROMPT  # <bos>, <user> and <bot>
    assert STAGES[0].window - PROMPT > REPLY


def test_training_sums_are_as_long_as_the_worlds():
    world = sums.world(each=60, digits=(1, 2)).sample(0)
    assert max(sums_like(world)(seed, "train").meta["digits"] for seed in range(50)) == 2


def test_the_hardest_third_are_the_sums_the_model_finds_least_likely():
    from assay.models.nano import tiny_llama

    torch.manual_seed(0)
    model = tiny_llama(hidden=32, layers=1, heads=2, mlp=64).eval()
    world = sums.world(each=30, digits=(1, 3)).sample(0)
    hardest = hardest_third(model, world)
    assert len(hardest) == 10

    def surprise(problem):
        head = [1, 3, *encode(problem.prompt), 4]
        ids = torch.tensor([[*head, *encode(problem.trace), 2]])
        labels = ids.clone()
        labels[:, : len(head)] = -100
        return model(ids, labels=labels).loss.item()

    ranked = sorted(range(30), key=lambda place: -surprise(world[place]))
    assert set(ranked[:10]) == set(hardest)


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    pytest.importorskip("trl")
    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict is None or result.verdict.outcome in ("holds", "fails", "inconclusive")
