"""Prism as the attention function of a `transformers` model, and what it did meanwhile."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from assay.methods.attention.block_sparse import Grid, block_mass, block_sparse_attention
from assay.methods.attention.prism import PrismConfig, density, prism_select

SHORT = 4  # blocks; below, selection has nothing to leave out
UNKNOWN = ("softcap", "s_aux", "position_bias")  # what some models add to attention and Prism does not know


@dataclass
class PrismStats:
    """One entry a call that went sparse; `full` counts those that did not (decoding, short, with gradients).

    density in causal blocks; recall is the share of the true attention kept, over `rows` query blocks a call
    (empty where none were asked for); seconds to choose the blocks and to attend to them.
    """

    rows: int = 0
    densities: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)
    select_seconds: list[float] = field(default_factory=list)
    attend_seconds: list[float] = field(default_factory=list)
    full: int = 0


_collecting: list[PrismStats] = []


@contextmanager
def prism_stats(rows: int = 0) -> Iterator[PrismStats]:
    """Collect what every Prism layer does in the block; `rows` > 0 also measures recall, at a full row's cost each."""
    stats = PrismStats(rows)
    _collecting.append(stats)
    try:
        yield stats
    finally:
        _collecting.remove(stats)


def prism_attention_forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of `query (B, H, L, d)` and unrepeated `key, value (B, H_kv, L_kv, d)`: `((B, L, H, d), None)`.

    Settings come from `module.config.assay_prism`, a `PrismConfig` or a mapping of its fields. Decoding (L = 1),
    fewer than four blocks of keys, dropout, and gradients go to torch's own attention, the last two with a warning.
    ValueError where attention is not causal or its weights are asked for.
    """
    config = _config(module, query.shape[-1])
    keys, keep, refused = _seen(module, query, key, attention_mask, kwargs)
    needs_grad = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    if dropout > 0 or needs_grad:
        refused = "Prism is for inference: dropout and gradients go through full attention"
    if refused:
        warnings.warn(refused, stacklevel=2)
    if refused or query.shape[2] == 1 or keys < SHORT * config.block:
        for stats in _collecting:
            stats.full += 1
        return _sdpa()(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
    key, value = key[:, :, :keys], value[:, :, :keys]
    start = time.perf_counter()
    mask = prism_select(query, key, config, keep)
    chosen = time.perf_counter()
    backend = config.backend or ("torch" if query.device.type == "cpu" else "flex")
    if Grid(query.shape[2], keys, config.block).shift:
        backend = "torch"
    out = block_sparse_attention(query, key, value, mask, config.block, scale=scaling, keep=keep, backend=backend)
    for stats in _collecting:
        stats.densities.append(density(mask))
        stats.select_seconds.append(chosen - start)
        stats.attend_seconds.append(time.perf_counter() - chosen)
        if stats.rows and keep is None:
            rows = torch.linspace(0, mask.shape[2] - 1, min(stats.rows, mask.shape[2])).long().unique()
            mass = block_mass(query, key, config.block, rows, scaling)
            stats.recalls.append((mass * mask[:, :, rows]).sum(-1).mean().item())
    return out.transpose(1, 2).contiguous(), None


def _config(module: Any, dim: int) -> PrismConfig:
    given = getattr(module.config, "assay_prism", None)
    if isinstance(given, Mapping):
        given = PrismConfig(**given)
    if not (given is None or isinstance(given, PrismConfig)):
        raise TypeError(f"config.assay_prism: got {type(given).__name__}, wanted a PrismConfig or a dict of its fields")
    config = given or PrismConfig()
    rotated = (getattr(module.config, "rope_parameters", None) or {}).get("partial_rotary_factor", 1.0)
    if config.rotary_dim is None and rotated < 1:
        config = replace(config, rotary_dim=int(dim * rotated))
    return config


def _seen(
    module: Any, query: Tensor, key: Tensor, mask: Tensor | None, kwargs: Mapping[str, Any]
) -> tuple[int, Tensor | None, str]:
    """How many keys there are to see, which each query sees where that is not all before it, and why not sparse."""
    if kwargs.get("output_attentions"):
        raise ValueError("output_attentions: got True; Prism forms no attention weights, load with 'eager' for them")
    causal = kwargs.get("is_causal")
    if not (getattr(module, "is_causal", True) if causal is None else causal):
        raise ValueError(f"Prism needs causal attention; {type(module).__name__} has is_causal=False")
    if odd := [name for name in UNKNOWN if kwargs.get(name) is not None]:
        raise ValueError(f"{odd[0]}: this model's attention uses it, and Prism does not know it")
    queries, keys = query.shape[2], key.shape[2]
    if mask is None:
        return queries if queries > 1 else keys, None, ""  # a fixed-size cache holds more than was written
    if mask.dtype != torch.bool:
        return keys, None, f"attention_mask: got {mask.dtype}, wanted torch.bool; taking full attention"
    last = int(mask.any(2).flatten(0, 1).any(0).nonzero().max()) + 1 if mask.any() else keys
    keys = min(keys, max(last, queries))
    keep = mask[..., :keys]
    if keep.triu(keys - queries + 1).any():
        raise ValueError("Prism needs causal attention; attention_mask lets queries see keys that come after them")
    plain = torch.arange(keys - queries + 1, keys + 1, device=mask.device)
    return keys, None if (keep.sum(-1) == plain).all() else keep, ""


@cache
def _sdpa() -> Any:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    return sdpa_attention_forward
