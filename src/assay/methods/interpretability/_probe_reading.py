"""A model's states over whole texts, longer than its context too: window after window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import BoolTensor, Tensor

from assay.methods.activations import capture

BATCH = 16  # windows side by side


def read_texts(
    model: Any, tokenizer: Any, texts: Sequence[str], layers: Sequence[int], window: int = 512
) -> dict[int, list[Tensor]]:
    """For each layer the states (T, D) of each text in half precision; windows do not see one another."""
    if window < 1:
        raise ValueError(f"window: got {window}, wanted at least 1")
    windows = [[ids[at : at + window] for at in range(0, len(ids), window)] for ids in map(tokenizer.encode, texts)]
    empty = next((n for n, rows in enumerate(windows) if not rows), None)
    if empty is not None:
        raise ValueError(f"texts: number {empty + 1} has no token")
    places = [(n, k) for n, rows in enumerate(windows) for k in range(len(rows))]
    places.sort(key=lambda place: len(windows[place[0]][place[1]]))  # those of like length are padded together
    found = {layer: [[torch.empty(0)] * len(rows) for rows in windows] for layer in layers}
    for at in range(0, len(places), BATCH):
        part = [(n, k, windows[n][k]) for n, k in places[at : at + BATCH]]
        longest = max(len(row) for _, _, row in part)
        ids = torch.tensor([row + [0] * (longest - len(row)) for _, _, row in part])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for _, _, row in part])
        for layer, states in capture(model, ids, layers, batch_size=BATCH, attention_mask=mask).items():
            for (n, k, row), own in zip(part, states):
                found[layer][n][k] = own[: len(row)].half()
    return {layer: [torch.cat(rows) for rows in by_text] for layer, by_text in found.items()}


def padded(states: Sequence[Tensor]) -> tuple[Tensor, BoolTensor]:
    """Texts (N, T, D) with zeros behind, and the mask (N, T) of their tokens."""
    x = torch.nn.utils.rnn.pad_sequence(list(states), batch_first=True)
    lengths = torch.tensor([len(one) for one in states])
    mask: BoolTensor = torch.arange(x.shape[1]) < lengths.unsqueeze(1)  # type: ignore[assignment]
    return x, mask
