import numpy as np
import pytest
import torch

from assay.methods.post_training.bapo import BoundaryReward, Resampler, reliability
from assay.trials.post_training import bapo
from assay.trials.post_training._search_agent import IDK, SearchAgent
from assay.trials.post_training.bapo import GROUP, QUESTIONS, PaidAnywhere, measured, sample, scores_alone, trial
from assay.worlds.knowledge import world
from assay.worlds.knowledge.episodes import ABSTAIN, ANSWER, SEARCH

MOVES = (SEARCH, ANSWER, ABSTAIN)


@pytest.fixture(scope="module")
def desk():
    return world(**trial.arguments(quick=True)).sample(5)


@pytest.fixture
def agent(desk):
    return SearchAgent(desk, MOVES, max_calls=4, seed=3)


def test_an_episode_is_scored_as_its_answer_deserves(desk):
    agent = SearchAgent(desk, MOVES, max_calls=1, seed=3)
    asked = np.arange(36).repeat(8)
    played = agent.play("train", asked)
    for i, number in enumerate(asked):
        question, answer = desk.questions["train"][number], played.answers[i]
        assert played.scores[i] == (-1 if answer is None else float(answer == question.answer))
        assert played.idk[i] == (answer == IDK)
    assert {None, IDK} < set(played.answers)
    assert (played.calls <= 1).all()


def test_the_decisions_are_those_that_were_drawn(agent):
    played = agent.play("train", np.arange(36))
    assert torch.equal(played.logprobs, agent.policy.log_prob(played.observations, played.actions).detach())
    decisions = torch.bincount(played.episode, minlength=36)
    assert torch.equal(decisions, torch.from_numpy(played.calls) + 1)  # every episode ends in one that is no call


def test_rollouts_hold_the_chosen_episodes_and_no_others(agent):
    played = agent.play("train", np.arange(10)).then(agent.play("train", np.arange(10)))
    chosen = np.array([13, 2, 7])
    rollouts = played.rollouts(chosen, torch.tensor([1.0, 0.0, 0.5]), torch.zeros(3))
    for row, number in enumerate(chosen):
        here, there = rollouts.row == row, played.episode == number
        assert torch.equal(rollouts.observations[here], played.observations[there])
        assert torch.equal(rollouts.actions[here], played.actions[there])
    assert len(rollouts.row) == sum(int((played.episode == number).sum()) for number in chosen)


def test_a_greedy_agent_repeats_itself_and_arms_start_alike(desk, agent):
    twin = SearchAgent(desk, MOVES, max_calls=4, seed=3)
    first = agent.play("test", np.arange(60), greedy=True).answers
    assert first == agent.play("test", np.arange(60), greedy=True).answers
    assert first == twin.play("test", np.arange(60), greedy=True).answers


def test_failing_groups_are_played_again_on_the_plateau_only(desk):
    agent = SearchAgent(desk, (SEARCH, ANSWER, ANSWER, ANSWER, ABSTAIN), max_calls=4, seed=3)  # refuses less often
    asked = np.arange(QUESTIONS)
    before, kept = sample(agent, asked, Resampler(), "explore")
    assert (len(before), kept.tolist()) == (256, list(range(256)))
    played, kept = sample(agent, asked, Resampler(), "plateau")
    first = played.scores[:256].view(QUESTIONS, GROUP)
    failing = (first <= 0).all(dim=1) & ~played.idk[:256].view(QUESTIONS, GROUP).any(dim=1)
    kept_groups = kept.reshape(QUESTIONS, GROUP)
    assert ((kept_groups >= 256).all(axis=1) == failing.numpy()).all()
    assert 0 < failing.sum() < QUESTIONS
    assert len(kept) == 256


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    group = torch.arange(QUESTIONS).repeat_interleave(GROUP)
    idk = torch.rand(len(group), generator=generator) < 0.04
    scores = ((torch.rand(len(group), generator=generator) < 0.1) & ~idk).float()
    return scores, idk, tuple(IDK if refused else "no" for refused in idk), group


def test_the_placebo_pays_as_many_refusals_but_not_the_failing_groups_ones():
    elsewhere = 0
    for seed in range(20):
        scores, idk, answers, group = batch(seed)
        paid = BoundaryReward()(scores, idk, answers, group, "plateau") > scores
        instead = PaidAnywhere(seed)(scores, idk, answers, group, "plateau") > scores
        assert paid.sum() == instead.sum() > 0
        assert not (instead & ~idk).any()
        elsewhere += int((instead & ~paid).sum())
    assert elsewhere > 20


def test_the_baselines_reward_is_the_score():
    scores, idk, answers, group = batch(0)
    assert torch.equal(scores_alone(scores, idk, answers, group, "plateau"), scores)


def test_the_metric_is_the_reliability_of_the_greedy_answers(desk, agent):
    result = measured(agent, searches=7, exploring=3, curve=[0.0])
    answers = agent.play("test", np.arange(60), greedy=True).answers
    right = [answer == question.answer for answer, question in zip(answers, desk.questions["test"])]
    wanted = reliability(right, [answer != IDK for answer in answers])
    assert result.value == pytest.approx(wanted.reliability)
    assert result.cost.env_steps == 7
    missing = [not question.answerable for question in desk.questions["test"]]
    refused = [answer == IDK for answer, gone in zip(answers, missing) if gone]
    assert result.extra["refused_unanswerable"] == pytest.approx(np.mean(refused))


def test_an_arm_repeats_itself(desk):
    first, second = (trial.arms["method"](desk, None, 11) for _ in range(2))
    assert (first.value, first.extra, first.curve) == (second.value, second.extra, second.curve)


@pytest.mark.slow
def test_in_full_the_method_refuses_more_of_what_cannot_be_answered():
    full = world(**trial.arguments(quick=False)).sample(1000)
    result = trial.arms["method"](full, None, 1000)
    assert result.curve[-1] > result.curve[0] + 0.1
    assert result.extra["refused_unanswerable"] > result.extra["refused_answerable"] + 0.1


def test_every_arm_asks_the_same_questions(desk, monkeypatch):
    asked = {}

    def spy(agent, questions, resampler, stage):
        asked.setdefault(name, []).append(questions.tolist())
        return sample(agent, questions, resampler, stage)

    monkeypatch.setattr(bapo, "sample", spy)
    for name in ("baseline", "placebo", "method"):
        trial.arms[name](desk, None, 11)
    assert asked["baseline"] == asked["placebo"] == asked["method"]


def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
