import json
import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.concurrency import run_sync
from assay.methods.judging import JudgeError
from assay.methods.post_training import _tournaments as t
from assay.methods.post_training.arenarl import (
    TOPOLOGIES,
    Arena,
    RubricPairJudge,
    discrimination_collapse,
    rank_advantages,
    tournament,
)
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import Pipeline

names = st.sampled_from(sorted(TOPOLOGIES))


async def by_number(query, a, b):
    """A judge without noise: the reply is its own quality."""
    return float(a), float(b)


def rank(topology, qualities, **settings):
    return run_sync(ranked, topology, [str(q) for q in qualities], settings)


async def ranked(topology, replies, settings):
    return await tournament(topology, "q", replies, by_number, **settings)


def test_the_bracket_keeps_the_best_apart():
    assert t.bracket(1) == [0]
    assert t.bracket(4) == [0, 3, 1, 2]
    assert t.bracket(8) == [0, 7, 3, 4, 1, 6, 2, 5]
    assert t.bracket(5) == [0, 3, 4, 1, 2], "absent seeds are left out of the bracket of eight"


def test_single_elimination_is_that_of_a_case_worked_by_hand():
    # seeds by quality: 3 (9), 1 (7), 0 (5), 2 (2); bracket 3-2, 1-0; final 3-1
    ranking = rank("single", [5, 7, 2, 9])
    assert [(m.a, m.b) for m in ranking.matches] == [(0, 1), (0, 2), (0, 3), (3, 2), (1, 0), (3, 1)]
    assert ranking.order == (3, 1, 0, 2)
    assert ranking.reward == pytest.approx((1 / 3, 2 / 3, 0.0, 1.0))


def test_with_a_bye_the_second_best_can_end_last():
    # bracket of five: 0 3 | 4 1 | 2 with a bye, which then stands in front: 2-0 and 4's conqueror waits
    ranking = rank("single", [5, 4, 3, 2, 1])
    knock_out = [(m.round, m.a, m.b) for m in ranking.matches if m.round != "seeding"]
    assert knock_out == [("round 1", 0, 3), ("round 1", 4, 1), ("round 2", 2, 0), ("round 3", 1, 0)]
    assert ranking.order[0] == 0


@given(names, st.integers(2, 12), st.integers(0, 2**32))
@settings(deadline=None, max_examples=80)
def test_a_fair_judge_lets_the_best_win_and_every_reward_lies_between_0_and_1(topology, entrants, seed):
    qualities = random.Random(seed).sample(range(100), entrants)
    ranking = rank(topology, qualities)
    best = qualities.index(max(qualities))
    if topology != "swiss":
        assert ranking.order[0] == best
    assert sorted(ranking.order) == list(range(entrants))
    assert all(0 <= reward <= 1 for reward in ranking.reward)
    assert ranking.reward[best] == max(ranking.reward)
    advantages = rank_advantages(torch.tensor(ranking.reward, dtype=torch.float64))
    assert advantages.sum().item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("topology", "matches"), [("single", 14), ("anchor", 7), ("round_robin", 28), ("swiss", 12), ("double", 21)]
)
def test_eight_entrants_cost_so_many_matches(topology, matches):
    assert len(rank(topology, [3, 1, 4, 1.5, 9, 2, 6, 5]).matches) == matches


def test_double_elimination_sends_home_who_lost_twice():
    ranking = rank("double", [3, 1, 4, 9, 2])
    lost = {i: sum(m.loser == i for m in ranking.matches if m.round != "seeding") for i in range(5)}
    assert lost[3] == 0
    assert sorted(lost.values()) == [0, 1, 2, 2, 2] or sorted(lost.values()) == [0, 2, 2, 2, 2]


def test_ties_share_a_place_in_round_robin_and_a_mean_place_in_swiss():
    level = rank("round_robin", [7, 7, 3])
    assert level.rank == (0, 0, 2)
    assert level.reward == (1.0, 1.0, 0.0)
    assert rank("round_robin", [4, 4, 4, 4]).reward == (0.0,) * 4
    all_equal = rank("swiss", [4, 4, 4, 4])
    assert all_equal.reward == (0.5,) * 4
    assert rank_advantages(torch.tensor(all_equal.reward)).abs().max() == 0


@given(st.integers(2, 11), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_swiss_has_no_rematch_and_at_most_one_bye_each(entrants, seed):
    ranking = rank("swiss", random.Random(seed).choices(range(5), k=entrants))
    pairs = [frozenset((m.a, m.b)) for m in ranking.matches]
    if entrants > 3:  # three rounds of two could not avoid one
        assert len(pairs) == len(set(pairs))
    rounds = len({m.round for m in ranking.matches})
    played = [sum(i in (m.a, m.b) for m in ranking.matches) for i in range(entrants)]
    assert min(played) >= rounds - 1


def test_the_anchor_can_be_any_reply():
    ranking = rank("anchor", [1, 5, 3], anchor=2)
    assert {(m.a, m.b) for m in ranking.matches} == {(2, 0), (2, 1)}
    assert ranking.order == (1, 2, 0)


def test_the_arena_gives_each_group_its_places_as_advantages():
    order = torch.tensor([3, 0, 2, 1, 6, 4, 7, 5])
    completions = [str(q) for q in (1, 2, 3, 4, 40, 30, 20, 10)]
    batch = RolloutBatch(
        rewards=torch.zeros(8),
        group=(torch.arange(8) // 4)[order],
        mask=torch.ones(8, 1, dtype=torch.bool),
        prompts=tuple("ab"[i // 4] for i in order.tolist()),
        completions=tuple(completions[i] for i in order.tolist()),
    )
    arena = Arena(by_number, "round_robin")
    advantages = Pipeline(arena)(batch)
    in_order = torch.empty(8)
    in_order[order] = advantages
    wanted = rank_advantages(torch.tensor([0, 1 / 3, 2 / 3, 1]))
    torch.testing.assert_close(in_order, torch.cat([wanted, wanted.flip(0)]))
    assert arena.matches == 12


def test_a_rubric_judge_weighs_way_and_answer_and_gives_up_after_ten_replies():
    marks = {"path": dict.fromkeys(("breadth", "relevance", "detail"), 10)}
    marks["answer"] = dict.fromkeys(("relevance", "feasibility", "detail", "clarity"), 5)
    calls = []

    async def complete(prompt, **options):
        calls.append(prompt)
        return json.dumps({"a": marks, "b": {**marks, "path": {"breadth": 0, "relevance": 0, "detail": 3}}})

    assert run_sync(RubricPairJudge(complete), "q", "x", "y") == (8.0, 2.6)
    assert "never an instruction" in calls[0]

    async def chatty(prompt, **options):
        calls.append(prompt)
        return "Both are lovely."

    judge, before = RubricPairJudge(chatty), len(calls)
    assert run_sync(judge, "q", "x", "y") == (5.0, 5.0)
    assert judge.undecided == 1
    assert len(calls) - before == 10


def test_collapse_compares_the_spread_of_replies_with_that_of_repeats():
    clear = [[[1, 1.2], [5, 5.2], [9, 9.2]]]
    # variances: of the means 16, of repeats 0.02; 16 - 0.02/2 over 0.02
    assert discrimination_collapse(clear) == pytest.approx((16 - 0.01) / 0.02)
    rng = random.Random(0)
    noise = [[[rng.gauss(7, 1) for _ in range(4)] for _ in range(8)] for _ in range(200)]
    assert discrimination_collapse(noise) == pytest.approx(0, abs=0.03)
    assert discrimination_collapse([[[3, 3], [3, 3]]]) == 0
    assert discrimination_collapse([[[3, 3], [4, 4]]]) == math.inf


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="replies: got 1"):
        rank("single", [1])
    with pytest.raises(ValueError, match="topology: got 'ladder', wanted one of single, double"):
        rank("ladder", [1, 2])
    with pytest.raises(ValueError, match="anchor: got 5"):
        rank("single", [1, 2], anchor=5)
    with pytest.raises(JudgeError, match="finite"):
        rank("single", [1, "nan"])
    with pytest.raises(ValueError, match="topology: got 'ladder'"):
        Arena(by_number, "ladder")
    with pytest.raises(ValueError, match="Arena needs completions, prompts"):
        Pipeline(Arena(by_number))(RolloutBatch.from_rewards(torch.rand(1, 2)))
    with pytest.raises(ValueError, match="at least 2 replies"):
        discrimination_collapse([[[1, 2]]])
