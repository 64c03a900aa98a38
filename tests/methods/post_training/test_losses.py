import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.post_training.losses import ClippedLoss, ReinforceLoss, k3, log_ratio, masked_mean

MASK = torch.tensor([[True, True], [True, False]])
OLD = torch.log(torch.tensor([[0.5, 0.5], [0.25, 0.5]]))
NEW = torch.log(torch.tensor([[0.75, 0.5], [0.125, 0.9]]))


def test_rows_or_tokens_weigh_alike_in_a_masked_mean():
    values = torch.tensor([[1.0, 3.0], [8.0, 100.0]])
    assert masked_mean(values, MASK, "sequence") == (2 + 8) / 2
    assert masked_mean(values, MASK, "token") == (1 + 3 + 8) / 3


def test_the_clipped_loss_is_that_of_a_case_worked_by_hand():
    # ratios 1.5, 1 and 0.5; A = +1 and -1: row 1 gives min(1.5, 1.2) and 1, row 2 min(-0.5, -0.8)
    loss, figures = ClippedLoss()(NEW, OLD, torch.tensor([1.0, -1.0]), MASK)
    assert loss.item() == pytest.approx(-((1.2 + 1) / 2 - 0.8) / 2)
    assert figures["clipped_share"] == pytest.approx(2 / 3)
    by_token, _ = ClippedLoss(reduce="token")(NEW, OLD, torch.tensor([1.0, -1.0]), MASK)
    assert by_token.item() == pytest.approx(-(1.2 + 1 - 0.8) / 3)


def test_a_sequence_has_the_geometric_mean_of_its_tokens_ratios():
    ratios = log_ratio(NEW, OLD, MASK, "sequence").exp().flatten().tolist()
    assert ratios == pytest.approx([math.sqrt(1.5), 0.5])
    loss, _ = ClippedLoss(level="sequence", eps_low=3e-4, eps_high=4e-4)(NEW, OLD, torch.tensor([1.0, -1.0]), MASK)
    assert loss.item() == pytest.approx(-(1.0004 - 0.9997) / 2, abs=1e-6)


def test_a_padded_token_may_hold_minus_infinity():
    new, old = NEW.clone(), OLD.clone()
    new[1, 1] = old[1, 1] = -math.inf
    for loss in (ClippedLoss(), ClippedLoss(level="sequence"), ReinforceLoss()):
        assert loss(new, old, torch.tensor([1.0, -1.0]), MASK)[0].isfinite()


def test_reinforce_and_the_clipped_loss_have_one_gradient_on_the_sampling_policy():
    advantages = torch.tensor([[0.3, -2.0], [1.1, 5.0]])
    gradients = []
    for loss in (ClippedLoss(), ReinforceLoss()):
        logprobs = OLD.clone().requires_grad_()
        loss(logprobs, OLD, advantages, MASK)[0].backward()
        gradients.append(logprobs.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


@given(st.lists(st.floats(-5, 0), min_size=2, max_size=6))
def test_k3_is_never_negative_and_zero_where_both_policies_agree(values):
    logprobs = torch.tensor([values])
    assert (k3(logprobs, logprobs.flip(1)) >= -1e-6).all()
    assert k3(logprobs, logprobs).abs().max() == 0


@pytest.mark.parametrize(
    ("options", "words"), [({"eps_low": 1.5}, "eps_low: got 1.5"), ({"eps_high": 0}, "eps_high: got 0")]
)
def test_clip_ranges_that_cannot_be_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        ClippedLoss(**options)


def test_unknown_words_are_named():
    with pytest.raises(ValueError, match="level: got 'row'"):
        ClippedLoss(level="row")(NEW, OLD, torch.ones(2), MASK)
    with pytest.raises(ValueError, match="reduce: got 'mean'"):
        masked_mean(NEW, MASK, "mean")
