from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.matchtir import (
    Call,
    DualLevel,
    hard_rewards,
    match,
    multiset_similarity,
    set_f1,
    soft_rewards,
    tool_similarity,
    turn_rewards,
)
from assay.methods.post_training.pipeline import Pipeline

SEARCH = Call("search", {"query": "ann", "k": 3})
calls = st.lists(
    st.builds(Call, st.sampled_from("ab"), st.dictionaries(st.sampled_from("xy"), st.integers(0, 1))),
    min_size=1,
    max_size=5,
)


def test_multisets_are_compared_by_what_they_share():
    assert multiset_similarity("aab", "abb") == 2 / 4
    assert multiset_similarity("", "") == 1
    assert multiset_similarity("a", "") == 0
    assert multiset_similarity({"x": 5}, {"x": 9}) == 1, "a mapping counts by its keys"


def test_a_call_is_scored_by_name_parameter_names_and_values():
    assert tool_similarity(Call("SEARCH", {"query": "ann", "k": 3}), SEARCH) == 1
    assert tool_similarity(Call("search", {"query": "bob", "k": 3}), SEARCH) == (1 + 1 + 1) / 4
    assert tool_similarity(Call("search", {"query": "ann"}), SEARCH) == (1 + 1 / 2 + 1) / 4
    assert tool_similarity(Call("find", {"query": "ann", "k": 3}), SEARCH) == 0
    assert tool_similarity(Call("search", None), SEARCH) == 0, "arguments that are no object"
    assert tool_similarity(Call("now"), Call("now")) == 1


@given(calls, calls)
@settings(deadline=None)
def test_the_optimal_total_is_the_best_over_all_assignments(predicted, gold):
    table = np.array([[tool_similarity(p, g) for g in gold] for p in predicted])
    wide = table if table.shape[0] <= table.shape[1] else table.T
    best = max(sum(wide[i, j] for i, j in enumerate(order)) for order in permutations(range(wide.shape[1]), len(wide)))
    total = hard_rewards(predicted, gold).sum()
    assert total == pytest.approx(best)
    assert hard_rewards(predicted, gold, assignment="greedy").sum() <= total + 1e-9
    golds = [g for _, g in match(table)]
    assert len(golds) == len(set(golds))


def test_greedy_takes_the_best_pair_first_and_may_lose_by_it():
    similarity = np.array([[0.9, 0.8], [0.8, 0.0]])
    assert match(similarity, "greedy") == [(0, 0)]
    assert match(similarity, "optimal") == [(0, 1), (1, 0)]


def test_an_unmatched_call_gets_what_is_said():
    assert hard_rewards([SEARCH, SEARCH], [SEARCH], unmatched=-0.5).tolist() == [1.0, -0.5]
    assert hard_rewards([], [SEARCH]).tolist() == []


def test_soft_rewards_share_the_mass_of_each_call():
    two = soft_rewards([SEARCH, Call("other")], [SEARCH, Call("other")])
    assert two.tolist() == pytest.approx([0.5, 0.5], abs=1e-3), "a clear match transports all of 1/P"
    assert soft_rewards([SEARCH, Call("other")], [SEARCH, Call("other")], rescale=True) == pytest.approx(2 * two)
    doubled = soft_rewards([SEARCH, SEARCH], [SEARCH, Call("other")])
    assert doubled.tolist() == pytest.approx([0.25, 0.25], abs=1e-3), "two equal calls share the one match"


def test_a_turn_has_the_mean_of_its_calls_and_the_last_one_the_answers_f1():
    rewards = turn_rewards([[SEARCH, SEARCH], [], []], [SEARCH], answer="Forty-two!", gold_answer="forty two")
    assert rewards.tolist() == [0.5, 0.0, 1.0]
    assert set_f1("the cat", "a cat sat") == pytest.approx(2 * 1 / 5)
    assert set_f1("", "") == 1
    assert set_f1("", "x") == 0


def two_rows(**changes):
    fields = {
        "rewards": torch.tensor([1.5, 0.5]),
        "group": torch.tensor([0, 0]),
        "mask": torch.tensor([[True, True, True], [True, False, True]]),
        "turn": torch.tensor([[0, 0, 1], [0, -1, -1]]),
        "turn_rewards": torch.tensor([[1.0, 0.5], [0.5, torch.nan]]),
    }
    return RolloutBatch(**{**fields, **changes})


def test_dual_level_is_that_of_a_case_worked_by_hand():
    # row sums 1.5 and 0.5: A = +-1/sqrt(2); turn 0: returns 1.45 and 0.5, +-1/sqrt(2); turn 1 is the only one: raw 0.5
    root = 2**-0.5
    wanted = [[root, root, (root + 0.5) / 2], [-root, 0.0, -root]]
    torch.testing.assert_close(DualLevel()(two_rows()), torch.tensor(wanted), atol=1e-4, rtol=0)


def test_a_token_outside_any_turn_has_the_rows_own_advantage_and_an_untrained_one_none():
    given_ = DualLevel()(two_rows())
    assert given_[1, 1] == 0
    assert given_[1, 2] == pytest.approx(-(2**-0.5), abs=1e-4)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
@settings(deadline=None, max_examples=40)
def test_dual_level_does_not_depend_on_the_order_of_rows(seed, discount):
    generator = torch.Generator().manual_seed(seed)
    rows, turns = 8, 3
    rewards = torch.rand(rows, turns, generator=generator, dtype=torch.float64)
    length = torch.randint(1, turns + 1, (rows, 1), generator=generator)
    there = torch.arange(turns) < length
    batch = RolloutBatch(
        rewards=torch.rand(rows, generator=generator, dtype=torch.float64),
        group=torch.tensor([0, 0, 1, 1, 0, 1, 0, 1]),
        mask=there,
        turn=torch.arange(turns).expand(rows, turns).masked_fill(~there, -1),
        turn_rewards=rewards.masked_fill(~there, torch.nan),
    )
    order = torch.randperm(rows, generator=generator)
    names = ("rewards", "group", "mask", "turn", "turn_rewards")
    turned = batch.replace(**{name: getattr(batch, name)[order] for name in names})
    estimator = DualLevel(discount)
    torch.testing.assert_close(estimator(batch)[order], estimator(turned))


def test_equal_missing_and_single_rewards_stay_finite():
    same = two_rows(turn_rewards=torch.ones(2, 2), turn=torch.tensor([[0, 0, 1], [0, 0, 1]]))
    assert DualLevel()(same).abs().max() == 0
    unscored = two_rows(turn_rewards=torch.full((2, 2), torch.nan))
    assert DualLevel()(unscored).abs().max() == 0
    alone = RolloutBatch(
        rewards=torch.tensor([1.0]),
        group=torch.tensor([0]),
        mask=torch.tensor([[True]]),
        turn=torch.tensor([[0]]),
        turn_rewards=torch.tensor([[0.7]]),
        allow_singletons=True,
    )
    assert Pipeline(DualLevel())(alone).isfinite().all()


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="gold: got no call"):
        hard_rewards([SEARCH], [])
    with pytest.raises(ValueError, match=r"discount: got 1\.5"):
        DualLevel(discount=1.5)
    with pytest.raises(ValueError, match="assignment: got 'best'"):
        hard_rewards([SEARCH], [SEARCH], assignment="best")
    with pytest.raises(ValueError, match="kind: got 'both'"):
        turn_rewards([[SEARCH]], [SEARCH], kind="both")
    with pytest.raises(ValueError, match="reg: got 0"):
        soft_rewards([SEARCH], [SEARCH], reg=0)
    with pytest.raises(ValueError, match="DualLevel needs turn, turn_rewards"):
        Pipeline(DualLevel())(RolloutBatch.from_rewards(torch.rand(1, 2)))
    with pytest.raises(ValueError, match="turn_rewards: got 1 columns, wanted 2 turns"):
        two_rows(turn_rewards=torch.ones(2, 1))
