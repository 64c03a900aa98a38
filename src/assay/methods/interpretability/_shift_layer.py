"""Where a history pulls an answer away: contrastive perplexity under patches, layer by layer (fpps)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import BoolTensor, Tensor

from assay.methods.activations import Intervention, find_layers, intervene
from assay.methods.interpretability._replies import BATCH_ROWS, prompt_states, reply_log_probs
from assay.methods.metrics import bootstrap_ci

Floats = NDArray[np.float64]
Row = tuple[str, str]  # prompt, reply
Contrast = tuple[str, str, str, str]  # plain prompt, personalised prompt, right answer, the history's answer


@dataclass(frozen=True)
class LayerReport:
    """For each layer the mean over the triples of what undoing the history there does, with 95 % intervals."""

    layers: tuple[int, ...]
    mean: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]

    @property
    def best(self) -> int:
        """The layer of the largest mean."""
        return self.layers[int(np.argmax(self.mean))]


def locate_shift_layer(
    model: Any,
    tokenizer: Any,
    contrasts: Sequence[Contrast],
    *,
    layers: Sequence[int] | None = None,
    mode: Literal["patch", "norm"] = "patch",
) -> LayerReport:
    """Which layer carries the history's pull.

    "patch": the state at the end of the personalised prompt is replaced by that of the plain prompt; the figure is by
    how much that lowers the perplexity (mean nats a token) of the right answer and raises that of the history's. A
    pull that is not yet there, or already written elsewhere, cannot be undone at a layer.
    "norm": how far the history moves the state, relative to its length, weighted by how much perplexity the right
    answer gains from the history; no patched passes.
    """
    if not contrasts:
        raise ValueError("contrasts: got none, wanted at least one")
    if mode not in ("patch", "norm"):
        raise ValueError(f"mode: got {mode!r}, wanted 'patch' or 'norm'")
    places = tuple(layers) if layers is not None else tuple(range(len(find_layers(model))))
    right = [(personal, gold) for _, personal, gold, _ in contrasts]
    misled = [(personal, other) for _, personal, _, other in contrasts]
    plain = prompt_states(model, tokenizer, [contrast[0] for contrast in contrasts], places)
    if mode == "norm":
        pulled = prompt_states(model, tokenizer, [contrast[1] for contrast in contrasts], places)
        gap = mean_nll(model, tokenizer, right) - mean_nll(model, tokenizer, [(c[0], c[2]) for c in contrasts])
        weight = np.clip(gap, 0, None)
        found = [
            weight * ((pulled[layer] - plain[layer]).norm(dim=1) / plain[layer].norm(dim=1)).double().numpy()
            for layer in places
        ]
    else:
        before = mean_nll(model, tokenizer, right) - mean_nll(model, tokenizer, misled)
        found = [
            before
            - mean_nll(model, tokenizer, right, layer, plain[layer])
            + mean_nll(model, tokenizer, misled, layer, plain[layer])
            for layer in places
        ]
    intervals = tuple(bootstrap_ci(values, resamples=1000) for values in found)
    return LayerReport(places, tuple(float(values.mean()) for values in found), intervals)


def mean_nll(
    model: Any, tokenizer: Any, rows: Sequence[Row], layer: int | None = None, states: Tensor | None = None
) -> Floats:
    """Mean nats a token (N,) of each reply and its end; with `states` (N, D) in the place of what a layer has at the
    end of the prompt."""
    found = []
    for start in range(0, len(rows), BATCH_ROWS):
        chunk = slice(start, start + BATCH_ROWS)
        if layer is None or states is None:
            told = reply_log_probs(model, tokenizer, rows[chunk])
        else:
            ends = _tail_lengths(tokenizer, rows[chunk])
            put = _at_the_end(states[chunk], ends)
            with intervene(model, [Intervention(layer, put)]):
                told = reply_log_probs(model, tokenizer, rows[chunk])
        found += [-float(gold[asked].mean()) for gold, _, asked in told]
    return np.array(found)


def right_under(
    model: Any, tokenizer: Any, rows: Sequence[Row], layer: int | None = None, change: Tensor | None = None
) -> NDArray[np.bool_]:
    """Whether greedy decoding writes each reply (N,); with `change` (N, D) added to what a layer has at the end of the
    prompt and at every token written."""
    found = []
    for start in range(0, len(rows), BATCH_ROWS):
        chunk = slice(start, start + BATCH_ROWS)
        if layer is None or change is None:
            told = reply_log_probs(model, tokenizer, rows[chunk])
        else:
            add = _from_the_end_on(change[chunk], _tail_lengths(tokenizer, rows[chunk]))
            with intervene(model, [Intervention(layer, add)]):
                told = reply_log_probs(model, tokenizer, rows[chunk])
        found += [bool(((gold - other)[asked] > 0).all()) for gold, other, asked in told]
    return np.array(found)


def _tail_lengths(tokenizer: Any, rows: Sequence[Row]) -> Tensor:
    """Tokens of each reply, its end among them."""
    end = tokenizer.eos_token_id is not None
    return torch.tensor([len(tokenizer.encode(reply, add_special_tokens=False)) + end for _, reply in rows])


def _at_the_end(states: Tensor, tails: Tensor) -> Any:
    def put(h: Tensor, mask: BoolTensor) -> Tensor:
        new = h.clone()
        new[torch.arange(len(h)), h.shape[1] - tails - 1] = states.to(h)
        return new

    return put


def _from_the_end_on(change: Tensor, tails: Tensor) -> Any:
    def add(h: Tensor, mask: BoolTensor) -> Tensor:
        behind = torch.arange(h.shape[1]) >= (h.shape[1] - tails - 1).unsqueeze(1)
        return h + behind.unsqueeze(-1).to(h) * change.to(h).unsqueeze(1)

    return add
