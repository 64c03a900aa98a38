"""How far the engine that sampled a sequence is from the trainer that learns from it: the masked importance sampling
of `p1_vl` and GSPO's loss with it (paper, eqs. 3 to 7)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from assay.methods.post_training.losses import GSPO, ClippedLoss, Reduce, log_ratio, over_tokens


def sequence_importance(trainer_logprobs: Tensor, rollout_logprobs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """log rho, the log of a row's probability under the trainer over that under the engine, (B,), and geo, the
    exponential of its mean over the row's tokens, (B,). Both in float64; a row without a trained token has rho 1.

    All three are (B, T), `mask` bool; only the tokens in it are read. Raises ValueError for shapes that differ and
    for a trained token whose log-probability is not finite.
    """
    if trainer_logprobs.shape != mask.shape or rollout_logprobs.shape != mask.shape:
        shapes = [tuple(one.shape) for one in (trainer_logprobs, rollout_logprobs, mask)]
        raise ValueError(f"trainer_logprobs, rollout_logprobs, mask: got shapes {shapes}, wanted one (B, T)")
    for name, values in (("trainer_logprobs", trainer_logprobs), ("rollout_logprobs", rollout_logprobs)):
        if not values[mask].isfinite().all():
            raise ValueError(f"{name}: got a value that is not finite on a trained token, wanted log-probabilities")
    tokens = log_ratio(trainer_logprobs.double(), rollout_logprobs.double(), mask, "token")
    log_rho = tokens.sum(dim=1)
    return log_rho, (log_rho / mask.sum(dim=1).clamp(min=1)).exp()


@dataclass(frozen=True)
class SeqMIS:
    """Masked importance sampling of whole sequences: rows with geo > `threshold` are left out, the others weigh rho.

    weight       False: the rows that stay weigh 1
    clip_weight  the most that rho may be; None leaves it as it is
    two_sided    also leave out rows with geo < 1 / `threshold` (not in the paper)

    A threshold below 1 leaves out about half of all rows even where nothing is wrong, and is warned of.
    """

    threshold: float = 1.01
    weight: bool = True
    clip_weight: float | None = None
    two_sided: bool = False

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise ValueError(f"threshold: got {self.threshold}, wanted a positive ratio such as 1.01")
        if self.threshold < 1 and self.two_sided:
            raise ValueError(f"threshold: got {self.threshold}, wanted at least 1 where both sides are cut")
        if self.threshold < 1:
            warnings.warn(f"threshold {self.threshold} is below 1: it leaves out half of all rows", stacklevel=3)
        if self.clip_weight is not None and not self.clip_weight > 0:
            raise ValueError(f"clip_weight: got {self.clip_weight}, wanted a positive number or None")

    @torch.no_grad()
    def __call__(self, trainer_logprobs: Tensor, rollout_logprobs: Tensor, mask: Tensor) -> tuple[Tensor, float]:
        """The coefficient of each row, (B,) of the log-probabilities' dtype and without a graph, and the share kept.

        Raises ValueError as `sequence_importance` does, and where a weight is too large for a number.
        """
        log_rho, geo = sequence_importance(trainer_logprobs, rollout_logprobs, mask)
        kept = geo <= self.threshold
        if self.two_sided:
            kept &= geo >= 1 / self.threshold
        rho = log_rho.exp() if self.weight else torch.ones_like(log_rho)
        if self.clip_weight is not None:
            rho = rho.clamp(max=self.clip_weight)
        coefficient = torch.where(kept, rho, 0.0).to(trainer_logprobs.dtype)
        if not coefficient.isfinite().all():
            row = int((~coefficient.isfinite()).nonzero()[0])
            raise ValueError(f"clip_weight: row {row} weighs e^{float(log_rho[row]):.0f}, wanted a bound such as 2")
        return coefficient, float(kept.double().mean())


@dataclass(frozen=True)
class GSPOLoss:
    """GSPO, a row's length-normalised ratio clipped to [1 - 3e-4, 1 + 4e-4] by default, with each row weighted by
    `seq_mis` where there is one; a row that is left out counts as 0 in the mean."""

    seq_mis: SeqMIS | None = None
    policy: ClippedLoss = GSPO

    @property
    def needs(self) -> frozenset[str]:
        return frozenset() if self.seq_mis is None else frozenset({"rollout_logprobs"})

    @property
    def reduce(self) -> Reduce:
        return self.policy.reduce

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
        if self.seq_mis is None:
            return self.policy(logprobs, old_logprobs, advantages, mask)
        if rollout_logprobs is None:
            raise ValueError("rollout_logprobs: got None, wanted those of the engine that sampled (vLLM, SGLang)")
        coefficient, kept = self.seq_mis(old_logprobs, rollout_logprobs, mask)
        weighted = over_tokens(advantages) * coefficient.unsqueeze(1)
        loss, figures = self.policy(logprobs, old_logprobs, weighted, mask)
        return loss, {**figures, "seq_mis_kept": kept}
