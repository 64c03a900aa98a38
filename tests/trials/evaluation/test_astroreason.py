"""The trial's arms on one small seed, what they must not share, and the quick run."""

import pytest

from assay.engine.runner import run
from assay.trials.evaluation.astroreason import (
    baseline,
    bounds,
    method,
    placebo,
    trial,
)
from assay.worlds.orbits.cases import world


@pytest.fixture(scope="module")
def small():
    return world(families=["satnet", "revisit"], hours=12.0).sample(1005)


@pytest.fixture(scope="module")
def reference(small):
    return bounds(small, None, 1005)


def test_every_arm_makes_possible_plans_within_the_bound(small, reference):
    for arm in (baseline, placebo, method):
        measures = arm(small, None, 1005, reference)
        assert measures.extra["invalid"] == 0
        assert 0 < measures.value <= 1.01


def test_the_method_repeats_bit_by_bit(small, reference):
    assert method(small, None, 1005, reference) == method(small, None, 1005, reference)


@pytest.mark.slow
def test_the_quick_run_ends_in_a_preview():
    result = run(trial, quick=True, workers=1)
    assert not result.failed
    assert result.verdict is not None
    assert "quick" in result.verdict.flags
