"""Prism: Spectral-Aware Block-Sparse Attention (2602.08426): which blocks of keys a block of queries needs.

The mean of a block of rotated queries or keys is a low-pass filter: fast-turning pairs cancel in it, and with them
what tells *where* a key is. Prism scores the pooled blocks in a band of fast and a band of slow pairs, each at a
temperature restored from what pooling left of the band's energy, and keeps the union of what either band wants.

What it costs: means over blocks and n^2 scores of n = L / 128 blocks, a few per cent of full attention. It needs no
training. It does not help below a few thousand tokens, nor where attention is spread over most blocks; where no head
attends by position, one score on the plain means finds the same blocks.

Details that matter
- Keys of padding are left out of the means and never attended. The authors' code averages zeros in.
- Bands are in proportion to the head's width (d/2 fast, 3d/4 slow dimensions; they overlap); nothing is fixed to 128.
  Dimensions that RoPE does not turn go to the slow band.
- Block 0 (the first with a key, under padding) and the diagonal block are always kept. `p=1` keeps every block.
- A query without any energy gives finite scores: the energies are floored at 1e-6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from assay.methods.attention.block_sparse import Backend, Grid, block_mass, grid_of, mean_pool

FLOOR = 1e-6  # of the pooled energies


@dataclass(frozen=True)
class PrismConfig:
    """p            share of a band's block probability that is kept, in (0, 1]
    block        tokens a block, a power of two in 16 to 256
    d_high       dimensions of the fast band, from the front; default half of the rotated ones
    d_low        dimensions of the slow band, from the back; default three quarters of them, and those not rotated
    layout       "half": pair i is dimensions i and i + d/2 (Llama); "interleaved": 2i and 2i + 1 (GPT-J)
    rotary_dim   how many of the head's first dimensions RoPE turns; default all
    calibrate    restore each band's temperature from its pooled energy; without it, 1
    max_density  keep at most this share of the causal blocks of a row
    backend      "torch" or "flex"; default torch on a CPU, flex on a GPU
    """

    p: float = 0.95
    block: int = 128
    d_high: int | None = None
    d_low: int | None = None
    layout: Literal["half", "interleaved"] = "half"
    rotary_dim: int | None = None
    calibrate: bool = True
    max_density: float | None = None
    backend: Backend | None = None

    def __post_init__(self) -> None:
        Grid(1, 1, self.block)  # checks it
        for name, share in (("p", self.p), ("max_density", self.max_density)):
            if share is not None and not 0 < share <= 1:
                raise ValueError(f"{name}: got {share}, wanted a share in (0, 1]")
        if self.layout not in ("half", "interleaved"):
            raise ValueError(f"layout: got {self.layout!r}, wanted 'half' or 'interleaved'")

    def bands(self, dim: int) -> tuple[Tensor, Tensor]:
        """The dimensions of the fast and of the slow band, of a head of `dim`."""
        rotated = dim if self.rotary_dim is None else self.rotary_dim
        if rotated % 2 or not 2 <= rotated <= dim:
            raise ValueError(f"head_dim, rotary_dim: got {dim}, {rotated}; wanted an even count of rotated dimensions")
        d_high = max(2, rotated // 4 * 2) if self.d_high is None else self.d_high
        d_low = max(2, rotated * 3 // 8 * 2) if self.d_low is None else self.d_low
        for name, wanted in (("d_high", d_high), ("d_low", d_low)):
            if wanted % 2 or not 2 <= wanted <= rotated:
                raise ValueError(f"{name}: got {wanted}, wanted an even number of dimensions in 2 to {rotated}")
        pairs = torch.arange(rotated // 2)
        both = torch.stack([pairs, pairs + rotated // 2] if self.layout == "half" else [2 * pairs, 2 * pairs + 1])
        slow = both[:, rotated // 2 - d_low // 2 :].flatten()
        return both[:, : d_high // 2].flatten(), torch.cat([slow, torch.arange(rotated, dim)])


def prism_select(q: Tensor, k: Tensor, config: PrismConfig | None = None, keep: Tensor | None = None) -> Tensor:
    """The blocks to attend, bool `(B, H, n_q, n_k)`, for rotated `q (B, H, L_q, d)` and `k (B, H_kv, L_kv, d)`.

    The queries are the last L_q of the keys' positions; `keep (B, 1 or H, L_q, L_kv)` names the keys that each may
    see, where that is less than all before it. ValueError where shapes do not fit or values are not finite.
    """
    config = config or PrismConfig()
    grid = grid_of(q, k, config.block)
    allowed = _allowed(grid, q, keep)
    high, low = band_probabilities(q, k, config, keep)
    mask = top_p(high, config.p, allowed) | top_p(low, config.p, allowed)
    if config.max_density is not None:
        most = (allowed.sum(-1, keepdim=True) * config.max_density).ceil()
        mask = mask & (_ranks(torch.maximum(high, low)) < most)
    return _with_forced(mask, allowed)


def band_probabilities(
    q: Tensor, k: Tensor, config: PrismConfig | None = None, keep: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Softmax over the blocks a query block may see, `(B, H, n_q, n_k)`, in the fast and in the slow band.

    logits_b = Q_b K_b^T / (sqrt(d_b) t_b) with t_b = sqrt(d_b / d) (r_q^b / r_q) (r_k^b / r_k), where r is the root
    mean square of a head's pooled queries or keys, over all dimensions or the band's.
    """
    config = config or PrismConfig()
    high, low = config.bands(q.shape[-1])
    pooled_q, pooled_k, allowed, counts = _pooled(q, k, config.block, keep)
    r_q, r_k = _energy(pooled_q, counts[0]), _energy(pooled_k, counts[1])
    found = []
    for dims in (high.to(q.device), low.to(q.device)):
        band_q, band_k = pooled_q[..., dims], pooled_k[..., dims]
        temperature = torch.ones_like(r_q)
        if config.calibrate:
            left = _energy(band_q, counts[0]) / r_q * (_energy(band_k, counts[1]) / r_k)
            temperature = (len(dims) / q.shape[-1]) ** 0.5 * left
        found.append(_softmax(band_q @ band_k.mT / (len(dims) ** 0.5 * temperature), allowed))
    return found[0], found[1]


def top_p(probabilities: Tensor, p: float, allowed: Tensor | None = None) -> Tensor:
    """The fewest most probable entries of the last dimension that hold `p` of it, as booleans; at p = 1 all.

    What is not `allowed`, or has no probability, is never kept.
    """
    if not 0 < p <= 1:
        raise ValueError(f"p: got {p}, wanted a share in (0, 1]")
    if p == 1:
        return probabilities > 0 if allowed is None else allowed.expand_as(probabilities)
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = torch.nn.functional.pad(ordered.cumsum(-1)[..., :-1], (1, 0))
    kept = (before < p) & (ordered > 0)
    return torch.zeros_like(kept).scatter_(-1, order, kept)


def top_k(scores: Tensor, count: int) -> Tensor:
    """`count` blocks of each row of `(..., n_q, n_k)` scores (all, where fewer may be seen), sink and diagonal among
    them: the highest after those two. For comparing scores at one cost."""
    n_q, n_k = scores.shape[-2:]
    allowed = torch.ones(n_q, n_k, dtype=torch.bool, device=scores.device).tril(n_k - n_q)
    forced = _with_forced(torch.zeros_like(allowed), allowed)
    ranked = scores.masked_fill(~allowed, float("-inf")).masked_fill(forced, float("inf"))
    return (_ranks(ranked) < count) & allowed


def mean_pool_score(q: Tensor, k: Tensor, block: int = 128) -> Tensor:
    """Softmax of the pooled queries' and keys' products, `(B, H, n_q, n_k)`: one band, no calibration."""
    pooled_q, pooled_k, allowed, _ = _pooled(q, k, block, None)
    return _softmax(pooled_q @ pooled_k.mT * q.shape[-1] ** -0.5, allowed)


def mean_pool_select(q: Tensor, k: Tensor, p: float = 0.95, block: int = 128) -> Tensor:
    """What a selection on plain means keeps, `(B, H, n_q, n_k)`."""
    return _selected(mean_pool_score(q, k, block), p, grid_of(q, k, block))


def oracle_select(q: Tensor, k: Tensor, p: float = 0.95, block: int = 128) -> Tensor:
    """The same with the true attention of each block in place of an estimate; costs as much as attention itself."""
    return _selected(block_mass(q, k, block), p, grid_of(q, k, block))


def random_select(q: Tensor, k: Tensor, density: float, block: int, generator: torch.Generator) -> Tensor:
    """Each block with probability `density`, `(B, H, n_q, n_k)`."""
    if not 0 < density <= 1:
        raise ValueError(f"density: got {density}, wanted a share in (0, 1]")
    grid = grid_of(q, k, block)
    drawn = torch.rand(*q.shape[:2], grid.n_q, grid.n_k, generator=generator) < density
    return _with_forced(drawn.to(q.device), grid.causal(q.device))


def streaming_select(q: Tensor, k: Tensor, local: int, block: int = 128) -> Tensor:
    """The first block and the last `local` ones, `(B, H, n_q, n_k)`."""
    if local < 1:
        raise ValueError(f"local: got {local}, wanted at least 1 block")
    grid = grid_of(q, k, block)
    causal = grid.causal(q.device)
    mask = _with_forced(causal & ~causal.tril(grid.first - local), causal)
    return mask.expand(*q.shape[:2], -1, -1)


def density(mask: Tensor) -> float:
    """Share of the causal blocks that are kept."""
    n_q, n_k = mask.shape[-2:]
    causal = torch.ones(n_q, n_k).tril(n_k - n_q).sum().item()
    return mask.sum().item() / (causal * mask[..., 0, 0].numel())


def _selected(probabilities: Tensor, p: float, grid: Grid) -> Tensor:
    allowed = grid.causal(probabilities.device)
    return _with_forced(top_p(probabilities, p, allowed), allowed)


def _pooled(
    q: Tensor, k: Tensor, block: int, keep: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor | None, Tensor | None]]:
    """Pooled queries and keys, both `(B, H, n, d)` in float32, the blocks allowed, and which blocks count."""
    grid = grid_of(q, k, block)
    valid: Sequence[Tensor | None] = (None, None)
    counts: tuple[Tensor | None, Tensor | None] = (None, None)
    if keep is not None:
        rows = keep.any(1)
        valid = (rows.any(2), rows.any(1))
        blocks = grid.allowed(keep).any(1)
        counts = (blocks.any(2), blocks.any(1))
    pooled_q = mean_pool(q, block, valid[0], grid.shift).float()
    pooled_k = mean_pool(k, block, valid[1]).float().repeat_interleave(q.shape[1] // k.shape[1], 1)
    if not (pooled_q.isfinite().all() and pooled_k.isfinite().all()):
        raise ValueError("q, k: hold NaN or infinity, wanted finite values")
    return pooled_q, pooled_k, _allowed(grid, q, keep), counts


def _allowed(grid: Grid, q: Tensor, keep: Tensor | None) -> Tensor:
    """`(B, H, n_q, n_k)`: the blocks in which a query of the block may see a key."""
    allowed = grid.causal(q.device).expand(*q.shape[:2], -1, -1)
    return allowed if keep is None else allowed & grid.allowed(keep)


def _energy(pooled: Tensor, counts: Tensor | None) -> Tensor:
    """Root mean square over the blocks and dimensions of a head, `(B, H, 1, 1)`."""
    if counts is None:
        return pooled.square().mean((2, 3), keepdim=True).sqrt().clamp(min=FLOOR)
    weight = counts.to(pooled.dtype)[:, None, :, None]
    mean = (pooled.square().mean(3, keepdim=True) * weight).sum(2, keepdim=True) / weight.sum(2, keepdim=True)
    return mean.sqrt().clamp(min=FLOOR)


def _softmax(logits: Tensor, allowed: Tensor) -> Tensor:
    """Over the allowed blocks; rows without any, which only padding has, are 0."""
    return logits.masked_fill(~allowed, float("-inf")).softmax(-1).nan_to_num(0.0)


def _ranks(scores: Tensor) -> Tensor:
    """Place of each entry of the last dimension in descending order, from 0."""
    return scores.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)


def _with_forced(mask: Tensor, allowed: Tensor) -> Tensor:
    """The mask with the first block that holds any key, and the diagonal one, where they are allowed."""
    n_q, n_k = mask.shape[-2:]
    diagonal = torch.eye(n_q, n_k, dtype=torch.bool, device=mask.device).roll(n_k - n_q, 1)
    sink = torch.nn.functional.one_hot(allowed.any(-2).to(torch.uint8).argmax(-1), n_k).bool()
    return (mask | diagonal | sink.unsqueeze(-2)) & allowed
