import pytest
import torch

from assay.methods.attention.prism import density
from assay.models import nano, nano_long
from assay.trials.attention.prism import GRID
from assay.trials.attention.prism_trained import at_random, attended, full, prism, recalled, smallest_p, trial
from assay.worlds import recall_text

LENGTH = 600  # five blocks, the last one not whole
TEXTS = recall_text.world(2, LENGTH).sample(0)


class Own:
    """Hands out a model of two layers that nobody trained."""

    def __init__(self):
        self.model = nano.tiny_llama(hidden=64, layers=2, heads=2, mlp=32, context=2048, seed=1)

    def load(self, name):
        assert name == nano_long.NAME
        return self.model, None


@pytest.fixture
def models():
    return Own()


def every_block(q, k):
    blocks = -(-q.shape[2] // 128)
    return torch.ones(1, q.shape[1], blocks, blocks, dtype=torch.bool).tril()


def test_all_blocks_are_full_attention(models):
    watched = []
    plain = attended(models.model, TEXTS, LENGTH, None, watched)
    assert watched == []
    whole = attended(models.model, TEXTS, LENGTH, every_block, watched)
    assert whole == plain == nano_long.share_right(models.model, TEXTS)
    assert len(watched) == 2 * 2  # texts and layers
    assert all(share == 1.0 for share, _ in watched)
    for _, held in watched:
        assert held.tolist() == pytest.approx([1.0, 1.0], abs=1e-4)


def own_block(q, k):
    everything = every_block(q, k)
    return everything & torch.eye(everything.shape[-1], dtype=torch.bool)


def test_blocks_that_are_left_out_change_what_the_layers_give(models):
    watched = []
    attended(models.model, TEXTS, LENGTH, own_block, watched)
    assert max(held.max().item() for _, held in watched) < 0.9


def test_the_placebo_takes_as_many_blocks(models):
    texts = recall_text.world(1, 2560).sample(0)  # 20 blocks: of few a share is rounded a good deal
    ours, noise = (arm(texts, models, 0).extra for arm in (prism, at_random))
    assert noise["density"] == pytest.approx(ours["density"], abs=0.05)
    assert ours["density"] < 1


def test_an_arm_reports_other_lengths_and_the_worst_head(models):
    found = recalled(models.model, TEXTS, 0, every_block)
    assert {"right_at_half", "right_at_twice"} <= set(found.extra)
    assert found.extra["worst_attention_kept"] <= found.extra["attention_kept"]
    assert "density" not in full(TEXTS, models, 0).extra
    assert density(every_block(torch.zeros(1, 1, LENGTH, 4), None)) == 1.0


def test_p_is_the_smallest_that_keeps_enough_else_the_largest(models):
    tried = []

    def own_block_until(enough):
        def select(p):
            tried.append(p)
            return every_block if p >= enough else own_block

        return select

    assert smallest_p(models.model, TEXTS, 0, own_block_until(GRID[2])) == GRID[2]
    assert tried == list(GRID[:3])
    assert smallest_p(models.model, TEXTS, 0, own_block_until(2.0)) == GRID[-1]


@pytest.mark.slow
def test_the_quick_run_is_reported():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome == "reported"
