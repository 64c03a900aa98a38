import numpy as np
import pytest
import torch

from assay.methods.post_training.dr_mas import DrMAS, GlobalGRPO
from assay.trials.post_training._dr_mas_desk import (
    FIXER,
    QUESTIONS,
    ROLLOUTS,
    SOLVER,
    Team,
    Training,
    by_episode,
    draw,
    gradients,
    objective,
    signal_to_noise,
)
from assay.trials.post_training.dr_mas import DealtLabels, predicted_gain, ratios, run_length, spikes, trial
from assay.worlds.knowledge import world


@pytest.fixture(scope="module")
def desk():
    return world(**trial.arguments(quick=True)).sample(5)


@pytest.fixture(scope="module")
def played(desk):
    return draw(Team(desk, 3), 6, np.random.default_rng(0))


def test_the_fixer_acts_only_where_the_draft_was_not_approved(played):
    assert 0 < played.called.double().mean() < 1
    assert played.right[~played.called].all()
    assert set(played.decisions[FIXER].episode.tolist()) == set(played.called.nonzero().flatten().tolist())
    assert set(played.decisions[SOLVER].episode.tolist()) == set(range(len(played.right)))
    assert played.rewards[played.called].mean() < played.rewards.mean(), "its rewards are the lower ones"


def test_the_reward_is_of_the_end_and_of_the_draft(played):
    approved, fixed = ~played.called, played.called & played.right
    lost = played.called & ~played.right
    assert float(played.rewards[approved].mean()) == pytest.approx(0.9, abs=0.02)
    assert float(played.rewards[fixed].mean()) == pytest.approx(0.8, abs=0.03)
    assert played.rewards[lost].mean() < 0.15


def test_rows_are_one_an_agent_and_episode(played):
    rows = played.rows()
    assert len(rows) == len(played.right) + int(played.called.sum())
    assert torch.bincount(rows.trajectory).max() == 2
    assert torch.equal(rows.group, rows.trajectory // ROLLOUTS)
    solver, fixer = by_episode(played, torch.arange(len(rows)).double())
    assert solver.tolist() == list(range(len(played.right)))
    assert fixer[played.called].tolist() == list(range(len(played.right), len(rows)))
    assert fixer[~played.called].abs().max() == 0


def test_the_first_rollouts_are_those_of_every_question(played):
    few = played.first(4)
    kept = [i for i in range(len(played.right)) if i % ROLLOUTS < 4]
    assert torch.equal(few.rewards, played.rewards[kept])
    assert torch.bincount(few.group).unique().tolist() == [4]
    ours, theirs = few.decisions[FIXER], played.decisions[FIXER]
    there = torch.isin(theirs.episode, torch.tensor(kept))
    assert torch.equal(ours.actions, theirs.actions[there])
    assert [kept[i] for i in ours.episode.tolist()] == theirs.episode[there].tolist()


def test_called_in_every_episode_both_agents_see_the_same_rewards(desk):
    everywhere = draw(Team(desk, 3, always=True), 2, np.random.default_rng(0))
    assert everywhere.called.all()
    rows = everywhere.rows()
    torch.testing.assert_close(DrMAS()(rows), GlobalGRPO()(rows), atol=1e-9, rtol=0)
    assert predicted_gain(everywhere) == pytest.approx(1)


def test_the_gradient_of_a_batch_is_that_of_its_episodes_alone(desk, played):
    team = Team(desk, 3)
    advantages = by_episode(played, DrMAS()(played.rows()))[FIXER]
    policy, decisions = team.policies[FIXER], played.decisions[FIXER]
    found = gradients(policy, decisions, advantages, 6)
    mine = (decisions.episode // (QUESTIONS * ROLLOUTS) == 2).nonzero().flatten()
    policy.zero_grad()
    objective(policy, decisions, advantages, mine).backward()
    torch.testing.assert_close(found[2], torch.cat([p.grad.flatten() for p in policy.parameters()]))
    called = played.called[2 * QUESTIONS * ROLLOUTS : 3 * QUESTIONS * ROLLOUTS]
    logprobs = policy.log_prob(decisions.observations[decisions.kind[mine]], decisions.actions[mine])
    wanted = (logprobs * advantages[decisions.episode[mine]]).sum() / called.sum()
    torch.testing.assert_close(objective(policy, decisions, advantages, mine), wanted)


def test_signal_to_noise_is_that_of_a_known_gradient_and_free_of_its_scale():
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.tensor([3.0, 4.0]) + torch.randn(2, generator=generator) for _ in range(4000)]
    assert signal_to_noise(drawn) == pytest.approx(25 / 2, rel=0.05)
    assert signal_to_noise([7 * one for one in drawn]) == pytest.approx(signal_to_noise(drawn))
    noise = [torch.randn(50, generator=generator) for _ in range(400)]
    assert signal_to_noise(noise) == pytest.approx(0, abs=0.002), "the mean's own noise is no signal"
    assert signal_to_noise([torch.zeros(3)] * 5) == 0


def test_a_factor_on_the_advantages_does_not_move_the_metric(desk):
    class Doubled(DrMAS):
        def __call__(self, batch):
            return 2 * super().__call__(batch)

    team = Team(desk, 3)
    played = draw(team, run_length(desk), np.random.default_rng(1))
    weights = [policy.state_dict() for policy in team.policies]
    assert ratios(team, weights, played, Doubled()) == pytest.approx(ratios(team, weights, played, DrMAS()), rel=1e-4)


def test_the_placebo_deals_the_labels_of_a_question_among_its_rows(played):
    rows, seen = played.rows(), []

    class Watched(DrMAS):
        def __call__(self, batch):
            seen.append(batch.agent)
            return super().__call__(batch)

    placebo = DealtLabels(np.random.default_rng(0))
    placebo.dr_mas = Watched()
    placebo(rows)
    assert not torch.equal(seen[0], rows.agent)
    for question in rows.group.unique():
        mine = rows.group == question
        assert seen[0][mine].sum() == rows.agent[mine].sum(), "cells keep their sizes"


def test_a_spike_is_five_times_the_median_of_the_last_twenty():
    norms = [(1.0, 1.0)] * 20 + [(5.0, 5.1), (1.0, 1.0)]
    assert spikes(norms) == 1 / 4


@pytest.mark.slow
def test_training_raises_the_reward_and_repeats_itself(desk):
    runs = []
    for updates in (20, 3):
        training = Training(Team(desk, 3), GlobalGRPO(), 3, 3e-3)
        training.run(updates)
        runs.append(training.rewards)
    assert runs[0][:3] == runs[1]
    assert np.mean(runs[0][-5:]) > np.mean(runs[0][:5]) + 0.05


def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
    for seed in range(6):
        equal = {u.arm: u.extra["equal_snr"] for u in result.units if u.seed == seed and u.arm in trial.arms}
        assert equal["method"] == pytest.approx(equal["baseline"], rel=1e-3), "equal rewards leave nothing to gain"
