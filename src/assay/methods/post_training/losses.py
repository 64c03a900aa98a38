"""Policy-gradient losses over (B, T) log-probabilities: what several methods of this folder share. No paper in it.

Every loss reads `logprobs` (with a graph), `old_logprobs` (of the policy that sampled), `advantages` (B,) or
(B, T), and `mask` (B, T), True on tokens that are trained; it gives a scalar and a dict of plain figures to log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from assay.methods.policy_gradient import clipped_surrogate

Level = Literal["token", "sequence"]
Reduce = Literal["sequence", "token"]


class TokenLoss(Protocol):
    """A policy loss. `needs` says which of "ref_logprobs" (log pi_ref) and "rollout_logprobs" (as the inference
    engine reported them) it cannot do without; both are (B, T) without a graph. `reduce` says what it is a mean of,
    rows ("sequence") or tokens ("token"), so that a trainer can put micro-batches together."""

    needs: frozenset[str]
    reduce: Reduce

    def __call__(
        self,
        logprobs: Tensor,
        old_logprobs: Tensor,
        advantages: Tensor,
        mask: Tensor,
        *,
        ref_logprobs: Tensor | None = None,
        rollout_logprobs: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, float]]: ...


def masked_mean(values: Tensor, mask: Tensor, reduce: Reduce = "sequence") -> Tensor:
    """Mean over the trained tokens: of each row first, then of the rows ("sequence"), or of all at once ("token").

    A row that trains no token counts as 0 in the mean of the rows.
    """
    if reduce == "token":
        return (values * mask).sum() / mask.sum().clamp(min=1)
    if reduce == "sequence":
        return sequence_means(values, mask).mean()
    raise ValueError(f"reduce: got {reduce!r}, wanted 'sequence' or 'token'")


def sequence_means(values: Tensor, mask: Tensor) -> Tensor:
    """(B, T) to (B,): each row's mean over its trained tokens, 0 where it trains none."""
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def over_tokens(advantages: Tensor) -> Tensor:
    """Advantages of rows, (B,), as (B, 1); those of tokens, (B, T), as they are."""
    return advantages if advantages.dim() == 2 else advantages.unsqueeze(1)


def log_ratio(logprobs: Tensor, old_logprobs: Tensor, mask: Tensor, level: Level) -> Tensor:
    """log pi / pi_old: a token's own, (B, T), or the mean of a row's tokens, (B, 1). The rest of a row is 0."""
    tokens = (logprobs - old_logprobs).masked_fill(~mask, 0)  # padding may hold -inf on both sides
    if level == "token":
        return tokens
    if level == "sequence":
        return sequence_means(tokens, mask).unsqueeze(1)
    raise ValueError(f"level: got {level!r}, wanted 'token' or 'sequence'")


@dataclass(frozen=True)
class ClippedLoss:
    """-min(ratio A, clip(ratio, 1 - eps_low, 1 + eps_high) A): PPO's surrogate as group-based methods use it.

    level    "token": every token has its ratio (GRPO, DAPO); "sequence": a row has one, of the geometric mean
             of its tokens (GSPO, 2507.18071, eq. 7)
    reduce   "sequence" weighs rows alike (GRPO), "token" weighs tokens alike (DAPO)
    """

    level: Level = "token"
    eps_low: float = 0.2
    eps_high: float = 0.2
    reduce: Reduce = "sequence"
    needs = frozenset[str]()

    def __post_init__(self) -> None:
        if not 0 < self.eps_low < 1:
            raise ValueError(f"eps_low: got {self.eps_low}, wanted a number between 0 and 1")
        if not self.eps_high > 0:
            raise ValueError(f"eps_high: got {self.eps_high}, wanted a positive number")

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
        ratio = log_ratio(logprobs, old_logprobs, mask, self.level)
        advantages = over_tokens(advantages)
        surrogate = clipped_surrogate(ratio, torch.zeros_like(ratio), advantages, self.eps_low, self.eps_high)
        held_back = (surrogate < ratio.exp() * advantages).expand_as(mask)
        share = masked_mean(held_back.to(logprobs.dtype), mask, "token")
        return -masked_mean(surrogate.expand_as(mask), mask, self.reduce), {"clipped_share": float(share)}


GSPO = ClippedLoss("sequence", eps_low=3e-4, eps_high=4e-4)  # at the clip that Octopus and P1-VL train with


@dataclass(frozen=True)
class ReinforceLoss:
    """-A log pi, no ratio and no clip: right only for rows that the present policy has just sampled."""

    reduce: Reduce = "sequence"
    needs = frozenset[str]()

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
        drift = masked_mean((logprobs.detach() - old_logprobs).masked_fill(~mask, 0).abs(), mask, "token")
        loss = -masked_mean(over_tokens(advantages) * logprobs.masked_fill(~mask, 0), mask, self.reduce)
        return loss, {"policy_drift": float(drift)}


def k3(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """The non-negative estimate e^d - d - 1 of KL(pi || ref) from tokens of pi, d = log ref - log pi, (B, T)."""
    difference = ref_logprobs - logprobs
    return difference.exp() - difference - 1
