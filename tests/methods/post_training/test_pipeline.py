import pytest
import torch

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.hadw import HADW, DifficultyAnchor
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline, Stateful

NAN = float("nan")


class Doubled:
    needs = frozenset[str]()

    def __call__(self, batch, advantages):
        return 2 * advantages


class PlusLogprobs:
    """An additive transform over tokens: (B,) or (B, T) in, (B, T) out."""

    needs = frozenset({"logprobs"})

    def __call__(self, batch, advantages):
        rows = advantages if advantages.dim() == 2 else advantages.unsqueeze(1)
        return rows + 0.1 * batch.logprobs


class Crooked:
    needs = frozenset[str]()

    def __call__(self, batch, advantages):
        return advantages[:-1]


def random_batch(seed: int = 0) -> RolloutBatch:
    torch.manual_seed(seed)
    mask = torch.rand(12, 5) < 0.7
    mask[:, 0] = True
    return RolloutBatch(
        rewards=(torch.rand(12) < 0.5).float(),
        group=torch.arange(12) % 3,
        agent=torch.arange(12) // 6,
        mask=mask,
        logprobs=-torch.rand(12, 5),
    )


def test_the_base_alone_is_grpo_by_hand():
    advantages = Pipeline(GroupNormalised())(RolloutBatch.from_rewards(torch.tensor([[1.0, 0.0], [1.0, 1.0]])))
    assert advantages.tolist() == pytest.approx([0.5**0.5, -(0.5**0.5), 0, 0], abs=1e-5)


def test_groups_may_be_made_of_several_fields():
    batch = RolloutBatch(
        rewards=torch.tensor([1.0, 0.0, 4.0, 2.0]),
        group=torch.zeros(4).long(),
        agent=torch.tensor([-1, -1, 7, 7]),
        mask=torch.ones(4, 1).bool(),
    )
    assert GroupNormalised(("group", "agent"), scale="none")(batch).tolist() == [0.5, -0.5, 1.0, -1.0]


def test_rows_of_a_trajectory_are_averaged_before_the_statistics():
    batch = RolloutBatch(
        rewards=torch.tensor([1.0, 0.0, NAN, 0.0, 0.0]),
        group=torch.zeros(5).long(),
        trajectory=torch.tensor([4, 4, 4, 8, 8]),
        mask=torch.ones(5, 1).bool(),
    )
    assert GroupNormalised(unit="trajectory", scale="none")(batch).tolist() == [0.25, 0.25, 0.0, -0.25, -0.25]


def test_a_trajectory_in_two_groups_is_refused():
    batch = RolloutBatch(
        rewards=torch.zeros(4),
        group=torch.tensor([0, 0, 1, 1]),
        trajectory=torch.zeros(4).long(),
        mask=torch.ones(4, 1).bool(),
    )
    with pytest.raises(ValueError, match="trajectory: 0 lies in two groups"):
        GroupNormalised(unit="trajectory")(batch)


def test_transforms_compose_to_the_product_and_sum_written_by_hand():
    batch = random_batch()
    base = GroupNormalised(("group", "agent"))
    composed = Pipeline(base, HADW(), Doubled(), PlusLogprobs())(batch)
    by_hand = ((HADW()(batch, base(batch)) * 2).unsqueeze(1) + 0.1 * batch.logprobs) * batch.mask
    assert torch.equal(composed, by_hand)


def test_the_order_of_multiplicative_transforms_does_not_matter():
    batch = random_batch()
    one = Pipeline(GroupNormalised(), HADW(), Doubled())(batch)
    assert torch.allclose(one, Pipeline(GroupNormalised(), Doubled(), HADW())(batch))


def test_advantages_over_tokens_are_zero_off_the_mask():
    batch = random_batch()
    assert (Pipeline(GroupNormalised(), PlusLogprobs())(batch)[~batch.mask] == 0).all()


def test_a_missing_field_names_the_member_that_needs_it():
    with pytest.raises(ValueError, match="PlusLogprobs needs logprobs"):
        Pipeline(GroupNormalised(), PlusLogprobs())(random_batch().replace(logprobs=None))
    assert Pipeline(GroupNormalised(("agent",)), PlusLogprobs()).needs == {"agent", "logprobs"}


def test_a_member_that_gives_another_shape_is_named():
    with pytest.raises(ValueError, match=r"Crooked: gave advantages \(11,\), wanted \(12,\) or \(12, 5\)"):
        Pipeline(GroupNormalised(), Crooked())(random_batch())


def test_state_goes_out_and_comes_back():
    first, second = (Pipeline(GroupNormalised(), Doubled(), HADW(anchor=DifficultyAnchor(prior=0.9))) for _ in range(2))
    for seed in range(5):
        first(random_batch(seed))
    second.load_state_dict(first.state_dict())
    assert isinstance(first, Stateful)
    assert torch.equal(first(random_batch(9)), second(random_batch(9)))
    with pytest.raises(ValueError, match="state: got the members"):
        Pipeline(GroupNormalised(), HADW()).load_state_dict(first.state_dict())


@pytest.mark.parametrize("by", [(), ("rewards",), ("group", "mask")])
def test_groups_are_made_of_id_fields_only(by):
    with pytest.raises(ValueError, match="by: got"):
        GroupNormalised(by=by)


@pytest.mark.parametrize("option", ["unit", "scale", "std", "singleton"])
def test_unknown_options_are_named(option):
    with pytest.raises(ValueError, match=f"{option}: got 'other'"):
        GroupNormalised(**{option: "other"})
