import pytest

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


def test_stages_are_as_long_and_end_in_whole_updates():
    assert STEPS % len(STAGES) == 0
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


def test_the_hardest_third_have_the_most_digits_and_then_carry():
    world = sums.world(each=90, digits=(1, 2)).sample(0)
    hardest = hardest_third(world)
    assert len(set(hardest)) == 30

    def hardness(place):
        return len(world[place].prompt), world[place].meta["carry"]

    easiest_inside = min(hardness(place) for place in hardest)
    assert all(hardness(place) <= easiest_inside for place in set(range(90)) - set(hardest))


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    pytest.importorskip("trl")
    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict is None or result.verdict.outcome in ("holds", "fails", "inconclusive")
