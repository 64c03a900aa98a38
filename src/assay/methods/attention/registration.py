"""Registering an attention function under a name that `transformers` models take as `attn_implementation`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal


def register(name: str, forward: Callable[..., tuple[Any, Any]], mask: Literal["sdpa", "eager"] = "sdpa") -> None:
    """Make `from_pretrained(..., attn_implementation=name)` call `forward(module, query, key, value, mask, ...)`.

    `mask` is the form of mask that `forward` is handed: "sdpa", booleans (B, 1, L, L_kv) or None where the plain
    causal order needs none; "eager", numbers to add to the scores. Registering a name again replaces it.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask, sdpa_mask

    forms = {"sdpa": sdpa_mask, "eager": eager_mask}
    if mask not in forms:
        raise ValueError(f"mask: got {mask!r}, wanted 'sdpa' or 'eager'")
    AttentionInterface.register(name, forward)
    AttentionMaskInterface.register(name, forms[mask])
