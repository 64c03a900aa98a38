"""Future divergence inside a real TRL run, with the reference model that TRL itself runs."""

import pytest
import torch

pytest.importorskip("trl")

from assay.integrations.trl import run_grpo
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.methods.post_training.prl import FutureKL
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build


class Recorded(FutureKL):
    def __init__(self, **options):
        super().__init__(**options)
        self.seen = []

    def __call__(self, batch, advantages):
        self.seen.append((batch, advantages, super().__call__(batch, advantages)))
        return self.seen[-1][2]


def trained(future, beta=1e-12):
    return run_grpo(
        tiny_llama(hidden=16, layers=1, heads=2, mlp=32),
        build(),
        [{"prompt": f"{i}: "} for i in range(4)],
        lambda completions, **columns: [float(text[:1].isdigit()) for text in completions],
        advantage=Pipeline(GroupNormalised(scale="none"), future),
        steps=3,
        seed=0,
        rollouts=4,
        batch=8,
        max_tokens=4,
        learning_rate=1e-2,
        beta=beta,
    )


def test_trls_reference_log_probabilities_are_what_future_divergence_is_made_of():
    future = Recorded(beta=0.5, steps=2)
    trained(future)
    first, _, last = future.seen
    batch, advantages, charged = first  # nothing has moved yet: no divergence, nothing to pay
    assert torch.allclose(charged, advantages.unsqueeze(1) * batch.mask, atol=1e-4)

    batch, advantages, charged = last
    delta = (batch.logprobs - batch.ref_logprobs) * batch.mask
    assert delta.abs().max() > 1e-3
    spent = delta.sum(dim=1)
    due = spent - torch.stack([spent[batch.group == group].mean() for group in batch.group])
    assert torch.allclose(charged[:, 0], advantages - 0.5 * due, atol=1e-5)


def test_without_a_reference_model_the_setting_that_brings_one_is_named():
    with pytest.raises(ValueError, match=r"needs a reference model: set GRPOConfig\(beta=1e-12\)"):
        trained(FutureKL(), beta=0.0)
