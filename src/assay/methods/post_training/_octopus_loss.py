"""GSPO with a weak divergence on the first attempts that stage 1 of `octopus` hides from the policy's loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from assay.methods.post_training.losses import GSPO, ClippedLoss, Reduce, k3, masked_mean


@dataclass(frozen=True)
class CorrectionLoss:
    """GSPO on the trained tokens plus `beta` times KL(pi || ref) on the hidden first attempts, without the tag.

    tag    tokens of the opening tag
    """

    tag: int
    beta: float = 0.01
    policy: ClippedLoss = GSPO
    needs = frozenset({"ref_logprobs"})

    @property
    def reduce(self) -> Reduce:
        return self.policy.reduce

    def __post_init__(self) -> None:
        if self.beta < 0 or self.tag < 0:
            raise ValueError(f"beta, tag: got {self.beta}, {self.tag}, wanted 0 or more")

    def __call__(
        self,
        logprobs: Tensor,
        old_logprobs: Tensor,
        advantages: Tensor,
        mask: Tensor,
        *,
        ref_logprobs: Tensor | None = None,
        rollout_logprobs: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, float]]:
        if ref_logprobs is None:
            raise ValueError("ref_logprobs: got None, wanted the reference model's log-probabilities")
        loss, figures = self.policy(logprobs, old_logprobs, advantages, mask)
        hidden = kl_mask(mask, self.tag)
        ours, theirs = logprobs.masked_fill(~hidden, 0), ref_logprobs.masked_fill(~hidden, 0)
        divergence = masked_mean(k3(ours, theirs), hidden, self.reduce)
        return loss + self.beta * divergence, {**figures, "hidden_kl": float(divergence.detach())}


def kl_mask(mask: Tensor, tag: int) -> Tensor:
    """(B, T) bool, True on hidden first attempts: the untrained tokens before the first trained one of a row, but
    for the `tag` tokens of the opening tag. Rows that train nothing have none."""
    if tag < 0:
        raise ValueError(f"tag: got {tag}, wanted a number of tokens")
    begun = mask.cumsum(dim=1) > 0
    leading = (~begun & begun.any(dim=1, keepdim=True)).sum(dim=1, keepdim=True)
    return torch.arange(mask.shape[1], device=mask.device) < leading - tag
