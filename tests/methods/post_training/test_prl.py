import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.hadw import HADW
from assay.methods.post_training.losses import k3
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.methods.post_training.prl import (
    FutureKL,
    KLInReward,
    LossSideK3,
    fixed_steps,
    line_steps,
    optimal_policy,
    process_rewards,
    response_logprobs,
    segment,
)
from assay.methods.post_training.uniqueness import Uniqueness


def random_batch(groups=3, rollouts=4, tokens=7, seed=0):
    """Rows of different lengths with random log-probabilities."""
    generator = torch.Generator().manual_seed(seed)
    rows = groups * rollouts
    lengths = torch.randint(1, tokens + 1, (rows, 1), generator=generator)

    def logprobs():
        return -torch.rand(rows, tokens, generator=generator, dtype=torch.float64)

    return RolloutBatch(
        rewards=torch.randint(0, 2, (rows,), generator=generator).double(),
        group=torch.arange(rows) % groups,
        mask=torch.arange(tokens).expand(rows, tokens) < lengths,
        logprobs=logprobs(),
        ref_logprobs=logprobs(),
    )


def by_hand(batch, step, beta, center):
    """FutureKL's correction, row by row and token by token, from its definition."""
    rows, tokens = batch.mask.shape
    delta = (batch.logprobs - batch.ref_logprobs) * batch.mask

    def to_come(row, number):
        return sum(float(delta[row, t]) for t in range(tokens) if int(step[row, t]) >= number)

    out = torch.zeros(rows, tokens, dtype=torch.float64)
    for row in range(rows):
        for t in range(tokens):
            if not batch.mask[row, t]:
                continue
            number = int(step[row, t])
            out[row, t] = to_come(row, number)
            if center:
                mates = [
                    other
                    for other in range(rows)
                    if batch.group[other] == batch.group[row] and (batch.mask[other] & (step[other] == number)).any()
                ]
                out[row, t] -= sum(to_come(other, number) for other in mates) / len(mates)
    return beta * out


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("step_level", [True, False])
def test_each_token_is_charged_what_its_step_and_the_later_ones_cost(step_level, center):
    batch = random_batch()
    advantages = GroupNormalised()(batch)
    charged = FutureKL(0.3, step_level=step_level, center=center, steps=2)(batch, advantages)
    step = fixed_steps(batch.mask, 2) if step_level else torch.arange(7).expand(12, 7)
    expected = (advantages.unsqueeze(1) - by_hand(batch, step, 0.3, center)) * batch.mask
    assert torch.allclose(charged, expected)


def test_one_step_a_row_is_the_kl_in_the_reward_before_mean_centring():
    batch = random_batch()
    one_step = Pipeline(GroupNormalised(scale="none"), FutureKL(0.1, steps=7))(batch)
    in_reward = KLInReward(0.1, GroupNormalised(scale="none"))(batch)
    constant = GroupNormalised(scale="none")(batch) == 0  # equal rewards are 0 exactly in one and not the other
    assert torch.allclose(one_step, in_reward.unsqueeze(1) * batch.mask)
    assert not constant.all()


def test_the_loss_side_term_is_the_gradient_of_k3():
    batch = random_batch()
    logprobs = batch.logprobs.clone().requires_grad_()
    (-0.2 * k3(logprobs, batch.ref_logprobs) * batch.mask).sum().backward()
    assert torch.allclose(LossSideK3(0.2)(batch, torch.zeros(12, dtype=torch.float64)), logprobs.grad)


def test_group_statistics_stay_those_of_the_rewards():
    batch = random_batch()
    drifted = batch.replace(logprobs=batch.ref_logprobs - 5 * torch.rand(12, 1))
    base = GroupNormalised()
    for of in (batch, drifted):
        free = Pipeline(base, FutureKL(1e-12))(of)
        assert torch.allclose(free, base(of).unsqueeze(1) * of.mask)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_a_rows_process_rewards_add_up_to_the_outcome_less_its_divergence(seed, size):
    batch = random_batch(seed=seed)
    step = fixed_steps(batch.mask, size)
    rewards = process_rewards(batch.logprobs, batch.ref_logprobs, batch.mask, step, batch.rewards, eta=4.0)
    divergence = ((batch.logprobs - batch.ref_logprobs) * batch.mask).sum(dim=1)
    assert torch.allclose(rewards.sum(dim=1), batch.rewards - divergence / 4.0)


def test_the_outcome_goes_to_the_last_step_and_absent_steps_get_nothing():
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    step = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0]])
    logprobs, reference = torch.full((2, 4), -1.0), torch.full((2, 4), -1.5)
    rewards = process_rewards(logprobs, reference, mask, step, torch.tensor([1.0, 2.0]), eta=0.5)
    assert rewards.tolist() == [[-2.0, -1.0], [0.0, 0.0]]


def test_all_responses_of_the_optimal_policy_are_worth_the_same():
    generator = torch.Generator().manual_seed(0)
    reference = torch.randn(3, 3, generator=generator, dtype=torch.float64).flatten().softmax(0)  # strings of 2 letters
    outcome = torch.rand(9, generator=generator, dtype=torch.float64)
    pi = optimal_policy(reference, outcome, eta=3.0)

    def tokens(chances):
        table = chances.view(3, 3)
        first = table.sum(dim=1, keepdim=True).expand(3, 3)
        return torch.stack([first.log(), (table / first).log()], dim=-1).view(9, 2)

    step = torch.tensor([[0, 1]] * 9)
    rewards = process_rewards(tokens(pi), tokens(reference), torch.ones(9, 2).bool(), step, outcome, eta=3.0)
    worth = rewards.sum(dim=1)
    assert torch.allclose(worth, worth[0].expand(9))
    assert worth[0] == pytest.approx(float((reference * torch.exp(3 * outcome)).sum().log() / 3))


def test_lines_are_steps_and_empty_ones_are_not():
    assert segment(["a", "\n", "b", "\n"]).tolist() == [0, 0, 1, 1]
    assert segment(["a\n", "\n", "\n", "b", "c"]).tolist() == [0, 1, 1, 1, 1]
    assert segment(["\n", "a", "\n"]).tolist() == [0, 0, 0]
    assert segment(["a\nb", "c"]).tolist() == [0, 1]  # the break stands inside a token: the step ends with it
    assert segment(["a", "\n", " ", ""]).tolist() == [0, 0, 0, 0]
    assert segment(["\n", "\n"]).tolist() == [0, 0]
    assert segment([]).tolist() == []


def test_what_is_left_over_of_fixed_steps_belongs_to_the_last():
    assert segment(["x"] * 5, "fixed", 2).tolist() == [0, 0, 1, 1, 1]
    assert segment(["x"], "fixed", 2).tolist() == [0]
    mask = torch.tensor([[True] * 4, [True, True, True, False]])
    assert fixed_steps(mask, 2).tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]


@given(st.lists(st.sampled_from(["a", "\n", " ", "", "b\n", "\n\n"]), max_size=30))
def test_steps_never_decrease_and_skip_no_number(tokens):
    steps = segment(tokens)
    assert len(steps) == len(tokens)
    if tokens:
        assert sorted(set(steps.tolist())) == list(range(int(steps.max()) + 1))
        assert (steps.diff() >= 0).all()


def test_lines_of_the_completions_split_a_batch():
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    batch = RolloutBatch.from_rewards(torch.zeros(1, 2)).replace(mask=mask, completions=("a\nb\n", "cd"))
    assert line_steps(list)(batch).tolist() == [[0, 0, 1, 1, 1], [0, 0, 0, 0, 0]]


def test_what_multiplies_advantages_commutes_and_future_divergence_comes_last():
    batch = random_batch().replace(agent=torch.arange(12) // 3 % 2, cluster=torch.arange(12) % 2)
    base = GroupNormalised(("group", "agent"))
    together = Pipeline(base, HADW(), Uniqueness(), FutureKL(beta=0.01))(batch)
    plain = base(batch)
    weighted = HADW()(batch, plain) * Uniqueness()(batch, torch.ones_like(plain))
    by_parts = (weighted.unsqueeze(1) - by_hand(batch, fixed_steps(batch.mask, 64), 0.01, center=True)) * batch.mask
    assert torch.allclose(together, by_parts)
    swapped = Pipeline(base, Uniqueness(), HADW(), FutureKL(beta=0.01))
    assert torch.allclose(swapped(batch), together)
    assert swapped.needs == {"agent", "cluster", "logprobs", "ref_logprobs"}


def test_log_probabilities_of_a_model_are_those_of_its_own_loss():
    from assay.models.nano import tiny_llama

    model = tiny_llama(hidden=16, layers=1, heads=2, mlp=32).eval()
    ids = torch.arange(5, 12)
    labels = torch.cat([torch.full((3,), -100), ids[3:]])
    loss = model(ids[None], labels=labels[None]).loss
    assert response_logprobs(model, ids[:3], ids[3:]).mean().item() == pytest.approx(-loss.item(), abs=1e-5)


def rewarded(step, mask=((True, True),), eta=1.0):
    zeros = torch.zeros(1, 2)
    return process_rewards(zeros, zeros, torch.tensor(mask), torch.tensor(step), torch.zeros(1), eta)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: FutureKL(beta=0.0), "beta: got 0.0"),
        (lambda: FutureKL(beta=math.nan), "beta: got nan"),
        (lambda: FutureKL(steps=0), "steps: got 0"),
        (lambda: FutureKL()(random_batch().replace(ref_logprobs=None), torch.zeros(12)), "FutureKL needs ref_logprobs"),
        (lambda: Pipeline(KLInReward(0.1))(random_batch().replace(logprobs=None)), "KLInReward needs logprobs"),
        (lambda: FutureKL(steps=lambda b: -fixed_steps(b.mask, 1))(random_batch(), torch.zeros(12)), "step: got -6"),
        (lambda: rewarded([[1, 0]]), "step: decreases in row 0"),
        (lambda: rewarded([[0]]), "step: got shape"),
        (lambda: rewarded([[0, 0]], eta=0), "eta: got 0"),
        (lambda: rewarded([[0, 0]], mask=((False, False),)), "mask: row 0 has no token"),
        (lambda: optimal_policy(torch.ones(2) / 2, torch.ones(2), -1), "eta: got -1"),
        (lambda: segment(["a"], "words"), "mode: got 'words'"),
        (lambda: segment(["a"], "fixed", 0), "size: got 0"),
        (lambda: response_logprobs(None, torch.zeros(0), torch.zeros(1)), "prompt: got no token"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_steps_that_are_no_integers_are_refused():
    with pytest.raises(TypeError, match=r"step: got torch\.float32"):
        rewarded([[0.0, 1.0]])
