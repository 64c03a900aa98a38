"""What every group-based policy gradient shares: group-relative advantages, the clipped surrogate, and one small
GRPO loop for any `Policy`. No paper in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

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
    size = _block_size(group)
    if size > 1 and not rewards.isnan().any():
        return _block_advantages(rewards.view(-1, size).double(), scale, eps, std).view(-1).to(rewards.dtype)
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


def _block_size(group: Tensor) -> int:
    """The group size where rows stand group by group in rising order, all of one size, as trainers hand them out; 0
    otherwise. Such rows can be seen as a table: no sorting, four times as fast."""
    size = int((group == group[0]).sum()) if len(group) else 0
    if size == 0 or len(group) % size:
        return 0
    table = group.view(-1, size) if group.is_contiguous() else group.reshape(-1, size)
    first = table[:, 0]
    in_blocks = bool((table == first[:, None]).all()) and bool((first[1:] > first[:-1]).all())
    return size if in_blocks else 0


def _block_advantages(table: Tensor, scale: Scale, eps: float, std: Std) -> Tensor:
    """(P, G) float64 rewards, all scored, G >= 2, to advantages."""
    centred = table - table.mean(dim=1, keepdim=True)
    if scale == "std":
        freedom = table.shape[1] - (std == "sample")
        centred = centred / ((centred.square().sum(dim=1, keepdim=True) / freedom).sqrt() + eps)
    equal = table.amin(dim=1, keepdim=True) == table.amax(dim=1, keepdim=True)
    return centred.masked_fill(equal, 0.0)


def group_means(rewards: Tensor, group: Tensor) -> Tensor:
    """The mean scored reward of each row's group, (B,); NaN where a group has no scored row."""
    _check(rewards, group)
    size = _block_size(group)
    if size and not rewards.isnan().any():
        table = rewards.view(-1, size)
        return table.double().mean(dim=1, keepdim=True).to(rewards.dtype).expand_as(table).reshape(-1)
    cell, cells = _numbered(group)
    scored = ~rewards.isnan()
    values, of = rewards[scored].double(), cell[scored]
    means = _sums(values, of, cells) / _sums(torch.ones_like(values), of, cells)
    return means[cell].to(rewards.dtype)


class Policy(Protocol):
    """Anything with weights that gives each of N decisions its log-probability, with a graph.

    What observations are is between the policy and whoever collects its rollouts.
    """

    def parameters(self) -> Iterator[torch.nn.Parameter]: ...

    def log_prob(self, observations: Any, actions: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Rollouts:
    """B rollouts of N decisions in all, as the policy that made them saw them.

    observations   of the N decisions, in the policy's own form
    actions        (N, ...) what was done
    logprobs       (N,) log pi_old of it, without a graph
    row            (N,) the rollout each decision belongs to
    rewards        (B,) NaN marks a rollout that no reward could score
    group          (B,) the rollouts that are compared with one another
    """

    observations: Any
    actions: Tensor
    logprobs: Tensor
    row: Tensor
    rewards: Tensor
    group: Tensor

    def __post_init__(self) -> None:
        decisions = len(self.row)
        if len(self.actions) != decisions or self.logprobs.shape != (decisions,):
            got = f"{len(self.actions)} actions and log-probs of shape {tuple(self.logprobs.shape)}"
            raise ValueError(f"row: got {decisions} decisions but {got}, wanted one of each a decision")
        if decisions and not 0 <= int(self.row.min()) <= int(self.row.max()) < len(self.rewards):
            raise ValueError(f"row: got a rollout outside 0 ... {len(self.rewards) - 1}")


def clipped_surrogate(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, eps_low: float = 0.2, eps_high: float = 0.2
) -> Tensor:
    """min(ratio A, clip(ratio, 1 - eps_low, 1 + eps_high) A) element by element, ratio = pi / pi_old; to maximise."""
    ratio = (logprobs - old_logprobs).exp()
    return torch.min(ratio * advantages, ratio.clamp(1 - eps_low, 1 + eps_high) * advantages)


def grpo_loss(policy: Policy, rollouts: Rollouts, advantages: Tensor, clip: float = 0.2) -> Tensor:
    """Minus the clipped surrogate, summed over a rollout's decisions and averaged over rollouts, a scalar.

    `advantages` (B,) are those of the rollouts. At the policy that made the rollouts its gradient is minus the
    plain policy gradient, whatever the rollouts' lengths.
    """
    logprobs = policy.log_prob(rollouts.observations, rollouts.actions)
    surrogate = clipped_surrogate(logprobs, rollouts.logprobs, advantages[rollouts.row], clip, clip)
    return -surrogate.sum() / len(rollouts.rewards)


def grpo(
    policy: Policy,
    collect: Callable[[int], Rollouts],
    updates: int,
    *,
    learning_rate: float = 1e-3,
    clip: float = 0.2,
    epochs: int = 1,
    max_norm: float = 1.0,
    advantages: Callable[[Tensor, Tensor], Tensor] = group_advantages,
    after: Callable[[int], None] | None = None,
) -> list[float]:
    """Train `policy` in place: collect rollouts, `epochs` Adam steps on the clipped surrogate, and again.

    collect      update number to rollouts of the present policy
    advantages   (rewards, group) of the rollouts to (B,)
    after        called with the update's number when it is done (evaluation, schedules)

    Returns the mean scored reward of every update. Raises ValueError for settings out of range.
    """
    for name, got, least in (("updates", updates, 0), ("epochs", epochs, 1)):
        if got < least:
            raise ValueError(f"{name}: got {got}, wanted at least {least}")
    if not 0 < clip < 1:
        raise ValueError(f"clip: got {clip}, wanted a share in (0, 1)")
    optimizer = torch.optim.Adam(policy.parameters(), lr=learning_rate)
    means = []
    for update in range(updates):
        rollouts = collect(update)
        weights = advantages(rollouts.rewards, rollouts.group)
        for _ in range(epochs):
            optimizer.zero_grad()
            grpo_loss(policy, rollouts, weights, clip).backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), max_norm)
            optimizer.step()
        means.append(float(rollouts.rewards.nanmean()))
        if after is not None:
            after(update)
    return means


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
