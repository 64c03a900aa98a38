import numpy as np
import pytest
import torch

from assay.methods.concurrency import run_sync
from assay.methods.post_training.et_agent import Step, Trajectory
from assay.trials.post_training._et_desk import (
    MAX_CALLS,
    DeskCritic,
    as_moves,
    as_steps,
    flywheel_corpus,
    fresh_policy,
    play,
    taught_policy,
)
from assay.trials.post_training.et_agent import (
    GROUP,
    AtRandom,
    ByPareto,
    DealtBehaviour,
    behaviour,
    correctness,
    measured,
    trial,
)
from assay.worlds.knowledge.desk import world
from assay.worlds.knowledge.episodes import ANSWER, SEARCH, VERIFY, Reading


@pytest.fixture(scope="module")
def desk():
    return world(**trial.arguments(quick=True)).sample(5)


@pytest.fixture
def reading(desk):
    return Reading(desk)


def drawn(reading, questions, seed=0, forced=None):
    return play(fresh_policy(3), reading, "train", questions, torch.Generator().manual_seed(seed), forced)


def test_an_episode_counts_its_calls_and_lines(reading):
    questions = np.arange(60)
    played = drawn(reading, questions, forced=np.tile([SEARCH, ANSWER], (60, 1)))
    assert (played.calls == 1).all()
    assert (played.lines <= 2 + reading.desk.k_docs).all()
    assert (played.lines > 2).all()
    start, path, _ = reading.paths("train")
    given = np.minimum(reading.found[start, path[:, 0]], reading.desk.k_docs)
    assert (played.lines == 2 + given).all()


def test_forced_moves_are_done_and_kept_among_the_decisions(reading):
    forced = np.tile([VERIFY, SEARCH, -1], (40, 1))
    played = drawn(reading, np.arange(40), forced=forced)
    assert (played.moves[:, :2] == [VERIFY, SEARCH]).all()
    first = played.actions[torch.arange(40), 0]
    assert (first == 1).all()
    assert len({tuple(row) for row in played.moves[:, 2:].tolist()}) > 1


def test_steps_and_moves_are_each_others_inverse():
    steps = (Step("search"), Step("verify"), Step("search"))
    (moves,) = as_moves([steps], answer=True)
    assert moves.tolist() == [SEARCH, VERIFY, SEARCH, ANSWER, -1, -1, -1]
    assert as_steps(moves) == steps


def test_the_critic_sends_on_what_answers_too_soon_and_checks_what_strays(reading, desk):
    critic = DeskCritic(reading)
    several = next(i for i, question in enumerate(desk.questions["train"]) if question.hops > 1)
    place, action = run_sync(critic.mend, Trajectory(str(several), (), "nobody"))
    assert (place, action) == (0, "search")
    spent = Trajectory(str(several), (Step("verify"),) * MAX_CALLS, "nobody")
    assert run_sync(critic.mend, spent) is None


def test_the_corpus_ends_right_and_is_wider_than_the_policys_own(reading, desk):
    corpus = flywheel_corpus(fresh_policy(3), reading, torch.Generator().manual_seed(0))
    assert all(one.answer == desk.questions["train"][int(one.question)].answer for one in corpus)
    own = drawn(reading, np.arange(60).repeat(4)).correct.reshape(60, 4).any(axis=1).sum()
    assert len({one.question for one in corpus}) > own
    replayed = drawn(reading, np.array([int(one.question) for one in corpus]),
                     forced=as_moves([one.steps for one in corpus], answer=True))  # fmt: skip
    assert replayed.correct.all()


def test_the_start_is_better_than_a_fresh_policy(reading):
    fresh, taught = (measured(policy, reading, 0, []) for policy in (fresh_policy(3), taught_policy(reading, 3)))
    assert taught.extra["accuracy"] > fresh.extra["accuracy"] + 0.2


def test_the_placebo_deals_inside_groups_and_leaves_correctness_where_it_is(reading):
    questions = np.arange(32).repeat(GROUP)
    played, group = drawn(reading, questions), torch.arange(32).repeat_interleave(GROUP)
    ours, dealt = behaviour(played, group, 1.0), DealtBehaviour(1)(played, group, 1.0)
    unformed = torch.from_numpy(~played.answered)
    wrong = torch.from_numpy(played.correct == 0)
    for rewards in (ours, dealt):
        assert (rewards[unformed] == -1).all()
        assert (rewards[wrong & ~unformed] == 0).all()
    assert not torch.equal(ours, dealt)
    faded = behaviour(played, group, 0.0)
    assert torch.equal(faded[~unformed], correctness(played, group, 1.0)[~unformed])


def test_choices_are_questions_of_the_pool_and_pareto_prefers_those_that_differ(reading):
    policy = taught_policy(reading, 3)
    chosen = ByPareto(4)(policy, reading)
    assert set(chosen.tolist()) <= set(range(60))
    assert len(AtRandom(4)(policy, reading)) == 30
    twice = play(policy, reading, "train", chosen.repeat(GROUP), torch.Generator().manual_seed(9))
    dealt = ByPareto(4, dealt=True)(policy, reading)
    other = play(policy, reading, "train", dealt.repeat(GROUP), torch.Generator().manual_seed(9))
    spread, spread_dealt = (p.calls.reshape(-1, GROUP).var(axis=1).mean() for p in (twice, other))
    assert spread > spread_dealt


def test_the_metric_is_right_answers_per_call_and_answer(reading):
    policy = fresh_policy(3)
    played = play(policy, reading, "test", np.arange(60), None)
    found = measured(policy, reading, 9, [])
    assert found.value == pytest.approx(np.mean(played.correct / (1 + played.calls)))
    assert found.extra["accuracy"] == pytest.approx(played.correct.mean())
    assert found.cost.env_steps == 9


def test_an_arm_repeats_itself(desk, reading):
    start = dict(taught_policy(reading, 11).state_dict())
    first, second = (trial.arms["method"](desk, None, 11, start) for _ in range(2))
    assert (first.value, first.extra, first.curve) == (second.value, second.extra, second.curve)


def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
