"""`RolloutBatch`: the rollouts of one policy-gradient step, as every method of this folder reads them.

Letters used here and in the methods: B rows (one completion each), T completion tokens (right-padded), N turns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class RolloutBatch:
    """Rewards and what else is known of B rollouts. Only `rewards`, `group` and `mask` are always there.

    rewards            (B,) float; NaN marks a row that no reward could score
    group              (B,) long, the prompt's id; rows of one prompt need not be adjacent
    mask               (B, T) bool, True on tokens that are trained (padding and tool output False)
    logprobs           (B, T) log pi_old, from the trainer's own forward pass
    ref_logprobs       (B, T) log pi_ref
    rollout_logprobs   (B, T) as the inference engine reported them
    turn               (B, T) long, the turn a token belongs to, -1 outside any
    turn_rewards       (B, N) float, NaN where a row has no such turn
    agent              (B,) long
    trajectory         (B,) long; rows of one multi-agent episode share it
    key                (B,) long, a structural key such as a hop count
    cluster            (B,) long, the strategy cluster within the group
    prompts            the prompts' text, one a row, or ()
    completions        the completions' text, one a row, or ()
    step               the optimiser's step
    allow_singletons   let a group hold a single row (methods whose cells are not prompts)

    Raises ValueError (TypeError for a wrong dtype) naming the field, what was got and what was wanted.
    """

    rewards: Tensor
    group: Tensor
    mask: Tensor
    logprobs: Tensor | None = None
    ref_logprobs: Tensor | None = None
    rollout_logprobs: Tensor | None = None
    turn: Tensor | None = None
    turn_rewards: Tensor | None = None
    agent: Tensor | None = None
    trajectory: Tensor | None = None
    key: Tensor | None = None
    cluster: Tensor | None = None
    prompts: tuple[str, ...] = ()
    completions: tuple[str, ...] = ()
    step: int = 0
    allow_singletons: bool = False

    def __post_init__(self) -> None:
        self._check_rewards()
        self._check_ids()
        self._check_tokens()
        for name in ("prompts", "completions"):
            texts = getattr(self, name)
            if texts and len(texts) != len(self):
                raise ValueError(f"{name}: got {len(texts)} texts, wanted {len(self)}, one a row")

    def __len__(self) -> int:
        return len(self.rewards)

    @classmethod
    def from_rewards(cls, rewards: Tensor) -> RolloutBatch:
        """The batch of a (P, G) table of rewards, prompt by prompt, with one trained token a row."""
        if rewards.dim() != 2:
            raise ValueError(f"rewards: got shape {tuple(rewards.shape)}, wanted (P, G): G rollouts of P prompts")
        prompts, rollouts = rewards.shape
        group = torch.arange(prompts, device=rewards.device).repeat_interleave(rollouts)
        mask = torch.ones(prompts * rollouts, 1, dtype=torch.bool, device=rewards.device)
        return cls(rewards=rewards.reshape(-1), group=group, mask=mask)

    def replace(self, **changes: Any) -> RolloutBatch:
        """A copy with some fields changed, checked like a new one."""
        return dataclasses.replace(self, **changes)

    def groups(self) -> Iterator[Tensor]:
        """Row indices of each group, groups in ascending order of their id, rows in theirs."""
        sizes = torch.unique(self.group, return_counts=True)[1]
        yield from torch.argsort(self.group, stable=True).split(sizes.tolist())

    def require(self, *fields: str, needed_by: str) -> None:
        """Raise ValueError naming every one of `fields` that is not filled, and who needs it."""
        missing = [name for name in fields if getattr(self, name) is None or getattr(self, name) == ()]
        if missing:
            raise ValueError(f"{needed_by} needs {', '.join(missing)} in the RolloutBatch, which has none")

    def _check_rewards(self) -> None:
        if not self.rewards.is_floating_point():
            raise TypeError(f"rewards: got {self.rewards.dtype}, wanted a floating tensor")
        if self.rewards.dim() != 1 or len(self.rewards) == 0:
            raise ValueError(f"rewards: got shape {tuple(self.rewards.shape)}, wanted (B,) with B >= 1")
        if self.rewards.isinf().any():
            raise ValueError("rewards: got an infinite value, wanted finite ones (NaN marks an unscorable row)")

    def _check_ids(self) -> None:
        for name in ("group", "agent", "trajectory", "key", "cluster"):
            ids = getattr(self, name)
            if ids is None:
                continue
            if ids.shape != self.rewards.shape:
                raise ValueError(f"{name}: got shape {tuple(ids.shape)}, wanted ({len(self)},), one a reward")
            if ids.is_floating_point() or ids.dtype == torch.bool:
                raise TypeError(f"{name}: got {ids.dtype}, wanted integer ids")
        if not self.allow_singletons:
            ids, counts = torch.unique(self.group, return_counts=True)
            if counts.min() < 2:
                raise ValueError(f"group: {int(ids[counts.argmin()])} has a single row, wanted at least 2 rollouts")

    def _check_tokens(self) -> None:
        mask = self.mask
        if mask.dtype != torch.bool:
            raise TypeError(f"mask: got {mask.dtype}, wanted bool")
        if mask.dim() != 2 or len(mask) != len(self):
            raise ValueError(f"mask: got shape {tuple(mask.shape)}, wanted ({len(self)}, T)")
        if not mask.any(dim=1).all():
            row = int((~mask.any(dim=1)).nonzero()[0])
            raise ValueError(f"mask: row {row} trains no token, wanted at least one True in every row")
        for name in ("logprobs", "ref_logprobs", "rollout_logprobs", "turn"):
            values = getattr(self, name)
            if values is not None and values.shape != mask.shape:
                raise ValueError(f"{name}: got shape {tuple(values.shape)}, wanted that of mask, {tuple(mask.shape)}")
        for name in ("logprobs", "ref_logprobs"):
            self._check_logprobs(name)
        self._check_turns()

    def _check_logprobs(self, name: str) -> None:
        values = getattr(self, name)
        if values is None:
            return
        trained = values[self.mask]
        if not trained.isfinite().all():
            raise ValueError(f"{name}: got a value that is not finite on a trained token, wanted log-probabilities")
        if trained.max() > 1e-4:
            raise ValueError(f"{name}: got {float(trained.max()):.4g} on a trained token, wanted <= 0")

    def _check_turns(self) -> None:
        rewards = self.turn_rewards
        if rewards is None:
            return
        if rewards.dim() != 2 or len(rewards) != len(self):
            raise ValueError(f"turn_rewards: got shape {tuple(rewards.shape)}, wanted ({len(self)}, N)")
        if self.turn is not None and rewards.shape[1] < int(self.turn.max()) + 1:
            raise ValueError(f"turn_rewards: got {rewards.shape[1]} columns, wanted {int(self.turn.max()) + 1} turns")
