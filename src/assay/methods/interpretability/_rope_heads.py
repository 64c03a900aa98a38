"""Queries and keys of a model's heads as they are before RoPE turns them, read and changed on any RoPE model.

Both go through an attention function of our own, which sees what every model of `transformers` hands to attention:
rotated queries and keys, whatever projections, norms and sharing of heads came before. The rotation is undone with
the cosines and sines that the layer itself was given, so scaled and partial RoPE need no special case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from assay.methods.attention.registration import register

NAME = "assay_heads"


@dataclass(frozen=True)
class Rope:
    """Cosines and sines `(T, r)` of a layer's rotation, r <= d the rotated dimensions; pair i is i and i + r/2."""

    cos: Tensor
    sin: Tensor

    @property
    def omega(self) -> Tensor:
        """Radians a token, `(r / 2,)`, from the first two positions."""
        half = self.cos.shape[-1] // 2
        angle = torch.atan2(self.sin, self.cos)[:, :half].double()
        turned = angle[1] - angle[0]
        return torch.where(turned < 0, turned + 2 * torch.pi, turned)

    def turn(self, x: Tensor, back: bool = False) -> Tensor:
        """Rotate `x (..., T, d)`, or undo it."""
        width = self.cos.shape[-1]
        turned, rest = x[..., :width], x[..., width:]
        first, second = turned.chunk(2, dim=-1)
        around = torch.cat([-second, first], dim=-1)
        if back:
            size = self.cos.square() + self.sin.square()  # 1, but where a scaled RoPE also scales
            return torch.cat([(turned * self.cos - around * self.sin) / size, rest], dim=-1)
        return torch.cat([turned * self.cos + around * self.sin, rest], dim=-1)


@dataclass(frozen=True)
class LayerHeads:
    """Queries and keys of a layer before RoPE and after it, each `(B, H, T, d)` (keys repeated to the query heads)."""

    q: Tensor
    k: Tensor
    rope: Rope
    scale: float

    @property
    def rotated(self) -> tuple[Tensor, Tensor]:
        return self.rope.turn(self.q), self.rope.turn(self.k)


Change = Callable[[LayerHeads], tuple[Tensor, Tensor]]  # -> rotated q, k (B, H, T, d)


@torch.no_grad()
def visit_heads(model: nn.Module, input_ids: Tensor, visit: Callable[[int, LayerHeads], None]) -> None:
    """Call `visit(layer, heads)` for every layer in one pass over `input_ids (B, T)`; none is kept after its turn.

    What is changed around the call is seen changed.
    """
    if input_ids.dim() != 2 or input_ids.shape[1] < 2:
        raise ValueError(f"input_ids: got {tuple(input_ids.shape)}, wanted (B, T) with at least 2 tokens")
    with _listening(model, visit):
        model(input_ids=input_ids, use_cache=False)


def read_heads(model: nn.Module, input_ids: Tensor) -> dict[int, LayerHeads]:
    """The heads of every layer on `input_ids (B, T)`."""
    found: dict[int, LayerHeads] = {}
    visit_heads(model, input_ids, found.__setitem__)
    return found


@contextmanager
def changed_heads(model: nn.Module, changes: dict[int, Change]) -> Iterator[None]:
    """Within the block, attention of the layers named goes by the rotated queries and keys that `changes` return.

    Prefills only: with a cache, the rotation of earlier keys is not known.
    """
    with _listening(model, changes=changes):
        yield


@dataclass(frozen=True)
class _Session:
    modules: frozenset[int]  # ids
    note: Callable[[int, LayerHeads], None] | None
    changes: dict[int, Change]


_sessions: list[_Session] = []
_ropes: dict[int, Rope] = {}  # by the attention module's id, while it runs


@contextmanager
def _listening(
    model: Any, note: Callable[[int, LayerHeads], None] | None = None, changes: dict[int, Change] | None = None
) -> Iterator[None]:
    modules = attention_modules(model)
    for layer in changes or {}:
        if not 0 <= layer < len(modules):
            raise ValueError(f"layer: got {layer}, wanted 0 to {len(modules) - 1}")
    session = _Session(frozenset(map(id, modules)), note, changes or {})
    register(NAME, _forward)
    before = model.config._attn_implementation
    with ExitStack() as undo:
        for module in modules:
            undo.callback(module.register_forward_pre_hook(_note_rope, with_kwargs=True).remove)
        _sessions.append(session)
        undo.callback(_sessions.remove, session)
        model.set_attn_implementation(NAME)
        undo.callback(model.set_attn_implementation, before)
        yield


def attention_modules(model: nn.Module) -> list[nn.Module]:
    """The attention of each decoder layer. ValueError for a model without rotary embeddings."""
    from assay.methods.activations import find_layers

    found = []
    for layer in find_layers(model):
        inner = [m for name, m in layer.named_children() if "attn" in name or "attention" in name]
        found += [m for m in inner if hasattr(m, "layer_idx")][:1]
    rotary = any("rotary" in type(module).__name__.lower() for module in model.modules())
    if not found or not rotary:
        raise ValueError(f"model: {type(model).__name__} has no rotary embedding, wanted a RoPE model")
    return found


def _note_rope(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    given = kwargs.get("position_embeddings")
    if given is None:
        given = next((a for a in args if isinstance(a, tuple) and len(a) == 2), None)
    if given is None:
        raise ValueError(f"model: {type(module).__name__} is not given its rotation, wanted position_embeddings")
    cos, sin = given
    _ropes[id(module)] = Rope(cos[0].float(), sin[0].float())


def _forward(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if query.shape[2] != key.shape[2]:
        raise ValueError(f"heads are read in a prefill: got {query.shape[2]} queries for {key.shape[2]} keys")
    rope = _ropes.pop(id(module))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    group = query.shape[1] // key.shape[1]
    keys = key.repeat_interleave(group, 1)
    dtype = query.dtype
    sessions = [session for session in _sessions if id(module) in session.modules]
    for session in sessions:
        if change := session.changes.get(module.layer_idx):
            heads = LayerHeads(rope.turn(query.float(), True), rope.turn(keys.float(), True), rope, scale)
            query, keys = (x.to(dtype) for x in change(heads))
    for session in sessions:
        if session.note is not None:
            heads = LayerHeads(rope.turn(query.float(), True), rope.turn(keys.float(), True), rope, scale)
            session.note(module.layer_idx, heads)
    values = value.repeat_interleave(group, 1)
    own = getattr(module, "num_key_value_groups", 1)
    module.num_key_value_groups = 1  # keys are repeated already
    try:
        out: Tensor = sdpa_attention_forward(
            module, query, keys, values, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )[0]
    finally:
        module.num_key_value_groups = own
    return out, None
