import pytest
import torch

from assay.methods.attention.block_sparse import block_mass
from assay.methods.attention.prism import mean_pool_score
from assay.trials.attention.prism_blindspot import measure, recovered, trial
from assay.worlds.longheads import world

HEADS = world("loaded", lengths=[4096]).sample(1000)


def test_the_true_masses_recover_most_and_noise_least():
    best = recovered(HEADS, lambda q, k: block_mass(q, k, 128), every=4)[1].mean()
    drawn = torch.rand(1, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    assert recovered(HEADS, lambda q, k: drawn, every=4)[1].mean() < best - 0.1
    assert best <= 1


def test_an_arm_reports_both_counts_and_the_other_heads():
    found = measure(HEADS, mean_pool_score)
    assert found.value == pytest.approx((found.extra["at_5"] + found.extra["at_10"]) / 2)
    assert found.extra["at_5"] <= found.extra["at_10"]
    assert {"theta_500k", "fast_slash", "local", "slash", "retrieval"} <= set(found.extra)


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, arms=["baseline", "placebo", "method"], isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
