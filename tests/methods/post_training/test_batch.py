import pytest
import torch

from assay.methods.post_training.batch import RolloutBatch


def batch(**changes) -> RolloutBatch:
    fields = {
        "rewards": torch.tensor([1.0, 0.0, 0.5, 0.5]),
        "group": torch.tensor([9, 2, 9, 2]),
        "mask": torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 0, 0]]).bool(),
    }
    return RolloutBatch(**{**fields, **changes})


def test_a_table_of_rewards_becomes_one_row_a_rollout():
    made = RolloutBatch.from_rewards(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert made.rewards.tolist() == [1, 0, 0, 0]
    assert made.group.tolist() == [0, 0, 1, 1]
    assert made.mask.tolist() == [[True]] * 4


def test_groups_come_by_ascending_id_with_rows_in_order():
    assert [rows.tolist() for rows in batch().groups()] == [[1, 3], [0, 2]]


def test_a_changed_copy_is_checked_anew():
    assert batch().replace(step=7).step == 7
    with pytest.raises(ValueError, match="infinite"):
        batch().replace(rewards=torch.full((4,), float("inf")))


def test_missing_fields_are_all_named_with_who_needs_them():
    with pytest.raises(ValueError, match="PRL needs logprobs, prompts in the RolloutBatch"):
        batch(agent=torch.zeros(4).long()).require("agent", "logprobs", "prompts", needed_by="PRL")


def test_a_group_of_unscored_rows_is_allowed():
    assert batch(rewards=torch.full((4,), float("nan"))).rewards.isnan().all()


def test_single_rows_are_allowed_only_where_asked_for():
    lone = torch.tensor([0, 0, 0, 5])
    with pytest.raises(ValueError, match="group: 5 has a single row"):
        batch(group=lone)
    assert batch(group=lone, allow_singletons=True).group.tolist() == [0, 0, 0, 5]


def test_masked_positions_may_hold_any_log_probability():
    logprobs = torch.full((4, 3), -1.0)
    logprobs[1, 1:] = float("nan")
    assert batch(logprobs=logprobs).logprobs is logprobs


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("rewards", torch.zeros(4).long(), "rewards: got torch.int64"),
        ("rewards", torch.zeros(2, 2), r"rewards: got shape \(2, 2\)"),
        ("rewards", torch.zeros(0), "wanted .*B >= 1"),
        ("group", torch.zeros(3).long(), r"group: got shape \(3,\), wanted \(4,\)"),
        ("agent", torch.zeros(4), "agent: got torch.float32, wanted integer ids"),
        ("mask", torch.ones(4, 3), "mask: got torch.float32, wanted bool"),
        ("mask", torch.ones(3, 3).bool(), r"mask: got shape \(3, 3\), wanted \(4, T\)"),
        ("mask", torch.tensor([[1], [0], [1], [1]]).bool(), "mask: row 1 trains no token"),
        ("logprobs", torch.zeros(4, 2), r"logprobs: got shape \(4, 2\)"),
        ("logprobs", torch.full((4, 3), 0.5), "logprobs: got 0.5 on a trained token"),
        ("ref_logprobs", torch.full((4, 3), float("nan")), "ref_logprobs: got a value that is not finite"),
        ("turn_rewards", torch.zeros(4), r"turn_rewards: got shape \(4,\)"),
        ("prompts", ("one",), "prompts: got 1 texts, wanted 4"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_wanted(field, value, words):
    with pytest.raises((ValueError, TypeError), match=words):
        batch(**{field: value})


def test_every_turn_needs_a_column_of_turn_rewards():
    turn = torch.zeros(4, 3).long()
    turn[2, 2] = 2
    with pytest.raises(ValueError, match="turn_rewards: got 2 columns, wanted 3"):
        batch(turn=turn, turn_rewards=torch.zeros(4, 2))
