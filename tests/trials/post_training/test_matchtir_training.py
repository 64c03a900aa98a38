import random

import pytest
import torch

from assay.trials.post_training import _shop_policy as shop
from assay.trials.post_training.matchtir_training import split, trial, turn_rewards_of
from assay.worlds.desks.shop import PARAMETERS, Desk, Step, world

SHOP = world(40).sample(5)


def test_every_call_of_an_expert_can_be_said_and_is_read_back():
    for question in SHOP.questions:
        _, numbers, name = shop.read(question)
        for step in question.calls:
            action, said = shop.action_of(step, numbers)
            assert shop.step_of(action, numbers, name) == step
            assert said[0]
    assert shop.step_of(shop.action_of(None, [])[0], [], None) is None


def test_every_word_of_a_question_has_a_place():
    for question in SHOP.questions:
        seen, numbers, _ = shop.read(question)
        words = len(shop._TOKEN.findall(question.text))
        assert seen.sum() == words
        assert len(numbers) in (1, 2)
    assert len(set(shop.VOCABULARY)) == len(shop.VOCABULARY)


def test_two_questions_that_differ_in_a_word_look_different():
    looks = {tuple(shop.read(question)[0].tolist()) for question in SHOP.questions if question.text.startswith("Of")}
    kinds = {
        "".join("N" if char.isdigit() else char for char in q.text).replace("NNN", "N").replace("NN", "N")
        for q in SHOP.questions
        if q.text.startswith("Of")
    }
    assert len(looks) == len(kinds)


def test_an_episode_ends_when_the_policy_is_done_or_out_of_turns():
    policy = shop.fresh(torch.Generator().manual_seed(0))
    played = shop.play(policy, SHOP.questions, torch.Generator().manual_seed(1))
    for i, calls in enumerate(played.calls):
        own = played.episode == i
        turns = played.turn[own].tolist()
        assert turns == list(range(len(turns)))
        assert len(calls) in (len(turns), len(turns) - 1)
        assert all(set(step.arguments) <= set(PARAMETERS[step.tool]) for step in calls)
    kept = policy.log_prob(played.observations, played.actions).detach()
    torch.testing.assert_close(kept, played.logprobs)


def test_a_policy_learns_the_chains_it_is_shown():
    policy = shop.fresh(torch.Generator().manual_seed(0))
    few = SHOP.questions[:4]
    shop.imitate(policy, [(question, question.calls) for question in few], 200, 3e-3, random.Random(0))
    played = shop.play(policy, few, torch.Generator(), greedy=True)
    assert [tuple(calls) for calls in played.calls] == [question.calls for question in few]


def test_the_experts_calls_earn_every_turn_its_reward():
    desk, question = Desk(SHOP), SHOP.questions[0]
    assert turn_rewards_of(question, list(question.calls), desk).tolist() == [1.0] * (len(question.calls) + 1)
    assert turn_rewards_of(question, [Step("convert", {"to": "nowhere"})], desk)[-1] == 0


def test_test_questions_are_not_trained_on():
    train, tested = split(SHOP)
    assert len(train) + len(tested) == 40
    assert not {q.text for q in train} & {q.text for q in tested}


@pytest.mark.slow
def test_the_quick_run_ends():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
