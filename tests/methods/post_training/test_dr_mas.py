import math
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.dr_mas import (
    DrMAS,
    GlobalGRPO,
    gradient_inflation,
    invalid_action_penalty,
    measured_second_moment,
)
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline


def batch(rewards, agent, group=None, trajectory=None):
    rows = len(rewards)
    return RolloutBatch(
        rewards=torch.tensor(rewards, dtype=torch.float64),
        group=torch.tensor([0] * rows if group is None else group),
        mask=torch.ones(rows, 1, dtype=torch.bool),
        agent=torch.tensor(agent),
        trajectory=None if trajectory is None else torch.tensor(trajectory),
    )


def test_rows_are_compared_with_those_of_the_same_agent_and_question():
    # agent 0: 0, 1, 2 -> mean 1, std 1; agent 1: 10, 12 -> mean 11, std sqrt 2
    given_ = DrMAS()(batch([0.0, 10.0, 1.0, 12.0, 2.0], [0, 1, 0, 1, 0]))
    wanted = torch.tensor([-1.0, -(0.5**0.5), 0.0, 0.5**0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(given_, wanted, atol=1e-5, rtol=0)


def test_an_offset_of_one_agent_changes_nothing_where_it_swells_the_global_form():
    rewards, agent, trajectory = [0.0, 1.0, 0.4, 0.6], [0, 0, 1, 1], [0, 1, 2, 3]
    moved = [*rewards[:2], *(r - 5 for r in rewards[2:])]
    torch.testing.assert_close(DrMAS()(batch(rewards, agent)), DrMAS()(batch(moved, agent)))
    before, after = (GlobalGRPO()(batch(r, agent, trajectory=trajectory)) for r in (rewards, moved))
    assert after[2:].abs().min() > before[2:].abs().max()


def test_a_lone_row_keeps_its_raw_reward_and_is_counted():
    estimator = DrMAS()
    given_ = estimator(batch([0.0, 1.0, 0.3], [0, 0, 1]))
    assert given_[2] == pytest.approx(0.3)
    assert estimator.raw_cells == 1
    assert DrMAS(singleton="zero")(batch([0.0, 1.0, 0.3], [0, 0, 1]))[2] == 0
    estimator(batch([0.0, 1.0], [0, 0]))
    assert estimator.raw_cells == 0


def test_rows_of_an_agent_in_several_turns_all_count():
    twice = DrMAS()(batch([0.0, 0.0, 1.0], [0, 0, 0], trajectory=[0, 0, 1]))
    assert twice.tolist() == pytest.approx([-1 / 3 / 3**-0.5, -1 / 3 / 3**-0.5, 2 / 3 / 3**-0.5], abs=1e-4)


def test_the_global_form_counts_episodes_and_not_rows():
    # episodes 0 and 1 with rewards 0 and 1: +-1/sqrt 2, however many rows the first has
    given_ = GlobalGRPO()(batch([0.0, 0.0, 0.0, 1.0], [0, 1, 0, 0], trajectory=[0, 0, 0, 1]))
    assert given_.tolist() == pytest.approx([-(0.5**0.5)] * 3 + [0.5**0.5], abs=1e-4)


def test_where_all_agents_act_in_every_episode_both_forms_agree():
    rewards = [0.1, 0.1, 0.7, 0.7, 0.2, 0.2]
    rows = batch(rewards, [0, 1] * 3, trajectory=[0, 0, 1, 1, 2, 2])
    torch.testing.assert_close(DrMAS()(rows), GlobalGRPO()(rows))


rows_of_a_team = st.lists(
    st.tuples(st.floats(-1, 1), st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=30
).filter(lambda rows: all(sum(r[2] == g for r in rows) != 1 for g in range(3)))


@given(rows_of_a_team, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_the_order_of_rows_does_not_matter_and_cells_have_mean_zero(rows, rng):
    rewards, agent, group = map(list, zip(*rows))
    given_ = DrMAS()(batch(rewards, agent, group))
    order = rng.sample(range(len(rows)), len(rows))
    turned = DrMAS()(batch([rewards[i] for i in order], [agent[i] for i in order], [group[i] for i in order]))
    torch.testing.assert_close(given_[order], turned)
    for cell in set(zip(agent, group)):
        mine = [i for i in range(len(rows)) if (agent[i], group[i]) == cell]
        if len(mine) > 1:
            assert float(given_[mine].sum()) == pytest.approx(0, abs=1e-4)


@given(rows_of_a_team)
@settings(deadline=None, max_examples=60)
def test_inflation_weighted_by_rows_has_mean_one(rows):
    rewards, agent, group = map(list, zip(*rows))
    rewards = [round(r, 2) for r in rewards]
    alive = [i for i in range(len(rows)) if len({rewards[j] for j in range(len(rows)) if group[j] == group[i]}) > 1]
    found = gradient_inflation(torch.tensor(rewards, dtype=torch.float64), torch.tensor(agent), torch.tensor(group))
    total = 0.0
    for name, factor in zip(found.agent.tolist(), found.factor.tolist()):
        number = sum(agent[i] == name for i in alive)
        assert math.isnan(factor) == (number == 0)
        total += number * factor if number else 0.0
    assert total == pytest.approx(len(alive), rel=1e-6)


def test_inflation_is_that_of_a_case_worked_by_hand():
    # rewards 0, 2 and 4, 6: mu 3, sigma^2 5; both agents are 2 away and have sigma_k^2 1
    found = gradient_inflation(torch.tensor([0.0, 2.0, 4.0, 6.0]), torch.tensor([3, 3, 8, 8]), torch.zeros(4).long())
    assert found.agent.tolist() == [3, 8]
    assert found.mean.tolist() == [1, 5]
    assert found.std.tolist() == [1, 1]
    assert found.factor.tolist() == pytest.approx([1, 1])
    uneven = gradient_inflation(torch.tensor([0.0, 0.0, 0.0, 4.0]), torch.tensor([0, 0, 0, 1]), torch.zeros(4).long())
    assert uneven.factor.tolist() == pytest.approx([1 / 3, 3])  # mu 1, sigma^2 3: distances 1 and 3


def test_what_is_measured_is_what_is_predicted_where_scores_do_not_depend_on_rewards():
    generator = torch.Generator().manual_seed(0)
    agent = torch.arange(20_000) % 2
    rewards = torch.randn(20_000, generator=generator, dtype=torch.float64) - 2.0 * agent
    rows = batch(rewards.tolist(), agent.tolist(), trajectory=list(range(20_000)))
    scores = torch.rand(20_000, generator=generator, dtype=torch.float64)
    measured = measured_second_moment(GlobalGRPO()(rows), scores, agent)
    torch.testing.assert_close(measured, gradient_inflation(rewards, agent, rows.group).factor, atol=0.05, rtol=0)
    own = measured_second_moment(DrMAS()(rows), scores, agent)
    torch.testing.assert_close(own, torch.ones(2, dtype=torch.float64), atol=0.05, rtol=0)


def test_equal_missing_and_unscored_rows_stay_finite():
    assert DrMAS()(batch([0.5] * 4, [0, 0, 1, 1])).tolist() == [0] * 4
    assert DrMAS()(batch([math.nan] * 4, [0, 0, 1, 1])).tolist() == [0] * 4
    assert DrMAS()(batch([math.nan, 1.0, 2.0], [0, 0, 0]))[0] == 0
    assert GlobalGRPO()(batch([math.nan] * 2, [0, 1], trajectory=[0, 1])).tolist() == [0, 0]


def test_an_invalid_action_costs_what_is_said():
    given_ = invalid_action_penalty(torch.tensor([1.0, 0.5]), torch.tensor([True, False]), coef=0.2)
    assert given_.tolist() == pytest.approx([1.0, 0.3])


def test_a_million_rows_are_weighed_in_a_second():
    rows = 1_000_000
    big = RolloutBatch(
        torch.rand(rows), torch.arange(rows) // 16, torch.ones(rows, 1, dtype=torch.bool), agent=torch.arange(rows) % 3
    )
    times = []
    for _ in range(3):
        begun = time.process_time()
        DrMAS()(big)
        times.append(time.process_time() - begun)
    assert min(times) < 1


def test_it_goes_with_other_parts():
    pipeline = Pipeline(DrMAS(), Halved())
    assert pipeline.needs == {"agent"}
    rows = batch([0.0, 1.0, 0.2, 0.4], [0, 0, 1, 1])
    torch.testing.assert_close(pipeline(rows), DrMAS()(rows) / 2)


class Halved:
    needs = frozenset()

    def __call__(self, batch, advantages):
        return advantages / 2


def test_trl_trains_one_agent_by_the_column_of_its_name():
    pytest.importorskip("trl")
    from assay.integrations.trl import run_grpo
    from assay.models.nano import tiny_llama
    from assay.models.tokenizer import build

    seen = []

    class Watched(DrMAS):
        def __call__(self, batch):
            seen.append(batch.agent.tolist())
            advantages = super().__call__(batch)
            torch.testing.assert_close(advantages, GroupNormalised()(batch))  # a prompt is of one agent
            return advantages

    rows = [{"prompt": "solve: ", "agent": 0}, {"prompt": "check: ", "agent": 1}]

    def digits(completions, **columns):
        return [float(sum(letter.isdigit() for letter in text)) for text in completions]

    model = tiny_llama(hidden=32, layers=1, heads=2, mlp=32)
    run_grpo(model, build(), rows, digits, advantage=Watched(), steps=1, seed=0, rollouts=4, batch=8, max_tokens=3)
    assert sorted(seen[0]) == [0] * 4 + [1] * 4


def test_verl_hands_the_agent_over_in_the_uid():
    import numpy as np

    from assay.integrations.verl import tag_uid, verl_estimator

    uids = np.array([tag_uid("q", agent=agent) for agent in (0, 0, 1, 1)])
    rewards = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 5.0], [0.0, 7.0]])
    advantages, _ = verl_estimator(DrMAS())(rewards, torch.ones(4, 2), uids)
    root = 2**-0.5
    assert advantages[:, 0].tolist() == pytest.approx([-root, root, -root, root], abs=1e-4)


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="DrMAS needs agent"):
        Pipeline(DrMAS())(RolloutBatch.from_rewards(torch.rand(1, 2)))
    with pytest.raises(ValueError, match="scale: got 'half'"):
        DrMAS(scale="half")
    with pytest.raises(ValueError, match="singleton: got 'one'"):
        DrMAS(singleton="one")
    with pytest.raises(TypeError, match=r"valid: got torch\.int64"):
        invalid_action_penalty(torch.ones(2), torch.ones(2).long())
    with pytest.raises(ValueError, match="coef: got -1"):
        invalid_action_penalty(torch.ones(2), torch.ones(2).bool(), coef=-1)
    with pytest.raises(ValueError, match="score_norms: got shape"):
        measured_second_moment(torch.ones(2), torch.ones(3), torch.zeros(2).long())
    with pytest.raises(ValueError, match="agent: got shape"):
        gradient_inflation(torch.rand(2), torch.zeros(3).long(), torch.zeros(2).long())
