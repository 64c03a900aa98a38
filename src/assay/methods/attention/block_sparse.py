"""Causal attention over chosen blocks of keys: exact softmax over the blocks that a mask keeps, none of the others.

`block_sparse_attention` takes `(B, H, n_q, n_k)` booleans, one for each query head, block of queries and block of
keys. What it costs is the share of blocks kept: two matrix products over the kept keys, their softmax, and their copy
into one place. It does not help where most blocks are kept, or below a few thousand tokens.

Details that matter
- Blocks are those of the key positions, so the first block of queries may be a part of one (chunked prefill, where
  queries are the last of the keys). Only the diagonal block needs a triangle.
- `backend="torch"` walks over the query blocks, a few on each thread, and keeps the gathered keys and values in
  buffers that stay in the processor's cache. Batches of query blocks with equal counts, and the flash kernel over
  gathered keys, were tried and are no faster on a CPU: their keys leave the cache. Where the kept blocks are
  neighbours, nothing is copied. Half precision is computed in float32. For inference: no gradients.
- `backend="flex"` hands the mask to PyTorch's FlexAttention, which needs a C++ compiler and a minute of its time; on
  a CPU it is then as fast as the other. It is for GPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Backend = Literal["torch", "flex"]
PIECE = 16  # query blocks that a thread takes at once


@dataclass(frozen=True)
class Grid:
    """Blocks of queries and keys; the queries are the last `queries` of the `keys` positions."""

    queries: int
    keys: int
    block: int

    def __post_init__(self) -> None:
        if self.block not in (16, 32, 64, 128, 256):
            raise ValueError(f"block: got {self.block}, wanted a power of two in 16 to 256")
        if not 1 <= self.queries <= self.keys:
            raise ValueError(f"q, k: got {self.queries} queries and {self.keys} keys, wanted 1 <= queries <= keys")

    @property
    def n_k(self) -> int:
        return -(-self.keys // self.block)

    @property
    def first(self) -> int:
        """The block of the first query."""
        return (self.keys - self.queries) // self.block

    @property
    def n_q(self) -> int:
        return self.n_k - self.first

    @property
    def shift(self) -> int:
        """How far into its block the first query lies."""
        return (self.keys - self.queries) % self.block

    def rows(self, i: int) -> slice:
        """The queries of query block i."""
        return slice(max(0, i * self.block - self.shift), min(self.queries, (i + 1) * self.block - self.shift))

    def causal(self, device: torch.device | None = None) -> Tensor:
        """`(n_q, n_k)`: block j holds keys that a query of block i may see."""
        return torch.ones(self.n_q, self.n_k, dtype=torch.bool, device=device).tril(self.first)

    def allowed(self, keep: Tensor) -> Tensor:
        """`(B, 1 or H, n_q, n_k)` of `keep (B, 1 or H, queries, keys)`: any query of the block sees any key."""
        below = self.n_q * self.block - self.shift - self.queries
        right = self.n_k * self.block - self.keys
        padded = F.pad(keep, (0, right, self.shift, below))
        return padded.unflatten(3, (self.n_k, self.block)).any(-1).unflatten(2, (self.n_q, self.block)).any(3)


def grid_of(q: Tensor, k: Tensor, block: int) -> Grid:
    """The grid of `q (B, H, queries, d)` and `k (B, H_kv, keys, d)`; ValueError where they do not fit together."""
    if q.dim() != 4 or k.dim() != 4 or q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3]:
        raise ValueError(f"q, k: got {tuple(q.shape)} and {tuple(k.shape)}, wanted (B, H, L, d) with equal B and d")
    if q.shape[1] % k.shape[1]:
        raise ValueError(f"q, k: got {q.shape[1]} query and {k.shape[1]} key heads, wanted a multiple")
    return Grid(q.shape[2], k.shape[2], block)


def mean_pool(x: Tensor, block: int, valid: Tensor | None = None, shift: int = 0) -> Tensor:
    """Mean of each block of `x (B, H, L, d)`: `(B, H, n, d)`.

    `valid (B, L)` leaves positions out of the means; a block without any is 0. `shift` positions are missing in front.
    """
    length = x.shape[2]
    below = -(shift + length) % block
    if valid is None and not shift and not below:
        return x.unflatten(2, (-1, block)).mean(3)
    if valid is None:
        valid = x.new_ones(1, length, dtype=torch.bool)
    weight = F.pad(valid.to(x.dtype), (shift, below)).unflatten(1, (-1, block))
    total = F.pad(x * valid[:, None, :, None], (0, 0, shift, below)).unflatten(2, (-1, block)).sum(3)
    return total / weight.sum(-1).clamp(min=1)[:, None, :, None]


def block_mass(q: Tensor, k: Tensor, block: int, rows: Tensor | None = None, scale: float | None = None) -> Tensor:
    """Share of the true attention that each block of keys gets, mean over the queries of a block: `(B, H, n, n_k)`.

    `rows` names the query blocks wanted (default: all). This is the full computation, a block of queries at a time.
    """
    grid = grid_of(q, k, block)
    wanted = range(grid.n_q) if rows is None else rows.tolist()
    group = q.shape[1] // k.shape[1]
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    mass = q.new_zeros(*q.shape[:2], len(wanted), grid.n_k, dtype=torch.float32)
    for b, h in ((b, h) for b in range(q.shape[0]) for h in range(q.shape[1])):
        keys = k[b, h // group].float()
        for n, i in enumerate(wanted):
            span = grid.rows(i)
            end = min(grid.keys, (grid.first + i + 1) * block)
            scores = (q[b, h, span].float() * scale) @ keys[:end].T
            seen = torch.ones(scores.shape, dtype=torch.bool).tril(grid.keys - grid.queries + span.start)
            shares = F.pad(scores.masked_fill_(~seen, float("-inf")).softmax(-1).mean(0), (0, -end % block))
            mass[b, h, n, : grid.first + i + 1] = shares.view(-1, block).sum(-1)
    return mass


def block_sparse_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor,
    block: int = 128,
    *,
    scale: float | None = None,
    keep: Tensor | None = None,
    backend: Backend = "torch",
) -> Tensor:
    """Attention of `q (B, H, L_q, d)` over the blocks of `k, v (B, H_kv, L_kv, d)` that `mask` keeps: as q.

    mask    bool (B, H, n_q, n_k), nothing above the diagonal; a query block that keeps no key gets zeros
    keep    bool (B, 1 or H, L_q, L_kv): single keys that a query may see, on top (padding, sliding windows)
    """
    grid = grid_of(q, k, block)
    wanted = (*q.shape[:2], grid.n_q, grid.n_k)
    if tuple(mask.shape) != wanted or mask.dtype != torch.bool:
        raise ValueError(f"mask: got {mask.dtype} {tuple(mask.shape)}, wanted torch.bool {wanted}")
    if (mask & ~grid.causal(mask.device)).any():
        raise ValueError("mask: keeps blocks that lie after the queries, wanted a causal one")
    if backend not in ("torch", "flex"):
        raise ValueError(f"backend: got {backend!r}, wanted 'torch' or 'flex'")
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if backend == "flex":
        return _flex(q, k, v, mask, grid, scale, keep)
    out = torch.zeros(*q.shape[:3], v.shape[-1], dtype=torch.float32, device=q.device)
    keys, values = ([[_blocks(head, grid) for head in row] for row in x] for x in (k, v))
    group = q.shape[1] // k.shape[1]
    most = int(mask.sum(-1).max())

    def piece(task: tuple[int, int, int], rooms: _Rooms) -> None:
        b, h, start = task
        seen = None if keep is None else keep[b, h % keep.shape[1]]
        span = range(start, min(start + PIECE, grid.n_q))
        _attend(
            q[b, h], keys[b][h // group], values[b][h // group], mask[b, h], grid, scale, seen, span, rooms, out[b, h]
        )

    tasks = list(product(range(q.shape[0]), range(q.shape[1]), range(0, grid.n_q, PIECE)))
    _spread(
        piece, tasks, lambda: _Rooms(most, block, q.shape[-1], v.shape[-1], q.device), on_cpu=q.device.type == "cpu"
    )
    return out.to(q.dtype)


class _Rooms:
    """Buffers for the most blocks that one query block keeps; fresh memory for each would cost more than the sums."""

    def __init__(self, most: int, block: int, dim: int, dim_v: int, device: torch.device) -> None:
        self.keys = torch.empty(most, block * dim, device=device)
        self.values = torch.empty(most, block * dim_v, device=device)
        self.scores = torch.empty(block * most * block, device=device)
        self.triangle = torch.full((block, block), float("-inf"), device=device).triu(1)


def _spread(
    piece: Callable[[tuple[int, int, int], _Rooms], None],
    tasks: Sequence[tuple[int, int, int]],
    make_rooms: Callable[[], _Rooms],
    on_cpu: bool,
) -> None:
    """All pieces, each on one thread. Five operators a query block, each shared out over torch's threads, would wait
    for one another so often that a machine with anything else to do comes to a halt."""
    threads = min(torch.get_num_threads(), len(tasks)) if on_cpu else 1
    free = [make_rooms() for _ in range(threads)]

    def done(task: tuple[int, int, int]) -> None:
        rooms = free.pop()
        with torch.inference_mode():
            piece(task, rooms)
        free.append(rooms)

    if threads == 1:
        for task in tasks:
            done(task)
        return
    count = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(done, tasks))
    finally:
        torch.set_num_threads(count)  # what threads that are started later take over


def _blocks(x: Tensor, grid: Grid) -> Tensor:
    """`(n_k, block * d)` of `(keys, d)`, in float32; what is added at the end lies after every query."""
    return F.pad(x.float(), (0, 0, 0, -grid.keys % grid.block)).reshape(grid.n_k, -1)


def _attend(
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    grid: Grid,
    scale: float,
    keep: Tensor | None,
    blocks: range,
    rooms: _Rooms,
    out: Tensor,
) -> None:
    """Some query blocks of one head into `out (L_q, d_v)`, which holds zeros."""
    lists = mask[blocks.start : blocks.stop].nonzero()[:, 1].split(mask[blocks.start : blocks.stop].sum(1).tolist())
    for i, chosen in zip(blocks, lists):
        if not len(chosen):
            continue
        span = grid.rows(i)
        near, values_near = (
            _taken(x, chosen, room).view(len(chosen) * grid.block, -1)
            for x, room in ((keys, rooms.keys), (values, rooms.values))
        )
        size = (span.stop - span.start, len(near))
        scores = rooms.scores[: size[0] * size[1]].view(size)
        torch.mm(q[span].float() * scale, near.T, out=scores)
        if chosen[-1] == grid.first + i:
            from_row = (span.start + grid.shift) % grid.block
            scores[:, -grid.block :] += rooms.triangle[from_row : from_row + size[0]]
        if keep is not None:
            _hide(scores, keep[span], chosen, grid)
        torch.softmax(scores, -1, out=scores)  # in place: a tenth faster than into a buffer of its own
        if keep is not None:
            scores.nan_to_num_(0.0)  # queries that see nothing: padding on the left
        torch.mm(scores, values_near, out=out[span])


def _taken(blocks: Tensor, chosen: Tensor, room: Tensor) -> Tensor:
    """The chosen blocks, one after the other: a view where they are neighbours, else copied into `room`."""
    first, count = int(chosen[0]), len(chosen)
    if int(chosen[-1]) - first + 1 == count:
        return blocks[first : first + count]
    return torch.index_select(blocks, 0, chosen, out=room[:count])


def _hide(scores: Tensor, keep: Tensor, chosen: Tensor, grid: Grid) -> None:
    padded = F.pad(keep, (0, -grid.keys % grid.block)).view(len(keep), grid.n_k, grid.block)
    scores.masked_fill_(~padded.index_select(1, chosen).flatten(1), float("-inf"))


def _flex(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, grid: Grid, scale: float, keep: Tensor | None) -> Tensor:
    """FlexAttention: blocks below the diagonal go unmasked, the diagonal (all of them, with `keep`) by the element."""
    from torch.nn.attention.flex_attention import BlockMask

    if grid.shift:
        raise ValueError(f"backend 'flex': got queries that start {grid.shift} into a block, wanted a whole block")
    offset = grid.keys - grid.queries

    def seen(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        below = i + offset >= j
        return below if keep is None else below & keep[b, h % keep.shape[1], i, j]

    diagonal = grid.causal(mask.device) & ~grid.causal(mask.device).tril(grid.first - 1)
    partial = mask & diagonal if keep is None else mask
    whole = mask & ~partial
    blocks = BlockMask.from_kv_blocks(
        *_listed(partial), *_listed(whole), BLOCK_SIZE=grid.block, mask_mod=seen, seq_lengths=(grid.queries, grid.keys)
    )
    return _compiled_flex()(q, k, v, block_mask=blocks, scale=scale, enable_gqa=q.shape[1] != k.shape[1])


def _listed(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Count of kept blocks a row, and their numbers first."""
    order = mask.to(torch.int8).argsort(dim=-1, descending=True, stable=True)
    return mask.sum(-1).to(torch.int32), order.to(torch.int32)


@cache
def _compiled_flex() -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention)
