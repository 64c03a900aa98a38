"""Group-relative advantages: the arithmetic that every group-based policy gradient shares. No paper in it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Scale = Literal["std", "none"]
Std = Literal["sample", "population"]
Singleton = Literal["zero", "raw"]


def group_advantages(
    rewards: Tensor,
    group: Tensor | None = None,
    *,
    scale: Scale = "std",
    eps: float = 1e-6,
    std: Std = "sample",
    singleton: Singleton = "zero",
) -> Tensor:
    """Each reward less the mean of its group and, with `scale="std"`, divided by the group's std + `eps`.

    rewards    (B,) floating; NaN marks an unscorable row: it is left out of its group's statistics and gets 0
    group      (B,) integer ids in any order; None: all rows are one group
    std        "sample" divides by n - 1, "population" by n
    singleton  what the only scored row of a group gets: 0, or its raw reward

    A group whose scored rewards are all equal gives exactly 0, whatever the rounding of its mean.
    Returns (B,) of the rewards' dtype. Statistics are taken in float64.
    Raises TypeError or ValueError for rewards that are no 1-D floating tensor, are infinite, or do not match `group`.
    """
    _check(rewards, group)
    _check_options(scale, eps, std, singleton)
    if group is None:
        group = torch.zeros(len(rewards), dtype=torch.long, device=rewards.device)
    cell, cells = _numbered(group)

    scored = ~rewards.isnan()
    values, of = rewards[scored].double(), cell[scored]
    count = _sums(torch.ones_like(values), of, cells)
    centred = values - (_sums(values, of, cells) / count)[of]
    if scale == "std":
        freedom = count if std == "population" else (count - 1).clamp(min=1)
        centred = centred / ((_sums(centred.square(), of, cells) / freedom).sqrt() + eps)[of]

    low = values.new_full((cells,), torch.inf).scatter_reduce(0, of, values, "amin")
    high = values.new_full((cells,), -torch.inf).scatter_reduce(0, of, values, "amax")
    centred = torch.where((low == high)[of], 0.0, centred)
    if singleton == "raw":
        centred = torch.where((count == 1)[of], values, centred)

    advantages = torch.zeros_like(rewards)
    advantages[scored] = centred.to(rewards.dtype)
    return advantages


def group_means(rewards: Tensor, group: Tensor) -> Tensor:
    """The mean scored reward of each row's group, (B,); NaN where a group has no scored row."""
    _check(rewards, group)
    cell, cells = _numbered(group)
    scored = ~rewards.isnan()
    values, of = rewards[scored].double(), cell[scored]
    means = _sums(values, of, cells) / _sums(torch.ones_like(values), of, cells)
    return means[cell].to(rewards.dtype)


def _numbered(group: Tensor) -> tuple[Tensor, int]:
    """Each row's group as a number in 0 ... n - 1, and n."""
    ids, cell = torch.unique(group, return_inverse=True)
    return cell, len(ids)


def _sums(values: Tensor, cell: Tensor, cells: int) -> Tensor:
    return values.new_zeros(cells).index_add(0, cell, values)


def _check(rewards: Tensor, group: Tensor | None) -> None:
    if not isinstance(rewards, Tensor) or not rewards.is_floating_point():
        got = rewards.dtype if isinstance(rewards, Tensor) else type(rewards).__name__
        raise TypeError(f"rewards: got {got}, wanted a floating tensor")
    if rewards.dim() != 1:
        raise ValueError(f"rewards: got shape {tuple(rewards.shape)}, wanted (B,)")
    if rewards.isinf().any():
        raise ValueError("rewards: got an infinite value, wanted finite ones (NaN marks an unscorable row)")
    if group is not None and group.shape != rewards.shape:
        raise ValueError(f"group: got shape {tuple(group.shape)}, wanted that of rewards, {tuple(rewards.shape)}")
    if group is not None and group.is_floating_point():
        raise TypeError(f"group: got {group.dtype}, wanted integer ids")


def _check_options(scale: str, eps: float, std: str, singleton: str) -> None:
    for name, got, wanted in (
        ("scale", scale, ("std", "none")),
        ("std", std, ("sample", "population")),
        ("singleton", singleton, ("zero", "raw")),
    ):
        if got not in wanted:
            raise ValueError(f"{name}: got {got!r}, wanted one of {wanted}")
    if not eps >= 0:
        raise ValueError(f"eps: got {eps}, wanted >= 0")
