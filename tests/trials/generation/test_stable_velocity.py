import itertools
from functools import partial

import numpy as np
import pytest
import torch

from assay.engine import run
from assay.methods.generation.stable_velocity import kept_steps
from assay.trials.generation import _stable_velocity_sampling as sampling
from assay.trials.generation import _stable_velocity_training as training
from assay.trials.generation.stable_velocity import trials
from assay.worlds import digits, mixtures
from assay.worlds.classifier import train_classifier
from assay.worlds.shapes import scenes

BY_NAME = {trial.name: trial for trial in trials}


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The same trials with a fraction of the steps and samples; fixtures go to a cache of their own."""
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    monkeypatch.setattr(training, "EPOCHS", 4)
    monkeypatch.setattr(sampling, "REFERENCE_STEPS", 20)
    monkeypatch.setattr(sampling, "TIMES", [i / 10 for i in range(1, 10)])
    monkeypatch.setattr(sampling, "NOISES", 8)
    monkeypatch.setattr(sampling, "TRAIN_STEPS", 5)
    monkeypatch.setattr(sampling, "SAMPLES", 80)
    monkeypatch.setattr(sampling, "train_classifier", partial(train_classifier, steps=5))


def test_the_paper_has_three_trials_of_its_own_names():
    assert list(BY_NAME) == ["stable_velocity", "stable_velocity_sampling", "stable_velocity_learned"]


# --- training -----------------------------------------------------------------------------------------------------


def test_the_exact_field_has_no_error_and_a_shifted_one_has_its_shift():
    world = mixtures.world(points=8).sample(0)

    def exact(x, t):
        return torch.from_numpy(world.mixture.velocity(x.numpy(), t.numpy()))

    assert training.velocity_error(world, exact, 0) < 1e-6  # the judge's points are float64, the field's float32
    assert training.velocity_error(world, lambda x, t: exact(x, t) + 0.5, 0) == pytest.approx(16 * 0.25, rel=1e-3)


def test_training_repeats_itself_and_only_the_target_differs_from_the_baseline(small):
    world = mixtures.world(points=64).sample(0)
    values = {name: arm(world, None, 3).value for name, arm in BY_NAME["stable_velocity"].arms.items()}
    assert values["method"] == training.stable_vm(world, None, 3).value
    assert len(set(values.values())) == 3
    same = training.train(world, 3, split=training.NEVER, batch=training.BATCH, learning_rate=1e-3)
    assert same.value == values["baseline"]


# --- sampling -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [0.11, 0.31, 0.51, 0.725, 0.91])
def test_all_three_schedules_cost_the_same(split):
    asked = []

    def field(x, t, cond=None):
        asked.append(float(t[0]))
        return torch.zeros_like(x)

    spent, low = [], []
    for sampler in (sampling.sample_uniform, sampling.sample_mirrored, sampling.sample_stable):
        asked.clear()
        assert sampler(field, torch.ones(1, 2), split, None).evaluations == len(asked)
        assert asked[0] == 1.0 and all(b < a for a, b in itertools.pairwise(asked))
        spent.append(len(asked))
        low.append(sum(t < split for t in asked))
    assert len(set(spent)) == 1 and spent[0] == len(kept_steps(sampling.uniform(30), split, 1))
    assert low[2] == 1 <= low[1]  # the placebo thins the other side


def test_the_mirrored_schedule_keeps_the_low_steps_and_thins_the_high_ones():
    assert [round(30 * s) for s in sampling.mirrored(0.3)[:4]] == [30, 28, 27, 26]
    assert [round(30 * s) for s in sampling.mirrored(0.3)[-9:]] == [8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_arms_on_the_exact_field_share_the_reference_and_repeat_themselves(small):
    world = scenes.world(count=24, size=16).sample(0)
    reference = sampling.exact_reference(world, None, 5)
    again = sampling.exact_reference(world, None, 5)
    np.testing.assert_array_equal(reference.ends, again.ends)
    assert 0.1 <= reference.split <= 0.9 and reference.noise.shape == (8, 3, 16, 16)
    measured = {n: arm(world, None, 5, reference) for n, arm in BY_NAME["stable_velocity_sampling"].arms.items()}
    assert len({measured[n].extra["evaluations"] for n in ("baseline", "placebo", "method")}) == 1
    assert measured["unshortened"].extra["evaluations"] == 30
    assert measured["method"].value == sampling.exact_stable(world, None, 5, reference).value


def test_the_fine_solution_ends_on_pictures_of_the_set(small):
    world = scenes.world(count=24, size=16).sample(0)
    ends = sampling.exact_reference(world, None, 5).ends
    distance = np.sqrt(np.square(ends[:, None] - world.images[None]).mean((2, 3, 4))).min(1)
    assert distance.max() < 0.02


def test_the_learned_fields_arms_report_both_measures(small):
    world = digits.world().sample(0)
    reference = sampling.learned_reference(world, None, 1)
    arms = BY_NAME["stable_velocity_learned"].arms
    measured = {name: arm(world, None, 1, reference) for name, arm in arms.items()}
    assert all(m.value > 0 and m.extra["endpoint_rms"] > 0 for m in measured.values())
    assert len({measured[n].extra["evaluations"] for n in ("baseline", "placebo", "method")}) == 1
    assert measured["method"].value == sampling.learned_stable(world, None, 1, reference).value


@pytest.mark.parametrize("name", BY_NAME)
def test_a_quick_run_ends_in_a_verdict_that_claims_nothing(small, name):
    result = run(BY_NAME[name], quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome == "inconclusive"


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_NAME)
def test_a_quick_run_at_its_true_size_ends_in_a_verdict(name, monkeypatch, tmp_path):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    result = run(BY_NAME[name], quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome == "inconclusive"
