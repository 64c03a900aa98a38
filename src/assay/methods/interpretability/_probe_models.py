"""Probes over the states of a whole text, each in a batch form and in a streaming form that gives the same score.

All take states x (B, T, D) and a mask (B, T), True = real token, and give logits (B,). The streaming form holds a
tuple of tensors whose first dimension is B: `state = init_state(B)`, `state = step(state, x_j)` for x_j (B, D),
`score(state)`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import BoolTensor, Tensor, nn

State = tuple[Tensor, ...]

FAR = float("-inf")


class LinearProbe(nn.Module):
    """w . x + b of each token, pooled: the "mean", the "last" token's, or the greatest value of an exponential moving
    average ("ema", the newest token weighing `alpha`)."""

    def __init__(self, dim: int, pool: Literal["mean", "last", "ema"] = "mean", alpha: float = 0.05) -> None:
        super().__init__()
        _check_sizes(dim=dim)
        if pool not in ("mean", "last", "ema"):
            raise ValueError(f"pool: got {pool!r}, wanted 'mean', 'last' or 'ema'")
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha: got {alpha}, wanted a share in (0, 1]")
        self.dim, self.pool, self.alpha = dim, pool, alpha
        self.linear = nn.Linear(dim, 1)

    def forward(self, x: Tensor, mask: BoolTensor) -> Tensor:
        check_states(x, mask, self.dim)
        values, count = _together(self.linear(x).squeeze(2), mask)
        if self.pool == "mean":
            return values.sum(1) / count
        if self.pool == "last":
            return values.gather(1, count.unsqueeze(1) - 1).squeeze(1)
        state = self._fresh(len(x), x)
        for j in range(int(count.max())):
            state = keep_where(j < count, self._add(state, values[:, j]), state)
        return state[1]

    def init_state(self, batch: int) -> State:
        return self._fresh(batch, self.linear.weight)

    def step(self, state: State, x: Tensor) -> State:
        return self._add(state, self.linear(x).squeeze(1))

    def score(self, state: State) -> Tensor:
        return state[0] / state[2] if self.pool == "mean" else state[1]

    def _fresh(self, batch: int, like: Tensor) -> State:
        zero = like.new_zeros(batch)
        return zero, torch.full_like(zero, FAR), zero

    def _add(self, state: State, value: Tensor) -> State:
        run, best, count = state
        if self.pool == "mean":
            return run + value, best, count + 1
        if self.pool == "last":
            return run, value, count + 1
        run = torch.where(count > 0, (1 - self.alpha) * run + self.alpha * value, value)
        return run, torch.maximum(best, run), count + 1


class _Heads(nn.Module):
    """What the others share: y_j = MLP(x_j), then for each head h a weight q_h . y_j and a value v_h . y_j."""

    def __init__(self, dim: int, heads: int = 10, mlp_dim: int = 100) -> None:
        super().__init__()
        _check_sizes(dim=dim, heads=heads, mlp_dim=mlp_dim)
        self.dim, self.heads = dim, heads
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_dim), nn.ReLU(), nn.Linear(mlp_dim, mlp_dim))
        self.queries = nn.Linear(mlp_dim, heads, bias=False)
        self.values = nn.Linear(mlp_dim, heads, bias=False)
        self.bias = nn.Parameter(torch.zeros(()))

    def tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """q_h . y_j and v_h . y_j, both (..., H)."""
        y = self.mlp(x)
        return self.queries(y), self.values(y)

    def _empty(self, batch: int, value: float) -> Tensor:
        return self.bias.new_full((batch, self.heads), value)


class AttentionProbe(_Heads):
    """sum_h sum_j softmax_j(q_h . y_j) (v_h . y_j) + b. Streaming: running maximum, numerator, denominator."""

    def forward(self, x: Tensor, mask: BoolTensor) -> Tensor:
        check_states(x, mask, self.dim)
        q, v = self.tokens(x)
        share = q.masked_fill(~mask.unsqueeze(2), FAR).softmax(1)
        return (share * v).sum((1, 2)) + self.bias

    def init_state(self, batch: int) -> State:
        return self._empty(batch, FAR), self._empty(batch, 0), self._empty(batch, 0)

    def step(self, state: State, x: Tensor) -> State:
        most, above, below = state
        q, v = self.tokens(x)
        new = torch.maximum(most, q)
        fade, weight = (most - new).exp(), (q - new).exp()
        return new, above * fade + weight * v, below * fade + weight

    def score(self, state: State) -> Tensor:
        return (state[1] / state[2]).sum(1) + self.bias


class MultiMaxProbe(_Heads):
    """sum_h max_j (v_h . y_j) + b. With `train_aggregation="softmax"` training takes a soft maximum (values weighed by
    their own softmax), inference the hard one."""

    def __init__(
        self, dim: int, heads: int = 10, mlp_dim: int = 100, train_aggregation: Literal["max", "softmax"] = "max"
    ) -> None:
        super().__init__(dim, heads, mlp_dim)
        if train_aggregation not in ("max", "softmax"):
            raise ValueError(f"train_aggregation: got {train_aggregation!r}, wanted 'max' or 'softmax'")
        self.train_aggregation = train_aggregation

    def forward(self, x: Tensor, mask: BoolTensor) -> Tensor:
        check_states(x, mask, self.dim)
        v = self.tokens(x)[1]
        hidden = v.masked_fill(~mask.unsqueeze(2), FAR)
        if self.training and self.train_aggregation == "softmax":
            return (hidden.softmax(1) * v).sum((1, 2)) + self.bias
        return hidden.amax(1).sum(1) + self.bias

    def init_state(self, batch: int) -> State:
        return (self._empty(batch, FAR),)

    def step(self, state: State, x: Tensor) -> State:
        return (torch.maximum(state[0], self.tokens(x)[1]),)

    def score(self, state: State) -> Tensor:
        return state[0].sum(1) + self.bias


class RollingMeansAttentionProbe(_Heads):
    """sum_h max_t of the attention-weighted mean over the window of `window` tokens that ends at t, + b.

    Only full windows count where the text has that many tokens; a shorter text is one window. Weights are taken
    relative to the greatest of their own window, so that none vanishes beside a far one.
    """

    def __init__(self, dim: int, window: int = 10, heads: int = 10, mlp_dim: int = 100) -> None:
        super().__init__(dim, heads, mlp_dim)
        _check_sizes(window=window)
        self.window = window

    def forward(self, x: Tensor, mask: BoolTensor) -> Tensor:
        check_states(x, mask, self.dim)
        return rolling_means(*self.tokens(x), mask, self.window).amax(1).sum(1) + self.bias

    def init_state(self, batch: int) -> State:
        last = self.bias.new_full((batch, self.window, self.heads), FAR)
        return last, torch.zeros_like(last), self.bias.new_zeros(batch), self._empty(batch, FAR)

    def step(self, state: State, x: Tensor) -> State:
        last_q, last_v, count, best = state
        q, v = self.tokens(x)
        last_q = torch.cat([last_q[:, 1:], q.unsqueeze(1)], 1)
        last_v = torch.cat([last_v[:, 1:], v.unsqueeze(1)], 1)
        count = count + 1
        full = (count >= self.window).unsqueeze(1)
        return last_q, last_v, count, torch.where(full, torch.maximum(best, self._mean(last_q, last_v)), best)

    def score(self, state: State) -> Tensor:
        last_q, last_v, count, best = state
        short = (count < self.window).unsqueeze(1)
        return torch.where(short, self._mean(last_q, last_v), best).sum(1) + self.bias

    @staticmethod
    def _mean(q: Tensor, v: Tensor) -> Tensor:
        return (q.softmax(1) * v).sum(1)


Probe = LinearProbe | AttentionProbe | MultiMaxProbe | RollingMeansAttentionProbe


def rolling_means(q: Tensor, v: Tensor, mask: Tensor, window: int) -> Tensor:
    """Means of v (B, T, H) weighed by exp(q) over every full window of real tokens, (B, windows, H); -inf where there
    is no full window, but for a text shorter than one, which is its own."""
    q, count = _together(q, mask, FAR)
    v, _ = _together(v, mask)
    window = min(window, q.shape[1])
    weights = q.unfold(1, window, 1)  # (B, T - w + 1, H, w)
    full = torch.arange(weights.shape[1], device=q.device) + window <= count.unsqueeze(1)
    full[:, 0] = True
    share = torch.where(full[..., None, None], weights, 0).softmax(3)
    return (share * v.unfold(1, window, 1)).sum(3).masked_fill(~full.unsqueeze(2), FAR)


def check_states(x: Tensor, mask: Tensor, dim: int) -> None:
    """ValueError unless x is (B, T, dim), T >= 1, finite where the mask (B, T) is True, and no row is all padding."""
    if x.ndim != 3 or x.shape[1] == 0:
        raise ValueError(f"x: got shape {tuple(x.shape)}, wanted (B, T, D) with T >= 1")
    if x.shape[2] != dim:
        raise ValueError(f"x: probe expects {dim} features, got {x.shape[2]}")
    if mask.shape != x.shape[:2] or mask.dtype != torch.bool:
        raise ValueError(f"mask: got {tuple(mask.shape)} {mask.dtype}, wanted {tuple(x.shape[:2])} torch.bool")
    empty = (~mask.any(1)).nonzero().flatten()
    if len(empty):
        raise ValueError(f"mask: row {int(empty[0])} has no real token")
    if not x[mask].isfinite().all():
        raise ValueError("x: has NaN or infinite values at real tokens")


def keep_where(changed: Tensor, new: State, old: State) -> State:
    """Of each row the new state where `changed` (B,), else the old one."""
    return tuple(
        torch.where(changed.view(-1, *[1] * (after.ndim - 1)), after, before) for after, before in zip(new, old)
    )


def _together(values: Tensor, mask: Tensor, rest: float = 0.0) -> tuple[Tensor, Tensor]:
    """Each row's real tokens at its beginning, `rest` behind them, and their number (B,)."""
    count = mask.sum(1)
    if not mask.all():
        order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)
        shape = values.shape
        values = values.gather(1, order.view(*order.shape, *[1] * (values.ndim - 2)).expand(shape))
        behind = torch.arange(shape[1], device=values.device) >= count.unsqueeze(1)
        values = values.masked_fill(behind.view(*behind.shape, *[1] * (values.ndim - 2)), rest)
    return values, count


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}: got {size}, wanted at least 1")
