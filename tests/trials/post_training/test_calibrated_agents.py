import numpy as np
import pytest
import torch

from assay.engine.trial import Cost
from assay.methods.metrics import calibration_report
from assay.methods.post_training.calibrated_agents import MSCR, outcome
from assay.trials.post_training.calibrated_agents import (
    CONFIDENCES,
    GROUP,
    MAX_CALLS,
    QUESTIONS,
    AnothersConfidence,
    Asking,
    TellingPolicy,
    answered,
    measured,
    play,
    prepare,
    trial,
)
from assay.worlds.knowledge.desk import world
from assay.worlds.knowledge.episodes import Reading


@pytest.fixture(scope="module")
def desk():
    return world(**trial.arguments(quick=True)).sample(5)


@pytest.fixture
def policy():
    return TellingPolicy(torch.Generator().manual_seed(3))


def test_every_episode_ends_in_an_answer_and_the_table_is_used_only_where_it_may_be(desk, policy):
    table = np.arange(60) % 2 == 1
    played = play(policy, Reading(desk), "train", np.arange(60), table, torch.Generator().manual_seed(0))
    final = answered(played.actions)
    assert sorted(played.row[final].tolist()) == list(range(60))
    assert played.calls.max() <= MAX_CALLS
    verified = played.row[played.actions[:, 0] == 1].numpy()
    assert len(verified) > 0
    assert table[verified].all()


def test_the_confidence_is_the_one_said_with_the_answer(desk, policy):
    played = play(policy, Reading(desk), "train", np.arange(60), np.ones(60, bool), torch.Generator().manual_seed(0))
    final = answered(played.actions)
    said = CONFIDENCES[played.actions[final, 1].numpy()]
    assert played.confidence[played.row[final].numpy()] == pytest.approx(said)


def test_a_move_that_is_no_answer_has_no_chance_of_a_confidence(policy):
    observations = torch.rand(8, 16) * 0.9
    moves, confidences = policy(observations)
    search, answer = (torch.tensor([[move, 4]] * 8) for move in (0, 2))
    assert torch.allclose(policy.log_prob(observations, search), moves[:, 0])
    assert torch.allclose(policy.log_prob(observations, answer), moves[:, 2] + confidences[:, 4])


def test_the_placebo_keeps_each_groups_confidences_and_outcomes():
    generator = np.random.default_rng(0)
    right, said = generator.integers(0, 2, 256), generator.choice(CONFIDENCES, 256)
    dealt = AnothersConfidence(1)
    rewards = dealt(right, said)
    assert (rewards[right == 1] >= 1).all()
    assert (rewards[right == 0] <= 0).all()
    assert not np.allclose(rewards, MSCR()(right, said))
    alike = np.repeat(generator.choice(CONFIDENCES, 32), 8)
    assert dealt(right, alike) == pytest.approx(MSCR()(right, alike))


def test_arms_ask_the_same_questions_of_both_kinds(desk):
    asked = []
    for reward in (outcome, MSCR()):
        asking = Asking(TellingPolicy(torch.Generator().manual_seed(3)), desk, 7)
        played, rollouts = asking(reward)
        asked.append(played)
        assert len(rollouts.rewards) == QUESTIONS * GROUP
        assert (played.observations[:, -1].unique() == torch.tensor([0.0, 1.0])).all()
    assert torch.equal(asked[0].observations, asked[1].observations)


def test_the_metric_is_the_error_of_the_greedy_answers_and_a_temperature_changes_no_answer(desk, policy):
    reading = Reading(desk)
    raw, scaled = (measured(policy, reading, flag, Cost(), []) for flag in (False, True))
    played = play(policy, reading, "test", np.arange(120), np.zeros(120, bool))
    assert raw.value == pytest.approx(calibration_report(played.confidence, played.correct).ece)
    assert raw.extra["accuracy"] == scaled.extra["accuracy"] == pytest.approx(played.correct.mean())
    assert scaled.extra["temperature"] != 1
    assert scaled.extra["ece_unscaled"] == pytest.approx(raw.value)


def test_an_arm_repeats_itself(desk):
    start = prepare(desk, None, 11)
    first, second = (trial.arms["method"](desk, None, 11, start) for _ in range(2))
    assert (first.value, first.extra, first.curve) == (second.value, second.extra, second.curve)


@pytest.mark.slow
def test_the_start_is_surer_of_wrong_answers_from_evidence_alone():
    full = world(**trial.arguments(quick=False)).sample(1000)
    policy = TellingPolicy(torch.Generator())
    policy.load_state_dict(prepare(full, None, 1000))
    found = measured(policy, Reading(full), False, Cost(), []).extra
    assert found["mean_confidence"] > found["accuracy"] + 0.1
    assert found["wrong_evidence"] > found["wrong_verification"]
    assert found["auroc"] > 0.6


def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
