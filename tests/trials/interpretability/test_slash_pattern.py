import numpy as np
import pytest
import torch

from assay.engine.trial import NoHeadroom
from assay.trials.interpretability import slash_pattern
from assay.trials.interpretability.slash_pattern import predicted_strength, trained, trial
from assay.worlds.delta_copy import world

TEXT = world(length=48, longest=16).sample(1000)


def test_a_peak_is_predicted_at_its_lag_and_not_with_the_phases_dealt_out():
    omega = 10_000.0 ** (-torch.arange(8, dtype=torch.float64) / 8)
    size = torch.full((1, 8), 3.0, dtype=torch.float64)
    strength, lag = predicted_strength(size, -omega[None] * 11, omega, TEXT)
    assert lag.tolist() == [11]
    assert strength[0] > 0.5
    _, elsewhere = predicted_strength(size, (-omega * 11).flip(0)[None], omega, TEXT)
    assert elsewhere.tolist() != [11]


def test_an_untrained_model_has_no_headroom(monkeypatch):
    monkeypatch.setattr(slash_pattern, "STEPS", 3)
    monkeypatch.setattr(slash_pattern, "JUDGED", 4)
    with pytest.raises(NoHeadroom, match="fewer than 3 heads"):
        trained(TEXT, None, 1000)


def test_the_arms_read_the_same_fixture(monkeypatch):
    monkeypatch.setattr(slash_pattern, "STEPS", 3)
    monkeypatch.setattr(slash_pattern, "JUDGED", 4)
    monkeypatch.setattr(slash_pattern, "FEWEST", 0)
    monkeypatch.setattr(slash_pattern, "THRESHOLD", 0.0)
    fixture = trained(TEXT, None, 1000)
    assert fixture["size"].shape == (32, 8)
    assert (fixture["rank"] > 0).all() and (fixture["rank"] <= 1).all()
    found = {name: arm(TEXT, None, 1000, fixture) for name, arm in trial.arms.items()}
    assert all(-1 <= one.value <= 1 for one in found.values())
    assert found["method"].extra["slash_heads"] == 32
    perfect = {**fixture, "measured": fixture["rank"]}
    assert trial.arms["baseline"](TEXT, None, 1000, perfect).value == pytest.approx(1)
    assert np.isfinite(found["method"].extra["fall_strongest"])


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
