"""SHARP's trial: what its arms measure, and that a quick run ends in a verdict."""

from __future__ import annotations

import numpy as np
import pytest

from assay.trials.safety.sharp import dimensions_dealt_anew, measured, risks, sharp, trial
from assay.worlds.social_harm import world

SMALL = world(prompts=200, population=5000).sample(4)


def test_an_instrument_that_sees_the_true_tail_has_tau_one_and_finds_every_pair() -> None:
    draw = np.random.default_rng(0)
    risk = [draw.normal(tail, 0.01, 200) for tail in SMALL.tails]
    seen = measured(SMALL, [*risk], lambda values: float(values.mean()), "mean")
    assert seen.value == pytest.approx(1)
    assert seen.extra["tail_ratio"] > 1.5
    if seen.extra["pairs_twofold"]:
        found = seen.extra.get("found")
        assert found == 1 or found is None


def test_the_placebo_keeps_every_dimension_and_breaks_what_goes_together() -> None:
    kept, dealt = risks(SMALL), risks(SMALL, shuffle=np.random.default_rng(1))
    for a, b in zip(kept, dealt):
        assert a.sum() == pytest.approx(b.sum())
        assert not np.allclose(a, b)


def test_arms_of_one_seed_repeat() -> None:
    assert sharp(SMALL, None, 1).value == sharp(SMALL, None, 2).value
    assert dimensions_dealt_anew(SMALL, None, 1).value == dimensions_dealt_anew(SMALL, None, 1).value


def test_the_quick_run_ends_in_a_verdict() -> None:
    from assay.engine import run

    result = run(trial, quick=True, arms=["baseline", "placebo", "method"], isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
