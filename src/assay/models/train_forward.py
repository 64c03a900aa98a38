"""The training loss of a tiny Llama without padding: all linear layers act on the real tokens only.

Rows of 20 to 60 tokens padded to the longest would waste half the work. Here tokens of all rows lie one after
another, each row with its own positions from 0, and are padded for the attention alone (which is causal, so
what stands to the right of a row cannot be seen). The result equals the model's own forward pass row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from assay.models.train_data import Row

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM


def reply_loss(model: LlamaForCausalLM, rows: Sequence[Row]) -> Tensor:
    """Mean cross-entropy in nats over the asked tokens of all rows."""
    return F.cross_entropy(*reply_logits(model, rows))


def reply_logits(model: LlamaForCausalLM, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Logits (A, V) and ids (A,) of the asked tokens of all rows, one row after another."""
    lengths = [len(row.ids) for row in rows]
    longest = max(lengths)
    ids = torch.tensor([i for row in rows for i in row.ids])
    slots = torch.tensor([r * longest + p for r, n in enumerate(lengths) for p in range(n)])
    hidden = hidden_states(model, ids, slots, len(rows), longest)
    asked = torch.tensor([a for row in rows for a in row.asked]).nonzero().squeeze(1)
    return F.linear(hidden[asked - 1], model.lm_head.weight), ids[asked]  # predicted from the token before it


def hidden_states(model: LlamaForCausalLM, ids: Tensor, slots: Tensor, rows: int, longest: int) -> Tensor:
    """Last hidden states (N, D) of the N tokens `ids`; token t stands at `slots[t] = row * longest + position`."""
    body = model.model
    heads = model.config.num_attention_heads
    cos, sin = _rotary(model, longest, slots % longest)
    h = body.embed_tokens(ids)
    for layer in body.layers:
        attention, mlp = layer.self_attn, layer.mlp
        x = _norm(h, layer.input_layernorm)
        q, k, v = (p(x).view(len(ids), heads, -1) for p in (attention.q_proj, attention.k_proj, attention.v_proj))
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        q, k, v = (_padded(t, slots, rows, longest) for t in (q, k, v))
        with torch.autocast("cpu", enabled=False):  # its backward pass is slower in bfloat16
            mixed = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=True)
        h = h + attention.o_proj(mixed.transpose(1, 2).reshape(rows * longest, -1)[slots])
        x = _norm(h, layer.post_attention_layernorm)
        h = h + mlp.down_proj(F.silu(mlp.gate_proj(x)) * mlp.up_proj(x))
    return _norm(h, body.norm)


def _padded(t: Tensor, slots: Tensor, rows: int, longest: int) -> Tensor:
    """(N, heads, width) to (rows, heads, longest, width), zeros where a row has ended."""
    flat = t.new_zeros(rows * longest, t.shape[1], t.shape[2]).index_copy(0, slots, t)
    return flat.view(rows, longest, t.shape[1], t.shape[2]).transpose(1, 2)


def _norm(x: Tensor, norm: torch.nn.Module) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), norm.weight, norm.variance_epsilon)  # type: ignore[arg-type]


def _rotary(model: LlamaForCausalLM, longest: int, positions: Tensor) -> tuple[Tensor, Tensor]:
    angles = torch.outer(torch.arange(longest).float(), model.model.rotary_emb.inv_freq)
    angles = torch.cat((angles, angles), dim=-1)[positions].unsqueeze(1)
    return angles.cos(), angles.sin()


def _rotate(t: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = t.chunk(2, dim=-1)
    return t * cos + torch.cat((-b, a), dim=-1) * sin
