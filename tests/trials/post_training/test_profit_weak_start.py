import pytest

from assay.trials.post_training import profit
from assay.trials.post_training.profit_weak_start import begin, trial


def test_only_the_start_differs_from_the_trial_that_it_stands_beside(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "assay.trials.post_training.profit_weak_start.pretrained",
        lambda seed, steps, below: asked.append((seed, steps, below)) or profit.fresh(seed),
    )
    world = profit.told_sums.world(each=40, below=9).sample(2)
    begin(world, None, 3)
    assert asked == [(3, 20, 9)]
    assert all(profit.trial.arms[name] is arm for name, arm in trial.arms.items())
    assert (trial.world, trial.world_args) == (profit.trial.world, profit.trial.world_args)


@pytest.mark.slow
def test_the_quick_run_reports_all_arms():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome == "reported"
