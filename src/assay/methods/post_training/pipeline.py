"""How advantages are put together: one estimator, then any number of transforms, over a `RolloutBatch`.

    advantage = Pipeline(GroupNormalised(), HADW())
    advantage(RolloutBatch.from_rewards(torch.tensor([[1.0, 0.0, 0.0, 0.0]])))

An estimator or transform says in `needs` which optional fields of the batch it reads; the pipeline checks them
before any work is done. A member with memory offers `state_dict` and `load_state_dict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from assay.methods.policy_gradient import Scale, Singleton, Std, group_advantages, group_means
from assay.methods.post_training.batch import RolloutBatch


class AdvantageEstimator(Protocol):
    """A batch to advantages, (B,) or (B, T), of the rewards' dtype."""

    needs: frozenset[str]

    def __call__(self, batch: RolloutBatch) -> Tensor: ...


class AdvantageTransform(Protocol):
    """A batch and its advantages, (B,) or (B, T), to new advantages, (B,) or (B, T)."""

    needs: frozenset[str]

    def __call__(self, batch: RolloutBatch, advantages: Tensor) -> Tensor: ...


class RewardFunction(Protocol):
    """TRL's own form: texts (or message lists) and the data set's columns to one reward a row, None = unscorable."""

    def __call__(
        self, prompts: list[Any], completions: list[Any], completion_ids: list[list[int]], **columns: list[Any]
    ) -> list[float | None]: ...


@dataclass(frozen=True)
class RolloutPlan:
    """What a `Scheduler` wants of the next step: which prompts (indices), rollouts of each, tokens a rollout."""

    prompts: tuple[int, ...]
    rollouts: int
    max_tokens: int


class Scheduler(Protocol):
    """Chooses prompts step by step and learns from what came of them."""

    def plan(self, step: int) -> RolloutPlan: ...

    def observe(self, batch: RolloutBatch) -> None: ...


@runtime_checkable
class Stateful(Protocol):
    """A member that remembers between batches. The state is plain data: numbers, text, lists and dicts of them."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class GroupNormalised:
    """Group-relative advantages, the base that everyone starts from (GRPO; with `scale="none"`, Dr. GRPO).

    by         batch fields whose values together make a group: ("group",), ("group", "agent"), ("key",), ...
    unit       "row": every row counts; "trajectory": rows of one trajectory are averaged first, and share the result
    others     as in `group_advantages`
    """

    def __init__(
        self,
        by: tuple[str, ...] = ("group",),
        scale: Scale = "std",
        eps: float = 1e-6,
        unit: Literal["row", "trajectory"] = "row",
        std: Std = "sample",
        singleton: Singleton = "zero",
    ) -> None:
        known = ("group", "agent", "trajectory", "key", "cluster")
        if not by or any(name not in known for name in by):
            raise ValueError(f"by: got {by!r}, wanted a tuple of fields among {known}")
        if unit not in ("row", "trajectory"):
            raise ValueError(f"unit: got {unit!r}, wanted 'row' or 'trajectory'")
        group_advantages(torch.zeros(2), scale=scale, eps=eps, std=std, singleton=singleton)  # checks the options
        self.by, self.unit = by, unit
        self.scale, self.eps, self.std, self.singleton = scale, eps, std, singleton
        self.needs = frozenset(by) - {"group"} | ({"trajectory"} if unit == "trajectory" else frozenset())

    def __call__(self, batch: RolloutBatch) -> Tensor:
        batch.require(*sorted(self.needs), needed_by="GroupNormalised")
        cell = joint_ids([getattr(batch, name) for name in self.by])
        if self.unit == "row":
            return self._normalised(batch.rewards, cell)
        episode, rewards, cell = _by_trajectory(batch, cell)
        return self._normalised(rewards, cell)[episode].masked_fill(batch.rewards.isnan(), 0)

    def _normalised(self, rewards: Tensor, cell: Tensor) -> Tensor:
        return group_advantages(rewards, cell, scale=self.scale, eps=self.eps, std=self.std, singleton=self.singleton)


class Pipeline:
    """`base`, then each transform in turn; itself an `AdvantageEstimator`.

    Advantages may become (B, T) on the way; they are then 0 wherever `batch.mask` is False.
    """

    def __init__(self, base: AdvantageEstimator, *transforms: AdvantageTransform) -> None:
        self.base, self.transforms = base, transforms
        self.needs = base.needs.union(*(transform.needs for transform in transforms))

    def __call__(self, batch: RolloutBatch) -> Tensor:
        for member in (self.base, *self.transforms):
            batch.require(*sorted(member.needs), needed_by=type(member).__name__)
        advantages = _checked(self.base(batch), batch, self.base)
        for transform in self.transforms:
            advantages = _checked(transform(batch, advantages), batch, transform)
        return advantages if advantages.dim() == 1 else advantages * batch.mask

    def state_dict(self) -> dict[str, Any]:
        """The state of every member that has one, under its place in the pipeline."""
        return {place: member.state_dict() for place, member in self._stateful().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Hand each member its part back. Raises ValueError when the state is of a pipeline of other members."""
        members = self._stateful()
        if set(state) != set(members):
            raise ValueError(f"state: got the members {sorted(state)}, wanted {sorted(members)}")
        for place, member in members.items():
            member.load_state_dict(state[place])

    def _stateful(self) -> dict[str, Stateful]:
        members = (self.base, *self.transforms)
        return {f"{i}:{type(m).__name__}": m for i, m in enumerate(members) if isinstance(m, Stateful)}


def _checked(advantages: Tensor, batch: RolloutBatch, member: object) -> Tensor:
    if advantages.shape not in (batch.rewards.shape, batch.mask.shape):
        wanted = f"{tuple(batch.rewards.shape)} or {tuple(batch.mask.shape)}"
        raise ValueError(f"{type(member).__name__}: gave advantages {tuple(advantages.shape)}, wanted {wanted}")
    return advantages


def joint_ids(columns: list[Tensor]) -> Tensor:
    """One id per distinct combination of the columns' values, (B,)."""
    if len(columns) == 1:
        return columns[0]
    joint = torch.unique(columns[0], return_inverse=True)[1]
    for column in columns[1:]:
        ids = torch.unique(column, return_inverse=True)[1]
        joint = torch.unique(joint * (int(ids.max()) + 1) + ids, return_inverse=True)[1]
    return joint


def _by_trajectory(batch: RolloutBatch, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each row's episode (B,), and per episode its mean scored reward (NaN without any) and its cell."""
    names, episode = torch.unique(batch.trajectory, return_inverse=True)
    of_episode = cell.new_zeros(len(names)).scatter(0, episode, cell)
    if (of_episode[episode] != cell).any():
        row = int((of_episode[episode] != cell).nonzero()[0])
        raise ValueError(f"trajectory: {int(names[episode[row]])} lies in two groups, wanted each in one")
    row_means = group_means(batch.rewards, episode)
    return episode, row_means.new_zeros(len(names)).scatter(0, episode, row_means), of_episode
