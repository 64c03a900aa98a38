"""The trial of GlimpRouter: its arms share a budget, its fixture calibrates, its quick run ends in a preview."""

from __future__ import annotations

import pytest

from assay.engine import run
from assay.models import Models
from assay.trials.test_time.glimprouter import (
    LARGE_SHARE,
    calibrate,
    glimprouter,
    large_share,
    mean_flops,
    settings,
    solve,
    trial,
)
from assay.worlds.text import mix6


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


@pytest.fixture(scope="module")
def problems():
    return mix6.world(each=8).sample(1000)  # a tuning seed: no trial is judged on it


@pytest.fixture(scope="module")
def shared(problems, models):
    return calibrate(problems, models, 1000)


def test_the_fixture_reaches_the_share_and_matches_the_flops_on_held_out_problems(shared):
    assert abs(shared.large_share - LARGE_SHARE) < 0.15
    assert shared.small_parameters < shared.large_parameters
    assert shared.baseline_flops == pytest.approx(shared.method_flops, rel=0.10)


def test_a_run_of_the_router_repeats_and_costs_more_with_a_lower_threshold(problems, models, shared):
    once = solve(glimprouter(models, shared.threshold), problems, 5)
    assert once == solve(glimprouter(models, shared.threshold), problems, 5)
    everything_large = solve(glimprouter(models, 0.0), problems, 5)
    sizes = (shared.small_parameters, shared.large_parameters)
    assert large_share(everything_large) == 1.0
    assert mean_flops(everything_large, sizes) > mean_flops(once, sizes)


def test_an_outside_model_is_refused_with_the_command_to_use_instead(problems):
    with pytest.raises(ValueError, match="assay use glimprouter"):
        calibrate(problems, Models("openai/gpt-5"), 0)


def test_all_arms_use_the_same_loop(models):
    router = glimprouter(models, 1.0)
    assert {k: getattr(router, k) for k in settings(models) if k not in ("small", "large")} == {
        k: v for k, v in settings(models).items() if k not in ("small", "large")
    }


@pytest.mark.slow
def test_the_quick_run_ends_in_a_preview():
    result = run(trial, quick=True, workers=1)
    assert not result.failed
    assert result.verdict is not None
    assert "quick" in result.verdict.flags
