import pytest
import torch

from assay.methods.attention.prism import mean_pool_score
from assay.trials.attention.prism_blindspot import masses, measure, recovered, trial
from assay.worlds.longheads import world

HEADS = world("loaded", lengths=[4096]).sample(1000)


@pytest.fixture(scope="module")
def mass():
    return masses(HEADS, None, 1000)


def test_the_true_masses_recover_most_and_noise_least(mass):
    drawn = torch.rand(1, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    best, noise = measure(HEADS, mass, None), measure(HEADS, mass, lambda q, k: drawn[:, : q.shape[1]])
    assert noise.extra["at_10"] < best.extra["at_10"] - 0.1
    assert best.value <= 1


def test_every_block_holds_everything(mass):
    rows = torch.arange(8, 32)
    assert recovered(mass["judged"], torch.rand(1, 8, 32, 32), rows, 1.0).tolist() == pytest.approx([1.0] * 8, abs=1e-4)


def test_an_arm_reports_both_counts_and_the_other_heads(mass):
    found = measure(HEADS, mass, mean_pool_score)
    assert found.value == pytest.approx((found.extra["at_5"] + found.extra["at_10"]) / 2)
    assert found.extra["at_5"] <= found.extra["at_10"]
    assert {"theta_500k", "fast_slash", "local", "slash", "retrieval"} <= set(found.extra)


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
