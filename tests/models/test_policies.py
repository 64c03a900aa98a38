import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.policy_gradient import Rollouts, grpo
from assay.models.policies import CandidatePolicy, Candidates, FeaturePolicy, pad_candidates


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_fresh_policy_is_all_but_uniform():
    policy = FeaturePolicy(4, (3, 5), generator=seeded())
    three, five = policy(torch.randn(10, 4, generator=seeded()))
    assert torch.allclose(three.exp(), torch.full((10, 3), 1 / 3), atol=0.03)
    assert torch.allclose(five.exp(), torch.full((10, 5), 1 / 5), atol=0.03)


@given(st.integers(0, 1000), st.lists(st.integers(2, 5), min_size=1, max_size=3))
def test_probabilities_of_all_decisions_sum_to_one(seed, heads):
    policy = FeaturePolicy(2, heads, (8,), generator=seeded(seed))
    every = torch.cartesian_prod(*[torch.arange(n) for n in heads]).view(-1, len(heads))
    seen = torch.randn(1, 2, generator=seeded(seed)).expand(len(every), 2)
    assert float(policy.log_prob(seen, every).detach().exp().sum()) == pytest.approx(1, abs=1e-5)


def test_samples_follow_the_probabilities_and_carry_their_log_probabilities():
    policy = FeaturePolicy(1, (3, 2), (), generator=seeded(4))
    with torch.no_grad():
        policy.network[0].weight.copy_(torch.tensor([[0.0], [1.0], [2.0], [0.0], [-1.0]]))
    seen = torch.ones(50_000, 1)
    actions, logprobs = policy.sample(seen, seeded())
    assert torch.equal(logprobs, policy.log_prob(seen, actions).detach())
    for head, probabilities in zip(actions.T, policy(seen[:1])):
        shares = torch.bincount(head) / len(head)
        assert torch.allclose(shares, probabilities[0].exp(), atol=0.01)
    assert policy.greedy(seen[:1]).tolist() == [[2, 0]]


def test_the_same_generator_gives_the_same_policy_and_leaves_the_global_state_alone():
    state = torch.random.get_rng_state()
    one, two = (FeaturePolicy(3, (2,), generator=seeded(7)) for _ in range(2))
    one.sample(torch.zeros(5, 3), seeded())
    assert torch.equal(torch.random.get_rng_state(), state)
    for a, b in zip(one.parameters(), two.parameters()):
        assert torch.equal(a, b)


def test_candidates_that_are_not_there_are_never_chosen():
    policy = CandidatePolicy(2, (8,), generator=seeded())
    seen = pad_candidates([torch.randn(n, 2, generator=seeded(n)) for n in (1, 4, 2)] * 500)
    actions, logprobs = policy.sample(seen, seeded())
    assert seen.valid.gather(1, actions[:, None]).all()
    assert logprobs.isfinite().all()
    assert torch.equal(logprobs, policy.log_prob(seen, actions).detach())
    assert policy(seen).exp().sum(dim=1).tolist() == pytest.approx([1.0] * 1500, abs=1e-5)


def test_the_order_of_candidates_does_not_matter():
    policy = CandidatePolicy(3, generator=seeded())
    with torch.no_grad():
        policy.network[-1].weight.mul_(100)
    features = torch.randn(1, 5, 3, generator=seeded(1))
    order = torch.tensor([3, 1, 4, 0, 2])
    there, here = (policy(Candidates(f, torch.ones(1, 5).bool())) for f in (features[:, order], features))
    assert torch.allclose(there, here[:, order], atol=1e-6)


def test_a_policy_over_candidates_learns_which_feature_pays():
    generator = seeded(2)
    policy = CandidatePolicy(2, (), generator=generator)

    def collect(update):
        sizes = torch.randint(2, 5, (32,), generator=generator)
        seen = pad_candidates([torch.randn(int(n), 2, generator=generator) for n in sizes])
        seen = Candidates(seen.features.repeat_interleave(8, 0), seen.valid.repeat_interleave(8, 0))
        actions, logprobs = policy.sample(seen, generator)
        best = seen.features[..., 0].masked_fill(~seen.valid, -math.inf).argmax(dim=1)
        rows = torch.arange(len(actions))
        return Rollouts(seen, actions, logprobs, rows, (actions == best).float(), rows // 8)

    means = grpo(policy, collect, 80, learning_rate=0.05)
    assert means[0] < 0.5
    assert means[-1] > 0.75
    first, second = policy.network[0].weight[0].tolist()
    assert first > 10 * abs(second)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: FeaturePolicy(0, (2,), generator=seeded()), "features: got 0"),
        (lambda: FeaturePolicy(1, (), generator=seeded()), r"heads: got \(\)"),
        (lambda: FeaturePolicy(1, (2, 1), generator=seeded()), r"heads: got \(2, 1\)"),
        (lambda: CandidatePolicy(0, generator=seeded()), "features: got 0"),
        (lambda: pad_candidates([]), "decisions: got none"),
        (lambda: pad_candidates([torch.zeros(0, 2)]), "one without a candidate"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
