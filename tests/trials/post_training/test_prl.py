import numpy as np
import pytest
import torch

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.prl import FutureKL, LossSideK3
from assay.trials.post_training.prl import (
    BETA,
    LETTERS_A_STEP,
    ROLLOUTS,
    OthersFutureKL,
    centred,
    train,
    trial,
)
from assay.worlds.sequence_mdp import log_softmax, world


def batch_of_all_strings(mdp, logits):
    """Every string once, as the rows of one group."""
    current, reference = log_softmax(logits), log_softmax(mdp.reference)
    return RolloutBatch(
        rewards=torch.from_numpy(mdp.rewards),
        group=torch.zeros(len(mdp.rewards), dtype=torch.long),
        mask=torch.ones(mdp.strings.shape, dtype=torch.bool),
        logprobs=torch.from_numpy(current[mdp.prefixes, mdp.strings]),
        ref_logprobs=torch.from_numpy(reference[mdp.prefixes, mdp.strings]),
    )


def expected_update(mdp, logits, transform):
    """The exact mean over strings of sum over letters of A grad log pi, with the raw reward as the advantage."""
    batch = batch_of_all_strings(mdp, logits)
    advantages = transform(batch, batch.rewards).numpy()
    weights = np.exp(mdp.log_chances(logits))[:, None] * advantages
    update = np.zeros_like(logits)
    np.add.at(update, (mdp.prefixes, mdp.strings), weights)
    np.add.at(update, mdp.prefixes, -weights[..., None] * np.exp(log_softmax(logits))[mdp.prefixes])
    return update


def exact_gradient(mdp, logits):
    table = torch.from_numpy(logits).requires_grad_()
    ours = table.log_softmax(1)[mdp.prefixes, mdp.strings].sum(1)
    theirs = torch.from_numpy(mdp.log_chances(mdp.reference))
    (ours.exp() * (torch.from_numpy(mdp.rewards) - BETA * (ours - theirs))).sum().backward()
    return table.grad.numpy()


@pytest.mark.parametrize("options", [{"steps": 2}, {"steps": 1}, {"steps": 5}, {"step_level": False}])
def test_future_divergence_is_the_gradient_of_the_objective_at_every_step_length(options):
    mdp = world(letters=3, length=5).sample(0)
    logits = mdp.reference + np.random.default_rng(0).normal(size=mdp.reference.shape)
    update = expected_update(mdp, logits, FutureKL(BETA, center=False, **options))
    assert update == pytest.approx(exact_gradient(mdp, logits), abs=1e-9)


def test_the_k3_term_on_the_loss_side_is_not():
    mdp = world(letters=3, length=5).sample(0)
    logits = mdp.reference + np.random.default_rng(0).normal(size=mdp.reference.shape)
    error = expected_update(mdp, logits, LossSideK3(BETA)) - exact_gradient(mdp, logits)
    assert np.abs(error).max() > 1e-3


def test_the_placebo_borrows_the_corrections_of_another_row():
    mdp = world().sample(0)
    rows = np.random.default_rng(0).choice(1024, ROLLOUTS, replace=False)
    logits = mdp.reference + np.random.default_rng(1).normal(size=mdp.reference.shape)
    whole = batch_of_all_strings(mdp, logits)
    batch = RolloutBatch(
        rewards=torch.zeros(ROLLOUTS, dtype=torch.float64),
        group=whole.group[rows],
        mask=whole.mask[rows],
        logprobs=whole.logprobs[rows],
        ref_logprobs=whole.ref_logprobs[rows],
    )
    own = FutureKL(BETA, steps=LETTERS_A_STEP)(batch, batch.rewards)
    borrowed = OthersFutureKL(np.random.default_rng(0))(batch, batch.rewards)
    assert torch.allclose(own.sort(dim=0).values, borrowed.sort(dim=0).values)
    assert not any(torch.allclose(a, b) for a, b in zip(own, borrowed))


def test_training_raises_the_objective():
    mdp = world().sample(3)
    _, curve = train(mdp, 3, centred(), 0.5)
    assert curve[-1] < curve[0]


def test_arms_repeat_themselves_and_differ_from_one_another():
    mdp = world().sample(1)
    values = {name: trial.arms[name](mdp, None, 1).value for name in ("baseline", "placebo", "method")}
    assert values["method"] == trial.arms["method"](mdp, None, 1).value
    assert len(set(values.values())) == 3


def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline", arms=["baseline", "placebo", "method"])
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
