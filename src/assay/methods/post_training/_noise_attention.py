"""Where a model looks: attention on distractors, hint and question, layer by layer (2601.07226)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def distractor_attention(
    model: Any, tokens: Tensor, spans: Mapping[str, Sequence[tuple[int, int]]], queries: tuple[int, int] | None = None
) -> dict[str, Tensor]:
    """Attention mass on each named group of spans, (layers,) in [0, 1], mean over heads and query positions.

    model      a transformers causal LM that can return attentions (`attn_implementation="eager"`)
    tokens     (T,) long, prompt and reply
    spans      name -> (start, end) pairs of token places, end not included
    queries    (start, end) of the places that look; by default the last one alone

    Raises ValueError for a span outside the tokens, spans of one group that overlap, or a model without attentions.
    """
    import torch

    if tokens.dim() != 1 or not len(tokens):
        raise ValueError(f"tokens: got shape {tuple(tokens.shape)}, wanted (T,) with T of at least 1")
    first, last = queries or (len(tokens) - 1, len(tokens))
    groups = {name: _places(name, pairs, len(tokens)) for name, pairs in spans.items()}
    _places("queries", [(first, last)], len(tokens))
    with torch.no_grad():
        attentions = model(tokens.unsqueeze(0), output_attentions=True).attentions
    if not attentions or attentions[0] is None:
        raise ValueError("model: it returned no attentions, wanted attn_implementation='eager'")
    looks = torch.stack([layer[0, :, first:last].mean(dim=(0, 1)) for layer in attentions])  # (layers, T)
    return {name: looks[:, places].sum(dim=1) for name, places in groups.items()}


def _places(name: str, pairs: Sequence[tuple[int, int]], length: int) -> list[int]:
    for start, end in pairs:
        if not 0 <= start < end <= length:
            raise ValueError(f"{name}: got span ({start}, {end}), wanted one within 0 to {length}")
    places = [place for start, end in pairs for place in range(start, end)]
    if len(set(places)) < len(places):
        raise ValueError(f"{name}: its spans overlap, wanted each token once")
    return places
